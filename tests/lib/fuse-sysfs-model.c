/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the fake kernel does: devices, drivers, matching, the device lock, and the writes that move a device. */
#include "fuse-sysfs-model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void model_init(struct model *model)
{
	*model = (struct model){ .last_node = 1000 };
	pthread_mutex_init(&model->mutex, NULL);
	pthread_cond_init(&model->changed, NULL);
	list_init(&model->devices);
	list_init(&model->graveyard);
	list_init(&model->drivers);
}

static void free_devices(struct list_link *head)
{
	struct model_device *device, *next;

	list_for_each_safe(device, next, head, link) {
		list_unlink(&device->link);
		free(device);
	}
}

void model_clear(struct model *model)
{
	struct model_driver *driver, *next;

	free_devices(&model->devices);
	free_devices(&model->graveyard);
	list_for_each_safe(driver, next, &model->drivers, link) {
		list_unlink(&driver->link);
		free(driver);
	}
	pthread_cond_destroy(&model->changed);
	pthread_mutex_destroy(&model->mutex);
}

struct model_device *model_find_device(struct model *model, const char *address)
{
	struct model_device *device;

	list_for_each(device, &model->devices, link) {
		if (strcmp(device->address, address) == 0)
			return device;
	}
	return NULL;
}

struct model_driver *model_find_driver(struct model *model, const char *name)
{
	struct model_driver *driver;

	list_for_each(driver, &model->drivers, link) {
		if (strcmp(driver->name, name) == 0)
			return driver;
	}
	return NULL;
}

bool model_lock(struct model *model, struct model_device *device)
{
	while (device->locked && !device->gone && !model->stopping)
		pthread_cond_wait(&model->changed, &model->mutex);
	if (device->gone || model->stopping)
		return false;
	device->locked = true;
	return true;
}

void model_unlock(struct model *model, struct model_device *device)
{
	device->locked = false;
	pthread_cond_broadcast(&model->changed);
}

/* As pci_match_device(): an override is the only one that may, and needs no id; without one the ids decide. */
static bool matches(const struct model_driver *driver, const struct model_device *device)
{
	char id[16];

	if (device->driver_override[0])
		return strcmp(device->driver_override, driver->name) == 0;
	snprintf(id, sizeof(id), "%04x:%04x", device->is.vendor, device->is.device);
	return strstr(driver->ids, id) != NULL;
}

static int bind_device(struct model_driver *driver, struct model_device *device)
{
	if (!matches(driver, device))
		return -ENODEV;
	if (device->driver[0])
		return -EBUSY;
	strcpy(device->driver, driver->name);
	return 0;
}

static int unbind_device(struct model *model, struct model_driver *driver, struct model_device *device)
{
	if (strcmp(device->driver, driver->name) != 0)
		return -ENODEV;
	while (device->held && !device->gone && !model->stopping) {
		device->blocked = true;
		pthread_cond_broadcast(&model->changed);
		pthread_cond_wait(&model->changed, &model->mutex);
	}
	device->blocked = false;
	if (device->gone)
		return -ENODEV;
	device->driver[0] = '\0';
	return 0;
}

static int probe_device(struct model *model, struct model_device *device)
{
	struct model_driver *driver;

	list_for_each(driver, &model->drivers, link) {
		if (!device->driver[0] && matches(driver, device))
			return bind_device(driver, device);
	}
	return 0;
}

/* As sriov_numvfs_store(), for drivers that all can make them. */
static int set_n_vfs(struct model_device *device, const char *value)
{
	char *end;
	unsigned long n = strtoul(value, &end, 10);

	if (!value[0] || *end)
		return -EINVAL;
	if (n > device->is.max_vfs)
		return -ERANGE;
	if (n == device->n_vfs)
		return 0;
	if (!device->driver[0])
		return -ENOENT;
	if (n && device->n_vfs)
		return -EBUSY;
	device->n_vfs = n;
	return 0;
}

