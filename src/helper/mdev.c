/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Removes and makes mdevs again. It owns the folder's descriptor and the note, and writes nothing but `remove` of the mdev
 * and `create` of the type that it had. Both names are read from sysfs before it is removed, and the note is written then,
 * so that there is no moment in which the way back is not known.
 */
#include "helper/mdev.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "topology/mdev.h"
#include "util/cleanup.h"
#include "util/fileio.h"

#define NOTE_MAX (DEVICE_ADDRESS_MAX + MDEV_TYPE_MAX + 2)

/* Whoever looks at an mdev for a moment keeps its address taken for as long: a second in all. */
#define CREATE_STEP_NSEC 20000000
#define CREATE_STEPS 50

DEFINE_CLEANUP(directory, DIR *, closedir)

static void create_path(const struct mdev *mdev, char *path, size_t size)
{
	snprintf(path, size, "class/mdev_bus/%s/mdev_supported_types/%s/create", mdev->parent, mdev->type);
}

static bool type_is_valid(const char *type)
{
	return type[0] && type[0] != '.' && !strpbrk(type, "/ \n");
}

/* Where it comes from, and that it could be made there again. */
static int read_origin(const struct bus_device *device, struct mdev *ret)
{
	_cleanup_fd_ int bus_fd = open_dir_at(device->sysfs_fd, "bus/" BUS_MDEV "/devices");
	char path[64 + NOTE_MAX];
	int r;

	if (bus_fd < 0)
		return bus_fd;
	r = mdev_read_parent(bus_fd, device->address, ret->parent);
	if (r == 0)
		r = read_link_name_at(device->fd, "mdev_type", ret->type, sizeof(ret->type));
	if (r < 0)
		return r;
	if (!device_address_is_valid(ret->parent) || !type_is_valid(ret->type))
		return -EBADMSG;
	create_path(ret, path, sizeof(path));
	return faccessat(device->sysfs_fd, path, W_OK, 0) < 0 ? -errno : 0;
}

/* A file that can be written and is not every mdev's: a setting of its own. `ret` stays empty without. */
static int find_setting(int fd, char *ret, size_t size)
{
	_cleanup_(cleanup_directory) DIR *directory = NULL;
	_cleanup_fd_ int folder = open_dir_at(fd, ".");
	const struct dirent *entry;
	struct stat st;

	directory = folder < 0 ? NULL : fdopendir(folder);
	if (!directory)
		return -errno;
	TAKE_FD(folder);
	while ((entry = readdir(directory))) {
		if (strcmp(entry->d_name, "remove") == 0 || strcmp(entry->d_name, "uevent") == 0)
			continue;
		if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
		    (st.st_mode & 0222)) {
			snprintf(ret, size, "%.*s", (int)size - 1, entry->d_name);
			break;
		}
	}
	return 0;
}

int mdev_can_return(const struct bus_device *device, char *ret, size_t size)
{
	struct mdev mdev = { .journal_dir_fd = -1 };
	char setting[64] = "";
	int r = read_origin(device, &mdev);

	if (r < 0) {
		snprintf(ret, size, "it could not be made again at the end: its parent is not found (%s)",
			 strerror(-r));
		return -EOPNOTSUPP;
	}
	r = find_setting(device->fd, setting, sizeof(setting));
	if (r < 0 || setting[0] == '\0')
		return r;
	snprintf(ret, size, "it is given back by making it again, and its setting %s would be lost", setting);
	return -EOPNOTSUPP;
}

/* ---- the note ---- */

static void note_name(const char *address, char *name, size_t size)
{
	snprintf(name, size, "mdev-%s", address);
}

