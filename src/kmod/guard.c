// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keeps drivers off claimed groups. The bus's notifiers can't refuse a driver, so there are three lines: whoever needs the
 * group's DMA is refused by the IOMMU core (EBUSY; the kernel makes no event of it); a device that joins gets a
 * driver_override that no driver has, before its first probe; and a driver that comes to be bound all the same is taken off
 * by a work item, since here its device's lock is held.
 */
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/platform_device.h>

#include "iommud.h"
#include "trace.h"

static struct workqueue_struct *guard_queue;

/* Never in vain: the work item is a part of the member. */
static void run_later(struct member *member, struct work_struct *work)
{
	member_get(member);
	if (!queue_work(guard_queue, work))
		member_put(member); /* it is queued already, and has a reference */
}

/* ---- what is done ---- */

static bool is_denied(const struct device *dev, struct device_driver *driver)
{
	struct claim *claim;

	list_for_each_entry(claim, &claims, link) if (claim->state != CLAIM_ENDED && claim_find_member(claim, dev) &&
						      !driver_is_allowed(claim, dev, driver)) return true;
	return false;
}

/* Somebody else may have been faster, with another driver that is allowed: looked at once more. */
static void take_off(struct work_struct *work)
{
	struct member *member = container_of(work, struct member, take_off);
	struct device *dev = member->dev;
	bool denied;

	device_lock(dev);
	mutex_lock(&claims_lock);
	denied = dev->driver && is_denied(dev, dev->driver);
	mutex_unlock(&claims_lock);
	device_unlock(dev);
	if (denied)
		device_release_driver(dev);
	member_put(member);
}

static bool is_claimed(const struct device *dev)
{
	struct claim *claim;
	bool found = false;

	mutex_lock(&claims_lock);
	list_for_each_entry(claim, &claims, link) found |= claim->state != CLAIM_ENDED && claim_find_member(claim, dev);
	mutex_unlock(&claims_lock);
	return found;
}

/* Unless another claim has it. A driver that it was denied when it came is looked for now. */
static void allow_again(struct work_struct *work)
{
	struct member *member = container_of(work, struct member, allow);
	struct device *dev = member->dev;

	if (!is_claimed(dev) && device_allow(dev) && device_attach(dev) < 0)
		dev_warn(dev, "iommud: no driver can be bound to it again\n");
	member_put(member);
}

void guard_init_member(struct member *member)
{
	INIT_WORK(&member->take_off, take_off);
	INIT_WORK(&member->allow, allow_again);
}

void guard_allow_later(struct member *member)
{
	run_later(member, &member->allow);
}

/* ---- what happens ---- */

static bool has_lost_its_group(const struct claim *claim)
{
	const struct member *member;

	list_for_each_entry(member, &claim->members, link) if (member->group == claim->group) return false;
	return true;
}

/*
 * A group whose members all went is another one when they come back: then a lock is of the slot. Not before: virtual functions, and
 * functions that the IOMMU keeps apart, share the slot of a device that is there, and not its group.
 */
static bool is_in_reach(const struct claim *claim, const struct device *dev, const struct iommu_group *group)
{
	if (claim->state == CLAIM_ENDED)
		return false;
	if (group && group == claim->group)
		return true;
	return (claim->flags & IOMMUD_CLAIM_SINGLETON) && claim->slot && claim->slot == device_slot(dev) &&
	       has_lost_its_group(claim);
}

static bool take_in(struct claim *claim, struct device *dev)
{
	struct member *member = claim_find_member(claim, dev);
	int r = 0;

	if (member)
		return false;
	/* There is nobody to tell that it could not be: without a member, nothing would keep drivers off the device. */
	member = claim_add_member(claim, dev, GFP_KERNEL | __GFP_NOFAIL);
	if (claim->state == CLAIM_OWNING)
		r = member_own_dma(claim, member);
	claim_tell(claim, IOMMUD_EVENT_ADDED, dev, NULL, 0);
	if (r)
		claim_tell(claim, IOMMUD_EVENT_NOT_CLAIMED, dev, NULL, -r);
	return true;
}

