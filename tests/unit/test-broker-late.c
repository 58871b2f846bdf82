/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who joins a group that is leased, or one that is about to be, and what each LateJoiner= makes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "fail-alloc.h"
#include "violation-cases.h"

#define PARK SLOT_RULE("LateJoiner=park\nOnViolation=log")
#define ALLOW SLOT_RULE("LateJoiner=allow\nOnViolation=log")
#define VIOLATE(grant) SLOT_RULE("LateJoiner=violate\n" grant)

static void assert_said(const char *event, unsigned int n)
{
	if (said_of(event).n != n)
		fail_msg("%s was said %u times", event, said_of(event).n);
}

static void assert_parked(struct rig *rig, const char *address)
{
	assert_string_equal(rig_driver(rig, address), "pci-stub");
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_ACTIVE);
	assert_int_equal(lease_of_slot(rig)->n_parked, 1);
}

/* ---- park ---- */

static void a_joiner_is_parked_before_a_driver_comes(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_with(rig, PARK, SLOT_EDU);

	device_joins(rig, SLOT_LATE, NULL);
	assert_parked(rig, SLOT_LATE);
	assert_said("lateJoiner", 1);
	assert_string_equal(said_of("lateJoiner").device, SLOT_LATE);
	assert_int_equal(said_of("lateJoiner").group, 3);
	assert_int_equal(said_of("lateJoiner").lease, rig->outcome.lease);
	assert_int_equal(said_of("lateJoiner").uid, 1001);
	assert_said("memberParked", 1);
	assert_said("violation", 0);
	ends_without_a_trace(rig, bob);
	assert_string_equal(rig_driver(rig, SLOT_LATE), "");
}

/* LateJoiner=park is the rule for it, whatever OnViolation= says, as long as it works. */
static void a_joiner_with_a_driver_is_parked_and_put_back_last(void **state)
{
	static const char *const rules[] = { PARK, SLOT_RULE("OnViolation=revoke"), SLOT_RULE("") };

	for (size_t i = 0; i < 3; i++) {
		struct rig *rig = *state;
		struct peer *bob = bob_with(rig, rules[i], SLOT_EDU);

		rig->fake.trace[0] = '\0';
		device_joins(rig, SLOT_LATE, "e1000");
		assert_parked(rig, SLOT_LATE);
		assert_said("releaseRequested", 0);
		ends_without_a_trace(rig, bob);
		assert_string_equal(rig->fake.trace,
				    "park(" SLOT_LATE ") restore(" SLOT_EDU ") restore(" SLOT_LATE ") ");
		assert_string_equal(rig_driver(rig, SLOT_LATE), "e1000");
		device_leaves(rig, SLOT_LATE);
	}
}

static void a_joiner_that_can_not_be_parked_is_an_intruder(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_with(rig, SLOT_RULE("OnViolation=revoke"), SLOT_EDU);

	strcpy(rig->fake.fail_address, SLOT_LATE);
	rig->fake.fail_status = HELPER_IN_USE;
	device_joins(rig, SLOT_LATE, "e1000");
	assert_said("parkFailed", 1);
	assert_said("releaseRequested", 1);
	ends_without_a_trace(rig, bob);
}

static void a_joiner_that_was_bound_to_vfio_is_left_there(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_with(rig, PARK, SLOT_EDU);

	device_joins(rig, SLOT_LATE, "vfio-pci");
	assert_said("lateJoiner", 1);
	assert_int_equal(rig->fake.n_requests[HELPER_PARK], 0);
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_ACTIVE);
	ends_without_a_trace(rig, bob);
	assert_string_equal(rig_driver(rig, SLOT_LATE), "vfio-pci");
}

static void a_bridge_that_joins_is_left_to_its_driver(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_with(rig, PARK, SLOT_EDU);

	fake_sysfs_add_device(rig->sysfs, &(struct fake_device){ .address = SLOT_LATE,
								 .vendor = 0x8086,
								 .device = 0x1,
								 .class = 0x060400,
								 .group = 3,
								 .driver = "pcieport" });
	broker_device_changed(rig->broker, SLOT_LATE);
	rig_settle(rig);
	assert_said("lateJoiner", 1);
	assert_int_equal(rig->fake.n_requests[HELPER_PARK], 0);
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_ACTIVE);
	ends_without_a_trace(rig, bob);
}

