/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the real daemons refuse, to whom, and in which words: each error carries what the client needs to act. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cmocka.h>

#include "iommud-harness.h"
#include "util/cleanup.h"

static long long number(const struct varlink_reply *reply, const char *path)
{
	json_object *value = machine_get(reply, path);

	return json_object_is_type(value, json_type_int) ? json_object_get_int64(value) : -1;
}

/* ---- policy ---- */

static void names_file_and_line_of_the_rule_that_denies(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice;
	struct varlink_reply reply;
	char file[128];

	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	reply = machine_refused(&alice, "Acquire", ONE(FORBIDDEN), "DeniedByPolicy", "10-test.policy:1");
	snprintf(file, sizeof(file), "%s/policy/10-test.policy", machine->dir);
	assert_string_equal(machine_text(&reply, "file"), file);
	assert_int_equal(number(&reply, "line"), 1);
	assert_string_equal(machine_text(&reply, "device"), FORBIDDEN);
	varlink_reply_clear(&reply);
	varlink_client_close(&alice);
}

static void denies_what_no_rule_fits_to_root_as_well(void **state)
{
	static const uid_t uids[] = { ALICE, 0, 1002, BROKER_UID };
	struct machine *machine = *state;
	struct varlink_reply reply;

	machine_start(machine);
	for (size_t i = 0; i < ARRAY_SIZE(uids); i++) {
		struct varlink_client client = machine_connect(machine, uids[i]);

		reply = machine_refused(&client, "Acquire", ONE(UNKNOWN), "DeniedByPolicy", NULL);
		assert_null(machine_get(&reply, "file"));
		assert_null(machine_get(&reply, "line"));
		varlink_reply_clear(&reply);
		machine_expect_refusal(&client, "Acquire", ONE(SPARE), "DeniedByPolicy", NULL);
		varlink_client_close(&client);
	}
	machine_serves(machine, BOB, SPARE);
}

/* One device that is denied: none of the request is touched. */
static void refuses_a_request_as_a_whole(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice;

	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	machine_expect_refusal(&alice, "Acquire", TWO(NIC, SPARE), "DeniedByPolicy", SPARE);
	assert_int_equal(fuse_sysfs_writes(machine->sysfs), 0);
	machine_take(&alice, ONE(NIC));
	varlink_client_close(&alice);
}

/* ---- groups ---- */

static void names_device_driver_and_remedy_of_a_group_that_is_not_viable(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice;
	struct varlink_reply reply;

	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	reply = machine_refused(&alice, "Acquire", ONE(CROWD_A), "GroupNotViable", CROWD_B " is bound to nvme");
	assert_int_equal(number(&reply, "group"), 7);
	assert_int_equal(json_object_array_length(machine_get(&reply, "blockers")), 1);
	assert_string_equal(machine_text(&reply, "blockers.0.kind"), "foreignDriver");
	assert_string_equal(machine_text(&reply, "blockers.0.device"), CROWD_B);
	assert_string_equal(machine_text(&reply, "blockers.0.driver"), "nvme");
	assert_non_null(strstr(machine_text(&reply, "blockers.0.remedy"),
			       "echo " CROWD_B " >/sys/bus/pci/drivers/nvme/unbind"));
	varlink_reply_clear(&reply);
	/* The admin does as told; no event says so here, and none is needed. */
	fuse_sysfs_set_driver(machine->sysfs, CROWD_B, NULL);
	machine_expect_refusal(&alice, "Acquire", ONE(CROWD_A), "ConsentRequired", NULL);
	varlink_client_close(&alice);
}

static void asks_for_consent_to_bystanders_and_takes_the_token(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice;
	struct varlink_reply refusal, explanation;
	char parameters[256];

	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	refusal = machine_refused(&alice, "Acquire", ONE(TWIN_A), "ConsentRequired", "1 more member");
	assert_int_equal(json_object_array_length(machine_get(&refusal, "bystanders")), 1);
	assert_string_equal(machine_text(&refusal, "bystanders.0.device"), TWIN_B);
	assert_string_equal(machine_text(&refusal, "bystanders.0.vendorDevice"), "8086:0006");
	explanation = machine_call(&alice, "Explain", OF(TWIN_A));
	assert_string_equal(machine_text(&explanation, "allowed"), "true");
	assert_string_equal(machine_text(&explanation, "token"), machine_text(&refusal, "token"));
	machine_expect_refusal(&alice, "Acquire", "{\"devices\":[\"" TWIN_A "\"],\"consent\":\"00ff\"}",
			       "ConsentRequired", NULL);
	assert_int_equal(fuse_sysfs_writes(machine->sysfs), 0);
	snprintf(parameters, sizeof(parameters), "{\"devices\":[\"%s\"],\"consent\":\"%s\"}", TWIN_A,
		 machine_text(&refusal, "token"));
	machine_take(&alice, parameters);
	machine_assert_tree(machine,
			    TWIN_A " driver=vfio-pci override=vfio-pci\n" TWIN_B " driver=mlx5_vfio_pci override=\n");
	varlink_reply_clear(&refusal);
	varlink_reply_clear(&explanation);
	varlink_client_close(&alice);
}

