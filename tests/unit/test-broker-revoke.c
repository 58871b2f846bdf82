/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Taking leases back: what the client is told, which means follow in which order, and what calls them off. The helper is fake;
 * a client that keeps its devices is one whose RESTORE it does not finish. The machine: broker-rig.h.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <string.h>

#include "broker-cases.h"
#include "broker/internal.h"
#include "fail-alloc.h"

#define ON(word, seconds) "ReleaseTimeoutSec=" seconds "\nOnReleaseTimeout=" word

struct fixture {
	struct rig rig;
	struct peer *alice;
	uint64_t lease;
	char told[4096]; /* name and message of all events about giving back, a line each */
};

static void hear(void *userdata, const struct broker_event *event)
{
	struct fixture *f = userdata;
	size_t used = strlen(f->told);

	if (strncmp(event->name, "release", 7) == 0 || strcmp(event->name, "clientSignalled") == 0)
		snprintf(f->told + used, sizeof(f->told) - used, "%s: %s\n", event->name, event->message);
}

static struct fixture fixture;

static int teardown(void **state)
{
	struct fixture *f = *state;

	f->rig.fake.linger = false;
	fake_helper_release(&f->rig.fake);
	f->alice = peer_free(f->alice);
	rig_settle(&f->rig);
	assert_true(list_is_empty(broker_leases(f->rig.broker)));
	assert_int_equal(fake_helper_n_open(&f->rig.fake), 0);
	rig_stop(&f->rig);
	return 0;
}

static int setup(void **state)
{
	memset(&fixture, 0, sizeof(fixture));
	*state = &fixture;
	return 0;
}

static void listen_to(struct fixture *f)
{
	f->rig.on_event = hear;
	f->rig.on_event_userdata = f;
}

/* Alice has the devices by these rules, and keeps them from now on. */
static void take(struct fixture *f, const char *policy, const char *devices)
{
	rig_start(&f->rig, policy);
	listen_to(f);
	f->alice = peer_of(&f->rig, &f->rig.alice);
	rig_acquire(&f->rig, f->alice, devices, NULL, NULL);
	assert_int_equal(f->rig.outcome.refusal, REFUSAL_NONE);
	f->lease = f->rig.outcome.lease;
	f->rig.fake.linger = true;
	f->rig.fake.n_holders = 1;
	f->rig.fake.holders[0] = (struct helper_holder){ .pid = 77, .comm = "qemu" };
}

static void take_one(struct fixture *f, const char *grant)
{
	char policy[256];

	snprintf(policy, sizeof(policy), RULE("Address=" EDU " " NIC, "1000", "%s"), grant);
	take(f, policy, EDU);
}

static void take_back(struct fixture *f)
{
	assert_true(broker_revoke(f->rig.broker, f->lease, 0, "the card is wanted elsewhere"));
	rig_settle(&f->rig);
}

/* The time is over, once. The lease's linger time is an hour in the rig: never the next thing. */
static void time_passes(struct fixture *f)
{
	assert_true(broker_next_deadline(f->rig.broker) < UINT64_MAX);
	broker_expire(f->rig.broker, broker_next_deadline(f->rig.broker));
	rig_settle(&f->rig);
}

static void let_go(struct fixture *f)
{
	f->rig.fake.linger = false;
	fake_helper_release(&f->rig.fake);
	rig_settle(&f->rig);
	assert_int_equal(rig_state(&f->rig, f->lease), LEASE_RELEASED);
}

static void assert_told(const struct fixture *f, const char *part)
{
	if (!strstr(f->told, part))
		fail_msg("\"%s\" was not told, but\n%s", part, f->told);
}

static size_t times_told(const struct fixture *f, const char *name)
{
	size_t n = 0;

	for (const char *at = f->told; (at = strstr(at, name)); at++)
		n++;
	return n;
}

/* How often it was signalled, and that nothing more is to come. */
static void assert_over(struct fixture *f, unsigned int n_signals)
{
	assert_int_equal(f->rig.fake.n_requests[HELPER_SIGNAL], n_signals);
	assert_int_equal(times_told(f, "releaseIgnored: "), 1);
	assert_true(broker_next_deadline(f->rig.broker) == UINT64_MAX);
	assert_int_equal(rig_state(&f->rig, f->lease), LEASE_LINGERING);
}

/* ---- the client is asked ---- */

