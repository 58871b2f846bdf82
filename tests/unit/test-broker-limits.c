/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the client may pin is set before it gets anything, and where it can't be, it gets nothing. broker-rig.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker-cases.h"
#include "broker/internal.h"
#include "fail-alloc.h"
#include "open-fds.h"
#include "util/cleanup.h"

static struct rig rig;
static struct peer *alice;

static void start(const char *grant)
{
	char text[512];

	snprintf(text, sizeof(text), RULE("Address=*", "1000", "GroupScope=whole\n%s"), grant);
	rig_start(&rig, text);
	alice = peer_of(&rig, &rig.alice);
}

static int teardown(void **state)
{
	rig_forget(&rig);
	peer_free(alice);
	rig_settle(&rig);
	assert_true(list_is_empty(broker_leases(rig.broker)));
	assert_int_equal(fake_helper_n_open(&rig.fake), 0);
	rig_stop(&rig);
	return 0;
}

static void assert_got_nothing(const char *step, const char *said)
{
	assert_int_equal(rig.outcome.n, 1);
	assert_int_equal(rig.outcome.refusal, REFUSAL_PREPARE_FAILED);
	assert_string_equal(rig.outcome.word, step);
	assert_int_equal(rig.outcome.n_devices, 0);
	if (!strstr(rig.outcome.message, said))
		print_error("%s\n", rig.outcome.message);
	assert_non_null(strstr(rig.outcome.message, said));
	assert_string_equal(rig_driver(&rig, NIC), "e1000e");
	assert_int_equal(fake_helper_n_open(&rig.fake), 0);
	assert_true(list_is_empty(broker_leases(rig.broker)));
}

static void without_a_word_nobody_is_asked(void **state)
{
	start("");
	rig_acquire(&rig, alice, NIC, NULL, NULL);
	assert_int_equal(rig.outcome.refusal, REFUSAL_NONE);
	assert_int_equal(rig.fake.n_requests[HELPER_MEMLOCK], 0);
	assert_int_equal(rig.fake.n_requests[HELPER_RLIMIT_MODE], 0);
}

static void the_limit_is_raised_before_anything_goes_out(void **state)
{
	start("MemlockLimit=2G");
	rig.fake.hold_limits = true;
	rig_acquire(&rig, alice, NIC, NULL, NULL);
	assert_int_equal(rig.outcome.n, 0);
	assert_int_equal(rig_n_opens, 1);
	assert_int_equal(rig.fake.n_requests[HELPER_MEMLOCK], 1);
	assert_int_equal(rig.fake.n_fds, 1);
	fake_helper_release(&rig.fake);
	rig_settle(&rig);
	assert_int_equal(rig.outcome.n, 1);
	assert_int_equal(rig.outcome.n_devices, 1);
	assert_string_equal(rig.fake.trace, "prepare(" NIC ") memlock(" NIC ") ");
	assert_int_equal(rig.fake.n_requests[HELPER_RLIMIT_MODE], 0);
}

static void the_mode_is_set_once_for_all_devices(void **state)
{
	start("RlimitMode=mm");
	rig_acquire(&rig, alice, NIC " " EDU, NULL, NULL);
	assert_int_equal(rig.outcome.n_devices, 2);
	assert_int_equal(rig.fake.n_requests[HELPER_MEMLOCK], 0);
	assert_int_equal(rig.fake.n_requests[HELPER_RLIMIT_MODE], 1);
	assert_int_equal(rig.fake.n_fds, 2);
	assert_non_null(strstr(rig.fake.trace, "mm(" NIC ")"));
}

static void each_device_has_its_rule(void **state)
{
	start("MemlockLimit=auto\nRlimitMode=mm");
	rig_acquire(&rig, alice, NIC " " EDU, NULL, NULL);
	assert_int_equal(rig.outcome.n_devices, 2);
	assert_non_null(strstr(rig.fake.trace, "memlock(" NIC ") memlock(" EDU ") mm(" NIC ")"));
}

static void a_limit_that_can_not_be_raised_refuses_the_lease(void **state)
{
	size_t fds;

	start("MemlockLimit=2G");
	rig_acquire(&rig, alice, NIC, NULL, NULL);
	assert_true(broker_release(rig.broker, alice, rig.outcome.lease));
	rig_settle(&rig);
	rig_forget(&rig);
	fds = count_open_fds();
	rig.fake.memlock = (struct fake_limit){ HELPER_FAULT, EOPNOTSUPP,
						"before Linux 6.5 no socket tells its process for sure" };
	rig_acquire(&rig, alice, NIC, NULL, NULL);
	assert_got_nothing("memlock",
			   NIC ": RLIMIT_MEMLOCK of pid 1 could not be raised as MemlockLimit= in t.policy:1 "
			       "says: before Linux 6.5 no socket tells its process for sure; what was changed "
			       "has been put back");
	assert_int_equal(count_open_fds(), fds);
	rig.fake.memlock = (struct fake_limit){ HELPER_REFUSED, 0, "the rule lacks it" };
	rig_acquire(&rig, alice, NIC, NULL, NULL);
	assert_got_nothing("memlock", "the helper's policy refuses it: the rule lacks it");
	rig.fake.memlock = (struct fake_limit){ HELPER_POLICY_DIFFERS, 0, NULL };
	rig_acquire(&rig, alice, NIC, NULL, NULL);
	assert_got_nothing("memlock", "reload both");
	rig.fake.memlock = (struct fake_limit){ 0 };
	rig_acquire(&rig, alice, NIC, NULL, NULL);
	assert_int_equal(rig.outcome.n_devices, 1);
}

