/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One label a group: where policy meets topology. Whether the static labels of a policy agree within a group is asked at
 * load, where a conflict is an error of the set, and again whenever the group changes, where it makes it unleasable.
 */
#ifndef IOMMUD_BROKER_LABELS_H
#define IOMMUD_BROKER_LABELS_H

#include "policy/policy.h"
#include "topology/registry.h"

struct label_conflict {
	char device[DEVICE_ADDRESS_MAX]; /* the second of the two members */
	char message[768]; /* "FILE:LINE: ..." names both rules and both members */
};

struct broker;

/*
 * 1 with `ret` filled, 0: the labels agree, -ENOMEM. `broker` (may be NULL: nothing is leased) knows the drivers that leased
 * devices had: a rule by Driver= goes on to fit them.
 */
int labels_find_conflict(const struct policy *policy, const struct broker *broker, const struct group *group,
			 struct label_conflict *ret);
/* The same for the first group that has one. */
int labels_find_any_conflict(const struct policy *policy, const struct broker *broker, struct registry *registry,
			     struct label_conflict *ret);

#endif