static void a_client_is_asked_and_the_unbind_begins(void **state)
{
	struct fixture *f = *state;
	uint64_t before;

	take_one(f, ON("leave", "7"));
	before = now_usec();
	take_back(f);
	assert_told(
		f, "releaseRequested: lease 1 of uid 1000 is taken back: the card is wanted elsewhere; the descriptors "
		   "of its devices are to be closed within 7 s, who still has them then is reported\n");
	assert_int_equal(f->rig.fake.n_requests[HELPER_RESTORE], 1);
	assert_int_equal(rig_state(&f->rig, f->lease), LEASE_LINGERING);
	assert_true(broker_next_deadline(f->rig.broker) >= before + 7000000);
	assert_true(broker_next_deadline(f->rig.broker) <= now_usec() + 7000000);
	let_go(f);
}

static void what_comes_after_the_asking_is_announced(void **state)
{
	struct fixture *f = *state;

	take_one(f, ON("terminate", "9"));
	take_back(f);
	assert_told(f, "within 9 s, its client gets SIGTERM otherwise\n");
	let_go(f);
}

static void a_client_that_obeys_is_left_alone(void **state)
{
	struct fixture *f = *state;

	take_one(f, ON("kill", "7"));
	take_back(f);
	let_go(f);
	assert_true(broker_next_deadline(f->rig.broker) == UINT64_MAX);
	assert_int_equal(f->rig.fake.n_requests[HELPER_SIGNAL], 0);
	assert_false(rig_saw(&f->rig, "releaseIgnored"));
	assert_true(rig_saw(&f->rig, "leaseReleased"));
	/* It is still there, and as welcome as anybody. */
	rig_acquire(&f->rig, f->alice, EDU, NULL, NULL);
	assert_int_equal(f->rig.outcome.refusal, REFUSAL_NONE);
}

static void a_lease_without_descriptors_out_is_back_at_once(void **state)
{
	struct fixture *f = *state;

	take_one(f, ON("kill", "7"));
	f->rig.fake.linger = false;
	take_back(f);
	assert_int_equal(rig_state(&f->rig, f->lease), LEASE_RELEASED);
	assert_string_equal(rig_driver(&f->rig, EDU), "");
}

static void its_client_may_release_it_as_well(void **state)
{
	struct fixture *f = *state;
	struct peer *bob;

	take_one(f, ON("leave", "7"));
	bob = peer_of(&f->rig, &f->rig.bob);
	take_back(f);
	assert_true(broker_release(f->rig.broker, f->alice, f->lease));
	assert_false(broker_release(f->rig.broker, bob, f->lease));
	assert_int_equal(f->rig.fake.n_requests[HELPER_RESTORE], 1);
	peer_free(bob);
	let_go(f);
	assert_false(broker_release(f->rig.broker, f->alice, f->lease));
}

/* ---- the means, by the rule ---- */

static void leave_reports_once_who_has_it(void **state)
{
	struct fixture *f = *state;

	take_one(f, ON("leave", "7"));
	take_back(f);
	f->rig.fake.holders[0].pid = 78;
	time_passes(f);
	assert_told(
		f,
		"releaseIgnored: lease 1 of uid 1000 was taken back, but descriptors of its devices are still out; they "
		"are with pid 78 (qemu); they are free when the last one is closed\n");
	assert_over(f, 0);
	let_go(f);
}

static void terminate_signals_once_and_then_reports(void **state)
{
	struct fixture *f = *state;

	take_one(f, ON("terminate", "7"));
	take_back(f);
	time_passes(f);
	assert_non_null(strstr(f->rig.fake.trace, "terminate(" EDU ") "));
	assert_told(f, "clientSignalled: pid 1 of uid 1000 was sent SIGTERM, for it was asked to give " EDU
		       " of lease 1 back and did not within 7 s\n");
	assert_false(rig_saw(&f->rig, "releaseIgnored"));
	time_passes(f);
	assert_over(f, 1);
	let_go(f);
}

static void kill_signals_twice_and_then_reports(void **state)
{
	struct fixture *f = *state;
	uint64_t before;

	take_one(f, ON("kill", "7"));
	take_back(f);
	time_passes(f);
	before = now_usec();
	assert_null(strstr(f->rig.fake.trace, "kill("));
	assert_true(broker_next_deadline(f->rig.broker) > before + 5000000);
	time_passes(f);
	assert_non_null(strstr(f->rig.fake.trace, "terminate(" EDU ") kill(" EDU ") "));
	assert_told(f, "was sent SIGKILL");
	assert_false(rig_saw(&f->rig, "releaseIgnored"));
	time_passes(f);
	assert_over(f, 2);
	let_go(f);
}

