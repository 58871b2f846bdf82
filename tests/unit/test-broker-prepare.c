/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between judging and sending: whatever fails or changes meanwhile, everything is put back. The machine: broker-rig.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker-cases.h"
#include "open-fds.h"
#include "util/cleanup.h"

/* Whatever the helper answers to whichever device, all others are put back, and the client is told. */
static void whatever_fails_everything_is_put_back(void **state)
{
	static const struct {
		uint32_t status;
		enum refusal_kind kind;
	} cases[] = {
		{ HELPER_FAULT, REFUSAL_PREPARE_FAILED },
		{ HELPER_REFUSED, REFUSAL_DENIED },
		{ HELPER_BUSY, REFUSAL_BUSY },
		{ HELPER_IN_USE, REFUSAL_BUSY },
		{ HELPER_TIMED_OUT, REFUSAL_TIMED_OUT },
		{ HELPER_POLICY_DIFFERS, REFUSAL_PREPARE_FAILED },
		{ HELPER_NO_SUCH_DEVICE, REFUSAL_PREPARE_FAILED },
		{ HELPER_BAD_REQUEST, REFUSAL_PREPARE_FAILED },
	};
	static const char *const devices[] = { SLOT_NIC, SLOT_NVME, SLOT_EDU };
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);
	size_t fds = count_open_fds();

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (size_t j = 0; j < ARRAY_SIZE(devices); j++) {
			strcpy(rig->fake.fail_address, devices[j]);
			rig->fake.fail_status = cases[i].status;
			rig_acquire(rig, alice, SLOT_NIC " " SLOT_NVME " " SLOT_EDU, NULL, NULL);
			assert_int_equal(rig->outcome.n, 1);
			assert_int_equal(rig->outcome.refusal, cases[i].kind);
			assert_string_equal(rig_driver(rig, SLOT_NIC), "e1000");
			assert_string_equal(rig_driver(rig, SLOT_NVME), "nvme");
			assert_string_equal(rig_driver(rig, SLOT_EDU), "");
			assert_int_equal(fake_helper_n_open(&rig->fake), 0);
			assert_true(list_is_empty(broker_leases(rig->broker)));
		}
	/* The connection to the helper, on both ends, came with the first. */
	assert_int_equal(count_open_fds(), fds + 2);
	peer_free(alice);
}

/* What uses it, and the rule that could say otherwise. */
static void what_the_host_uses_is_busy(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	strcpy(rig->fake.fail_address, NIC);
	rig->fake.fail_status = HELPER_IN_USE;
	rig_acquire(rig, alice, NIC, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_BUSY);
	assert_string_equal(rig->outcome.message,
			    NIC " is in use by the host: eth0 has the address 192.0.2.1; end that "
				"use, or take it by Force=yes in t.policy:1");
	assert_string_equal(rig_driver(rig, NIC), "e1000e");
	assert_true(list_is_empty(broker_leases(rig->broker)));
	peer_free(alice);
}

static void a_node_that_can_not_be_opened_puts_everything_back(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	rig_open_result = -ESTALE;
	rig_acquire(rig, alice, NIC, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_PREPARE_FAILED);
	assert_non_null(strstr(rig->outcome.message, "the test says no"));
	assert_string_equal(rig_driver(rig, NIC), "e1000e");
	rig_open_result = -EOPNOTSUPP;
	rig_acquire(rig, alice, NIC, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_BACKEND_UNAVAILABLE);
	assert_string_equal(rig_driver(rig, NIC), "e1000e");
	peer_free(alice);
}

static void waits_for_udev_and_no_longer_than_it_may(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	rig_open_result = -EACCES;
	rig_acquire(rig, alice, NIC, NULL, NULL);
	assert_int_equal(rig->outcome.n, 0);
	broker_node_ready(rig->broker);
	assert_int_equal(rig->outcome.n, 0);
	assert_int_equal(rig_n_opens, 2);
	rig_open_result = 0;
	broker_node_ready(rig->broker);
	assert_int_equal(rig->outcome.n, 1);
	assert_int_equal(rig->outcome.refusal, REFUSAL_NONE);
	assert_true(broker_release(rig->broker, alice, rig->outcome.lease));
	rig_settle(rig);

	rig_open_result = -ENOENT;
	rig_acquire(rig, alice, NIC, NULL, NULL);
	assert_int_equal(rig->outcome.n, 0);
	assert_true(broker_next_deadline(rig->broker) < UINT64_MAX);
	broker_expire(rig->broker, UINT64_MAX - 1);
	assert_int_equal(rig->outcome.refusal, REFUSAL_TIMED_OUT);
	assert_string_equal(rig->outcome.word, "node");
	rig_settle(rig);
	assert_string_equal(rig_driver(rig, NIC), "e1000e");
	peer_free(alice);
}

/* What an opener's thread waits for before it answers. */
static int go_on[2];

/* The first finds that the nodes are not ours yet; they are when the next one looks. */
static void open_too_early(struct rig *rig)
{
	char byte;

	if (rig_n_opens > 1)
		rig_open_result = 0;
	else if (read(go_on[0], &byte, 1) != 1)
		abort();
}

