/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Members of one group that one client would get under different labels. */
#include "policy/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "policy-text.h"
#include "util/cleanup.h"

#define NIC "[Match]\nVendor=8086\n"
#define GPU "[Match]\nVendor=10de\n"
#define ALL "[Match]\nAddress=*\n"
#define USER(user) "[Client]\nUser=" user "\n"
#define ALLOW "[Grant]\nAction=allow\n"
#define DENY "[Grant]\nAction=deny\n"

static const struct policy_subject members[] = {
	{ .id = &test_nic, .driver = "e1000e" },
	{ .id = &test_gpu, .driver = "" },
};

static bool find(const char *text, struct policy_label_conflict *ret)
{
	struct policy_label_conflict conflict;
	struct policy_report report; /* may warn of rules that never decide: that is what some tests are about */
	struct policy *policy;
	bool found;

	assert_int_equal(policy_from_text(text, &policy, &report), 0);
	policy_report_clear(&report);
	found = policy_find_label_conflict(policy, members, ARRAY_SIZE(members), &conflict);
	if (found) {
		/* Texts are the policy's, which goes: they are looked at here. */
		assert_string_equal(conflict.first_file, "t.policy");
		assert_string_equal(conflict.second_file, "t.policy");
		assert_int_equal(conflict.first, 0);
		assert_int_equal(conflict.second, 1);
		*ret = conflict;
	}
	policy_free(policy);
	return found;
}

static void assert_no_conflict(const char *text)
{
	struct policy_label_conflict conflict;

	assert_false(find(text, &conflict));
}

static void assert_conflict(const char *text, unsigned int first_line, unsigned int second_line)
{
	struct policy_label_conflict conflict;

	assert_true(find(text, &conflict));
	assert_int_equal(conflict.first_line, first_line);
	assert_int_equal(conflict.second_line, second_line);
}

static void finds_two_labels_for_one_client(void **state)
{
	struct policy_label_conflict conflict;
	struct policy *policy =
		policy_must_load(NIC USER("1000") ALLOW "Label=net\n" GPU USER("1000") ALLOW "Label=gpu\n");

	assert_true(policy_find_label_conflict(policy, members, 2, &conflict));
	assert_int_equal(conflict.first, 0);
	assert_int_equal(conflict.second, 1);
	assert_string_equal(conflict.first_label, "net");
	assert_string_equal(conflict.second_label, "gpu");
	assert_string_equal(conflict.first_file, "t.policy");
	assert_int_equal(conflict.first_line, 1);
	assert_string_equal(conflict.second_file, "t.policy");
	assert_int_equal(conflict.second_line, 8);
	policy_free(policy);
}

static void counts_no_label_as_another_label(void **state)
{
	struct policy_label_conflict conflict;
	struct policy *policy = policy_must_load(NIC USER("*") ALLOW GPU USER("*") ALLOW "Label=gpu\n");

	assert_true(policy_find_label_conflict(policy, members, 2, &conflict));
	assert_null(conflict.first_label);
	assert_string_equal(conflict.second_label, "gpu");
	policy_free(policy);
}

static void counts_peer_as_another_label_than_a_static_one(void **state)
{
	struct policy_label_conflict conflict;
	struct policy *policy = policy_must_load(NIC USER("*") ALLOW "Label=peer\n" GPU USER("*") ALLOW "Label=gpu\n");

	assert_true(policy_find_label_conflict(policy, members, 2, &conflict));
	assert_string_equal(conflict.first_label, "peer");
	assert_string_equal(conflict.second_label, "gpu");
	policy_free(policy);
	assert_conflict(NIC USER("*") ALLOW "Label=peer\n" GPU USER("*") ALLOW, 1, 8);
}

static void finds_peace_where_labels_agree(void **state)
{
	assert_no_conflict(NIC USER("*") ALLOW GPU USER("*") ALLOW);
	assert_no_conflict(NIC USER("*") ALLOW "Label=none\n" GPU USER("*") ALLOW);
	assert_no_conflict(NIC USER("*") ALLOW "Label=one\n" GPU USER("*") ALLOW "Label=one\n");
	assert_no_conflict(NIC USER("*") ALLOW "Label=peer\n" GPU USER("*") ALLOW "Label=peer\n");
}

