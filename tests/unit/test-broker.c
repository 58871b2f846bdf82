/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The broker from request to return: see broker-rig.h for the machine that it runs on. */
#include <errno.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "broker-rig.h"
#include "open-fds.h"
#include "util/cleanup.h"

#define RULE(match, user, grant) "[Match]\n" match "\n[Client]\nUser=" user "\n[Grant]\nAction=allow\n" grant "\n"

static const char policy_text[] = RULE("Address=0000:01:00.0\nDriver=e1000e", "1000", "")
	RULE("Address=0000:02:00.0", "1000,1001", "Backend=iommufd")
		RULE("Address=0000:03:00.*", "1000", "GroupScope=whole\nLabel=red")
			RULE("Address=0000:03:00.*", "1001", "GroupScope=whole\nLabel=blue")
				RULE("Address=0000:00:1c.0", "1000",
				     "") "[Match]\nAddress=0000:01:*\n[Client]\nUser=1001\n[Grant]\nAction=deny\n";

static int setup(void **state)
{
	static struct rig rig;

	rig_start(&rig, policy_text);
	*state = &rig;
	return 0;
}

static int teardown(void **state)
{
	rig_stop(*state);
	return 0;
}

static struct peer *peer_of(struct rig *rig, const struct identity *identity)
{
	struct peer *peer = peer_new(rig->broker, identity, 2);

	assert_non_null(peer);
	return peer;
}

static void free_slot(struct rig *rig)
{
	fake_sysfs_set_driver(rig->sysfs, SLOT_NIC, NULL);
	fake_sysfs_set_driver(rig->sysfs, SLOT_NVME, NULL);
}

/* ---- granting ---- */

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

/* ---- refusing ---- */

static void refuses(struct rig *rig, const struct identity *who, const char *devices, const char *consent,
		    enum refusal_kind kind, const char *said)
{
	struct peer *peer = peer_of(rig, who);

	rig_acquire(rig, peer, devices, NULL, consent);
	assert_int_equal(rig->outcome.n, 1);
	assert_int_equal(rig->outcome.refusal, kind);
	if (!strstr(rig->outcome.message, said))
		fail_msg("'%s' is not in: %s", said, rig->outcome.message);
	assert_int_equal(rig->fake.n_requests[HELPER_PREPARE], 0);
	peer_free(peer);
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

/* ---- parking ---- */

#define PARKING RULE("Address=" SLOT_EDU, "1001", "GroupScope=whole\nBystanders=park")

/* For this bob may have the third of the slot, and the others make room. */
static struct peer *bob_who_parks(struct rig *rig, const char *policy)
{
	char refused[256];

	assert_int_equal(broker_set_policy(rig->broker, rig_policy(policy), refused, sizeof(refused)), 0);
	memcpy(rig->fake.digest, policy_digest(broker_get_policy(rig->broker)), DIGEST_SIZE);
	return peer_of(rig, &rig->bob);
}

static void take_with_consent(struct rig *rig, struct peer *peer, const char *devices)
{
	char token[DIGEST_HEX_SIZE];

	rig_acquire(rig, peer, devices, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_CONSENT_REQUIRED);
	memcpy(token, rig->outcome.token, sizeof(token));
	rig_acquire(rig, peer, devices, NULL, token);
}

static void assert_slot_is_back(struct rig *rig)
{
	assert_string_equal(rig_driver(rig, SLOT_NIC), "e1000");
	assert_string_equal(rig_driver(rig, SLOT_NVME), "nvme");
	assert_string_equal(rig_driver(rig, SLOT_EDU), "");
	assert_int_equal(fake_helper_n_open(&rig->fake), 0);
	assert_true(list_is_empty(broker_leases(rig->broker)));
}

static void parks_the_bystanders_first_and_puts_them_back_last(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_who_parks(rig, PARKING);
	const struct lease *lease;

	take_with_consent(rig, bob, SLOT_EDU);
	assert_int_equal(rig->outcome.refusal, REFUSAL_NONE);
	assert_int_equal(rig->outcome.n_devices, 1);
	assert_string_equal(rig->fake.trace, "park(" SLOT_NIC ") park(" SLOT_NVME ") prepare(" SLOT_EDU ") ");
	assert_string_equal(rig_driver(rig, SLOT_NIC), "pci-stub");
	assert_string_equal(rig_driver(rig, SLOT_NVME), "pci-stub");
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_ACTIVE);
	lease = broker_group_holder(rig->broker, 3);
	assert_int_equal(lease->n_devices, 1);
	assert_int_equal(lease->n_parked, 2);
	assert_string_equal(broker_host_driver(rig->broker, registry_find_device(rig->registry, SLOT_NVME)), "nvme");
	rig->fake.trace[0] = '\0';
	peer_free(bob);
	rig_settle(rig);
	assert_string_equal(rig->fake.trace, "restore(" SLOT_EDU ") restore(" SLOT_NIC ") restore(" SLOT_NVME ") ");
	assert_slot_is_back(rig);
}

