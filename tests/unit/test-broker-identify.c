/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the broker learns what rules ask of a client's process, and the journal says of it; that nobody gains by what it could
 * not learn, and that nobody waits for long for what only the journal is to say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "asker.h"
#include "fail-alloc.h"

#define RULE(client) "[Match]\nAddress=*\n[Client]\n" client "\n[Grant]\nAction=allow\n"

static struct rig rig;
static struct asker alice;
static unsigned int n_identified;

static void count(void *userdata)
{
	n_identified++;
}

static void start(const char *policy)
{
	rig_start(&rig, policy);
	strcpy(rig.fake.process.unit, "wanted.service");
	strcpy(rig.fake.process.slice, "system.slice");
	strcpy(rig.fake.process.executable, "/usr/bin/client");
	asker_come(&alice, &rig, 1000);
	peer_set_identified(alice.peer, count, NULL);
	n_identified = 0;
	rig_settle(&rig);
}

static int teardown(void **state)
{
	asker_go(&alice);
	rig_stop(&rig);
	return 0;
}

static const char *unit(void)
{
	return peer_get_identity(alice.peer)->unit;
}

static void asks_nobody_without_need(void **state)
{
	start(RULE("User=1000"));
	assert_true(peer_identify(alice.peer));
	rig_settle(&rig);
	assert_int_equal(rig.fake.n_requests[HELPER_IDENTIFY], 0);
	assert_null(unit());
}

static void asks_once_and_remembers(void **state)
{
	start(RULE("Unit=wanted.service"));
	assert_false(peer_identify(alice.peer));
	/* It is under way. */
	assert_false(peer_identify(alice.peer));
	assert_int_equal(n_identified, 0);
	rig_settle(&rig);
	assert_int_equal(n_identified, 1);
	assert_true(peer_identify(alice.peer));
	assert_int_equal(rig.fake.n_requests[HELPER_IDENTIFY], 1);
	assert_string_equal(unit(), "wanted.service");
	assert_string_equal(peer_get_identity(alice.peer)->slice, "system.slice");
	assert_string_equal(peer_get_identity(alice.peer)->executable, "/usr/bin/client");
	assert_null(peer_get_identity(alice.peer)->apparmor);
	asker_ask(&alice, NIC, 0);
	assert_true(alice.lease > 0);
}

static void what_the_helper_can_not_tell_is_not_known(void **state)
{
	start(RULE("Unit=!other.service"));
	rig.fake.identify_status = HELPER_FAULT;
	assert_false(peer_identify(alice.peer));
	rig_settle(&rig);
	assert_true(peer_identify(alice.peer));
	assert_null(unit());
	asker_ask(&alice, NIC, 0);
	assert_int_equal(alice.refusal, REFUSAL_DENIED);
}

static void a_helper_that_goes_is_asked_again_later(void **state)
{
	start(RULE("Unit=wanted.service"));
	rig.fake.identify_silent = true;
	assert_false(peer_identify(alice.peer));
	rig_settle(&rig);
	assert_int_equal(n_identified, 0);
	fake_helper_kill(&rig.fake);
	rig_settle(&rig);
	/* Nobody waits for ever; this call goes on with what is known. */
	assert_int_equal(n_identified, 1);
	assert_true(peer_identify(alice.peer));
	assert_null(unit());
	rig.fake.identify_silent = false;
	assert_false(peer_identify(alice.peer));
	rig_settle(&rig);
	assert_true(peer_identify(alice.peer));
	assert_string_equal(unit(), "wanted.service");
}

static void without_a_helper_nobody_waits(void **state)
{
	start(RULE("Unit=wanted.service"));
	fake_helper_stop(&rig.fake);
	rig_settle(&rig);
	assert_true(peer_identify(alice.peer));
	assert_null(unit());
	asker_ask(&alice, NIC, 0);
	assert_int_equal(alice.refusal, REFUSAL_DENIED);
}

static void who_leaves_is_not_told(void **state)
{
	start(RULE("Unit=wanted.service"));
	assert_false(peer_identify(alice.peer));
	asker_go(&alice);
	rig_settle(&rig);
	assert_int_equal(n_identified, 0);
}

