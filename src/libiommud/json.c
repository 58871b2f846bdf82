/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text to tree, strictly: one object, nothing around it but white space, valid UTF-8, bounded depth. */
#include <string.h>

#include "internal.h"

#define DEPTH_MAX 32

DEFINE_CLEANUP(tokener, json_tokener *, json_tokener_free)

static bool is_blank(const char *text, size_t size)
{
	return strspn(text, " \t\r\n") >= size;
}

int iommud_json_parse(const char *text, size_t size, json_object **ret)
{
	_cleanup_(cleanup_tokener) json_tokener *tokener = json_tokener_new_ex(DEPTH_MAX);
	_cleanup_json_ json_object *object = NULL;
	size_t end;

	if (!tokener)
		return -ENOMEM;
	if (size == 0 || size > WIRE_MESSAGE_MAX)
		return -EINVAL;
	/* Without STRICT's ban on what follows the value: that is checked here, and white space is fine. */
	json_tokener_set_flags(tokener,
			       JSON_TOKENER_STRICT | JSON_TOKENER_ALLOW_TRAILING_CHARS | JSON_TOKENER_VALIDATE_UTF8);
	object = json_tokener_parse_ex(tokener, text, size);
	end = json_tokener_get_parse_end(tokener);
	if (json_tokener_get_error(tokener) != json_tokener_success || !json_object_is_type(object, json_type_object) ||
	    !is_blank(text + end, size - end))
		return -EINVAL;
	*ret = TAKE_PTR(object);
	return 0;
}
