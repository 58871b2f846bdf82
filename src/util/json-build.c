/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/json-build.h"

#include <stddef.h>

struct json_build json_build_object(void)
{
	json_object *object = json_object_new_object();

	return (struct json_build){ .object = object, .failed = !object };
}

struct json_build json_build_array(void)
{
	json_object *array = json_object_new_array();

	return (struct json_build){ .object = array, .failed = !array };
}

/* The key is always a constant of the program, new in its object. */
static int add(json_object *object, const char *key, json_object *value)
{
	if (!key)
		return json_object_array_add(object, value);
	return json_object_object_add_ex(object, key, value,
					 JSON_C_OBJECT_ADD_KEY_IS_NEW | JSON_C_OBJECT_ADD_CONSTANT_KEY);
}

void json_build_add(struct json_build *build, const char *key, json_object *value)
{
	if (build->failed || !value || add(build->object, key, value) < 0) {
		json_object_put(value);
		build->failed = true;
	}
}

void json_build_null(struct json_build *build, const char *key)
{
	if (!build->failed && add(build->object, key, NULL) < 0)
		build->failed = true;
}

void json_build_text(struct json_build *build, const char *key, const char *text)
{
	if (text)
		json_build_add(build, key, json_object_new_string(text));
	else
		json_build_null(build, key);
}

void json_build_number(struct json_build *build, const char *key, int64_t number)
{
	json_build_add(build, key, json_object_new_int64(number));
}

void json_build_bool(struct json_build *build, const char *key, bool value)
{
	json_build_add(build, key, json_object_new_boolean(value));
}

void json_build_text_or_null(struct json_build *build, const char *key, const char *text)
{
	json_build_text(build, key, text && text[0] ? text : NULL);
}

void json_build_number_or_null(struct json_build *build, const char *key, int64_t number)
{
	if (number < 0)
		json_build_null(build, key);
	else
		json_build_number(build, key, number);
}

json_object *json_build_end(struct json_build *build)
{
	json_object *object = build->object;

	build->object = NULL;
	if (!build->failed)
		return object;
	json_object_put(object);
	return NULL;
}
