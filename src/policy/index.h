/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which rules are worth looking at. Each rule is filed under the items of one of its conditions, that by which fewest others
 * are filed, so that a question about one device and client is held against a handful of rules, however many there are.
 * What the index leaves out can't fit; what it offers is looked at in full. Private to src/policy.
 */
#ifndef IOMMUD_POLICY_INDEX_H
#define IOMMUD_POLICY_INDEX_H

#include "policy/match.h"

struct rule_index;

/* Fills policy::index, once all rules are there. -ENOMEM. */
int policy_index_rules(struct policy *policy);
/* Accepts NULL. */
void index_free(struct rule_index *index);

/* Whether this is the rule that is looked for. */
typedef bool (*index_is_fn)(void *userdata, size_t rule);

/* The first rule, in their order, of those that may fit the question, that is the one; NO_RULE: none. */
size_t index_find(const struct policy *policy, const struct question *question, index_is_fn is, void *userdata);
/* The same of those before `narrow` that may cover it. */
size_t index_find_covering(const struct policy *policy, size_t narrow, index_is_fn is, void *userdata);

#endif
