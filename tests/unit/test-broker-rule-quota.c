/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How much of a rule one user has: what counts, by which rule, and when it is given back. The machine: broker-rig.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "asker.h"
#include "broker/internal.h"
#include "util/cleanup.h"

#define RULE(match, grant) "[Match]\n" match "\n[Client]\nUser=*\n[Grant]\nAction=allow\n" grant "\n"
#define POOL(name, grant) \
	"[Match]\nAddress=0000:8*\n[Pool]\nName=" name "\n[Client]\nUser=*\n[Grant]\nAction=allow\n" grant "\n"
#define A "0000:80:00.0"
#define B "0000:81:00.0"
#define C "0000:82:00.0"
#define D "0000:83:00.0"

static struct rig rig;
/* Two connections of one user, and one of another's. */
static struct asker alice, again, bob;

static void start(const char *policy)
{
	rig_start(&rig, policy);
	rig_add_device(&rig, A, 10, NULL);
	rig_add_device(&rig, B, 11, NULL);
	rig_add_device(&rig, C, 12, NULL);
	rig_add_device(&rig, D, 13, NULL);
	rig.broker->limits.leases_per_uid = 100;
	asker_come(&alice, &rig, 1000);
	asker_come(&again, &rig, 1000);
	asker_come(&bob, &rig, 1001);
}

static int teardown(void **state)
{
	rig.fake.linger = false;
	fake_helper_release(&rig.fake);
	rig_settle(&rig);
	asker_go(&alice);
	asker_go(&again);
	asker_go(&bob);
	assert_true(list_is_empty(broker_leases(rig.broker)));
	assert_int_equal(fake_helper_n_open(&rig.fake), 0);
	rig_stop(&rig);
	return 0;
}

static void set_policy(const char *text)
{
	struct policy *policy = rig_policy(text);
	char refused[512];

	memcpy(rig.fake.digest, policy_digest(policy), DIGEST_SIZE);
	assert_int_equal(broker_set_policy(rig.broker, policy, refused, sizeof(refused)), 0);
	rig_settle(&rig);
}

static void assert_refused(const struct asker *asker, const char *quota, uint64_t limit, const char *said)
{
	assert_int_equal(asker->lease, 0);
	assert_false(asker->waits);
	if (!strstr(asker->said.message, said))
		print_error("%s\n", asker->said.message);
	assert_int_equal(asker->refusal, REFUSAL_QUOTA);
	assert_string_equal(asker->said.word, quota);
	assert_int_equal(asker->said.number, limit);
	assert_non_null(strstr(asker->said.message, said));
}

static void leases_are_counted_by_user(void **state)
{
	start(RULE("Address=*", "MaxLeases=1"));
	asker_ask(&alice, A, 0);
	assert_true(alice.lease);
	asker_ask(&again, B, 0);
	assert_refused(
		&again, "ruleLeases", 1,
		"uid 1000 has 1 leases by the rule at t.policy:1, or waits for them, and MaxLeases=1 there admits no "
		"more; release some, or have the administrator raise it");
	asker_ask(&bob, B, 0);
	assert_true(bob.lease);
	asker_give_back(&alice);
	asker_ask(&again, A, 0);
	assert_true(again.lease);
}

static void a_lease_counts_once_however_many_it_holds(void **state)
{
	start(RULE("Address=*", "MaxLeases=1"));
	asker_ask(&alice, A " " B " " C, 0);
	assert_true(alice.lease);
}

static void devices_are_counted_by_user(void **state)
{
	start(RULE("Address=*", "MaxDevices=3"));
	asker_ask(&alice, A " " B, 0);
	assert_true(alice.lease);
	asker_ask(&again, C " " D, 0);
	assert_refused(
		&again, "ruleDevices", 3,
		"uid 1000 has 2 devices by the rule at t.policy:1, or waits for them and asks for 2, and MaxDevices=3 "
		"there admits no more");
	asker_ask(&bob, C " " D, 0);
	assert_true(bob.lease);
	asker_give_back(&bob);
	asker_ask(&again, C, 0);
	assert_true(again.lease);
}

