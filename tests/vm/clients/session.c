/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From fds, or from nodes, to a device with an address space: the iommufd
 * backend and the legacy one (container and group).
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client.h"
#include "vfio-abi.h"

int say_error(const char *format, ...)
{
	va_list args;

	fputs("error: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return -1;
}

static int open_node(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return say_error("open %s: %s", path, strerror(errno));
	return fd;
}

int session_open_iommufd(struct session *session)
{
	char path[256];
	glob_t found;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev/vfio*", session->address);
	if (glob(path, 0, NULL, &found))
		return say_error("%s: no such directory", path);
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", strrchr(found.gl_pathv[0], '/') + 1);
	globfree(&found);

	session->device = open_node(path);
	if (session->device < 0)
		return -1;
	session->iommu = open_node("/dev/iommu");
	return session->iommu < 0 ? -1 : 0;
}

int session_open_legacy(struct session *session)
{
	char path[256], target[256];
	ssize_t length;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", session->address);
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return say_error("%s: %s", path, strerror(errno));
	target[length] = '\0';
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(target, '/') + 1);

	session->group = open_node(path);
	if (session->group < 0)
		return -1;
	session->container = open_node("/dev/vfio/vfio");
	return session->container < 0 ? -1 : 0;
}

static int setup_iommufd(struct session *session)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.iommufd = session->iommu,
	};
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct vfio_device_attach_iommufd_pt attach = { .argsz = sizeof(attach) };

	if (ioctl(session->device, VFIO_DEVICE_BIND_IOMMUFD, &bind))
		return say_error("VFIO_DEVICE_BIND_IOMMUFD: %s", strerror(errno));
	if (ioctl(session->iommu, IOMMU_IOAS_ALLOC, &alloc))
		return say_error("IOMMU_IOAS_ALLOC: %s", strerror(errno));
	session->ioas = alloc.out_ioas_id;
	attach.pt_id = alloc.out_ioas_id;
	if (ioctl(session->device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach))
		return say_error("VFIO_DEVICE_ATTACH_IOMMUFD_PT: %s", strerror(errno));
	return 0;
}

static int setup_legacy(struct session *session)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };

	if (ioctl(session->group, VFIO_GROUP_GET_STATUS, &status))
		return say_error("VFIO_GROUP_GET_STATUS: %s", strerror(errno));
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		return say_error("the group is not viable");
	if (!(status.flags & VFIO_GROUP_FLAGS_CONTAINER_SET) &&
	    ioctl(session->group, VFIO_GROUP_SET_CONTAINER, &session->container))
		return say_error("VFIO_GROUP_SET_CONTAINER: %s", strerror(errno));

	/* Works only once the container has a type. */
	if (ioctl(session->container, VFIO_IOMMU_GET_INFO, &info) &&
	    ioctl(session->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		return say_error("VFIO_SET_IOMMU: %s", strerror(errno));

	if (session->device >= 0)
		return 0;
	if (!session->address)
		return say_error("no device fd, and no address to ask the group for one");
	session->device = ioctl(session->group, VFIO_GROUP_GET_DEVICE_FD, session->address);
	if (session->device < 0)
		return say_error("VFIO_GROUP_GET_DEVICE_FD %s: %s", session->address, strerror(errno));
	return 0;
}

int session_setup(struct session *session)
{
	return session->iommu >= 0 ? setup_iommufd(session) : setup_legacy(session);
}

int session_map(struct session *session, void *memory, size_t size, uint64_t iova)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = session->ioas,
		.user_va = (uintptr_t)memory,
		.length = size,
		.iova = iova,
	};
	struct vfio_iommu_type1_dma_map legacy = {
		.argsz = sizeof(legacy),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)memory,
		.size = size,
		.iova = iova,
	};

	if (session->iommu >= 0) {
		if (ioctl(session->iommu, IOMMU_IOAS_MAP, &map))
			return say_error("IOMMU_IOAS_MAP: %s", strerror(errno));
	} else {
		if (ioctl(session->container, VFIO_IOMMU_MAP_DMA, &legacy))
			return say_error("VFIO_IOMMU_MAP_DMA: %s", strerror(errno));
	}
	return 0;
}
