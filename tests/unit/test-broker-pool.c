/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which device of a pool a client gets, and what it is told when there is none. The machine: broker-rig.h, and more. */
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

#define ANYBODY "[Client]\nUser=*\n[Grant]\nAction=allow\n"
#define A "0000:80:00.0"
#define B "0000:81:00.0"
#define C "0000:82:00.0"
#define POOL "[Match]\nAddress=0000:8*\n[Pool]\nName=some\n"

static struct rig rig;
static struct asker alice, bob;

static void start(const char *policy)
{
	rig_start(&rig, policy);
	rig_add_device(&rig, A, 10, NULL);
	rig_add_device(&rig, B, 11, NULL);
	rig_add_device(&rig, C, 12, NULL);
	asker_come(&alice, &rig, 1000);
	asker_come(&bob, &rig, 1001);
}

static int teardown(void **state)
{
	asker_go(&alice);
	asker_go(&bob);
	assert_true(list_is_empty(broker_leases(rig.broker)));
	assert_int_equal(fake_helper_n_open(&rig.fake), 0);
	rig_stop(&rig);
	return 0;
}

static void gives_the_first_that_is_free(void **state)
{
	start(POOL ANYBODY);
	asker_ask_pool(&alice, "some", 1, 0);
	assert_string_equal(alice.devices, A " ");
	assert_string_equal(rig_driver(&rig, A), "vfio-pci");
	asker_ask_pool(&bob, "some", 1, 0);
	assert_string_equal(bob.devices, B " ");
	asker_give_back(&alice);
	asker_ask_pool(&alice, "some", 1, 0);
	assert_string_equal(alice.devices, A " ");
}

static void gives_several_behind_one_lease(void **state)
{
	start(POOL ANYBODY);
	asker_ask_pool(&alice, "some", 3, 0);
	assert_string_equal(alice.devices, A " " B " " C " ");
}

static void gives_all_or_nothing(void **state)
{
	start(POOL ANYBODY);
	asker_ask(&alice, B, 0);
	asker_ask_pool(&bob, "some", 3, 0);
	assert_int_equal(bob.refusal, REFUSAL_POOL_EXHAUSTED);
	assert_string_equal(bob.said.pool, "some");
	assert_int_equal(bob.said.number, 2);
	assert_int_equal(bob.said.n_wanted, 3);
	assert_string_equal(bob.said.message, "pool some: 3 asked for, 2 free, 1 leased or waited for, of 3 that uid "
					      "1001 may have");
	assert_int_equal(rig.fake.n_requests[HELPER_PREPARE], 1);
}

static void passes_over_what_the_rules_deny(void **state)
{
	start("[Match]\nAddress=" A "\n[Client]\nUser=1000\n[Grant]\nAction=deny\n" POOL ANYBODY);
	asker_ask_pool(&alice, "some", 1, 0);
	assert_string_equal(alice.devices, B " ");
	asker_ask_pool(&bob, "some", 1, 0);
	assert_string_equal(bob.devices, A " ");
}

/* Who may have nothing of it learns nothing of it: no address, no number. */
static void a_pool_of_others_is_denied(void **state)
{
	start(POOL "[Client]\nUser=1001\n[Grant]\nAction=allow\n");
	asker_ask_pool(&alice, "some", 1, 10);
	assert_int_equal(alice.refusal, REFUSAL_DENIED);
	assert_string_equal(alice.said.message,
			    "pool some has no device now that a rule allows uid 1000; see iommud.policy(5)");
	assert_string_equal(alice.said.device, "");
}

static void an_unknown_pool_is_named(void **state)
{
	start(POOL ANYBODY);
	asker_ask_pool(&alice, "so\nme", 1, 10);
	assert_int_equal(alice.refusal, REFUSAL_NO_SUCH_POOL);
	assert_string_equal(alice.said.message, "no policy file names a pool 'so?me'; see [Pool] in iommud.policy(5)");
}

static void a_bridge_belongs_to_no_pool(void **state)
{
	start("[Match]\nAddress=" BRIDGE " " B "\n[Pool]\nName=some\n" ANYBODY);
	asker_ask_pool(&alice, "some", 1, 0);
	assert_string_equal(alice.devices, B " ");
	asker_ask_pool(&bob, "some", 1, 0);
	assert_non_null(strstr(bob.said.message, "0 free, 1 leased or waited for, of 1 that"));
}

