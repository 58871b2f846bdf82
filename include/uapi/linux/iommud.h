/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * /dev/iommud: ownership of IOMMU groups that the kernel enforces.
 *
 * Every structure begins with its size, as the caller knows it. A kernel that knows a larger one takes the rest for zero;
 * one that knows a smaller one refuses what it does not know with E2BIG, unless it is zero. Reserved members and unknown flags
 * must be zero. All calls return 0 or more, or -1 with errno:
 *
 *   E2BIG       the structure has a part that this kernel does not know, and it is not zero
 *   EINVAL      a flag, a reserved member or a length that is none, or a size too small for the call
 *   EFAULT      an address that is none
 *   ENODEV      no such device on that bus, or it is in no IOMMU group
 *   EAGAIN      a member of the group is being bound, unbound or waited for just now: ask again when that is over
 *   EBUSY       a member is on a driver that is not allowed (QUERY tells which), or came to one while it was claimed;
 *               SINGLETON: the group has more than one device
 *   EPERM       the group's DMA belongs to somebody else: a kernel driver, or another context
 *   EXDEV       another claim of the group has another label, or the nodes have different security contexts
 *   EOPNOTSUPP  INFO does not list the feature: this kernel, or this build, lacks it; of nodes: no LSM labels them
 *   EBADF       a descriptor that is none, or none of an iommufd
 *   EALREADY    it was given back before
 *   ENOTTY      no such call on this descriptor
 *   ENOMEM      out of memory
 */
#ifndef _UAPI_LINUX_IOMMUD_H
#define _UAPI_LINUX_IOMMUD_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define IOMMUD_ABI_VERSION 1

#define IOMMUD_IOC_TYPE 0xEC

#define IOMMUD_BUS_MAX 16 /* "pci", "platform"; with the NUL */
#define IOMMUD_DEVICE_MAX 40 /* "0000:01:00.0"; with the NUL */
#define IOMMUD_DRIVER_MAX 40
#define IOMMUD_LABEL_MAX 255 /* bytes, without a NUL */
#define IOMMUD_DRIVERS_MAX 16 /* names that a caller can allow */
#define IOMMUD_NODES_MAX 64

/* No driver is called so: the driver_override of a device that joined a claimed group, until the claim ends. */
#define IOMMUD_OVERRIDE_DENIED "iommud-denied"

/* ---- on /dev/iommud ---- */

enum iommud_feature {
	IOMMUD_FEATURE_PARK = 1 << 0, /* CLAIM without an iommufd */
	IOMMUD_FEATURE_IOMMUFD = 1 << 1, /* CLAIM for an iommufd's context */
	IOMMUD_FEATURE_DENIAL = 1 << 2, /* drivers are kept off: HANDOFF, and members that come later */
	IOMMUD_FEATURE_SINGLETON = 1 << 3,
	IOMMUD_FEATURE_LABELS = 1 << 4, /* of strings */
	IOMMUD_FEATURE_NODE_LABELS = 1 << 5, /* of nodes; that an LSM is there which labels them, only a call tells */
};

/* What this module and kernel can do. */
struct iommud_info {
	__u32 size;
	__u32 flags; /* in: 0 */
	__u32 abi_version; /* out */
	__u32 event_size; /* out: of struct iommud_event */
	__aligned_u64 features; /* out: enum iommud_feature */
};
#define IOMMUD_IOC_INFO _IO(IOMMUD_IOC_TYPE, 0x00)

enum iommud_claim_flag {
	/*
	 * Only for a group of one device. What joins the group later, or comes to the slot of that device after it went,
	 * gets no driver.
	 */
	IOMMUD_CLAIM_SINGLETON = 1 << 0,
	/* Without the group's DMA, as after HANDOFF: only drivers are kept off. `iommufd` is -1. */
	IOMMUD_CLAIM_DENY_ONLY = 1 << 1,
};

/*
 * Claims the group of a device: all of its members or none. With an iommufd its context owns the group's DMA, so that only it
 * can bind the devices; without, nobody does, and DMA of all members is blocked. Returns a descriptor; when its last copy is
 * closed, by whatever death, everything is undone. The iommufd is held; when nobody else has it any more it is let go, the
 * group with it, and the descriptor polls EPOLLHUP. Does not wait for drivers.
 */
struct iommud_claim {
	__u32 size;
	__u32 flags; /* enum iommud_claim_flag */
	__s32 iommufd; /* or -1 */
	__u32 n_nodes;
	__aligned_u64 nodes; /* __s32 each: descriptors whose files must have one security context */
	__aligned_u64
		drivers; /* names, each with its NUL, that members may be on as well; they must manage their DMA */
	__aligned_u64 label;
	__u32 drivers_size; /* bytes */
	__u32 label_size; /* bytes; 0: none */
	char bus[IOMMUD_BUS_MAX];
	char device[IOMMUD_DEVICE_MAX];
};
#define IOMMUD_IOC_CLAIM _IO(IOMMUD_IOC_TYPE, 0x01)

