/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads and writes of one device in sysfs. It owns the folder's descriptor and nothing else, decides nothing, and writes
 * only driver_override, bind, unbind and reset, and what changes nothing: see settle(). What only PCI has (ids, a serial
 * number, bridges) is none on other buses.
 */
#include "helper/bus-device.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "helper/pci-config.h"
#include "topology/mdev.h"
#include "topology/particulars.h"
#include "util/cleanup.h"
#include "uapi/linux/iommud.h"
#include "util/fileio.h"

int bus_device_open_on(int sysfs_fd, const struct bus *bus, const char *address, struct bus_device *ret)
{
	char path[64 + DEVICE_ADDRESS_MAX];
	int fd;

	snprintf(path, sizeof(path), "bus/%s/devices/%s", bus->name, address);
	fd = open_dir_at(sysfs_fd, path);
	if (fd < 0)
		return fd;
	*ret = (struct bus_device){ .sysfs_fd = sysfs_fd, .fd = fd, .bus = bus };
	snprintf(ret->address, sizeof(ret->address), "%s", address);
	return 0;
}

/* Addresses of different buses hardly overlap; where they do, nothing says which one is meant. */
int bus_device_open(int sysfs_fd, const char *address, struct bus_device *ret)
{
	struct bus_device found = { .fd = -1 }, other;

	for (const struct bus *bus = topology_buses; bus->name; bus++) {
		int r = bus_device_open_on(sysfs_fd, bus, address, &other);

		if (r == -ENOENT)
			continue;
		if (r == 0 && found.fd >= 0) {
			bus_device_close(&other);
			r = -ENOTUNIQ;
		}
		if (r < 0) {
			bus_device_close(&found);
			return r;
		}
		found = other;
	}
	if (found.fd < 0)
		return -ENOENT;
	*ret = found;
	return 0;
}

void bus_device_close(struct bus_device *device)
{
	device->fd = close_fd(device->fd);
}

bool bus_device_is_pci(const struct bus_device *device)
{
	return strcmp(device->bus->name, "pci") == 0;
}

