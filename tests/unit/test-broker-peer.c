/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a client may see, and what its end does to what it has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "broker-rig.h"
#include "fail-alloc.h"

#define RULE(match, user) "[Match]\n" match "\n[Client]\nUser=" user "\n[Grant]\nAction=allow\n"

static const char policy_text[] =
	RULE("Address=0000:01:00.0\nDriver=e1000e", "1000") RULE("Address=0000:02:00.0", "1000,1001");

static struct rig rig;
static struct peer *alice, *bob, *root;

static int setup(void **state)
{
	rig_start(&rig, policy_text);
	alice = peer_new(rig.broker, &rig.alice, 2);
	bob = peer_new(rig.broker, &rig.bob, 2);
	root = peer_new(rig.broker, &rig.root, 2);
	return alice && bob && root ? 0 : -1;
}

static int teardown(void **state)
{
	peer_free(alice);
	peer_free(bob);
	peer_free(root);
	rig_settle(&rig);
	assert_true(list_is_empty(broker_leases(rig.broker)));
	rig_stop(&rig);
	return 0;
}

static const struct device *device(const char *address)
{
	const struct device *found = registry_find_device(rig.registry, address);

	assert_non_null(found);
	return found;
}

static void knows_who_it_is(void **state)
{
	assert_ptr_equal(peer_get_identity(alice), &rig.alice);
	assert_false(peer_is_admin(alice) || peer_is_admin(bob));
	assert_true(peer_is_admin(root));
	assert_null(peer_free(NULL));
}

static void sees_what_a_rule_would_allow_it(void **state)
{
	assert_true(peer_may_see(alice, device(NIC)) && peer_may_see(alice, device(EDU)));
	assert_true(peer_may_see(bob, device(EDU)));
	assert_false(peer_may_see(bob, device(NIC)) || peer_may_see(alice, device(SLOT_NIC)));
	assert_true(peer_may_see(root, device(SLOT_NIC)) && peer_may_see(root, device(BRIDGE)));
}

static void sees_by_the_policy_that_is_in_force(void **state)
{
	char refused[256];

	assert_int_equal(
		broker_set_policy(rig.broker, rig_policy(RULE("Address=0000:03:*", "1001")), refused, sizeof(refused)),
		0);
	assert_false(peer_may_see(alice, device(NIC)) || peer_may_see(bob, device(EDU)));
	assert_true(peer_may_see(bob, device(SLOT_NIC)));
}

static struct broker_event event(const char *about, int64_t lease, int64_t uid)
{
	return (struct broker_event){ .name = "n", .device = about, .group = -1, .lease = lease, .uid = uid };
}

static void assert_sees_event(struct broker_event about, bool as_alice, bool as_bob)
{
	assert_int_equal(peer_may_see_event(alice, &about), as_alice);
	assert_int_equal(peer_may_see_event(bob, &about), as_bob);
	assert_true(peer_may_see_event(root, &about));
}

static void sees_its_own_events_and_those_of_its_devices(void **state)
{
	assert_sees_event(event(NIC, 1, 1000), true, false);
	assert_sees_event(event(NIC, -1, 1001), false, true); /* its own denial */
	assert_sees_event(event(NIC, -1, -1), true, false);
	assert_sees_event(event(EDU, -1, -1), true, true);
	assert_sees_event(event("0000:09:00.0", -1, -1), false, false); /* it is gone: whose was it? */
	assert_sees_event(event(EDU, 7, -1), false, false); /* a lease of nobody who is known */
	assert_sees_event(event(NULL, -1, -1), true, true);
	assert_sees_event(event(NULL, -1, 0), false, false);
}

static void its_end_ends_each_of_its_leases(void **state)
{
	uint64_t first, second;

	rig_acquire(&rig, alice, NIC, NULL, NULL);
	first = rig.outcome.lease;
	rig_acquire(&rig, alice, EDU, NULL, NULL);
	second = rig.outcome.lease;
	assert_int_equal(rig_state(&rig, first), LEASE_ACTIVE);
	assert_int_equal(rig_state(&rig, second), LEASE_ACTIVE);
	alice = peer_free(alice);
	rig_settle(&rig);
	assert_true(list_is_empty(broker_leases(rig.broker)));
	assert_string_equal(rig_driver(&rig, NIC), "e1000e");
	assert_string_equal(rig_driver(&rig, EDU), "");
}

static void its_end_leaves_leases_of_the_same_user_alone(void **state)
{
	struct peer *other = peer_new(rig.broker, &rig.alice, 2);
	uint64_t lease;

	assert_non_null(other);
	rig_acquire(&rig, other, NIC, NULL, NULL);
	lease = rig.outcome.lease;
	alice = peer_free(alice);
	rig_settle(&rig);
	assert_int_equal(rig_state(&rig, lease), LEASE_ACTIVE);
	/* Nor does its owner lose them to another connection of the same user. */
	assert_false(broker_release(rig.broker, bob, lease));
	peer_free(other);
}

static void its_end_calls_off_what_is_being_prepared(void **state)
{
	rig_acquire(&rig, alice, EDU, NULL, NULL);
	rig.fake.hold = true;
	rig_acquire(&rig, alice, NIC, NULL, NULL);
	assert_int_equal(rig.outcome.n, 0);
	alice = peer_free(alice);
	rig.fake.hold = false;
	fake_helper_release(&rig.fake);
	rig_settle(&rig);
	assert_int_equal(rig.outcome.n, 0);
	assert_int_equal(fake_helper_n_open(&rig.fake), 0);
}

static void without_memory_there_is_no_peer(void **state)
{
	fail_alloc_begin(1);
	assert_null(peer_new(rig.broker, &rig.alice, 2));
	assert_true(fail_alloc_end());
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(knows_who_it_is),
		CASE(sees_what_a_rule_would_allow_it),
		CASE(sees_by_the_policy_that_is_in_force),
		CASE(sees_its_own_events_and_those_of_its_devices),
		CASE(its_end_ends_each_of_its_leases),
		CASE(its_end_leaves_leases_of_the_same_user_alone),
		CASE(its_end_calls_off_what_is_being_prepared),
		CASE(without_memory_there_is_no_peer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