static void a_mode_that_can_not_be_set_refuses_the_lease(void **state)
{
	start("MemlockLimit=2G\nRlimitMode=mm");
	rig.fake.rlimit_mode = (struct fake_limit){ HELPER_FAULT, EPERM, "Operation not permitted" };
	rig_acquire(&rig, alice, NIC, NULL, NULL);
	assert_got_nothing("rlimit-mode", NIC ": the iommufd could not be set to RlimitMode=mm as t.policy:1 says: "
					      "Operation not permitted; what was changed has been put back");
}

/* As for the steps before: the answer comes now, and the rest when the helper is there. */
static void a_helper_that_goes_away_costs_the_lease_only(void **state)
{
	start("MemlockLimit=2G\nRlimitMode=mm");
	rig.fake.hold_limits = true;
	rig_acquire(&rig, alice, NIC, NULL, NULL);
	assert_int_equal(rig.outcome.n, 0);
	fake_helper_kill(&rig.fake);
	rig_settle(&rig);
	assert_int_equal(rig.outcome.n, 1);
	assert_int_equal(rig.outcome.refusal, REFUSAL_PREPARE_FAILED);
	assert_string_equal(rig.outcome.word, "memlock");
	assert_non_null(strstr(rig.outcome.message, "iommud-helper went away"));
	broker_expire(rig.broker, UINT64_MAX - 1);
	rig_settle(&rig);
	assert_string_equal(rig_driver(&rig, NIC), "e1000e");
}

static void a_client_that_goes_meanwhile_gets_nothing(void **state)
{
	size_t fds;

	start("MemlockLimit=2G");
	rig.fake.hold_limits = true;
	rig_acquire(&rig, alice, NIC, NULL, NULL);
	fds = count_open_fds();
	alice = peer_free(alice);
	rig_settle(&rig);
	fake_helper_release(&rig.fake);
	rig_settle(&rig);
	assert_int_equal(rig.outcome.n, 0);
	assert_string_equal(rig_driver(&rig, NIC), "e1000e");
	/* What was opened for it: an iommufd and a device; and the device's folder. */
	assert_int_equal(count_open_fds(), fds - 3);
}

static void it_can_be_called_off_meanwhile(void **state)
{
	start("MemlockLimit=2G");
	rig.fake.hold_limits = true;
	rig_acquire(&rig, alice, NIC, NULL, NULL);
	assert_true(broker_revoke(rig.broker, 1, 0, "the test wants it"));
	fake_helper_release(&rig.fake);
	rig_settle(&rig);
	assert_got_nothing("revoked", "the test wants it");
}

static void what_takes_too_long_is_answered(void **state)
{
	start("MemlockLimit=2G");
	rig.fake.hold_limits = true;
	rig_acquire(&rig, alice, NIC, NULL, NULL);
	broker_expire(rig.broker, UINT64_MAX - 1);
	assert_int_equal(rig.outcome.n, 1);
	assert_int_equal(rig.outcome.refusal, REFUSAL_TIMED_OUT);
	fake_helper_release(&rig.fake);
	rig_settle(&rig);
	assert_int_equal(rig.outcome.n, 1);
	assert_string_equal(rig_driver(&rig, NIC), "e1000e");
}

/* The world is looked at again after the wait. */
static void what_changed_meanwhile_is_seen(void **state)
{
	start("MemlockLimit=2G");
	rig.fake.hold_limits = true;
	rig_acquire(&rig, alice, NIC, NULL, NULL);
	fake_sysfs_set_driver(rig.sysfs, NIC, "e1000e");
	fake_helper_release(&rig.fake);
	rig_settle(&rig);
	assert_int_equal(rig.outcome.n, 1);
	assert_int_equal(rig.outcome.refusal, REFUSAL_PREPARE_FAILED);
	assert_string_equal(rig.outcome.word, "recheck");
}

static void give_back(void)
{
	if (rig.outcome.n_devices)
		assert_true(broker_release(rig.broker, alice, rig.outcome.lease));
	rig_settle(&rig);
	while (broker_next_deadline(rig.broker) != UINT64_MAX) {
		broker_expire(rig.broker, UINT64_MAX - 1);
		rig_settle(&rig);
	}
	rig_forget(&rig);
}

static void without_memory_nothing_is_lost(void **state)
{
	unsigned int n = 1; /* the first is rig_acquire()'s own */
	bool failed = true;

	start("MemlockLimit=2G\nRlimitMode=mm\nMaxLeases=2\nMaxDevices=2");
	rig_acquire(&rig, alice, NIC, NULL, NULL);
	give_back();
	while (failed) {
		fail_alloc_begin(++n);
		rig_acquire(&rig, alice, NIC, NULL, NULL);
		failed = fail_alloc_end();
		assert_int_equal(rig.outcome.n, 1);
		give_back();
		assert_string_equal(rig_driver(&rig, NIC), "e1000e");
		assert_true(list_is_empty(broker_leases(rig.broker)));
		assert_int_equal(fake_helper_n_open(&rig.fake), 0);
		assert_int_equal(rig.broker->quota.n, 0);
	}
	assert_true(n > 5);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(without_a_word_nobody_is_asked),
		TEST(the_limit_is_raised_before_anything_goes_out),
		TEST(the_mode_is_set_once_for_all_devices),
		TEST(each_device_has_its_rule),
		TEST(a_limit_that_can_not_be_raised_refuses_the_lease),
		TEST(a_mode_that_can_not_be_set_refuses_the_lease),
		TEST(a_helper_that_goes_away_costs_the_lease_only),
		TEST(a_client_that_goes_meanwhile_gets_nothing),
		TEST(it_can_be_called_off_meanwhile),
		TEST(what_takes_too_long_is_answered),
		TEST(what_changed_meanwhile_is_seen),
		TEST(without_memory_nothing_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
