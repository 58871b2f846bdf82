/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Physical functions and their virtual functions: who may have the one while the other is there, and their token. The
 * machine: broker-rig.h, and 0000:04:00.0 on nvme, alone in group 10, which can make virtual functions: 0000:04:00.1 and .2
 * in groups 11 and 12, where a case makes them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "broker-cases.h"
#include "broker/internal.h"
#include "fail-alloc.h"
#include "util/cleanup.h"

#define PF "0000:04:00.0"
#define VF_1 "0000:04:00.1"
#define VF_2 "0000:04:00.2"

#define EVERYBODY \
	"[Match]\nAddress=0000:04:*\n[Client]\nUser=*\n[Grant]\nAction=allow\nGroupScope=whole\nBystanders=park\n"

static void add_function(struct rig *rig, const char *address, int group, const char *driver, const char *physfn)
{
	fake_sysfs_add_device(rig->sysfs, &(struct fake_device){ .address = address,
								 .vendor = 0x1b36,
								 .device = 0x0010,
								 .class = 0x010802,
								 .group = group,
								 .driver = driver,
								 .physfn = physfn });
	if (!physfn)
		fake_sysfs_set_attribute(rig->sysfs, address, "sriov_totalvfs", "8");
}

static void add_virtual_functions(struct rig *rig, const char *driver)
{
	add_function(rig, VF_1, 11, driver, PF);
	add_function(rig, VF_2, 12, driver, PF);
	assert_int_equal(registry_scan(rig->registry), 0);
}

static void remove_virtual_functions(struct rig *rig)
{
	fake_sysfs_remove_device(rig->sysfs, VF_1);
	fake_sysfs_remove_device(rig->sysfs, VF_2);
}

static int setup(void **state)
{
	static struct rig rig;

	rig_start(&rig, EVERYBODY);
	add_function(&rig, PF, 10, "nvme", NULL);
	assert_int_equal(registry_scan(rig.registry), 0);
	*state = &rig;
	return 0;
}

static int teardown(void **state)
{
	rig_stop(*state);
	return 0;
}

static const struct lease_device *leased(struct rig *rig, const char *address)
{
	const struct device *device = registry_find_device(rig->registry, address);
	struct lease *holder = broker_group_holder(rig->broker, device->group->id);

	assert_non_null(holder);
	return lease_find_device(holder, address);
}

static void takes(struct rig *rig, struct peer *peer, const char *device)
{
	rig_acquire(rig, peer, device, NULL, NULL);
	if (rig->outcome.refusal)
		fail_msg("%s is refused: %s", device, rig->outcome.message);
	assert_int_equal(rig->outcome.n, 1);
	assert_int_equal(rig->outcome.error, 0);
}

static void is_refused(struct rig *rig, struct identity *who, const char *device, enum refusal_kind kind,
		       const char *said)
{
	struct peer *peer = peer_of(rig, who);
	unsigned int n_prepared = rig->fake.n_requests[HELPER_PREPARE];

	rig_acquire(rig, peer, device, NULL, NULL);
	assert_int_equal(rig->outcome.n, 1);
	assert_int_equal(rig->outcome.refusal, kind);
	if (!strstr(rig->outcome.message, said))
		fail_msg("'%s' is not in: %s", said, rig->outcome.message);
	assert_int_equal(rig->fake.n_requests[HELPER_PREPARE], n_prepared);
	peer_free(peer);
}

static void ends(struct rig *rig, struct peer *peer)
{
	peer_free(peer);
	rig_settle(rig);
}

/* ---- who may have what ---- */

