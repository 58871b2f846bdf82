/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * iommufd: /dev/iommu once, and /dev/vfio/devices/vfioN for each device. Nothing that is handed out is bound or attached
 * here: a device descriptor can do nothing until its owner binds it to an iommufd, which is the client's to do. Opening takes
 * microseconds and touches no device. Resetting buses is another matter: that is done with descriptors of its own.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "hw/opener.h"
#include "hw/vfio-abi.h"
#include "util/cleanup.h"
#include "util/fileio.h"

static bool iommufd_available(int dev_fd)
{
	return faccessat(dev_fd, NODE_IOMMU, F_OK, 0) == 0;
}

/* The name vfioN of the device's node: the one folder below vfio-dev. */
static int find_node_name(int sysfs_fd, char *ret, size_t size)
{
	int fd = open_dir_at(sysfs_fd, SYSFS_VFIO_DEV);
	const struct dirent *entry;
	int r = -ENOENT;
	DIR *dir;

	if (fd < 0)
		return fd;
	dir = fdopendir(fd);
	if (!dir) {
		r = -errno;
		close_fd(fd);
		return r;
	}
	while ((entry = readdir(dir)))
		if (strncmp(entry->d_name, "vfio", 4) == 0 && strlen(entry->d_name) < size) {
			strcpy(ret, entry->d_name);
			r = 0;
			break;
		}
	closedir(dir);
	return r;
}

/* "MAJOR:MINOR" as sysfs has it. */
static int read_node_number(int sysfs_fd, const char *name, dev_t *ret)
{
	unsigned int node_major, node_minor;
	char path[64], text[32];
	int r;

	snprintf(path, sizeof(path), SYSFS_VFIO_DEV "/%.30s/dev", name);
	r = read_file_at(sysfs_fd, path, text, sizeof(text));
	if (r < 0)
		return r;
	if (sscanf(text, "%u:%u", &node_major, &node_minor) != 2)
		return -EIO;
	*ret = makedev(node_major, node_minor);
	return 0;
}

static int open_device(int dev_fd, const struct opener_device *device, char *failed, size_t failed_size)
{
	char name[32], path[64];
	_cleanup_fd_ int fd = -1;
	struct stat st;
	dev_t number;
	int r = find_node_name(device->sysfs_fd, name, sizeof(name));

	if (r < 0) {
		snprintf(failed, failed_size, "%s has no vfio-dev entry in sysfs: it is not on a vfio driver",
			 device->address);
		return r == -ENOENT ? -ENODEV : r;
	}
	r = read_node_number(device->sysfs_fd, name, &number);
	if (r < 0) {
		snprintf(
			failed, failed_size,
			"%s has no character device: this kernel is built without CONFIG_VFIO_DEVICE_CDEV; use the backend "
			"legacy",
			device->address);
		return r == -ENOENT ? -EOPNOTSUPP : r;
	}
	snprintf(path, sizeof(path), NODE_DEVICE, name);
	fd = openat(dev_fd, path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0) {
		r = -errno;
		snprintf(failed, failed_size, "/dev/%s of %s can't be opened", path, device->address);
		return r;
	}
	if (!S_ISCHR(st.st_mode) || st.st_rdev != number) {
		snprintf(failed, failed_size, "/dev/%s is not the node of %s: sysfs has %u:%u", path, device->address,
			 major(number), minor(number));
		return -ESTALE;
	}
	return TAKE_FD(fd);
}

static int iommufd_open(int dev_fd, const struct opener_device *devices, size_t n_devices, struct opened *ret,
			char *failed, size_t failed_size)
{
	struct opened opened;

	opened_init(&opened);
	opened.iommu_fd = openat(dev_fd, NODE_IOMMU, O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (opened.iommu_fd < 0) {
		int r = -errno;

		snprintf(failed, failed_size, "/dev/" NODE_IOMMU " can't be opened");
		return r;
	}
	for (size_t i = 0; i < n_devices; i++) {
		int fd = open_device(dev_fd, &devices[i], failed, failed_size);

		if (fd < 0) {
			opened_clear(&opened);
			return fd;
		}
		opened.device_fd[i] = fd;
		opened.n_devices = i + 1;
	}
	*ret = opened;
	return 0;
}

/* Binding opens the device for good, and so proves that nobody else has it. */
static int bind_all(const struct opened *opened, const struct opener_device *devices, char *failed, size_t failed_size)
{
	for (size_t i = 0; i < opened->n_devices; i++) {
		struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = opened->iommu_fd };

		if (ioctl(opened->device_fd[i], VFIO_DEVICE_BIND_IOMMUFD, &bind) < 0) {
			int r = -errno;

			snprintf(failed, failed_size, "%s can't be bound to an iommufd, for a reset of its bus",
				 devices[i].address);
			/* It was opened: this is not about a node that udev is still to make ours. */
			return r == -ENOENT || r == -EACCES ? -EIO : r;
		}
	}
	return 0;
}

/* Without groups: what the device's own iommufd has is what may be reset. */
static int reset_one(int device_fd)
{
	struct vfio_pci_hot_reset reset = { .argsz = sizeof(reset) };

	return ioctl(device_fd, VFIO_DEVICE_PCI_HOT_RESET, &reset) < 0 ? errno : 0;
}

static void reset_marked(const struct opened *opened, const struct opener_device *devices, struct bus_reset *ret,
			 char *failed, size_t failed_size)
{
	for (size_t i = 0; i < opened->n_devices && !ret->error; i++) {
		if (!devices[i].reset_bus)
			continue;
		ret->asked = true;
		ret->error = reset_one(opened->device_fd[i]);
		if (ret->error)
			snprintf(failed, failed_size, "the bus of %s can't be reset", devices[i].address);
	}
}

static int iommufd_reset_buses(int dev_fd, const struct opener_device *devices, size_t n_devices, struct bus_reset *ret,
			       char *failed, size_t failed_size)
{
	struct opened opened;
	int r = iommufd_open(dev_fd, devices, n_devices, &opened, failed, failed_size);

	/* A kernel with iommufd, but without VFIO's character devices. */
	*ret = (struct bus_reset){ .asked = r == -EOPNOTSUPP, .error = r == -EOPNOTSUPP ? ENODEV : 0 };
	if (r < 0)
		return ret->asked ? 0 : r;
	r = bind_all(&opened, devices, failed, failed_size);
	if (r == 0)
		reset_marked(&opened, devices, ret, failed, failed_size);
	opened_clear(&opened);
	return ret->error && !bus_reset_is_impossible(ret) ? -ret->error : r;
}

const struct opener opener_iommufd = {
	.name = "iommufd",
	.available = iommufd_available,
	.open = iommufd_open,
	.reset_buses = iommufd_reset_buses,
	.has_context = true,
};
