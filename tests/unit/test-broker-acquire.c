/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who gets a device, and who is refused with which words. The machine: broker-rig.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "broker-cases.h"

static void moves_a_device_and_puts_it_back_on_its_driver(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	rig_acquire(rig, alice, NIC, NULL, NULL);
	assert_int_equal(rig->outcome.n, 1);
	assert_int_equal(rig->outcome.refusal, REFUSAL_NONE);
	assert_int_equal(rig->outcome.n_devices, 1);
	assert_string_equal(rig_driver(rig, NIC), "vfio-pci");
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_ACTIVE);
	assert_true(broker_release(rig->broker, alice, rig->outcome.lease));
	rig_settle(rig);
	assert_string_equal(rig_driver(rig, NIC), "e1000e");
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_RELEASED);
	assert_int_equal(fake_helper_n_open(&rig->fake), 0);
	assert_true(rig_saw(rig, "leaseGranted") && rig_saw(rig, "leaseReleased"));
	peer_free(alice);
}

static void end_of_the_connection_ends_the_lease(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	rig_acquire(rig, alice, EDU, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_NONE);
	peer_free(alice);
	rig_settle(rig);
	assert_string_equal(rig_driver(rig, EDU), "");
	assert_true(list_is_empty(broker_leases(rig->broker)));
}

static void several_devices_share_one_lease(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	rig_acquire(rig, alice, NIC " " EDU, NULL, NULL);
	assert_int_equal(rig->outcome.n_devices, 2);
	assert_int_equal(rig->fake.n_requests[HELPER_PREPARE], 2);
	peer_free(alice);
	rig_settle(rig);
	assert_string_equal(rig_driver(rig, NIC), "e1000e");
	assert_int_equal(fake_helper_n_open(&rig->fake), 0);
}

static void a_rule_by_driver_goes_on_to_fit_while_the_device_is_leased(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	rig_acquire(rig, alice, NIC, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_NONE);
	assert_true(peer_may_see(alice, registry_find_device(rig->registry, NIC)));
	peer_free(alice);
	rig_settle(rig);
}

static void refuses_devices_that_are_not_there(void **state)
{
	refuses(*state, &((struct rig *)*state)->alice, "0000:09:00.0", NULL, REFUSAL_NO_SUCH_DEVICE, "0000:09:00.0");
	refuses(*state, &((struct rig *)*state)->alice, "../../etc", NULL, REFUSAL_NO_SUCH_DEVICE, "../../etc");
}

static void denial_names_file_and_line(void **state)
{
	struct rig *rig = *state;

	refuses(rig, &rig->bob, NIC, NULL, REFUSAL_DENIED, "t.policy:");
	assert_non_null(strstr(rig->outcome.file, "t.policy"));
	assert_int_equal(rig->outcome.line, 39);
	assert_true(rig_saw(rig, "leaseDenied"));
}

static void denial_without_a_rule_names_none(void **state)
{
	struct rig *rig = *state;

	refuses(rig, &rig->bob, BRIDGE, NULL, REFUSAL_DENIED, "bridge");
	refuses(rig, &rig->root, NIC, NULL, REFUSAL_DENIED, "no rule");
	assert_string_equal(rig->outcome.file, "");
}

static void refuses_bridges_even_when_a_rule_allows_them(void **state)
{
	refuses(*state, &((struct rig *)*state)->alice, BRIDGE, NULL, REFUSAL_DENIED, "never handed out");
}

static void refuses_a_group_that_is_not_viable_by_naming_device_and_driver(void **state)
{
	refuses(*state, &((struct rig *)*state)->alice, SLOT_EDU, NULL, REFUSAL_NOT_VIABLE,
		SLOT_NIC " is bound to e1000");
}

static void singleton_scope_refuses_larger_groups(void **state)
{
	struct rig *rig = *state;
	char refused[256];

	free_slot(rig);
	assert_int_equal(
		broker_set_policy(rig->broker, rig_policy(RULE("Address=*", "1000", "")), refused, sizeof(refused)), 0);
	refuses(rig, &rig->alice, SLOT_EDU, NULL, REFUSAL_NOT_SINGLETON, "GroupScope=whole");
}

static void whole_scope_wants_consent_and_takes_its_token(void **state)
{
	struct rig *rig = *state;
	char token[DIGEST_HEX_SIZE], wrong[DIGEST_HEX_SIZE];
	struct peer *alice;

	free_slot(rig);
	refuses(rig, &rig->alice, SLOT_EDU, NULL, REFUSAL_CONSENT_REQUIRED, "group 3");
	memcpy(token, rig->outcome.token, sizeof(token));
	memcpy(wrong, token, sizeof(wrong));
	wrong[0] = wrong[0] == '0' ? '1' : '0';
	refuses(rig, &rig->alice, SLOT_EDU, wrong, REFUSAL_CONSENT_REQUIRED, "group 3");
	alice = peer_of(rig, &rig->alice);
	rig_acquire(rig, alice, SLOT_EDU, NULL, token);
	assert_int_equal(rig->outcome.refusal, REFUSAL_NONE);
	assert_string_equal(rig->outcome.label, "red");
	peer_free(alice);
	rig_settle(rig);
}

static void consent_is_void_when_a_member_changes(void **state)
{
	struct rig *rig = *state;
	char token[DIGEST_HEX_SIZE];

	free_slot(rig);
	refuses(rig, &rig->alice, SLOT_EDU, NULL, REFUSAL_CONSENT_REQUIRED, "group 3");
	memcpy(token, rig->outcome.token, sizeof(token));
	fake_sysfs_set_driver(rig->sysfs, SLOT_NVME, "vfio-pci");
	refuses(rig, &rig->alice, SLOT_EDU, token, REFUSAL_CONSENT_REQUIRED, "group 3");
}

