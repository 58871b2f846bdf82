/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Giving back: descriptors that are still out, and who has them. The machine: broker-rig.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "broker-cases.h"

static void descriptors_that_are_out_make_the_lease_linger(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice), *bob = peer_of(rig, &rig->bob);
	uint64_t lease;

	rig_acquire(rig, alice, EDU, NULL, NULL);
	lease = rig->outcome.lease;
	rig->fake.linger = true;
	peer_free(alice);
	rig_settle(rig);
	assert_int_equal(rig_state(rig, lease), LEASE_LINGERING);
	assert_true(rig_saw(rig, "leaseLingering"));
	rig_acquire(rig, bob, EDU, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_BUSY);
	assert_int_equal(rig->outcome.state, LEASE_LINGERING);
	rig->fake.linger = false;
	fake_helper_release(&rig->fake);
	rig_settle(rig);
	rig_acquire(rig, bob, EDU, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_NONE);
	peer_free(bob);
	rig_settle(rig);
}

static void name_holders(struct rig *rig)
{
	rig->fake.n_holders = 2;
	rig->fake.holders[0] = (struct helper_holder){ .pid = 77, .comm = "qemu\n\xff" };
	rig->fake.holders[1] = (struct helper_holder){ .pid = 78, .unsure = 1, .comm = "dpdk" };
}

static void who_keeps_a_lease_lingering_is_told_to_its_user_and_to_root(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice), *bob = peer_of(rig, &rig->bob);

	rig_acquire(rig, alice, EDU, NULL, NULL);
	rig->fake.linger = true;
	name_holders(rig);
	assert_true(broker_release(rig->broker, alice, rig->outcome.lease));
	rig_settle(rig);
	assert_non_null(strstr(rig->last_event, "they are with pid 77 (qemu\?\?), maybe pid 78 (dpdk);"));
	rig_acquire(rig, alice, EDU, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_BUSY);
	assert_non_null(strstr(rig->outcome.message, "still with pid 77 (qemu\?\?), maybe pid 78 (dpdk);"));
	rig_acquire(rig, bob, EDU, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_BUSY);
	assert_null(strstr(rig->outcome.message, "77"));
	assert_non_null(strstr(rig->outcome.message, "another user"));
	assert_int_equal(rig->fake.n_requests[HELPER_HOLDERS], 1);
	rig->fake.linger = false;
	fake_helper_release(&rig->fake);
	peer_free(alice);
	peer_free(bob);
	rig_settle(rig);
}

static void a_lease_lingers_also_when_nobody_can_be_named(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	name_holders(rig);
	rig->fake.holders_status = HELPER_BUSY;
	rig_acquire(rig, alice, EDU, NULL, NULL);
	rig->fake.linger = true;
	peer_free(alice);
	rig_settle(rig);
	assert_true(rig_saw(rig, "leaseLingering"));
	assert_null(strstr(rig->last_event, "they are with"));
	rig->fake.linger = false;
	fake_helper_release(&rig->fake);
	rig_settle(rig);
	assert_true(list_is_empty(broker_leases(rig->broker)));
}

/* The answer about the holders is never told: the lease that it is about has ended, or the helper. */
static void holders_that_come_too_late_are_nobodys(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	rig_acquire(rig, alice, EDU, NULL, NULL);
	rig->fake.hold = true;
	peer_free(alice);
	rig_settle(rig);
	broker_expire(rig->broker, UINT64_MAX - 1);
	fake_helper_kill(&rig->fake);
	rig->fake.hold = false;
	rig_settle(rig);
	assert_true(rig_saw(rig, "leaseLingering"));
	broker_expire(rig->broker, UINT64_MAX - 1);
}

/* The first is unbound from vfio while the other's descriptors are still out: no host driver gets it before those are in. */
static void a_device_that_its_group_keeps_from_its_driver_is_put_back_with_the_last(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	rig_acquire(rig, alice, SLOT_NIC " " SLOT_NVME " " SLOT_EDU, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_NONE);
	strcpy(rig->fake.denied_address, SLOT_NIC);
	peer_free(alice);
	rig_settle(rig);
	assert_string_equal(rig_driver(rig, SLOT_NIC), "e1000");
	assert_string_equal(rig_driver(rig, SLOT_NVME), "nvme");
	assert_string_equal(rig_driver(rig, SLOT_EDU), "");
	assert_int_equal(fake_helper_n_open(&rig->fake), 0);
	assert_false(rig_saw(rig, "restoreFailed"));
	assert_true(list_is_empty(broker_leases(rig->broker)));
}

static void a_slow_release_is_shown_as_lingering(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);
	uint64_t lease;

	rig_acquire(rig, alice, EDU, NULL, NULL);
	lease = rig->outcome.lease;
	rig->fake.hold = true;
	peer_free(alice);
	rig_settle(rig);
	assert_int_equal(rig_state(rig, lease), LEASE_RELEASING);
	broker_expire(rig->broker, UINT64_MAX - 1);
	assert_int_equal(rig_state(rig, lease), LEASE_LINGERING);
	fake_helper_release(&rig->fake);
	rig_settle(rig);
	assert_int_equal(rig_state(rig, lease), LEASE_RELEASED);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		BROKER_CASE(descriptors_that_are_out_make_the_lease_linger),
		BROKER_CASE(who_keeps_a_lease_lingering_is_told_to_its_user_and_to_root),
		BROKER_CASE(a_lease_lingers_also_when_nobody_can_be_named),
		BROKER_CASE(holders_that_come_too_late_are_nobodys),
		BROKER_CASE(a_device_that_its_group_keeps_from_its_driver_is_put_back_with_the_last),
		BROKER_CASE(a_slow_release_is_shown_as_lingering),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