static void more_than_the_rule_has_is_never_given(void **state)
{
	start(RULE("Address=*", "MaxDevices=1"));
	asker_ask(&alice, A " " B, 0);
	assert_refused(&alice, "ruleDevices", 1, "and asks for 2");
}

static void each_rule_counts_its_own(void **state)
{
	start(RULE("Address=" A " " B, "MaxLeases=1\nMaxDevices=1") RULE("Address=*", "MaxDevices=2"));
	asker_ask(&alice, C, 0);
	assert_true(alice.lease);
	asker_ask(&again, A " " D, 0);
	assert_true(again.lease);
	asker_give_back(&again);
	asker_ask(&again, A " " B, 0);
	assert_refused(&again, "ruleDevices", 1, "t.policy:1");
}

/* Until its devices are back. */
static void what_lingers_counts(void **state)
{
	start(RULE("Address=*", "MaxLeases=1"));
	asker_ask(&alice, A, 0);
	rig.fake.linger = true;
	asker_give_back(&alice);
	asker_ask(&again, B, 0);
	assert_refused(&again, "ruleLeases", 1, "uid 1000 has 1 leases");
	/* Also when nobody can be asked any more who it was. */
	asker_go(&alice);
	asker_ask(&again, B, 0);
	assert_refused(&again, "ruleLeases", 1, "uid 1000 has 1 leases");
	fake_helper_release(&rig.fake);
	rig.fake.linger = false;
	rig_settle(&rig);
	asker_ask(&again, B, 0);
	assert_true(again.lease);
}

static void who_waits_counts(void **state)
{
	start(RULE("Address=*", "MaxLeases=1\nMaxDevices=4"));
	asker_ask(&bob, A, 0);
	asker_ask(&alice, A, 60);
	assert_true(alice.waits);
	asker_ask(&again, B, 60);
	assert_refused(&again, "ruleLeases", 1, "uid 1000 has 1 leases by the rule at t.policy:1, or waits for them");
	/* It is not in its own way. */
	asker_give_back(&bob);
	assert_true(alice.lease);
}

static void who_waits_for_a_pool_counts_with_all_of_it(void **state)
{
	start(POOL("some", "MaxDevices=3"));
	asker_ask_pool(&bob, "some", 3, 0);
	asker_ask_pool(&alice, "some", 3, 60);
	assert_true(alice.waits);
	asker_ask(&again, D, 60);
	assert_refused(&again, "ruleDevices", 3, "uid 1000 has 3 devices");
	asker_give_back(&bob);
	assert_true(alice.lease);
}

static void a_pool_gives_as_many_as_the_rule(void **state)
{
	start(POOL("some", "MaxDevices=2"));
	asker_ask_pool(&alice, "some", 3, 0);
	assert_refused(&alice, "ruleDevices", 2,
		       "uid 1000 has 0 devices by the rule at t.policy:1, or waits for them and asks for 3");
	asker_ask_pool(&alice, "some", 2, 0);
	assert_true(alice.lease);
	asker_ask_pool(&again, "some", 1, 60);
	assert_refused(&again, "ruleDevices", 2, "uid 1000 has 2 devices");
}

/* Though all that he could wait for is somebody's. */
static void nobody_waits_for_what_the_rule_will_not_give(void **state)
{
	start(POOL("some", "MaxDevices=1"));
	asker_ask(&alice, A, 0);
	asker_ask_pool(&again, "some", 1, 60);
	assert_refused(&again, "ruleDevices", 1, "uid 1000 has 1 devices");
	asker_ask(&bob, B, 0);
	asker_ask(&again, B, 60);
	assert_refused(&again, "ruleDevices", 1, "uid 1000 has 1 devices");
}

static void a_pool_goes_on_to_another_rule(void **state)
{
	start("[Match]\nAddress=0000:8*\n[Pool]\nName=some\n" RULE("Address=" A " " B, "MaxDevices=1")
		      RULE("Address=*", ""));
	asker_ask_pool(&alice, "some", 3, 0);
	assert_string_equal(alice.devices, A " " C " " D " ");
}

