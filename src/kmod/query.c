// SPDX-License-Identifier: GPL-2.0-only
/* Who is in a group, and what the kernel knows of its members' drivers. Changes nothing, waits for nobody. */
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "iommud.h"

struct members {
	struct device **list;
	unsigned int n;
	unsigned int room;
};

static int count(struct device *dev, void *userdata)
{
	struct members *members = userdata;

	if (members->n < members->room)
		members->list[members->n] = get_device(dev);
	members->n++;
	return 0;
}

static void describe(struct device *dev, struct iommud_member *ret)
{
	memset(ret, 0, sizeof(*ret));
	strscpy(ret->device, dev_name(dev), sizeof(ret->device));
	if (!device_trylock(dev)) {
		ret->flags = IOMMUD_MEMBER_IN_TRANSITION;
		return;
	}
	if (dev->driver) {
		strscpy(ret->driver, dev->driver->name, sizeof(ret->driver));
		if (device_is_known(dev) && driver_manages_dma(dev, dev->driver))
			ret->flags |= IOMMUD_MEMBER_MANAGES_DMA;
		if (driver_is_builtin(dev->driver->name))
			ret->flags |= IOMMUD_MEMBER_BUILTIN_ALLOWED;
	}
	device_unlock(dev);
}

static int copy_members(const struct members *members, struct iommud_member __user *target)
{
	unsigned int n = min(members->n, members->room);
	struct iommud_member member;
	int r = 0;
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (!r) {
			describe(members->list[i], &member);
			if (copy_to_user(target + i, &member, sizeof(member)))
				r = -EFAULT;
		}
		put_device(members->list[i]);
	}
	return r;
}

static u32 group_flags(struct iommu_group *group)
{
	u32 flags = iommu_group_dma_owner_claimed(group) ? IOMMUD_GROUP_OWNED : 0;
	const struct claim *claim;

	mutex_lock(&claims_lock);
	list_for_each_entry(claim, &claims, link)
	{
		if (claim->group != group || claim->state == CLAIM_ENDED)
			continue;
		flags |= IOMMUD_GROUP_CLAIMED;
		if (claim->flags & IOMMUD_CLAIM_SINGLETON)
			flags |= IOMMUD_GROUP_SINGLETON;
	}
	mutex_unlock(&claims_lock);
	return flags;
}

#define ROOM_MAX 4096

int query(struct iommud_query *request)
{
	u32 slot;
	struct iommu_group *group = device_find_group(request->bus, request->device, &slot);
	struct members members = { .room = min_t(u32, request->n_members, ROOM_MAX) };
	int r = -ENOMEM;

	if (!group)
		return -ENODEV;
	members.list = kvcalloc(max(members.room, 1u), sizeof(*members.list), GFP_KERNEL_ACCOUNT);
	if (members.list) {
		iommu_group_for_each_dev(group, &members, count);
		r = copy_members(&members, u64_to_user_ptr(request->members));
		request->n_members = members.n;
		request->group = iommu_group_id(group);
		request->group_flags = group_flags(group);
	}
	kvfree(members.list);
	iommu_group_put(group);
	return r;
}
