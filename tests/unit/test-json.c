/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What strangers may write as JSON, and what a table of fields makes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/json.h"

DEFINE_CLEANUP(json, json_object *, json_object_put)

struct sample {
	const char *name;
	bool enabled;
	uint32_t small;
	uint64_t large;
	struct json_string_list list;
	json_object *object;
};

static const struct json_field sample_fields[] = {
	{ "name", JSON_FIELD_STRING, offsetof(struct sample, name), false },
	{ "enabled", JSON_FIELD_BOOL, offsetof(struct sample, enabled), false },
	{ "small", JSON_FIELD_U32, offsetof(struct sample, small), false },
	{ "large", JSON_FIELD_U64, offsetof(struct sample, large), false },
	{ "list", JSON_FIELD_STRING_LIST, offsetof(struct sample, list), false },
	{ "object", JSON_FIELD_OBJECT, offsetof(struct sample, object), false },
};

static json_object *parse(const char *text)
{
	json_object *object = NULL;
	const char *reason = NULL;
	int r = json_parse_object(text, strlen(text), &object, &reason);

	if (r < 0)
		print_message("'%s': %s\n", text, reason);
	assert_int_equal(r, 0);
	assert_non_null(object);
	return object;
}

static void assert_refused_sized(const char *text, size_t size, const char *expected)
{
	json_object *object = NULL;
	const char *reason = NULL;

	assert_int_equal(json_parse_object(text, size, &object, &reason), -EBADMSG);
	assert_null(object);
	assert_non_null(reason);
	assert_string_equal(reason, expected);
}

static void assert_refused(const char *text, const char *expected)
{
	assert_refused_sized(text, strlen(text), expected);
}

static void assert_accepted(const char *text)
{
	json_object_put(parse(text));
}

static int decode(const char *text, json_object **ret_object, struct sample *sample, const char **ret_field)
{
	*ret_object = parse(text);
	return json_decode(*ret_object, sample_fields, ARRAY_SIZE(sample_fields), sample, ret_field);
}

static void assert_field_refused(const char *text, const char *field_name)
{
	_cleanup_(cleanup_json) json_object *object = NULL;
	struct sample sample = { 0 };
	const char *field = NULL;

	assert_int_equal(decode(text, &object, &sample, &field), -EINVAL);
	assert_string_equal(field, field_name);
}

static void takes_what_the_standard_allows(void **state)
{
	assert_accepted("{}");
	assert_accepted(" \t\r\n{ } \n");
	assert_accepted("{\"a\":[],\"b\":{},\"c\":[1,2 , 3],\"d\":null,\"e\":true,\"f\":false,\"\":0}");
	assert_accepted("{\"a\":-0,\"b\":0.5,\"c\":1e3,\"d\":-1.25E-7,\"e\":10}");
	assert_accepted("{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDE00\"}");
	assert_accepted("{\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\":\"\x7f\xef\xbf\xbf\xf4\x8f\xbf\xbf\"}");
}

static void refuses_what_is_no_object(void **state)
{
	assert_refused("", "not a JSON object");
	assert_refused("   ", "not a JSON object");
	assert_refused("[1]", "not a JSON object");
	assert_refused("\"text\"", "not a JSON object");
	assert_refused("null", "not a JSON object");
	assert_refused("GET / HTTP/1.1", "not a JSON object");
	assert_refused("\xff\xfe\x01", "not a JSON object");
	assert_refused("{}{}", "more than one JSON object");
	assert_refused("{} x", "more than one JSON object");
	assert_refused("{\"a\":1}}", "more than one JSON object");
}

static void refuses_broken_structure(void **state)
{
	assert_refused("{", "no string in double quotes where one must be");
	assert_refused("{\"a\"}", "no colon after a key");
	assert_refused("{\"a\":}", "no JSON value where one must be");
	assert_refused("{\"a\":1", "no comma or closing bracket after a value");
	assert_refused("{\"a\":1,}", "no string in double quotes where one must be");
	assert_refused("{\"a\":[1,]}", "no JSON value where one must be");
	assert_refused("{\"a\":[1}", "no comma or closing bracket after a value");
	assert_refused("{\"a\":[1}]", "no comma or closing bracket after a value");
	assert_refused("{a:1}", "no string in double quotes where one must be");
	assert_refused("{\"a\":1 /* comment */}", "no comma or closing bracket after a value");
	assert_refused("{\"a\":tru}", "no JSON value where one must be");
	assert_refused("{\"a\":TRUE}", "no JSON value where one must be");
	assert_refused("{\"a\":truex}", "no comma or closing bracket after a value");
	assert_refused("{\"a\":nul", "no JSON value where one must be");
}