static void the_consent_is_to_what_becomes_of_the_bystanders(void **state)
{
	struct rig *rig = *state;
	char stays[DIGEST_HEX_SIZE];
	struct peer *bob;

	/* The same members on the same drivers, but by this rule they stay. */
	bob = bob_who_parks(rig, RULE("Address=" SLOT_EDU, "1001", "GroupScope=whole\nAllowedDrivers=e1000 nvme"));
	rig_acquire(rig, bob, SLOT_EDU, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_CONSENT_REQUIRED);
	memcpy(stays, rig->outcome.token, sizeof(stays));
	peer_free(bob);
	bob = bob_who_parks(rig, PARKING);
	rig_acquire(rig, bob, SLOT_EDU, NULL, stays);
	assert_int_equal(rig->outcome.refusal, REFUSAL_CONSENT_REQUIRED);
	assert_int_equal(rig->fake.n_requests[HELPER_PARK], 0);
	peer_free(bob);
}

static void members_on_allowed_drivers_stay_and_violate_nothing(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_who_parks(
		rig, RULE("Address=" SLOT_EDU, "1001", "GroupScope=whole\nBystanders=park\nAllowedDrivers=nvme"));

	take_with_consent(rig, bob, SLOT_EDU);
	assert_int_equal(rig->outcome.refusal, REFUSAL_NONE);
	assert_int_equal(rig->fake.n_requests[HELPER_PARK], 1);
	assert_string_equal(rig_driver(rig, SLOT_NVME), "nvme");
	broker_device_changed(rig->broker, SLOT_EDU);
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_ACTIVE);
	fake_sysfs_set_driver(rig->sysfs, SLOT_NIC, "e1000");
	broker_device_changed(rig->broker, SLOT_NIC);
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_VIOLATED);
	peer_free(bob);
	rig_settle(rig);
	assert_slot_is_back(rig);
}

static void members_that_are_in_nobodys_way_are_not_parked(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_who_parks(rig, PARKING);

	fake_sysfs_set_driver(rig->sysfs, SLOT_NIC, "vfio-pci");
	fake_sysfs_set_driver(rig->sysfs, SLOT_NVME, "pci-stub");
	take_with_consent(rig, bob, SLOT_EDU);
	assert_int_equal(rig->outcome.refusal, REFUSAL_NONE);
	assert_int_equal(rig->fake.n_requests[HELPER_PARK], 0);
	peer_free(bob);
	rig_settle(rig);
	assert_string_equal(rig_driver(rig, SLOT_NIC), "vfio-pci");
	assert_string_equal(rig_driver(rig, SLOT_NVME), "pci-stub");
}

static void bridges_are_never_parked(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_who_parks(rig, PARKING);

	fake_sysfs_add_device(rig->sysfs, &(struct fake_device){ .address = "0000:03:00.3",
								 .vendor = 0x8086,
								 .device = 1,
								 .class = 0x060400,
								 .group = 3,
								 .driver = "shpchp" });
	broker_device_changed(rig->broker, "0000:03:00.3");
	rig_acquire(rig, bob, SLOT_EDU, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_NOT_VIABLE);
	assert_non_null(strstr(rig->outcome.message, "0000:03:00.3 is bound to shpchp"));
	peer_free(bob);
}

static void without_parking_the_refusal_names_the_way_out(void **state)
{
	refuses(*state, &((struct rig *)*state)->bob, SLOT_EDU, NULL, REFUSAL_NOT_VIABLE,
		SLOT_NIC
		" is bound to e1000; allow parking with Bystanders=park in t.policy:24, or bind it to vfio-pci, or");
}

/* Whatever the helper answers to whichever bystander or device. */
static void whatever_fails_bystanders_are_put_back(void **state)
{
	static const struct {
		uint32_t status;
		enum refusal_kind kind;
	} cases[] = {
		{ HELPER_FAULT, REFUSAL_PREPARE_FAILED },
		{ HELPER_REFUSED, REFUSAL_DENIED },
		{ HELPER_BUSY, REFUSAL_BUSY },
		{ HELPER_TIMED_OUT, REFUSAL_TIMED_OUT },
		{ HELPER_POLICY_DIFFERS, REFUSAL_PREPARE_FAILED },
		{ HELPER_NO_SUCH_DEVICE, REFUSAL_PREPARE_FAILED },
	};
	static const char *const devices[] = { SLOT_NIC, SLOT_NVME, SLOT_EDU };
	struct rig *rig = *state;
	struct peer *bob = bob_who_parks(rig, PARKING);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (size_t j = 0; j < ARRAY_SIZE(devices); j++) {
			strcpy(rig->fake.fail_address, devices[j]);
			rig->fake.fail_status = cases[i].status;
			take_with_consent(rig, bob, SLOT_EDU);
			assert_int_equal(rig->outcome.refusal, cases[i].kind);
			/* As long as a bystander is in the way, nothing else is touched. */
			assert_int_equal(rig->fake.n_requests[HELPER_PREPARE], j < 2 ? i : i + 1);
			assert_slot_is_back(rig);
		}
	peer_free(bob);
}

