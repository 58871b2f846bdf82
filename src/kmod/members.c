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

void members_release_dma(struct claim *claim)
{
	struct member *member;

	list_for_each_entry(member, &claim->members, link) member_release_dma(claim, member);
}

#else

/* Linux 6.1 knows groups only: the first member stands for all. */
int member_own_dma(struct claim *claim, struct member *member)
{
	int r;

	if (!list_is_first(&member->link, &claim->members))
		return 0;
	r = iommu_group_claim_dma_owner(claim->group, claim);
	member->owns_dma = r == 0;
	return r;
}

static void member_release_dma(struct claim *claim, struct member *member)
{
	struct member *heir;

	if (!member->owns_dma)
		return;
	member->owns_dma = false;
	if (list_is_singular(&claim->members)) {
		iommu_group_release_dma_owner(claim->group);
		return;
	}
	heir = list_is_first(&member->link, &claim->members) ? list_next_entry(member, link)
							     : list_first_entry(&claim->members, struct member, link);
	heir->owns_dma = true;
}

void members_release_dma(struct claim *claim)
{
	struct member *member;

	list_for_each_entry(member, &claim->members, link)
	{
		if (member->owns_dma)
			iommu_group_release_dma_owner(claim->group);
		member->owns_dma = false;
	}
}

#endif

void member_drop(struct claim *claim, struct member *member)
{
	member_release_dma(claim, member);
	list_del(&member->link);
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
