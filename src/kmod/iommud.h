/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the module share.
 *
 * Locks, outermost first: a device's lock (held by the driver core around BIND, BOUND, UNBIND and UNBOUND notifiers),
 * claims_lock, the IOMMU group's mutex (inside the core's functions), a ring's spinlock. A device's lock is never waited for
 * under claims_lock, nor in an ioctl or a release: an unbind from VFIO holds it for as long as user space pleases.
 */
#ifndef _IOMMUD_KMOD_H
#define _IOMMUD_KMOD_H

#include <linux/device.h>
#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <uapi/linux/iommud.h>

/* ---- events.c ---- */

#define RING_RECORDS 64

struct event_ring {
	spinlock_t lock;
	wait_queue_head_t readers;
	u64 sequence;
	u32 lost;
	unsigned int first;
	unsigned int n;
	struct iommud_event records[RING_RECORDS];
};

void ring_init(struct event_ring *ring);
void ring_add(struct event_ring *ring, const struct iommud_event *event);
ssize_t ring_read(struct event_ring *ring, char __user *buffer, size_t size, bool nonblock, const bool *ended);
__poll_t ring_poll(struct event_ring *ring, struct file *file, poll_table *table);

/* A descriptor that gets the events of all claims. */
int listener_open(void);
void listeners_tell(const struct iommud_event *event);

/* ---- context.c: an iommufd that claims are for ---- */

struct context {
	struct list_head link;
	unsigned int n_claims;
	struct file *file;
	void *owner; /* the iommufd's context, which is what the IOMMU core knows as the owner */
};

bool contexts_supported(void);
/* Under claims_lock. */
struct context *context_get(int fd);
void context_put(struct context *context);
/* Whether nobody but us has the iommufd: then nobody can come to have it. */
bool context_is_abandoned(const struct context *context);

/* ---- claim.c ---- */

extern struct mutex claims_lock;
extern struct list_head claims;

enum claim_state {
	CLAIM_OWNING, /* the group's DMA is the context's, or nobody's, and drivers are kept off */
	CLAIM_DENYING, /* without DMA: drivers are kept off only */
	CLAIM_ENDED, /* nobody has the iommufd, or no VFIO driver a member, any more: all was let go, the descriptor is open */
};

struct member {
	struct list_head link;
	struct device *dev;
	struct iommu_group *group; /* with a reference; not the claim's, if it came back to a locked slot */
	bool owns_dma;
	bool on_vfio; /* it is on a driver of VFIO's; since GIVE_BACK: it has been on it all the time */
};

/* Everything but the ring is under claims_lock. */
struct claim {
	struct list_head link;
	enum claim_state state;
	bool given_back; /* it ends by itself when nothing of it is on VFIO any more */
	bool ended; /* for who reads without the lock */
	u32 flags;
	struct iommu_group *group;
	struct list_head members;
	struct context *context; /* NULL: parked, or without DMA */
	char *label; /* NULL: none */
	char *drivers; /* names, each with its NUL; NULL: none */
	size_t drivers_size;
	char device[IOMMUD_DEVICE_MAX];
	u32 slot; /* where the device of a SINGLETON sits; 0: not on PCI */
	pid_t pid;
	struct event_ring ring;
};

/* The descriptor, or a negative errno. */
int claim_open(const struct iommud_claim *request);
/* Tells the claim's reader and all listeners. */
void claim_tell(struct claim *claim, u32 type, const struct device *dev, const char *driver, u32 error);
/* Lets everything go; the descriptor stays open, and says why. */
void claim_end(struct claim *claim, u32 why);
/* Also frees it. */
void claim_free(struct claim *claim);
/* Lets DMA and iommufd go, and keeps the members. */
void claim_release_dma(struct claim *claim);
/* True: nobody has the DMA, and nobody can get it. False: somebody has it, a container or another context. */
bool claim_park(struct claim *claim);
/* Whether a member is on VFIO, as struct member says. */
bool claim_has_vfio(const struct claim *claim);
/* Ends one that was given back when nothing of it is on VFIO any more as it was; others stay. */
void claim_end_if_unbound(struct claim *claim);
void claims_exit(void);

/* ---- claim-file.c ---- */

extern const struct file_operations claim_fops;

/* ---- members.c ---- */

struct member *claim_find_member(struct claim *claim, const struct device *dev);
struct member *claim_add_member(struct claim *claim, struct device *dev); /* NULL: out of memory */
/* -EPERM: somebody else's. */
int member_own_dma(struct claim *claim, struct member *member);
/* All or none. */
int members_own_dma(struct claim *claim);
void members_release_dma(struct claim *claim);
/* Lets its DMA go and forgets it. */
void member_drop(struct claim *claim, struct member *member);

/* ---- devices.c ---- */

struct device *device_find(const char *bus, const char *name);
bool device_is_pci(const struct device *dev);
/* Of a bus whose devices have the rest of what is here. */
bool device_is_known(const struct device *dev);
/* 0: not on PCI. Never 0 of a PCI device. */
u32 device_slot(const struct device *dev);
/*
 * A device with IOMMUD_OVERRIDE_DENIED gets no driver. Both take the device's lock. Deny leaves an override
 * alone that somebody has set, allow one that is not ours: then it returns false.
 */
void device_deny(struct device *dev);
bool device_allow(struct device *dev);

/* ---- drivers.c ---- */

bool driver_manages_dma(const struct device *dev, struct device_driver *driver);
bool driver_is_builtin(const char *name);
/* One that hands devices to user space. */
bool driver_is_vfio(const char *name);
bool driver_is_allowed(const struct claim *claim, const struct device *dev, struct device_driver *driver);
/* The caller's names: each ends in a NUL, none is empty, IOMMUD_DRIVERS_MAX at most. */
bool driver_names_are_valid(const char *names, size_t size);

/* ---- label.c ---- */

/* -EXDEV, if nodes differ; -EOPNOTSUPP, if no LSM labels them. */
int nodes_check(const s32 __user *fds, u32 n);
bool nodes_supported(void);

/* ---- query.c ---- */

int query(struct iommud_query *request);

/* ---- guard.c: keeps drivers off ---- */

int guard_init(void);
void guard_exit(void);
/* Has the override of a device that was denied taken back, later: here nobody may wait for the device's lock. */
void guard_allow_later(struct device *dev);

/* ---- listing.c ---- */

void listing_init(void);
void listing_exit(void);

#endif
