/* SPDX-License-Identifier: GPL-2.0-or-later */
/* That the checker of tests/lib/varlink-idl.h would notice, or the tests that rest on it show nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "varlink-idl.h"

static const char text[] = "# comment with (brackets, and: colons)\n"
			   "interface org.example\n"
			   "type Colour (red, green)\n"
			   "type Point (x: int, y: ?int, tags: []string, colour: ?Colour, kind: (a, b))\n"
			   "method Move(from: Point, speed: ?int) -> (points: []Point, ok: bool, at: ?Point)\n"
			   "method Nothing() -> ()\n"
			   "error Broken (where: ?string, list: [](n: int), ghost: ?Ghost)\n";

#define POINT "{\"x\":1,\"y\":null,\"tags\":[\"t\"],\"colour\":\"red\",\"kind\":\"b\"}"

static void expect(enum idl_member_kind kind, const char *name, const char *json, const char *said)
{
	struct idl *idl = idl_parse(text);
	json_object *value = json_tokener_parse(json);
	const char *wrong;

	assert_non_null(value);
	wrong = idl_check(idl, kind, name, value);
	if (said) {
		assert_non_null(wrong);
		assert_string_equal(wrong, said);
	} else if (wrong) {
		fail_msg("%s", wrong);
	}
	json_object_put(value);
	idl_free(idl);
}

static void takes_what_is_declared(void **state)
{
	expect(IDL_TYPE, "Point", POINT, NULL);
	expect(IDL_TYPE, "Point", "{\"x\":1,\"y\":2,\"tags\":[],\"colour\":null,\"kind\":\"a\"}", NULL);
	expect(IDL_METHOD, "Move", "{\"points\":[" POINT "," POINT "],\"ok\":true,\"at\":" POINT "}", NULL);
	expect(IDL_METHOD, "Move", "{\"points\":[],\"ok\":false,\"at\":null}", NULL);
	expect(IDL_METHOD, "Nothing", "{}", NULL);
	expect(IDL_ERROR, "Broken", "{\"where\":\"\",\"list\":[{\"n\":1}],\"ghost\":null}", NULL);
}

static void notices_what_is_missing_or_too_much(void **state)
{
	expect(IDL_TYPE, "Point", "{\"x\":1,\"tags\":[],\"colour\":null,\"kind\":\"a\"}",
	       "Point.y: declared and missing");
	expect(IDL_METHOD, "Nothing", "{\"a\":null}", "Nothing: a is there and not declared");
	expect(IDL_ERROR, "Broken", "{\"where\":null,\"list\":[{\"n\":1},{}],\"ghost\":null}",
	       "Broken.list[1].n: declared and missing");
	expect(IDL_ERROR, "Missing", "{}", "Missing: not declared");
	expect(IDL_ERROR, "Move", "{}", "Move: not declared");
}

static void notices_wrong_types(void **state)
{
	expect(IDL_METHOD, "Move", "{\"points\":[],\"ok\":1,\"at\":null}", "Move.ok: int where boolean is declared");
	expect(IDL_METHOD, "Move", "{\"points\":{},\"ok\":true,\"at\":null}",
	       "Move.points: object where array is declared");
	expect(IDL_METHOD, "Move", "{\"points\":[\"\"],\"ok\":true,\"at\":null}",
	       "Move.points[0]: string where object is declared");
	expect(IDL_TYPE, "Point", "{\"x\":\"1\",\"y\":null,\"tags\":[],\"colour\":null,\"kind\":\"a\"}",
	       "Point.x: string where int is declared");
	expect(IDL_TYPE, "Point", "{\"x\":1.0,\"y\":null,\"tags\":[],\"colour\":null,\"kind\":\"a\"}",
	       "Point.x: double where int is declared");
	expect(IDL_TYPE, "Point", "{\"x\":1,\"y\":null,\"tags\":[1],\"colour\":null,\"kind\":\"a\"}",
	       "Point.tags[0]: int where string is declared");
	expect(IDL_ERROR, "Broken", "{\"where\":null,\"list\":[],\"ghost\":{}}",
	       "Broken.ghost: the type Ghost is nowhere declared");
}

static void notices_nulls_and_values_that_are_not_declared(void **state)
{
	expect(IDL_TYPE, "Point", "{\"x\":null,\"y\":null,\"tags\":[],\"colour\":null,\"kind\":\"a\"}",
	       "Point.x: null where that is not declared");
	expect(IDL_TYPE, "Point", "{\"x\":1,\"y\":null,\"tags\":[null],\"colour\":null,\"kind\":\"a\"}",
	       "Point.tags[0]: null where that is not declared");
	expect(IDL_TYPE, "Point", "{\"x\":1,\"y\":null,\"tags\":[],\"colour\":\"blue\",\"kind\":\"a\"}",
	       "Point.colour: 'blue' is none of the values");
	expect(IDL_TYPE, "Point", "{\"x\":1,\"y\":null,\"tags\":[],\"colour\":null,\"kind\":\"c\"}",
	       "Point.kind: 'c' is none of the values");
}

static void notices_text_that_is_no_utf8(void **state)
{
	assert_true(text_is_utf8("") && text_is_utf8("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"));
	assert_false(text_is_utf8("\xc3"));
	assert_false(text_is_utf8("\xa4"));
	assert_false(text_is_utf8("\xc0\x80"));
	assert_false(text_is_utf8("\xe2\x82"));
	assert_false(text_is_utf8("\xed\xa0\x80"));
	assert_false(text_is_utf8("\xf5\x80\x80\x80"));
	expect(IDL_ERROR, "Broken", "{\"where\":\"\xc3\",\"list\":[],\"ghost\":null}", "Broken.where: no UTF-8");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_what_is_declared),
		cmocka_unit_test(notices_what_is_missing_or_too_much),
		cmocka_unit_test(notices_wrong_types),
		cmocka_unit_test(notices_nulls_and_values_that_are_not_declared),
		cmocka_unit_test(notices_text_that_is_no_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