/* With the device locked. */
static int apply_locked(struct model *model, const struct fuse_sysfs_write *write, struct model_device *device)
{
	struct model_driver *driver = write->driver ? model_find_driver(model, write->driver) : NULL;

	switch (write->file) {
	case FUSE_SYSFS_OVERRIDE:
		if (strlen(write->value) >= MODEL_NAME_MAX)
			return -EINVAL;
		strcpy(device->driver_override, write->value);
		return 0;
	case FUSE_SYSFS_BIND:
		return driver ? bind_device(driver, device) : -ENODEV;
	case FUSE_SYSFS_UNBIND:
		return driver ? unbind_device(model, driver, device) : -ENODEV;
	case FUSE_SYSFS_PROBE:
		return probe_device(model, device);
	case FUSE_SYSFS_RESET:
		return strcmp(write->value, "1") == 0 ? 0 : -EINVAL;
	case FUSE_SYSFS_NUM_VFS:
		return set_n_vfs(device, write->value);
	case FUSE_SYSFS_NEW_ID:
		break;
	}
	return -EPERM;
}

static int apply(struct model *model, const struct fuse_sysfs_write *write)
{
	struct model_device *device = write->address ? model_find_device(model, write->address) : NULL;
	int r;

	if (write->file == FUSE_SYSFS_NEW_ID)
		return -EPERM;
	if (!device || !model_lock(model, device))
		return -ENODEV;
	r = apply_locked(model, write, device);
	model_unlock(model, device);
	return r;
}

/* The hook may kill processes and take its time; it must not stop the others from being served. */
static int call_hook(struct model *model, const struct fuse_sysfs_write *write)
{
	fuse_sysfs_hook hook = model->hook;
	void *userdata = model->hook_userdata;
	int r;

	if (!hook)
		return 0;
	pthread_mutex_unlock(&model->mutex);
	r = hook(userdata, write);
	pthread_mutex_lock(&model->mutex);
	return r;
}

static bool split_driver_path(const char *path, char *driver, char *file)
{
	return sscanf(path, "/bus/pci/drivers/%63[^/]/%15[a-z_]", driver, file) == 2;
}

/* Which file it is, and whose. */
static int parse_write(const char *path, const char *value, char *driver, char *address, struct fuse_sysfs_write *ret)
{
	char file[16] = "";

	*ret = (struct fuse_sysfs_write){ .address = value, .value = value };
	if (split_driver_path(path, driver, file)) {
		ret->driver = driver;
		if (strcmp(file, "bind") == 0)
			ret->file = FUSE_SYSFS_BIND;
		else if (strcmp(file, "unbind") == 0)
			ret->file = FUSE_SYSFS_UNBIND;
		else if (strcmp(file, "new_id") == 0)
			*ret = (struct fuse_sysfs_write){ .file = FUSE_SYSFS_NEW_ID, .driver = driver, .value = value };
		else
			return -EACCES;
		return 0;
	}
	if (strcmp(path, "/bus/pci/drivers_probe") == 0) {
		ret->file = FUSE_SYSFS_PROBE;
		return 0;
	}
	if (sscanf(path, "/devices/pci0000:00/%63[^/]/%15[a-z_]", address, file) != 2)
		return -EACCES;
	ret->address = address;
	if (strcmp(file, "driver_override") == 0)
		ret->file = FUSE_SYSFS_OVERRIDE;
	else if (strcmp(file, "reset") == 0)
		ret->file = FUSE_SYSFS_RESET;
	else if (strcmp(file, "sriov_numvfs") == 0)
		ret->file = FUSE_SYSFS_NUM_VFS;
	else
		return -EACCES;
	return 0;
}

int model_write(struct model *model, const char *path, const char *value)
{
	char driver[MODEL_NAME_MAX], address[MODEL_NAME_MAX];
	struct fuse_sysfs_write write;
	int r = parse_write(path, value, driver, address, &write);

	if (r < 0)
		return r;
	write.number = ++model->n_writes;
	r = call_hook(model, &write);
	if (r < 0)
		return r;
	r = apply(model, &write);
	if (r < 0)
		return r;
	write.after = true;
	return call_hook(model, &write);
}

struct model_device *model_read_needs_lock(struct model *model, const char *path)
{
	char address[MODEL_NAME_MAX], file[16];

	if (sscanf(path, "/devices/pci0000:00/%63[^/]/%15[a-z_]", address, file) != 2)
		return NULL;
	if (strcmp(file, "driver_override") != 0 && strcmp(file, "uevent") != 0 && strcmp(file, "sriov_numvfs") != 0)
		return NULL;
	return model_find_device(model, address);
}
