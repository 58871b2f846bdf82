/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One label a group: which groups of a machine a policy's labels are at odds in, and what is said about it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "broker-rig.h"
#include "broker/labels.h"
#include "fail-alloc.h"

#define RULE(match, user, label) \
	"[Match]\n" match "\n[Client]\nUser=" user "\n[Grant]\nAction=allow\nGroupScope=whole\nLabel=" label "\n"

static struct rig rig;

static int setup(void **state)
{
	rig_start(&rig, RULE("Address=0000:02:00.0", "1", "none"));
	return 0;
}

static int teardown(void **state)
{
	rig_stop(&rig);
	return 0;
}

static const struct group *group_of(const char *address)
{
	return registry_find_device(rig.registry, address)->group;
}

static void assert_agree(const char *text)
{
	struct policy *policy = rig_policy(text);
	struct label_conflict conflict = { .message = "untouched" };

	assert_int_equal(labels_find_conflict(policy, NULL, group_of(SLOT_NIC), &conflict), 0);
	assert_int_equal(labels_find_any_conflict(policy, NULL, rig.registry, &conflict), 0);
	assert_string_equal(conflict.message, "untouched");
	policy_free(policy);
}

static void labels_that_agree_are_no_conflict(void **state)
{
	assert_agree(RULE("Address=0000:03:00.*", "1000", "red"));
	assert_agree(RULE("Address=0000:03:00.0", "1000", "red") RULE("Address=0000:03:00.*", "1000", "red"));
	assert_agree(RULE("Address=0000:03:00.*", "1000", "red") RULE("Address=0000:03:00.*", "1001", "blue"));
	/* Devices of different groups may differ. */
	assert_agree(RULE("Address=0000:01:*", "1000", "red") RULE("Address=0000:02:*", "1000", "blue"));
}

static void names_both_rules_and_both_members(void **state)
{
	struct policy *policy =
		rig_policy(RULE("Address=0000:03:00.0", "1000", "red") RULE("Address=0000:03:00.2", "1000", "blue"));
	struct label_conflict conflict;

	assert_int_equal(labels_find_conflict(policy, NULL, group_of(SLOT_NIC), &conflict), 1);
	assert_string_equal(conflict.device, SLOT_EDU);
	assert_non_null(strstr(conflict.message, "t.policy:1: label 'red' for " SLOT_NIC ", but "));
	assert_non_null(strstr(conflict.message, "t.policy:9 gives 'blue' to " SLOT_EDU ", and both are in group 3"));
	policy_free(policy);
}

static void a_label_and_none_are_at_odds(void **state)
{
	struct policy *policy =
		rig_policy(RULE("Address=0000:03:00.0", "1000", "red") RULE("Address=0000:03:00.1", "1000", "none"));
	struct label_conflict conflict;

	assert_int_equal(labels_find_conflict(policy, NULL, group_of(SLOT_NIC), &conflict), 1);
	assert_non_null(strstr(conflict.message, "'none'"));
	policy_free(policy);
}

static void groups_of_one_device_have_no_conflict(void **state)
{
	struct policy *policy = rig_policy(RULE("Address=*", "1000", "red"));
	struct label_conflict conflict;

	/* Nothing is allocated for them, so that there is nothing to fail. */
	fail_alloc_begin(1);
	assert_int_equal(labels_find_conflict(policy, NULL, group_of(NIC), &conflict), 0);
	assert_false(fail_alloc_end());
	policy_free(policy);
}

static void finds_the_one_group_among_all(void **state)
{
	struct policy *policy =
		rig_policy(RULE("Address=0000:03:00.1", "1000", "red") RULE("Vendor=8086", "1000", "blue"));
	struct label_conflict conflict;

	assert_int_equal(labels_find_any_conflict(policy, NULL, rig.registry, &conflict), 1);
	assert_non_null(strstr(conflict.message, "group 3"));
	policy_free(policy);
}

static void without_memory_nobody_says_that_they_agree(void **state)
{
	struct policy *policy = rig_policy(RULE("Address=*", "1000", "red"));
	struct label_conflict conflict;

	fail_alloc_begin(1);
	assert_int_equal(labels_find_any_conflict(policy, NULL, rig.registry, &conflict), -ENOMEM);
	assert_true(fail_alloc_end());
	policy_free(policy);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(labels_that_agree_are_no_conflict),
		cmocka_unit_test(names_both_rules_and_both_members),
		cmocka_unit_test(a_label_and_none_are_at_odds),
		cmocka_unit_test(groups_of_one_device_have_no_conflict),
		cmocka_unit_test(finds_the_one_group_among_all),
		cmocka_unit_test(without_memory_nobody_says_that_they_agree),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