static void put_nvme_back(struct rig *rig)
{
	rig_while_opening = NULL;
	fake_sysfs_set_driver(rig->sysfs, SLOT_NVME, "nvme");
}

static void nothing_is_sent_while_a_bystander_is_not_parked(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_who_parks(rig, PARKING);
	char token[DIGEST_HEX_SIZE];

	rig_acquire(rig, bob, SLOT_EDU, NULL, NULL);
	memcpy(token, rig->outcome.token, sizeof(token));
	rig_while_opening = put_nvme_back;
	rig_acquire(rig, bob, SLOT_EDU, NULL, token);
	assert_int_equal(rig->outcome.n, 1);
	assert_int_equal(rig->outcome.refusal, REFUSAL_PREPARE_FAILED);
	assert_slot_is_back(rig);
	peer_free(bob);
}

static void a_client_that_goes_while_bystanders_are_parked_costs_nothing(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_who_parks(rig, PARKING);
	char token[DIGEST_HEX_SIZE];

	rig_acquire(rig, bob, SLOT_EDU, NULL, NULL);
	memcpy(token, rig->outcome.token, sizeof(token));
	rig->fake.hold = true;
	rig_acquire(rig, bob, SLOT_EDU, NULL, token);
	assert_int_equal(rig->fake.n_held, 2);
	peer_free(bob);
	rig->fake.hold = false;
	fake_helper_release(&rig->fake);
	rig_settle(rig);
	assert_int_equal(rig->fake.n_requests[HELPER_PREPARE], 0);
	assert_slot_is_back(rig);
}

static void bystanders_wait_for_descriptors_that_are_out(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_who_parks(rig, PARKING);
	uint64_t lease;

	take_with_consent(rig, bob, SLOT_EDU);
	lease = rig->outcome.lease;
	rig->fake.linger = true;
	peer_free(bob);
	rig_settle(rig);
	assert_int_equal(rig_state(rig, lease), LEASE_LINGERING);
	assert_string_equal(rig_driver(rig, SLOT_NIC), "pci-stub");
	fake_helper_release(&rig->fake);
	rig_settle(rig);
	assert_slot_is_back(rig);
}

static void a_helper_that_dies_between_park_and_prepare_puts_back_later(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = bob_who_parks(rig, PARKING);
	char token[DIGEST_HEX_SIZE];

	rig_acquire(rig, bob, SLOT_EDU, NULL, NULL);
	memcpy(token, rig->outcome.token, sizeof(token));
	rig->fake.hold = true;
	rig_acquire(rig, bob, SLOT_EDU, NULL, token);
	fake_helper_release(&rig->fake); /* parked; what follows is held */
	rig_settle(rig);
	assert_string_equal(rig_driver(rig, SLOT_NVME), "pci-stub");
	fake_helper_kill(&rig->fake);
	rig->fake.hold = false;
	rig_settle(rig);
	assert_int_equal(rig->outcome.refusal, REFUSAL_PREPARE_FAILED);
	broker_expire(rig->broker, UINT64_MAX - 1);
	rig_settle(rig);
	assert_slot_is_back(rig);
	peer_free(bob);
}

/* A broker that died; in its client's hands the device lingers, and the bystanders wait for it. */
static void a_parked_group_of_a_former_broker_is_put_back_in_order(void **state)
{
	struct rig *rig = *state;

	rig->fake.transactions[0] =
		(struct fake_transaction){ .open = true, .address = SLOT_NIC, .driver = "e1000", .parked = true };
	rig->fake.transactions[1] =
		(struct fake_transaction){ .open = true, .address = SLOT_NVME, .driver = "nvme", .parked = true };
	rig->fake.transactions[2] = (struct fake_transaction){ .open = true, .address = SLOT_EDU };
	rig->fake.n_transactions = 3;
	fake_sysfs_set_driver(rig->sysfs, SLOT_NIC, "pci-stub");
	fake_sysfs_set_driver(rig->sysfs, SLOT_NVME, "pci-stub");
	fake_sysfs_set_driver(rig->sysfs, SLOT_EDU, "vfio-pci");
	rig->fake.linger = true;
	assert_int_equal(helper_client_connect(rig->helper), 0);
	broker_helper_connected(rig->broker);
	rig_settle(rig);
	assert_string_equal(rig->fake.trace, "");
	assert_non_null(broker_group_holder(rig->broker, 3));
	fake_helper_release(&rig->fake);
	assert_string_equal(rig->fake.trace, "restore(" SLOT_EDU ") ");
	/* The device is back, and the group still the bystanders'. */
	assert_int_equal(helper_client_dispatch(rig->helper), 0);
	assert_non_null(broker_group_holder(rig->broker, 3));
	rig_settle(rig);
	assert_null(broker_group_holder(rig->broker, 3));
	assert_slot_is_back(rig);
}

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

