/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One device, read from its folder below /sys/bus/BUS/devices. A device can vanish between any two reads: then it
 * counts as gone, never as an error. What makes a device's membership or driver unreadable for another reason is a
 * fault, for a group that seems smaller than it is would be judged too kindly. What a device may lack (a reset method) is
 * left at "none" when it can't be read.
 *
 * Nothing here may take the device's lock: an unbind from vfio holds it until the last descriptor is closed, and a reader
 * would wait as long, where no signal reaches it. `driver_override` takes it, and so does `uevent` on some kernels; so the
 * driver is the target of a link, and the ids come from `modalias`, which has all of them in one read. Nothing reads
 * configuration space, and nothing is kept open.
 */
#include "topology/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "topology/mdev.h"
#include "topology/particulars.h"
#include "util/fileio.h"

bool probe_is_gone(int error)
{
	return error == -ENOENT || error == -ENODEV || error == -ENXIO || error == -ENOTDIR;
}

static bool is_shortage(int error)
{
	return error == -ENOMEM || error == -EMFILE || error == -ENFILE;
}

/* What the device may lack is an empty text then; only a shortage of ours is passed on. */
static int read_optional(int device_fd, const char *name, char *buffer, size_t size)
{
	int r = read_file_at(device_fd, name, buffer, size);

	if (r < 0)
		buffer[0] = '\0';
	return is_shortage(r) ? r : 0;
}

static void copy_text(char *target, size_t size, const char *text)
{
	snprintf(target, size, "%.*s", (int)size - 1, text);
}

/* "pci:v00008086d000010D3sv00001AF4sd00001100bc02sc00i00" */
static int parse_modalias(const char *text, struct device_id *id)
{
	unsigned int vendor, device, subsystem_vendor, subsystem_device, class, subclass, interface;

	if (sscanf(text, "pci:v%8xd%8xsv%8xsd%8xbc%2xsc%2xi%2x", &vendor, &device, &subsystem_vendor, &subsystem_device,
		   &class, &subclass, &interface) != 7)
		return -EBADMSG;
	id->vendor = vendor;
	id->device = device;
	id->subsystem_vendor = subsystem_vendor;
	id->subsystem_device = subsystem_device;
	id->class = class << 16 | subclass << 8 | interface;
	return 0;
}

/* A device without ids would fit no rule that denies by them. */
static int read_ids(int device_fd, struct device_id *id)
{
	char text[128];
	int r = read_file_at(device_fd, "modalias", text, sizeof(text));

	return r < 0 ? r : parse_modalias(text, id);
}

/*
 * A name that does not fit is cut: none of that length is in one of our tables, so such a driver is a foreign one. No link
 * means no driver only while the device is there: the folder of one that went has none either.
 */
static int read_driver(int device_fd, struct device *device)
{
	char name[NAME_MAX + 1];
	int r = read_link_name_at(device_fd, "driver", name, sizeof(name));

	if (r == -ENOENT)
		return read_link_name_at(device_fd, "iommu_group", name, sizeof(name));
	if (r < 0)
		return r;
	copy_text(device->driver, sizeof(device->driver), name);
	return 0;
}

static int read_numa_node(int device_fd, struct device *device)
{
	char text[32], *end;
	long value;
	int r = read_optional(device_fd, "numa_node", text, sizeof(text));

	if (r < 0)
		return r;
	value = strtol(text, &end, 10);
	device->numa_node = *text && !*end && value >= 0 && value < 1 << 20 ? value : -1;
	return 0;
}

static int read_reset_methods(int device_fd, struct device *device)
{
	char text[256], *rest = text, *word;
	int r = read_optional(device_fd, "reset_method", text, sizeof(text));

	if (r < 0)
		return r;
	while ((word = strsep(&rest, " "))) {
		const char *name;

		for (unsigned int bit = 1; (name = reset_method_name(bit)); bit <<= 1) {
			if (strcmp(name, word) == 0)
				device->reset_methods |= bit;
		}
	}
	return 0;
}

/* Not sriov_numvfs, which takes the device's lock: how many there are is known by themselves. */
static int read_max_virtual_functions(int device_fd, struct device *device)
{
	char text[32], *end;
	unsigned long value;
	int r = read_optional(device_fd, "sriov_totalvfs", text, sizeof(text));

	if (r < 0)
		return r;
	value = strtoul(text, &end, 10);
	device->max_virtual_functions = *text && !*end && value <= UINT16_MAX ? value : 0;
	return 0;
}

/* PCI-to-PCI and CardBus bridges carry others behind them; a host bridge (0600) is an endpoint to the kernel. */
static bool class_is_bridge(uint32_t class)
{
	return class >> 8 == 0x0604 || class >> 8 == 0x0607 || class >> 8 == 0x0609;
}

