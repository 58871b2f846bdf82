/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads the text of a varlink interface and holds JSON against it: an object must have exactly the fields that are
 * declared, each of its type, null only where the type says so. That is stricter than varlink, where a field that may be
 * null may be absent as well: here what is declared is there.
 */
#ifndef IOMMUD_TESTS_VARLINK_IDL_H
#define IOMMUD_TESTS_VARLINK_IDL_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

#define IDL_FIELDS_MAX 32
#define IDL_MEMBERS_MAX 64

enum idl_kind {
	IDL_BOOL,
	IDL_INT,
	IDL_FLOAT,
	IDL_STRING,
	IDL_LIST, /* element */
	IDL_ENUM, /* fields: their names only */
	IDL_STRUCT, /* fields */
	IDL_NAMED, /* name */
};

struct idl_field;

struct idl_type {
	enum idl_kind kind;
	bool nullable;
	char name[64];
	struct idl_type *element;
	struct idl_field *fields;
	size_t n_fields;
};

struct idl_field {
	char name[64];
	struct idl_type type;
};

enum idl_member_kind {
	IDL_TYPE,
	IDL_METHOD,
	IDL_ERROR,
};

struct idl_member {
	enum idl_member_kind kind;
	char name[64];
	struct idl_type type; /* of a method: its reply */
	struct idl_type input; /* of a method */
};

struct idl {
	char name[64];
	struct idl_member members[IDL_MEMBERS_MAX];
	size_t n_members;
	char wrong[512];
};

/* A text that it can't read ends the program. idl_free() accepts NULL and returns NULL. */
struct idl *idl_parse(const char *text);
struct idl *idl_free(struct idl *idl);

/* NULL if there is none. */
const struct idl_member *idl_find(const struct idl *idl, enum idl_member_kind kind, const char *name);

/*
 * NULL when `value` is what the member declares (a type; the reply of a method; the parameters of an error), else what is
 * wrong with it: "Describe.device.group: string where int is declared". The text is the idl's, until the next check.
 */
const char *idl_check(struct idl *idl, enum idl_member_kind kind, const char *name, json_object *value);

/* Whether `text` is UTF-8 in its shortest form. */
bool text_is_utf8(const char *text);

#endif
