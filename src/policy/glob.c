/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pure functions over two texts. Of several `*`, only the last one is ever taken back, so no pattern is slow. */
#include "policy/glob.h"

#include <string.h>

bool glob_is_pattern(const char *text)
{
	return strpbrk(text, "*?[") != NULL;
}

/* `set` is behind the '['. Returns what is behind the ']', or NULL with the reason. */
static const char *check_set(const char *set, const char **ret_reason)
{
	if (*set == '!')
		set++;
	if (*set == ']' || *set == '\0') {
		*ret_reason = *set ? "empty [] in a glob" : "']' missing in a glob";
		return NULL;
	}
	for (; *set && *set != ']'; set++) {
		if (set[1] != '-' || set[2] == ']' || set[2] == '\0')
			continue;
		if (set[2] < set[0]) {
			*ret_reason = "range in a glob that runs backwards";
			return NULL;
		}
		set += 2;
	}
	if (*set != ']') {
		*ret_reason = "']' missing in a glob";
		return NULL;
	}
	return set + 1;
}

const char *glob_check(const char *pattern, size_t *ret_offset)
{
	const char *reason = NULL;

	for (const char *p = pattern; *p;) {
		const char *next = *p == '[' ? check_set(p + 1, &reason) : p + 1;

		if (!next) {
			*ret_offset = p - pattern;
			return reason;
		}
		p = next;
	}
	return NULL;
}

/* What is behind the one-character part that begins at `pattern`. */
static const char *skip_one(const char *pattern)
{
	if (*pattern != '[')
		return pattern + 1;
	/* The first one can't be the closing one: sets are never empty. */
	return strchr(pattern + 2, ']') + 1;
}

size_t glob_min_length(const char *pattern, bool *ret_open_ended)
{
	size_t length = 0;

	*ret_open_ended = false;
	while (*pattern) {
		if (*pattern == '*') {
			*ret_open_ended = true;
			pattern++;
			continue;
		}
		pattern = skip_one(pattern);
		length++;
	}
	return length;
}

static bool set_contains(const char *set, char c)
{
	bool negated = *set == '!', found = false;

	if (negated)
		set++;
	for (; *set != ']'; set++) {
		if (set[1] == '-' && set[2] != ']') {
			found |= c >= set[0] && c <= set[2];
			set += 2;
		} else {
			found |= c == *set;
		}
	}
	return found != negated;
}

static bool match_one(const char *pattern, char c)
{
	if (*pattern == '?')
		return true;
	if (*pattern == '[')
		return set_contains(pattern + 1, c);
	return *pattern == c;
}

bool glob_match_length(const char *pattern, const char *text, size_t length)
{
	const char *star = NULL, *mark = NULL, *end = text + length;

	while (text < end) {
		if (*pattern == '*') {
			star = ++pattern;
			mark = text;
		} else if (*pattern && match_one(pattern, *text)) {
			pattern = skip_one(pattern);
			text++;
		} else if (star) {
			pattern = star;
			text = ++mark;
		} else {
			return false;
		}
	}
	return pattern[strspn(pattern, "*")] == '\0';
}

bool glob_match(const char *pattern, const char *text)
{
	return glob_match_length(pattern, text, strlen(text));
}