static void a_parent_with_children_is_blocked_with_the_way_out(void **state)
{
	struct rig *rig = *state;
	struct verdict verdict;

	add_virtual_functions(rig, NULL);
	is_refused(rig, &rig->alice, PF, REFUSAL_NOT_VIABLE, PF " has 2 virtual functions");
	is_refused(rig, &rig->alice, PF, REFUSAL_NOT_VIABLE, "echo 0 >/sys/bus/pci/devices/" PF "/sriov_numvfs");
	/* Also for who only looks, and for whatever driver it is on. */
	assert_int_equal(broker_judge_group(rig->broker, registry_find_device(rig->registry, PF)->group, &verdict), 0);
	assert_int_equal(verdict.n_blockers, 2);
	assert_int_equal(verdict.blockers[1].kind, BLOCKER_HAS_VIRTUAL_FUNCTIONS);
	assert_string_equal(verdict.blockers[1].device, PF);
	assert_string_equal(verdict.blockers[1].driver, "nvme");
	verdict_clear(&verdict);
	fake_sysfs_set_driver(rig->sysfs, PF, "vfio-pci");
	is_refused(rig, &rig->alice, PF, REFUSAL_NOT_VIABLE, PF " has 2 virtual functions");
	fake_sysfs_set_driver(rig->sysfs, PF, NULL);
	is_refused(rig, &rig->alice, PF, REFUSAL_NOT_VIABLE, PF " has 2 virtual functions");
}

/* The events of their end may be late: their folders are looked at. */
static void children_that_went_are_in_nobodys_way(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	add_virtual_functions(rig, NULL);
	remove_virtual_functions(rig);
	takes(rig, alice, PF);
	assert_null(registry_find_device(rig->registry, VF_1));
	ends(rig, alice);
}

static void children_of_a_parent_on_the_host_go_to_anybody(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice), *bob = peer_of(rig, &rig->bob);

	add_virtual_functions(rig, NULL);
	takes(rig, alice, VF_1);
	assert_string_equal(leased(rig, VF_1)->vf_token, "");
	takes(rig, bob, VF_2);
	ends(rig, alice);
	ends(rig, bob);
	assert_int_equal(fake_helper_n_open(&rig->fake), 0);
}

static void a_parent_is_busy_while_a_child_is_leased(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = peer_of(rig, &rig->bob);

	add_virtual_functions(rig, NULL);
	takes(rig, bob, VF_2);
	is_refused(rig, &rig->alice, PF, REFUSAL_BUSY, "its virtual function " VF_2 " is active, held by another user");
	assert_int_equal(rig->outcome.state, LEASE_ACTIVE);
	is_refused(rig, &rig->root, PF, REFUSAL_BUSY, "held by pid 1 of uid 1001");
	is_refused(rig, &rig->bob, PF, REFUSAL_BUSY, "held by pid 1 of uid 1001");
	ends(rig, bob);
	is_refused(rig, &rig->alice, PF, REFUSAL_NOT_VIABLE, PF " has 2 virtual functions");
}

static void children_of_a_leased_parent_go_to_its_user_only(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice), *again = peer_of(rig, &rig->alice);

	takes(rig, alice, PF);
	add_virtual_functions(rig, "vfio-pci");
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_ACTIVE);
	is_refused(rig, &rig->bob, VF_1, REFUSAL_BUSY, "its physical function " PF " is active, held by another user");
	is_refused(rig, &rig->root, VF_1, REFUSAL_BUSY, "held by pid 1 of uid 1000");
	takes(rig, again, VF_1);
	ends(rig, again);
	ends(rig, alice);
}

static void a_parent_that_is_given_back_takes_its_children_along(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	takes(rig, alice, PF);
	add_virtual_functions(rig, "vfio-pci");
	rig->fake.hold = true;
	ends(rig, alice);
	is_refused(rig, &rig->alice, VF_1, REFUSAL_BUSY, "its physical function " PF " is releasing");
	fake_helper_release(&rig->fake);
	rig_settle(rig);
}

static void children_of_a_parent_that_nobody_has_leased_are_refused(void **state)
{
	struct rig *rig = *state;

	fake_sysfs_set_driver(rig->sysfs, PF, "vfio-pci");
	add_virtual_functions(rig, "vfio-pci");
	is_refused(rig, &rig->alice, VF_1, REFUSAL_BUSY,
		   "its physical function " PF " is on vfio-pci and leased to nobody");
	is_refused(rig, &rig->root, VF_1, REFUSAL_BUSY, "acquire it, and make them again");
}

