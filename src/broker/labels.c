/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/labels.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/broker.h"
#include "util/cleanup.h"

static const char *label_or_none(const char *label)
{
	return label ? label : "none";
}

static void describe(const struct policy_label_conflict *conflict, const struct policy_subject *members,
		     unsigned int group, struct label_conflict *ret)
{
	const char *first = members[conflict->first].id->address;
	const char *second = members[conflict->second].id->address;

	memcpy(ret->device, second, sizeof(ret->device));
	snprintf(
		ret->message, sizeof(ret->message),
		"%s:%u: label '%s' for %s, but %s:%u gives '%s' to %s, and both are in group %u; a group has one label",
		conflict->first_file, conflict->first_line, label_or_none(conflict->first_label), first,
		conflict->second_file, conflict->second_line, label_or_none(conflict->second_label), second, group);
}

int labels_find_conflict(const struct policy *policy, const struct broker *broker, const struct group *group,
			 struct label_conflict *ret)
{
	_cleanup_free_ struct policy_subject *members = NULL;
	struct policy_label_conflict conflict;
	const struct device *device;
	size_t n = 0;

	if (group->n_devices < 2)
		return 0;
	members = calloc(group->n_devices, sizeof(*members));
	if (!members)
		return -ENOMEM;
	list_for_each(device, &group->devices, group_link)
		members[n++] = broker_policy_subject(broker, device);
	if (!policy_find_label_conflict(policy, members, n, &conflict))
		return 0;
	describe(&conflict, members, group->id, ret);
	return 1;
}

int labels_find_any_conflict(const struct policy *policy, const struct broker *broker, struct registry *registry,
			     struct label_conflict *ret)
{
	const struct group *group;
	int r = 0;

	list_for_each(group, registry_groups(registry), link) {
		r = labels_find_conflict(policy, broker, group, ret);
		if (r != 0)
			break;
	}
	return r;
}
