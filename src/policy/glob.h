/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Globs over ASCII: `*`, `?`, `[a-f0]`, `[!0]`. No escapes. Not fnmatch(3), whose ranges hang on the locale and which
 * may allocate: a rule must mean the same in broker and helper, whatever their environment.
 */
#ifndef IOMMUD_POLICY_GLOB_H
#define IOMMUD_POLICY_GLOB_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the text has any of the special characters at all. */
bool glob_is_pattern(const char *text);

/* NULL if the pattern is well-formed, else what is wrong (static text) with its offset. */
const char *glob_check(const char *pattern, size_t *ret_offset);

/* The shortest text that a well-formed pattern can match, and whether it matches longer ones. */
size_t glob_min_length(const char *pattern, bool *ret_open_ended);

/* Whether a well-formed pattern matches all of `text`. Takes no more than length times length steps. */
bool glob_match(const char *pattern, const char *text);
/* The same of the first `length` bytes of `text`, which has that many. */
bool glob_match_length(const char *pattern, const char *text, size_t length);

#endif
