// SPDX-License-Identifier: GPL-2.0-only
/*
 * The members of a claim, and their DMA: each is held by a reference for as long as it is one, and owned through the IOMMU core,
 * for the claim's context or, parked, for the claim itself. Everything here is under claims_lock.
 */
#include <linux/slab.h>

#include "iommud.h"

struct member *claim_find_member(struct claim *claim, const struct device *dev)
{
	struct member *member;

	list_for_each_entry(member, &claim->members, link) if (member->dev == dev) return member;
	return NULL;
}

struct member *claim_add_member(struct claim *claim, struct device *dev)
{
	struct member *member = kzalloc(sizeof(*member), GFP_KERNEL);

	if (!member)
		return NULL;
	member->dev = get_device(dev);
	member->group = iommu_group_get(dev);
	list_add_tail(&member->link, &claim->members);
	return member;
}

#ifdef IOMMUD_HAVE_DEVICE_CLAIM

int member_own_dma(struct claim *claim, struct member *member)
{
	int r = iommu_device_claim_dma_owner(member->dev, claim->context ? claim->context->owner : claim);

	member->owns_dma = r == 0;
	return r;
}

static void member_release_dma(struct claim *claim, struct member *member)
{
	if (member->owns_dma)
		iommu_device_release_dma_owner(member->dev);
	member->owns_dma = false;
}

#else

/* Linux 6.1 knows owners of groups only: a group is owned here while one of its members is said to own it. */
static bool is_group_owned(const struct claim *claim, const struct iommu_group *group)
{
	const struct member *member;

	list_for_each_entry(member, &claim->members, link) if (member->owns_dma && member->group == group) return true;
	return false;
}

int member_own_dma(struct claim *claim, struct member *member)
{
	int r = 0;

	if (!member->group)
		r = -ENODEV;
	else if (!is_group_owned(claim, member->group))
		r = iommu_group_claim_dma_owner(member->group, claim);
	member->owns_dma = r == 0;
	return r;
}

static void member_release_dma(struct claim *claim, struct member *member)
{
	if (!member->owns_dma)
		return;
	member->owns_dma = false;
	if (!is_group_owned(claim, member->group))
		iommu_group_release_dma_owner(member->group);
}

#endif

void members_release_dma(struct claim *claim)
{
	struct member *member;

	list_for_each_entry(member, &claim->members, link) member_release_dma(claim, member);
}

void member_drop(struct claim *claim, struct member *member)
{
	member_release_dma(claim, member);
	list_del(&member->link);
	iommu_group_put(member->group);
	put_device(member->dev);
	kfree(member);
}

int members_own_dma(struct claim *claim)
{
	struct member *member;
	int r;

	list_for_each_entry(member, &claim->members, link)
	{
		r = member_own_dma(claim, member);
		if (r) {
			members_release_dma(claim);
			return r;
		}
	}
	return 0;
}