static void refuses_every_cut_of_a_good_text(void **state)
{
	static const char text[] = "{\"a\":[1,-2.5e3,\"\\ud83d\\ude00\xc3\xa9\"],\"b\":{\"c\":null,\"d\":true}}";

	for (size_t size = 0; size < sizeof(text) - 1; size++) {
		_cleanup_free_ char *cut = malloc(size + 1);
		json_object *object = NULL;
		const char *reason = NULL;

		memcpy(cut, text, size);
		assert_int_equal(json_parse_object(cut, size, &object, &reason), -EBADMSG);
		assert_non_null(reason);
	}
	assert_accepted(text);
}

static void refuses_single_quotes(void **state)
{
	assert_refused("{'a':1}", "no string in double quotes where one must be");
	assert_refused("{\"a\":'b'}", "no JSON value where one must be");
}

static void refuses_duplicate_keys(void **state)
{
	assert_refused("{\"a\":1,\"a\":1}", "duplicate key");
	assert_refused("{\"a\":1,\"\\u0061\":2}", "duplicate key");
	assert_refused("{\"a\":{\"b\":1,\"c\":2,\"b\":3}}", "duplicate key");
	assert_refused("{\"a\":[{},{\"b\":1,\"b\":1}]}", "duplicate key");
	/* The lost value had members of its own. */
	assert_refused("{\"a\":{\"x\":1},\"a\":{\"x\":1,\"y\":2}}", "duplicate key");
	assert_accepted("{\"a\":{\"b\":1},\"b\":{\"b\":1,\"a\":2}}");
}

static void refuses_nul_and_control_characters(void **state)
{
	static const char in_string[] = "{\"a\":\"b\0c\"}", in_key[] = "{\"a\0b\":1}", between[] = "{\"a\":1\0}";

	assert_refused_sized(in_string, sizeof(in_string) - 1, "control character in a string");
	assert_refused_sized(in_key, sizeof(in_key) - 1, "control character in a string");
	assert_refused_sized(between, sizeof(between) - 1, "no comma or closing bracket after a value");
	assert_refused("{\"a\":\"b\\u0000c\"}", "NUL in a string");
	assert_refused("{\"a\\u0000\":1}", "NUL in a string");
	assert_refused("{\"a\":\"line\nbreak\"}", "control character in a string");
	assert_refused("{\"a\":\"\x1f\"}", "control character in a string");
}

static void refuses_bad_escapes_and_surrogates(void **state)
{
	assert_refused("{\"a\":\"\\x\"}", "unknown escape in a string");
	assert_refused("{\"a\":\"\\'\"}", "unknown escape in a string");
	assert_refused("{\"a\":\"\\u12\"}", "malformed \\u escape");
	assert_refused("{\"a\":\"\\u12g4\"}", "malformed \\u escape");
	assert_refused("{\"a\":\"\\ud800\"}", "lone surrogate");
	assert_refused("{\"a\":\"\\ud800\\n\"}", "lone surrogate");
	assert_refused("{\"a\":\"\\ud800\\ud800\"}", "lone surrogate");
	assert_refused("{\"a\":\"\\ud800\\u0041\"}", "lone surrogate");
	assert_refused("{\"a\":\"\\udc00\"}", "lone surrogate");
	assert_refused("{\"a\":\"\\ud800\\u\"}", "lone surrogate");
	assert_refused("{\"a\":\"abc", "unterminated string");
	assert_refused("{\"a\":\"abc\\", "unknown escape in a string");
}

static void refuses_what_is_not_utf8(void **state)
{
	static const char *const bad[] = {
		"\x80",
		"\xc0\xaf",
		"\xc1\xbf",
		"\xc3",
		"\xe0\x9f\xbf",
		"\xed\xa0\x80",
		"\xf0\x8f\xbf\xbf",
		"\xf4\x90\x80\x80",
		"\xf5\x80\x80\x80",
		"\xff",
		"\xe2\x82",
		"\xe2\x28\xa1",
		"\xf0\x9f\x98",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char text[64];

		snprintf(text, sizeof(text), "{\"a\":\"%s\"}", bad[i]);
		assert_refused(text, "not UTF-8");
	}
}

static void refuses_malformed_numbers(void **state)
{
	static const char *const bad[] = { "01", "-", "-01", "1.", "1e", "1e+", "-a", "1.e5", "00" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char text[64];

		snprintf(text, sizeof(text), "{\"a\":%s}", bad[i]);
		assert_refused(text, "malformed number");
	}
	assert_refused("{\"a\":+1}", "no JSON value where one must be");
	assert_refused("{\"a\":.5}", "no JSON value where one must be");
	assert_refused("{\"a\":NaN}", "no JSON value where one must be");
	assert_refused("{\"a\":Infinity}", "no JSON value where one must be");
	assert_refused("{\"a\":-Infinity}", "malformed number");
	assert_refused("{\"a\":0x10}", "no comma or closing bracket after a value");
	assert_refused("{\"a\":12abc}", "no comma or closing bracket after a value");
}

