/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What can be seen to be meant otherwise than it was written, in a rule by itself. Private to src/policy. */
#ifndef IOMMUD_POLICY_CONTRADICTION_H
#define IOMMUD_POLICY_CONTRADICTION_H

#include "policy/report.h"
#include "policy/rule.h"

/*
 * Keys of one [Grant] that contradict each other are errors. `denies`: by a well-formed Action=; `seen` and `places` are
 * those of its keys. Returns whether there was one.
 */
bool report_grant_contradictions(const struct rule *rule, bool denies, const bool *seen,
				 const struct report_place *places, struct report *report);

/*
 * Conditions that nothing can fit are errors, items that others take all effect from warnings. `path` is the rule's file.
 * Returns whether there was an error.
 */
bool report_match_contradictions(const struct rule *rule, const char *path, struct report *report);

/* Rules for pools of which no device can fit the rule's own [Match] are errors. For when all files were read. */
void report_empty_pools(const struct policy *policy, struct report *report);

#endif
