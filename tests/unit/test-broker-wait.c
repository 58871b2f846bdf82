/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who waits for what, in which order they get it, and what ends a wait. The machine: broker-rig.h, and more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "asker.h"
#include "broker/internal.h"
#include "fail-alloc.h"
#include "util/cleanup.h"

#define ANYBODY "[Match]\nAddress=*\n[Client]\nUser=*\n[Grant]\nAction=allow\n"
#define POOL "[Match]\nAddress=0000:8*\n[Pool]\nName=some\n"
#define A "0000:80:00.0"
#define B "0000:81:00.0"
#define C "0000:82:00.0"
#define N_ASKERS 5

static struct rig rig;
static struct asker askers[N_ASKERS];
static struct asker *const holder = &askers[0], *const first = &askers[1], *const second = &askers[2],
			   *const third = &askers[3], *const other = &askers[4];

static void start(const char *policy)
{
	rig_start(&rig, policy);
	rig_add_device(&rig, A, 10, NULL);
	rig_add_device(&rig, B, 11, NULL);
	rig_add_device(&rig, C, 12, NULL);
	for (size_t i = 0; i < N_ASKERS; i++)
		asker_come(&askers[i], &rig, (uid_t)(1000 + i));
}

static int setup(void **state)
{
	start(POOL ANYBODY);
	return 0;
}

