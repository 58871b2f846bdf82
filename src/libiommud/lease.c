/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A lease in the client's hands: names, numbers and descriptors. Owns them; knows nothing of connections. */
#include "internal.h"

int iommud_lease_new(size_t n_devices, struct iommud_lease **ret)
{
	_cleanup_(cleanup_lease) struct iommud_lease *lease = calloc(1, sizeof(*lease));

	if (!lease)
		return -ENOMEM;
	lease->iommu_fd = -1;
	lease->container_fd = -1;
	lease->devices = calloc(n_devices, sizeof(*lease->devices));
	if (!lease->devices)
		return -ENOMEM;
	lease->n_devices = n_devices;
	for (size_t i = 0; i < n_devices; i++)
		lease->devices[i] = (struct iommud_lease_device){ .device_fd = -1, .group_fd = -1 };
	*ret = TAKE_PTR(lease);
	return 0;
}

EXPORT struct iommud_lease *iommud_lease_free(struct iommud_lease *lease)
{
	if (!lease)
		return NULL;
	for (size_t i = 0; i < lease->n_devices; i++) {
		close_fd(lease->devices[i].device_fd);
		close_fd(lease->devices[i].group_fd);
		free(lease->devices[i].address);
		free(lease->devices[i].vf_token);
	}
	close_fd(lease->iommu_fd);
	close_fd(lease->container_fd);
	free(lease->devices);
	free(lease->backend);
	free(lease->label);
	free(lease);
	return NULL;
}

EXPORT uint64_t iommud_lease_id(const struct iommud_lease *lease)
{
	return lease->id;
}

EXPORT const char *iommud_lease_backend(const struct iommud_lease *lease)
{
	return lease->backend;
}

EXPORT const char *iommud_lease_label(const struct iommud_lease *lease)
{
	return lease->label;
}

EXPORT size_t iommud_lease_n_devices(const struct iommud_lease *lease)
{
	return lease->n_devices;
}

EXPORT const char *iommud_lease_device_address(const struct iommud_lease *lease, size_t index)
{
	return index < lease->n_devices ? lease->devices[index].address : NULL;
}

EXPORT uint32_t iommud_lease_device_group(const struct iommud_lease *lease, size_t index)
{
	return index < lease->n_devices ? lease->devices[index].group : UINT32_MAX;
}

EXPORT const char *iommud_lease_device_vf_token(const struct iommud_lease *lease, size_t index)
{
	return index < lease->n_devices ? lease->devices[index].vf_token : NULL;
}

EXPORT int iommud_lease_iommu_fd(const struct iommud_lease *lease)
{
	return lease->iommu_fd;
}

EXPORT int iommud_lease_container_fd(const struct iommud_lease *lease)
{
	return lease->container_fd;
}

EXPORT int iommud_lease_device_fd(const struct iommud_lease *lease, size_t index)
{
	return index < lease->n_devices ? lease->devices[index].device_fd : -1;
}

EXPORT int iommud_lease_group_fd(const struct iommud_lease *lease, size_t index)
{
	return index < lease->n_devices ? lease->devices[index].group_fd : -1;
}

EXPORT int iommud_lease_take_iommu_fd(struct iommud_lease *lease)
{
	return TAKE_FD(lease->iommu_fd);
}

EXPORT int iommud_lease_take_container_fd(struct iommud_lease *lease)
{
	return TAKE_FD(lease->container_fd);
}

EXPORT int iommud_lease_take_device_fd(struct iommud_lease *lease, size_t index)
{
	return index < lease->n_devices ? TAKE_FD(lease->devices[index].device_fd) : -1;
}

EXPORT int iommud_lease_take_group_fd(struct iommud_lease *lease, size_t index)
{
	return index < lease->n_devices ? TAKE_FD(lease->devices[index].group_fd) : -1;
}