/* It waits by one policy, and another that asks for more comes into force. */
static void who_waits_is_identified_before_judged_again(void **state)
{
	struct asker bob = {};
	char refused[256];

	start(RULE("User=1000 1001"));
	asker_come(&bob, &rig, 1001);
	asker_ask(&bob, NIC, 0);
	assert_true(bob.lease > 0);
	asker_ask(&alice, NIC, 60);
	assert_true(alice.waits);
	assert_int_equal(
		broker_set_policy(rig.broker, rig_policy(RULE("Unit=wanted.service")), refused, sizeof(refused)), 0);
	memcpy(rig.fake.digest, policy_digest(broker_get_policy(rig.broker)), DIGEST_SIZE);
	rig_settle(&rig);
	assert_true(alice.waits);
	asker_give_back(&bob);
	assert_true(alice.lease > 0);
	asker_go(&bob);
}

/* ---- for the journal ---- */

static void the_first_request_asks_in_any_case(void **state)
{
	start(RULE("User=1000"));
	asker_ask(&alice, NIC, 0);
	assert_true(alice.lease > 0);
	assert_string_equal(unit(), "wanted.service");
	asker_give_back(&alice);
	asker_ask(&alice, NIC, 0);
	assert_true(alice.lease > 0);
	assert_int_equal(rig.fake.n_requests[HELPER_IDENTIFY], 1);
	assert_int_equal(n_identified, 1);
}

static void a_request_that_is_refused_asks_as_well(void **state)
{
	start(RULE("User=1001"));
	asker_ask(&alice, NIC, 0);
	assert_int_equal(alice.refusal, REFUSAL_DENIED);
	assert_string_equal(unit(), "wanted.service");
	asker_ask(&alice, NIC, 0);
	assert_int_equal(rig.fake.n_requests[HELPER_IDENTIFY], 1);
}

static void a_request_is_held_for_a_while_only(void **state)
{
	start(RULE("User=1000"));
	rig.fake.identify_silent = true;
	asker_ask(&alice, NIC, 0);
	assert_true(alice.waits);
	broker_expire(rig.broker, broker_next_deadline(rig.broker) - 1);
	rig_settle(&rig);
	assert_true(alice.waits);
	broker_expire(rig.broker, broker_next_deadline(rig.broker));
	rig_settle(&rig);
	assert_true(alice.lease > 0);
	assert_null(unit());
	asker_give_back(&alice);
	/* That the helper hangs is known now. */
	asker_ask(&alice, NIC, 0);
	assert_true(alice.lease > 0);
	assert_int_equal(alice.n, 2);
	assert_int_equal(rig.fake.n_requests[HELPER_IDENTIFY], 1);
	/* An answer that is late, or none, finds nobody who waits. */
	fake_helper_kill(&rig.fake);
	rig_settle(&rig);
	assert_int_equal(alice.n, 2);
}

static void a_request_goes_on_when_the_helper_goes(void **state)
{
	start(RULE("User=1001"));
	rig.fake.identify_silent = true;
	asker_ask(&alice, NIC, 0);
	assert_true(alice.waits);
	rig.fake.identify_silent = false;
	fake_helper_kill(&rig.fake);
	rig_settle(&rig);
	assert_int_equal(alice.refusal, REFUSAL_DENIED);
	assert_int_equal(alice.n, 1);
	assert_null(unit());
	/* The next one asks the successor. */
	asker_ask(&alice, NIC, 0);
	assert_string_equal(unit(), "wanted.service");
}

static void a_request_without_a_helper_is_judged_at_once(void **state)
{
	start(RULE("User=1001"));
	fake_helper_stop(&rig.fake);
	rig_settle(&rig);
	asker_ask(&alice, NIC, 0);
	assert_int_equal(alice.refusal, REFUSAL_DENIED);
	assert_null(unit());
}

static void who_leaves_while_held_leaves_nothing(void **state)
{
	struct asker bob = {};

	start(RULE("User=1000 1001"));
	rig.fake.identify_silent = true;
	asker_ask(&alice, NIC, 0);
	asker_come(&bob, &rig, 1001);
	asker_ask(&bob, EDU, 0);
	asker_go(&alice);
	assert_int_equal(alice.n, 0);
	broker_expire(rig.broker, broker_next_deadline(rig.broker));
	rig_settle(&rig);
	assert_int_equal(alice.n, 0);
	assert_true(bob.lease > 0);
	assert_int_equal(rig.fake.n_transactions, 1);
	fake_helper_kill(&rig.fake);
	asker_go(&bob);
}