/* Who names all members leaves no bystander. */
static void asks_for_no_consent_for_a_whole_group(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice;

	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	machine_release(&alice, machine_take(&alice, TWO(TWIN_A, TWIN_B)));
	machine_expect_event(machine, "leaseReleased");
	machine_assert_tree(machine, TWIN_A " driver=e1000e override=\n" TWIN_B " driver=mlx5_vfio_pci override=\n");
	varlink_client_close(&alice);
}

static void two_labels_do_not_meet_in_a_group(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice, bob;
	struct varlink_reply reply;
	long long lease;

	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	bob = machine_connect(machine, BOB);
	reply = machine_acquire(&alice, TWO(TWIN_A, TWIN_B));
	lease = varlink_reply_int(&reply, "lease");
	assert_string_equal(machine_text(&reply, "label"), "blue");
	varlink_reply_clear(&reply);
	reply = machine_refused(&bob, "Acquire", TWO(TWIN_A, TWIN_B), "LabelMismatch", "group 6 carries");
	assert_string_equal(machine_text(&reply, "label"), "blue");
	assert_string_equal(machine_text(&reply, "otherLabel"), "red");
	varlink_reply_clear(&reply);
	reply = machine_await(machine, "labelRefused");
	assert_int_equal(number(&reply, "uid"), BOB);
	varlink_reply_clear(&reply);
	machine_release(&alice, lease);
	machine_expect_event(machine, "leaseReleased");
	reply = machine_acquire(&bob, TWO(TWIN_A, TWIN_B));
	assert_string_equal(machine_text(&reply, "label"), "red");
	varlink_reply_clear(&reply);
	varlink_client_close(&alice);
	varlink_client_close(&bob);
}

/* ---- who else has it ---- */

static void names_the_holder_to_its_own_user_only(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice, again, bob;
	struct varlink_reply reply;

	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	again = machine_connect(machine, ALICE);
	bob = machine_connect(machine, BOB);
	machine_take(&alice, ONE(NIC));
	reply = machine_refused(&again, "Acquire", ONE(NIC), "DeviceBusy", "of uid 1000");
	assert_string_equal(machine_text(&reply, "state"), "active");
	assert_int_equal(number(&reply, "group"), 1);
	assert_non_null(strstr(machine_text(&reply, "holders.0"), "pid "));
	varlink_reply_clear(&reply);
	reply = machine_refused(&bob, "Acquire", ONE(NIC), "DeviceBusy", "another user");
	assert_null(strstr(json_object_to_json_string(reply.message), "1000"));
	varlink_reply_clear(&reply);
	varlink_client_close(&alice);
	varlink_client_close(&again);
	varlink_client_close(&bob);
}

static void nobody_releases_what_is_not_theirs(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice, bob, root;
	char parameters[64];
	long long lease;

	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	bob = machine_connect(machine, BOB);
	root = machine_connect(machine, 0);
	lease = machine_take(&alice, ONE(NIC));
	snprintf(parameters, sizeof(parameters), "{\"lease\":%lld}", lease);
	machine_expect_refusal(&bob, "Release", parameters, "NoSuchLease", "is yours");
	machine_expect_refusal(&bob, "Release", "{\"lease\":4711}", "NoSuchLease", NULL);
	machine_assert_tree(machine, NIC " driver=vfio-pci ");
	machine_release(&root, lease);
	machine_expect_event(machine, "leaseReleased");
	machine_expect_refusal(&alice, "Release", parameters, "NoSuchLease", NULL);
	varlink_client_close(&alice);
	varlink_client_close(&bob);
	varlink_client_close(&root);
}

static void counts_the_leases_of_each_user(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice, again;
	struct varlink_reply reply;
	long long lease;

	machine->config = "[Limits]\nMaxLeasesPerUser=2\n";
	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	again = machine_connect(machine, ALICE);
	lease = machine_take(&alice, ONE(NIC));
	machine_take(&again, ONE(DISK));
	reply = machine_refused(&again, "Acquire", ONE(BARE), "QuotaExceeded", "MaxLeasesPerUser=");
	assert_string_equal(machine_text(&reply, "quota"), "leases");
	assert_int_equal(number(&reply, "limit"), 2);
	varlink_reply_clear(&reply);
	machine_serves(machine, BOB, BARE);
	machine_release(&alice, lease);
	machine_expect_event(machine, "leaseReleased");
	machine_take(&again, ONE(BARE));
	varlink_client_close(&alice);
	varlink_client_close(&again);
}

