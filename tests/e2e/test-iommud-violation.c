/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The group of a lease changes, and both daemons deal with it: members that get a driver or join are parked and put back at
 * the end, what is removed or asked for ends the lease. The daemons are the real ones; udev's events are sent by the test, in a
 * network namespace of its own, for the fake kernel makes none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "iommud-harness.h"
#include "udev-message.h"
#include "util/cleanup.h"

#define CROWD_C "0000:00:07.2" /* joins CROWD_A and CROWD_B */

#define RULE(grant) "[Match]\nAddress=" CROWD_A "\n[Client]\nUser=1000\n[Grant]\nAction=allow\nGroupScope=whole\n" grant

static int sender = -1;

static int enter(void **state)
{
	if (udev_message_enter_namespace() == 0)
		sender = udev_message_socket();
	return 0;
}

static int leave(void **state)
{
	sender = close_fd(sender);
	return 0;
}

static void tell(const char *address, const char *action)
{
	char path[96];
	const struct udev_message message = { .subsystem = "pci", .devpath = path, .action = action };

	snprintf(path, sizeof(path), "/devices/pci0000:00/%s", address);
	assert_int_equal(udev_message_send(sender, 0, &message), 0);
}

/* The first thing that the kernel takes away from a device that it wants back. */
static void tell_node_is_gone(const char *address)
{
	char path[96];
	const struct udev_message message = { .subsystem = "vfio-dev", .devpath = path, .action = "remove" };

	snprintf(path, sizeof(path), "/devices/pci0000:00/%s/vfio-dev/vfio7", address);
	assert_int_equal(udev_message_send(sender, 0, &message), 0);
}

static void add_device(struct machine *machine, const char *address, const char *driver)
{
	const struct fuse_sysfs_device device = {
		.address = address,
		.vendor = 0x8086,
		.device = 0x10d3,
		.subsystem_vendor = 0x1af4,
		.subsystem_device = 0x1100,
		.class = 0x020000,
		.group = 7,
		.driver = driver,
		.memory_minor = 8,
	};

	fuse_sysfs_add_device(machine->sysfs, &device);
}

/* Alice has CROWD_A by this rule, and CROWD_B has no driver. */
static struct varlink_client start(struct machine *machine, const char *rules, long long *ret_lease)
{
	struct varlink_client alice;
	struct varlink_reply reply;
	char request[160];

	if (sender < 0) {
		print_message("skipped: no network namespace of our own, or no uevents by netlink in it\n");
		skip();
	}
	machine->rules = rules;
	machine_start(machine);
	fuse_sysfs_set_driver(machine->sysfs, CROWD_B, NULL);
	tell(CROWD_B, "unbind");
	machine_expect_event(machine, "driverUnbound");
	alice = machine_connect(machine, ALICE);
	reply = machine_call(&alice, "Explain", OF(CROWD_A));
	snprintf(request, sizeof(request), "{\"devices\":[\"" CROWD_A "\"],\"consent\":\"%s\"}",
		 machine_text(&reply, "token"));
	varlink_reply_clear(&reply);
	*ret_lease = machine_take(&alice, request);
	return alice;
}

static void give_back(struct machine *machine, struct varlink_client *alice, long long lease)
{
	machine_release(alice, lease);
	machine_expect_event(machine, "leaseReleased");
	varlink_client_close(alice);
	machine_assert_tree(machine, CROWD_A " driver=e1000e override=\n");
}

static void an_intruder_is_parked_and_put_back(void **state)
{
	struct machine *machine = *state;
	long long lease;
	struct varlink_client alice = start(machine, RULE(""), &lease);
	struct varlink_reply event;

	fuse_sysfs_set_driver(machine->sysfs, CROWD_B, "nvme");
	tell(CROWD_B, "bind");
	event = machine_await(machine, "violation");
	assert_string_equal(machine_text(&event, "device"), CROWD_B);
	assert_string_equal(machine_text(&event, "driver"), "nvme");
	varlink_reply_clear(&event);
	machine_expect_event(machine, "memberParked");
	machine_expect_event(machine, "violationEnded");
	machine_assert_tree(machine, CROWD_B " driver=pci-stub override=pci-stub\n");
	/* And again, by the same transaction. */
	fuse_sysfs_set_driver(machine->sysfs, CROWD_B, "nvme");
	tell(CROWD_B, "bind");
	machine_expect_event(machine, "violationEnded");
	machine_assert_tree(machine, CROWD_B " driver=pci-stub override=pci-stub\n");
	give_back(machine, &alice, lease);
	machine_assert_tree(machine, CROWD_B " driver=nvme override=\n");
}

static void the_lease_says_why_it_is_violated(void **state)
{
	struct machine *machine = *state;
	long long lease;
	struct varlink_client alice = start(machine, RULE("OnViolation=log\n"), &lease);
	_cleanup_free_ char *output = NULL;

	fuse_sysfs_set_driver(machine->sysfs, CROWD_B, "nvme");
	tell(CROWD_B, "bind");
	machine_expect_event(machine, "violation");
	assert_int_equal(machine_run(machine, ALICE, &output, "iommuctl", "status", NULL), 0);
	assert_non_null(strstr(output, "violated"));
	assert_non_null(
		strstr(output, "is violated: group 7 is leased and not viable any more: " CROWD_B " is bound to nvme"));
	give_back(machine, &alice, lease);
	machine_assert_tree(machine, CROWD_B " driver=nvme override=\n");
}

