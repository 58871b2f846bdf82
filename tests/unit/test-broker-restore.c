/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What could not be put back is tried once more before people are asked to do it. The machine: broker-rig.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "broker-cases.h"

static void a_restore_that_fails_once_is_tried_again(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	rig_acquire(rig, alice, SLOT_NIC " " SLOT_NVME " " SLOT_EDU, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_NONE);
	rig->fake.n_restores_fail = 1;
	peer_free(alice);
	rig_settle(rig);
	assert_int_equal(rig->fake.n_requests[HELPER_RESTORE], 4);
	assert_slot_is_back(rig);
	assert_false(rig_saw(rig, "restoreFailed"));
}

static void a_restore_that_fails_twice_is_told_and_the_lease_ends(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	rig_acquire(rig, alice, NIC, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_NONE);
	rig->fake.n_restores_fail = 2;
	peer_free(alice);
	rig_settle(rig);
	assert_true(rig_saw(rig, "restoreFailed"));
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_RELEASED);
	assert_int_equal(rig->fake.n_requests[HELPER_RESTORE], 2);
}

/* The other two were back when that answer came, but not when the driver was denied: it was no try of its own. */
static void a_denial_for_the_group_is_no_failure_though_the_group_is_back(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	rig_acquire(rig, alice, SLOT_EDU " " SLOT_NVME " " SLOT_NIC, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_NONE);
	rig->fake.hold = true;
	peer_free(alice);
	rig_settle(rig);
	assert_int_equal(rig->fake.n_requests[HELPER_RESTORE], 3);
	strcpy(rig->fake.denied_address, SLOT_NIC);
	rig->fake.denied_once = true;
	rig->fake.hold = false;
	fake_helper_release(&rig->fake);
	/* The next one fails for itself, and there is one more. */
	rig->fake.n_restores_fail = 1;
	rig_settle(rig);
	assert_false(rig_saw(rig, "restoreFailed"));
	assert_int_equal(rig->fake.n_requests[HELPER_RESTORE], 5);
	assert_slot_is_back(rig);
}

/* The helper tries to undo what it began; when that fails as well it names the transaction. */
static void what_a_prepare_could_not_put_back_is_put_back_as_the_lease_ends(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	strcpy(rig->fake.fail_address, SLOT_NVME);
	rig->fake.fail_status = HELPER_FAULT;
	rig->fake.fail_open = true;
	rig_acquire(rig, alice, SLOT_NIC " " SLOT_NVME " " SLOT_EDU, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_PREPARE_FAILED);
	assert_non_null(strstr(rig->fake.trace, "restore(" SLOT_NVME ") "));
	assert_slot_is_back(rig);
	peer_free(alice);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		BROKER_CASE(a_restore_that_fails_once_is_tried_again),
		BROKER_CASE(a_denial_for_the_group_is_no_failure_though_the_group_is_back),
		BROKER_CASE(a_restore_that_fails_twice_is_told_and_the_lease_ends),
		BROKER_CASE(what_a_prepare_could_not_put_back_is_put_back_as_the_lease_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