/* ---- failing ---- */

/* Whatever the helper answers to whichever device, all others are put back, and the client is told. */
static void whatever_fails_everything_is_put_back(void **state)
{
	static const struct {
		uint32_t status;
		enum refusal_kind kind;
	} cases[] = {
		{ HELPER_FAULT, REFUSAL_PREPARE_FAILED },
		{ HELPER_REFUSED, REFUSAL_DENIED },
		{ HELPER_BUSY, REFUSAL_BUSY },
		{ HELPER_IN_USE, REFUSAL_BUSY },
		{ HELPER_TIMED_OUT, REFUSAL_TIMED_OUT },
		{ HELPER_POLICY_DIFFERS, REFUSAL_PREPARE_FAILED },
		{ HELPER_NO_SUCH_DEVICE, REFUSAL_PREPARE_FAILED },
		{ HELPER_BAD_REQUEST, REFUSAL_PREPARE_FAILED },
	};
	static const char *const devices[] = { SLOT_NIC, SLOT_NVME, SLOT_EDU };
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);
	size_t fds = count_open_fds();

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (size_t j = 0; j < ARRAY_SIZE(devices); j++) {
			strcpy(rig->fake.fail_address, devices[j]);
			rig->fake.fail_status = cases[i].status;
			rig_acquire(rig, alice, SLOT_NIC " " SLOT_NVME " " SLOT_EDU, NULL, NULL);
			assert_int_equal(rig->outcome.n, 1);
			assert_int_equal(rig->outcome.refusal, cases[i].kind);
			assert_string_equal(rig_driver(rig, SLOT_NIC), "e1000");
			assert_string_equal(rig_driver(rig, SLOT_NVME), "nvme");
			assert_string_equal(rig_driver(rig, SLOT_EDU), "");
			assert_int_equal(fake_helper_n_open(&rig->fake), 0);
			assert_true(list_is_empty(broker_leases(rig->broker)));
		}
	/* The connection to the helper, on both ends, came with the first. */
	assert_int_equal(count_open_fds(), fds + 2);
	peer_free(alice);
}

