/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From the library's texts to trees, and what is read from them. */
#include "reply.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "errors.h"

static json_object *find(json_object *object, const char *key, json_type type)
{
	json_object *value = NULL;

	if (!object || !json_object_object_get_ex(object, key, &value))
		return NULL;
	return json_object_is_type(value, type) ? value : NULL;
}

const char *reply_text(json_object *object, const char *key)
{
	json_object *value = find(object, key, json_type_string);

	return value ? json_object_get_string(value) : NULL;
}

json_object *reply_object(json_object *object, const char *key)
{
	return find(object, key, json_type_object);
}

int64_t reply_number(json_object *object, const char *key)
{
	json_object *value = find(object, key, json_type_int);

	return value ? json_object_get_int64(value) : -1;
}

bool reply_true(json_object *object, const char *key)
{
	return json_object_get_boolean(find(object, key, json_type_boolean));
}

size_t reply_count(json_object *object, const char *key)
{
	json_object *list = find(object, key, json_type_array);

	return list ? json_object_array_length(list) : 0;
}

json_object *reply_item(json_object *object, const char *key, size_t index)
{
	json_object *list = find(object, key, json_type_array);

	return list ? json_object_array_get_idx(list, index) : NULL;
}

const char *reply_item_text(json_object *object, const char *key, size_t index)
{
	json_object *item = reply_item(object, key, index);

	return json_object_is_type(item, json_type_string) ? json_object_get_string(item) : NULL;
}

char *reply_join(json_object *object, const char *key)
{
	_cleanup_free_ char *text = NULL;
	size_t n = reply_count(object, key), size;
	FILE *stream = n > 0 ? open_memstream(&text, &size) : NULL;

	if (!stream)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		const char *item = json_object_get_string(reply_item(object, key, i));

		fprintf(stream, "%s%s", i > 0 ? ", " : "", item ? item : "-");
	}
	return fclose(stream) == 0 ? TAKE_PTR(text) : NULL;
}

int reply_call(struct iommud *connection, const char *method, json_object *parameters, json_object **ret)
{
	_cleanup_object_ json_object *owned = parameters;
	const char *text = NULL;
	json_object *object;
	int r = iommud_call(connection, method, owned ? json_object_to_json_string(owned) : NULL, &text);

	if (r != 0)
		return report_result(connection, method, r);
	object = json_tokener_parse(text);
	if (!object)
		return report_result(connection, method, -ENOMEM);
	*ret = object;
	return EXIT_DONE;
}

struct collection {
	const char *key;
	json_object *array;
};

/* The last reply of a list may be empty. */
static int collect(const char *parameters, void *userdata)
{
	struct collection *collection = userdata;
	_cleanup_object_ json_object *object = json_tokener_parse(parameters);
	json_object *item = reply_object(object, collection->key);

	if (!object)
		return -ENOMEM;
	if (item && json_object_array_add(collection->array, json_object_get(item)) < 0) {
		json_object_put(item);
		return -ENOMEM;
	}
	return 0;
}

int reply_collect(struct iommud *connection, const char *method, const char *key, json_object **ret)
{
	_cleanup_object_ json_object *array = json_object_new_array();
	struct collection collection = { key, array };
	int r = array ? iommud_call_more(connection, method, "{}", collect, &collection) : -ENOMEM;

	if (r != 0)
		return report_result(connection, method, r);
	*ret = TAKE_PTR(array);
	return EXIT_DONE;
}

void reply_print(const struct options *options, json_object *object)
{
	int flags = options->json == JSON_PRETTY ? JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED
						 : JSON_C_TO_STRING_PLAIN;

	puts(json_object_to_json_string_ext(object, flags | JSON_C_TO_STRING_NOSLASHESCAPE));
}