static void refuses_numbers_that_64_bits_do_not_hold(void **state)
{
	assert_accepted("{\"a\":18446744073709551615,\"b\":-9223372036854775808}");
	assert_refused("{\"a\":18446744073709551616}", "number out of range");
	assert_refused("{\"a\":-9223372036854775809}", "number out of range");
	assert_refused("{\"a\":99999999999999999999999999999999999999}", "number out of range");
	assert_refused("{\"a\":1e400}", "number out of range");
	assert_refused("{\"a\":-1e20}", "number out of range");
	assert_refused("{\"a\":1.00000000000000000000000000000000000000000001}", "number out of range");
}

static void nested(char *text, size_t depth)
{
	size_t n = 0;

	n += sprintf(text, "{\"a\":");
	for (size_t i = 1; i < depth; i++)
		text[n++] = '[';
	for (size_t i = 1; i < depth; i++)
		text[n++] = ']';
	text[n++] = '}';
	text[n] = '\0';
}

static void refuses_deep_nesting(void **state)
{
	char text[4096];

	nested(text, JSON_DEPTH_MAX);
	assert_accepted(text);
	assert_accepted("{\"a\":[[[[[[[1,\"x\",null]]]]]]]}");
	nested(text, JSON_DEPTH_MAX + 1);
	assert_refused(text, "nested too deep");
	nested(text, 1500);
	assert_refused(text, "nested too deep");
}

static void refuses_floods_of_tokens(void **state)
{
	/* The object, the key, the array and its items. */
	for (int n = JSON_TOKENS_MAX - 3; n <= JSON_TOKENS_MAX - 2; n++) {
		_cleanup_free_ char *text = calloc(1, 4 * JSON_TOKENS_MAX);
		size_t used = sprintf(text, "{\"a\":[");

		for (int i = 0; i < n; i++)
			used += sprintf(text + used, "%s{}", i ? "," : "");
		strcpy(text + used, "]}");
		if (n == JSON_TOKENS_MAX - 3)
			assert_accepted(text);
		else
			assert_refused(text, "too many values and keys");
	}
}

static void decodes_every_type(void **state)
{
	_cleanup_(cleanup_json) json_object *object = NULL;
	struct sample sample = { 0 };
	const char *field = NULL;

	assert_int_equal(decode("{\"name\":\"n\",\"enabled\":true,\"small\":4294967294,"
				"\"large\":18446744073709551614,\"list\":[\"x\",\"y\"],\"object\":{\"k\":1}}",
				&object, &sample, &field),
			 0);
	assert_null(field);
	assert_string_equal(sample.name, "n");
	assert_true(sample.enabled);
	assert_int_equal(sample.small, UINT32_MAX - 1);
	assert_true(sample.large == UINT64_MAX - 1);
	assert_int_equal(sample.list.n, 2);
	assert_string_equal(sample.list.items[0], "x");
	assert_string_equal(sample.list.items[1], "y");
	assert_int_equal(json_object_object_length(sample.object), 1);
}

static void assert_all_absent(const struct sample *sample)
{
	assert_null(sample->name);
	assert_false(sample->enabled);
	assert_true(sample->small == UINT32_MAX);
	assert_true(sample->large == UINT64_MAX);
	assert_int_equal(sample->list.n, 0);
	assert_null(sample->object);
}

static void decodes_absence_and_null_alike(void **state)
{
	_cleanup_(cleanup_json) json_object *object = NULL;
	struct sample sample;
	const char *field = NULL;

	memset(&sample, 0x5a, sizeof(sample));
	assert_int_equal(json_decode(NULL, sample_fields, ARRAY_SIZE(sample_fields), &sample, &field), 0);
	assert_all_absent(&sample);
	memset(&sample, 0x5a, sizeof(sample));
	assert_int_equal(decode("{\"name\":null,\"enabled\":null,\"small\":null,\"large\":null,\"list\":null,"
				"\"object\":null}",
				&object, &sample, &field),
			 0);
	assert_all_absent(&sample);
}

