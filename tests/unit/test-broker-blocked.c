/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A driver that does not let go of a device: the client is told who has it open, the device is not free until the helper says so,
 * and others' devices have nothing to do with it. Who has it is looked for anew for those who ask. The helper is fake; the
 * machine: broker-rig.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "broker-cases.h"
#include "broker/internal.h"

/* Of this address a PREPARE or PARK does not come back, and pid 77 has it. */
static void block(struct rig *rig, const char *address)
{
	strcpy(rig->fake.fail_address, address);
	rig->fake.fail_status = HELPER_TIMED_OUT;
	rig->fake.fail_open = true;
	rig->fake.linger = true;
	rig->fake.n_holders = 1;
	rig->fake.holders[0] = (struct helper_holder){ .pid = 77, .comm = "keeper" };
}

static void unblock(struct rig *rig)
{
	rig->fake.fail_address[0] = '\0';
	rig->fake.fail_status = HELPER_OK;
	rig->fake.fail_open = rig->fake.linger = false;
	fake_helper_release(&rig->fake);
	rig_settle(rig);
}

static void assert_all_free(struct rig *rig)
{
	assert_true(list_is_empty(broker_leases(rig->broker)));
	assert_int_equal(fake_helper_n_open(&rig->fake), 0);
}

static void expect_busy(struct rig *rig, struct identity *who, const char *said)
{
	struct peer *peer = peer_of(rig, who);

	rig_acquire(rig, peer, EDU, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_BUSY);
	if (!strstr(rig->outcome.message, said))
		fail_msg("no \"%s\" in \"%s\"", said, rig->outcome.message);
	peer_free(peer);
}

static void the_client_is_told_who_has_the_device(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	block(rig, NIC);
	rig_acquire(rig, alice, NIC, NULL, NULL);
	assert_int_equal(rig->outcome.n, 1);
	assert_int_equal(rig->outcome.refusal, REFUSAL_TIMED_OUT);
	assert_string_equal(rig->outcome.word, "unbind");
	assert_non_null(strstr(rig->outcome.message, NIC ": driver e1000e did not let go of it in time (step unbind)"));
	assert_non_null(strstr(rig->outcome.message, "end them: pid 77 (keeper);"));
	assert_true(rig_saw(rig, "leaseFailed"));
	assert_true(rig_saw(rig, "leaseLingering"));
	assert_non_null(
		strstr(rig->last_event, "driver e1000e has not let go of " NIC "; it is open in pid 77 (keeper);"));
	unblock(rig);
	assert_all_free(rig);
	rig_acquire(rig, alice, NIC, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_NONE);
	rig_forget(rig);
	peer_free(alice);
	rig_settle(rig);
}

static void nobody_needs_to_be_found(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	block(rig, EDU);
	rig->fake.holders_status = HELPER_BUSY;
	rig_acquire(rig, alice, EDU, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_TIMED_OUT);
	assert_null(strstr(rig->outcome.message, "77"));
	/* It has no driver of the host's, so it is the kernel that is named. */
	assert_non_null(
		strstr(rig->outcome.message, EDU ": the kernel did not let go of it in time (step unbind); it is"));
	unblock(rig);
	assert_all_free(rig);
	peer_free(alice);
}

static void it_is_not_free_before_the_helper_says_so(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	block(rig, EDU);
	rig_acquire(rig, alice, EDU, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_TIMED_OUT);
	assert_int_equal(rig_state(rig, 1), LEASE_LINGERING);
	expect_busy(rig, &rig->alice, "driver (none) has not let go of " EDU ", which is open in pid 77 (keeper);");
	assert_int_equal(rig->outcome.state, LEASE_LINGERING);
	/* Whose processes have it is not for everybody. */
	expect_busy(rig, &rig->bob, "driver (none) has not let go of " EDU ";");
	/* The others are served. */
	rig_acquire(rig, alice, NIC, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_NONE);
	rig_forget(rig);
	unblock(rig);
	peer_free(alice);
	rig_settle(rig);
	assert_all_free(rig);
}

static void an_answer_that_does_not_come_is_not_waited_for(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	block(rig, EDU);
	rig->fake.holders_silent = true;
	rig_acquire(rig, alice, EDU, NULL, NULL);
	assert_int_equal(rig->outcome.n, 0);
	assert_int_equal(rig_state(rig, 1), LEASE_PREPARING);
	broker_expire(rig->broker, UINT64_MAX - 1);
	rig_settle(rig);
	assert_int_equal(rig->outcome.n, 1);
	assert_int_equal(rig->outcome.refusal, REFUSAL_TIMED_OUT);
	assert_string_equal(rig->outcome.word, "unbind");
	assert_int_equal(rig_state(rig, 1), LEASE_LINGERING);
	unblock(rig);
	assert_all_free(rig);
	peer_free(alice);
}

static void a_client_that_goes_during_the_look_is_forgotten(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	block(rig, EDU);
	rig->fake.holders_silent = true;
	rig_acquire(rig, alice, EDU, NULL, NULL);
	peer_free(alice);
	rig_settle(rig);
	assert_int_equal(rig->outcome.n, 0);
	assert_int_equal(rig_state(rig, 1), LEASE_LINGERING);
	unblock(rig);
	assert_all_free(rig);
}

static void a_helper_that_dies_during_the_look_ends_it(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	block(rig, EDU);
	rig->fake.holders_silent = true;
	rig_acquire(rig, alice, EDU, NULL, NULL);
	assert_int_equal(rig->outcome.n, 0);
	fake_helper_kill(&rig->fake);
	rig_settle(rig);
	assert_int_equal(rig->outcome.n, 1);
	assert_int_equal(rig->outcome.refusal, REFUSAL_TIMED_OUT);
	/* The next one knows the transaction, and is asked for its end. */
	broker_expire(rig->broker, UINT64_MAX - 1);
	rig_settle(rig);
	assert_int_equal(rig_state(rig, 1), LEASE_LINGERING);
	unblock(rig);
	assert_all_free(rig);
	peer_free(alice);
}