static void a_joiner_that_is_pulled_and_plugged_is_parked_each_time(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_with(rig, PARK, SLOT_EDU);

	/* More often than one device would be tried. */
	for (unsigned int i = 1; i <= 5; i++) {
		device_joins(rig, SLOT_LATE, i % 2 ? NULL : "e1000");
		assert_parked(rig, SLOT_LATE);
		assert_int_equal(fake_helper_n_open(&rig->fake), 2);
		if (i == 5)
			break;
		device_leaves(rig, SLOT_LATE);
		assert_int_equal(lease_of_slot(rig)->n_parked, 0);
		assert_int_equal(fake_helper_n_open(&rig->fake), 1);
	}
	assert_said("lateJoiner", 5);
	/* And between two looks. */
	fake_sysfs_remove_device(rig->sysfs, SLOT_LATE);
	device_joins(rig, SLOT_LATE, "nvme");
	assert_said("lateJoiner", 6);
	assert_parked(rig, SLOT_LATE);
	ends_without_a_trace(rig, bob);
	assert_string_equal(rig_driver(rig, SLOT_LATE), "nvme");
}

static void a_joiner_that_is_pulled_while_it_is_parked_leaves_nothing(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_with(rig, PARK, SLOT_EDU);

	rig->fake.hold = true;
	device_joins(rig, SLOT_LATE, NULL);
	device_leaves(rig, SLOT_LATE);
	assert_int_equal(lease_of_slot(rig)->n_parked, 1);
	rig->fake.hold = false;
	fake_helper_release(&rig->fake);
	rig_settle(rig);
	assert_int_equal(lease_of_slot(rig)->n_parked, 0);
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_ACTIVE);
	ends_without_a_trace(rig, bob);
}

/* The last moment of the lease, and the helper has both. */
static void a_joiner_that_was_pulled_does_not_hold_up_the_end(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_with(rig, PARK, SLOT_EDU);

	device_joins(rig, SLOT_LATE, NULL);
	rig->fake.hold = true;
	device_leaves(rig, SLOT_LATE);
	peer_free(bob);
	rig_settle(rig);
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_RELEASING);
	rig->fake.hold = false;
	fake_helper_release(&rig->fake);
	rig_settle(rig);
	assert_int_equal(fake_helper_n_open(&rig->fake), 0);
	assert_true(list_is_empty(broker_leases(rig->broker)));
	/* And of an end that came first. */
	device_joins(rig, SLOT_LATE, NULL);
	bob = peer_of(rig, &rig->bob);
	take_with_consent(rig, bob, SLOT_EDU);
	device_leaves(rig, SLOT_LATE);
	device_joins(rig, SLOT_LATE, "e1000");
	fake_sysfs_remove_device(rig->sysfs, SLOT_LATE);
	ends_without_a_trace(rig, bob);
}

static void what_is_not_parked_yet_is_not_shown_as_parked(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_with(rig, PARK, SLOT_EDU);
	const struct device *device;

	rig->fake.hold = true;
	device_joins(rig, SLOT_LATE, "e1000");
	assert_int_equal(lease_of_slot(rig)->n_parked, 1);
	assert_true(lease_device_is_loose(lease_of_slot(rig)->devices[1]));
	driver_comes(rig, SLOT_LATE, "nvme");
	device = registry_find_device(rig->registry, SLOT_LATE);
	assert_string_equal(broker_host_driver(rig->broker, device), "nvme");
	rig->fake.hold = false;
	fake_helper_release(&rig->fake);
	rig_settle(rig);
	assert_false(lease_device_is_loose(lease_of_slot(rig)->devices[1]));
	ends_without_a_trace(rig, bob);
}

/* ---- allow ---- */

static void by_allow_a_joiner_stays_as_long_as_the_group_is_viable(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_with(rig, ALLOW, SLOT_EDU);

	device_joins(rig, SLOT_LATE, NULL);
	assert_said("lateJoiner", 1);
	assert_int_equal(rig->fake.n_requests[HELPER_PARK], 0);
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_ACTIVE);
	driver_comes(rig, SLOT_LATE, "e1000");
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_VIOLATED);
	assert_int_equal(rig->fake.n_requests[HELPER_PARK], 0);
	device_leaves(rig, SLOT_LATE);
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_ACTIVE);
	ends_without_a_trace(rig, bob);
}

static void by_allow_an_intruder_is_dealt_with_as_any_other(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_with(rig, SLOT_RULE("LateJoiner=allow"), SLOT_EDU);

	device_joins(rig, SLOT_LATE, "e1000");
	assert_said("violation", 1);
	assert_parked(rig, SLOT_LATE);
	ends_without_a_trace(rig, bob);
	assert_string_equal(rig_driver(rig, SLOT_LATE), "e1000");
}

/* ---- violate ---- */