/* The core has put it into its group; nobody has probed it, nor holds its lock. */
static void on_added(struct device *dev)
{
	struct iommu_group *group = iommu_group_get(dev);
	bool deny = false;
	struct claim *claim;

	mutex_lock(&claims_lock);
	list_for_each_entry(claim, &claims, link) if (is_in_reach(claim, dev, group)) deny |= take_in(claim, dev);
	mutex_unlock(&claims_lock);
	iommu_group_put(group);
	if (deny)
		device_deny(dev);
}

static void on_bound(struct device *dev)
{
	struct device_driver *driver = dev->driver; /* its lock is held */
	struct member *member;
	struct claim *claim;

	mutex_lock(&claims_lock);
	list_for_each_entry(claim, &claims, link)
	{
		member = claim->state == CLAIM_ENDED ? NULL : claim_find_member(claim, dev);
		if (!member)
			continue;
		if (driver_is_allowed(claim, dev, driver)) {
			member->on_vfio = !claim->given_back && driver_is_vfio(driver->name);
			claim_tell(claim, IOMMUD_EVENT_BOUND, dev, driver->name, 0);
		} else {
			claim_tell(claim, IOMMUD_EVENT_REFUSED, dev, driver->name, 0);
			trace_iommud_refusal(iommu_group_id(claim->group), dev_name(dev), driver->name);
			run_later(member, &member->take_off);
		}
	}
	mutex_unlock(&claims_lock);
}

static void on_unbound(struct device *dev)
{
	struct member *member;
	struct claim *claim;

	mutex_lock(&claims_lock);
	list_for_each_entry(claim, &claims, link)
	{
		member = claim->state == CLAIM_ENDED ? NULL : claim_find_member(claim, dev);
		if (!member)
			continue;
		claim_tell(claim, IOMMUD_EVENT_UNBOUND, dev, NULL, 0);
		member->on_vfio = false;
		claim_end_if_unbound(claim);
	}
	mutex_unlock(&claims_lock);
}

/* The core, whose notifier comes after, takes it from its group: by then nobody may own its DMA through it. */
static void on_removed(struct device *dev)
{
	struct member *member;
	struct claim *claim;

	mutex_lock(&claims_lock);
	list_for_each_entry(claim, &claims, link)
	{
		member = claim_find_member(claim, dev);
		if (!member)
			continue;
		claim_tell(claim, IOMMUD_EVENT_REMOVED, dev, NULL, 0);
		member_drop(claim, member);
		claim_end_if_unbound(claim);
	}
	mutex_unlock(&claims_lock);
}

static int notify_late(struct notifier_block *block, unsigned long action, void *data)
{
	switch (action) {
	case BUS_NOTIFY_ADD_DEVICE:
		on_added(data);
		break;
	case BUS_NOTIFY_BOUND_DRIVER:
		on_bound(data);
		break;
	case BUS_NOTIFY_UNBOUND_DRIVER:
		on_unbound(data);
		break;
	}
	return NOTIFY_DONE;
}

static int notify_early(struct notifier_block *block, unsigned long action, void *data)
{
	if (action == BUS_NOTIFY_REMOVED_DEVICE)
		on_removed(data);
	return NOTIFY_DONE;
}

/* A block is in one list only: each bus needs its own. The IOMMU core's has the priority 0. */
static struct notifier_block pci_late = { .notifier_call = notify_late, .priority = -10 };
static struct notifier_block pci_early = { .notifier_call = notify_early, .priority = 10 };
static struct notifier_block platform_late = { .notifier_call = notify_late, .priority = -10 };
static struct notifier_block platform_early = { .notifier_call = notify_early, .priority = 10 };

int guard_init(void)
{
	guard_queue = alloc_workqueue("iommud", WQ_UNBOUND, 0);
	if (!guard_queue)
		return -ENOMEM;
	bus_register_notifier(&pci_bus_type, &pci_late);
	bus_register_notifier(&pci_bus_type, &pci_early);
	bus_register_notifier(&platform_bus_type, &platform_late);
	bus_register_notifier(&platform_bus_type, &platform_early);
	return 0;
}

void guard_exit(void)
{
	bus_unregister_notifier(&platform_bus_type, &platform_early);
	bus_unregister_notifier(&platform_bus_type, &platform_late);
	bus_unregister_notifier(&pci_bus_type, &pci_early);
	bus_unregister_notifier(&pci_bus_type, &pci_late);
	destroy_workqueue(guard_queue);
}
