/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A fake kernel: a FUSE file system that looks like the part of sysfs that PCI devices, drivers and IOMMU groups have, and
 * that behaves like it when `bind`, `unbind`, `driver_override`, `drivers_probe`, `sriov_numvfs` and `reset` are written:
 *
 *  - links and folders have changed before write() returns;
 *  - a device binds only to a driver that matches: the one its override names, else one that has its ids (-ENODEV); a
 *    device with a driver does not bind (-EBUSY), one without does not unbind (-ENODEV);
 *  - unbind holds the device's lock, and waits in the driver's remove() while the device is held (fuse_sysfs_hold()), as
 *    vfio's does while a descriptor is out: who waits can't be killed; meanwhile every read of `driver_override` and `uevent` of that device, and every write to
 *    it, waits as well, as in Linux (driver_override_show(), uevent_show());
 *  - while a device is on a vfio driver it has vfio-dev/vfioN/dev;
 *  - a device that is added again at the same address has another inode;
 *  - sriov_numvfs takes what Linux takes, in the device's lock, which reading it waits for as well.
 *
 * Unlike Linux: while somebody waits in the `unbind` of a driver, other writes to the same file wait as well, since FUSE
 * locks the inode; put devices that are to move meanwhile on another driver.
 *
 * Not there: uevents on netlink, nodes in /dev, buses below bridges, and permissions by mode.
 *
 * A hook sees every write before and after it takes effect: it can fail it, count it, or kill who wrote it. Needs root and
 * /dev/fuse. The mount is in a mount namespace of the calling thread and of what it starts from then on (children that
 * are to see it must be forked by that thread), so a test that dies leaves no mount behind. Served by threads of the calling
 * process. All functions may be called from any thread, but not from the hook, except fuse_sysfs_describe().
 */
#ifndef IOMMUD_TESTS_FUSE_SYSFS_H
#define IOMMUD_TESTS_FUSE_SYSFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fuse_sysfs;

struct fuse_sysfs_device {
	const char *address; /* "0000:00:01.0" */
	uint16_t vendor;
	uint16_t device;
	uint16_t subsystem_vendor;
	uint16_t subsystem_device;
	uint32_t class;
	int group; /* negative: no IOMMU group */
	const char *driver; /* NULL: none; need not match, as after an override taken back */
	const char *driver_override; /* NULL: none */
	uint64_t serial; /* Device Serial Number capability; 0: none */
	bool bridge; /* header type 1 */
	unsigned int max_vfs; /* virtual functions that it can make; there is no more of them than links and a number */
	bool no_reset; /* there is no way to reset it: neither reset nor reset_method */
	/* What a driver of the host's makes of it; NULL: nothing. */
	const char *disk; /* block/NAME below it, the block device 7:disk_minor (a loop device) */
	unsigned int disk_minor;
	const char *interface; /* net/NAME below it, down, with the bridge br0 upon it */
	unsigned int memory_minor; /* vfioN/dev is 1:this, of a node that can be opened anywhere; 0: 510:N */
};

enum fuse_sysfs_file {
	FUSE_SYSFS_OVERRIDE,
	FUSE_SYSFS_BIND,
	FUSE_SYSFS_UNBIND,
	FUSE_SYSFS_PROBE,
	FUSE_SYSFS_RESET, /* of a device that can be reset; takes no effect that could be seen */
	FUSE_SYSFS_NUM_VFS, /* sriov_numvfs of a device with max_vfs */
	FUSE_SYSFS_NEW_ID, /* fails with -EPERM after the hook: nothing of ours may write it */
};

struct fuse_sysfs_write {
	enum fuse_sysfs_file file;
	const char *driver; /* whose bind, unbind or new_id; NULL otherwise */
	const char *address; /* the device; NULL for new_id */
	const char *value; /* what was written, without newline */
	size_t number; /* of this write since fuse_sysfs_set_hook(), from 1 */
	bool after; /* it has taken effect; otherwise it is about to */
};

/*
 * 0, or a negative errno for the writer. Before: nothing happens then. After: it has happened all the same. Not called
 * after a write that failed.
 */
typedef int (*fuse_sysfs_hook)(void *userdata, const struct fuse_sysfs_write *write);

/* Mounts an empty tree on a new temporary folder. A negative errno where there is no FUSE: skip the test then. */
int fuse_sysfs_new(struct fuse_sysfs **ret);
/* Lets go of all that wait, unmounts, removes the folder. Nobody may use the tree any more. NULL is fine. Returns NULL. */
struct fuse_sysfs *fuse_sysfs_free(struct fuse_sysfs *sysfs);

/* The folder that stands for /sys. Borrowed. */
const char *fuse_sysfs_path(const struct fuse_sysfs *sysfs);

/* `ids` is "8086:10d3 1234:11e8" or NULL for a driver that takes only what is overridden to it. vfio in the name: one of vfio's. */
void fuse_sysfs_add_driver(struct fuse_sysfs *sysfs, const char *name, const char *ids);
void fuse_sysfs_remove_driver(struct fuse_sysfs *sysfs, const char *name);
void fuse_sysfs_add_device(struct fuse_sysfs *sysfs, const struct fuse_sysfs_device *device);
/* At once, also when somebody waits in an unbind; that returns then. */
void fuse_sysfs_remove_device(struct fuse_sysfs *sysfs, const char *address);

/* What an admin would do: binds to `driver` (NULL: none) whatever matches. */
void fuse_sysfs_set_driver(struct fuse_sysfs *sysfs, const char *address, const char *driver);

/* A descriptor of the device is out, or its driver hangs: unbinding it waits until fuse_sysfs_let_go(). */
void fuse_sysfs_hold(struct fuse_sysfs *sysfs, const char *address);
void fuse_sysfs_let_go(struct fuse_sysfs *sysfs, const char *address);
void fuse_sysfs_let_all_go(struct fuse_sysfs *sysfs);
/* Waits until somebody waits in an unbind of the device. False after `seconds`. */
bool fuse_sysfs_wait_blocked(struct fuse_sysfs *sysfs, const char *address, unsigned int seconds);

/* From now on; NULL for none. The count of writes begins anew. */
void fuse_sysfs_set_hook(struct fuse_sysfs *sysfs, fuse_sysfs_hook hook, void *userdata);
size_t fuse_sysfs_writes(struct fuse_sysfs *sysfs);

/* All devices, "ADDRESS driver=NAME override=NAME\n" each, sorted, for comparisons; free(). Never waits. */
char *fuse_sysfs_describe(struct fuse_sysfs *sysfs);

#endif