static void refuses_wrong_types(void **state)
{
	assert_field_refused("{\"name\":1}", "name");
	assert_field_refused("{\"name\":[\"a\"]}", "name");
	assert_field_refused("{\"enabled\":1}", "enabled");
	assert_field_refused("{\"enabled\":\"true\"}", "enabled");
	assert_field_refused("{\"small\":\"12abc\"}", "small");
	assert_field_refused("{\"small\":\"12\"}", "small");
	assert_field_refused("{\"small\":1.0}", "small");
	assert_field_refused("{\"small\":1e2}", "small");
	assert_field_refused("{\"small\":true}", "small");
	assert_field_refused("{\"large\":{}}", "large");
	assert_field_refused("{\"list\":\"a\"}", "list");
	assert_field_refused("{\"list\":[\"a\",1]}", "list");
	assert_field_refused("{\"list\":[null]}", "list");
	assert_field_refused("{\"list\":{}}", "list");
	assert_field_refused("{\"object\":[]}", "object");
	assert_field_refused("{\"object\":\"{}\"}", "object");
}

static void refuses_numbers_out_of_range(void **state)
{
	assert_field_refused("{\"small\":-1}", "small");
	assert_field_refused("{\"small\":4294967295}", "small");
	assert_field_refused("{\"small\":4294967296}", "small");
	assert_field_refused("{\"small\":18446744073709551615}", "small");
	assert_field_refused("{\"large\":-1}", "large");
	assert_field_refused("{\"large\":-9223372036854775808}", "large");
	assert_field_refused("{\"large\":18446744073709551615}", "large");
}

static void refuses_a_list_that_is_too_long(void **state)
{
	for (int n = JSON_LIST_MAX; n <= JSON_LIST_MAX + 1; n++) {
		_cleanup_(cleanup_json) json_object *object = NULL;
		struct sample sample = { 0 };
		const char *field = NULL;
		char text[1024];
		size_t used = sprintf(text, "{\"list\":[");

		for (int i = 0; i < n; i++)
			used += sprintf(text + used, "%s\"x\"", i ? "," : "");
		strcpy(text + used, "]}");
		assert_int_equal(decode(text, &object, &sample, &field), n > JSON_LIST_MAX ? -EINVAL : 0);
	}
}

static void names_unknown_and_missing_fields(void **state)
{
	static const struct json_field required[] = {
		{ "name", JSON_FIELD_STRING, offsetof(struct sample, name), true },
	};
	_cleanup_(cleanup_json) json_object *null_name = parse("{\"name\":null}");
	struct sample sample = { 0 };
	const char *field = NULL;

	assert_field_refused("{\"name\":\"a\",\"nmae\":\"b\"}", "nmae");
	assert_field_refused("{\"Name\":\"a\"}", "Name");
	assert_int_equal(json_decode(NULL, required, 1, &sample, &field), -EINVAL);
	assert_string_equal(field, "name");
	field = NULL;
	assert_int_equal(json_decode(null_name, required, 1, &sample, &field), -EINVAL);
	assert_string_equal(field, "name");
}

/* Some callers build objects by hand: a string that C would cut short is refused there too. */
static void refuses_a_string_that_c_would_cut(void **state)
{
	_cleanup_(cleanup_json) json_object *object = json_object_new_object();
	struct sample sample = { 0 };
	const char *field = NULL;

	json_object_object_add(object, "name", json_object_new_string_len("a\0b", 3));
	assert_int_equal(json_decode(object, sample_fields, ARRAY_SIZE(sample_fields), &sample, &field), -EINVAL);
	assert_string_equal(field, "name");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_what_the_standard_allows),
		cmocka_unit_test(refuses_what_is_no_object),
		cmocka_unit_test(refuses_broken_structure),
		cmocka_unit_test(refuses_every_cut_of_a_good_text),
		cmocka_unit_test(refuses_single_quotes),
		cmocka_unit_test(refuses_duplicate_keys),
		cmocka_unit_test(refuses_nul_and_control_characters),
		cmocka_unit_test(refuses_bad_escapes_and_surrogates),
		cmocka_unit_test(refuses_what_is_not_utf8),
		cmocka_unit_test(refuses_malformed_numbers),
		cmocka_unit_test(refuses_numbers_that_64_bits_do_not_hold),
		cmocka_unit_test(refuses_deep_nesting),
		cmocka_unit_test(refuses_floods_of_tokens),
		cmocka_unit_test(decodes_every_type),
		cmocka_unit_test(decodes_absence_and_null_alike),
		cmocka_unit_test(refuses_wrong_types),
		cmocka_unit_test(refuses_numbers_out_of_range),
		cmocka_unit_test(refuses_a_list_that_is_too_long),
		cmocka_unit_test(names_unknown_and_missing_fields),
		cmocka_unit_test(refuses_a_string_that_c_would_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
