/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What happens when the group of a lease stops being what was judged, and what each OnViolation= makes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "fail-alloc.h"
#include "violation-cases.h"

#define UNBIND SLOT_RULE("OnViolation=unbind")
#define REVOKE SLOT_RULE("OnViolation=revoke")
#define LOG SLOT_RULE("OnViolation=log")

static void assert_said(const char *event, unsigned int n)
{
	if (said_of(event).n != n)
		fail_msg("%s was said %u times", event, said_of(event).n);
}

/* ---- a foreign driver on a member ---- */

static void an_intruder_is_parked_and_put_back_at_the_end(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_with(rig, UNBIND, SLOT_EDU);

	rig->fake.trace[0] = '\0';
	driver_comes(rig, SLOT_NIC, "e1000");
	assert_string_equal(rig_driver(rig, SLOT_NIC), "pci-stub");
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_ACTIVE);
	assert_said("violation", 1);
	assert_said("violationEnded", 1);
	assert_string_equal(said_of("violation").device, SLOT_NIC);
	assert_string_equal(said_of("violation").driver, "e1000");
	assert_int_equal(said_of("violation").uid, 1001);
	assert_string_equal(said_of("memberParked").device, SLOT_NIC);
	assert_int_equal(said_of("memberParked").lease, rig->outcome.lease);
	assert_int_equal(said_of("memberParked").group, 3);
	ends_without_a_trace(rig, bob);
	assert_string_equal(rig->fake.trace, "park(" SLOT_NIC ") restore(" SLOT_EDU ") restore(" SLOT_NIC ") ");
	assert_string_equal(rig_driver(rig, SLOT_NIC), "e1000");
}

static void a_violated_lease_says_why(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_with(rig, LOG, SLOT_EDU);

	assert_string_equal(lease_of_slot(rig)->reason, "");
	driver_comes(rig, SLOT_NIC, "e1000");
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_VIOLATED);
	assert_non_null(strstr(lease_of_slot(rig)->reason, SLOT_NIC " is bound to e1000"));
	assert_string_equal(said_of("violation").message, lease_of_slot(rig)->reason);
	driver_comes(rig, SLOT_NIC, NULL);
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_ACTIVE);
	assert_string_equal(lease_of_slot(rig)->reason, "");
	ends_without_a_trace(rig, bob);
}

static void log_only_tells(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_with(rig, LOG, SLOT_EDU);

	driver_comes(rig, SLOT_NIC, "e1000");
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_VIOLATED);
	assert_string_equal(rig_driver(rig, SLOT_NIC), "e1000");
	/* A second one is told as well, the first one only once. */
	driver_comes(rig, SLOT_NVME, "nvme");
	broker_device_changed(rig->broker, SLOT_NVME);
	assert_said("violation", 1);
	driver_comes(rig, SLOT_NIC, NULL);
	assert_said("violation", 2);
	assert_string_equal(said_of("violation").device, SLOT_NVME);
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_VIOLATED);
	assert_said("violationEnded", 0);
	assert_int_equal(rig->fake.n_requests[HELPER_PARK], 0);
	assert_int_equal(rig->fake.n_requests[HELPER_RESTORE], 0);
	ends_without_a_trace(rig, bob);
	assert_string_equal(rig_driver(rig, SLOT_NVME), "nvme");
}

static void revoke_takes_the_lease_back(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_with(rig, REVOKE, SLOT_EDU);

	driver_comes(rig, SLOT_NIC, "e1000");
	assert_said("violation", 1);
	assert_said("releaseRequested", 1);
	assert_non_null(strstr(said_of("releaseRequested").message, SLOT_NIC " is bound to e1000"));
	assert_int_equal(rig->fake.n_requests[HELPER_PARK], 0);
	/* Whatever else happens until it is over. */
	driver_comes(rig, SLOT_NVME, "nvme");
	assert_said("releaseRequested", 1);
	ends_without_a_trace(rig, bob);
	assert_string_equal(rig_driver(rig, SLOT_NIC), "e1000");
}

