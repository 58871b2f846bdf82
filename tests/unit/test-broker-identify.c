/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How the broker learns what rules ask of a client's process, and that nobody gains by what it could not learn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
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
		TEST(memory_may_fail),
		TEST(a_serial_number_is_remembered_while_leased),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