/* "../../../devices/pci0000:00/0000:00:08.0/0000:01:00.0": the last but one, unless that is the root bus, "pci0000:00". */
static void parse_upstream(const char *path, struct device *device)
{
	const char *end = strrchr(path, '/'), *start = end;
	size_t length;

	while (start && start > path && start[-1] != '/')
		start--;
	length = end - start;
	if (length == 0 || length >= sizeof(device->upstream) || strncmp(start, "pci", 3) == 0)
		return;
	memcpy(device->upstream, start, length);
}

/* Where a device is below is in no file: it is the path of its folder. */
static void read_upstream(int bus_fd, struct device *device)
{
	char path[PATH_MAX];
	ssize_t n = readlinkat(bus_fd, device->id.address, path, sizeof(path) - 1);

	if (n <= 0)
		return;
	path[n] = '\0';
	parse_upstream(path, device);
}

static int read_pci(struct probe *probe, int device_fd, struct device *device)
{
	int r = read_ids(device_fd, &device->id);

	if (r == 0)
		r = read_reset_methods(device_fd, device);
	if (r == 0)
		r = read_max_virtual_functions(device_fd, device);
	if (r < 0)
		return r;
	device->bridge = class_is_bridge(device->id.class);
	if (read_link_name_at(device_fd, "physfn", device->physical_function, sizeof(device->physical_function)) < 0)
		device->physical_function[0] = '\0';
	if (particulars_is_nvme(&device->id))
		particulars_read_nvme_serial(device_fd, device->serial);
	if (device->id.class >> 16 == 0x03)
		device->boot_display = probe_display(probe, device_fd, device);
	return 0;
}

static int read_group_number(int device_fd, const char *link, unsigned int *ret_group)
{
	char name[32], *end;
	unsigned long number;
	int r = read_link_name_at(device_fd, link, name, sizeof(name));

	if (r < 0)
		return r;
	errno = 0;
	number = strtoul(name, &end, 10);
	if (name[0] < '0' || name[0] > '9' || *end || errno || number > INT32_MAX)
		return -EBADMSG;
	*ret_group = number;
	return 0;
}

/* Its group is made by vfio and says nothing; its parent's is what counts. */
static int read_mdev(int bus_fd, int device_fd, struct device *device)
{
	unsigned int group;
	int r = mdev_read_parent(bus_fd, device->id.address, device->parent);

	if (r < 0)
		return r;
	r = read_group_number(device_fd, "../iommu_group", &group);
	if (r == 0)
		device->parent_group = group;
	return r == -ENOENT ? 0 : r;
}

static int read_attributes(struct probe *probe, int bus_fd, int device_fd, struct device *device)
{
	struct stat st;
	int r = fstat(device_fd, &st) < 0 ? -errno : 0;

	if (r == 0)
		r = read_driver(device_fd, device);
	if (r < 0)
		return r;
	device->node = st.st_ino;
	r = read_numa_node(device_fd, device);
	if (r < 0)
		return r;
	if (strcmp(device->bus, BUS_MDEV) == 0)
		return read_mdev(bus_fd, device_fd, device);
	return strcmp(device->bus, "pci") == 0 ? read_pci(probe, device_fd, device) : 0;
}

static int probe_folder(struct probe *probe, int bus_fd, int device_fd, const char *bus, const char *address,
			struct device **ret)
{
	_cleanup_free_ struct device *device = calloc(1, sizeof(*device));
	int r;

	if (!device)
		return -ENOMEM;
	list_init(&device->link);
	list_init(&device->group_link);
	copy_text(device->id.address, sizeof(device->id.address), address);
	copy_text(device->bus, sizeof(device->bus), bus);
	device->parent_group = -1;
	r = read_attributes(probe, bus_fd, device_fd, device);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(device);
	return 0;
}

int probe_device(struct probe *probe, int bus_fd, const char *bus, const char *address, struct device **ret,
		 unsigned int *ret_group)
{
	_cleanup_fd_ int device_fd = open_dir_at(bus_fd, address);
	unsigned int group;
	int r = device_fd < 0 ? device_fd : read_group_number(device_fd, "iommu_group", &group);

	if (r == 0)
		r = probe_folder(probe, bus_fd, device_fd, bus, address, ret);
	if (r < 0)
		return probe_is_gone(r) ? -ENOENT : r;
	if (strcmp(bus, "pci") == 0)
		read_upstream(bus_fd, *ret);
	if (probe->udev_data)
		particulars_read_path(probe->udev_data, bus, address, (*ret)->path);
	*ret_group = group;
	return 0;
}

int probe_open_bus(const struct probe *probe, const char *bus)
{
	char path[64];

	snprintf(path, sizeof(path), "bus/%s/devices", bus);
	return open_dir_at(probe->sysfs_fd, path);
}