enum iommud_member_flag {
	IOMMUD_MEMBER_MANAGES_DMA = 1 << 0, /* its driver says so to the kernel (driver_managed_dma) */
	IOMMUD_MEMBER_BUILTIN_ALLOWED = 1 << 1, /* its driver is allowed without being named */
	IOMMUD_MEMBER_IN_TRANSITION = 1 << 2, /* it is being bound or unbound: nothing else is known */
};

struct iommud_member {
	char device[IOMMUD_DEVICE_MAX];
	char driver[IOMMUD_DRIVER_MAX]; /* empty: none */
	__u32 flags; /* enum iommud_member_flag */
	__u32 reserved;
};

enum iommud_group_flag {
	IOMMUD_GROUP_OWNED = 1 << 0, /* its DMA belongs to somebody: user space, or a claim */
	IOMMUD_GROUP_CLAIMED = 1 << 1, /* a claim is open */
	IOMMUD_GROUP_SINGLETON = 1 << 2, /* and one with SINGLETON */
};

/* Who is in the group of a device. */
struct iommud_query {
	__u32 size;
	__u32 flags; /* in: 0 */
	__aligned_u64 members; /* struct iommud_member each */
	__u32 n_members; /* in: room; out: how many there are, which may be more */
	__u32 group; /* out */
	__u32 group_flags; /* out: enum iommud_group_flag */
	__u32 reserved;
	char bus[IOMMUD_BUS_MAX];
	char device[IOMMUD_DEVICE_MAX];
};
#define IOMMUD_IOC_QUERY _IO(IOMMUD_IOC_TYPE, 0x02)

/* A descriptor to read the events of all claims from. */
struct iommud_events {
	__u32 size;
	__u32 flags; /* in: 0 */
};
#define IOMMUD_IOC_EVENTS _IO(IOMMUD_IOC_TYPE, 0x03)

/* ---- on a claim's descriptor ---- */

/* Gives the group's DMA up, for a container of VFIO's, which takes it itself; drivers are kept off still. */
struct iommud_handoff {
	__u32 size;
	__u32 flags; /* in: 0 */
};
#define IOMMUD_IOC_HANDOFF _IO(IOMMUD_IOC_TYPE, 0x10)

/*
 * The group is on its way back: nobody is to get its DMA who does not have it now, and the host's drivers are to come again. The
 * claim stays until every member that is on a driver of VFIO's was unbound from it, or removed; it ends by itself before the
 * last of these unbinds returns, and the descriptor polls EPOLLHUP. An iommufd that nobody has any more is let go, and DMA of all
 * members is blocked from then on; so it is at once where nobody has it, after HANDOFF too. A SINGLETON's lock ends. Returns 1
 * when DMA is blocked now, 0 when somebody still has it. Once only; EALREADY.
 */
struct iommud_give_back {
	__u32 size;
	__u32 flags; /* in: 0 */
};
#define IOMMUD_IOC_GIVE_BACK _IO(IOMMUD_IOC_TYPE, 0x11)

/* ---- read() of a claim's, or of an EVENTS descriptor: whole records, as many as fit; poll() tells when there are some ---- */

enum iommud_event_type {
	IOMMUD_EVENT_OVERFLOW = 1, /* `count` records before this one were lost */
	IOMMUD_EVENT_ADDED = 2, /* a device joined the group, or came to a locked slot */
	IOMMUD_EVENT_REFUSED = 3, /* a driver that is not allowed was bound, and is being taken off */
	IOMMUD_EVENT_BOUND = 4, /* an allowed driver was bound */
	IOMMUD_EVENT_UNBOUND = 5,
	IOMMUD_EVENT_REMOVED = 6,
	IOMMUD_EVENT_LABEL_REFUSED = 7, /* a claim was refused for its label */
	IOMMUD_EVENT_CONTEXT_GONE = 8, /* nobody has the iommufd any more: the group was let go */
	/*
	 * A joiner's DMA could not be claimed: `error` is a positive errno. Drivers are kept off it all the same.
	 */
	IOMMUD_EVENT_NOT_CLAIMED = 9,
	IOMMUD_EVENT_PARKED = 10, /* GIVE_BACK: nobody has the iommufd any more, DMA is blocked now */
	IOMMUD_EVENT_LET_GO = 11, /* GIVE_BACK: all are unbound, the claim came to its end */
};

struct iommud_event {
	__u64 sequence; /* of this descriptor, from 1 */
	__u32 type; /* enum iommud_event_type */
	__u32 group;
	__u32 count; /* OVERFLOW */
	__u32 error; /* NOT_CLAIMED */
	char device[IOMMUD_DEVICE_MAX];
	char driver[IOMMUD_DRIVER_MAX];
};

#endif
