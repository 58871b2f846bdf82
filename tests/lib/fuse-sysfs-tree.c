/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the fake kernel shows: folders are functions that emit their content, and a path is looked up by asking each of its
 * folders. Nothing is stored, so the tree is right at any moment.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuse-sysfs-model.h"

/* One pass over a folder: either lists it, or looks for one name in it. */
struct pass {
	const char *wanted; /* NULL: list */
	bool found;
	struct model_node *node;
	model_emit emit;
	void *userdata;
};

static void put_bytes(struct pass *pass, const char *name, enum model_node_type type, const void *bytes, size_t size)
{
	if (!pass->wanted) {
		pass->emit(pass->userdata, name, type);
		return;
	}
	if (strcmp(pass->wanted, name) != 0)
		return;
	pass->found = true;
	pass->node->type = type;
	pass->node->size = size;
	memcpy(pass->node->text, bytes, size);
}

__attribute__((format(printf, 4, 5))) static void put(struct pass *pass, const char *name, enum model_node_type type,
						      const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	put_bytes(pass, name, type, text, strlen(text));
}

static void put_folder(struct pass *pass, const char *name)
{
	put(pass, name, MODEL_FOLDER, "%s", "");
}

static void put_u32(uint8_t *config, size_t offset, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		config[offset + i] = value >> (8 * i);
}

static void put_config(struct pass *pass, const struct fuse_sysfs_device *is)
{
	uint8_t config[MODEL_CONFIG_SIZE] = { 0 };

	put_u32(config, 0x00, is->vendor | (uint32_t)is->device << 16);
	put_u32(config, 0x08, is->class << 8);
	config[0x0e] = is->bridge ? 0x01 : 0x80; /* multi-function, header type 0 */
	put_u32(config, 0x2c, is->subsystem_vendor | (uint32_t)is->subsystem_device << 16);
	/* AER stands first, so that the list has to be walked. */
	if (is->serial) {
		put_u32(config, 0x100, 0x0001 | 1 << 16 | 0x140 << 20);
		put_u32(config, 0x140, 0x0003 | 1 << 16);
		put_u32(config, 0x144, is->serial);
		put_u32(config, 0x148, is->serial >> 32);
	}
	put_bytes(pass, "config", MODEL_FILE, config, sizeof(config));
}

static bool is_on_vfio(const struct model_device *device)
{
	return strstr(device->driver, "vfio") != NULL;
}

static bool is_on_host_driver(const struct model_device *device)
{
	return device->driver[0] && !is_on_vfio(device);
}

static void put_uevent(struct pass *pass, const struct model_device *device)
{
	const struct fuse_sysfs_device *is = &device->is;

	put(pass, "uevent", MODEL_FILE,
	    "%s%s%sPCI_CLASS=%X\nPCI_ID=%04X:%04X\nPCI_SUBSYS_ID=%04X:%04X\nPCI_SLOT_NAME=%s\n",
	    device->driver[0] ? "DRIVER=" : "", device->driver, device->driver[0] ? "\n" : "", is->class, is->vendor,
	    is->device, is->subsystem_vendor, is->subsystem_device, device->address);
}

static void show_sriov(struct pass *pass, const struct model_device *device)
{
	char name[24];

	put(pass, "sriov_totalvfs", MODEL_FILE, "%u\n", device->is.max_vfs);
	put(pass, "sriov_numvfs", MODEL_WRITABLE, "%u\n", device->n_vfs);
	for (unsigned int i = 0; i < device->n_vfs; i++) {
		snprintf(name, sizeof(name), "virtfn%u", i);
		put(pass, name, MODEL_LINK, "../%s-vf%u", device->address, i);
	}
}

