/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parses and decodes. json-c sees only what json_scan() let pass; what both let pass are duplicate keys, which are found
 * because the tree then has fewer members than the text. Decoding converts nothing: a field has the type the table says,
 * or the message is refused. Owns nothing between calls.
 */
#include "util/json.h"

#include <errno.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/json-build.h"
#include "util/json-scan.h"

DEFINE_CLEANUP(tokener, struct json_tokener *, json_tokener_free)

static size_t count_members(json_object *value)
{
	size_t n = 0;

	if (json_object_is_type(value, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(value); i++)
			n += count_members(json_object_array_get_idx(value, i));
	} else if (json_object_is_type(value, json_type_object)) {
		json_object_object_foreach(value, key, member)
		{
			(void)key;
			n += 1 + count_members(member);
		}
	}
	return n;
}

int json_parse_object(const char *text, size_t size, json_object **ret, const char **ret_reason)
{
	_cleanup_(cleanup_tokener) struct json_tokener *tokener = NULL;
	struct json_scan scan;
	json_object *object;

	if (!json_scan(text, size, &scan)) {
		*ret_reason = scan.reason;
		return -EBADMSG;
	}
	/* Its own limit is only a second line: it counts a scalar as a level, and one more for the root. */
	tokener = json_tokener_new_ex(JSON_DEPTH_MAX + 2);
	if (!tokener)
		return -ENOMEM;
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	object = json_tokener_parse_ex(tokener, text + scan.begin, scan.end - scan.begin);
	if (!object) {
		*ret_reason = json_tokener_error_desc(json_tokener_get_error(tokener));
		return -EBADMSG;
	}
	if (count_members(object) != scan.n_members) {
		json_object_put(object);
		*ret_reason = "duplicate key";
		return -EBADMSG;
	}
	*ret = object;
	return 0;
}

/* NULL unless it is a string that C sees whole. */
static const char *decode_string(json_object *value)
{
	const char *text;

	if (!json_object_is_type(value, json_type_string))
		return NULL;
	text = json_object_get_string(value);
	return strlen(text) == (size_t)json_object_get_string_len(value) ? text : NULL;
}

/* The type's greatest value stands for "absent" and so can't be given. */
static bool decode_unsigned(json_object *value, uint64_t absent, uint64_t *ret)
{
	uint64_t number;

	if (!json_object_is_type(value, json_type_int) || json_object_get_int64(value) < 0)
		return false;
	number = json_object_get_uint64(value);
	if (number >= absent)
		return false;
	*ret = number;
	return true;
}

static bool decode_string_list(json_object *value, struct json_string_list *list)
{
	if (!json_object_is_type(value, json_type_array) || json_object_array_length(value) > JSON_LIST_MAX)
		return false;
	for (size_t i = 0; i < json_object_array_length(value); i++) {
		const char *item = decode_string(json_object_array_get_idx(value, i));

		if (!item)
			return false;
		list->items[i] = item;
	}
	list->n = json_object_array_length(value);
	return true;
}

static void decode_absent(enum json_field_type type, void *slot)
{
	switch (type) {
	case JSON_FIELD_STRING:
		*(const char **)slot = NULL;
		break;
	case JSON_FIELD_BOOL:
		*(bool *)slot = false;
		break;
	case JSON_FIELD_U32:
		*(uint32_t *)slot = UINT32_MAX;
		break;
	case JSON_FIELD_U64:
		*(uint64_t *)slot = UINT64_MAX;
		break;
	case JSON_FIELD_STRING_LIST:
		((struct json_string_list *)slot)->n = 0;
		break;
	case JSON_FIELD_OBJECT:
		*(json_object **)slot = NULL;
		break;
	}
}

static bool decode_value(enum json_field_type type, json_object *value, void *slot)
{
	uint64_t number = 0;

	switch (type) {
	case JSON_FIELD_STRING:
		*(const char **)slot = decode_string(value);
		return *(const char **)slot;
	case JSON_FIELD_BOOL:
		*(bool *)slot = json_object_get_boolean(value);
		return json_object_is_type(value, json_type_boolean);
	case JSON_FIELD_U32:
		if (!decode_unsigned(value, UINT32_MAX, &number))
			return false;
		*(uint32_t *)slot = number;
		return true;
	case JSON_FIELD_U64:
		return decode_unsigned(value, UINT64_MAX, slot);
	case JSON_FIELD_STRING_LIST:
		return decode_string_list(value, slot);
	case JSON_FIELD_OBJECT:
		*(json_object **)slot = value;
		return json_object_is_type(value, json_type_object);
	}
	return false;
}

static int decode_field(json_object *object, const struct json_field *field, void *target)
{
	void *slot = (char *)target + field->offset;
	json_object *value = NULL;

	json_object_object_get_ex(object, field->name, &value);
	if (!value) {
		decode_absent(field->type, slot);
		return field->required ? -EINVAL : 0;
	}
	return decode_value(field->type, value, slot) ? 0 : -EINVAL;
}

static bool is_known(const struct json_field *fields, size_t n_fields, const char *name)
{
	for (size_t i = 0; i < n_fields; i++)
		if (strcmp(fields[i].name, name) == 0)
			return true;
	return false;
}

int json_decode(json_object *object, const struct json_field *fields, size_t n_fields, void *target,
		const char **ret_field)
{
	if (object) {
		json_object_object_foreach(object, key, value)
		{
			(void)value;
			if (!is_known(fields, n_fields, key)) {
				*ret_field = key;
				return -EINVAL;
			}
		}
	}
	for (size_t i = 0; i < n_fields; i++) {
		if (decode_field(object, &fields[i], target) < 0) {
			*ret_field = fields[i].name;
			return -EINVAL;
		}
	}
	return 0;
}

/* ---- the way back ---- */

static void encode_list(struct json_build *build, const char *name, const struct json_string_list *list)
{
	struct json_build array;

	if (list->n == 0)
		return;
	array = json_build_array();
	for (size_t i = 0; i < list->n; i++)
		json_build_text(&array, NULL, list->items[i]);
	json_build_add(build, name, json_build_end(&array));
}

static void encode_field(struct json_build *build, const struct json_field *field, const void *slot)
{
	switch (field->type) {
	case JSON_FIELD_STRING:
		if (*(const char *const *)slot)
			json_build_text(build, field->name, *(const char *const *)slot);
		break;
	case JSON_FIELD_BOOL:
		if (*(const bool *)slot)
			json_build_bool(build, field->name, true);
		break;
	case JSON_FIELD_U32:
		if (*(const uint32_t *)slot != UINT32_MAX)
			json_build_number(build, field->name, *(const uint32_t *)slot);
		break;
	case JSON_FIELD_U64:
		if (*(const uint64_t *)slot != UINT64_MAX)
			json_build_add(build, field->name, json_object_new_uint64(*(const uint64_t *)slot));
		break;
	case JSON_FIELD_STRING_LIST:
		encode_list(build, field->name, slot);
		break;
	case JSON_FIELD_OBJECT:
		build->failed = true;
		break;
	}
}

json_object *json_encode(const struct json_field *fields, size_t n_fields, const void *source)
{
	struct json_build build = json_build_object();

	for (size_t i = 0; i < n_fields; i++)
		encode_field(&build, &fields[i], (const char *)source + fields[i].offset);
	return json_build_end(&build);
}
