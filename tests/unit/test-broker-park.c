/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bystanders that are parked: the order, what is undone when something fails, and who is left alone. The machine: broker-rig.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "broker-cases.h"
#include "util/cleanup.h"

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

int main(void)
{
	static const struct CMUnitTest tests[] = {
		BROKER_CASE(parks_the_bystanders_first_and_puts_them_back_last),
		BROKER_CASE(the_consent_is_to_what_becomes_of_the_bystanders),
		BROKER_CASE(members_on_allowed_drivers_stay_and_violate_nothing),
		BROKER_CASE(members_that_are_in_nobodys_way_are_not_parked),
		BROKER_CASE(bridges_are_never_parked),
		BROKER_CASE(without_parking_the_refusal_names_the_way_out),
		BROKER_CASE(whatever_fails_bystanders_are_put_back),
		BROKER_CASE(nothing_is_sent_while_a_bystander_is_not_parked),
		BROKER_CASE(a_client_that_goes_while_bystanders_are_parked_costs_nothing),
		BROKER_CASE(bystanders_wait_for_descriptors_that_are_out),
		BROKER_CASE(a_helper_that_dies_between_park_and_prepare_puts_back_later),
		BROKER_CASE(a_parked_group_of_a_former_broker_is_put_back_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