static void a_joiner_is_parked_and_put_back(void **state)
{
	struct machine *machine = *state;
	long long lease;
	struct varlink_client alice = start(machine, RULE(""), &lease);
	struct varlink_reply event;

	add_device(machine, CROWD_C, "e1000e");
	tell(CROWD_C, "add");
	event = machine_await(machine, "lateJoiner");
	assert_string_equal(machine_text(&event, "device"), CROWD_C);
	assert_int_equal(varlink_reply_int(&event, "lease"), lease);
	varlink_reply_clear(&event);
	machine_expect_event(machine, "memberParked");
	machine_assert_tree(machine, CROWD_C " driver=pci-stub override=pci-stub\n");
	give_back(machine, &alice, lease);
	machine_assert_tree(machine, CROWD_C " driver=e1000e override=\n");
}

static void a_joiner_that_is_removed_again_holds_nothing_up(void **state)
{
	struct machine *machine = *state;
	long long lease;
	struct varlink_client alice = start(machine, RULE(""), &lease);

	for (int i = 0; i < 3; i++) {
		add_device(machine, CROWD_C, NULL);
		tell(CROWD_C, "add");
		machine_expect_event(machine, "memberParked");
		fuse_sysfs_remove_device(machine->sysfs, CROWD_C);
		tell(CROWD_C, "remove");
		machine_expect_event(machine, "deviceRemoved");
	}
	/* And once more while it is out. */
	add_device(machine, CROWD_C, NULL);
	tell(CROWD_C, "add");
	machine_expect_event(machine, "memberParked");
	fuse_sysfs_remove_device(machine->sysfs, CROWD_C);
	give_back(machine, &alice, lease);
}

static void whoever_is_killed_the_group_is_put_back(void **state)
{
	struct machine *machine = *state;
	long long lease;
	struct varlink_client alice = start(machine, RULE(""), &lease);

	add_device(machine, CROWD_C, NULL);
	tell(CROWD_C, "add");
	machine_expect_event(machine, "memberParked");
	machine_kill_helper(machine);
	machine_start_helper(machine);
	/* Found when the new helper is reached. */
	fuse_sysfs_set_driver(machine->sysfs, CROWD_B, "nvme");
	tell(CROWD_B, "bind");
	machine_expect_event(machine, "violation");
	machine_expect_event(machine, "violationEnded");
	machine_kill_iommud(machine);
	varlink_client_close(&alice);
	machine_start_iommud(machine);
	machine_wait_tree(machine, CROWD_A " driver=e1000e override=\n");
	machine_wait_tree(machine, CROWD_B " driver=nvme override=\n");
	machine_wait_tree(machine, CROWD_C " driver= override=\n");
}

static void what_the_kernel_asks_for_is_taken_back(void **state)
{
	struct machine *machine = *state;
	long long lease;
	struct varlink_client alice = start(machine, RULE(""), &lease);
	struct varlink_reply event;

	fuse_sysfs_set_driver(machine->sysfs, CROWD_A, NULL);
	tell_node_is_gone(CROWD_A);
	event = machine_await(machine, "deviceRequested");
	assert_string_equal(machine_text(&event, "device"), CROWD_A);
	varlink_reply_clear(&event);
	machine_expect_event(machine, "releaseRequested");
	machine_expect_event(machine, "leaseReleased");
	varlink_client_close(&alice);
}

static void a_device_that_is_removed_ends_its_lease(void **state)
{
	struct machine *machine = *state;
	long long lease;
	struct varlink_client alice = start(machine, RULE(""), &lease);

	fuse_sysfs_remove_device(machine->sysfs, CROWD_A);
	tell(CROWD_A, "remove");
	machine_expect_event(machine, "deviceLost");
	machine_expect_event(machine, "leaseReleased");
	/* What comes to its address is for whoever asks for it. */
	add_device(machine, CROWD_A, "e1000e");
	tell(CROWD_A, "add");
	machine_expect_event(machine, "deviceAdded");
	machine_assert_tree(machine, CROWD_A " driver=e1000e override=\n");
	varlink_client_close(&alice);
}

static int set_up(void **state)
{
	static struct machine machine;

	memset(&machine, 0, sizeof(machine));
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
		TEST(an_intruder_is_parked_and_put_back),      TEST(the_lease_says_why_it_is_violated),
		TEST(a_joiner_is_parked_and_put_back),         TEST(a_joiner_that_is_removed_again_holds_nothing_up),
		TEST(whoever_is_killed_the_group_is_put_back), TEST(what_the_kernel_asks_for_is_taken_back),
		TEST(a_device_that_is_removed_ends_its_lease),
	};

	return cmocka_run_group_tests_name("iommud-violation", tests, enter, leave);
}