static void all_members_together_need_no_consent(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	rig_acquire(rig, alice, SLOT_NIC " " SLOT_NVME " " SLOT_EDU, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_NONE);
	peer_free(alice);
	rig_settle(rig);
	assert_string_equal(rig_driver(rig, SLOT_NIC), "e1000");
	assert_string_equal(rig_driver(rig, SLOT_NVME), "nvme");
	assert_string_equal(rig_driver(rig, SLOT_EDU), "");
}

static void another_label_is_refused_with_both(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice), *bob = peer_of(rig, &rig->bob);

	rig_acquire(rig, alice, SLOT_NIC " " SLOT_NVME, NULL, NULL);
	rig_acquire(rig, alice, SLOT_NIC " " SLOT_NVME, NULL, rig->outcome.token);
	assert_int_equal(rig->outcome.refusal, REFUSAL_NONE);
	rig_acquire(rig, bob, SLOT_EDU, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_LABEL_MISMATCH);
	assert_string_equal(rig->outcome.label, "red");
	assert_string_equal(rig->outcome.other_label, "blue");
	assert_true(rig_saw(rig, "labelRefused"));
	peer_free(alice);
	rig_settle(rig);
	/* The label was the group's only while it was leased. */
	free_slot(rig);
	rig_acquire(rig, bob, SLOT_EDU, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_CONSENT_REQUIRED);
	peer_free(bob);
}

static void a_leased_device_is_busy_for_others(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice), *bob = peer_of(rig, &rig->bob);

	rig_acquire(rig, alice, EDU, NULL, NULL);
	rig_acquire(rig, bob, EDU, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_BUSY);
	assert_int_equal(rig->outcome.state, LEASE_ACTIVE);
	assert_non_null(strstr(rig->outcome.message, "another user"));
	peer_free(alice);
	rig_settle(rig);
	rig_acquire(rig, bob, EDU, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_NONE);
	peer_free(bob);
	rig_settle(rig);
}

static void a_backend_that_rule_or_kernel_lacks_is_unavailable(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	rig_acquire(rig, alice, EDU, "legacy", NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_BACKEND_UNAVAILABLE);
	assert_non_null(strstr(rig->outcome.message, "does not admit"));
	rig_acquire(rig, alice, NIC, "legacy", NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_BACKEND_UNAVAILABLE);
	assert_non_null(strstr(rig->outcome.message, "this kernel"));
	peer_free(alice);
}

static void leases_of_one_user_are_limited(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice), *other = peer_of(rig, &rig->alice);

	rig_acquire(rig, alice, EDU, NULL, NULL);
	rig_acquire(rig, other, NIC, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_NONE);
	rig_acquire(rig, other, SLOT_EDU, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_QUOTA);
	assert_non_null(strstr(rig->outcome.message, "MaxLeasesPerUser="));
	peer_free(other);
	rig_settle(rig);
	rig_acquire(rig, alice, NIC, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_NONE);
	peer_free(alice);
	rig_settle(rig);
}

static void repeated_and_too_many_devices_are_refused(void **state)
{
	refuses(*state, &((struct rig *)*state)->alice, EDU " " EDU, NULL, REFUSAL_QUOTA, "different");
	refuses(*state, &((struct rig *)*state)->alice, "", NULL, REFUSAL_QUOTA, "1 to 16");
	refuses(*state, &((struct rig *)*state)->alice, "a b c d e f g h i j k l m n o p q", NULL, REFUSAL_QUOTA,
		"1 to 16");
}

static void nobody_releases_what_is_not_his(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice), *bob = peer_of(rig, &rig->bob);

	rig_acquire(rig, alice, EDU, NULL, NULL);
	assert_false(broker_release(rig->broker, bob, rig->outcome.lease));
	assert_false(broker_release(rig->broker, alice, 999));
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_ACTIVE);
	peer_free(bob);
	peer_free(alice);
	rig_settle(rig);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		BROKER_CASE(moves_a_device_and_puts_it_back_on_its_driver),
		BROKER_CASE(end_of_the_connection_ends_the_lease),
		BROKER_CASE(several_devices_share_one_lease),
		BROKER_CASE(a_rule_by_driver_goes_on_to_fit_while_the_device_is_leased),
		BROKER_CASE(refuses_devices_that_are_not_there),
		BROKER_CASE(denial_names_file_and_line),
		BROKER_CASE(denial_without_a_rule_names_none),
		BROKER_CASE(refuses_bridges_even_when_a_rule_allows_them),
		BROKER_CASE(refuses_a_group_that_is_not_viable_by_naming_device_and_driver),
		BROKER_CASE(singleton_scope_refuses_larger_groups),
		BROKER_CASE(whole_scope_wants_consent_and_takes_its_token),
		BROKER_CASE(consent_is_void_when_a_member_changes),
		BROKER_CASE(all_members_together_need_no_consent),
		BROKER_CASE(another_label_is_refused_with_both),
		BROKER_CASE(a_leased_device_is_busy_for_others),
		BROKER_CASE(a_backend_that_rule_or_kernel_lacks_is_unavailable),
		BROKER_CASE(leases_of_one_user_are_limited),
		BROKER_CASE(repeated_and_too_many_devices_are_refused),
		BROKER_CASE(nobody_releases_what_is_not_his),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
