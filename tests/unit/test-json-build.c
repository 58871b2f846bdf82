/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Objects as they come out, and that a failure at any step is one failure at the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/json-build.h"

static void assert_built(struct json_build *build, const char *expected)
{
	json_object *object = json_build_end(build);

	assert_non_null(object);
	assert_string_equal(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN), expected);
	assert_null(build->object);
	json_object_put(object);
}

static void builds_objects_of_every_type(void **state)
{
	struct json_build build = json_build_object(), inner = json_build_object();

	json_build_text(&build, "text", "a\"b");
	json_build_text(&build, "none", NULL);
	json_build_number(&build, "min", INT64_MIN);
	json_build_number(&build, "max", INT64_MAX);
	json_build_bool(&build, "yes", true);
	json_build_bool(&build, "no", false);
	json_build_null(&build, "null");
	json_build_number(&inner, "n", 1);
	json_build_add(&build, "inner", json_build_end(&inner));
	assert_built(&build,
		     "{\"text\":\"a\\\"b\",\"none\":null,\"min\":-9223372036854775808,"
		     "\"max\":9223372036854775807,\"yes\":true,\"no\":false,\"null\":null,\"inner\":{\"n\":1}}");
}

static void builds_lists(void **state)
{
	struct json_build build = json_build_array(), empty = json_build_array();

	json_build_text(&build, NULL, "a");
	json_build_number(&build, NULL, 2);
	json_build_bool(&build, NULL, true);
	json_build_null(&build, NULL);
	json_build_text(&build, NULL, NULL);
	json_build_add(&build, NULL, json_build_end(&empty));
	assert_built(&build, "[\"a\",2,true,null,null,[]]");
}

static void absent_values_are_null(void **state)
{
	struct json_build build = json_build_object();

	json_build_text_or_null(&build, "a", NULL);
	json_build_text_or_null(&build, "b", "");
	json_build_text_or_null(&build, "c", "x");
	json_build_number_or_null(&build, "d", -1);
	json_build_number_or_null(&build, "e", INT64_MIN);
	json_build_number_or_null(&build, "f", 0);
	json_build_text(&build, "g", "");
	json_build_number(&build, "h", -1);
	assert_built(&build, "{\"a\":null,\"b\":null,\"c\":\"x\",\"d\":null,\"e\":null,\"f\":0,\"g\":\"\",\"h\":-1}");
}

static void empty_ones_are_empty(void **state)
{
	struct json_build object = json_build_object(), array = json_build_array();

	assert_built(&object, "{}");
	assert_built(&array, "[]");
}

/* The sanitizer would tell of anything that is not freed. */
static void what_failed_once_comes_to_nothing(void **state)
{
	struct json_build build = json_build_object(), outer = json_build_array(), unbegun = { .failed = true };

	json_build_text(&build, "a", "b");
	json_build_add(&build, "b", NULL); /* what an allocation that failed looks like */
	assert_true(build.failed);
	json_build_text(&build, "c", "d");
	json_build_number(&build, "e", 1);
	json_build_null(&build, "f");
	json_build_add(&build, "g", json_object_new_object());
	json_build_add(&outer, NULL, json_build_end(&build));
	assert_true(outer.failed);
	assert_null(json_build_end(&outer));
	json_build_bool(&unbegun, "a", true);
	json_build_null(&unbegun, "b");
	assert_null(json_build_end(&unbegun));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(builds_objects_of_every_type),
		cmocka_unit_test(builds_lists),
		cmocka_unit_test(absent_values_are_null),
		cmocka_unit_test(empty_ones_are_empty),
		cmocka_unit_test(what_failed_once_comes_to_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