static void passes_over_a_group_that_is_not_viable(void **state)
{
	start("[Match]\nAddress=" SLOT_EDU " " B "\n[Pool]\nName=some\n[Client]\nUser=*\n[Grant]\nAction=allow\n"
	      "GroupScope=whole\n");
	asker_ask_pool(&alice, "some", 1, 0);
	assert_string_equal(alice.devices, B " ");
	asker_ask_pool(&bob, "some", 1, 0);
	assert_int_equal(bob.refusal, REFUSAL_POOL_EXHAUSTED);
	assert_non_null(strstr(bob.said.message, "; what else there is can't be had: group 3 is not viable: "));
}

/* The client can't know the token before it knows the device: it learns both, when nothing else is left. */
static void asks_for_consent_when_that_is_all_that_lacks(void **state)
{
	struct acquire_request request = { .pool = "some", .count = 1, .numa_node = -1 };
	char token[DIGEST_HEX_SIZE];

	start("[Match]\nAddress=" SLOT_EDU "\n[Pool]\nName=some\n[Client]\nUser=*\n[Grant]\nAction=allow\n"
	      "GroupScope=whole\nBystanders=park\n");
	asker_ask_pool(&alice, "some", 1, 10);
	assert_int_equal(alice.refusal, REFUSAL_CONSENT_REQUIRED);
	strcpy(token, alice.said.token);
	request.consent = token;
	asker_request(&alice, &request);
	assert_string_equal(alice.devices, SLOT_EDU " ");
}

static void prefers_the_node_then_the_unknown_then_the_others(void **state)
{
	const struct acquire_request request = { .pool = "near", .count = 3, .numa_node = 1 };

	start("[Match]\nAddress=0000:9*\n[Pool]\nName=near\n" ANYBODY);
	rig_add_device(&rig, "0000:90:00.0", 20, "0");
	rig_add_device(&rig, "0000:91:00.0", 21, NULL);
	rig_add_device(&rig, "0000:92:00.0", 22, "1");
	asker_request(&alice, &request);
	assert_string_equal(alice.devices, "0000:92:00.0 0000:91:00.0 0000:90:00.0 ");
}

/* The helper alone knows what the host uses; the client asked for any, so it does not have to ask again. */
static void turns_elsewhere_when_the_host_uses_the_first(void **state)
{
	start(POOL ANYBODY);
	strcpy(rig.fake.fail_address, A);
	rig.fake.fail_status = HELPER_IN_USE;
	asker_ask_pool(&alice, "some", 1, 0);
	assert_int_equal(alice.n, 1);
	assert_string_equal(alice.devices, B " ");
	asker_give_back(&alice);
	asker_ask_pool(&bob, "some", 3, 10);
	assert_false(bob.waits);
	assert_int_equal(bob.refusal, REFUSAL_POOL_EXHAUSTED);
	assert_non_null(strstr(bob.said.message, ", 1 in use by the host or failed to be prepared, of 3 that"));
}

static void turns_elsewhere_when_a_step_fails(void **state)
{
	start(POOL ANYBODY);
	strcpy(rig.fake.fail_address, A);
	rig.fake.fail_status = HELPER_FAULT;
	asker_ask_pool(&alice, "some", 1, 0);
	assert_int_equal(alice.n, 1);
	assert_string_equal(alice.devices, B " ");
}

/* Nobody is given it as it is, and nobody has to run into it as long as there are others. */
static void what_is_quarantined_comes_last(void **state)
{
	start(POOL ANYBODY);
	fake_sysfs_set_attribute(rig.sysfs, A, "reset_method", "flr");
	broker_device_changed(rig.broker, A);
	rig.fake.reset_error = ENOTTY;
	asker_ask_pool(&alice, "some", 1, 0);
	assert_string_equal(alice.devices, B " ");
	assert_true(rig_saw(&rig, "deviceQuarantined"));
	rig.fake.n_requests[HELPER_PREPARE] = 0;
	asker_ask_pool(&bob, "some", 1, 0);
	assert_string_equal(bob.devices, C " ");
	assert_int_equal(rig.fake.n_requests[HELPER_PREPARE], 1);
	asker_give_back(&bob);
	rig.fake.reset_error = 0;
	asker_ask_pool(&bob, "some", 2, 0);
	assert_string_equal(bob.devices, C " " A " ");
}

