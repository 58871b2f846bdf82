/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All devices that have an IOMMU group, and their groups, in memory. Built by one raw scan of sysfs, kept up to date
 * device by device as events come (topology/monitor.h), and rebuilt by a scan whenever events were lost. Not
 * thread-safe.
 *
 * Returned devices, groups and list heads are borrowed, and valid until the next registry_scan() or registry_refresh().
 */
#ifndef IOMMUD_TOPOLOGY_REGISTRY_H
#define IOMMUD_TOPOLOGY_REGISTRY_H

#include "topology/device.h"
#include "topology/nodes.h"

struct registry;

/*
 * What a scan or a refresh changed. Reported after the registry holds the new state; `device` is borrowed. One report a
 * device, but for one that was removed and came back meanwhile, or whose ids or group are others now: that is a removal and
 * an addition.
 */
enum registry_change {
	DEVICE_ADDED,
	DEVICE_REMOVED, /* `device` is the last known state; device->group is the group without it, maybe empty */
	DEVICE_BOUND, /* driver is set now; `former_driver` says what was, may be empty */
	DEVICE_UNBOUND,
	DEVICE_CHANGED, /* something else, of the device or of its group */
};

typedef void (*registry_changed_fn)(void *userdata, enum registry_change change, const struct device *device,
				    const char *former_driver);

/* `sysfs_fd` is a descriptor of /sys or of a stand-in, duplicated here. -ENOMEM, -EBADF. */
int registry_new(int sysfs_fd, struct registry **ret);
struct registry *registry_free(struct registry *registry);

/* Where udev's database is, before the first scan; borrowed. NULL, the default: devices have no paths. */
void registry_set_udev_data(struct registry *registry, const char *folder);

/*
 * Called on every change from now on; the first scan reports nothing but fills. NULL turns it off. The listener may
 * look at everything, but must not scan or refresh. `former_driver` is never NULL; for what is not about drivers it is
 * the driver that the device has or had.
 */
void registry_set_listener(struct registry *registry, registry_changed_fn changed, void *userdata);

/*
 * Reads everything anew (no-IOMMU groups too) and reports the differences to what was known. A device that vanishes in
 * the middle is no error. Blocks for about 35 us a device. Returns 0 or a negative errno (then the old state stays).
 */
int registry_scan(struct registry *registry);

/* Reads one device anew: after its event, or before acting on it. -ENOENT when it is gone (and it is dropped). */
int registry_refresh(struct registry *registry, const char *address);

struct device *registry_find_device(struct registry *registry, const char *address);
struct group *registry_find_group(struct registry *registry, unsigned int id);

/* Heads for list_for_each(): struct device by `link`, struct group by `link`. */
struct list_link *registry_devices(struct registry *registry);
struct list_link *registry_groups(struct registry *registry);

/* Grows with every change of anything. */
uint64_t registry_generation(const struct registry *registry);

/*
 * Whether allow_unsafe_interrupts is on in each of vfio_iommu_type1 and iommufd that is loaded, and one is: read now, from
 * sysfs. With one of two, the descriptors of the other's backend would be refused by the kernel later.
 */
bool registry_unsafe_interrupts_allowed(struct registry *registry);

/* The folder of a device, opened now (the caller's), for re-checks between judging and sending. Negative errno. */
int registry_open_device(struct registry *registry, const struct device *device);
/* The nodes of a device whose folder is `device_fd`, see topology/nodes.h. */
int registry_read_nodes(struct registry *registry, int device_fd, struct device_nodes *ret);

#endif
