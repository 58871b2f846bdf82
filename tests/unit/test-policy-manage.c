/* SPDX-License-Identifier: GPL-2.0-or-later */
/* [Manage]: who may do what, every mistake in one, and that it changes nothing about rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "policy-text.h"
#include "policy/builder.h"
#include "util/cleanup.h"

#define RELOAD (1u << POLICY_MANAGE_RELOAD)
#define REVOKE (1u << POLICY_MANAGE_REVOKE)
#define LIST (1u << POLICY_MANAGE_LIST_LEASES)
#define RULE "[Match]\nAddress=*\n[Client]\nUser=1000\n[Grant]\nAction=allow\n"

/* All that a client of these ids may do. */
static unsigned int actions_of(const struct policy *policy, uid_t uid, gid_t gid, gid_t other)
{
	struct identity client = { .uid = uid, .gid = gid, .groups = &other, .n_groups = 1, .pidfd = -1 };
	unsigned int actions = 0;

	for (enum policy_manage_action i = 0; i < N_POLICY_MANAGE_ACTIONS; i++)
		if (policy_may_manage(policy, &client, i))
			actions |= 1u << i;
	return actions;
}

static unsigned int user_may(const char *text, uid_t uid)
{
	struct policy *policy = policy_must_load(text);
	unsigned int actions = actions_of(policy, uid, 99, 98);

	policy_free(policy);
	return actions;
}

static void who_is_named_may_what_is_said(void **state)
{
	assert_int_equal(user_may("[Manage]\nUser=1000\nAllow=reload\n", 1000), RELOAD);
	assert_int_equal(user_may("[Manage]\nUser=1000\nAllow=revoke\n", 1000), REVOKE);
	assert_int_equal(user_may("[Manage]\nUser=1000\nAllow=list-leases\n", 1000), LIST);
	assert_int_equal(user_may("[Manage]\nUser=7, daemon 1000\nAllow=reload,revoke list-leases\n", 1000),
			 RELOAD | REVOKE | LIST);
	assert_int_equal(user_may("[Manage]\nUser=daemon\nAllow=revoke\n", 1), REVOKE);
}

static void who_is_not_named_may_nothing(void **state)
{
	struct policy *nothing;

	assert_int_equal(user_may("[Manage]\nUser=1000\nAllow=reload revoke list-leases\n", 1001), 0);
	/* Nor does it name root: who asks knows root. */
	assert_int_equal(user_may("[Manage]\nUser=1000\nAllow=reload revoke list-leases\n", 0), 0);
	assert_int_equal(user_may(RULE, 1000), 0);
	assert_int_equal(policy_new_empty(&nothing), 0);
	assert_int_equal(actions_of(nothing, 1000, 1000, 1000), 0);
	policy_free(nothing);
}

static void groups_are_primary_and_supplementary(void **state)
{
	struct policy *policy = policy_must_load("[Manage]\nGroup=50 60\nAllow=revoke\n");

	assert_int_equal(actions_of(policy, 1000, 50, 7), REVOKE);
	assert_int_equal(actions_of(policy, 1000, 7, 60), REVOKE);
	assert_int_equal(actions_of(policy, 50, 7, 8), 0);
	policy_free(policy);
}

static void both_lists_must_have_him(void **state)
{
	struct policy *policy = policy_must_load("[Manage]\nUser=1000\nGroup=50\nAllow=revoke\n");

	assert_int_equal(actions_of(policy, 1000, 50, 7), REVOKE);
	assert_int_equal(actions_of(policy, 1000, 7, 8), 0);
	assert_int_equal(actions_of(policy, 1001, 50, 7), 0);
	policy_free(policy);
}

/* A client of which the kernel told nothing: no number is meant by (uid_t)-1. */
static void who_is_not_known_may_nothing(void **state)
{
	struct policy *policy = policy_must_load("[Manage]\nUser=0 1000\nAllow=revoke\n"
						 "[Manage]\nGroup=0 50\nAllow=reload\n");
	struct identity client = IDENTITY_INIT;

	for (enum policy_manage_action i = 0; i < N_POLICY_MANAGE_ACTIONS; i++)
		assert_false(policy_may_manage(policy, &client, i));
	policy_free(policy);
}

static void sections_add_up(void **state)
{
	struct policy *policy =
		policy_must_load("[Manage]\nUser=1000\nAllow=reload\n" RULE "[Manage]\nUser=1001\nAllow=revoke\n"
				 "[Manage]\nGroup=50\nAllow=list-leases\n");

	assert_int_equal(actions_of(policy, 1000, 50, 7), RELOAD | LIST);
	assert_int_equal(actions_of(policy, 1001, 7, 7), REVOKE);
	policy_free(policy);
}

static void it_stands_between_rules_and_is_none(void **state)
{
	struct policy *policy =
		policy_must_load("[Manage]\nUser=1000\nAllow=reload\n" RULE "[Manage]\nUser=1000\nAllow=revoke\n");

	assert_int_equal(policy_n_rules(policy), 1);
	assert_int_equal(policy_ask(policy, &test_nic, "", 1000).action, POLICY_ALLOW);
	assert_int_equal(policy_ask(policy, &test_nic, "", 1001).action, POLICY_DENY);
	policy_free(policy);
	/* Whoever may manage has no device by it. */
	policy = policy_must_load("[Manage]\nUser=1000\nAllow=reload revoke list-leases\n");
	assert_int_equal(policy_n_rules(policy), 0);
	assert_int_equal(policy_ask(policy, &test_nic, "", 1000).action, POLICY_DENY);
	policy_free(policy);
}

