/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The FUSE side of the fake kernel: mounting, the file operations, and the test's own interface. Nothing is cached by the
 * kernel and files are read with direct_io, so that what is read is what is.
 */
#define FUSE_USE_VERSION 312
#include "fuse-sysfs.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include "fuse-sysfs-model.h"
#include "util/cleanup.h"

struct fuse_sysfs {
	struct model model;
	char path[64];
	struct fuse *fuse;
	bool mounted;
	bool serving;
	pthread_t thread;
};

static struct model *current_model(void)
{
	return fuse_get_context()->private_data;
}

static void fill_stat(const struct model_node *node, struct stat *st)
{
	static const mode_t modes[] = {
		[MODEL_FOLDER] = S_IFDIR | 0755,
		[MODEL_FILE] = S_IFREG | 0444,
		[MODEL_WRITABLE] = S_IFREG | 0644,
		[MODEL_LINK] = S_IFLNK | 0777,
	};

	memset(st, 0, sizeof(*st));
	st->st_mode = modes[node->type];
	st->st_nlink = 1;
	st->st_ino = node->inode;
	st->st_size = node->type == MODEL_FOLDER ? 0 : 4096;
}

static int op_getattr(const char *path, struct stat *st, struct fuse_file_info *info)
{
	struct model *model = current_model();
	struct model_node node;
	int r;

	pthread_mutex_lock(&model->mutex);
	r = model_look_up(model, path, &node);
	pthread_mutex_unlock(&model->mutex);
	if (r == 0)
		fill_stat(&node, st);
	return r;
}

static int op_readlink(const char *path, char *buffer, size_t size)
{
	struct model *model = current_model();
	struct model_node node;
	int r;

	pthread_mutex_lock(&model->mutex);
	r = model_look_up(model, path, &node);
	pthread_mutex_unlock(&model->mutex);
	if (r < 0)
		return r;
	if (node.type != MODEL_LINK)
		return -EINVAL;
	snprintf(buffer, size, "%.*s", (int)node.size, node.text);
	return 0;
}

struct listing {
	void *buffer;
	fuse_fill_dir_t fill;
};

static void add_entry(void *userdata, const char *name, enum model_node_type type)
{
	const struct listing *listing = userdata;

	listing->fill(listing->buffer, name, NULL, 0, 0);
}

static int op_readdir(const char *path, void *buffer, fuse_fill_dir_t fill, off_t offset, struct fuse_file_info *info,
		      enum fuse_readdir_flags flags)
{
	struct model *model = current_model();
	struct listing listing = { buffer, fill };

	fill(buffer, ".", NULL, 0, 0);
	fill(buffer, "..", NULL, 0, 0);
	pthread_mutex_lock(&model->mutex);
	model_list(model, path, add_entry, &listing);
	pthread_mutex_unlock(&model->mutex);
	return 0;
}

static int op_open(const char *path, struct fuse_file_info *info)
{
	info->direct_io = 1;
	return 0;
}

/* `echo >file` truncates; sysfs takes no notice. */
static int op_truncate(const char *path, off_t size, struct fuse_file_info *info)
{
	return 0;
}

static int look_up_locked(struct model *model, const char *path, struct model_node *ret)
{
	struct model_device *device = model_read_needs_lock(model, path);
	int r;

	if (device && !model_lock(model, device))
		return -ENODEV;
	r = model_look_up(model, path, ret);
	if (device)
		model_unlock(model, device);
	return r;
}

static int op_read(const char *path, char *buffer, size_t size, off_t offset, struct fuse_file_info *info)
{
	struct model *model = current_model();
	struct model_node node;
	int r;

	pthread_mutex_lock(&model->mutex);
	r = look_up_locked(model, path, &node);
	pthread_mutex_unlock(&model->mutex);
	if (r < 0)
		return r == -ENOENT ? -ENODEV : r;
	if ((size_t)offset >= node.size)
		return 0;
	if (size > node.size - offset)
		size = node.size - offset;
	memcpy(buffer, node.text + offset, size);
	return size;
}

static int op_write(const char *path, const char *data, size_t size, off_t offset, struct fuse_file_info *info)
{
	struct model *model = current_model();
	char value[256];
	int r;

	if (size >= sizeof(value))
		return -EINVAL;
	memcpy(value, data, size);
	value[size] = '\0';
	value[strcspn(value, "\n")] = '\0';
	pthread_mutex_lock(&model->mutex);
	r = model_write(model, path, value);
	pthread_mutex_unlock(&model->mutex);
	return r < 0 ? r : (int)size;
}

static void *op_init(struct fuse_conn_info *connection, struct fuse_config *config)
{
	config->use_ino = 1;
	config->entry_timeout = 0;
	config->attr_timeout = 0;
	config->negative_timeout = 0;
	return fuse_get_context()->private_data;
}