static void by_violate_a_joiner_is_a_violation_until_it_is_gone(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_with(rig, VIOLATE("OnViolation=log"), SLOT_EDU);

	device_joins(rig, SLOT_LATE, NULL);
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_VIOLATED);
	assert_non_null(strstr(lease_of_slot(rig)->reason, SLOT_LATE " joined group 3"));
	assert_non_null(strstr(lease_of_slot(rig)->reason, "LateJoiner=violate"));
	driver_comes(rig, SLOT_LATE, "pci-stub");
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_VIOLATED);
	assert_int_equal(rig->fake.n_requests[HELPER_PARK], 0);
	device_leaves(rig, SLOT_LATE);
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_ACTIVE);
	assert_said("violationEnded", 1);
	ends_without_a_trace(rig, bob);
}

static void by_violate_and_unbind_it_ends_when_it_is_parked(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_with(rig, VIOLATE("OnViolation=unbind"), SLOT_EDU);

	device_joins(rig, SLOT_LATE, NULL);
	assert_said("violation", 1);
	assert_said("violationEnded", 1);
	assert_parked(rig, SLOT_LATE);
	ends_without_a_trace(rig, bob);
	assert_string_equal(rig_driver(rig, SLOT_LATE), "");
}

static void by_violate_and_revoke_the_lease_is_taken_back(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_with(rig, VIOLATE("OnViolation=revoke"), SLOT_EDU);

	device_joins(rig, SLOT_LATE, NULL);
	assert_said("violation", 1);
	assert_said("releaseRequested", 1);
	assert_non_null(strstr(said_of("releaseRequested").message, SLOT_LATE " joined group 3"));
	assert_int_equal(rig->fake.n_requests[HELPER_PARK], 0);
	ends_without_a_trace(rig, bob);
}

/* ---- whose rule ---- */

/* Of the lease's devices in the group the first one's. */
static void the_rule_of_the_first_device_in_the_group_counts(void **state)
{
	static const char rules[] = RULE("Address=" EDU, "1001", "LateJoiner=violate\nOnViolation=revoke")
		RULE("Address=" SLOT_EDU, "1001", "GroupScope=whole\nLateJoiner=allow\nOnViolation=log")
			RULE("Address=" SLOT_NVME, "1001", "GroupScope=whole\nLateJoiner=violate\nOnViolation=revoke");
	struct rig *rig = *state;
	struct peer *bob = bob_with(rig, rules, EDU " " SLOT_EDU " " SLOT_NVME);

	device_joins(rig, SLOT_LATE, "e1000");
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_VIOLATED);
	assert_said("releaseRequested", 0);
	ends_without_a_trace(rig, bob);
}

/* What was granted stays granted by the rules of its time. */
static void a_new_policy_does_not_change_a_lease(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_with(rig, ALLOW, SLOT_EDU);

	peer_free(bob_who_parks(rig, VIOLATE("OnViolation=revoke")));
	device_joins(rig, SLOT_LATE, NULL);
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_ACTIVE);
	ends_without_a_trace(rig, bob);
}

/* ---- while a lease is made ---- */

static void join_while_opening(struct rig *rig)
{
	fake_sysfs_add_device(rig->sysfs, &(struct fake_device){ .address = SLOT_LATE,
								 .vendor = 0x8086,
								 .device = 0x10d3,
								 .class = 0x020000,
								 .group = 3,
								 .driver = "e1000" });
	broker_device_changed(rig->broker, SLOT_LATE);
}

static void one_that_joins_before_the_grant_undoes_it(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_who_parks(rig, SLOT_RULE("Bystanders=park"));
	char token[DIGEST_HEX_SIZE];

	rig_acquire(rig, bob, SLOT_EDU, NULL, NULL);
	memcpy(token, rig->outcome.token, sizeof(token));
	rig_while_opening = join_while_opening;
	rig_acquire(rig, bob, SLOT_EDU, NULL, token);
	assert_int_equal(rig->outcome.n, 1);
	assert_int_equal(rig->outcome.refusal, REFUSAL_NOT_VIABLE);
	assert_non_null(strstr(rig->outcome.message, SLOT_LATE " is bound to e1000"));
	assert_slot_is_back(rig);
	assert_string_equal(rig_driver(rig, SLOT_LATE), "e1000");
	ends_without_a_trace(rig, bob);
}

static void join_without_a_driver(struct rig *rig)
{
	join_while_opening(rig);
	fake_sysfs_set_driver(rig->sysfs, SLOT_LATE, NULL);
	broker_device_changed(rig->broker, SLOT_LATE);
}

static void the_consent_does_not_cover_one_that_joins_before_the_grant(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_who_parks(rig, SLOT_RULE(""));

	/* There was nobody to consent to. */
	rig_while_opening = join_without_a_driver;
	rig_acquire(rig, bob, SLOT_EDU " " SLOT_NIC " " SLOT_NVME, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_CONSENT_REQUIRED);
	assert_non_null(strstr(rig->outcome.message, "group 3 has 1 more member"));
	assert_slot_is_back(rig);
	ends_without_a_trace(rig, bob);
}

