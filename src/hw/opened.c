/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hw/opener.h"

#include "util/cleanup.h"

void opened_init(struct opened *opened)
{
	opened->iommu_fd = -1;
	opened->container_fd = -1;
	opened->n_devices = 0;
	for (size_t i = 0; i < OPENER_DEVICES_MAX; i++) {
		opened->device_fd[i] = -1;
		opened->group_fd[i] = -1;
	}
}

void opened_clear(struct opened *opened)
{
	for (size_t i = 0; i < opened->n_devices; i++) {
		close_fd(opened->device_fd[i]);
		close_fd(opened->group_fd[i]);
	}
	close_fd(opened->iommu_fd);
	close_fd(opened->container_fd);
	opened_init(opened);
}
