/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Security contexts by component: `user:role:type:level`, as SELinux writes them. Each component of a pattern is a glob
 * over the same component of the context, never over a part of it nor over several; a level keeps the colons that it has.
 * A label without colons (Smack) is one component. Private to src/policy.
 */
#ifndef IOMMUD_POLICY_CONTEXT_H
#define IOMMUD_POLICY_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>

#define CONTEXT_PATTERN_MAX 255

/* NULL if every component of the pattern is a well-formed glob and none is empty, else what is wrong, with its offset. */
const char *context_check(const char *pattern, size_t *ret_offset);

/* Whether the well-formed pattern matches the whole context: it has as many components, and all of them match. */
bool context_match(const char *pattern, const char *context);

#endif
