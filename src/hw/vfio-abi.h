/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The few numbers of VFIO's ABI that the openers need. Of those the headers of Debian 12 (Linux 6.1) lack only what resets
 * buses by iommufd; to hand out, iommufd needs nothing but open(). This file names the nodes.
 */
#ifndef IOMMUD_HW_VFIO_ABI_H
#define IOMMUD_HW_VFIO_ABI_H

#include <linux/vfio.h>

/* What came with iommufd (Linux 6.6): a device's descriptor can do nothing before this. */
#ifndef VFIO_DEVICE_BIND_IOMMUFD
struct vfio_device_bind_iommufd {
	__u32 argsz;
	__u32 flags;
	__s32 iommufd;
	__u32 out_devid;
};

#define VFIO_DEVICE_BIND_IOMMUFD _IO(VFIO_TYPE, VFIO_BASE + 18)
#endif

/* Below /dev. */
#define NODE_IOMMU "iommu"
#define NODE_CONTAINER "vfio/vfio"
#define NODE_GROUP "vfio/%u"
#define NODE_DEVICE "vfio/devices/%s"

/* Below a device's folder in sysfs: one folder vfioN when a vfio driver is bound, with a file `dev` where cdev is built in. */
#define SYSFS_VFIO_DEV "vfio-dev"

#endif