static void a_client_that_obeys_the_first_signal_gets_no_second(void **state)
{
	struct fixture *f = *state;

	take_one(f, ON("kill", "7"));
	take_back(f);
	time_passes(f);
	let_go(f);
	assert_true(broker_next_deadline(f->rig.broker) == UINT64_MAX);
	assert_null(strstr(f->rig.fake.trace, "kill("));
}

/* The shortest time, the strictest means, and that for the device whose rule it is. */
static void of_several_devices_the_strictest_decides(void **state)
{
	struct fixture *f = *state;

	take(f, RULE("Address=" EDU, "1000", ON("leave", "3")) RULE("Address=" NIC, "1000", ON("terminate", "9")),
	     EDU " " NIC);
	take_back(f);
	assert_told(f, "within 3 s, its client gets SIGTERM otherwise\n");
	time_passes(f);
	assert_non_null(strstr(f->rig.fake.trace, "terminate(" NIC ") "));
	time_passes(f);
	assert_over(f, 1);
	let_go(f);
}

/* What is back already is no reason to signal. */
static void a_device_that_is_back_decides_nothing(void **state)
{
	struct fixture *f = *state;

	take(f, RULE("Address=" EDU, "1000", ON("leave", "3")) RULE("Address=" NIC, "1000", ON("kill", "9")),
	     EDU " " NIC);
	f->rig.fake.linger = false;
	f->rig.fake.hold = true;
	take_back(f);
	/* Of the two, only the one of the stricter rule is answered. */
	assert_int_equal(f->rig.fake.n_held, 2);
	f->rig.fake.held[0] = f->rig.fake.held[1];
	f->rig.fake.n_held = 1;
	fake_helper_release(&f->rig.fake);
	rig_settle(&f->rig);
	assert_string_equal(rig_driver(&f->rig, NIC), "e1000e");
	time_passes(f);
	assert_over(f, 0);
	/* The other's answer never came: as after a helper that went. */
	f->rig.fake.hold = false;
	fake_helper_kill(&f->rig.fake);
	rig_settle(&f->rig);
	time_passes(f);
	assert_int_equal(rig_state(&f->rig, f->lease), LEASE_RELEASED);
}

/* It waits for others of its group, and for nobody who could be signalled. */
static void a_device_that_its_group_keeps_decides_nothing(void **state)
{
	struct fixture *f = *state;

	take(f,
	     RULE("Address=" SLOT_NIC, "1000", "GroupScope=whole\n" ON("kill", "3"))
		     RULE("Address=0000:03:00.*", "1000", "GroupScope=whole\n" ON("leave", "9")),
	     SLOT_NIC " " SLOT_NVME " " SLOT_EDU);
	f->rig.fake.linger = false;
	f->rig.fake.hold = true;
	strcpy(f->rig.fake.denied_address, SLOT_NIC);
	take_back(f);
	f->rig.fake.n_held = 1;
	fake_helper_release(&f->rig.fake);
	rig_settle(&f->rig);
	assert_string_equal(rig_driver(&f->rig, SLOT_NIC), "");
	time_passes(f);
	assert_over(f, 0);
	f->rig.fake.hold = false;
	fake_helper_kill(&f->rig.fake);
	rig_settle(&f->rig);
	time_passes(f);
	assert_slot_is_back(&f->rig);
}

/* Of a former broker's client: nobody has it, and nobody could be asked. */
static void nobody_is_to_blame_for_what_is_parked(void **state)
{
	struct fixture *f = *state;

	rig_start(&f->rig, RULE("Address=" EDU, "1000", ON("kill", "7")));
	listen_to(f);
	f->rig.fake.transactions[0] = (struct fake_transaction){ .open = true, .address = EDU, .parked = true };
	f->rig.fake.n_transactions = 1;
	f->rig.fake.hold = true;
	assert_int_equal(helper_client_connect(f->rig.helper), 0);
	broker_helper_connected(f->rig.broker);
	rig_settle(&f->rig);
	f->lease = 1;
	assert_int_equal(rig_state(&f->rig, f->lease), LEASE_RELEASING);
	take_back(f);
	time_passes(f);
	assert_false(rig_saw(&f->rig, "releaseIgnored"));
	let_go(f);
}

