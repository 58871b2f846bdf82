/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What happens to a group while it is watched: verdicts, violations, labels, and who hears of it. The machine: broker-rig.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "broker-cases.h"

static void a_driver_that_comes_to_a_leased_group_is_a_violation(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	free_slot(rig);
	rig_acquire(rig, alice, SLOT_EDU, NULL, NULL);
	rig_acquire(rig, alice, SLOT_EDU, NULL, rig->outcome.token);
	fake_sysfs_set_driver(rig->sysfs, SLOT_NIC, "e1000");
	broker_device_changed(rig->broker, SLOT_NIC);
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_VIOLATED);
	assert_true(rig_saw(rig, "violation"));
	fake_sysfs_set_driver(rig->sysfs, SLOT_NIC, NULL);
	broker_device_changed(rig->broker, SLOT_NIC);
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_ACTIVE);
	peer_free(alice);
	rig_settle(rig);
}

static void a_verdict_that_changes_is_an_event(void **state)
{
	struct rig *rig = *state;

	free_slot(rig);
	broker_device_changed(rig->broker, SLOT_NIC);
	assert_true(rig_saw(rig, "driverUnbound"));
	assert_true(rig_saw(rig, "verdictChanged"));
	broker_device_changed(rig->broker, SLOT_NVME);
	assert_non_null(strstr(rig->last_event, "group 3 is viable"));
}

static void lost_events_are_made_up_for(void **state)
{
	struct rig *rig = *state;

	free_slot(rig);
	fake_sysfs_remove_device(rig->sysfs, EDU);
	broker_resync(rig->broker);
	assert_true(rig_saw(rig, "deviceRemoved") && rig_saw(rig, "driverUnbound") && rig_saw(rig, "resynced"));
	assert_null(registry_find_device(rig->registry, EDU));
}

static void labels_that_differ_in_a_group_are_refused_at_load(void **state)
{
	static const char conflict[] = RULE("Address=0000:03:00.0", "1000", "GroupScope=whole\nLabel=red")
		RULE("Address=0000:03:00.1", "1000", "GroupScope=whole\nLabel=blue");
	struct rig *rig = *state;
	struct policy *policy = rig_policy(conflict);
	const struct policy *before = broker_get_policy(rig->broker);
	char refused[1024];

	assert_int_equal(broker_set_policy(rig->broker, policy, refused, sizeof(refused)), -EINVAL);
	assert_ptr_equal(broker_get_policy(rig->broker), before);
	assert_non_null(strstr(refused, "t.policy:1: label 'red' for 0000:03:00.0"));
	assert_non_null(strstr(refused, "t.policy:9 gives 'blue' to 0000:03:00.1"));
	policy_free(policy);
}

static void labels_that_come_to_differ_make_the_group_unleasable(void **state)
{
	static const char rules[] = RULE("Vendor=8086", "1000", "GroupScope=whole\nLabel=red")
		RULE("Vendor=1af4", "1000", "GroupScope=whole\nLabel=blue");
	struct rig *rig = *state;
	char refused[1024];

	free_slot(rig);
	assert_int_equal(broker_set_policy(rig->broker, rig_policy(rules), refused, sizeof(refused)), 0);
	fake_sysfs_add_device(
		rig->sysfs,
		&(struct fake_device){ .address = "0000:03:00.3", .vendor = 0x1af4, .device = 1, .group = 3 });
	broker_device_changed(rig->broker, "0000:03:00.3");
	refuses(rig, &rig->alice, SLOT_EDU, NULL, REFUSAL_NOT_VIABLE, "label");
}

static void events_of_others_are_not_for_everybody(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice), *bob = peer_of(rig, &rig->bob),
		    *root = peer_of(rig, &rig->root);
	struct broker_event grant = { .name = "leaseGranted", .device = NIC, .group = 1, .lease = 1, .uid = 1000 };
	struct broker_event bound = { .name = "driverBound", .device = NIC, .group = 1, .lease = -1, .uid = -1 };
	struct broker_event recovered = { .name = "leaseRecovered", .device = NIC, .group = 1, .lease = 1, .uid = -1 };

	assert_true(peer_may_see_event(alice, &grant) && peer_may_see_event(root, &grant));
	assert_false(peer_may_see_event(bob, &grant));
	assert_true(peer_may_see_event(alice, &bound));
	assert_false(peer_may_see_event(bob, &bound));
	assert_false(peer_may_see_event(alice, &recovered));
	peer_free(alice);
	peer_free(bob);
	peer_free(root);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		BROKER_CASE(a_driver_that_comes_to_a_leased_group_is_a_violation),
		BROKER_CASE(a_verdict_that_changes_is_an_event),
		BROKER_CASE(lost_events_are_made_up_for),
		BROKER_CASE(labels_that_differ_in_a_group_are_refused_at_load),
		BROKER_CASE(labels_that_come_to_differ_make_the_group_unleasable),
		BROKER_CASE(events_of_others_are_not_for_everybody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