static const struct fuse_operations operations = {
	.init = op_init,
	.getattr = op_getattr,
	.readlink = op_readlink,
	.readdir = op_readdir,
	.open = op_open,
	.truncate = op_truncate,
	.read = op_read,
	.write = op_write,
};

static void *serve(void *userdata)
{
	struct fuse_sysfs *sysfs = userdata;
	struct fuse_loop_config *config = fuse_loop_cfg_create();

	fuse_loop_mt(sysfs->fuse, config);
	fuse_loop_cfg_destroy(config);
	return NULL;
}

/* A namespace of its own, so that a test that dies leaves nothing mounted. */
static int enter_namespace(void)
{
	if (unshare(CLONE_NEWNS) < 0)
		return -errno;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -errno;
	return 0;
}

static int mount_fuse(struct fuse_sysfs *sysfs)
{
	char *argv[] = { "fuse-sysfs", "-o", "allow_other,fsname=fuse-sysfs", NULL };
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);

	sysfs->fuse = fuse_new(&args, &operations, sizeof(operations), &sysfs->model);
	fuse_opt_free_args(&args);
	if (!sysfs->fuse)
		return -ENOMEM;
	if (fuse_mount(sysfs->fuse, sysfs->path) != 0)
		return -EPERM;
	sysfs->mounted = true;
	return 0;
}

DEFINE_CLEANUP(fuse_sysfs, struct fuse_sysfs *, fuse_sysfs_free)

int fuse_sysfs_new(struct fuse_sysfs **ret)
{
	_cleanup_(cleanup_fuse_sysfs) struct fuse_sysfs *sysfs = NULL;
	int r;

	if (access("/dev/fuse", R_OK | W_OK) < 0)
		return -errno;
	r = enter_namespace();
	if (r < 0)
		return r;
	sysfs = calloc(1, sizeof(*sysfs));
	if (!sysfs)
		return -ENOMEM;
	model_init(&sysfs->model);
	strcpy(sysfs->path, "/tmp/iommud-sysfs-XXXXXX");
	if (!mkdtemp(sysfs->path)) {
		sysfs->path[0] = '\0';
		return -errno;
	}
	r = mount_fuse(sysfs);
	if (r < 0)
		return r;
	r = -pthread_create(&sysfs->thread, NULL, serve, sysfs);
	if (r < 0)
		return r;
	sysfs->serving = true;
	*ret = TAKE_PTR(sysfs);
	return 0;
}

struct fuse_sysfs *fuse_sysfs_free(struct fuse_sysfs *sysfs)
{
	if (!sysfs)
		return NULL;
	pthread_mutex_lock(&sysfs->model.mutex);
	sysfs->model.stopping = true;
	pthread_cond_broadcast(&sysfs->model.changed);
	pthread_mutex_unlock(&sysfs->model.mutex);
	/* The kernel ends the session, and that the loop; fuse_unmount() alone would close the device under its threads. */
	if (sysfs->mounted)
		umount2(sysfs->path, MNT_DETACH);
	if (sysfs->serving)
		pthread_join(sysfs->thread, NULL);
	if (sysfs->mounted)
		fuse_unmount(sysfs->fuse);
	if (sysfs->fuse)
		fuse_destroy(sysfs->fuse);
	if (sysfs->path[0])
		rmdir(sysfs->path);
	model_clear(&sysfs->model);
	free(sysfs);
	return NULL;
}

const char *fuse_sysfs_path(const struct fuse_sysfs *sysfs)
{
	return sysfs->path;
}

static void copy_name(char to[MODEL_NAME_MAX], const char *from)
{
	snprintf(to, MODEL_NAME_MAX, "%s", from ? from : "");
}

static void must(bool condition, const char *what, const char *name)
{
	if (condition)
		return;
	fprintf(stderr, "fuse-sysfs: %s: %s\n", what, name);
	abort();
}

static void *allocate(size_t size)
{
	void *memory = calloc(1, size);

	must(memory != NULL, "out of memory", "");
	return memory;
}

static void add_driver(struct fuse_sysfs *sysfs, const char *bus, const char *name, const char *ids)
{
	struct model_driver *driver = allocate(sizeof(*driver));

	copy_name(driver->bus, bus);
	copy_name(driver->name, name);
	snprintf(driver->ids, sizeof(driver->ids), "%s", ids ? ids : "");
	pthread_mutex_lock(&sysfs->model.mutex);
	list_append(&sysfs->model.drivers, &driver->link);
	pthread_mutex_unlock(&sysfs->model.mutex);
}

void fuse_sysfs_add_driver(struct fuse_sysfs *sysfs, const char *name, const char *ids)
{
	add_driver(sysfs, "pci", name, ids);
}