/* The other devices of the lease go back at once, and wait with it. */
static void a_lease_of_two_of_which_one_blocks(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	block(rig, NIC);
	rig->fake.linger = false;
	rig_acquire(rig, alice, EDU " " NIC, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_TIMED_OUT);
	assert_non_null(strstr(rig->outcome.message, NIC));
	/* Only the one that is kept was looked for. */
	assert_int_equal(rig->fake.n_requests[HELPER_HOLDERS], 1);
	unblock(rig);
	assert_all_free(rig);
	peer_free(alice);
}

static void a_bystander_that_blocks_is_named(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_who_parks(rig, PARKING);

	block(rig, SLOT_NVME);
	take_with_consent(rig, bob, SLOT_EDU);
	assert_int_equal(rig->outcome.refusal, REFUSAL_TIMED_OUT);
	assert_non_null(strstr(rig->outcome.message, SLOT_NVME ": driver nvme did not let go"));
	assert_non_null(strstr(rig->outcome.message, "77"));
	unblock(rig);
	assert_slot_is_back(rig);
	peer_free(bob);
}

/* Too many workers are another matter than a device that somebody has. */
static void the_limit_of_workers_is_told_as_such(void **state)
{
	const struct lease_device device = { .id = { .address = NIC } };
	const struct policy_decision decision = { .action = POLICY_ALLOW };
	struct helper_reply reply = { .status = HELPER_BUSY, .detail = "2 of 2 workers blocked: " EDU " at unbind" };
	struct refusal refusal = { 0 };

	refusal_from_helper(&refusal, &device, &reply, &decision);
	assert_int_equal(refusal.kind, REFUSAL_PREPARE_FAILED);
	assert_string_equal(refusal.word, "workers");
	assert_int_equal(refusal.number, EAGAIN);
	assert_non_null(strstr(refusal.message, "2 of 2 workers blocked: " EDU " at unbind"));
	assert_non_null(strstr(refusal.message, "MaxWorkers="));
	refusal_clear(&refusal);
	reply.detail[0] = '\0';
	refusal_from_helper(&refusal, &device, &reply, &decision);
	assert_int_equal(refusal.kind, REFUSAL_BUSY);
	refusal_clear(&refusal);
}

/* ---- asked again ---- */

static void who_is_named_is_looked_for_again(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	rig->broker->limits.holders_fresh_usec = 0;
	block(rig, EDU);
	rig_acquire(rig, alice, EDU, NULL, NULL);
	rig->fake.holders[0].pid = 78;
	/* This one is told what is known, and the next one what was found for it. */
	expect_busy(rig, &rig->alice, "pid 77 (keeper);");
	expect_busy(rig, &rig->alice, "open in pid 78 (keeper);");
	rig->fake.n_holders = 0;
	expect_busy(rig, &rig->alice, "pid 78 (keeper);");
	expect_busy(rig, &rig->alice, "has not let go of " EDU ";");
	unblock(rig);
	assert_all_free(rig);
	peer_free(alice);
}

static void a_look_that_fails_leaves_what_is_known(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	rig->broker->limits.holders_fresh_usec = 0;
	block(rig, EDU);
	rig_acquire(rig, alice, EDU, NULL, NULL);
	rig->fake.holders_status = HELPER_BUSY;
	expect_busy(rig, &rig->alice, "pid 77 (keeper);");
	expect_busy(rig, &rig->alice, "pid 77 (keeper);");
	unblock(rig);
	assert_all_free(rig);
	peer_free(alice);
}

static void no_client_makes_many_looks(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);
	unsigned int n;

	block(rig, EDU);
	rig_acquire(rig, alice, EDU, NULL, NULL);
	n = rig->fake.n_requests[HELPER_HOLDERS];
	/* What is known is fresh. */
	expect_busy(rig, &rig->alice, "pid 77");
	assert_int_equal(rig->fake.n_requests[HELPER_HOLDERS], n);
	/* Who is told no names has nothing looked for. */
	rig->broker->limits.holders_fresh_usec = 0;
	expect_busy(rig, &rig->bob, "driver");
	assert_int_equal(rig->fake.n_requests[HELPER_HOLDERS], n);
	/* One look at a time. */
	rig->fake.holders_silent = true;
	for (int i = 0; i < 5; i++)
		expect_busy(rig, &rig->alice, "pid 77");
	assert_int_equal(rig->fake.n_requests[HELPER_HOLDERS], n + 1);
	unblock(rig);
	assert_all_free(rig);
	peer_free(alice);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		BROKER_CASE(the_client_is_told_who_has_the_device),
		BROKER_CASE(nobody_needs_to_be_found),
		BROKER_CASE(it_is_not_free_before_the_helper_says_so),
		BROKER_CASE(an_answer_that_does_not_come_is_not_waited_for),
		BROKER_CASE(a_client_that_goes_during_the_look_is_forgotten),
		BROKER_CASE(a_helper_that_dies_during_the_look_ends_it),
		BROKER_CASE(a_lease_of_two_of_which_one_blocks),
		BROKER_CASE(a_bystander_that_blocks_is_named),
		cmocka_unit_test(the_limit_of_workers_is_told_as_such),
		BROKER_CASE(who_is_named_is_looked_for_again),
		BROKER_CASE(a_look_that_fails_leaves_what_is_known),
		BROKER_CASE(no_client_makes_many_looks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