bool bus_device_is_mdev(const struct bus_device *device)
{
	return strcmp(device->bus->name, BUS_MDEV) == 0;
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

static int read_id(const struct bus_device *device, struct device_id *ret)
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

static int32_t read_numa_node(int fd)
{
	uint64_t node;

	/* "-1" is none, and no number to this reader. */
	return read_u64_at(fd, "numa_node", &node) == 0 && node < 1 << 20 ? (int32_t)node : -1;
}

static int read_pci(const struct bus_device *device, struct device_state *snapshot)
{
	struct pci_config config;
	int r = read_id(device, &snapshot->id);

	if (r < 0)
		return r;
	if (pci_config_read(device->fd, &config) == 0)
		snapshot->serial = pci_config_serial(&config);
	if (particulars_is_nvme(&snapshot->id))
		particulars_read_nvme_serial(device->fd, snapshot->serial_number);
	r = read_link_name_at(device->fd, "physfn", snapshot->physical_function, sizeof(snapshot->physical_function));
	return r == -ENOENT ? 0 : r;
}

/*
 * Waits until nobody binds or unbinds the device. Its driver's link goes before remove() is called, which of vfio's waits
 * for the last descriptor: without this, a device that somebody else is unbinding would look as if it was free. Reading
 * driver_override waits for the device's lock on older kernels only; a write to power/control does on all. It takes "auto" and
 * "on", and refuses any other word with the lock held, so nothing is changed.
 */
static int settle(int fd)
{
	int r = write_file_at(fd, "power/control", "wait");

	/* Also a kernel without power management, and a device that went meanwhile, as is seen next. */
	return r == -EINVAL || r == -ENOENT || r == -ENODEV ? 0 : r;
}

static int read_driver(int fd, char ret[DEVICE_DRIVER_MAX])
{
	int r = read_link_name_at(fd, "driver", ret, DEVICE_DRIVER_MAX);

	if (r != -ENOENT)
		return r;
	r = settle(fd);
	if (r < 0)
		return r;
	r = read_link_name_at(fd, "driver", ret, DEVICE_DRIVER_MAX);
	return r == -ENOENT ? 0 : r;
}

int bus_device_read_snapshot(const struct bus_device *device, struct device_state *ret)
{
	struct device_state snapshot;
	struct stat st;
	int r = 0;

	memset(&snapshot, 0, sizeof(snapshot));
	if (fstat(device->fd, &st) < 0)
		return -errno;
	snapshot.node = st.st_ino;
	snprintf(snapshot.bus, sizeof(snapshot.bus), "%s", device->bus->name);
	memcpy(snapshot.id.address, device->address, sizeof(snapshot.id.address));
	snapshot.numa_node = read_numa_node(device->fd);
	particulars_read_path(UDEV_DATA, device->bus->name, device->address, snapshot.path);
	if (bus_device_is_pci(device))
		r = read_pci(device, &snapshot);
	if (r < 0)
		return r;
	r = read_driver(device->fd, snapshot.driver);
	if (r < 0)
		return r;
	/* Last, for it is always there: -ENOENT now means that the device went, and so was not driver-less before. */
	if (bus_device_is_mdev(device))
		r = faccessat(device->fd, "mdev_type", F_OK, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
	else
		r = read_override(device->fd, snapshot.driver_override);
	if (r < 0)
		return r;
	*ret = snapshot;
	return 0;
}

static int op_read(void *device, struct device_state *ret)
{
	return bus_device_read_snapshot(device, ret);
}

static void driver_path(const struct bus_device *device, const char *driver, const char *file, char *path, size_t size)
{
	snprintf(path, size, "bus/%s/drivers/%s/%s", device->bus->name, driver, file);
}

static int op_has_driver(void *userdata, const char *driver)
{
	const struct bus_device *device = userdata;
	char path[3 * DEVICE_DRIVER_MAX];

	driver_path(device, driver, "bind", path, sizeof(path));
	return faccessat(device->sysfs_fd, path, W_OK, 0) < 0 ? -errno : 0;
}

/* What the kernel module kept drivers off is to have the one that would have come, if it still would. */
static int allow_again(const struct bus_device *device)
{
	char path[sizeof("bus//drivers_probe") + DEVICE_BUS_MAX];
	int r = write_file_at(device->fd, "driver_override", "\n");

	snprintf(path, sizeof(path), "bus/%s/drivers_probe", device->bus->name);
	if (r == 0)
		(void)write_file_at(device->sysfs_fd, path, device->address);
	return r;
}

static int op_set_override(void *userdata, const char *driver)
{
	const struct bus_device *device = userdata;

	if (strcmp(driver, IOMMUD_OVERRIDE_DENIED) == 0)
		return allow_again(device);
	/* An empty write never reaches the kernel's handler; a newline alone clears the override. */
	return write_file_at(device->fd, "driver_override", driver[0] ? driver : "\n");
}

static int op_unbind(void *userdata, const char *driver)
{
	const struct bus_device *device = userdata;
	char path[3 * DEVICE_DRIVER_MAX];

	driver_path(device, driver, "unbind", path, sizeof(path));
	return write_file_at(device->sysfs_fd, path, device->address);
}

static int op_bind(void *userdata, const char *driver)
{
	const struct bus_device *device = userdata;
	char path[3 * DEVICE_DRIVER_MAX];

	driver_path(device, driver, "bind", path, sizeof(path));
	return write_file_at(device->sysfs_fd, path, device->address);
}

/* The file is there for whom the kernel knows a method that resets this function alone. */
static int op_reset(void *userdata)
{
	const struct bus_device *device = userdata;

	return write_file_at(device->fd, "reset", "1");
}

const struct device_ops bus_device_ops = {
	.read = op_read,
	.has_driver = op_has_driver,
	.set_override = op_set_override,
	.unbind = op_unbind,
	.bind = op_bind,
	.reset = op_reset,
};
