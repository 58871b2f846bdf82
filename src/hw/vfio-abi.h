/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The few numbers of VFIO's ABI that the openers need and that the headers of Debian 12 (Linux 6.1) have too:
 * <linux/vfio.h> itself is enough for the legacy backend, and iommufd needs nothing but open(). This file names the nodes.
 */
#ifndef IOMMUD_HW_VFIO_ABI_H
#define IOMMUD_HW_VFIO_ABI_H

#include <linux/vfio.h>

/* Below /dev. */
#define NODE_IOMMU "iommu"
#define NODE_CONTAINER "vfio/vfio"
#define NODE_GROUP "vfio/%u"
#define NODE_DEVICE "vfio/devices/%s"

/* Below a device's folder in sysfs: one folder vfioN when a vfio driver is bound, with a file `dev` where cdev is built in. */
#define SYSFS_VFIO_DEV "vfio-dev"

#endif
