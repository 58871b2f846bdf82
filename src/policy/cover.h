/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What can be proved of two items or conditions of one key, without a device or client to hold them against. Where nothing
 * can be proved the answer is no. Private to src/policy.
 */
#ifndef IOMMUD_POLICY_COVER_H
#define IOMMUD_POLICY_COVER_H

#include "policy/rule.h"

/* Whether all that fits `narrow` fits `wide` as well. Signs are not looked at. */
bool item_covers(enum rule_key key, const struct item *wide, const struct item *narrow);

/*
 * Whether all that is known and fits `narrow` fits `wide` as well: `wide` takes anything, or each item of the other is
 * covered, and it excludes nothing that the other does not exclude.
 */
bool condition_covers(enum rule_key key, const struct condition *wide, const struct condition *narrow);

/* Whether no device can fit both. For keys of [Match] other than Pool, of which a device has one value each. */
bool conditions_exclude_each_other(enum rule_key key, const struct condition *left, const struct condition *right);

/* Whether it says which values fit, rather than only which do not. */
bool condition_has_choice(const struct condition *condition);

#endif