static void show_device(struct pass *pass, const struct model_device *device)
{
	const struct fuse_sysfs_device *is = &device->is;
	const char *override = device->driver_override;

	put(pass, "vendor", MODEL_FILE, "0x%04x\n", is->vendor);
	put(pass, "device", MODEL_FILE, "0x%04x\n", is->device);
	put(pass, "subsystem_vendor", MODEL_FILE, "0x%04x\n", is->subsystem_vendor);
	put(pass, "subsystem_device", MODEL_FILE, "0x%04x\n", is->subsystem_device);
	put(pass, "class", MODEL_FILE, "0x%06x\n", is->class);
	put(pass, "modalias", MODEL_FILE, "pci:v%08Xd%08Xsv%08Xsd%08Xbc%02Xsc%02Xi%02X\n", is->vendor, is->device,
	    is->subsystem_vendor, is->subsystem_device, is->class >> 16, is->class >> 8 & 0xff, is->class & 0xff);
	put(pass, "numa_node", MODEL_FILE, "-1\n");
	put(pass, "enable", MODEL_FILE, "1\n");
	if (!is->no_reset) {
		put(pass, "reset_method", MODEL_FILE, "flr bus\n");
		put(pass, "reset", MODEL_WRITABLE, "%s", "");
	}
	if (is->max_vfs)
		show_sriov(pass, device);
	put(pass, "driver_override", MODEL_WRITABLE, "%s\n", override[0] ? override : "(null)");
	put(pass, "subsystem", MODEL_LINK, "../../../bus/pci");
	put_uevent(pass, device);
	put_config(pass, is);
	if (device->driver[0])
		put(pass, "driver", MODEL_LINK, "../../../bus/pci/drivers/%s", device->driver);
	if (is->group >= 0)
		put(pass, "iommu_group", MODEL_LINK, "../../../kernel/iommu_groups/%d", is->group);
	if (is_on_vfio(device))
		put_folder(pass, "vfio-dev");
	if (is_on_host_driver(device) && device->disk[0])
		put_folder(pass, "block");
	if (is_on_host_driver(device) && device->interface[0])
		put_folder(pass, "net");
}

/* "block/NAME" and "net/NAME". */
static void show_host(struct pass *pass, const struct model_device *device, const char *rest)
{
	const char *slash = strchr(rest, '/');

	if (!is_on_host_driver(device)) {
		return;
	} else if (strcmp(rest, "block") == 0 && device->disk[0]) {
		put_folder(pass, device->disk);
	} else if (strcmp(rest, "net") == 0 && device->interface[0]) {
		put_folder(pass, device->interface);
	} else if (strncmp(rest, "block/", 6) == 0 && strcmp(slash + 1, device->disk) == 0) {
		put(pass, "subsystem", MODEL_LINK, "../../../../../class/block");
		put(pass, "dev", MODEL_FILE, "7:%u\n", device->is.disk_minor);
	} else if (strncmp(rest, "net/", 4) == 0 && strcmp(slash + 1, device->interface) == 0) {
		put(pass, "subsystem", MODEL_LINK, "../../../../../class/net");
		put(pass, "ifindex", MODEL_FILE, "1000\n");
		put(pass, "flags", MODEL_FILE, "0x1002\n");
		put(pass, "upper_br0", MODEL_LINK, "../../../../virtual/net/br0");
	}
}

/* The number of vfioN is the device's inode: unique, and another after a replug. */
static void show_vfio(struct pass *pass, const struct model_device *device, const char *rest)
{
	char name[32];

	snprintf(name, sizeof(name), "vfio%llu", (unsigned long long)device->node);
	if (!is_on_vfio(device))
		return;
	if (strcmp(rest, "vfio-dev") == 0)
		put_folder(pass, name);
	else if (strncmp(rest, "vfio-dev/", 9) == 0 && strcmp(rest + 9, name) == 0 && device->is.memory_minor)
		put(pass, "dev", MODEL_FILE, "1:%u\n", device->is.memory_minor);
	else if (strncmp(rest, "vfio-dev/", 9) == 0 && strcmp(rest + 9, name) == 0)
		put(pass, "dev", MODEL_FILE, "510:%llu\n", (unsigned long long)device->node);
}

static void show_below_devices(struct pass *pass, struct model *model, const char *path)
{
	char address[MODEL_NAME_MAX], rest[64] = "";
	struct model_device *device;

	if (sscanf(path, "%63[^/]/%63s", address, rest) < 1)
		return;
	device = model_find_device(model, address);
	if (device && strncmp(rest, "vfio-dev", 8) == 0)
		show_vfio(pass, device, rest);
	else if (device && rest[0])
		show_host(pass, device, rest);
	else if (device)
		show_device(pass, device);
}

static void show_driver(struct pass *pass, struct model *model, const char *name)
{
	struct model_device *device;

	if (!model_find_driver(model, name))
		return;
	put(pass, "bind", MODEL_WRITABLE, "%s", "");
	put(pass, "unbind", MODEL_WRITABLE, "%s", "");
	put(pass, "new_id", MODEL_WRITABLE, "%s", "");
	list_for_each(device, &model->devices, link) {
		if (strcmp(device->driver, name) == 0)
			put(pass, device->address, MODEL_LINK, "../../../../devices/pci0000:00/%s", device->address);
	}
}

static void show_devices(struct pass *pass, struct model *model, bool links)
{
	struct model_device *device;

	list_for_each(device, &model->devices, link) {
		if (links)
			put(pass, device->address, MODEL_LINK, "../../../devices/pci0000:00/%s", device->address);
		else
			put_folder(pass, device->address);
	}
}

