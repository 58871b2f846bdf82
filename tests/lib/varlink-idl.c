/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A recursive descent over the grammar of varlink.org, as far as our interfaces use it: no maps, no `object`. */
#include "varlink-idl.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reader {
	const char *text;
	const char *at;
};

/* ---- reading ---- */

static void bad(const struct reader *reader, const char *wanted)
{
	unsigned int line = 1;

	for (const char *c = reader->text; c < reader->at; c++)
		line += *c == '\n';
	fprintf(stderr, "line %u of the interface: %s expected at '%.20s'\n", line, wanted, reader->at);
	abort();
}

static void skip_blanks(struct reader *reader)
{
	while (isspace((unsigned char)*reader->at) || *reader->at == '#') {
		if (*reader->at == '#')
			reader->at += strcspn(reader->at, "\n");
		else
			reader->at++;
	}
}

static bool take(struct reader *reader, const char *token)
{
	size_t length = strlen(token);

	skip_blanks(reader);
	if (strncmp(reader->at, token, length) != 0)
		return false;
	reader->at += length;
	return true;
}

static void need(struct reader *reader, const char *token)
{
	if (!take(reader, token))
		bad(reader, token);
}

static void read_name(struct reader *reader, char ret[64])
{
	size_t length;

	skip_blanks(reader);
	length = strspn(reader->at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.");
	if (length == 0 || length > 63)
		bad(reader, "a name");
	memcpy(ret, reader->at, length);
	ret[length] = '\0';
	reader->at += length;
}

static void read_type(struct reader *reader, struct idl_type *type);

/* After the opening bracket. What has no colon after its first name is an enum. */
static void read_fields(struct reader *reader, struct idl_type *type)
{
	type->kind = IDL_STRUCT;
	type->fields = calloc(IDL_FIELDS_MAX, sizeof(*type->fields));
	if (!type->fields)
		abort();
	if (take(reader, ")"))
		return;
	do {
		struct idl_field *field = &type->fields[type->n_fields];

		if (++type->n_fields > IDL_FIELDS_MAX)
			bad(reader, "fewer fields");
		read_name(reader, field->name);
		if (take(reader, ":"))
			read_type(reader, &field->type);
		else
			type->kind = IDL_ENUM;
	} while (take(reader, ","));
	need(reader, ")");
}

static void read_type(struct reader *reader, struct idl_type *type)
{
	static const struct {
		const char *word;
		enum idl_kind kind;
	} words[] = { { "bool", IDL_BOOL }, { "int", IDL_INT }, { "float", IDL_FLOAT }, { "string", IDL_STRING } };

	type->nullable = take(reader, "?");
	if (take(reader, "[]")) {
		type->kind = IDL_LIST;
		type->element = calloc(1, sizeof(*type->element));
		if (!type->element)
			abort();
		read_type(reader, type->element);
		return;
	}
	if (take(reader, "(")) {
		read_fields(reader, type);
		return;
	}
	type->kind = IDL_NAMED;
	read_name(reader, type->name);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(type->name, words[i].word) == 0)
			type->kind = words[i].kind;
}

static void read_struct(struct reader *reader, struct idl_type *type)
{
	need(reader, "(");
	read_fields(reader, type);
}

static void read_member(struct reader *reader, struct idl_member *member)
{
	if (take(reader, "type"))
		member->kind = IDL_TYPE;
	else if (take(reader, "method"))
		member->kind = IDL_METHOD;
	else if (take(reader, "error"))
		member->kind = IDL_ERROR;
	else
		bad(reader, "type, method or error");
	read_name(reader, member->name);
	if (member->kind == IDL_METHOD) {
		read_struct(reader, &member->input);
		need(reader, "->");
	}
	read_struct(reader, &member->type);
}

struct idl *idl_parse(const char *text)
{
	struct reader reader = { .text = text, .at = text };
	struct idl *idl = calloc(1, sizeof(*idl));

	if (!idl)
		abort();
	need(&reader, "interface");
	read_name(&reader, idl->name);
	for (skip_blanks(&reader); *reader.at; skip_blanks(&reader)) {
		if (idl->n_members == IDL_MEMBERS_MAX)
			bad(&reader, "fewer members");
		read_member(&reader, &idl->members[idl->n_members++]);
	}
	return idl;
}

static void clear_type(struct idl_type *type)
{
	for (size_t i = 0; i < type->n_fields; i++)
		clear_type(&type->fields[i].type);
	free(type->fields);
	if (type->element)
		clear_type(type->element);
	free(type->element);
}

struct idl *idl_free(struct idl *idl)
{
	if (!idl)
		return NULL;
	for (size_t i = 0; i < idl->n_members; i++) {
		clear_type(&idl->members[i].type);
		clear_type(&idl->members[i].input);
	}
	free(idl);
	return NULL;
}

const struct idl_member *idl_find(const struct idl *idl, enum idl_member_kind kind, const char *name)
{
	for (size_t i = 0; i < idl->n_members; i++)
		if (idl->members[i].kind == kind && strcmp(idl->members[i].name, name) == 0)
			return &idl->members[i];
	return NULL;
}

/* ---- checking ---- */