/* Parking takes the host's driver as well. */
static void a_bystander_with_children_is_not_parked(void **state)
{
	struct rig *rig = *state;

	add_function(rig, "0000:04:00.7", 10, NULL, PF);
	assert_int_equal(registry_scan(rig->registry), 0);
	is_refused(rig, &rig->alice, "0000:04:00.7", REFUSAL_NOT_VIABLE, PF " has 1 virtual functions");
	/* Where it stays as it is, it is not in the way. */
	fake_sysfs_set_driver(rig->sysfs, PF, NULL);
	assert_int_equal(registry_scan(rig->registry), 0);
	is_refused(rig, &rig->alice, "0000:04:00.7", REFUSAL_CONSENT_REQUIRED, "1 more member");
}

static void add_while_opening(struct rig *rig)
{
	add_virtual_functions(rig, "vfio-pci");
}

static void who_gets_a_parent_is_judged_again_before_it_is_handed_out(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	rig_while_opening = add_while_opening;
	rig_acquire(rig, alice, PF, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_NOT_VIABLE);
	assert_int_equal(fake_helper_n_open(&rig->fake), 0);
	assert_string_equal(rig_driver(rig, PF), "nvme");
	peer_free(alice);
}

/* ---- the token ---- */

static void a_parent_and_its_children_share_a_token(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice), *again = peer_of(rig, &rig->alice);
	char token[VF_TOKEN_SIZE];

	takes(rig, alice, PF);
	strcpy(token, leased(rig, PF)->vf_token);
	assert_int_equal(strlen(token), 36);
	for (size_t i = 0; i < 36; i++)
		if (i == 8 || i == 13 || i == 18 || i == 23)
			assert_int_equal(token[i], '-');
		else
			assert_non_null(strchr("0123456789abcdef", token[i]));
	assert_int_equal(token[14], '4');
	add_virtual_functions(rig, "vfio-pci");
	takes(rig, again, VF_1);
	assert_string_equal(leased(rig, VF_1)->vf_token, token);
	ends(rig, again);
	remove_virtual_functions(rig);
	assert_int_equal(registry_scan(rig->registry), 0);
	ends(rig, alice);
	/* Another lease, another token. */
	alice = peer_of(rig, &rig->alice);
	takes(rig, alice, PF);
	assert_string_not_equal(leased(rig, PF)->vf_token, token);
	ends(rig, alice);
}

static void the_opener_is_shown_the_token(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);

	takes(rig, alice, PF);
	assert_string_equal(rig_opened.vf_token, leased(rig, PF)->vf_token);
	ends(rig, alice);
	alice = peer_of(rig, &rig->alice);
	add_virtual_functions(rig, NULL);
	takes(rig, alice, VF_1);
	assert_string_equal(rig_opened.vf_token, "");
	ends(rig, alice);
}

/* ---- what is told ---- */

static void the_verdict_on_the_parent_follows_its_children(void **state)
{
	struct rig *rig = *state;

	rig->events[0] = '\0';
	add_virtual_functions(rig, NULL);
	assert_true(rig_saw(rig, "verdictChanged"));
	rig->events[0] = '\0';
	/* The kernel takes the link away first, then the device. */
	fake_sysfs_remove_device(rig->sysfs, VF_2);
	broker_device_changed(rig->broker, VF_2);
	assert_int_equal(unlinkat(fake_sysfs_fd(rig->sysfs), "bus/pci/devices/" VF_1 "/physfn", 0), 0);
	broker_device_changed(rig->broker, VF_1);
	assert_true(rig_saw(rig, "verdictChanged"));
	assert_string_equal(rig->last_event, "group 10 is not viable: " PF " is bound to nvme; bind it to vfio-pci, or "
					     "unbind it: echo " PF " >/sys/bus/pci/drivers/nvme/unbind");
}

static void hear_added(void *userdata, const struct broker_event *event)
{
	char *message = userdata;

	if (strcmp(event->name, "deviceAdded") == 0)
		snprintf(message, 256, "%s", event->message);
}