static int teardown(void **state)
{
	for (size_t i = 0; i < N_ASKERS; i++)
		asker_go(&askers[i]);
	assert_true(list_is_empty(broker_leases(rig.broker)));
	assert_int_equal(wait_next_deadline(rig.broker), UINT64_MAX);
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

static void gets_it_when_the_other_gives_it_back(void **state)
{
	asker_ask(holder, A, 0);
	asker_ask(first, A, 60);
	assert_true(first->waits);
	assert_true(rig_saw(&rig, "leaseWaiting"));
	assert_non_null(strstr(rig.last_event, "uid 1001 waits up to 60 s: " A ": group 10 is active, held by "));
	asker_give_back(holder);
	assert_int_equal(first->n, 1);
	assert_string_equal(first->devices, A " ");
}

static void gets_it_when_the_others_connection_ends(void **state)
{
	asker_ask(holder, A, 0);
	asker_ask(first, A, 60);
	asker_go(holder);
	assert_string_equal(first->devices, A " ");
}

static void goes_in_order_of_arrival(void **state)
{
	asker_ask(holder, A, 0);
	asker_ask(first, A, 60);
	asker_ask(second, A, 60);
	asker_ask(third, A, 60);
	asker_give_back(holder);
	assert_true(first->lease && second->waits && third->waits);
	asker_give_back(first);
	assert_true(second->lease && third->waits);
	asker_give_back(second);
	assert_true(third->lease);
	assert_true(first->place < second->place && second->place < third->place);
}

static void goes_in_order_of_arrival_in_a_pool(void **state)
{
	asker_ask_pool(holder, "some", 3, 0);
	asker_ask_pool(first, "some", 1, 60);
	asker_ask_pool(second, "some", 1, 60);
	asker_ask_pool(third, "some", 2, 60);
	asker_give_back(holder);
	assert_string_equal(first->devices, A " ");
	assert_string_equal(second->devices, B " ");
	assert_true(first->place < second->place);
	assert_true(third->waits);
	asker_give_back(first);
	assert_string_equal(third->devices, A " " C " ");
}

static void is_over_when_the_time_is(void **state)
{
	uint64_t deadline;

	asker_ask(holder, A, 0);
	asker_ask(first, A, 60);
	deadline = broker_next_deadline(rig.broker);
	assert_in_range(deadline, now_usec() + 50000000, now_usec() + 60000000);
	broker_expire(rig.broker, deadline - 1);
	assert_true(first->waits);
	broker_expire(rig.broker, deadline);
	assert_int_equal(first->refusal, REFUSAL_TIMED_OUT);
	assert_string_equal(first->said.word, "wait");
	assert_string_equal(first->said.message, "waited 60 s in vain: " A
						 ": group 10 is active, held by another user; it is free again when "
						 "that client lets go");
	asker_give_back(holder);
	assert_int_equal(first->n, 1);
}

static void says_who_has_it_at_the_end_not_at_the_beginning(void **state)
{
	struct asker *root = second;

	asker_go(second);
	asker_come(root, &rig, 0);
	asker_ask(holder, A, 0);
	asker_ask(first, A, 60);
	asker_ask(root, A, 60);
	asker_give_back(holder);
	broker_expire(rig.broker, now_usec() + 70000000);
	assert_int_equal(root->refusal, REFUSAL_TIMED_OUT);
	assert_non_null(strstr(root->said.message, "held by pid 1001 of uid 1001"));
}

/* What came free in time is granted, even if the event loop comes late. */
static void what_is_free_in_time_is_granted(void **state)
{
	asker_ask(holder, A, 0);
	asker_ask(first, A, 1);
	assert_true(broker_release(rig.broker, holder->peer, holder->lease));
	while (broker_next_deadline(rig.broker) != 0) {
		fake_helper_serve(&rig.fake);
		assert_int_equal(helper_client_dispatch(rig.helper), 0);
	}
	broker_expire(rig.broker, now_usec() + 2000000);
	rig_settle(&rig);
	assert_string_equal(first->devices, A " ");
}

static void who_goes_makes_room(void **state)
{
	asker_ask(holder, A, 0);
	asker_ask(first, A " " B, 60);
	asker_ask(second, B, 60);
	assert_true(second->waits);
	asker_go(first);
	assert_true(rig_saw(&rig, "waitAbandoned"));
	assert_string_equal(second->devices, B " ");
	asker_give_back(holder);
	assert_int_equal(first->n, 0);
}

/* Also where its time is over. */
static void whose_time_is_over_makes_room(void **state)
{
	asker_ask(holder, A, 0);
	asker_ask(first, A " " B, 10);
	asker_ask(second, B, 60);
	broker_expire(rig.broker, now_usec() + 20000000);
	rig_settle(&rig);
	assert_int_equal(first->refusal, REFUSAL_TIMED_OUT);
	assert_string_equal(second->devices, B " ");
}

static void without_a_wait_nobody_overtakes(void **state)
{
	asker_ask(holder, A, 0);
	asker_ask(first, A " " B, 60);
	asker_ask(second, B, 0);
	assert_int_equal(second->refusal, REFUSAL_BUSY);
	assert_int_equal(second->said.state, LEASE_REQUESTED);
	assert_string_equal(second->said.message,
			    B ": group 11 is promised to another user, who asked first and waits; wait in line "
			      "(waitSec), or ask later");
	asker_ask_pool(second, "some", 2, 0);
	assert_int_equal(second->refusal, REFUSAL_POOL_EXHAUSTED);
	assert_int_equal(second->said.number, 1);
}

/* Who wants several is not kept waiting by ever new ones who want one of them. */
static void who_wants_several_is_not_starved(void **state)
{
	asker_ask(holder, A, 0);
	asker_ask(other, B, 0);
	asker_ask(first, A " " B, 60);
	asker_ask(second, A, 60);
	asker_ask(third, B, 60);
	asker_give_back(holder);
	assert_true(first->waits && second->waits);
	asker_give_back(other);
	assert_string_equal(first->devices, A " " B " ");
	assert_true(second->waits && third->waits);
	asker_give_back(first);
	assert_true(second->lease && third->lease);
}

static void who_wants_several_of_a_pool_is_not_starved(void **state)
{
	asker_ask_pool(holder, "some", 1, 0);
	asker_ask_pool(other, "some", 1, 0);
	asker_ask_pool(first, "some", 2, 60);
	asker_ask_pool(second, "some", 1, 60);
	assert_true(first->waits && second->waits);
	asker_ask(third, C, 0);
	assert_int_equal(third->refusal, REFUSAL_BUSY);
	asker_give_back(holder);
	assert_string_equal(first->devices, A " " C " ");
	assert_true(second->waits);
}

/* It was granted other devices than the one that it kept from somebody: that one must hear of it. */
static void what_a_grant_leaves_over_goes_on(void **state)
{
	asker_ask(holder, A " " B, 0);
	asker_ask_pool(first, "some", 2, 60);
	asker_ask(second, C, 60);
	assert_true(second->waits);
	asker_give_back(holder);
	assert_string_equal(first->devices, A " " B " ");
	assert_string_equal(second->devices, C " ");
}

static void different_groups_do_not_see_each_other(void **state)
{
	asker_ask(holder, A, 0);
	asker_ask(first, A, 60);
	asker_ask(second, B, 0);
	assert_string_equal(second->devices, B " ");
	asker_ask_pool(third, "some", 1, 0);
	assert_string_equal(third->devices, C " ");
}

static void a_new_policy_ends_what_it_denies(void **state)
{
	asker_ask(holder, A, 0);
	asker_ask(first, A, 60);
	asker_ask(second, A, 60);
	asker_ask_pool(third, "some", 3, 60);
	set_policy("[Match]\nAddress=*\n[Client]\nUser=1001\n[Grant]\nAction=deny\n" ANYBODY);
	assert_int_equal(first->refusal, REFUSAL_DENIED);
	assert_true(second->waits);
	assert_int_equal(third->refusal, REFUSAL_NO_SUCH_POOL);
}

static void a_device_that_goes_ends_it(void **state)
{
	asker_ask(holder, A, 0);
	asker_ask(first, A " " B, 60);
	fake_sysfs_remove_device(rig.sysfs, B);
	broker_device_changed(rig.broker, B);
	rig_settle(&rig);
	assert_int_equal(first->refusal, REFUSAL_NO_SUCH_DEVICE);
	assert_string_equal(first->said.device, B);
}

static void a_device_that_comes_fills_the_pool(void **state)
{
	asker_ask_pool(holder, "some", 3, 0);
	asker_ask_pool(first, "some", 1, 60);
	rig_add_device(&rig, "0000:83:00.0", 13, NULL);
	assert_string_equal(first->devices, "0000:83:00.0 ");
}

/* Nobody who gives back could end it, so nobody is kept waiting for it, nor behind it. */
static void more_than_the_pool_has_is_not_waited_for(void **state)
{
	asker_ask(holder, A, 0);
	asker_ask_pool(first, "some", 4, 60);
	assert_int_equal(first->refusal, REFUSAL_POOL_EXHAUSTED);
}

static void a_pool_that_shrinks_ends_it(void **state)
{
	asker_ask(holder, A, 0);
	asker_ask_pool(first, "some", 3, 60);
	assert_true(first->waits);
	fake_sysfs_remove_device(rig.sysfs, C);
	broker_device_changed(rig.broker, C);
	rig_settle(&rig);
	assert_int_equal(first->refusal, REFUSAL_POOL_EXHAUSTED);
}

static void what_the_host_uses_is_not_waited_for(void **state)
{
	strcpy(rig.fake.fail_address, A);
	rig.fake.fail_status = HELPER_IN_USE;
	asker_ask(first, A, 60);
	assert_int_equal(first->refusal, REFUSAL_BUSY);
	assert_true(first->said.host_has_it);
}

static void what_is_refused_otherwise_is_not_waited_for(void **state)
{
	asker_ask(first, SLOT_NIC, 60);
	assert_int_equal(first->refusal, REFUSAL_NOT_SINGLETON);
	asker_ask(first, "0000:ff:00.0", 60);
	assert_int_equal(first->refusal, REFUSAL_NO_SUCH_DEVICE);
}

static void waits_until_it_lingers_no_more(void **state)
{
	rig.fake.linger = true;
	asker_ask(holder, A, 0);
	asker_ask(first, A, 60);
	asker_go(holder);
	assert_true(first->waits);
	rig.fake.linger = false;
	fake_helper_release(&rig.fake);
	rig_settle(&rig);
	assert_string_equal(first->devices, A " ");
}

/* The holder's label is in the way for as long as the holder is. */
static void another_label_is_waited_for(void **state)
{
	set_policy("[Match]\nAddress=*\n[Client]\nUser=1000\n[Grant]\nAction=allow\nLabel=red\n"
		   "[Match]\nAddress=*\n[Client]\nUser=*\n[Grant]\nAction=allow\nLabel=blue\n");
	asker_ask(holder, A, 0);
	asker_ask(first, A, 0);
	assert_int_equal(first->refusal, REFUSAL_LABEL_MISMATCH);
	asker_ask(first, A, 60);
	assert_true(first->waits);
	asker_give_back(holder);
	assert_string_equal(first->devices, A " ");
}

static void who_waits_counts_as_if_it_had_it(void **state)
{
	struct asker again[2];

	for (size_t i = 0; i < 2; i++)
		asker_come(&again[i], &rig, 1001);
	asker_ask(holder, A " " B, 0);
	asker_ask(first, A, 60);
	asker_ask(&again[0], B, 60);
	asker_ask(&again[1], C, 60);
	assert_int_equal(again[1].refusal, REFUSAL_QUOTA);
	asker_go(&again[0]);
	asker_ask(&again[1], C, 60);
	assert_string_equal(again[1].devices, C " ");
	asker_give_back(&again[1]);
	asker_give_back(holder);
	assert_true(first->lease);
	asker_go(&again[1]);
}

static void explain_knows_of_the_queue(void **state)
{
	struct explanation explanation;

	asker_ask(holder, A, 0);
	asker_ask(first, A " " B, 60);
	assert_int_equal(broker_explain(rig.broker, &second->identity, B, NULL, &explanation), 0);
	assert_int_equal(explanation.refusal.kind, REFUSAL_BUSY);
	assert_int_equal(explanation.refusal.state, LEASE_REQUESTED);
	explanation_clear(&explanation);
}

static void assert_it_can_still_be_had(struct asker *asker)
{
	asker_ask_pool(asker, "some", 3, 0);
	assert_string_equal(asker->devices, A " " B " " C " ");
	asker_give_back(asker);
}

/* A fault is an answer like any other: whatever allocation fails, there is one, and the next in line does not wait for ever. */
static void survives_each_allocation_that_fails(void **state)
{
	bool failed = true;

	for (unsigned int n = 1; failed; n++) {
		unsigned int answers = first->n;

		assert_true(n < 1000);
		rig.fake.n_transactions = 0;
		asker_ask(holder, A, 0);
		fail_alloc_begin(n);
		asker_ask_pool(first, "some", 3, 60);
		failed = fail_alloc_end();
		assert_int_equal(first->n, answers + !first->waits);
		asker_ask_pool(second, "some", 1, 60);
		if (first->waits)
			assert_true(second->waits);
		else
			assert_string_equal(second->devices, B " ");
		asker_give_back(holder);
		if (first->lease)
			asker_give_back(first);
		if (second->lease)
			asker_give_back(second);
	}
	assert_it_can_still_be_had(third);
}

static void survives_each_allocation_that_fails_when_it_is_its_turn(void **state)
{
	bool failed = true;

	for (unsigned int n = 1; failed; n++) {
		assert_true(n < 1000);
		rig.fake.n_transactions = 0;
		asker_ask(holder, A, 0);
		asker_ask_pool(first, "some", 3, 60);
		asker_ask(second, B, 60);
		assert_true(first->waits && second->waits);
		fail_alloc_begin(n);
		asker_give_back(holder);
		failed = fail_alloc_end();
		for (int i = 0; i < 3 && (first->waits || (second->waits && !first->lease)); i++) {
			/* A helper that could not be asked is asked again after a while. */
			broker_expire(rig.broker, now_usec() + 2000000);
			rig_settle(&rig);
		}
		assert_false(first->waits);
		if (first->lease)
			asker_give_back(first);
		assert_false(second->waits);
		if (second->lease)
			asker_give_back(second);
	}
	assert_it_can_still_be_had(third);
}

/* ---- against a model ---- */

#define MODEL_DEVICES 4 /* the first three are the pool */
#define MODEL_ASKERS 5

static const char *const addresses[MODEL_DEVICES] = { A, B, C, NIC };

struct model_request {
	bool waits;
	unsigned int arrival;
	unsigned int named; /* a bit a device; 0: of the pool */
	unsigned int count;
	unsigned int held; /* a bit a device */
};

static unsigned int free_devices(const struct model_request *model)
{
	unsigned int held = 0;

	for (size_t i = 0; i < MODEL_ASKERS; i++)
		held |= model[i].held;
	return ~held & ((1u << MODEL_DEVICES) - 1);
}

/* What it gets of these devices; 0: nothing. */
static unsigned int model_choice(const struct model_request *request, unsigned int available)
{
	unsigned int chosen = 0, n = 0;

	if (request->named)
		return (request->named & ~available) == 0 ? request->named : 0;
	for (unsigned int i = 0; i < 3 && n < request->count; i++)
		if (available & (1u << i)) {
			chosen |= 1u << i;
			n++;
		}
	return n == request->count ? chosen : 0;
}

static struct model_request *next_in_line(struct model_request *model, unsigned int after)
{
	struct model_request *next = NULL;

	for (size_t i = 0; i < MODEL_ASKERS; i++)
		if (model[i].waits && model[i].arrival > after && (!next || model[i].arrival < next->arrival))
			next = &model[i];
	return next;
}

/* In order of arrival, each gets what is left by those before it; who gets nothing keeps all that it could want. */
static void model_serve(struct model_request *model)
{
	unsigned int available = free_devices(model);
	struct model_request *request = next_in_line(model, 0);

	while (request) {
		unsigned int chosen = model_choice(request, available), arrival = request->arrival;

		request->held = chosen;
		request->waits = !chosen;
		available &= ~(chosen ? chosen : request->named ? request->named : 7u);
		request = next_in_line(model, arrival);
	}
}

static void assert_as_modelled(const struct model_request *model, int round)
{
	for (size_t i = 0; i < MODEL_ASKERS; i++) {
		char expected[256] = "";

		for (size_t d = 0; d < MODEL_DEVICES; d++)
			if (model[i].held & (1u << d))
				strcat(strcat(expected, addresses[d]), " ");
		if (askers[i].waits != model[i].waits || strcmp(askers[i].devices, expected) != 0)
			fail_msg("round %d, asker %zu: waits %d and has '%s', not %d and '%s'", round, i,
				 askers[i].waits, askers[i].devices, model[i].waits, expected);
	}
}

static void model_ask(struct model_request *request, struct asker *asker, unsigned int *seed)
{
	char text[128] = "";

	request->waits = true;
	request->count = 1 + rand_r(seed) % 3;
	request->named = rand_r(seed) % 2 ? 0 : 1 + rand_r(seed) % ((1u << MODEL_DEVICES) - 1);
	for (size_t d = 0; d < MODEL_DEVICES; d++)
		if (request->named & (1u << d))
			strcat(strcat(text, addresses[d]), " ");
	if (request->named)
		asker_ask(asker, text, 60);
	else
		asker_ask_pool(asker, "some", request->count, 60);
}

static void model_step(struct model_request *model, unsigned int *arrivals, unsigned int *seed)
{
	size_t i = rand_r(seed) % MODEL_ASKERS;

	if (model[i].waits || (model[i].held && rand_r(seed) % 4 == 0)) {
		if (model[i].waits && rand_r(seed) % 3)
			return;
		asker_go(&askers[i]);
		asker_come(&askers[i], &rig, (uid_t)(1000 + i));
		model[i] = (struct model_request){ 0 };
	} else if (model[i].held) {
		asker_give_back(&askers[i]);
		model[i] = (struct model_request){ 0 };
	} else {
		model[i].arrival = ++*arrivals;
		model_ask(&model[i], &askers[i], seed);
	}
	model_serve(model);
}

static void does_what_a_simple_model_does(void **state)
{
	struct model_request model[MODEL_ASKERS] = { 0 };
	unsigned int seed = 20261121, arrivals = 0, n_waited = 0;

	for (int round = 0; round < 3000; round++) {
		/* The fake helper's journal has an end, and so has the list of events. */
		if (free_devices(model) == (1u << MODEL_DEVICES) - 1)
			rig.fake.n_transactions = 0;
		rig.events[0] = rig.fake.trace[0] = '\0';
		if (rig.fake.n_transactions > FAKE_TRANSACTIONS - 2 * MODEL_DEVICES)
			for (size_t i = 0; i < MODEL_ASKERS; i++) {
				asker_go(&askers[i]);
				asker_come(&askers[i], &rig, (uid_t)(1000 + i));
				model[i] = (struct model_request){ 0 };
			}
		else
			model_step(model, &arrivals, &seed);
		n_waited += rig_saw(&rig, "leaseWaiting");
		assert_as_modelled(model, round);
	}
	/* It did meet what it is about. */
	assert_true(n_waited > 200);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(gets_it_when_the_other_gives_it_back),
		TEST(gets_it_when_the_others_connection_ends),
		TEST(goes_in_order_of_arrival),
		TEST(goes_in_order_of_arrival_in_a_pool),
		TEST(is_over_when_the_time_is),
		TEST(says_who_has_it_at_the_end_not_at_the_beginning),
		TEST(what_is_free_in_time_is_granted),
		TEST(who_goes_makes_room),
		TEST(whose_time_is_over_makes_room),
		TEST(without_a_wait_nobody_overtakes),
		TEST(who_wants_several_is_not_starved),
		TEST(who_wants_several_of_a_pool_is_not_starved),
		TEST(what_a_grant_leaves_over_goes_on),
		TEST(different_groups_do_not_see_each_other),
		TEST(a_new_policy_ends_what_it_denies),
		TEST(a_device_that_goes_ends_it),
		TEST(a_device_that_comes_fills_the_pool),
		TEST(more_than_the_pool_has_is_not_waited_for),
		TEST(a_pool_that_shrinks_ends_it),
		TEST(what_the_host_uses_is_not_waited_for),
		TEST(what_is_refused_otherwise_is_not_waited_for),
		TEST(waits_until_it_lingers_no_more),
		TEST(another_label_is_waited_for),
		TEST(who_waits_counts_as_if_it_had_it),
		TEST(explain_knows_of_the_queue),
		TEST(survives_each_allocation_that_fails),
		TEST(survives_each_allocation_that_fails_when_it_is_its_turn),
		TEST(does_what_a_simple_model_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