/* What the journal was told is what rules are held against when they come to ask. */
static void a_unit_that_is_known_is_not_asked_for_again(void **state)
{
	char refused[256];

	start(RULE("User=1000"));
	asker_ask(&alice, NIC, 0);
	assert_int_equal(
		broker_set_policy(rig.broker, rig_policy(RULE("Unit=wanted.service")), refused, sizeof(refused)), 0);
	assert_true(peer_identify(alice.peer));
	assert_int_equal(rig.fake.n_requests[HELPER_IDENTIFY], 1);
}

static void a_request_survives_the_failure_of_memory(void **state)
{
	for (unsigned int n = 2;; n++) { /* the first is the rig's own */
		bool failed;

		start(RULE("User=1001"));
		fail_alloc_begin(n);
		asker_ask(&alice, NIC, 0);
		failed = fail_alloc_end();
		assert_int_equal(alice.n, 1);
		assert_true(alice.error == -ENOMEM || alice.refusal == REFUSAL_DENIED);
		assert_true(!unit() == !peer_get_identity(alice.peer)->slice);
		if (!failed)
			break;
		assert_true(n < 60);
		teardown(state);
	}
	assert_string_equal(unit(), "wanted.service");
}

/* ---- */

static void memory_may_fail(void **state)
{
	for (unsigned int n = 1;; n++) {
		bool failed, known;

		start(RULE("Unit=wanted.service"));
		fail_alloc_begin(n);
		known = peer_identify(alice.peer);
		rig_settle(&rig);
		failed = fail_alloc_end();
		assert_true(known || n_identified == 1);
		/* All of it, or nothing. */
		assert_true(!unit() == !peer_get_identity(alice.peer)->slice);
		if (!failed)
			break;
		assert_true(n < 30);
		teardown(state);
	}
	assert_string_equal(unit(), "wanted.service");
}

/* The serial number of an NVMe controller comes from its driver, and counts on while that is not there. */
static void a_serial_number_is_remembered_while_leased(void **state)
{
	const struct device *device;

	start("[Match]\nSerial=S1\n[Client]\nUser=1000\n[Grant]\nAction=allow\nGroupScope=whole\nBystanders=park\n");
	fake_sysfs_set_driver(rig.sysfs, SLOT_NIC, NULL);
	fake_sysfs_set_attribute(rig.sysfs, SLOT_NVME, "nvme/nvme0/serial", "S1   ");
	broker_device_changed(rig.broker, SLOT_NIC);
	broker_device_changed(rig.broker, SLOT_NVME);
	device = registry_find_device(rig.registry, SLOT_NVME);
	assert_string_equal(broker_policy_subject(rig.broker, device).serial, "S1");
	asker_ask(&alice, SLOT_NVME, 0);
	if (alice.refusal == REFUSAL_CONSENT_REQUIRED)
		rig_acquire(&rig, alice.peer, SLOT_NVME, NULL, alice.said.token);
	assert_true(alice.lease > 0 || rig.outcome.lease > 0);
	fake_sysfs_set_attribute(rig.sysfs, SLOT_NVME, "nvme/nvme0/serial", "");
	broker_device_changed(rig.broker, SLOT_NVME);
	device = registry_find_device(rig.registry, SLOT_NVME);
	assert_string_equal(device->serial, "");
	assert_string_equal(broker_policy_subject(rig.broker, device).serial, "S1");
	rig_forget(&rig);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, teardown)
	const struct CMUnitTest tests[] = {
		TEST(asks_nobody_without_need),
		TEST(asks_once_and_remembers),
		TEST(what_the_helper_can_not_tell_is_not_known),
		TEST(a_helper_that_goes_is_asked_again_later),
		TEST(without_a_helper_nobody_waits),
		TEST(who_leaves_is_not_told),
		TEST(who_waits_is_identified_before_judged_again),
		TEST(the_first_request_asks_in_any_case),
		TEST(a_request_that_is_refused_asks_as_well),
		TEST(a_request_is_held_for_a_while_only),
		TEST(a_request_goes_on_when_the_helper_goes),
		TEST(a_request_without_a_helper_is_judged_at_once),
		TEST(who_leaves_while_held_leaves_nothing),
		TEST(a_unit_that_is_known_is_not_asked_for_again),
		TEST(a_request_survives_the_failure_of_memory),
		TEST(memory_may_fail),
		TEST(a_serial_number_is_remembered_while_leased),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
