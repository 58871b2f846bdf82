/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The part of VFIO's and iommufd's kernel interface that the test clients use,
 * for systems whose <linux/vfio.h> is older than that and that have no
 * <linux/iommufd.h>. Only numbers and layouts, which the kernel never changes.
 */
#ifndef TESTS_VM_VFIO_ABI_H
#define TESTS_VM_VFIO_ABI_H

#include <linux/ioctl.h>
#include <linux/types.h>
#include <linux/vfio.h>

#ifndef VFIO_DEVICE_BIND_IOMMUFD

/* the device's fd first; it can do nothing before this */
struct vfio_device_bind_iommufd {
	__u32 argsz;
	__u32 flags;
	__s32 iommufd;
	__u32 out_devid;
};

/* pt_id: an IOAS going in, the page table in use coming out */
struct vfio_device_attach_iommufd_pt {
	__u32 argsz;
	__u32 flags;
	__u32 pt_id;
};

#define VFIO_DEVICE_BIND_IOMMUFD _IO(VFIO_TYPE, VFIO_BASE + 18)
#define VFIO_DEVICE_ATTACH_IOMMUFD_PT _IO(VFIO_TYPE, VFIO_BASE + 19)

#endif /* VFIO_DEVICE_BIND_IOMMUFD */

#ifndef IOMMU_IOAS_ALLOC

struct iommu_ioas_alloc {
	__u32 size;
	__u32 flags;
	__u32 out_ioas_id;
};

enum {
	IOMMU_IOAS_MAP_FIXED_IOVA = 1 << 0,
	IOMMU_IOAS_MAP_WRITEABLE = 1 << 1,
	IOMMU_IOAS_MAP_READABLE = 1 << 2,
};

struct iommu_ioas_map {
	__u32 size;
	__u32 flags;
	__u32 ioas_id;
	__u32 __reserved;
	__u64 user_va __attribute__((aligned(8)));
	__u64 length __attribute__((aligned(8)));
	__u64 iova __attribute__((aligned(8)));
};

#define IOMMU_IOAS_ALLOC _IO(';', 0x81)
#define IOMMU_IOAS_MAP _IO(';', 0x85)

#endif /* IOMMU_IOAS_ALLOC */

#endif