static void a_parked_device_that_is_taken_from_pci_stub_goes_back_to_it(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_with(rig, SLOT_RULE("Bystanders=park\nOnViolation=unbind"), SLOT_EDU);

	ends_without_a_trace(rig, bob);
	fake_sysfs_set_driver(rig->sysfs, SLOT_NIC, "e1000");
	bob = peer_of(rig, &rig->bob);
	take_with_consent(rig, bob, SLOT_EDU);
	assert_string_equal(rig_driver(rig, SLOT_NIC), "pci-stub");
	assert_int_equal(fake_helper_n_open(&rig->fake), 2);
	driver_comes(rig, SLOT_NIC, "e1000");
	assert_string_equal(rig_driver(rig, SLOT_NIC), "pci-stub");
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_ACTIVE);
	/* By the transaction that it has. */
	assert_int_equal(fake_helper_n_open(&rig->fake), 2);
	assert_int_equal(lease_of_slot(rig)->n_parked, 1);
	ends_without_a_trace(rig, bob);
	assert_string_equal(rig_driver(rig, SLOT_NIC), "e1000");
}

static void a_driver_that_comes_again_and_again_is_given_up_on(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_with(rig, UNBIND, SLOT_EDU);

	for (unsigned int i = 1; i <= 3; i++) {
		driver_comes(rig, SLOT_NIC, "e1000");
		assert_int_equal(rig->fake.n_requests[HELPER_PARK], i);
		assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_ACTIVE);
	}
	driver_comes(rig, SLOT_NIC, "e1000");
	driver_comes(rig, SLOT_NVME, NULL);
	assert_int_equal(rig->fake.n_requests[HELPER_PARK], 3);
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_VIOLATED);
	assert_non_null(strstr(lease_of_slot(rig)->reason, "does not try again"));
	ends_without_a_trace(rig, bob);
	assert_string_equal(rig_driver(rig, SLOT_NIC), "e1000");
}

static void what_the_host_uses_is_left_to_it(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_with(rig, UNBIND, SLOT_EDU);

	strcpy(rig->fake.fail_address, SLOT_NIC);
	rig->fake.fail_status = HELPER_IN_USE;
	driver_comes(rig, SLOT_NIC, "e1000");
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_VIOLATED);
	assert_said("parkFailed", 1);
	assert_string_equal(said_of("parkFailed").device, SLOT_NIC);
	assert_non_null(strstr(said_of("parkFailed").message, "eth0 has the address 192.0.2.1"));
	assert_int_equal(rig->fake.n_requests[HELPER_PARK], 1);
	broker_resync(rig->broker);
	driver_comes(rig, SLOT_NVME, "pci-stub");
	assert_int_equal(rig->fake.n_requests[HELPER_PARK], 1);
	assert_string_equal(rig_driver(rig, SLOT_NIC), "e1000");
	ends_without_a_trace(rig, bob);
}

static void what_could_not_be_put_back_is_at_the_end(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_with(rig, UNBIND, SLOT_EDU);

	strcpy(rig->fake.fail_address, SLOT_NIC);
	rig->fake.fail_status = HELPER_FAULT;
	rig->fake.fail_open = true;
	driver_comes(rig, SLOT_NIC, "e1000");
	assert_said("parkFailed", 1);
	assert_int_equal(fake_helper_n_open(&rig->fake), 2);
	rig->fake.fail_status = HELPER_OK;
	ends_without_a_trace(rig, bob);
	assert_string_equal(rig_driver(rig, SLOT_NIC), "e1000");
}

static void what_changed_under_the_helper_is_tried_again(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_with(rig, UNBIND, SLOT_EDU);

	strcpy(rig->fake.fail_address, SLOT_NIC);
	rig->fake.fail_status = HELPER_FAULT;
	rig->fake.fail_step = HELPER_STEP_SNAPSHOT;
	rig->fake.fail_error = EAGAIN;
	driver_comes(rig, SLOT_NIC, "e1000");
	/* Not for ever. */
	assert_int_equal(rig->fake.n_requests[HELPER_PARK], 3);
	assert_said("parkFailed", 0);
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_VIOLATED);
	assert_non_null(strstr(lease_of_slot(rig)->reason, "does not try again"));
	ends_without_a_trace(rig, bob);
}

static void a_busy_helper_is_asked_again_later(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_with(rig, UNBIND, SLOT_EDU);

	strcpy(rig->fake.fail_address, SLOT_NIC);
	rig->fake.fail_status = HELPER_BUSY;
	driver_comes(rig, SLOT_NIC, "e1000");
	/* More often than it would try to park one that it can reach. */
	for (unsigned int i = 1; i <= 5; i++) {
		assert_int_equal(rig->fake.n_requests[HELPER_PARK], i);
		rig->fake.fail_status = i == 5 ? HELPER_OK : i % 2 ? HELPER_BUSY : HELPER_POLICY_DIFFERS;
		broker_expire(rig->broker, broker_next_deadline(rig->broker));
		rig_settle(rig);
	}
	assert_said("parkFailed", 0);
	assert_string_equal(rig_driver(rig, SLOT_NIC), "pci-stub");
	ends_without_a_trace(rig, bob);
}

