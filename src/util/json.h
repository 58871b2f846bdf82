/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON from strangers. json-c parses it, after a strict scan of ours has refused what json-c lets pass: duplicate keys
 * (the last would win), 'single' quotes, NUL inside of strings, numbers that saturate, and messages whose tree would be a
 * hundred times their size. What passes is decoded by a table of fields, never walked by hand.
 */
#ifndef IOMMUD_UTIL_JSON_H
#define IOMMUD_UTIL_JSON_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_DEPTH_MAX 8
#define JSON_TOKENS_MAX 1024 /* values and keys of one message */
#define JSON_LIST_MAX 64 /* strings of one list field */

/*
 * Parses exactly one JSON object of `size` bytes. Returns 0 and the object (the caller's, json_object_put()), or
 * -EBADMSG with *ret_reason (static text), or -ENOMEM.
 */
int json_parse_object(const char *text, size_t size, json_object **ret, const char **ret_reason);

enum json_field_type {
	JSON_FIELD_STRING, /* const char *, borrowed from the object; NULL when absent or null */
	JSON_FIELD_BOOL, /* bool; false when absent or null */
	JSON_FIELD_U32, /* uint32_t; exact, in range; UINT32_MAX when absent or null */
	JSON_FIELD_U64, /* uint64_t; exact, in range; UINT64_MAX when absent or null */
	JSON_FIELD_STRING_LIST, /* struct json_string_list, borrowed from the object */
	JSON_FIELD_OBJECT, /* json_object *, borrowed; NULL when absent or null */
};

struct json_string_list {
	const char *items[JSON_LIST_MAX];
	size_t n;
};

struct json_field {
	const char *name;
	enum json_field_type type;
	size_t offset; /* offsetof() in the structure that is filled */
	bool required;
};

/*
 * Fills the structure at `target` from `object`. A key that is not in the table, a missing required one, a wrong type,
 * a number out of range or a list that is too long gives -EINVAL with the key's name in *ret_field (of the table or
 * borrowed from the object). A NULL object is an empty one.
 */
int json_decode(json_object *object, const struct json_field *fields, size_t n_fields, void *target,
		const char **ret_field);

/*
 * The object (the caller's) that json_decode() would make this structure of: what is absent, false or an empty list is left out.
 * Objects within are not supported. NULL when out of memory.
 */
json_object *json_encode(const struct json_field *fields, size_t n_fields, const void *source);

#endif