static void different_clients_may_have_different_labels(void **state)
{
	assert_no_conflict(NIC USER("1000") ALLOW "Label=net\n" GPU USER("1001") ALLOW "Label=gpu\n");
	assert_no_conflict(ALL USER("1000") ALLOW "Label=a\n" ALL USER("1001") ALLOW "Label=b\n");
	assert_no_conflict(NIC "[Client]\nGroup=44\n" ALLOW "Label=net\n" GPU USER("44") ALLOW "Label=gpu\n");
}

static void a_rule_for_everybody_meets_each_client(void **state)
{
	assert_conflict(NIC USER("1000") ALLOW "Label=net\n" GPU USER("*") ALLOW "Label=gpu\n", 1, 8);
	assert_conflict(GPU USER("*") ALLOW "Label=gpu\n" NIC USER("1000") ALLOW "Label=net\n", 8, 1);
	assert_conflict(GPU "[Client]\nGroup=*\nUser=1 *\n" ALLOW "Label=gpu\n" NIC USER("1000") ALLOW "Label=net\n", 9,
			1);
}

static void a_client_is_the_same_in_any_spelling(void **state)
{
	assert_conflict(NIC USER("0 1") ALLOW "Label=a\n" GPU USER("daemon,root") ALLOW "Label=b\n", 1, 8);
	assert_conflict(NIC USER("1000\nGroup=*") ALLOW "Label=a\n" GPU USER("1000") ALLOW "Label=b\n", 1, 9);
	assert_no_conflict(NIC USER("1000 1001") ALLOW "Label=a\n" GPU USER("1002") ALLOW "Label=b\n");
}

static void only_the_rule_that_decides_counts(void **state)
{
	/* The first allow for the card hides the second one, which would conflict. */
	assert_no_conflict(GPU USER("1000") ALLOW "Label=a\n" NIC USER("1000") ALLOW
			   "Label=a\n"
			   "[Match]\nDevice=2204\nVendor=*\n" USER("1000") ALLOW "Label=b\n");
	/* An earlier rule for everybody decides before the client's own. */
	assert_no_conflict(ALL USER("*") ALLOW "Label=a\n" GPU USER("1000") ALLOW "Label=b\n");
}

static void a_denied_member_has_no_label(void **state)
{
	assert_no_conflict(GPU USER("1000") DENY NIC USER("1000") ALLOW "Label=net\n"
									"[Match]\nClass=03\n" USER("1000 1") ALLOW
			   "Label=gpu\n");
	assert_no_conflict(NIC USER("*") ALLOW "Label=net\n");
	assert_no_conflict(GPU USER("*") DENY NIC USER("*") ALLOW "Label=a\n[Match]\nClass=03\n" USER("5") ALLOW
			   "Label=b\n");
}

static void finds_the_pair_among_many(void **state)
{
	struct policy *policy = policy_must_load("[Match]\nDevice=0001\n" USER("7") ALLOW
						 "Label=x\n"
						 "[Match]\nVendor=8086\n" USER("7") ALLOW "Label=y\n");
	struct device_id ids[5] = {
		{ .vendor = 1, .device = 2 },      { .vendor = 0x8086, .device = 2 }, { .vendor = 1, .device = 3 },
		{ .vendor = 0x8086, .device = 4 }, { .vendor = 1, .device = 1 },
	};
	struct policy_subject five[5];
	struct policy_label_conflict conflict;

	for (size_t i = 0; i < 5; i++)
		five[i] = (struct policy_subject){ .id = &ids[i], .driver = "" };
	assert_true(policy_find_label_conflict(policy, five, 5, &conflict));
	assert_int_equal(conflict.first, 1);
	assert_int_equal(conflict.second, 4);
	assert_string_equal(conflict.first_label, "y");
	assert_string_equal(conflict.second_label, "x");
	assert_false(policy_find_label_conflict(policy, five, 4, &conflict));
	policy_free(policy);
}