static void a_helper_that_was_away_is_asked_when_it_is_back(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_with(rig, UNBIND, SLOT_EDU);

	rig->fake.hold = true;
	driver_comes(rig, SLOT_NIC, "e1000");
	assert_int_equal(rig->fake.n_requests[HELPER_PARK], 1);
	fake_helper_kill(&rig->fake);
	rig_settle(rig);
	rig->fake.hold = false;
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_VIOLATED);
	broker_expire(rig->broker, broker_next_deadline(rig->broker));
	rig_settle(rig);
	assert_int_equal(rig->fake.n_requests[HELPER_PARK], 2);
	assert_string_equal(rig_driver(rig, SLOT_NIC), "pci-stub");
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_ACTIVE);
	ends_without_a_trace(rig, bob);
}

static void a_client_that_goes_meanwhile_leaves_nothing_parked(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_with(rig, UNBIND, SLOT_EDU);

	rig->fake.hold = true;
	driver_comes(rig, SLOT_NIC, "e1000");
	rig->fake.hold = false;
	peer_free(bob);
	rig_settle(rig);
	/* The device's own way back is not held up by it, but the lease waits for both. */
	assert_int_equal(rig->fake.n_requests[HELPER_RESTORE], 1);
	assert_string_equal(rig_driver(rig, SLOT_EDU), "");
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_RELEASING);
	fake_helper_release(&rig->fake);
	rig_settle(rig);
	assert_int_equal(rig->fake.n_requests[HELPER_RESTORE], 2);
	assert_string_equal(rig_driver(rig, SLOT_NIC), "e1000");
	assert_int_equal(fake_helper_n_open(&rig->fake), 0);
	assert_true(list_is_empty(broker_leases(rig->broker)));
}

/* Thread 004: who binds a member to what leaves the group to user space does what is right. */
static void late_binding_by_hand_is_no_violation(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_with(rig, REVOKE, SLOT_EDU);

	driver_comes(rig, SLOT_NIC, "vfio-pci");
	driver_comes(rig, SLOT_NVME, "pci-stub");
	driver_comes(rig, SLOT_NVME, "vfio-pci");
	driver_comes(rig, SLOT_NVME, NULL);
	assert_said("violation", 0);
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_ACTIVE);
	assert_int_equal(rig->fake.n_requests[HELPER_PARK], 0);
	ends_without_a_trace(rig, bob);
	assert_string_equal(rig_driver(rig, SLOT_NIC), "vfio-pci");
}

/* Each group is looked at by itself, and the lease is fine only when all are. */
static void a_lease_of_two_groups_is_violated_until_both_are_fine(void **state)
{
	static const char rules[] = SLOT_RULE("OnViolation=log") RULE("Address=" EDU, "1001", "OnViolation=log");
	struct rig *rig = *state;
	struct peer *bob = bob_with(rig, rules, SLOT_EDU " " EDU);

	driver_comes(rig, SLOT_NIC, "e1000");
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_VIOLATED);
	broker_resync(rig->broker);
	fake_sysfs_set_attribute(rig->sysfs, EDU, "numa_node", "0");
	broker_device_changed(rig->broker, EDU);
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_VIOLATED);
	driver_comes(rig, SLOT_NIC, NULL);
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_ACTIVE);
	ends_without_a_trace(rig, bob);
}

/* ---- what the client has ---- */

static void a_host_driver_on_a_leased_device_revokes(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_with(rig, UNBIND, SLOT_EDU);

	driver_comes(rig, SLOT_EDU, "e1000");
	assert_said("releaseRequested", 1);
	assert_non_null(
		strstr(said_of("releaseRequested").message, SLOT_EDU " was taken from vfio and is bound to e1000"));
	assert_int_equal(rig->fake.n_requests[HELPER_PARK], 0);
	ends_without_a_trace(rig, bob);
}

static void a_device_that_the_kernel_asks_for_revokes(void **state)
{
	static const char *const rules[] = { UNBIND, REVOKE };

	for (size_t i = 0; i < 2; i++) {
		struct rig *rig = *state;
		struct peer *bob = bob_with(rig, rules[i], SLOT_EDU);

		driver_comes(rig, SLOT_EDU, NULL);
		assert_said("deviceRequested", 1);
		assert_string_equal(said_of("deviceRequested").device, SLOT_EDU);
		assert_said("violation", 0);
		assert_said("releaseRequested", 1);
		ends_without_a_trace(rig, bob);
	}
}

