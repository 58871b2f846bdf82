/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads and writes of one device in sysfs. It owns the folder's descriptor and nothing else, decides nothing, and writes
 * only driver_override, bind and unbind.
 */
#include "helper/pci.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "util/cleanup.h"
#include "util/fileio.h"

#define CONFIG_SIZE 4096
#define CONFIG_HEADER_TYPE 0x0e
#define CONFIG_EXTENDED 0x100
#define CAPABILITY_SERIAL 0x0003

DEFINE_CLEANUP(directory, DIR *, closedir)

int pci_device_open(int sysfs_fd, const char *address, struct pci_device *ret)
{
	char path[sizeof("bus/pci/devices/") + DEVICE_ADDRESS_MAX];
	int fd;

	snprintf(path, sizeof(path), "bus/pci/devices/%s", address);
	fd = open_dir_at(sysfs_fd, path);
	if (fd < 0)
		return fd;
	*ret = (struct pci_device){ .sysfs_fd = sysfs_fd, .fd = fd };
	snprintf(ret->address, sizeof(ret->address), "%s", address);
	return 0;
}

void pci_device_close(struct pci_device *device)
{
	device->fd = close_fd(device->fd);
}

static uint32_t get_u32(const uint8_t *bytes)
{
	return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

uint64_t pci_parse_serial(const uint8_t *config, size_t size)
{
	size_t offset = CONFIG_EXTENDED;

	/* Each capability takes 8 bytes at least, so a list that loops ends here, too. */
	for (size_t i = 0; i < (CONFIG_SIZE - CONFIG_EXTENDED) / 8; i++) {
		uint32_t header;

		if (offset < CONFIG_EXTENDED || offset + 12 > size)
			return 0;
		header = get_u32(config + offset);
		if (header == 0 || header == UINT32_MAX)
			return 0;
		if ((header & 0xffff) == CAPABILITY_SERIAL)
			return get_u32(config + offset + 4) | (uint64_t)get_u32(config + offset + 8) << 32;
		offset = header >> 20 & 0xffc;
	}
	return 0;
}

/* Reads what there is: 64 bytes without CAP_SYS_ADMIN, 256 of a conventional device, 4096 otherwise. */
static int read_config(int fd, uint8_t config[CONFIG_SIZE], size_t *ret_size)
{
	_cleanup_fd_ int config_fd = openat(fd, "config", O_RDONLY | O_CLOEXEC);
	size_t size = 0;

	if (config_fd < 0)
		return -errno;
	while (size < CONFIG_SIZE) {
		ssize_t n = pread(config_fd, config + size, CONFIG_SIZE - size, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		size += n;
	}
	*ret_size = size;
	return 0;
}

static uint64_t read_serial(int fd)
{
	uint8_t config[CONFIG_SIZE];
	size_t size;

	return read_config(fd, config, &size) < 0 ? 0 : pci_parse_serial(config, size);
}

static int read_bounded(int fd, const char *name, uint64_t limit, uint64_t *ret)
{
	uint64_t value;
	int r = read_u64_at(fd, name, &value);

	if (r < 0)
		return r;
	if (value > limit)
		return -ERANGE;
	*ret = value;
	return 0;
}

static int read_id(const struct pci_device *device, struct device_id *ret)
{
	static const struct {
		const char *name;
		uint64_t limit;
	} files[] = { { "vendor", 0xffff },
		      { "device", 0xffff },
		      { "subsystem_vendor", 0xffff },
		      { "subsystem_device", 0xffff },
		      { "class", 0xffffff } };
	uint64_t values[ARRAY_SIZE(files)];

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		int r = read_bounded(device->fd, files[i].name, files[i].limit, &values[i]);

		if (r < 0)
			return r;
	}
	*ret = (struct device_id){ .vendor = values[0],
				   .device = values[1],
				   .subsystem_vendor = values[2],
				   .subsystem_device = values[3],
				   .class = values[4] };
	memcpy(ret->address, device->address, sizeof(ret->address));
	return 0;
}

static int read_override(int fd, char ret[DEVICE_DRIVER_MAX])
{
	char text[DEVICE_DRIVER_MAX];
	int r = read_file_at(fd, "driver_override", text, sizeof(text));

	if (r < 0)
		return r;
	strcpy(ret, strcmp(text, "(null)") == 0 ? "" : text);
	return 0;
}

int pci_device_read_snapshot(const struct pci_device *device, struct device_state *ret)
{
	struct device_state snapshot;
	struct stat st;
	int r;

	memset(&snapshot, 0, sizeof(snapshot));
	if (fstat(device->fd, &st) < 0)
		return -errno;
	snapshot.node = st.st_ino;
	r = read_id(device, &snapshot.id);
	if (r < 0)
		return r;
	snapshot.serial = read_serial(device->fd);
	r = read_link_name_at(device->fd, "driver", snapshot.driver, sizeof(snapshot.driver));
	if (r < 0 && r != -ENOENT)
		return r;
	/* Last, for it is always there: -ENOENT now means that the device went, and so was not driver-less before. */
	r = read_override(device->fd, snapshot.driver_override);
	if (r < 0)
		return r;
	*ret = snapshot;
	return 0;
}

static int count_group(int fd, size_t *ret)
{
	_cleanup_(cleanup_directory) DIR *directory = NULL;
	_cleanup_fd_ int folder = open_dir_at(fd, "iommu_group/devices");
	size_t n = 0;

	if (folder < 0)
		return folder;
	directory = fdopendir(folder);
	if (!directory)
		return -errno;
	TAKE_FD(folder);
	for (;;) {
		const struct dirent *entry;

		errno = 0;
		entry = readdir(directory);
		if (!entry && errno)
			return -errno;
		if (!entry)
			break;
		if (entry->d_name[0] != '.')
			n++;
	}
	*ret = n;
	return 0;
}

int pci_device_read_facts(const struct pci_device *device, struct pci_facts *ret)
{
	struct pci_facts facts = { .bridge = true };
	uint8_t config[CONFIG_SIZE];
	char name[64];
	size_t size;
	int r;

	r = read_config(device->fd, config, &size);
	if (r < 0)
		return r;
	if (size > CONFIG_HEADER_TYPE)
		facts.bridge = (config[CONFIG_HEADER_TYPE] & 0x7f) != 0;
	r = read_link_name_at(device->fd, "iommu_group", facts.group, sizeof(facts.group));
	if (r < 0 && r != -ENOENT)
		return r;
	r = read_link_name_at(device->fd, "physfn", facts.physical_function, sizeof(facts.physical_function));
	if (r < 0 && r != -ENOENT)
		return r;
	r = count_group(device->fd, &facts.group_size);
	if (r < 0 && r != -ENOENT)
		return r;
	r = read_file_at(device->fd, "iommu_group/name", name, sizeof(name));
	facts.no_iommu = r == 0 && strcmp(name, "vfio-noiommu") == 0;
	*ret = facts;
	return 0;
}

static int op_read(void *device, struct device_state *ret)
{
	return pci_device_read_snapshot(device, ret);
}

static void driver_path(char *path, size_t size, const char *driver, const char *file)
{
	snprintf(path, size, "bus/pci/drivers/%s/%s", driver, file);
}

static int op_has_driver(void *userdata, const char *driver)
{
	const struct pci_device *device = userdata;
	char path[2 * DEVICE_DRIVER_MAX];

	driver_path(path, sizeof(path), driver, "bind");
	return faccessat(device->sysfs_fd, path, W_OK, 0) < 0 ? -errno : 0;
}

static int op_set_override(void *userdata, const char *driver)
{
	const struct pci_device *device = userdata;

	/* An empty write never reaches the kernel's handler; a newline alone clears the override. */
	return write_file_at(device->fd, "driver_override", driver[0] ? driver : "\n");
}

static int op_unbind(void *userdata, const char *driver)
{
	const struct pci_device *device = userdata;
	char path[2 * DEVICE_DRIVER_MAX];

	driver_path(path, sizeof(path), driver, "unbind");
	return write_file_at(device->sysfs_fd, path, device->address);
}

static int op_bind(void *userdata, const char *driver)
{
	const struct pci_device *device = userdata;
	char path[2 * DEVICE_DRIVER_MAX];

	driver_path(path, sizeof(path), driver, "bind");
	return write_file_at(device->sysfs_fd, path, device->address);
}

const struct device_ops pci_device_ops = {
	.read = op_read,
	.has_driver = op_has_driver,
	.set_override = op_set_override,
	.unbind = op_unbind,
	.bind = op_bind,
};
