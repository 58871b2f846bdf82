/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Explain says what Acquire would do, and changes nothing. The machine: broker-rig.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "broker-cases.h"

static void explain_shows_what_is_parked(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_who_parks(rig, PARKING);
	struct explanation explanation;

	assert_int_equal(broker_explain(rig->broker, &rig->bob, SLOT_EDU, NULL, &explanation), 0);
	assert_int_equal(explanation.refusal.kind, REFUSAL_NONE);
	assert_int_equal(explanation.verdict.n_blockers, 0);
	assert_string_equal(explanation.bystanders.list[0].action,
			    "is parked on pci-stub, and put back on e1000 afterwards");
	assert_string_equal(explanation.plan[0], SLOT_NIC " is unbound from e1000 and parked on pci-stub");
	assert_string_equal(explanation.plan[1], SLOT_NVME " is unbound from nvme and parked on pci-stub");
	assert_string_equal(explanation.plan[3],
			    SLOT_EDU " is bound to vfio-pci, or to a variant of it that is made for it");
	assert_string_equal(explanation.plan[explanation.n_plan - 1], "then " SLOT_NVME " is bound to nvme again");
	explanation_clear(&explanation);
	assert_int_equal(rig->fake.n_requests[HELPER_PARK], 0);
	peer_free(bob);
}

static void explain_says_that_the_host_is_not_asked(void **state)
{
	static const char rules[] = RULE("Address=" NIC, "1000", "Force=yes");
	struct rig *rig = *state;
	struct explanation explanation;
	char refused[1024];

	assert_int_equal(broker_set_policy(rig->broker, rig_policy(rules), refused, sizeof(refused)), 0);
	assert_int_equal(broker_explain(rig->broker, &rig->alice, NIC, NULL, &explanation), 0);
	assert_string_equal(explanation.plan[0], NIC " is unbound from e1000e, even if the host uses it (Force=yes)");
	explanation_clear(&explanation);
}

static void explain_says_what_acquire_would_and_changes_nothing(void **state)
{
	struct rig *rig = *state;
	struct explanation explanation;

	assert_int_equal(broker_explain(rig->broker, &rig->alice, NIC, NULL, &explanation), 0);
	assert_int_equal(explanation.refusal.kind, REFUSAL_NONE);
	assert_int_equal(explanation.group, 1);
	assert_string_equal(explanation.opener->name, "iommufd");
	assert_string_equal(explanation.plan[0], NIC " is unbound from e1000e");
	assert_string_equal(explanation.plan[4], "at the end " NIC " is bound to e1000e again");
	explanation_clear(&explanation);
	assert_int_equal(broker_explain(rig->broker, &rig->bob, NIC, NULL, &explanation), 0);
	assert_int_equal(explanation.refusal.kind, REFUSAL_DENIED);
	explanation_clear(&explanation);
	free_slot(rig);
	assert_int_equal(broker_explain(rig->broker, &rig->alice, SLOT_EDU, NULL, &explanation), 0);
	assert_int_equal(explanation.refusal.kind, REFUSAL_NONE);
	assert_int_equal(explanation.bystanders.n, 2);
	assert_int_equal(strlen(explanation.token), 64);
	explanation_clear(&explanation);
	assert_int_equal(rig->fake.n_requests[HELPER_PREPARE], 0);
	assert_string_equal(rig_driver(rig, NIC), "e1000e");
}

static void explain_says_why_earlier_rules_did_not_fit(void **state)
{
	static const char rules[] =
		RULE("Address=" SLOT_EDU, "1000", "") RULE("Address=" NIC, "1001", "") RULE("Address=" NIC, "1000", "");
	struct rig *rig = *state;
	struct explanation explanation;
	char refused[1024];

	assert_int_equal(broker_set_policy(rig->broker, rig_policy(rules), refused, sizeof(refused)), 0);
	assert_int_equal(broker_explain(rig->broker, &rig->alice, NIC, NULL, &explanation), 0);
	assert_int_equal(explanation.refusal.kind, REFUSAL_NONE);
	assert_int_equal(explanation.n_passed, 2);
	assert_int_equal(explanation.n_passed_in_all, 2);
	assert_string_equal(explanation.passed[0].key, "Address");
	assert_string_equal(explanation.passed[0].wanted, SLOT_EDU);
	assert_string_equal(explanation.passed[0].found, NIC);
	assert_string_equal(explanation.passed[1].key, "User");
	assert_string_equal(explanation.passed[1].wanted, "1001");
	assert_string_equal(explanation.passed[1].found, "1000");
	explanation_clear(&explanation);
}

#define MANY_RULES 300

/* An answer is bounded, whatever the policy has; what is left out is counted. */
static void explain_counts_the_rules_that_it_leaves_out(void **state)
{
	static char rules[MANY_RULES * 128];
	struct rig *rig = *state;
	struct explanation explanation;
	char refused[1024];
	size_t used = 0;

	for (unsigned int i = 0; i < MANY_RULES; i++)
		used += snprintf(rules + used, sizeof(rules) - used,
				 "[Match]\nAddress=" NIC "\n[Client]\nUser=%u\n[Grant]\nAction=allow\n", 5000 + i);
	assert_int_equal(broker_set_policy(rig->broker, rig_policy(rules), refused, sizeof(refused)), 0);
	assert_int_equal(broker_explain(rig->broker, &rig->alice, NIC, NULL, &explanation), 0);
	assert_int_equal(explanation.refusal.kind, REFUSAL_DENIED);
	assert_int_equal(explanation.n_passed, EXPLANATION_PASSED_MAX);
	assert_int_equal(explanation.n_passed_in_all, MANY_RULES);
	explanation_clear(&explanation);
}

static void explain_shows_what_a_reset_would_reset(void **state)
{
	struct rig *rig = *state;
	struct explanation explanation;
	struct reset_set set;

	assert_int_equal(reset_set_find(registry_devices(broker_get_registry(rig->broker)),
					registry_find_device(broker_get_registry(rig->broker), NIC), &set),
			 0);
	assert_int_equal(broker_explain(rig->broker, &rig->alice, NIC, NULL, &explanation), 0);
	assert_int_equal(explanation.reset.scope, set.scope);
	assert_int_equal(explanation.reset.n, set.n);
	reset_set_clear(&set);
	explanation_clear(&explanation);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		BROKER_CASE(explain_shows_what_is_parked),
		BROKER_CASE(explain_says_why_earlier_rules_did_not_fit),
		BROKER_CASE(explain_counts_the_rules_that_it_leaves_out),
		BROKER_CASE(explain_shows_what_a_reset_would_reset),
		BROKER_CASE(explain_says_that_the_host_is_not_asked),
		BROKER_CASE(explain_says_what_acquire_would_and_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