static void by_log_a_request_is_only_told(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_with(rig, LOG, SLOT_EDU);

	driver_comes(rig, SLOT_EDU, NULL);
	broker_resync(rig->broker);
	assert_said("deviceRequested", 1);
	assert_said("releaseRequested", 0);
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_ACTIVE);
	ends_without_a_trace(rig, bob);
}

static void our_own_unbind_is_no_request(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_with(rig, UNBIND, SLOT_EDU);

	rig->fake.linger = true;
	peer_free(bob);
	rig_settle(rig);
	driver_comes(rig, SLOT_EDU, NULL);
	assert_said("deviceRequested", 0);
	assert_said("releaseRequested", 0);
	rig->fake.linger = false;
	fake_helper_release(&rig->fake);
	rig_settle(rig);
	assert_true(list_is_empty(broker_leases(rig->broker)));
}

static void a_lost_device_ends_its_lease(void **state)
{
	static const char *const rules[] = { UNBIND, REVOKE };

	for (size_t i = 0; i < 2; i++) {
		struct rig *rig = *state;
		struct peer *bob = bob_with(rig, rules[i], SLOT_EDU);

		device_leaves(rig, SLOT_EDU);
		assert_said("deviceLost", 1);
		assert_string_equal(said_of("deviceLost").device, SLOT_EDU);
		assert_said("violation", 1);
		assert_said("releaseRequested", 1);
		ends_without_a_trace(rig, bob);
		device_joins(rig, SLOT_EDU, NULL);
	}
}

/* The group goes with its last device, and nobody asks for its verdict then. */
static void a_lost_group_ends_its_lease(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_with(rig, RULE("Address=" EDU, "1001", "GroupScope=whole"), EDU);

	device_leaves(rig, EDU);
	assert_said("deviceLost", 1);
	assert_said("releaseRequested", 1);
	ends_without_a_trace(rig, bob);
}

static void by_log_a_lease_stays_without_its_device(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_with(rig, LOG, SLOT_EDU " " SLOT_NIC);
	uint64_t lease = rig->outcome.lease;

	device_leaves(rig, SLOT_EDU);
	assert_int_equal(rig_state(rig, lease), LEASE_VIOLATED);
	assert_string_equal(lease_of_slot(rig)->reason, SLOT_EDU " was removed");
	/* There is nothing to put back any more; of the other there is. */
	assert_int_equal(fake_helper_n_open(&rig->fake), 1);
	ends_without_a_trace(rig, bob);
	assert_string_equal(rig_driver(rig, SLOT_NIC), "");
}

static void what_comes_to_the_address_of_a_lost_device_is_not_the_leases(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_with(rig, LOG, SLOT_EDU " " SLOT_NIC);
	const struct device *device;

	/* So quickly that nobody saw it gone. */
	fake_sysfs_remove_device(rig->sysfs, SLOT_EDU);
	device_joins(rig, SLOT_EDU, "e1000");
	assert_said("deviceLost", 1);
	assert_said("lateJoiner", 1);
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_VIOLATED);
	assert_true(lease_of_slot(rig)->devices[0]->lost);
	/* By LateJoiner=park, under a transaction of its own, and put back. */
	assert_string_equal(rig_driver(rig, SLOT_EDU), "pci-stub");
	device = registry_find_device(rig->registry, SLOT_EDU);
	assert_string_equal(broker_host_driver(rig->broker, device), "e1000");
	ends_without_a_trace(rig, bob);
	assert_string_equal(rig_driver(rig, SLOT_EDU), "e1000");
}

static void a_parked_device_that_is_removed_is_forgotten(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_with(rig, UNBIND, SLOT_EDU);

	driver_comes(rig, SLOT_NIC, "e1000");
	assert_int_equal(lease_of_slot(rig)->n_parked, 1);
	device_leaves(rig, SLOT_NIC);
	assert_said("deviceLost", 0);
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_ACTIVE);
	assert_int_equal(lease_of_slot(rig)->n_parked, 0);
	assert_int_equal(fake_helper_n_open(&rig->fake), 1);
	ends_without_a_trace(rig, bob);
}

/* ---- nobody listened ---- */

