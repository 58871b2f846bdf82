/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The legacy backend: a container /dev/vfio/vfio, each group /dev/vfio/N attached to it, the type1 IOMMU set, and each
 * device by VFIO_GROUP_GET_DEVICE_FD. The container is set up here, so that what the kernel has to say against a group
 * is an answer to Acquire and not the client's surprise. Getting a device enables and resets it, which may take 100 ms
 * and more: hence may_block.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "hw/opener.h"
#include "hw/vfio-abi.h"
#include "util/cleanup.h"
#include "util/fileio.h"

static bool legacy_available(int dev_fd)
{
	return faccessat(dev_fd, NODE_CONTAINER, F_OK, 0) == 0;
}

static int open_node(int dev_fd, const char *path, char *failed, size_t failed_size)
{
	int fd = openat(dev_fd, path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW);

	if (fd >= 0)
		return fd;
	fd = -errno;
	snprintf(failed, failed_size, "/dev/%s %s", path, fd == -EBUSY ? "is open elsewhere" : "can't be opened");
	return fd;
}

static int open_container(int dev_fd, char *failed, size_t failed_size)
{
	_cleanup_fd_ int fd = open_node(dev_fd, NODE_CONTAINER, failed, failed_size);

	if (fd < 0)
		return fd;
	if (ioctl(fd, VFIO_GET_API_VERSION) != VFIO_API_VERSION ||
	    ioctl(fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) != 1) {
		snprintf(failed, failed_size, "this kernel's VFIO has no type1 IOMMU; load vfio_iommu_type1");
		return -EOPNOTSUPP;
	}
	return TAKE_FD(fd);
}

/* The group of a device that came earlier in the list is open already: the kernel opens it once only. */
static int open_group(int dev_fd, const struct opener_device *devices, size_t i, const struct opened *opened,
		      char *failed, size_t failed_size)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	_cleanup_fd_ int fd = -1;
	char path[32];

	for (size_t j = 0; j < i; j++)
		if (devices[j].group == devices[i].group) {
			fd = fcntl(opened->group_fd[j], F_DUPFD_CLOEXEC, 3);
			return fd < 0 ? -errno : TAKE_FD(fd);
		}
	snprintf(path, sizeof(path), NODE_GROUP, devices[i].group);
	fd = open_node(dev_fd, path, failed, failed_size);
	if (fd < 0)
		return fd;
	if (ioctl(fd, VFIO_GROUP_GET_STATUS, &status) < 0 || !(status.flags & VFIO_GROUP_FLAGS_VIABLE)) {
		snprintf(failed, failed_size, "the kernel says that group %u is not viable", devices[i].group);
		return -EPERM;
	}
	if (ioctl(fd, VFIO_GROUP_SET_CONTAINER, &opened->container_fd) < 0) {
		int r = -errno;

		snprintf(failed, failed_size, "group %u can't join a container", devices[i].group);
		return r;
	}
	return TAKE_FD(fd);
}

/* The type can be set once the container has a group; groups that join later are attached by that. */
static int set_type1(int container_fd, char *failed, size_t failed_size)
{
	int r;

	if (ioctl(container_fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) == 0)
		return 0;
	r = -errno;
	snprintf(
		failed, failed_size,
		r == -EPERM
			? "the IOMMU does not isolate interrupts, and vfio_iommu_type1's allow_unsafe_interrupts is off"
			: "the type1 IOMMU can't be set");
	return r;
}

static int get_device(int group_fd, const struct opener_device *device, char *failed, size_t failed_size)
{
	char wanted[DEVICE_ADDRESS_MAX + sizeof(" vf_token=") + VF_TOKEN_SIZE];
	int fd;

	snprintf(wanted, sizeof(wanted), "%s%s%s", device->address, device->vf_token[0] ? " vf_token=" : "",
		 device->vf_token);
	fd = ioctl(group_fd, VFIO_GROUP_GET_DEVICE_FD, wanted);
	if (fd >= 0)
		return fd;
	fd = -errno;
	if (fd == -EACCES) {
		snprintf(
			failed, failed_size,
			"the kernel wants another VF token for %s: its physical function must be acquired by the backend "
			"legacy, or have the token of its lease set by VFIO_DEVICE_FEATURE_PCI_VF_TOKEN",
			device->address);
		return -EPERM; /* udev can't help */
	}
	snprintf(failed, failed_size, "the kernel does not hand out %s", device->address);
	return fd;
}

static int open_one(int dev_fd, const struct opener_device *devices, size_t i, struct opened *opened, char *failed,
		    size_t failed_size)
{
	int fd = open_group(dev_fd, devices, i, opened, failed, failed_size);
	int r = 0;

	if (fd < 0)
		return fd;
	opened->group_fd[i] = fd;
	opened->n_devices = i + 1;
	if (i == 0)
		r = set_type1(opened->container_fd, failed, failed_size);
	if (r == 0)
		r = get_device(fd, &devices[i], failed, failed_size);
	if (r < 0)
		return r;
	opened->device_fd[i] = r;
	return 0;
}

static int legacy_open(int dev_fd, const struct opener_device *devices, size_t n_devices, struct opened *ret,
		       char *failed, size_t failed_size)
{
	struct opened opened;
	int r;

	opened_init(&opened);
	opened.container_fd = open_container(dev_fd, failed, failed_size);
	if (opened.container_fd < 0)
		return opened.container_fd;
	for (size_t i = 0; i < n_devices; i++) {
		r = open_one(dev_fd, devices, i, &opened, failed, failed_size);
		if (r < 0) {
			opened_clear(&opened);
			return r;
		}
	}
	*ret = opened;
	return 0;
}

const struct opener opener_legacy = {
	.name = "legacy",
	.available = legacy_available,
	.open = legacy_open,
	.may_block = true,
};
