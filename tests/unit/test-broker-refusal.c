/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A refusal owns its texts and lists, and lets go of them once; which error each kind is, is test-varlink-errors.c's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "broker/refusal.h"

static void sets_kind_and_message(void **state)
{
	struct refusal refusal = { .group = 3 };

	assert_int_equal(refusal.kind, REFUSAL_NONE);
	refusal_set(&refusal, REFUSAL_BUSY, "%s: group %u", "0000:01:00.0", 3);
	assert_int_equal(refusal.kind, REFUSAL_BUSY);
	assert_string_equal(refusal.message, "0000:01:00.0: group 3");
	assert_int_equal(refusal.group, 3);
	/* The last word counts. */
	refusal_set(&refusal, REFUSAL_TIMED_OUT, "late");
	assert_int_equal(refusal.kind, REFUSAL_TIMED_OUT);
	assert_string_equal(refusal.message, "late");
	refusal_clear(&refusal);
}

static void a_message_that_is_too_long_is_cut(void **state)
{
	struct refusal refusal = { .kind = REFUSAL_NONE };
	char text[2000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	refusal_set(&refusal, REFUSAL_DENIED, "%s", text);
	assert_int_equal(strlen(refusal.message), sizeof(refusal.message) - 1);
	assert_string_equal(refusal.device, "");
	refusal_clear(&refusal);
}

static void clearing_frees_everything_once(void **state)
{
	static const struct refusal empty;
	struct blocker blocker = { .kind = BLOCKER_NO_IOMMU };
	struct refusal refusal = { .kind = REFUSAL_NONE };

	refusal_set(&refusal, REFUSAL_NOT_VIABLE, "message");
	refusal.file = strdup("file");
	refusal.label = strdup("red");
	refusal.other_label = strdup("blue");
	assert_int_equal(verdict_add(&refusal.verdict, &blocker), 0);
	refusal.bystanders.list = calloc(2, sizeof(*refusal.bystanders.list));
	refusal.bystanders.n = 2;
	refusal_clear(&refusal);
	assert_int_equal(refusal.kind, REFUSAL_NONE);
	assert_string_equal(refusal.message, "");
	assert_null(refusal.file);
	assert_null(refusal.label);
	assert_null(refusal.other_label);
	assert_int_equal(refusal.verdict.n_blockers, 0);
	assert_int_equal(refusal.bystanders.n, empty.bystanders.n);
	refusal_clear(&refusal);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(sets_kind_and_message),
		cmocka_unit_test(a_message_that_is_too_long_is_cut),
		cmocka_unit_test(clearing_frees_everything_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