/* What uses it, and the rule that could say otherwise. */
static void what_the_host_uses_is_busy(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	strcpy(rig->fake.fail_address, NIC);
	rig->fake.fail_status = HELPER_IN_USE;
	rig_acquire(rig, alice, NIC, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_BUSY);
	assert_string_equal(rig->outcome.message,
			    NIC " is in use by the host: eth0 has the address 192.0.2.1; end that "
				"use, or take it by Force=yes in t.policy:1");
	assert_string_equal(rig_driver(rig, NIC), "e1000e");
	assert_true(list_is_empty(broker_leases(rig->broker)));
	peer_free(alice);
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

static void a_node_that_can_not_be_opened_puts_everything_back(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	rig_open_result = -ESTALE;
	rig_acquire(rig, alice, NIC, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_PREPARE_FAILED);
	assert_non_null(strstr(rig->outcome.message, "the test says no"));
	assert_string_equal(rig_driver(rig, NIC), "e1000e");
	rig_open_result = -EOPNOTSUPP;
	rig_acquire(rig, alice, NIC, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_BACKEND_UNAVAILABLE);
	assert_string_equal(rig_driver(rig, NIC), "e1000e");
	peer_free(alice);
}

static void waits_for_udev_and_no_longer_than_it_may(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	rig_open_result = -EACCES;
	rig_acquire(rig, alice, NIC, NULL, NULL);
	assert_int_equal(rig->outcome.n, 0);
	broker_node_ready(rig->broker);
	assert_int_equal(rig->outcome.n, 0);
	assert_int_equal(rig_n_opens, 2);
	rig_open_result = 0;
	broker_node_ready(rig->broker);
	assert_int_equal(rig->outcome.n, 1);
	assert_int_equal(rig->outcome.refusal, REFUSAL_NONE);
	assert_true(broker_release(rig->broker, alice, rig->outcome.lease));
	rig_settle(rig);

	rig_open_result = -ENOENT;
	rig_acquire(rig, alice, NIC, NULL, NULL);
	assert_int_equal(rig->outcome.n, 0);
	assert_true(broker_next_deadline(rig->broker) < UINT64_MAX);
	broker_expire(rig->broker, UINT64_MAX - 1);
	assert_int_equal(rig->outcome.refusal, REFUSAL_TIMED_OUT);
	assert_string_equal(rig->outcome.word, "node");
	rig_settle(rig);
	assert_string_equal(rig_driver(rig, NIC), "e1000e");
	peer_free(alice);
}

static void replace_nic(struct rig *rig)
{
	rig_while_opening = NULL;
	fake_sysfs_remove_device(rig->sysfs, NIC);
	fake_sysfs_add_device(rig->sysfs, &(struct fake_device){ .address = NIC,
								 .vendor = 0x1af4,
								 .device = 0x1041,
								 .class = 0x020000,
								 .group = 1,
								 .driver = "vfio-pci" });
}

static void what_changed_between_judging_and_sending_is_not_sent(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	rig_while_opening = replace_nic;
	rig_acquire(rig, alice, NIC, NULL, NULL);
	assert_int_equal(rig->outcome.n, 1);
	assert_int_equal(rig->outcome.refusal, REFUSAL_PREPARE_FAILED);
	assert_string_equal(rig->outcome.word, "recheck");
	peer_free(alice);
	rig_settle(rig);
}

static void join_group_1(struct rig *rig)
{
	rig_while_opening = NULL;
	fake_sysfs_add_device(rig->sysfs, &(struct fake_device){ .address = "0000:01:00.1",
								 .vendor = 0x8086,
								 .device = 0x10d3,
								 .class = 0x020000,
								 .group = 1,
								 .driver = "e1000e" });
	broker_device_changed(rig->broker, "0000:01:00.1");
}

static void a_member_that_joins_while_it_is_prepared_is_noticed(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	rig_while_opening = join_group_1;
	rig_acquire(rig, alice, NIC, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_NOT_SINGLETON);
	assert_string_equal(rig_driver(rig, NIC), "e1000e");
	peer_free(alice);
}

static void a_policy_that_changed_meanwhile_is_asked_again(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);
	char refused[256];

	rig_open_result = -EACCES;
	rig_acquire(rig, alice, NIC, NULL, NULL);
	assert_int_equal(
		broker_set_policy(rig->broker, rig_policy(RULE("Address=*", "1001", "")), refused, sizeof(refused)), 0);
	rig_open_result = 0;
	broker_node_ready(rig->broker);
	rig_settle(rig);
	assert_int_equal(rig->outcome.refusal, REFUSAL_DENIED);
	assert_string_equal(rig_driver(rig, NIC), "e1000e");
	peer_free(alice);
}

static void a_client_that_goes_while_it_is_prepared_costs_nothing(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	rig->fake.hold = true;
	rig_acquire(rig, alice, NIC, NULL, NULL);
	assert_int_equal(rig->outcome.n, 0);
	peer_free(alice);
	rig->fake.hold = false;
	fake_helper_release(&rig->fake);
	rig_settle(rig);
	assert_int_equal(rig->outcome.n, 0);
	assert_int_equal(rig_n_opens, 0);
	assert_string_equal(rig_driver(rig, NIC), "e1000e");
	assert_int_equal(fake_helper_n_open(&rig->fake), 0);
	assert_true(list_is_empty(broker_leases(rig->broker)));
}

static void a_prepare_that_takes_too_long_is_answered_and_undone_later(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	rig->fake.hold = true;
	rig_acquire(rig, alice, NIC, NULL, NULL);
	broker_expire(rig->broker, UINT64_MAX - 1);
	assert_int_equal(rig->outcome.n, 1);
	assert_int_equal(rig->outcome.refusal, REFUSAL_TIMED_OUT);
	rig->fake.hold = false;
	fake_helper_release(&rig->fake);
	rig_settle(rig);
	assert_int_equal(rig->outcome.n, 1);
	assert_string_equal(rig_driver(rig, NIC), "e1000e");
	assert_true(list_is_empty(broker_leases(rig->broker)));
	peer_free(alice);
}

/* ---- giving back ---- */

static void descriptors_that_are_out_make_the_lease_linger(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice), *bob = peer_of(rig, &rig->bob);
	uint64_t lease;

	rig_acquire(rig, alice, EDU, NULL, NULL);
	lease = rig->outcome.lease;
	rig->fake.linger = true;
	peer_free(alice);
	rig_settle(rig);
	assert_int_equal(rig_state(rig, lease), LEASE_LINGERING);
	assert_true(rig_saw(rig, "leaseLingering"));
	rig_acquire(rig, bob, EDU, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_BUSY);
	assert_int_equal(rig->outcome.state, LEASE_LINGERING);
	rig->fake.linger = false;
	fake_helper_release(&rig->fake);
	rig_settle(rig);
	rig_acquire(rig, bob, EDU, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_NONE);
	peer_free(bob);
	rig_settle(rig);
}