static void a_group_of_one_or_none_has_no_conflict(void **state)
{
	struct policy *policy = policy_must_load(NIC USER("*") ALLOW "Label=a\n" GPU USER("*") ALLOW "Label=b\n");
	struct policy_label_conflict conflict;

	assert_false(policy_find_label_conflict(policy, members, 1, &conflict));
	assert_false(policy_find_label_conflict(policy, NULL, 0, &conflict));
	policy_free(policy);
}

static void an_empty_policy_has_no_conflict(void **state)
{
	struct policy_label_conflict conflict;
	struct policy *policy;

	assert_int_equal(policy_new_empty(&policy), 0);
	assert_false(policy_find_label_conflict(policy, members, 2, &conflict));
	policy_free(policy);
}

/* The finder walks chains; a plain walk over all rules for each client that a rule names must see the same. */
static bool conflict_by_asking(const struct policy *policy, uid_t n_users)
{
	for (uid_t uid = 1; uid <= n_users; uid++) {
		struct policy_decision nic = policy_ask(policy, &test_nic, "e1000e", uid);
		struct policy_decision gpu = policy_ask(policy, &test_gpu, "", uid);

		if (nic.action == POLICY_DENY || gpu.action == POLICY_DENY)
			continue;
		if (nic.label_kind != gpu.label_kind || (nic.label && strcmp(nic.label, gpu.label) != 0))
			return true;
	}
	return false;
}

static void agrees_with_asking_for_each_client(void **state)
{
	static const char *const matches[] = { "Vendor=8086", "Vendor=10de", "Address=*", "Class=03", "Driver=none" };
	static const char *const users[] = { "1", "2", "3", "*" };
	static const char *const grants[] = { "deny", "allow", "allow\nLabel=a", "allow\nLabel=b" };
	unsigned int seed = 42, found = 0;

	for (int round = 0; round < 3000; round++) {
		char text[2000] = "";
		size_t used = 0, n = 1 + rand_r(&seed) % 8;
		struct policy_label_conflict conflict;
		struct policy_report report;
		struct policy *policy = NULL;
		bool expected;

		for (size_t i = 0; i < n; i++)
			used += snprintf(text + used, sizeof(text) - used,
					 "[Match]\n%s\n[Client]\nUser=%s\n[Grant]\nAction=%s\n",
					 matches[rand_r(&seed) % ARRAY_SIZE(matches)],
					 users[rand_r(&seed) % ARRAY_SIZE(users)],
					 grants[rand_r(&seed) % ARRAY_SIZE(grants)]);
		/* A deny behind an allow of the same is an error, and no policy. */
		if (policy_from_text(text, &policy, &report) < 0) {
			policy_report_clear(&report);
			continue;
		}
		/* User 4 is named by no rule and stands for everybody else. */
		expected = conflict_by_asking(policy, 4);
		if (policy_find_label_conflict(policy, members, 2, &conflict) != expected)
			print_error("%s", text);
		assert_int_equal(policy_find_label_conflict(policy, members, 2, &conflict), expected);
		found += expected;
		policy_report_clear(&report);
		policy_free(policy);
	}
	assert_in_range(found, 200, 2800);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_two_labels_for_one_client),
		cmocka_unit_test(counts_no_label_as_another_label),
		cmocka_unit_test(counts_peer_as_another_label_than_a_static_one),
		cmocka_unit_test(finds_peace_where_labels_agree),
		cmocka_unit_test(different_clients_may_have_different_labels),
		cmocka_unit_test(a_rule_for_everybody_meets_each_client),
		cmocka_unit_test(a_client_is_the_same_in_any_spelling),
		cmocka_unit_test(only_the_rule_that_decides_counts),
		cmocka_unit_test(a_denied_member_has_no_label),
		cmocka_unit_test(finds_the_pair_among_many),
		cmocka_unit_test(a_group_of_one_or_none_has_no_conflict),
		cmocka_unit_test(an_empty_policy_has_no_conflict),
		cmocka_unit_test(agrees_with_asking_for_each_client),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