/* ---- what comes in between ---- */

static void asking_twice_changes_nothing(void **state)
{
	struct fixture *f = *state;

	take_one(f, ON("kill", "7"));
	take_back(f);
	time_passes(f);
	take_back(f);
	assert_int_equal(times_told(f, "releaseRequested: "), 1);
	assert_int_equal(f->rig.fake.n_requests[HELPER_RESTORE], 1);
	time_passes(f);
	assert_non_null(strstr(f->rig.fake.trace, "kill("));
	let_go(f);
	assert_false(broker_revoke(f->rig.broker, f->lease, 0, "x"));
}

/* Nobody can prove who had it: whoever has the descriptors is named. */
static void a_client_that_left_its_descriptors_to_another_is_not_signalled(void **state)
{
	struct fixture *f = *state;

	take_one(f, ON("kill", "7"));
	take_back(f);
	f->alice = peer_free(f->alice);
	rig_settle(&f->rig);
	time_passes(f);
	assert_told(f, "; they are with pid 77 (qemu); the client that had them is gone, so nobody is signalled;");
	assert_over(f, 0);
	let_go(f);
}

static void a_client_that_dies_between_the_signals_gets_no_second(void **state)
{
	struct fixture *f = *state;

	take_one(f, ON("kill", "7"));
	take_back(f);
	time_passes(f);
	f->alice = peer_free(f->alice);
	rig_settle(&f->rig);
	time_passes(f);
	assert_over(f, 1);
	let_go(f);
}

static void a_client_that_dies_ends_it(void **state)
{
	struct fixture *f = *state;

	take_one(f, ON("kill", "7"));
	take_back(f);
	time_passes(f);
	f->rig.fake.linger = false;
	fake_helper_release(&f->rig.fake);
	f->alice = peer_free(f->alice);
	rig_settle(&f->rig);
	assert_int_equal(rig_state(&f->rig, f->lease), LEASE_RELEASED);
	assert_false(rig_saw(&f->rig, "releaseIgnored"));
}

/* Given back by its client, which kept the descriptors all the same. */
static void a_lease_that_lingers_is_taken_back_as_well(void **state)
{
	struct fixture *f = *state;

	take_one(f, ON("terminate", "7"));
	assert_true(broker_release(f->rig.broker, f->alice, f->lease));
	rig_settle(&f->rig);
	assert_int_equal(rig_state(&f->rig, f->lease), LEASE_LINGERING);
	assert_false(broker_release(f->rig.broker, f->alice, f->lease));
	take_back(f);
	assert_int_equal(f->rig.fake.n_requests[HELPER_RESTORE], 1);
	time_passes(f);
	assert_non_null(strstr(f->rig.fake.trace, "terminate(" EDU ") "));
	let_go(f);
}

static void a_violated_lease_is_taken_back(void **state)
{
	struct fixture *f = *state;
	struct lease *lease;

	take_one(f, ON("leave", "7"));
	lease = list_first_entry(broker_leases(f->rig.broker), struct lease, link);
	lease_set_state(lease, LEASE_VIOLATED);
	take_back(f);
	assert_int_equal(rig_state(&f->rig, f->lease), LEASE_LINGERING);
	let_go(f);
}

/* The client gets its answer, and what was prepared is undone. */
static void a_lease_that_is_being_prepared_is_called_off(void **state)
{
	struct fixture *f = *state;

	rig_start(&f->rig, RULE("Address=" NIC, "1000", ON("kill", "7")));
	listen_to(f);
	f->alice = peer_of(&f->rig, &f->rig.alice);
	f->rig.fake.hold = true;
	rig_acquire(&f->rig, f->alice, NIC, NULL, NULL);
	assert_int_equal(f->rig.outcome.n, 0);
	f->lease = 1;
	take_back(f);
	f->rig.fake.hold = false;
	fake_helper_release(&f->rig.fake);
	rig_settle(&f->rig);
	assert_int_equal(f->rig.outcome.n, 1);
	assert_int_equal(f->rig.outcome.refusal, REFUSAL_PREPARE_FAILED);
	assert_string_equal(f->rig.outcome.word, "revoked");
	assert_non_null(strstr(f->rig.outcome.message, "the card is wanted elsewhere"));
	assert_string_equal(rig_driver(&f->rig, NIC), "e1000e");
	assert_false(rig_saw(&f->rig, "leaseGranted"));
	assert_false(rig_saw(&f->rig, "releaseRequested"));
	assert_true(rig_saw(&f->rig, "leaseReleased"));
}