__attribute__((format(printf, 3, 4))) static bool wrong(struct idl *idl, const char *path, const char *format, ...)
{
	va_list args;
	int n = snprintf(idl->wrong, sizeof(idl->wrong), "%.250s: ", path);

	va_start(args, format);
	vsnprintf(idl->wrong + n, sizeof(idl->wrong) - n, format, args);
	va_end(args);
	return false;
}

bool text_is_utf8(const char *text)
{
	static const unsigned int smallest[] = { 0, 0x80, 0x800, 0x10000 };

	for (const unsigned char *c = (const unsigned char *)text; *c;) {
		int more = *c < 0x80             ? 0
			   : (*c & 0xe0) == 0xc0 ? 1
			   : (*c & 0xf0) == 0xe0 ? 2
			   : (*c & 0xf8) == 0xf0 ? 3
						 : -1;
		unsigned int value = more > 0 ? *c & (0x3fu >> more) : *c;

		if (more < 0)
			return false;
		c++;
		for (int i = 0; i < more; i++, c++) {
			if ((*c & 0xc0) != 0x80)
				return false;
			value = value << 6 | (*c & 0x3f);
		}
		if (value < smallest[more] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
			return false;
	}
	return true;
}

static bool check_type(struct idl *idl, const struct idl_type *type, json_object *value, const char *path);

static const struct idl_field *find_field(const struct idl_type *type, const char *name)
{
	for (size_t i = 0; i < type->n_fields; i++)
		if (strcmp(type->fields[i].name, name) == 0)
			return &type->fields[i];
	return NULL;
}

static bool check_struct(struct idl *idl, const struct idl_type *type, json_object *value, const char *path)
{
	for (size_t i = 0; i < type->n_fields; i++) {
		const struct idl_field *field = &type->fields[i];
		json_object *child;
		char below[512];

		snprintf(below, sizeof(below), "%.400s.%s", path, field->name);
		if (!json_object_object_get_ex(value, field->name, &child))
			return wrong(idl, below, "declared and missing");
		if (!check_type(idl, &field->type, child, below))
			return false;
	}
	json_object_object_foreach(value, key, unused)
	{
		(void)unused;
		if (!find_field(type, key))
			return wrong(idl, path, "%s is there and not declared", key);
	}
	return true;
}

static bool check_list(struct idl *idl, const struct idl_type *type, json_object *value, const char *path)
{
	for (size_t i = 0; i < json_object_array_length(value); i++) {
		char below[512];

		snprintf(below, sizeof(below), "%.400s[%zu]", path, i);
		if (!check_type(idl, type->element, json_object_array_get_idx(value, i), below))
			return false;
	}
	return true;
}

static bool check_named(struct idl *idl, const struct idl_type *type, json_object *value, const char *path)
{
	const struct idl_member *member = idl_find(idl, IDL_TYPE, type->name);

	return member ? check_type(idl, &member->type, value, path)
		      : wrong(idl, path, "the type %s is nowhere declared", type->name);
}

static bool check_json_type(struct idl *idl, json_object *value, enum json_type type, const char *path)
{
	if (json_object_is_type(value, type))
		return true;
	return wrong(idl, path, "%s where %s is declared", json_type_to_name(json_object_get_type(value)),
		     json_type_to_name(type));
}

static bool check_string(struct idl *idl, json_object *value, const char *path)
{
	if (!check_json_type(idl, value, json_type_string, path))
		return false;
	return text_is_utf8(json_object_get_string(value)) || wrong(idl, path, "no UTF-8");
}

static bool check_enum(struct idl *idl, const struct idl_type *type, json_object *value, const char *path)
{
	if (!check_json_type(idl, value, json_type_string, path))
		return false;
	return find_field(type, json_object_get_string(value)) ||
	       wrong(idl, path, "'%.60s' is none of the values", json_object_get_string(value));
}

static bool check_type(struct idl *idl, const struct idl_type *type, json_object *value, const char *path)
{
	if (!value)
		return type->nullable || wrong(idl, path, "null where that is not declared");
	switch (type->kind) {
	case IDL_BOOL:
		return check_json_type(idl, value, json_type_boolean, path);
	case IDL_INT:
		return check_json_type(idl, value, json_type_int, path);
	case IDL_FLOAT:
		return check_json_type(idl, value, json_type_double, path);
	case IDL_STRING:
		return check_string(idl, value, path);
	case IDL_LIST:
		return check_json_type(idl, value, json_type_array, path) && check_list(idl, type, value, path);
	case IDL_ENUM:
		return check_enum(idl, type, value, path);
	case IDL_STRUCT:
		return check_json_type(idl, value, json_type_object, path) && check_struct(idl, type, value, path);
	case IDL_NAMED:
		return check_named(idl, type, value, path);
	}
	return wrong(idl, path, "of no kind");
}

const char *idl_check(struct idl *idl, enum idl_member_kind kind, const char *name, json_object *value)
{
	const struct idl_member *member = idl_find(idl, kind, name);

	if (!member)
		wrong(idl, name, "not declared");
	return member && check_type(idl, &member->type, value, name) ? NULL : idl->wrong;
}
