/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The strict look at a JSON text before a parser may see it. */
#ifndef IOMMUD_UTIL_JSON_SCAN_H
#define IOMMUD_UTIL_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>

struct json_scan {
	size_t begin, end; /* where the object stands in the text, white space left out */
	size_t n_members; /* members of all objects; a parsed tree that has fewer lost a duplicate key */
	const char *reason; /* static text; why the scan failed */
};

/*
 * Is `text` exactly one JSON object of RFC 8259, within JSON_DEPTH_MAX and JSON_TOKENS_MAX, with numbers that 64 bits
 * hold and strings that C can hold? Fills all of `ret` but `reason` when it is, only `reason` when it is not.
 */
bool json_scan(const char *text, size_t size, struct json_scan *ret);

#endif