/* The nodes are not there yet: nothing is out that could come back and end it. */
static void a_lease_that_waits_for_udev_is_called_off_at_once(void **state)
{
	struct fixture *f = *state;

	rig_start(&f->rig, RULE("Address=" NIC, "1000", ON("kill", "7")));
	listen_to(f);
	f->alice = peer_of(&f->rig, &f->rig.alice);
	rig_open_result = -ENOENT;
	rig_acquire(&f->rig, f->alice, NIC, NULL, NULL);
	assert_int_equal(f->rig.outcome.n, 0);
	f->lease = 1;
	take_back(f);
	assert_int_equal(f->rig.outcome.refusal, REFUSAL_PREPARE_FAILED);
	assert_string_equal(rig_driver(&f->rig, NIC), "e1000e");
}

static struct rig *revoked_rig;

static void revoke_meanwhile(struct rig *rig)
{
	assert_ptr_equal(rig, revoked_rig);
	rig_while_opening = NULL;
	/* As from the opener's thread's time: the acquire is marked so. */
	list_first_entry(broker_leases(rig->broker), struct lease, link)->acquire->opening = true;
	assert_true(broker_revoke(rig->broker, 1, 0, "why not"));
	assert_int_equal(rig->outcome.n, 0);
	list_first_entry(broker_leases(rig->broker), struct lease, link)->acquire->opening = false;
}

static void what_is_opened_meanwhile_is_not_handed_out(void **state)
{
	struct fixture *f = *state;

	rig_start(&f->rig, RULE("Address=" NIC, "1000", ON("kill", "7")));
	listen_to(f);
	f->alice = peer_of(&f->rig, &f->rig.alice);
	revoked_rig = &f->rig;
	rig_while_opening = revoke_meanwhile;
	rig_acquire(&f->rig, f->alice, NIC, NULL, NULL);
	assert_int_equal(f->rig.outcome.refusal, REFUSAL_PREPARE_FAILED);
	assert_int_equal(f->rig.outcome.n_devices, 0);
	assert_string_equal(rig_driver(&f->rig, NIC), "e1000e");
}

/* ---- the helper ---- */

static void what_the_helper_says_against_a_signal_is_reported(void **state)
{
	struct fixture *f = *state;

	take_one(f, ON("kill", "7"));
	f->rig.fake.signal_status = HELPER_REFUSED;
	f->rig.fake.signal_detail = "a.policy:1 has OnReleaseTimeout=leave for uid 1000";
	take_back(f);
	time_passes(f);
	assert_told(f, "; no SIGTERM: a.policy:1 has OnReleaseTimeout=leave for uid 1000;");
	assert_false(rig_saw(&f->rig, "clientSignalled"));
	assert_over(f, 1);
	let_go(f);
}

static void a_helper_that_gives_no_reason_is_quoted_by_its_status(void **state)
{
	struct fixture *f = *state;

	take_one(f, ON("kill", "7"));
	f->rig.fake.signal_status = HELPER_POLICY_DIFFERS;
	take_back(f);
	time_passes(f);
	assert_told(f, "; no SIGTERM: the helper has another policy in force; reload both;");
	let_go(f);
}

static void a_signal_waits_for_a_helper_that_is_away(void **state)
{
	struct fixture *f = *state;
	char away[160];

	take_one(f, ON("terminate", "7"));
	take_back(f);
	snprintf(away, sizeof(away), "%s.away", f->rig.fake.path);
	assert_int_equal(rename(f->rig.fake.path, away), 0);
	fake_helper_kill(&f->rig.fake);
	rig_settle(&f->rig);
	/* The helper is tried again, and the time is over, both in vain. */
	broker_expire(f->rig.broker, now_usec() + 20000000);
	rig_settle(&f->rig);
	assert_false(rig_saw(&f->rig, "releaseIgnored"));
	assert_int_equal(f->rig.fake.n_requests[HELPER_SIGNAL], 0);
	assert_int_equal(rename(away, f->rig.fake.path), 0);
	time_passes(f);
	time_passes(f);
	assert_non_null(strstr(f->rig.fake.trace, "terminate(" EDU ") "));
	assert_int_equal(times_told(f, "clientSignalled: "), 1);
	let_go(f);
}

