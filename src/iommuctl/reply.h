/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Replies of the daemon as trees, and the look-ups in them. A field that is missing, null or of another type is simply not
 * there: what is shown to people must not fail on a newer or older daemon.
 */
#ifndef IOMMUCTL_REPLY_H
#define IOMMUCTL_REPLY_H

#include <json-c/json.h>
#include <stdint.h>

#include "iommuctl.h"

DEFINE_CLEANUP(object, json_object *, json_object_put)
#define _cleanup_object_ _cleanup_(cleanup_object)

/* Borrowed; NULL when it is not there. */
const char *reply_text(json_object *object, const char *key);
json_object *reply_object(json_object *object, const char *key);
/* -1 when it is not there. */
int64_t reply_number(json_object *object, const char *key);
bool reply_true(json_object *object, const char *key);
/* Elements of a list; 0 when it is not there. */
size_t reply_count(json_object *object, const char *key);
json_object *reply_item(json_object *object, const char *key, size_t index);
/* Element of a list of strings; NULL beyond its end. */
const char *reply_item_text(json_object *object, const char *key, size_t index);
/* The strings or numbers of a list, with ", " between them; NULL when it is empty. The caller's, free(). */
char *reply_join(json_object *object, const char *key);

/*
 * One call, and its reply as a tree (the caller's); `parameters` is taken over. Returns an exit code, and has said on
 * standard error what went wrong.
 */
int reply_call(struct iommud *connection, const char *method, json_object *parameters, json_object **ret);
/* A stream of replies with one object `key` each, collected in an array (the caller's). */
int reply_collect(struct iommud *connection, const char *method, const char *key, json_object **ret);

/* Prints a tree as the options say (which must not be JSON_OFF), and a newline. */
void reply_print(const struct options *options, json_object *object);

#endif
