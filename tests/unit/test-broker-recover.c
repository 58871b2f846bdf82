/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The helper goes and comes back, or a former broker left something. The machine: broker-rig.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "broker-cases.h"

static void a_helper_that_dies_while_preparing_is_asked_to_put_back_later(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	rig->fake.hold = true;
	rig_acquire(rig, alice, NIC, NULL, NULL);
	/* It did its work, and died before it could say so. */
	rig->fake.hold = false;
	fake_helper_release(&rig->fake);
	fake_helper_kill(&rig->fake);
	/* The reply was sent before the death: it is read first, and the lease is granted. */
	rig_settle(rig);
	assert_int_equal(rig->outcome.n, 1);
	peer_free(alice);
	rig_settle(rig);
	broker_expire(rig->broker, UINT64_MAX - 1);
	rig_settle(rig);
	assert_string_equal(rig_driver(rig, NIC), "e1000e");
	assert_int_equal(fake_helper_n_open(&rig->fake), 0);
}

static void a_request_that_dies_with_the_helper_is_refused(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	rig->fake.hold = true;
	rig_acquire(rig, alice, NIC, NULL, NULL);
	fake_helper_kill(&rig->fake);
	rig->fake.hold = false;
	rig_settle(rig);
	assert_int_equal(rig->outcome.refusal, REFUSAL_PREPARE_FAILED);
	assert_string_equal(rig->outcome.word, "helper");
	/* The next one finds it again. */
	rig_acquire(rig, alice, NIC, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_NONE);
	peer_free(alice);
	rig_settle(rig);
	assert_string_equal(rig_driver(rig, NIC), "e1000e");
}

static void a_restore_that_dies_with_the_helper_is_asked_for_again(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	rig_acquire(rig, alice, NIC, NULL, NULL);
	rig->fake.hold = true;
	peer_free(alice);
	rig_settle(rig);
	fake_helper_kill(&rig->fake);
	rig->fake.hold = false;
	rig_settle(rig);
	assert_string_equal(rig_driver(rig, NIC), "vfio-pci");
	broker_expire(rig->broker, UINT64_MAX - 1);
	rig_settle(rig);
	assert_string_equal(rig_driver(rig, NIC), "e1000e");
	assert_true(list_is_empty(broker_leases(rig->broker)));
}

static void a_helper_that_comes_back_leaves_leases_that_live_alone(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	rig_acquire(rig, alice, NIC, NULL, NULL);
	fake_helper_kill(&rig->fake);
	rig_settle(rig);
	broker_expire(rig->broker, UINT64_MAX - 1);
	rig_settle(rig);
	assert_true(rig->fake.n_requests[HELPER_NEXT] >= 2);
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_ACTIVE);
	assert_string_equal(rig_driver(rig, NIC), "vfio-pci");
	assert_false(rig_saw(rig, "leaseRecovered"));
	peer_free(alice);
	rig_settle(rig);
	assert_string_equal(rig_driver(rig, NIC), "e1000e");
}

static void what_a_former_broker_left_is_put_back(void **state)
{
	struct rig *rig = *state;

	rig->fake.transactions[0] = (struct fake_transaction){ .open = true, .address = NIC, .driver = "e1000e" };
	rig->fake.transactions[1] = (struct fake_transaction){ .open = true, .address = EDU };
	rig->fake.n_transactions = 2;
	fake_sysfs_set_driver(rig->sysfs, NIC, "vfio-pci");
	fake_sysfs_set_driver(rig->sysfs, EDU, "vfio-pci");
	assert_int_equal(helper_client_connect(rig->helper), 0);
	broker_helper_connected(rig->broker);
	rig_settle(rig);
	assert_string_equal(rig_driver(rig, NIC), "e1000e");
	assert_string_equal(rig_driver(rig, EDU), "");
	assert_true(rig_saw(rig, "leaseRecovered"));
	assert_true(list_is_empty(broker_leases(rig->broker)));
}

/* Several open transactions, so that a prepare is answered before the last of them was looked at. */
static void nothing_is_handed_out_before_all_that_is_out_is_known(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	rig->fake.transactions[0] = (struct fake_transaction){ .open = true, .address = NIC, .driver = "e1000e" };
	rig->fake.transactions[1] = (struct fake_transaction){ .open = true, .address = SLOT_NIC, .driver = "" };
	rig->fake.n_transactions = 2;
	rig->fake.linger = true;
	fake_sysfs_set_driver(rig->sysfs, NIC, "vfio-pci");
	fake_sysfs_set_driver(rig->sysfs, SLOT_NIC, "vfio-pci");
	fake_sysfs_set_driver(rig->sysfs, SLOT_NVME, NULL);
	rig_acquire(rig, alice, SLOT_NVME " " SLOT_EDU, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_CONSENT_REQUIRED);
	rig_acquire(rig, alice, SLOT_NVME " " SLOT_EDU, NULL, rig->outcome.token);
	assert_int_equal(rig->outcome.n, 1);
	assert_int_equal(rig->outcome.refusal, REFUSAL_BUSY);
	assert_non_null(strstr(rig->outcome.message, "former iommud"));
	rig->fake.linger = false;
	fake_helper_release(&rig->fake);
	rig_settle(rig);
	assert_int_equal(fake_helper_n_open(&rig->fake), 0);
	peer_free(alice);
}

static void without_a_helper_the_refusal_says_so(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	fake_helper_stop(&rig->fake);
	rig_acquire(rig, alice, NIC, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_PREPARE_FAILED);
	assert_non_null(strstr(rig->outcome.message, "iommud-helper"));
	assert_true(list_is_empty(broker_leases(rig->broker)));
	peer_free(alice);
	fake_helper_start(&rig->fake, rig->sysfs);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		BROKER_CASE(a_helper_that_dies_while_preparing_is_asked_to_put_back_later),
		BROKER_CASE(a_request_that_dies_with_the_helper_is_refused),
		BROKER_CASE(a_restore_that_dies_with_the_helper_is_asked_for_again),
		BROKER_CASE(a_helper_that_comes_back_leaves_leases_that_live_alone),
		BROKER_CASE(what_a_former_broker_left_is_put_back),
		BROKER_CASE(nothing_is_handed_out_before_all_that_is_out_is_known),
		BROKER_CASE(without_a_helper_the_refusal_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