static void it_counts_in_the_digest(void **state)
{
	struct policy *one = policy_must_load(RULE);
	struct policy *other = policy_must_load(RULE "[Manage]\nUser=1000\nAllow=reload\n");

	assert_memory_not_equal(policy_digest(one), policy_digest(other), DIGEST_SIZE);
	policy_free(one);
	policy_free(other);
}

static void nobody_is_named_by_a_star(void **state)
{
	assert_policy_report("[Manage]\nUser=*\nAllow=revoke\n",
			     "t.policy:2:6: error: User=* in [Manage]: who may manage is named\n");
	assert_policy_report("[Manage]\nGroup=50,*\nAllow=revoke\n",
			     "t.policy:2:10: error: Group=* in [Manage]: who may manage is named\n");
}

static void says_what_is_missing(void **state)
{
	assert_policy_report("[Manage]\nUser=1000\n",
			     "t.policy:1:2: error: [Manage] without Allow=, what these users may do\n");
	assert_policy_report("[Manage]\nAllow=reload\n",
			     "t.policy:1:2: error: [Manage] without User= and Group=: who may manage is named\n");
	assert_policy_report("[Manage]\nUser=1000\nAllow=\n", "t.policy:3:7: error: 'Allow' has no value\n");
}

static void says_what_is_not_known(void **state)
{
	assert_policy_report("[Manage]\nUser=1000\nAllow=reload revok\n",
			     "t.policy:3:14: error: Allow takes reload, revoke and list-leases, not 'revok'; did you "
			     "mean 'revoke'?\n");
	assert_policy_report("[Manage]\nUser=1000\nAllow=everything\n",
			     "t.policy:3:7: error: Allow takes reload, revoke and list-leases, not 'everything'\n");
	assert_policy_report("[Manage]\nUser=no-such-user-at-all\nAllow=reload\n",
			     "t.policy:2:6: error: no such user 'no-such-user-at-all'\n");
	assert_policy_report("[Manage]\nUsr=1000\nAllow=reload\n",
			     "t.policy:2:1: error: unknown key 'Usr' in [Manage]; did you mean 'User'?\n");
	assert_policy_report("[Manage]\nUser=1000\nAllow=reload\nAction=allow\n",
			     "t.policy:4:1: error: key 'Action' does not belong in [Manage] but in [Grant]\n");
	assert_policy_report(
		"[Manage]\nUser=1000\nUser=1001\nAllow=reload\n",
		"t.policy:3:1: error: repeated key 'User' in [Manage]; the first is in line 2, and takes a "
		"list\n");
	assert_policy_report("[Mange]\nUser=1000\nAllow=reload\n",
			     "t.policy:1:2: error: unknown section [Mange]; did you mean [Manage]?\n");
}

static void it_is_no_part_of_a_rule(void **state)
{
	assert_policy_report("[Manage]\nUser=1000\nAllow=reload\n[Client]\nUser=1000\n[Grant]\nAction=allow\n",
			     "t.policy:4:2: error: [Client] without a [Match] before it; for every device say "
			     "Address=*\n");
	assert_policy_report("[Manage]\nUser=1000\nAllow=reload\n[Grant]\nAction=allow\n",
			     "t.policy:4:2: error: [Grant] without [Match] and [Client] before it\n");
	assert_policy_report("[Manage]\nUser=1000\nAllow=reload\n[Pool]\nName=p\n",
			     "t.policy:4:2: error: [Pool] without a [Match] before it, which says for which devices\n");
	assert_policy_report(
		"[Match]\nAddress=*\n[Manage]\nUser=1000\nAllow=reload\n",
		"t.policy:1:2: error: this rule has no [Client] and no [Grant]; a rule is [Match], [Client], "
		"[Grant]\n");
}

/* One that is wrong gives nobody anything, for the whole set is not used. */
static void a_set_with_an_error_is_none(void **state)
{
	struct policy_report report;
	struct policy *policy = NULL;

	assert_int_equal(policy_from_text("[Manage]\nUser=1000\nAllow=reload\n[Manage]\nUser=1001\n", &policy, &report),
			 -EINVAL);
	assert_null(policy);
	policy_report_clear(&report);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_is_named_may_what_is_said),
		cmocka_unit_test(who_is_not_named_may_nothing),
		cmocka_unit_test(groups_are_primary_and_supplementary),
		cmocka_unit_test(both_lists_must_have_him),
		cmocka_unit_test(who_is_not_known_may_nothing),
		cmocka_unit_test(sections_add_up),
		cmocka_unit_test(it_stands_between_rules_and_is_none),
		cmocka_unit_test(it_counts_in_the_digest),
		cmocka_unit_test(nobody_is_named_by_a_star),
		cmocka_unit_test(says_what_is_missing),
		cmocka_unit_test(says_what_is_not_known),
		cmocka_unit_test(it_is_no_part_of_a_rule),
		cmocka_unit_test(a_set_with_an_error_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