static void a_child_that_appears_is_told_whose_it_is(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);
	char message[256] = "";

	rig->on_event = hear_added;
	rig->on_event_userdata = message;
	add_function(rig, VF_1, 11, NULL, PF);
	broker_device_changed(rig->broker, VF_1);
	assert_string_equal(message, VF_1 " joined group 11, as a virtual function of " PF);
	fake_sysfs_remove_device(rig->sysfs, VF_1);
	broker_device_changed(rig->broker, VF_1);
	takes(rig, alice, PF);
	add_function(rig, VF_1, 11, "vfio-pci", PF);
	broker_device_changed(rig->broker, VF_1);
	assert_string_equal(message, VF_1 " joined group 11, as a virtual function of " PF
					  ", which is leased: only its user can have it");
	rig->on_event = NULL;
	ends(rig, alice);
}

static void hear_taken_back(void *userdata, const struct broker_event *event)
{
	char *message = userdata;

	if (strcmp(event->name, "vfTakenBack") == 0)
		snprintf(message + strlen(message), 512 - strlen(message), "lease %d: %s\n", (int)event->lease,
			 event->message);
}

/* As the kernel does it: the link to the parent goes, then the driver's, and the rest waits for descriptors. */
static void a_leased_child_that_its_parent_takes_back_is_told(void **state)
{
	struct rig *rig = *state;
	struct peer *alice = peer_of(rig, &rig->alice);
	char message[512] = "", path[512];

	add_virtual_functions(rig, NULL);
	takes(rig, alice, VF_1);
	rig->on_event = hear_taken_back;
	rig->on_event_userdata = message;
	/* Another child's end is not its own, and a driver that goes alone says nothing of the parent. */
	fake_sysfs_remove_device(rig->sysfs, VF_2);
	broker_device_changed(rig->broker, VF_2);
	broker_device_changed(rig->broker, VF_1);
	assert_string_equal(message, "");
	snprintf(path, sizeof(path), "%s/bus/pci/devices/" VF_1 "/physfn", fake_sysfs_path(rig->sysfs));
	assert_int_equal(unlink(path), 0);
	broker_device_changed(rig->broker, VF_1);
	assert_string_equal(message, "lease 1: " VF_1 " is taken away with all virtual functions of " PF
				     ": its sriov_numvfs was set to 0, or its driver goes; the kernel waits until "
				     "lease 1 has closed its descriptors\n");
	/* Once. */
	fake_sysfs_set_driver(rig->sysfs, VF_1, NULL);
	broker_device_changed(rig->broker, VF_1);
	assert_int_equal(strlen(message), strchr(message, '\n') + 1 - message);
	rig->on_event = NULL;
	ends(rig, alice);
}

/* ---- without memory ---- */

static void judging_a_parent_without_memory_leaves_nothing_behind(void **state)
{
	struct rig *rig = *state;
	const char *devices[] = { PF, NULL };
	bool failed = true;

	add_virtual_functions(rig, NULL);
	for (unsigned int n = 1; failed; n++) {
		struct judgement judgement = { .identity = &rig->alice, .devices = devices };
		int r;

		fail_alloc_begin(n);
		r = judge(rig->broker, &judgement);
		failed = fail_alloc_end();
		if (failed && r < 0)
			assert_int_equal(r, -ENOMEM);
		else
			assert_int_equal(judgement.refusal.kind, REFUSAL_NOT_VIABLE);
		refusal_clear(&judgement.refusal);
	}
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(a_parent_with_children_is_blocked_with_the_way_out),
		CASE(children_that_went_are_in_nobodys_way),
		CASE(children_of_a_parent_on_the_host_go_to_anybody),
		CASE(a_parent_is_busy_while_a_child_is_leased),
		CASE(children_of_a_leased_parent_go_to_its_user_only),
		CASE(a_parent_that_is_given_back_takes_its_children_along),
		CASE(children_of_a_parent_that_nobody_has_leased_are_refused),
		CASE(a_bystander_with_children_is_not_parked),
		CASE(who_gets_a_parent_is_judged_again_before_it_is_handed_out),
		CASE(a_parent_and_its_children_share_a_token),
		CASE(the_opener_is_shown_the_token),
		CASE(the_verdict_on_the_parent_follows_its_children),
		CASE(a_child_that_appears_is_told_whose_it_is),
		CASE(a_leased_child_that_its_parent_takes_back_is_told),
		CASE(judging_a_parent_without_memory_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