static void a_resync_finds_what_happened(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_with(rig, UNBIND, SLOT_EDU);

	fake_sysfs_set_driver(rig->sysfs, SLOT_NIC, "e1000");
	broker_resync(rig->broker);
	rig_settle(rig);
	assert_said("violation", 1);
	assert_said("memberParked", 1);
	assert_string_equal(rig_driver(rig, SLOT_NIC), "pci-stub");
	fake_sysfs_set_driver(rig->sysfs, SLOT_EDU, NULL);
	broker_resync(rig->broker);
	rig_settle(rig);
	assert_said("deviceRequested", 1);
	assert_said("releaseRequested", 1);
	ends_without_a_trace(rig, bob);
	bob = bob_with(rig, UNBIND, SLOT_EDU);
	fake_sysfs_remove_device(rig->sysfs, SLOT_EDU);
	broker_resync(rig->broker);
	rig_settle(rig);
	assert_said("deviceLost", 1);
	assert_said("releaseRequested", 1);
	ends_without_a_trace(rig, bob);
}

static void a_request_for_another_device_finds_it_too(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_with(rig, UNBIND, SLOT_EDU), *alice = peer_of(rig, &rig->alice);

	fake_sysfs_set_driver(rig->sysfs, SLOT_NIC, "e1000");
	rig_acquire(rig, alice, SLOT_NVME, NULL, NULL);
	rig_settle(rig);
	assert_said("violation", 1);
	assert_string_equal(rig_driver(rig, SLOT_NIC), "pci-stub");
	peer_free(alice);
	ends_without_a_trace(rig, bob);
}

/* Whichever allocation fails: nothing is lost, and the next look finds the intruder. */
static void without_memory_it_is_found_at_the_next_look(void **state)
{
	struct rig *rig = *state;
	struct peer *bob;
	bool failed = true;

	for (unsigned int n = 1; failed; n++) {
		bob = bob_with(rig, UNBIND, SLOT_EDU);
		fake_sysfs_set_driver(rig->sysfs, SLOT_NIC, "e1000");
		fail_alloc_begin(n);
		broker_device_changed(rig->broker, SLOT_NIC);
		failed = fail_alloc_end();
		rig_settle(rig);
		/* One that could not be read is found when it is read again, all others by themselves. */
		if (broker_next_deadline(rig->broker) == UINT64_MAX)
			broker_resync(rig->broker);
		else
			broker_expire(rig->broker, broker_next_deadline(rig->broker));
		rig_settle(rig);
		assert_string_equal(rig_driver(rig, SLOT_NIC), "pci-stub");
		assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_ACTIVE);
		ends_without_a_trace(rig, bob);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BROKER_CASE(an_intruder_is_parked_and_put_back_at_the_end),
		BROKER_CASE(a_violated_lease_says_why),
		BROKER_CASE(log_only_tells),
		BROKER_CASE(revoke_takes_the_lease_back),
		BROKER_CASE(a_parked_device_that_is_taken_from_pci_stub_goes_back_to_it),
		BROKER_CASE(a_driver_that_comes_again_and_again_is_given_up_on),
		BROKER_CASE(what_the_host_uses_is_left_to_it),
		BROKER_CASE(what_could_not_be_put_back_is_at_the_end),
		BROKER_CASE(what_changed_under_the_helper_is_tried_again),
		BROKER_CASE(a_busy_helper_is_asked_again_later),
		BROKER_CASE(a_helper_that_was_away_is_asked_when_it_is_back),
		BROKER_CASE(a_client_that_goes_meanwhile_leaves_nothing_parked),
		BROKER_CASE(late_binding_by_hand_is_no_violation),
		BROKER_CASE(a_lease_of_two_groups_is_violated_until_both_are_fine),
		BROKER_CASE(a_host_driver_on_a_leased_device_revokes),
		BROKER_CASE(a_device_that_the_kernel_asks_for_revokes),
		BROKER_CASE(by_log_a_request_is_only_told),
		BROKER_CASE(our_own_unbind_is_no_request),
		BROKER_CASE(a_lost_device_ends_its_lease),
		BROKER_CASE(a_lost_group_ends_its_lease),
		BROKER_CASE(by_log_a_lease_stays_without_its_device),
		BROKER_CASE(what_comes_to_the_address_of_a_lost_device_is_not_the_leases),
		BROKER_CASE(a_parked_device_that_is_removed_is_forgotten),
		BROKER_CASE(a_resync_finds_what_happened),
		BROKER_CASE(a_request_for_another_device_finds_it_too),
		BROKER_CASE(without_memory_it_is_found_at_the_next_look),
	};

	return cmocka_run_group_tests_name("broker-violation", tests, NULL, NULL);
}