void fuse_sysfs_add_bus_driver(struct fuse_sysfs *sysfs, const char *bus, const char *name)
{
	add_driver(sysfs, bus, name, NULL);
}

void fuse_sysfs_remove_driver(struct fuse_sysfs *sysfs, const char *name)
{
	struct model_driver *driver;

	pthread_mutex_lock(&sysfs->model.mutex);
	driver = model_find_driver(&sysfs->model, name);
	must(driver != NULL, "no such driver", name);
	list_unlink(&driver->link);
	pthread_mutex_unlock(&sysfs->model.mutex);
	free(driver);
}

void fuse_sysfs_add_device(struct fuse_sysfs *sysfs, const struct fuse_sysfs_device *is)
{
	struct model_device *device = allocate(sizeof(*device));

	device->is = *is;
	copy_name(device->address, is->address);
	copy_name(device->bus, is->bus ? is->bus : "pci");
	copy_name(device->driver, is->driver);
	copy_name(device->disk, is->disk);
	copy_name(device->interface, is->interface);
	copy_name(device->driver_override, is->driver_override);
	pthread_mutex_lock(&sysfs->model.mutex);
	must(!model_find_device(&sysfs->model, is->address), "there is one already", is->address);
	model_insert_device(&sysfs->model, device);
	pthread_mutex_unlock(&sysfs->model.mutex);
}

static struct model_device *get_device(struct fuse_sysfs *sysfs, const char *address)
{
	struct model_device *device;

	pthread_mutex_lock(&sysfs->model.mutex);
	device = model_find_device(&sysfs->model, address);
	must(device != NULL, "no such device", address);
	return device;
}

static void put_device(struct fuse_sysfs *sysfs)
{
	pthread_cond_broadcast(&sysfs->model.changed);
	pthread_mutex_unlock(&sysfs->model.mutex);
}

void fuse_sysfs_remove_device(struct fuse_sysfs *sysfs, const char *address)
{
	struct model_device *device = get_device(sysfs, address);

	device->gone = true;
	list_unlink(&device->link);
	list_append(&sysfs->model.graveyard, &device->link);
	put_device(sysfs);
}

void fuse_sysfs_set_driver(struct fuse_sysfs *sysfs, const char *address, const char *driver)
{
	struct model_device *device = get_device(sysfs, address);

	copy_name(device->driver, driver);
	put_device(sysfs);
}

void fuse_sysfs_hold(struct fuse_sysfs *sysfs, const char *address)
{
	get_device(sysfs, address)->held = true;
	put_device(sysfs);
}

void fuse_sysfs_let_go(struct fuse_sysfs *sysfs, const char *address)
{
	get_device(sysfs, address)->held = false;
	put_device(sysfs);
}

void fuse_sysfs_let_all_go(struct fuse_sysfs *sysfs)
{
	struct model_device *device;

	pthread_mutex_lock(&sysfs->model.mutex);
	list_for_each(device, &sysfs->model.devices, link)
		device->held = false;
	put_device(sysfs);
}

bool fuse_sysfs_wait_blocked(struct fuse_sysfs *sysfs, const char *address, unsigned int seconds)
{
	struct model_device *device;
	struct timespec until;
	bool blocked;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += seconds;
	device = get_device(sysfs, address);
	while (!device->blocked) {
		if (pthread_cond_timedwait(&sysfs->model.changed, &sysfs->model.mutex, &until) == ETIMEDOUT)
			break;
	}
	blocked = device->blocked;
	pthread_mutex_unlock(&sysfs->model.mutex);
	return blocked;
}

void fuse_sysfs_set_hook(struct fuse_sysfs *sysfs, fuse_sysfs_hook hook, void *userdata)
{
	pthread_mutex_lock(&sysfs->model.mutex);
	sysfs->model.hook = hook;
	sysfs->model.hook_userdata = userdata;
	sysfs->model.n_writes = 0;
	pthread_mutex_unlock(&sysfs->model.mutex);
}

size_t fuse_sysfs_writes(struct fuse_sysfs *sysfs)
{
	size_t n;

	pthread_mutex_lock(&sysfs->model.mutex);
	n = sysfs->model.n_writes;
	pthread_mutex_unlock(&sysfs->model.mutex);
	return n;
}

char *fuse_sysfs_describe(struct fuse_sysfs *sysfs)
{
	const struct model_device *device;
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	must(file != NULL, "out of memory", "");
	pthread_mutex_lock(&sysfs->model.mutex);
	list_for_each(device, &sysfs->model.devices, link)
		fprintf(file, "%s driver=%s override=%s\n", device->address, device->driver, device->driver_override);
	pthread_mutex_unlock(&sysfs->model.mutex);
	fclose(file);
	return text;
}
