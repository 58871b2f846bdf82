/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Several devices of one group in one request, by rules that differ in what becomes of the group's other members: what one
 * of them has parked is parked for all. The machine: broker-rig.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "broker-cases.h"

#define PARKS "GroupScope=whole\nBystanders=park"

/* The third of the slot has the others parked; the first has another rule, with `grant`. */
static struct peer *bob_by_two_rules(struct rig *rig, const char *grant)
{
	char text[512];

	snprintf(text, sizeof(text),
		 RULE("Address=" SLOT_EDU, "1001", PARKS)
			 RULE("Address=" SLOT_NIC " " NIC, "1001", "GroupScope=whole\n%s"),
		 grant);
	return bob_who_parks(rig, text);
}

static void is_granted_with_nvme_parked(struct rig *rig, const char *grant, const char *devices)
{
	struct peer *bob = bob_by_two_rules(rig, grant);

	rig->fake.trace[0] = '\0';
	take_with_consent(rig, bob, devices);
	if (rig->outcome.refusal != REFUSAL_NONE)
		fail_msg("%s", rig->outcome.message);
	assert_non_null(strstr(rig->fake.trace, "park(" SLOT_NVME ") "));
	assert_string_equal(rig_driver(rig, SLOT_NVME), "pci-stub");
	assert_int_equal(broker_group_holder(rig->broker, 3)->n_parked, 1);
	peer_free(bob);
	rig_settle(rig);
	assert_slot_is_back(rig);
}

/* It is judged with the neighbour on nvme, and again, before it is sent, with the same one parked. */
static void a_neighbour_that_may_stay_for_one_is_parked_for_the_other(void **state)
{
	is_granted_with_nvme_parked(*state, "AllowedDrivers=nvme", SLOT_EDU " " SLOT_NIC);
	is_granted_with_nvme_parked(*state, "AllowedDrivers=nvme", SLOT_NIC " " SLOT_EDU);
}

static void a_neighbour_that_is_in_the_way_of_one_is_parked_for_the_other(void **state)
{
	is_granted_with_nvme_parked(*state, "Bystanders=require", SLOT_EDU " " SLOT_NIC);
	is_granted_with_nvme_parked(*state, "Bystanders=require", SLOT_NIC " " SLOT_EDU);
}

/* The rule that parks may have a driver stay that the other's does not. */
static void a_neighbour_that_nobody_parks_is_in_the_way(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_who_parks(rig, RULE("Address=" SLOT_EDU, "1001", PARKS "\nAllowedDrivers=nvme")
						      RULE("Address=" SLOT_NIC, "1001", "GroupScope=whole"));

	rig_acquire(rig, bob, SLOT_EDU " " SLOT_NIC, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_CONSENT_REQUIRED);
	rig_acquire(rig, bob, SLOT_EDU " " SLOT_NIC, NULL, rig->outcome.token);
	assert_int_equal(rig->outcome.refusal, REFUSAL_NOT_VIABLE);
	assert_non_null(strstr(rig->outcome.message, SLOT_NVME " is bound to nvme"));
	assert_int_equal(rig->fake.n_requests[HELPER_PARK], 0);
	peer_free(bob);
}

static void what_is_parked_in_one_group_is_not_in_another(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_who_parks(rig, RULE("Address=" NIC, "1001", PARKS)
						      RULE("Address=" SLOT_EDU, "1001", "GroupScope=whole"));

	rig_acquire(rig, bob, NIC " " SLOT_EDU, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_NOT_VIABLE);
	assert_non_null(strstr(rig->outcome.message, SLOT_NIC " is bound to e1000"));
	peer_free(bob);
}

static void forbid_parking(struct rig *rig)
{
	char refused[256];

	rig_while_opening = NULL;
	assert_int_equal(
		broker_set_policy(rig->broker,
				  rig_policy(RULE("Address=" SLOT_EDU " " SLOT_NIC, "1001", "GroupScope=whole")),
				  refused, sizeof(refused)),
		0);
}

static void a_rule_that_parks_no_more_is_noticed_before_it_is_sent(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_by_two_rules(rig, "AllowedDrivers=nvme");

	rig_while_opening = forbid_parking;
	take_with_consent(rig, bob, SLOT_EDU " " SLOT_NIC);
	assert_int_equal(rig->outcome.refusal, REFUSAL_CONSENT_REQUIRED);
	assert_slot_is_back(rig);
	peer_free(bob);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		BROKER_CASE(a_neighbour_that_may_stay_for_one_is_parked_for_the_other),
		BROKER_CASE(a_neighbour_that_is_in_the_way_of_one_is_parked_for_the_other),
		BROKER_CASE(a_neighbour_that_nobody_parks_is_in_the_way),
		BROKER_CASE(what_is_parked_in_one_group_is_not_in_another),
		BROKER_CASE(a_rule_that_parks_no_more_is_noticed_before_it_is_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