static void edu_gets_company(struct rig *rig)
{
	fake_sysfs_add_device(
		rig->sysfs,
		&(struct fake_device){
			.address = SLOT_LATE, .vendor = 0x8086, .device = 0x10d3, .class = 0x020000, .group = 2 });
	broker_device_changed(rig->broker, SLOT_LATE);
}

static void a_group_that_grows_before_the_grant_is_no_singleton(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_who_parks(rig, RULE("Address=" EDU, "1001", ""));

	rig_while_opening = edu_gets_company;
	rig_acquire(rig, bob, EDU, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_NOT_SINGLETON);
	ends_without_a_trace(rig, bob);
}

/* A singleton's rule says what is done about those who come to it as well. */
static void a_joiner_of_a_singleton_is_parked(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_with(rig, RULE("Address=" EDU, "1001", ""), EDU);

	edu_gets_company(rig);
	rig_settle(rig);
	assert_string_equal(rig_driver(rig, SLOT_LATE), "pci-stub");
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_ACTIVE);
	ends_without_a_trace(rig, bob);
}

/* ---- nobody listened ---- */

static void a_resync_finds_joiners(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_with(rig, PARK, SLOT_EDU);

	fake_sysfs_add_device(
		rig->sysfs,
		&(struct fake_device){
			.address = SLOT_LATE, .vendor = 0x8086, .device = 0x10d3, .class = 0x020000, .group = 3 });
	broker_resync(rig->broker);
	rig_settle(rig);
	assert_said("lateJoiner", 1);
	assert_parked(rig, SLOT_LATE);
	fake_sysfs_remove_device(rig->sysfs, SLOT_LATE);
	broker_resync(rig->broker);
	rig_settle(rig);
	assert_int_equal(lease_of_slot(rig)->n_parked, 0);
	ends_without_a_trace(rig, bob);
}

static void without_memory_nothing_breaks(void **state)
{
	struct rig *rig = *state;
	bool failed = true;

	for (unsigned int n = 1; failed; n++) {
		struct peer *bob = bob_with(rig, SLOT_RULE(""), SLOT_EDU);

		join_while_opening(rig);
		rig_settle(rig);
		device_leaves(rig, SLOT_LATE);
		fail_alloc_begin(n);
		join_while_opening(rig);
		failed = fail_alloc_end();
		rig_settle(rig);
		if (broker_next_deadline(rig->broker) == UINT64_MAX)
			broker_resync(rig->broker);
		else
			broker_expire(rig->broker, broker_next_deadline(rig->broker));
		rig_settle(rig);
		assert_parked(rig, SLOT_LATE);
		ends_without_a_trace(rig, bob);
		device_leaves(rig, SLOT_LATE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BROKER_CASE(a_joiner_is_parked_before_a_driver_comes),
		BROKER_CASE(a_joiner_with_a_driver_is_parked_and_put_back_last),
		BROKER_CASE(a_joiner_that_can_not_be_parked_is_an_intruder),
		BROKER_CASE(a_joiner_that_was_bound_to_vfio_is_left_there),
		BROKER_CASE(a_bridge_that_joins_is_left_to_its_driver),
		BROKER_CASE(a_joiner_that_is_pulled_and_plugged_is_parked_each_time),
		BROKER_CASE(a_joiner_that_is_pulled_while_it_is_parked_leaves_nothing),
		BROKER_CASE(a_joiner_that_was_pulled_does_not_hold_up_the_end),
		BROKER_CASE(what_is_not_parked_yet_is_not_shown_as_parked),
		BROKER_CASE(by_allow_a_joiner_stays_as_long_as_the_group_is_viable),
		BROKER_CASE(by_allow_an_intruder_is_dealt_with_as_any_other),
		BROKER_CASE(by_violate_a_joiner_is_a_violation_until_it_is_gone),
		BROKER_CASE(by_violate_and_unbind_it_ends_when_it_is_parked),
		BROKER_CASE(by_violate_and_revoke_the_lease_is_taken_back),
		BROKER_CASE(the_rule_of_the_first_device_in_the_group_counts),
		BROKER_CASE(a_new_policy_does_not_change_a_lease),
		BROKER_CASE(one_that_joins_before_the_grant_undoes_it),
		BROKER_CASE(the_consent_does_not_cover_one_that_joins_before_the_grant),
		BROKER_CASE(a_group_that_grows_before_the_grant_is_no_singleton),
		BROKER_CASE(a_joiner_of_a_singleton_is_parked),
		BROKER_CASE(a_resync_finds_joiners),
		BROKER_CASE(without_memory_nothing_breaks),
	};

	return cmocka_run_group_tests_name("broker-late", tests, NULL, NULL);
}