static void name_holders(struct rig *rig)
{
	rig->fake.n_holders = 2;
	rig->fake.holders[0] = (struct helper_holder){ .pid = 77, .comm = "qemu\n\xff" };
	rig->fake.holders[1] = (struct helper_holder){ .pid = 78, .unsure = 1, .comm = "dpdk" };
}

static void who_keeps_a_lease_lingering_is_told_to_its_user_and_to_root(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice), *bob = peer_of(rig, &rig->bob);

	rig_acquire(rig, alice, EDU, NULL, NULL);
	rig->fake.linger = true;
	name_holders(rig);
	assert_true(broker_release(rig->broker, alice, rig->outcome.lease));
	rig_settle(rig);
	assert_non_null(strstr(rig->last_event, "they are with pid 77 (qemu\?\?), maybe pid 78 (dpdk);"));
	rig_acquire(rig, alice, EDU, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_BUSY);
	assert_non_null(strstr(rig->outcome.message, "still with pid 77 (qemu\?\?), maybe pid 78 (dpdk);"));
	rig_acquire(rig, bob, EDU, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_BUSY);
	assert_null(strstr(rig->outcome.message, "77"));
	assert_non_null(strstr(rig->outcome.message, "another user"));
	assert_int_equal(rig->fake.n_requests[HELPER_HOLDERS], 1);
	rig->fake.linger = false;
	fake_helper_release(&rig->fake);
	peer_free(alice);
	peer_free(bob);
	rig_settle(rig);
}

static void a_lease_lingers_also_when_nobody_can_be_named(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	name_holders(rig);
	rig->fake.holders_status = HELPER_BUSY;
	rig_acquire(rig, alice, EDU, NULL, NULL);
	rig->fake.linger = true;
	peer_free(alice);
	rig_settle(rig);
	assert_true(rig_saw(rig, "leaseLingering"));
	assert_null(strstr(rig->last_event, "they are with"));
	rig->fake.linger = false;
	fake_helper_release(&rig->fake);
	rig_settle(rig);
	assert_true(list_is_empty(broker_leases(rig->broker)));
}

/* The answer about the holders is never told: the lease that it is about has ended, or the helper. */
static void holders_that_come_too_late_are_nobodys(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	rig_acquire(rig, alice, EDU, NULL, NULL);
	rig->fake.hold = true;
	peer_free(alice);
	rig_settle(rig);
	broker_expire(rig->broker, UINT64_MAX - 1);
	fake_helper_kill(&rig->fake);
	rig->fake.hold = false;
	rig_settle(rig);
	assert_true(rig_saw(rig, "leaseLingering"));
	broker_expire(rig->broker, UINT64_MAX - 1);
}

/* The first is unbound from vfio while the other's descriptors are still out: no host driver gets it before those are in. */
static void a_device_that_its_group_keeps_from_its_driver_is_put_back_with_the_last(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	rig_acquire(rig, alice, SLOT_NIC " " SLOT_NVME " " SLOT_EDU, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_NONE);
	strcpy(rig->fake.denied_address, SLOT_NIC);
	peer_free(alice);
	rig_settle(rig);
	assert_string_equal(rig_driver(rig, SLOT_NIC), "e1000");
	assert_string_equal(rig_driver(rig, SLOT_NVME), "nvme");
	assert_string_equal(rig_driver(rig, SLOT_EDU), "");
	assert_int_equal(fake_helper_n_open(&rig->fake), 0);
	assert_false(rig_saw(rig, "restoreFailed"));
	assert_true(list_is_empty(broker_leases(rig->broker)));
}

static void a_slow_release_is_shown_as_lingering(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);
	uint64_t lease;

	rig_acquire(rig, alice, EDU, NULL, NULL);
	lease = rig->outcome.lease;
	rig->fake.hold = true;
	peer_free(alice);
	rig_settle(rig);
	assert_int_equal(rig_state(rig, lease), LEASE_RELEASING);
	broker_expire(rig->broker, UINT64_MAX - 1);
	assert_int_equal(rig_state(rig, lease), LEASE_LINGERING);
	fake_helper_release(&rig->fake);
	rig_settle(rig);
	assert_int_equal(rig_state(rig, lease), LEASE_RELEASED);
}

/* ---- the helper goes, or was there before ---- */

