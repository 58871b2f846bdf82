/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What somebody may have meant, which exit code a refusal has, and fields of replies that are not what they should be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "iommuctl/errors.h"
#include "iommuctl/suggest.h"
#include "util/cleanup.h"

static const char *const verbs[] = { "list", "groups", "describe", "explain", "acquire", "run", "status", "monitor" };

static void assert_suggests(const char *text, const char *expected)
{
	const char *found = suggest(text, verbs, ARRAY_SIZE(verbs));

	if (expected)
		assert_string_equal(found ? found : "nothing", expected);
	else
		assert_null(found);
}

static void near_names_are_suggested(void **state)
{
	assert_suggests("lst", "list");
	assert_suggests("lsit", "list");
	assert_suggests("lists", "list");
	assert_suggests("group", "groups");
	assert_suggests("aquire", "acquire");
	assert_suggests("acqiure", "acquire");
	assert_suggests("stauts", "status");
	assert_suggests("desc", "describe");
	assert_suggests("rnu", "run");
	assert_suggests("list", "list");
}

static void far_names_are_not_suggested(void **state)
{
	assert_suggests("", NULL);
	assert_suggests("frobnicate", NULL);
	assert_suggests("xyz", NULL);
	assert_suggests("monotoring-them-all", NULL);
	assert_suggests("a-name-that-is-longer-than-any-verb-can-be", NULL);
}

static void every_refusal_has_its_exit_code(void **state)
{
	static const struct {
		enum iommud_error error;
		int code;
	} codes[] = {
		{ IOMMUD_ERROR_NONE, 1 },
		{ IOMMUD_ERROR_OTHER, 1 },
		{ IOMMUD_ERROR_NO_SUCH_DEVICE, 1 },
		{ IOMMUD_ERROR_NO_SUCH_LEASE, 1 },
		{ IOMMUD_ERROR_DENIED, 3 },
		{ IOMMUD_ERROR_NOT_VIABLE, 5 },
		{ IOMMUD_ERROR_CONSENT_REQUIRED, 3 },
		{ IOMMUD_ERROR_NOT_SINGLETON, 3 },
		{ IOMMUD_ERROR_LABEL_MISMATCH, 4 },
		{ IOMMUD_ERROR_BUSY, 4 },
		{ IOMMUD_ERROR_BACKEND_UNAVAILABLE, 1 },
		{ IOMMUD_ERROR_QUOTA_EXCEEDED, 3 },
		{ IOMMUD_ERROR_TIMED_OUT, 6 },
		{ IOMMUD_ERROR_PREPARE_FAILED, 1 },
		{ IOMMUD_ERROR_INVALID_CALL, 1 },
		{ (enum iommud_error)1000, 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		assert_int_equal(exit_code_of(codes[i].error), codes[i].code);
}

static void fields_of_another_type_are_not_there(void **state)
{
	_cleanup_object_ json_object *object =
		json_tokener_parse("{\"text\":\"a\",\"number\":5,\"flag\":true,\"list\":[\"x\",7,null],\"none\":null,"
				   "\"object\":{\"b\":1},\"empty\":[]}");
	_cleanup_free_ char *joined = NULL;

	assert_string_equal(reply_text(object, "text"), "a");
	assert_int_equal(reply_number(object, "number"), 5);
	assert_true(reply_true(object, "flag"));
	assert_int_equal(reply_count(object, "list"), 3);
	assert_string_equal(reply_item_text(object, "list", 0), "x");
	assert_int_equal(reply_number(reply_object(object, "object"), "b"), 1);
	joined = reply_join(object, "list");
	assert_string_equal(joined, "x, 7, -");

	assert_null(reply_text(object, "number"));
	assert_null(reply_text(object, "none"));
	assert_null(reply_text(object, "missing"));
	assert_null(reply_text(NULL, "text"));
	assert_int_equal(reply_number(object, "text"), -1);
	assert_false(reply_true(object, "text"));
	assert_false(reply_true(object, "missing"));
	assert_int_equal(reply_count(object, "text"), 0);
	assert_null(reply_item(object, "text", 0));
	assert_null(reply_item_text(object, "list", 1));
	assert_null(reply_item_text(object, "list", 3));
	assert_null(reply_object(object, "list"));
	assert_null(reply_join(object, "empty"));
	assert_null(reply_join(object, "missing"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(near_names_are_suggested),
		cmocka_unit_test(far_names_are_not_suggested),
		cmocka_unit_test(every_refusal_has_its_exit_code),
		cmocka_unit_test(fields_of_another_type_are_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