static int write_note(const struct mdev *mdev)
{
	char name[DEVICE_ADDRESS_MAX + 8], text[NOTE_MAX];
	_cleanup_fd_ int fd = -1;
	int length = snprintf(text, sizeof(text), "%s %s\n", mdev->parent, mdev->type);

	note_name(mdev->saved->id.address, name, sizeof(name));
	fd = openat(mdev->journal_dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	return write(fd, text, length) == length ? 0 : -EIO;
}

static void drop_note(const struct mdev *mdev)
{
	char name[DEVICE_ADDRESS_MAX + 8];

	note_name(mdev->saved->id.address, name, sizeof(name));
	(void)unlinkat(mdev->journal_dir_fd, name, 0);
}

/* One that was cut off says nothing: the mdev was not removed yet when it was written. */
static int read_note(struct mdev *mdev)
{
	char name[DEVICE_ADDRESS_MAX + 8], text[NOTE_MAX], *type;
	int r;

	note_name(mdev->saved->id.address, name, sizeof(name));
	r = read_file_at(mdev->journal_dir_fd, name, text, sizeof(text));
	if (r < 0)
		return r;
	type = strchr(text, ' ');
	if (!type)
		return -EBADMSG;
	*type++ = '\0';
	if (!device_address_is_valid(text) || !type_is_valid(type) || strlen(type) >= sizeof(mdev->type))
		return -EBADMSG;
	strcpy(mdev->parent, text);
	strcpy(mdev->type, type);
	return 0;
}

/* ---- opening ---- */

int mdev_open(int sysfs_fd, int journal_dir_fd, const struct device_state *saved, struct mdev *ret)
{
	struct mdev mdev = { .journal_dir_fd = journal_dir_fd, .saved = saved };
	int r = bus_device_open_on(sysfs_fd, bus_find(BUS_MDEV), saved->id.address, &mdev.device);

	if (r == -ENOENT && read_note(&mdev) == 0) {
		mdev.device = (struct bus_device){ .sysfs_fd = sysfs_fd, .fd = -1, .bus = bus_find(BUS_MDEV) };
		mdev.removed = true;
		r = 0;
	} else if (r == 0) {
		/* Whoever made it: it is there. */
		drop_note(&mdev);
	}
	if (r == 0)
		*ret = mdev;
	return r;
}

void mdev_close(struct mdev *mdev)
{
	bus_device_close(&mdev->device);
}

/* ---- steps ---- */

/* One that we removed is as it was, but without a driver. */
static int op_read(void *userdata, struct device_state *ret)
{
	const struct mdev *mdev = userdata;

	if (!mdev->removed)
		return bus_device_read_snapshot(&mdev->device, ret);
	*ret = *mdev->saved;
	ret->driver[0] = '\0';
	return 0;
}

/* It is there as long as the mdev. */
static int op_has_driver(void *userdata, const char *driver)
{
	return 0;
}

/* An mdev has none. */
static int op_set_override(void *userdata, const char *driver)
{
	return 0;
}

static int op_unbind(void *userdata, const char *driver)
{
	struct mdev *mdev = userdata;
	int r = read_origin(&mdev->device, mdev);

	if (r == 0)
		r = write_note(mdev);
	if (r < 0)
		return r;
	r = write_file_at(mdev->device.fd, "remove", "1");
	if (r < 0) {
		drop_note(mdev);
		return r;
	}
	bus_device_close(&mdev->device);
	mdev->removed = true;
	return 0;
}

static int create(const struct mdev *mdev)
{
	const struct timespec step = { .tv_nsec = CREATE_STEP_NSEC };
	char path[64 + NOTE_MAX];
	int r;

	create_path(mdev, path, sizeof(path));
	for (int i = 0; i < CREATE_STEPS; i++) {
		r = write_file_at(mdev->device.sysfs_fd, path, mdev->saved->id.address);
		if (r != -EEXIST)
			break;
		nanosleep(&step, NULL);
	}
	return r;
}

static int op_bind(void *userdata, const char *driver)
{
	struct mdev *mdev = userdata;
	int r = 0;

	/* Somebody has unbound it by hand, which only a new one mends. */
	if (!mdev->removed)
		r = op_unbind(mdev, driver);
	if (r == 0)
		r = create(mdev);
	if (r == 0)
		r = bus_device_open_on(mdev->device.sysfs_fd, bus_find(BUS_MDEV), mdev->saved->id.address,
				       &mdev->device);
	if (r < 0)
		return r;
	mdev->removed = false;
	drop_note(mdev);
	return 0;
}

const struct device_ops mdev_ops = {
	.read = op_read,
	.has_driver = op_has_driver,
	.set_override = op_set_override,
	.unbind = op_unbind,
	.bind = op_bind,
};
