/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A walk through the device's own folder in sysfs, not through links, which ends at the first thing that the host uses.
 * Owns the descriptors of the disks that it holds. It never writes, and when in doubt about a disk, the host has it.
 *
 * Disks are held against races: swap, mounts, LVM, md and ZFS all open theirs with O_EXCL, and so do we. An address that
 * comes to a network interface between the look and the unbind can't be kept away.
 */
#include "helper/in-use.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "helper/host-net.h"
#include "util/cleanup.h"
#include "util/fileio.h"

#define NAME_LENGTH 64
/* A disk behind seven USB hubs is at about 20. */
#define DEPTH_MAX 32

DEFINE_CLEANUP(directory, DIR *, closedir)

/* Called for each subfolder. 0: go on; what else it returns ends the walk. */
typedef int (*visit_fn)(void *userdata, int folder, const char *name);

/* Files and links are none, and a folder that goes while we look is passed over. */
static int for_each_folder(int folder, visit_fn visit, void *userdata)
{
	_cleanup_fd_ int fd = open_dir_at(folder, ".");
	_cleanup_(cleanup_directory) DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	int r = 0;

	if (!directory)
		return fd < 0 ? fd : -errno;
	TAKE_FD(fd);
	while (r == 0 && (errno = 0, entry = readdir(directory))) {
		_cleanup_fd_ int child = -1;

		if (entry->d_name[0] == '.')
			continue;
		child = openat(folder, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (child >= 0)
			r = visit(userdata, child, entry->d_name);
		else if (errno != ENOTDIR && errno != ELOOP && errno != ENOENT)
			r = -errno;
	}
	return r ? r : -errno;
}

/* The text goes to logs and into JSON, and interfaces may have any name. */
__attribute__((format(printf, 2, 3))) static int used(struct in_use *in_use, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(in_use->detail, sizeof(in_use->detail), format, args);
	va_end(args);
	for (char *p = in_use->detail; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	return 1;
}

/* ---- disks ---- */

/* As the kernel writes them: "259:0". */
static int read_number(int folder, const char *path, dev_t *ret)
{
	unsigned int major_number, minor_number;
	char text[32];
	int r = read_file_at(folder, path, text, sizeof(text));

	if (r < 0)
		return r;
	if (sscanf(text, "%u:%u", &major_number, &minor_number) != 2)
		return -EINVAL;
	*ret = makedev(major_number, minor_number);
	return 0;
}

static int open_as_node(const struct in_use *in_use, const char *name, dev_t number)
{
	char path[NAME_LENGTH];

	snprintf(path, sizeof(path), "%s", name);
	/* sysfs has ! where the node is in a folder: cciss!c0d0. */
	for (char *p = path; (p = strchr(p, '!'));)
		*p = '/';
	return in_use->ops->open_disk(in_use->dev_fd, path, number);
}

/* What has it: sysfs has links to the devices that are made of it (LVM, md), and knows nothing of mounts and swap. */
static int used_disk(struct in_use *in_use, int folder, const char *name)
{
	_cleanup_fd_ int holders = open_dir_at(folder, "holders");
	_cleanup_(cleanup_directory) DIR *directory = holders < 0 ? NULL : fdopendir(holders);
	const struct dirent *entry;

	if (directory) {
		TAKE_FD(holders);
		while ((entry = readdir(directory)))
			if (entry->d_name[0] != '.')
				return used(in_use, "%s is part of %.60s", name, entry->d_name);
	}
	return used(in_use, "%s is mounted, swapped to or otherwise held", name);
}

static int find_used_partition(void *userdata, int folder, const char *name)
{
	struct in_use *in_use = userdata;
	dev_t number;
	int fd;

	if (faccessat(folder, "partition", F_OK, 0) < 0 || read_number(folder, "dev", &number) < 0)
		return 0;
	fd = open_as_node(in_use, name, number);
	if (fd == -EBUSY)
		return used_disk(in_use, folder, name);
	if (fd >= 0)
		close_fd(fd);
	return 0;
}

/*
 * A path of a multipath namespace, nvme0c1n1, is hidden and has no node; nvme0n1, which lies elsewhere, is what the host
 * opens.
 */
static void name_of_head(const char *name, char ret[NAME_LENGTH])
{
	unsigned int subsystem, controller, namespace;

	if (sscanf(name, "nvme%uc%un%u", &subsystem, &controller, &namespace) == 3)
		snprintf(ret, NAME_LENGTH, "nvme%un%u", subsystem, namespace);
	else
		snprintf(ret, NAME_LENGTH, "%s", name);
}

static bool is_hidden(int folder)
{
	uint64_t hidden;

	return read_u64_at(folder, "hidden", &hidden) == 0 && hidden;
}

static int hold(struct in_use *in_use, const char *name, int fd)
{
	if (in_use->n_disks == IN_USE_DISKS_MAX) {
		close_fd(fd);
		return used(in_use, "it has more than %d disks", IN_USE_DISKS_MAX);
	}
	in_use->disks[in_use->n_disks++] = fd;
	return 0;
}

/* A whole disk can't be had while somebody has a partition of it, and no partition while somebody has the disk. */
static int claim_whole_disk(struct in_use *in_use, int folder, const char *name)
{
	dev_t number;
	int fd, r = read_number(folder, "dev", &number);

	fd = r < 0 ? r : open_as_node(in_use, name, number);
	if (fd >= 0)
		return hold(in_use, name, fd);
	if (fd == -ENOMEDIUM)
		return 0;
	if (fd != -EBUSY)
		return used(in_use, "nothing can be learnt about %s: %s", name, strerror(-fd));
	r = for_each_folder(folder, find_used_partition, in_use);
	return r ? r : used_disk(in_use, folder, name);
}

static int claim_disk(struct in_use *in_use, int folder, const char *name)
{
	_cleanup_fd_ int head = -1;
	char head_name[NAME_LENGTH], path[NAME_LENGTH + sizeof("subsystem/")];

	if (!is_hidden(folder))
		return claim_whole_disk(in_use, folder, name);
	name_of_head(name, head_name);
	snprintf(path, sizeof(path), "subsystem/%s", head_name);
	head = open_dir_at(folder, path);
	if (head < 0)
		return used(in_use, "nothing can be learnt about %s: %s", head_name, strerror(-head));
	return claim_whole_disk(in_use, head, head_name);
}

/* ---- network interfaces ---- */

static const char *upper_name(const struct dirent *entry)
{
	return strncmp(entry->d_name, "upper_", 6) == 0 ? entry->d_name + 6 : NULL;
}

/* Bridges and bonds have a `master` link to them, and as all others (VLANs, macvlans) an upper_NAME. */
static int check_uppers(struct in_use *in_use, int folder, const char *name)
{
	_cleanup_fd_ int fd = open_dir_at(folder, ".");
	_cleanup_(cleanup_directory) DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	char master[NAME_LENGTH];

	if (!directory)
		return fd < 0 ? fd : -errno;
	TAKE_FD(fd);
	if (read_link_name_at(folder, "master", master, sizeof(master)) == 0)
		return used(in_use, "%s is part of %s", name, master);
	while ((errno = 0, entry = readdir(directory)))
		if (upper_name(entry))
			return used(in_use, "%s carries %.60s", name, upper_name(entry));
	return -errno;
}

static int check_interface(struct in_use *in_use, int folder, const char *name)
{
	char text[64];
	uint64_t interface, flags;
	int r = check_uppers(in_use, folder, name);

	if (r == 0)
		r = read_u64_at(folder, "ifindex", &interface);
	if (r == 0)
		r = read_u64_at(folder, "flags", &flags);
	if (r != 0 || !(flags & IFF_UP))
		return r;
	r = in_use->ops->find_address(interface, text, sizeof(text));
	if (r > 0)
		return used(in_use, "%s has the address %s", name, text);
	if (r == 0)
		r = in_use->ops->find_route(interface, text, sizeof(text));
	return r > 0 ? used(in_use, "%s has a route (%s)", name, text) : r;
}

/* ---- both ---- */

struct walk {
	struct in_use *in_use;
	unsigned int depth;
};

static bool is_gone(int r)
{
	return r == -ENOENT || r == -ENODEV;
}

static int visit_folder(void *userdata, int folder, const char *name)
{
	struct walk *walk = userdata;
	char subsystem[NAME_LENGTH] = "";
	int r = read_link_name_at(folder, "subsystem", subsystem, sizeof(subsystem));

	if (r == 0 && strcmp(subsystem, "block") == 0) {
		r = claim_disk(walk->in_use, folder, name);
	} else if (r == 0 && strcmp(subsystem, "net") == 0) {
		r = check_interface(walk->in_use, folder, name);
	} else if (walk->depth == DEPTH_MAX) {
		r = -ELOOP;
	} else {
		walk->depth++;
		r = for_each_folder(folder, visit_folder, walk);
		walk->depth--;
	}
	return is_gone(r) ? 0 : r;
}

int in_use_claim(struct in_use *in_use, int device_fd)
{
	struct walk walk = { .in_use = in_use };
	int r = for_each_folder(device_fd, visit_folder, &walk);

	if (r != 0)
		in_use_release(in_use);
	return r;
}

void in_use_release(struct in_use *in_use)
{
	while (in_use->n_disks > 0)
		close_fd(in_use->disks[--in_use->n_disks]);
}

/* O_NONBLOCK: an empty drive must not wait for its medium. What was opened is what is compared. */
static int open_disk(int dev_fd, const char *name, dev_t number)
{
	_cleanup_fd_ int fd = openat(dev_fd, name, O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISBLK(st.st_mode) || st.st_rdev != number)
		return -ESTALE;
	return TAKE_FD(fd);
}

const struct in_use_ops in_use_host_ops = {
	.open_disk = open_disk,
	.find_address = host_net_find_address,
	.find_route = host_net_find_route,
};