static void a_helper_that_dies_while_preparing_is_asked_to_put_back_later(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	rig->fake.hold = true;
	rig_acquire(rig, alice, NIC, NULL, NULL);
	/* It did its work, and died before it could say so. */
	rig->fake.hold = false;
	fake_helper_release(&rig->fake);
	fake_helper_kill(&rig->fake);
	/* The reply was sent before the death: it is read first, and the lease is granted. */
	rig_settle(rig);
	assert_int_equal(rig->outcome.n, 1);
	peer_free(alice);
	rig_settle(rig);
	broker_expire(rig->broker, UINT64_MAX - 1);
	rig_settle(rig);
	assert_string_equal(rig_driver(rig, NIC), "e1000e");
	assert_int_equal(fake_helper_n_open(&rig->fake), 0);
}

static void a_request_that_dies_with_the_helper_is_refused(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	rig->fake.hold = true;
	rig_acquire(rig, alice, NIC, NULL, NULL);
	fake_helper_kill(&rig->fake);
	rig->fake.hold = false;
	rig_settle(rig);
	assert_int_equal(rig->outcome.refusal, REFUSAL_PREPARE_FAILED);
	assert_string_equal(rig->outcome.word, "helper");
	/* The next one finds it again. */
	rig_acquire(rig, alice, NIC, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_NONE);
	peer_free(alice);
	rig_settle(rig);
	assert_string_equal(rig_driver(rig, NIC), "e1000e");
}

static void a_restore_that_dies_with_the_helper_is_asked_for_again(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	rig_acquire(rig, alice, NIC, NULL, NULL);
	rig->fake.hold = true;
	peer_free(alice);
	rig_settle(rig);
	fake_helper_kill(&rig->fake);
	rig->fake.hold = false;
	rig_settle(rig);
	assert_string_equal(rig_driver(rig, NIC), "vfio-pci");
	broker_expire(rig->broker, UINT64_MAX - 1);
	rig_settle(rig);
	assert_string_equal(rig_driver(rig, NIC), "e1000e");
	assert_true(list_is_empty(broker_leases(rig->broker)));
}

static void a_helper_that_comes_back_leaves_leases_that_live_alone(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	rig_acquire(rig, alice, NIC, NULL, NULL);
	fake_helper_kill(&rig->fake);
	rig_settle(rig);
	broker_expire(rig->broker, UINT64_MAX - 1);
	rig_settle(rig);
	assert_true(rig->fake.n_requests[HELPER_NEXT] >= 2);
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_ACTIVE);
	assert_string_equal(rig_driver(rig, NIC), "vfio-pci");
	assert_false(rig_saw(rig, "leaseRecovered"));
	peer_free(alice);
	rig_settle(rig);
	assert_string_equal(rig_driver(rig, NIC), "e1000e");
}

static void what_a_former_broker_left_is_put_back(void **state)
{
	struct rig *rig = *state;

	rig->fake.transactions[0] = (struct fake_transaction){ .open = true, .address = NIC, .driver = "e1000e" };
	rig->fake.transactions[1] = (struct fake_transaction){ .open = true, .address = EDU };
	rig->fake.n_transactions = 2;
	fake_sysfs_set_driver(rig->sysfs, NIC, "vfio-pci");
	fake_sysfs_set_driver(rig->sysfs, EDU, "vfio-pci");
	assert_int_equal(helper_client_connect(rig->helper), 0);
	broker_helper_connected(rig->broker);
	rig_settle(rig);
	assert_string_equal(rig_driver(rig, NIC), "e1000e");
	assert_string_equal(rig_driver(rig, EDU), "");
	assert_true(rig_saw(rig, "leaseRecovered"));
	assert_true(list_is_empty(broker_leases(rig->broker)));
}

/* Several open transactions, so that a prepare is answered before the last of them was looked at. */
static void nothing_is_handed_out_before_all_that_is_out_is_known(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	rig->fake.transactions[0] = (struct fake_transaction){ .open = true, .address = NIC, .driver = "e1000e" };
	rig->fake.transactions[1] = (struct fake_transaction){ .open = true, .address = SLOT_NIC, .driver = "" };
	rig->fake.n_transactions = 2;
	rig->fake.linger = true;
	fake_sysfs_set_driver(rig->sysfs, NIC, "vfio-pci");
	fake_sysfs_set_driver(rig->sysfs, SLOT_NIC, "vfio-pci");
	fake_sysfs_set_driver(rig->sysfs, SLOT_NVME, NULL);
	rig_acquire(rig, alice, SLOT_NVME " " SLOT_EDU, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_CONSENT_REQUIRED);
	rig_acquire(rig, alice, SLOT_NVME " " SLOT_EDU, NULL, rig->outcome.token);
	assert_int_equal(rig->outcome.n, 1);
	assert_int_equal(rig->outcome.refusal, REFUSAL_BUSY);
	assert_non_null(strstr(rig->outcome.message, "former iommud"));
	rig->fake.linger = false;
	fake_helper_release(&rig->fake);
	rig_settle(rig);
	assert_int_equal(fake_helper_n_open(&rig->fake), 0);
	peer_free(alice);
}

