/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Builds JSON objects without a check after every step: what fails once makes the whole come to nothing at the end.
 * json-c reports a lack of memory by NULL and crashes on it later; here it is one -ENOMEM.
 */
#ifndef IOMMUD_UTIL_JSON_BUILD_H
#define IOMMUD_UTIL_JSON_BUILD_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

struct json_build {
	json_object *object; /* an object or an array */
	bool failed;
};

struct json_build json_build_object(void);
struct json_build json_build_array(void);

/* `key` is NULL for elements of an array. A NULL text is a JSON null. `value` is taken over; NULL is a failure. */
void json_build_add(struct json_build *build, const char *key, json_object *value);
void json_build_text(struct json_build *build, const char *key, const char *text);
void json_build_number(struct json_build *build, const char *key, int64_t number);
void json_build_bool(struct json_build *build, const char *key, bool value);
void json_build_null(struct json_build *build, const char *key);
/* A text, or null when it is empty. */
void json_build_text_or_null(struct json_build *build, const char *key, const char *text);
/* A number, or null when it is negative. */
void json_build_number_or_null(struct json_build *build, const char *key, int64_t number);

/* The object (the caller's), or NULL after a failure. */
json_object *json_build_end(struct json_build *build);

#endif