static void udev_that_is_done_while_an_opener_looks_is_not_missed(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);
	struct pollfd broker = { .fd = broker_get_fd(rig->broker), .events = POLLIN };

	assert_int_equal(pipe(go_on), 0);
	rig_open_result = -EACCES;
	rig_while_opening = open_too_early;
	rig_acquire(rig, alice, NIC, NULL, NULL);
	assert_int_equal(rig->outcome.n, 0);
	broker_node_ready(rig->broker);
	assert_int_equal(write(go_on[1], "", 1), 1);
	while (rig->outcome.n == 0) {
		/* Nothing else is coming that would have it look again. */
		assert_int_equal(poll(&broker, 1, 10000), 1);
		rig_settle(rig);
	}
	assert_int_equal(rig->outcome.refusal, REFUSAL_NONE);
	assert_int_equal(rig_n_opens, 2);
	assert_true(broker_release(rig->broker, alice, rig->outcome.lease));
	rig_settle(rig);
	peer_free(alice);
	close_fd(go_on[0]);
	close_fd(go_on[1]);
}

static int setup_opens_later(void **state)
{
	rig_opens_later = true;
	return broker_case_setup(state);
}

static void replace_nic(struct rig *rig)
{
	rig_while_opening = NULL;
	fake_sysfs_remove_device(rig->sysfs, NIC);
	fake_sysfs_add_device(rig->sysfs, &(struct fake_device){ .address = NIC,
								 .vendor = 0x1af4,
								 .device = 0x1041,
								 .class = 0x020000,
								 .group = 1,
								 .driver = "vfio-pci" });
}

static void what_changed_between_judging_and_sending_is_not_sent(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	rig_while_opening = replace_nic;
	rig_acquire(rig, alice, NIC, NULL, NULL);
	assert_int_equal(rig->outcome.n, 1);
	assert_int_equal(rig->outcome.refusal, REFUSAL_PREPARE_FAILED);
	assert_string_equal(rig->outcome.word, "recheck");
	peer_free(alice);
	rig_settle(rig);
}

static void join_group_1(struct rig *rig)
{
	rig_while_opening = NULL;
	fake_sysfs_add_device(rig->sysfs, &(struct fake_device){ .address = "0000:01:00.1",
								 .vendor = 0x8086,
								 .device = 0x10d3,
								 .class = 0x020000,
								 .group = 1,
								 .driver = "e1000e" });
	broker_device_changed(rig->broker, "0000:01:00.1");
}

static void a_member_that_joins_while_it_is_prepared_is_noticed(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	rig_while_opening = join_group_1;
	rig_acquire(rig, alice, NIC, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_NOT_SINGLETON);
	assert_string_equal(rig_driver(rig, NIC), "e1000e");
	peer_free(alice);
}

static void a_policy_that_changed_meanwhile_is_asked_again(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);
	char refused[256];

	rig_open_result = -EACCES;
	rig_acquire(rig, alice, NIC, NULL, NULL);
	assert_int_equal(
		broker_set_policy(rig->broker, rig_policy(RULE("Address=*", "1001", "")), refused, sizeof(refused)), 0);
	rig_open_result = 0;
	broker_node_ready(rig->broker);
	rig_settle(rig);
	assert_int_equal(rig->outcome.refusal, REFUSAL_DENIED);
	assert_string_equal(rig_driver(rig, NIC), "e1000e");
	peer_free(alice);
}

static void a_client_that_goes_while_it_is_prepared_costs_nothing(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	rig->fake.hold = true;
	rig_acquire(rig, alice, NIC, NULL, NULL);
	assert_int_equal(rig->outcome.n, 0);
	peer_free(alice);
	rig->fake.hold = false;
	fake_helper_release(&rig->fake);
	rig_settle(rig);
	assert_int_equal(rig->outcome.n, 0);
	assert_int_equal(rig_n_opens, 0);
	assert_string_equal(rig_driver(rig, NIC), "e1000e");
	assert_int_equal(fake_helper_n_open(&rig->fake), 0);
	assert_true(list_is_empty(broker_leases(rig->broker)));
}

static void a_prepare_that_takes_too_long_is_answered_and_undone_later(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	rig->fake.hold = true;
	rig_acquire(rig, alice, NIC, NULL, NULL);
	broker_expire(rig->broker, UINT64_MAX - 1);
	assert_int_equal(rig->outcome.n, 1);
	assert_int_equal(rig->outcome.refusal, REFUSAL_TIMED_OUT);
	rig->fake.hold = false;
	fake_helper_release(&rig->fake);
	rig_settle(rig);
	assert_int_equal(rig->outcome.n, 1);
	assert_string_equal(rig_driver(rig, NIC), "e1000e");
	assert_true(list_is_empty(broker_leases(rig->broker)));
	peer_free(alice);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		BROKER_CASE(whatever_fails_everything_is_put_back),
		BROKER_CASE(what_the_host_uses_is_busy),
		BROKER_CASE(a_node_that_can_not_be_opened_puts_everything_back),
		BROKER_CASE(waits_for_udev_and_no_longer_than_it_may),
		cmocka_unit_test_setup_teardown(udev_that_is_done_while_an_opener_looks_is_not_missed,
						setup_opens_later, broker_case_teardown),
		BROKER_CASE(what_changed_between_judging_and_sending_is_not_sent),
		BROKER_CASE(a_member_that_joins_while_it_is_prepared_is_noticed),
		BROKER_CASE(a_policy_that_changed_meanwhile_is_asked_again),
		BROKER_CASE(a_client_that_goes_while_it_is_prepared_costs_nothing),
		BROKER_CASE(a_prepare_that_takes_too_long_is_answered_and_undone_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