/* The rules of the day count, wherever they stand. */
static void a_reload_leaves_no_count_behind(void **state)
{
	start(RULE("Address=*", "MaxLeases=1"));
	asker_ask(&alice, A, 0);
	set_policy("# a line more\n\n" RULE("Address=*", "MaxLeases=1"));
	asker_ask(&again, B, 0);
	assert_refused(&again, "ruleLeases", 1, "t.policy:3");
	set_policy(RULE("Address=" A, "MaxLeases=1") RULE("Address=*", "MaxLeases=1"));
	asker_ask(&again, B, 0);
	assert_true(again.lease);
	set_policy(RULE("Address=*", "MaxLeases=2"));
	asker_ask(&bob, C, 0);
	asker_give_back(&again);
	asker_ask(&again, D, 0);
	assert_true(again.lease);
}

/* Two are in line when the rule is made stricter: the second is sent away, not kept waiting for ever. */
static void a_stricter_rule_counts_for_who_waits(void **state)
{
	start(RULE("Address=*", "MaxLeases=3"));
	asker_ask(&bob, A " " B, 0);
	asker_ask(&alice, A, 60);
	asker_ask(&again, B, 60);
	assert_true(alice.waits && again.waits);
	set_policy(RULE("Address=*", "MaxLeases=1"));
	assert_int_equal(alice.refusal, REFUSAL_QUOTA);
	assert_true(again.waits);
}

static void explain_says_what_there_is_left(void **state)
{
	struct explanation explanation;

	start(RULE("Address=*",
		   "MaxLeases=2\nMaxDevices=5\nMemlockLimit=2G\nRlimitMode=mm\nMaxLeaseSec=8h\nMaxWaitSec=10"));
	asker_ask(&alice, A " " B, 0);
	assert_int_equal(broker_explain(rig.broker, &alice.identity, C, NULL, &explanation), 0);
	assert_int_equal(explanation.refusal.kind, REFUSAL_NONE);
	assert_int_equal(explanation.n_limits, 6);
	assert_string_equal(explanation.limits[0], "MaxLeases=2: uid 1000 has 1 by this rule");
	assert_string_equal(explanation.limits[1], "MaxDevices=5: uid 1000 has 2 by this rule");
	assert_string_equal(
		explanation.limits[2],
		"MemlockLimit=: RLIMIT_MEMLOCK of the client is raised to at least 2147483648 bytes before it gets anything");
	assert_string_equal(explanation.limits[3], "RlimitMode=mm: pinned memory is counted by process");
	assert_string_equal(explanation.limits[4], "MaxLeaseSec=28800: it is taken back after that many seconds");
	assert_string_equal(explanation.limits[5], "MaxWaitSec=10: a request waits no more seconds than that in line");
	explanation_clear(&explanation);
	set_policy(RULE("Address=*", "MaxLeases=1"));
	assert_int_equal(broker_explain(rig.broker, &alice.identity, C, NULL, &explanation), 0);
	assert_int_equal(explanation.refusal.kind, REFUSAL_QUOTA);
	explanation_clear(&explanation);
	set_policy(RULE("Address=*", ""));
	assert_int_equal(broker_explain(rig.broker, &alice.identity, C, NULL, &explanation), 0);
	assert_int_equal(explanation.n_limits, 0);
	explanation_clear(&explanation);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(leases_are_counted_by_user),
		TEST(a_lease_counts_once_however_many_it_holds),
		TEST(devices_are_counted_by_user),
		TEST(more_than_the_rule_has_is_never_given),
		TEST(each_rule_counts_its_own),
		TEST(what_lingers_counts),
		TEST(who_waits_counts),
		TEST(who_waits_for_a_pool_counts_with_all_of_it),
		TEST(a_pool_gives_as_many_as_the_rule),
		TEST(nobody_waits_for_what_the_rule_will_not_give),
		TEST(a_pool_goes_on_to_another_rule),
		TEST(a_reload_leaves_no_count_behind),
		TEST(a_stricter_rule_counts_for_who_waits),
		TEST(explain_says_what_there_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
