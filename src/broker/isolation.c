/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mdevs: what their parents have to say, and Isolation=shared, by which all mdevs of a parent are one group: while one of
 * them is leased under such a rule, or is asked for under one, no other lease gets a sibling of it. Decides only.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/internal.h"
#include "topology/mdev.h"

static struct mdev_parent parent_of(struct broker *broker, const struct device *mdev)
{
	bool has_group = mdev->parent_group >= 0;

	return (struct mdev_parent){
		.group = has_group ? registry_find_group(broker->registry, mdev->parent_group) : NULL,
		.leased = has_group && broker_group_holder(broker, mdev->parent_group),
	};
}

/* A parent that is to leave its driver loses its mdevs, and nobody would make them again. */
static int judge_moving(struct broker *broker, const struct device *member, struct verdict *verdict)
{
	const struct device *mdev;
	int r = 0;

	list_for_each(mdev, registry_devices(broker->registry), link) {
		if (strcmp(mdev->parent, member->id.address) != 0)
			continue;
		r = mdev_judge_parent(member, mdev, verdict);
		if (r < 0)
			return r;
	}
	return 0;
}

int isolation_judge(struct broker *broker, const struct group *group, const struct viability_options *options,
		    struct verdict *verdict)
{
	const struct device *member;

	list_for_each(member, &group->devices, group_link) {
		struct mdev_parent parent;
		int r = 0;

		if (device_is_mdev(member)) {
			parent = parent_of(broker, member);
			r = mdev_judge(member, &parent, options, verdict);
		} else if (text_is_listed(options->moving, member->id.address) && !device_is_on_vfio(member)) {
			r = judge_moving(broker, member, verdict);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

/* The lease that has this very mdev, if its rule joins it with its siblings. */
static struct lease *find_joining_lease(const struct broker *broker, const struct device *mdev)
{
	struct lease *holder = broker_group_holder(broker, mdev->group->id);
	const struct lease_device *leased = holder ? lease_find_device(holder, mdev->id.address) : NULL;

	return leased && leased->conduct.isolation == POLICY_ISOLATION_SHARED ? holder : NULL;
}

bool isolation_joins(const struct broker *broker, const struct device *left, const struct device *right)
{
	return left != right && mdev_is_sibling(left, right) && find_joining_lease(broker, right);
}

void isolation_check(struct broker *broker, const struct judgement *judgement, const struct group_terms *terms,
		     const struct device *device, struct refusal *refusal)
{
	bool shared = terms->conduct.isolation == POLICY_ISOLATION_SHARED;
	const struct device *sibling;

	list_for_each(sibling, registry_devices(broker->registry), link) {
		struct lease *holder;

		if (sibling == device || !mdev_is_sibling(device, sibling))
			continue;
		holder = shared ? broker_group_holder(broker, sibling->group->id) : find_joining_lease(broker, sibling);
		if (!holder || holder == judgement->self)
			continue;
		refusal->state = holder->state;
		refusal->passes = true;
		judge_describe_holder(judgement->identity, holder, refusal->holder, sizeof(refusal->holder));
		refusal_set(
			refusal, REFUSAL_BUSY,
			"%s: with Isolation=shared the mdevs of %s go to one lease, and %s is %s, held by %s; it is free "
			"again when that client lets go",
			device->id.address, device->parent, sibling->id.address, lease_state_name(holder->state),
			refusal->holder);
		return;
	}
}

bool isolation_is_shared(const struct group_terms *terms, const struct device *device)
{
	return terms->registry && terms->conduct.isolation == POLICY_ISOLATION_SHARED && device_is_mdev(device);
}

size_t isolation_count(const struct group_terms *terms, const struct device *device)
{
	const struct device *other;
	size_t n = 0;

	if (!isolation_is_shared(terms, device))
		return 0;
	list_for_each(other, registry_devices(terms->registry), link)
		n += other != device && mdev_is_sibling(device, other);
	return n;
}