static void without_a_helper_the_refusal_says_so(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	fake_helper_stop(&rig->fake);
	rig_acquire(rig, alice, NIC, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_PREPARE_FAILED);
	assert_non_null(strstr(rig->outcome.message, "iommud-helper"));
	assert_true(list_is_empty(broker_leases(rig->broker)));
	peer_free(alice);
	fake_helper_start(&rig->fake, rig->sysfs);
}

/* ---- watching and explaining ---- */

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

#define CASE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(moves_a_device_and_puts_it_back_on_its_driver),
		CASE(end_of_the_connection_ends_the_lease),
		CASE(several_devices_share_one_lease),
		CASE(a_rule_by_driver_goes_on_to_fit_while_the_device_is_leased),
		CASE(refuses_devices_that_are_not_there),
		CASE(denial_names_file_and_line),
		CASE(denial_without_a_rule_names_none),
		CASE(refuses_bridges_even_when_a_rule_allows_them),
		CASE(refuses_a_group_that_is_not_viable_by_naming_device_and_driver),
		CASE(singleton_scope_refuses_larger_groups),
		CASE(whole_scope_wants_consent_and_takes_its_token),
		CASE(consent_is_void_when_a_member_changes),
		CASE(all_members_together_need_no_consent),
		CASE(another_label_is_refused_with_both),
		CASE(a_leased_device_is_busy_for_others),
		CASE(a_backend_that_rule_or_kernel_lacks_is_unavailable),
		CASE(leases_of_one_user_are_limited),
		CASE(repeated_and_too_many_devices_are_refused),
		CASE(nobody_releases_what_is_not_his),
		CASE(parks_the_bystanders_first_and_puts_them_back_last),
		CASE(the_consent_is_to_what_becomes_of_the_bystanders),
		CASE(members_on_allowed_drivers_stay_and_violate_nothing),
		CASE(members_that_are_in_nobodys_way_are_not_parked),
		CASE(bridges_are_never_parked),
		CASE(without_parking_the_refusal_names_the_way_out),
		CASE(whatever_fails_bystanders_are_put_back),
		CASE(nothing_is_sent_while_a_bystander_is_not_parked),
		CASE(a_client_that_goes_while_bystanders_are_parked_costs_nothing),
		CASE(bystanders_wait_for_descriptors_that_are_out),
		CASE(a_helper_that_dies_between_park_and_prepare_puts_back_later),
		CASE(a_parked_group_of_a_former_broker_is_put_back_in_order),
		CASE(explain_shows_what_is_parked),
		CASE(whatever_fails_everything_is_put_back),
		CASE(what_the_host_uses_is_busy),
		CASE(explain_says_that_the_host_is_not_asked),
		CASE(a_node_that_can_not_be_opened_puts_everything_back),
		CASE(waits_for_udev_and_no_longer_than_it_may),
		CASE(what_changed_between_judging_and_sending_is_not_sent),
		CASE(a_member_that_joins_while_it_is_prepared_is_noticed),
		CASE(a_policy_that_changed_meanwhile_is_asked_again),
		CASE(a_client_that_goes_while_it_is_prepared_costs_nothing),
		CASE(a_prepare_that_takes_too_long_is_answered_and_undone_later),
		CASE(descriptors_that_are_out_make_the_lease_linger),
		CASE(who_keeps_a_lease_lingering_is_told_to_its_user_and_to_root),
		CASE(a_lease_lingers_also_when_nobody_can_be_named),
		CASE(holders_that_come_too_late_are_nobodys),
		CASE(a_device_that_its_group_keeps_from_its_driver_is_put_back_with_the_last),
		CASE(a_slow_release_is_shown_as_lingering),
		CASE(a_helper_that_dies_while_preparing_is_asked_to_put_back_later),
		CASE(a_request_that_dies_with_the_helper_is_refused),
		CASE(a_restore_that_dies_with_the_helper_is_asked_for_again),
		CASE(a_helper_that_comes_back_leaves_leases_that_live_alone),
		CASE(what_a_former_broker_left_is_put_back),
		CASE(nothing_is_handed_out_before_all_that_is_out_is_known),
		CASE(without_a_helper_the_refusal_says_so),
		CASE(a_driver_that_comes_to_a_leased_group_is_a_violation),
		CASE(a_verdict_that_changes_is_an_event),
		CASE(lost_events_are_made_up_for),
		CASE(explain_says_what_acquire_would_and_changes_nothing),
		CASE(labels_that_differ_in_a_group_are_refused_at_load),
		CASE(labels_that_come_to_differ_make_the_group_unleasable),
		CASE(events_of_others_are_not_for_everybody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