static void counts_the_connections_of_each_user(void **state)
{
	struct machine *machine = *state;
	struct varlink_client first, second;
	struct varlink_reply reply;

	machine->config = "[Limits]\nMaxConnectionsPerUser=1\n";
	machine_start(machine);
	first = machine_connect(machine, ALICE);
	machine_take(&first, ONE(DISK));
	second = machine_connect(machine, ALICE);
	assert_int_equal(varlink_client_receive(&second, &reply), 0);
	assert_string_equal(reply.error, "io.iommud.QuotaExceeded");
	varlink_reply_clear(&reply);
	assert_int_equal(varlink_client_await_close(&second), 0);
	machine_serves(machine, BOB, NIC);
	varlink_client_close(&first);
	varlink_client_close(&second);
}

/* ---- what is not there ---- */

static void says_that_there_is_no_such_device(void **state)
{
	static const char *const parameters[] = { OF(LOOSE), OF("0000:00:1f.0"), OF("../../etc/passwd"), OF(""),
						  OF("NIC") };
	static const char *const requests[] = { ONE(LOOSE), ONE("0000:00:1f.0"), ONE("../../etc/passwd"), ONE(""),
						TWO(NIC, "0000:00:1f.0") };
	struct machine *machine = *state;
	struct varlink_client alice;

	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		machine_expect_refusal(&alice, "Acquire", requests[i], "NoSuchDevice", "iommuctl list");
		machine_expect_refusal(&alice, "Describe", parameters[i], "NoSuchDevice", "iommuctl list");
		machine_expect_refusal(&alice, "Explain", parameters[i], "NoSuchDevice", "iommuctl list");
	}
	/* And a request names some, and each once. */
	machine_expect_refusal(&alice, "Acquire", "{\"devices\":[]}", "org.varlink.service.InvalidParameter", NULL);
	machine_expect_refusal(&alice, "Acquire", TWO(NIC, NIC), "QuotaExceeded", "different");
	varlink_client_close(&alice);
}

static void a_device_that_was_pulled_out_is_not_there(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice;

	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	fuse_sysfs_remove_device(machine->sysfs, NIC);
	machine_expect_refusal(&alice, "Acquire", ONE(NIC), "NoSuchDevice", NULL);
	machine_expect_event(machine, "deviceRemoved");
	varlink_client_close(&alice);
}

static void says_which_backend_is_missing(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice;
	struct varlink_reply reply;

	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	reply = machine_refused(&alice, "Acquire", "{\"devices\":[\"" NIC "\"],\"backend\":\"legacy\"}",
				"BackendUnavailable", "/dev/vfio/vfio");
	assert_string_equal(machine_text(&reply, "backend"), "legacy");
	varlink_reply_clear(&reply);
	machine_expect_refusal(&alice, "Acquire", "{\"devices\":[\"" NIC "\"],\"backend\":\"magic\"}",
			       "BackendUnavailable", "auto, iommufd and legacy");
	assert_int_equal(fuse_sysfs_writes(machine->sysfs), 0);
	machine_take(&alice, "{\"devices\":[\"" NIC "\"],\"backend\":\"auto\"}");
	varlink_client_close(&alice);
}

/* A container that is none: the opener, on its thread, finds out after the device was moved. */
static void a_legacy_backend_that_does_not_work_is_undone(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice;
	char path[128];

	machine_start(machine);
	snprintf(path, sizeof(path), "%s/dev/vfio/vfio", machine->dir);
	assert_int_equal(mknod(path, S_IFCHR, makedev(1, 3)), 0);
	assert_int_equal(chmod(path, 0666), 0);
	alice = machine_connect(machine, ALICE);
	machine_expect_refusal(&alice, "Acquire", "{\"devices\":[\"" NIC "\"],\"backend\":\"legacy\"}",
			       "BackendUnavailable", "vfio_iommu_type1");
	machine_expect_event(machine, "leaseReleased");
	machine_assert_tree(machine, NIC " driver=e1000e override=\n");
	varlink_client_close(&alice);
}

static int set_up(void **state)
{
	static struct machine machine;

	machine = (struct machine){ 0 };
	*state = &machine;
	return 0;
}

static int tear_down(void **state)
{
	machine_stop(*state);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(names_file_and_line_of_the_rule_that_denies),
		TEST(denies_what_no_rule_fits_to_root_as_well),
		TEST(refuses_a_request_as_a_whole),
		TEST(names_device_driver_and_remedy_of_a_group_that_is_not_viable),
		TEST(asks_for_consent_to_bystanders_and_takes_the_token),
		TEST(asks_for_no_consent_for_a_whole_group),
		TEST(two_labels_do_not_meet_in_a_group),
		TEST(names_the_holder_to_its_own_user_only),
		TEST(nobody_releases_what_is_not_theirs),
		TEST(counts_the_leases_of_each_user),
		TEST(counts_the_connections_of_each_user),
		TEST(says_that_there_is_no_such_device),
		TEST(a_device_that_was_pulled_out_is_not_there),
		TEST(says_which_backend_is_missing),
		TEST(a_legacy_backend_that_does_not_work_is_undone),
	};

	return cmocka_run_group_tests_name("iommud-refuse", tests, NULL, NULL);
}