static void a_signal_whose_answer_is_lost_is_sent_again(void **state)
{
	struct fixture *f = *state;

	take_one(f, ON("terminate", "7"));
	take_back(f);
	broker_expire(f->rig.broker, broker_next_deadline(f->rig.broker));
	/* On its way, and the helper goes. */
	fake_helper_kill(&f->rig.fake);
	rig_settle(&f->rig);
	assert_false(rig_saw(&f->rig, "clientSignalled"));
	time_passes(f);
	time_passes(f);
	assert_int_equal(times_told(f, "clientSignalled: "), 1);
	let_go(f);
}

static void an_answer_that_comes_after_the_end_is_nobodys(void **state)
{
	struct fixture *f = *state;

	take_one(f, ON("terminate", "7"));
	take_back(f);
	broker_expire(f->rig.broker, broker_next_deadline(f->rig.broker));
	/* The end is in the socket before the answer. */
	f->rig.fake.linger = false;
	fake_helper_release(&f->rig.fake);
	rig_settle(&f->rig);
	assert_int_equal(rig_state(&f->rig, f->lease), LEASE_RELEASED);
	assert_false(rig_saw(&f->rig, "clientSignalled"));
}

/* ---- without memory ---- */

static void whichever_allocation_fails_the_lease_comes_back(void **state)
{
	struct fixture *f = *state;
	bool failed = true;

	rig_start(&f->rig, RULE("Address=" EDU, "1000", ON("kill", "7")));
	listen_to(f);
	f->alice = peer_of(&f->rig, &f->rig.alice);
	f->rig.fake.n_holders = 1;
	for (unsigned int n = 1; failed; n++) {
		rig_acquire(&f->rig, f->alice, EDU, NULL, NULL);
		assert_int_equal(f->rig.outcome.refusal, REFUSAL_NONE);
		f->lease = f->rig.outcome.lease;
		f->rig.fake.linger = true;
		fail_alloc_begin(n);
		take_back(f);
		for (int i = 0; i < 3 && broker_next_deadline(f->rig.broker) != UINT64_MAX; i++)
			time_passes(f);
		failed = fail_alloc_end();
		/* What could not be asked of the helper is asked again. */
		for (int i = 0; i < 6 && broker_next_deadline(f->rig.broker) != UINT64_MAX; i++)
			time_passes(f);
		assert_int_equal(rig_state(&f->rig, f->lease), LEASE_LINGERING);
		let_go(f);
		assert_int_equal(fake_helper_n_open(&f->rig.fake), 0);
		assert_true(n < 100);
	}
	assert_non_null(strstr(f->rig.fake.trace, "kill(" EDU ") "));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(a_client_is_asked_and_the_unbind_begins),
		CASE(what_comes_after_the_asking_is_announced),
		CASE(a_client_that_obeys_is_left_alone),
		CASE(a_lease_without_descriptors_out_is_back_at_once),
		CASE(its_client_may_release_it_as_well),
		CASE(leave_reports_once_who_has_it),
		CASE(terminate_signals_once_and_then_reports),
		CASE(kill_signals_twice_and_then_reports),
		CASE(a_client_that_obeys_the_first_signal_gets_no_second),
		CASE(of_several_devices_the_strictest_decides),
		CASE(a_device_that_is_back_decides_nothing),
		CASE(a_device_that_its_group_keeps_decides_nothing),
		CASE(nobody_is_to_blame_for_what_is_parked),
		CASE(asking_twice_changes_nothing),
		CASE(a_client_that_left_its_descriptors_to_another_is_not_signalled),
		CASE(a_client_that_dies_between_the_signals_gets_no_second),
		CASE(a_client_that_dies_ends_it),
		CASE(a_lease_that_lingers_is_taken_back_as_well),
		CASE(a_violated_lease_is_taken_back),
		CASE(a_lease_that_is_being_prepared_is_called_off),
		CASE(a_lease_that_waits_for_udev_is_called_off_at_once),
		CASE(what_is_opened_meanwhile_is_not_handed_out),
		CASE(what_the_helper_says_against_a_signal_is_reported),
		CASE(a_helper_that_gives_no_reason_is_quoted_by_its_status),
		CASE(a_signal_waits_for_a_helper_that_is_away),
		CASE(a_signal_whose_answer_is_lost_is_sent_again),
		CASE(an_answer_that_comes_after_the_end_is_nobodys),
		CASE(whichever_allocation_fails_the_lease_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
