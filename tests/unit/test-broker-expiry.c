/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How long a lease lasts and a request waits by their rules. Time is what the test says. The machine: broker-rig.h. */
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
#define A "0000:80:00.0"
#define B "0000:81:00.0"
#define SECOND 1000000ull
#define NEVER UINT64_MAX

static struct rig rig;
static struct asker alice, bob;
static uint64_t begin;

static void start(const char *policy)
{
	begin = now_usec();
	rig_start(&rig, policy);
	rig_add_device(&rig, A, 10, NULL);
	rig_add_device(&rig, B, 11, NULL);
	asker_come(&alice, &rig, 1000);
	asker_come(&bob, &rig, 1001);
}

static int teardown(void **state)
{
	rig.fake.linger = false;
	fake_helper_release(&rig.fake);
	rig_settle(&rig);
	asker_go(&alice);
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

static struct lease *lease_of(const struct asker *asker)
{
	return lease_by_number(rig.broker, asker->lease);
}

/* The broker's next deadline is so many seconds from about now; it is what the event loop waits for. */
static void assert_due_in(unsigned int seconds)
{
	uint64_t next = broker_next_deadline(rig.broker);

	assert_in_range(next, begin + seconds * SECOND, now_usec() + seconds * SECOND);
}

static void expire_at(uint64_t when)
{
	broker_expire(rig.broker, when);
	rig_settle(&rig);
}

static void without_a_word_it_never_ends(void **state)
{
	start(RULE("Address=*", ""));
	asker_ask(&alice, A, 0);
	assert_int_equal(broker_next_deadline(rig.broker), NEVER);
	assert_int_equal(lease_expires_in(lease_of(&alice)), -1);
}

static char asked[512];

static void hear(void *userdata, const struct broker_event *event)
{
	if (strcmp(event->name, "releaseRequested") == 0)
		snprintf(asked, sizeof(asked), "%s", event->message);
}

static void is_taken_back_when_its_time_is_over(void **state)
{
	uint64_t due;

	start(RULE("Address=*", "MaxLeaseSec=60"));
	rig.on_event = hear;
	asker_ask(&alice, A, 0);
	assert_due_in(60);
	assert_int_equal(lease_expires_in(lease_of(&alice)), 60);
	due = broker_next_deadline(rig.broker);
	expire_at(due - 1);
	assert_int_equal(rig_state(&rig, alice.lease), LEASE_ACTIVE);
	assert_false(rig_saw(&rig, "releaseRequested"));
	expire_at(due);
	assert_non_null(strstr(asked, "lease 1 of uid 1000 is taken back: its time is over, by MaxLeaseSec=60 in "
				      "t.policy:1; the descriptors of its devices are to be closed within 30 s"));
	assert_int_equal(rig_state(&rig, alice.lease), LEASE_RELEASED);
	assert_true(rig_saw(&rig, "leaseReleased"));
	assert_int_equal(broker_next_deadline(rig.broker), NEVER);
	alice.lease = 0;
	asker_ask(&bob, A, 0);
	assert_true(bob.lease);
}

/* As in any revocation, the rule's means follow. */
static void one_that_is_kept_is_dealt_with_by_the_rule(void **state)
{
	start(RULE("Address=*", "MaxLeaseSec=60\nReleaseTimeoutSec=5\nOnReleaseTimeout=terminate"));
	asker_ask(&alice, A, 0);
	rig.fake.linger = true;
	expire_at(broker_next_deadline(rig.broker));
	assert_true(lease_of(&alice)->revocation.begun);
	assert_int_equal(lease_expires_in(lease_of(&alice)), -1);
	expire_at(broker_next_deadline(rig.broker));
	assert_true(rig_saw(&rig, "clientSignalled"));
}

static void the_shortest_time_of_its_devices_counts(void **state)
{
	start(RULE("Address=" A, "MaxLeaseSec=1h") RULE("Address=" B, "MaxLeaseSec=10"));
	rig.on_event = hear;
	asker_ask(&alice, A " " B, 0);
	assert_due_in(10);
	expire_at(broker_next_deadline(rig.broker));
	assert_non_null(strstr(asked, "MaxLeaseSec=10 in t.policy:8"));
}

static void a_violated_lease_ends_as_well(void **state)
{
	start(RULE("Address=" SLOT_NIC " " SLOT_NVME " " SLOT_EDU,
		   "GroupScope=whole\nOnViolation=log\nMaxLeaseSec=60"));
	asker_ask(&alice, SLOT_NIC " " SLOT_NVME, 0);
	assert_int_equal(alice.refusal, REFUSAL_CONSENT_REQUIRED);
	asker_ask(&alice, SLOT_NIC " " SLOT_NVME " " SLOT_EDU, 0);
	assert_true(alice.lease);
	fake_sysfs_add_device(rig.sysfs, &(struct fake_device){ .address = "0000:03:00.3",
								.vendor = 0x8086,
								.device = 0x10d3,
								.class = 0x020000,
								.group = 3,
								.driver = "e1000e" });
	broker_device_changed(rig.broker, "0000:03:00.3");
	rig_settle(&rig);
	fake_sysfs_set_driver(rig.sysfs, "0000:03:00.3", "e1000e");
	broker_device_changed(rig.broker, "0000:03:00.3");
	rig_settle(&rig);
	assert_int_equal(rig_state(&rig, alice.lease), LEASE_VIOLATED);
	assert_int_equal(lease_expires_in(lease_of(&alice)), 60);
	expire_at(broker_next_deadline(rig.broker));
	assert_int_equal(rig_state(&rig, alice.lease), LEASE_RELEASED);
	alice.lease = 0;
}

/* It was granted for that time. */
static void a_reload_changes_no_time(void **state)
{
	start(RULE("Address=*", "MaxLeaseSec=60"));
	asker_ask(&alice, A, 0);
	set_policy(RULE("Address=*", "MaxLeaseSec=5"));
	assert_due_in(60);
	set_policy(RULE("Address=*", ""));
	assert_due_in(60);
}

static void what_is_given_back_in_time_is_over(void **state)
{
	start(RULE("Address=*", "MaxLeaseSec=60"));
	asker_ask(&alice, A, 0);
	asker_give_back(&alice);
	assert_int_equal(broker_next_deadline(rig.broker), NEVER);
	assert_false(rig_saw(&rig, "releaseRequested"));
}

static void waits_no_longer_than_the_rule_admits(void **state)
{
	start(RULE("Address=*", "MaxWaitSec=10"));
	asker_ask(&alice, A, 0);
	asker_ask(&bob, A, 600);
	assert_true(bob.waits);
	assert_due_in(10);
	expire_at(broker_next_deadline(rig.broker));
	assert_int_equal(bob.refusal, REFUSAL_TIMED_OUT);
	assert_non_null(
		strstr(bob.said.message, "waited 10 s, as long as MaxWaitSec= of its rule admits, in vain: " A));
}

static void who_asks_for_less_waits_for_less(void **state)
{
	start(RULE("Address=*", "MaxWaitSec=10"));
	asker_ask(&alice, A, 0);
	asker_ask(&bob, A, 5);
	assert_due_in(5);
	expire_at(broker_next_deadline(rig.broker));
	assert_non_null(strstr(bob.said.message, "waited 5 s in vain"));
}

static void with_none_to_wait_he_is_told_at_once(void **state)
{
	start(RULE("Address=*", "MaxWaitSec=0"));
	asker_ask(&alice, A, 0);
	asker_ask(&bob, A, 600);
	assert_false(bob.waits);
	assert_int_equal(bob.refusal, REFUSAL_BUSY);
}

static void for_a_pool_the_least_of_its_rules_counts(void **state)
{
	start("[Match]\nAddress=0000:8*\n[Pool]\nName=some\n" RULE("Address=" A, "MaxWaitSec=20")
		      RULE("Address=" B, "MaxWaitSec=7"));
	asker_ask(&alice, A " " B, 0);
	asker_ask_pool(&bob, "some", 1, 600);
	assert_true(bob.waits);
	assert_due_in(7);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(without_a_word_it_never_ends),
		TEST(is_taken_back_when_its_time_is_over),
		TEST(one_that_is_kept_is_dealt_with_by_the_rule),
		TEST(the_shortest_time_of_its_devices_counts),
		TEST(a_violated_lease_ends_as_well),
		TEST(a_reload_changes_no_time),
		TEST(what_is_given_back_in_time_is_over),
		TEST(waits_no_longer_than_the_rule_admits),
		TEST(who_asks_for_less_waits_for_less),
		TEST(with_none_to_wait_he_is_told_at_once),
		TEST(for_a_pool_the_least_of_its_rules_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
