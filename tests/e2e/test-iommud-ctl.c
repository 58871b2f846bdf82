/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * iommuctl against the real daemons: what an administrator and a user see and do. Its outputs and exit codes in all
 * detail are in test-iommuctl.sh, against a scripted server.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "iommud-harness.h"
#include "util/cleanup.h"

#define EXIT_DENIED 3
#define EXIT_BUSY 4
#define EXIT_NOT_VIABLE 5

static void assert_contains(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in\n%s", part, text);
}

/* Runs iommuctl with up to six arguments, and compares exit status and a part of the output (NULL: any). */
static void ctl(struct machine *machine, uid_t uid, int status, const char *part, const char *const arguments[7])
{
	_cleanup_free_ char *output = NULL;
	int r = machine_run(machine, uid, &output, "iommuctl", arguments[0], arguments[1], arguments[2], arguments[3],
			    arguments[4], arguments[5], arguments[6], NULL);

	if (r != status)
		fail_msg("iommuctl %s: exit status %d, not %d:\n%s", arguments[0], r, status, output);
	if (part)
		assert_contains(output, part);
}

#define CTL(uid, status, part, ...) ctl(machine, uid, status, part, (const char *const[7]){ __VA_ARGS__ })

static void lists_what_there_is(void **state)
{
	struct machine *machine = *state;

	machine_start(machine);
	CTL(ALICE, 0, NIC "  1      e1000e", "list");
	CTL(0, 0, FORBIDDEN, "list", "--json=short");
	CTL(0, 0, "nvme", "groups");
	CTL(ALICE, 0, "Group: 6", "describe", TWIN_A);
	CTL(ALICE, 1, "no device " SPARE, "describe", SPARE);
	CTL(ALICE, 0, NULL, "status");
}

static void explains_before_anything_is_done(void **state)
{
	struct machine *machine = *state;

	machine_start(machine);
	CTL(ALICE, 0, "unbound from e1000e", "explain", NIC);
	CTL(ALICE, 0, "Answer: refused", "explain", CROWD_A);
	CTL(0, 0, "10-test.policy:1", "explain", FORBIDDEN, "--as=nobody");
	CTL(ALICE, EXIT_DENIED, "only root", "explain", NIC, "--as=nobody");
	/* For each rule before the one that decides, why it did not; what it says of others is for root. */
	CTL(0, 0, "Passed over: ", "explain", NIC, "--as=4242");
	CTL(0, 0, "User=", "explain", NIC, "--as=4242:5@u:r:t:s0");
	CTL(BOB, 0, "): another ", "explain", NIC);
	CTL(BOB, 0, "\"wanted\":null", "explain", NIC, "--json=short");
	assert_int_equal(fuse_sysfs_writes(machine->sysfs), 0);
}

static void exit_codes_say_why_not(void **state)
{
	struct machine *machine = *state;
	struct varlink_client bob;

	machine_start(machine);
	bob = machine_connect(machine, BOB);
	machine_take(&bob, ONE(NIC));
	CTL(ALICE, EXIT_DENIED, "10-test.policy:1", "run", FORBIDDEN, "--", "true");
	CTL(ALICE, EXIT_BUSY, "another user", "run", NIC, "--", "true");
	CTL(ALICE, EXIT_NOT_VIABLE, CROWD_B " is bound to nvme", "run", CROWD_A, "--", "true");
	varlink_client_close(&bob);
}

/* The command has the descriptors under the numbers that it was told, and the device is back when it has ended. */
static void run_gives_a_command_the_descriptors(void **state)
{
	struct machine *machine = *state;
	_cleanup_free_ char *before = NULL, *output = NULL;

	machine_start(machine);
	before = fuse_sysfs_describe(machine->sysfs);
	assert_int_equal(machine_run(machine, ALICE, &output, "iommuctl", "run", NIC, DISK, "--", "sh", "-c",
				     "cd /proc/self/fd && stat -Lc %t:%T $0 $1 $2; id -u; exit 42", "{iommu}",
				     "{device:0}", "{device:1}", NULL),
			 42);
	assert_string_equal(output, "1:3\n1:5\n1:7\n1000\n");
	machine_expect_event(machine, "leaseReleased");
	machine_assert_tree(machine, before);
}

static void run_gives_back_when_the_command_can_not_start(void **state)
{
	struct machine *machine = *state;

	machine_start(machine);
	CTL(ALICE, 127, "No such file", "run", NIC, "--", "/no/such/program");
	machine_expect_event(machine, "leaseReleased");
	machine_assert_tree(machine, NIC " driver=e1000e override=\n");
}

/* Standard input is at its end here. */
static void acquire_prints_the_lease_and_gives_it_back(void **state)
{
	struct machine *machine = *state;

	machine_start(machine);
	CTL(ALICE, 0, "iommufd", "acquire", NIC);
	machine_expect_event(machine, "leaseReleased");
	CTL(ALICE, EXIT_DENIED, "--yes", "acquire", TWIN_A);
	CTL(ALICE, 0, "blue", "acquire", TWIN_A, "--yes");
	machine_expect_event(machine, "leaseReleased");
	machine_assert_tree(machine, TWIN_A " driver=e1000e override=\n" TWIN_B " driver=mlx5_vfio_pci override=\n");
}

static void status_shows_leases_to_their_user_and_to_root(void **state)
{
	struct machine *machine = *state;
	_cleanup_free_ char *output = NULL;
	struct varlink_client bob;

	machine_start(machine);
	bob = machine_connect(machine, BOB);
	machine_take(&bob, ONE(SPARE));
	CTL(BOB, 0, SPARE, "status");
	CTL(0, 0, SPARE, "status");
	assert_int_equal(machine_run(machine, ALICE, &output, "iommuctl", "status", NULL), 0);
	assert_null(strstr(output, SPARE));
	varlink_client_close(&bob);
}

static void says_that_there_is_no_daemon(void **state)
{
	struct machine *machine = *state;

	machine_start(machine);
	machine_stop_iommud(machine);
	CTL(ALICE, 1, "refused", "list");
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
		TEST(lists_what_there_is),
		TEST(explains_before_anything_is_done),
		TEST(exit_codes_say_why_not),
		TEST(run_gives_a_command_the_descriptors),
		TEST(run_gives_back_when_the_command_can_not_start),
		TEST(acquire_prints_the_lease_and_gives_it_back),
		TEST(status_shows_leases_to_their_user_and_to_root),
		TEST(says_that_there_is_no_daemon),
	};

	return cmocka_run_group_tests_name("iommud-ctl", tests, NULL, NULL);
}
