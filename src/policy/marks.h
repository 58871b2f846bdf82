/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Marks in the making and at their end; asking for them is in policy.h. Private to src/policy. */
#ifndef IOMMUD_POLICY_MARKS_H
#define IOMMUD_POLICY_MARKS_H

#include "policy/report.h"
#include "policy/rule.h"

/* Adds a mark with copies of the rule's [Match] and of what it holds of [Pool] and [Host]. -ENOMEM: nothing was added. */
int policy_add_mark(struct policy *policy, const struct rule *rule);
void mark_clear(struct mark *mark);

/* Reports each Pool= of a [Match] that fits no pool which there is. Once all files are read. */
void policy_check_pools(const struct policy *policy, struct report *report);

#endif