/* To ask another one would be to go round what the helper's policy says, or to wait twice. */
static void turns_nowhere_when_the_helper_says_no(void **state)
{
	start(POOL ANYBODY);
	strcpy(rig.fake.fail_address, A);
	rig.fake.fail_status = HELPER_REFUSED;
	asker_ask_pool(&alice, "some", 1, 0);
	assert_int_equal(alice.refusal, REFUSAL_DENIED);
	rig.fake.fail_status = HELPER_TIMED_OUT;
	asker_ask_pool(&alice, "some", 1, 0);
	assert_int_equal(alice.refusal, REFUSAL_TIMED_OUT);
}

static void what_is_leased_stays_in_its_pool(void **state)
{
	start("[Match]\nDriver=e1000e\n[Pool]\nName=nets\n" ANYBODY);
	asker_ask_pool(&alice, "nets", 1, 0);
	assert_string_equal(alice.devices, NIC " ");
	asker_ask_pool(&bob, "nets", 1, 0);
	assert_int_equal(bob.refusal, REFUSAL_POOL_EXHAUSTED);
	assert_int_equal(bob.said.number, 0);
}

static void a_pool_of_virtual_functions(void **state)
{
	start("[Match]\nPhysicalFunction=" NIC "\n[Pool]\nName=vfs\n" ANYBODY);
	fake_sysfs_add_device(rig.sysfs,
			      &(struct fake_device){ .address = "0000:01:10.0", .group = 30, .physfn = NIC });
	broker_device_changed(rig.broker, "0000:01:10.0");
	asker_ask_pool(&alice, "vfs", 1, 0);
	assert_string_equal(alice.devices, "0000:01:10.0 ");
}

/* Whatever allocation fails: a fault and nothing left behind, or the device. */
static void survives_each_allocation_that_fails(void **state)
{
	bool failed = true;

	start(POOL ANYBODY);
	for (unsigned int n = 1; failed; n++) {
		size_t before = fake_helper_n_open(&rig.fake);
		unsigned int answers = alice.n;

		assert_true(n < 1000);
		fail_alloc_begin(n);
		asker_ask_pool(&alice, "some", 2, 0);
		failed = fail_alloc_end();
		/* A helper that could not be greeted is greeted again after a while. */
		if (alice.waits)
			broker_expire(rig.broker, now_usec() + 2000000);
		rig_settle(&rig);
		assert_int_equal(alice.n, answers + 1);
		if (!alice.lease) {
			assert_int_equal(fake_helper_n_open(&rig.fake), before);
			assert_true(list_is_empty(broker_leases(rig.broker)));
			continue;
		}
		assert_string_equal(alice.devices, A " " B " ");
		asker_give_back(&alice);
		rig.fake.n_transactions = 0;
	}
	assert_int_equal(alice.error, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, teardown)
	const struct CMUnitTest tests[] = {
		TEST(gives_the_first_that_is_free),
		TEST(gives_several_behind_one_lease),
		TEST(gives_all_or_nothing),
		TEST(passes_over_what_the_rules_deny),
		TEST(a_pool_of_others_is_denied),
		TEST(an_unknown_pool_is_named),
		TEST(a_bridge_belongs_to_no_pool),
		TEST(passes_over_a_group_that_is_not_viable),
		TEST(asks_for_consent_when_that_is_all_that_lacks),
		TEST(prefers_the_node_then_the_unknown_then_the_others),
		TEST(turns_elsewhere_when_the_host_uses_the_first),
		TEST(turns_elsewhere_when_a_step_fails),
		TEST(what_is_quarantined_comes_last),
		TEST(turns_nowhere_when_the_helper_says_no),
		TEST(what_is_leased_stays_in_its_pool),
		TEST(a_pool_of_virtual_functions),
		TEST(survives_each_allocation_that_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