static void show_drivers(struct pass *pass, struct model *model)
{
	struct model_driver *driver;

	list_for_each(driver, &model->drivers, link)
		put_folder(pass, driver->name);
}

/* Each group once: by its first member. */
static void show_groups(struct pass *pass, struct model *model)
{
	struct model_device *device, *other;
	char name[16];

	list_for_each(device, &model->devices, link) {
		list_for_each(other, &model->devices, link) {
			if (other->is.group == device->is.group)
				break;
		}
		if (other != device || device->is.group < 0)
			continue;
		snprintf(name, sizeof(name), "%d", device->is.group);
		put_folder(pass, name);
	}
}

static void show_group(struct pass *pass, struct model *model, const char *path)
{
	struct model_device *device;
	char rest[32] = "";
	int group;

	if (sscanf(path, "%d/%31s", &group, rest) < 1)
		return;
	if (!rest[0]) {
		put_folder(pass, "devices");
		put(pass, "type", MODEL_FILE, "DMA\n");
		put(pass, "reserved_regions", MODEL_FILE, "0x00000000fee00000 0x00000000feefffff msi\n");
		return;
	}
	if (strcmp(rest, "devices") != 0)
		return;
	list_for_each(device, &model->devices, link) {
		if (device->is.group == group)
			put(pass, device->address, MODEL_LINK, "../../../../devices/pci0000:00/%s", device->address);
	}
}

static const char *after(const char *path, const char *prefix)
{
	size_t length = strlen(prefix);

	return strncmp(path, prefix, length) == 0 ? path + length : NULL;
}

static void show_fixed(struct pass *pass, struct model *model, const char *path)
{
	if (strcmp(path, "/") == 0) {
		put_folder(pass, "bus");
		put_folder(pass, "devices");
		put_folder(pass, "kernel");
	} else if (strcmp(path, "/bus") == 0) {
		put_folder(pass, "pci");
	} else if (strcmp(path, "/bus/pci") == 0) {
		put_folder(pass, "devices");
		put_folder(pass, "drivers");
		put(pass, "drivers_probe", MODEL_WRITABLE, "%s", "");
	} else if (strcmp(path, "/bus/pci/devices") == 0) {
		show_devices(pass, model, true);
	} else if (strcmp(path, "/bus/pci/drivers") == 0) {
		show_drivers(pass, model);
	} else if (strcmp(path, "/devices") == 0) {
		put_folder(pass, "pci0000:00");
	} else if (strcmp(path, "/devices/pci0000:00") == 0) {
		show_devices(pass, model, false);
	} else if (strcmp(path, "/kernel") == 0) {
		put_folder(pass, "iommu_groups");
	} else if (strcmp(path, "/kernel/iommu_groups") == 0) {
		show_groups(pass, model);
	}
}

static void show(struct pass *pass, struct model *model, const char *path)
{
	const char *rest;

	if ((rest = after(path, "/bus/pci/drivers/")))
		show_driver(pass, model, rest);
	else if ((rest = after(path, "/devices/pci0000:00/")))
		show_below_devices(pass, model, rest);
	else if ((rest = after(path, "/kernel/iommu_groups/")))
		show_group(pass, model, rest);
	else
		show_fixed(pass, model, path);
}

/* Of a device's folder the device's own number, so that one that comes back is another; of the rest a hash (FNV-1a). */
static uint64_t inode_of(struct model *model, const char *path)
{
	const char *address = after(path, "/devices/pci0000:00/");
	const struct model_device *device = address ? model_find_device(model, address) : NULL;
	uint64_t hash = 0xcbf29ce484222325;

	if (device)
		return device->node;
	for (; *path; path++)
		hash = (hash ^ (uint8_t)*path) * 0x100000001b3;
	return hash | 1ULL << 62;
}

int model_look_up(struct model *model, const char *path, struct model_node *ret)
{
	const char *slash = strrchr(path, '/');
	char parent[512];
	struct pass pass = { .node = ret };

	ret->inode = inode_of(model, path);
	if (strcmp(path, "/") == 0) {
		ret->type = MODEL_FOLDER;
		ret->size = 0;
		return 0;
	}
	if (!slash || (size_t)(slash - path) >= sizeof(parent))
		return -ENOENT;
	snprintf(parent, sizeof(parent), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	pass.wanted = slash + 1;
	show(&pass, model, parent);
	return pass.found ? 0 : -ENOENT;
}

void model_list(struct model *model, const char *path, model_emit emit, void *userdata)
{
	struct pass pass = { .emit = emit, .userdata = userdata };

	show(&pass, model, path);
}
