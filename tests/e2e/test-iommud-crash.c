/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Either daemon is killed, at rest and in the middle, and started again: every device goes back to where it was, or stays
 * with the client that has it, and everybody is served again.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "iommud-harness.h"
#include "util/cleanup.h"

static void assert_unchanged(struct machine *machine, const char *before)
{
	_cleanup_free_ char *now = fuse_sysfs_describe(machine->sysfs);

	assert_string_equal(now, before);
}

/* Waits until nothing is out or on its way back. */
static void await_no_lease(struct machine *machine)
{
	struct varlink_client root = machine_connect(machine, 0);
	bool some = true;

	while (some) {
		struct varlink_reply reply;

		assert_int_equal(varlink_client_call(&root, "io.iommud.ListLeases", NULL, "\"more\":true", &reply), 0);
		some = reply.continues;
		varlink_reply_clear(&reply);
		if (!some)
			break;
		while (varlink_client_receive(&root, &reply) == 0 && reply.continues)
			varlink_reply_clear(&reply);
		varlink_reply_clear(&reply);
		machine_expect_event(machine, "leaseReleased");
	}
	varlink_client_close(&root);
}

/*
 * Bob takes and gives back what was put back already; the daemons may not have noticed yet. No event tells of the end of the
 * helper's own undo, but both answer quickly.
 */
static void take_when_free(struct machine *machine, const char *request)
{
	struct varlink_client bob = machine_connect(machine, BOB);
	time_t until = time(NULL) + MACHINE_WAIT;
	bool busy = true;

	while (busy) {
		struct varlink_reply reply = machine_call(&bob, "Acquire", request);

		busy = reply.error && strcmp(reply.error, "io.iommud.DeviceBusy") == 0;
		if ((reply.error && !busy) || time(NULL) > until)
			fail_msg("%s: %s", request, json_object_to_json_string(reply.message));
		if (!busy)
			machine_release(&bob, varlink_reply_int(&reply, "lease"));
		varlink_reply_clear(&reply);
	}
	varlink_client_close(&bob);
	await_no_lease(machine);
}

/* ---- iommud ---- */

static void a_restarted_iommud_puts_back_what_was_out(void **state)
{
	struct machine *machine = *state;
	_cleanup_free_ char *before = NULL;
	struct varlink_client alice;

	machine_start(machine);
	before = fuse_sysfs_describe(machine->sysfs);
	alice = machine_connect(machine, ALICE);
	machine_take(&alice, TWO(NIC, BARE));
	machine_take(&alice, ONE(IDLE));
	machine_kill_iommud(machine);
	assert_int_equal(varlink_client_await_close(&alice), 0);
	varlink_client_close(&alice);
	machine_assert_tree(machine, NIC " driver=vfio-pci ");
	machine_start_iommud(machine);
	machine_wait_log(machine, NIC " was moved for a client of a former iommud: it is put back");
	machine_wait_log(machine, BARE " was moved for a client of a former iommud: it is put back");
	machine_wait_log(machine, IDLE " was moved for a client of a former iommud: it is put back");
	machine_wait_tree(machine, before);
	machine_serves(machine, BOB, DISK);
	take_when_free(machine, TWO(NIC, BARE));
	take_when_free(machine, ONE(IDLE)); /* its way back is not seen in the tree */
	assert_unchanged(machine, before);
}

/* The client has descriptors still: the kernel does not unbind, and nobody else gets the device. */
static void a_restarted_iommud_does_not_give_away_what_is_still_held(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice, bob;

	machine->config = "[Timeouts]\nLingerAfterSec=0\n";
	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	machine_take(&alice, ONE(NIC));
	fuse_sysfs_hold(machine->sysfs, NIC);
	machine_kill_iommud(machine);
	machine_start_iommud(machine);
	machine_wait_log(machine, "lease 1 of uid -1 is over, but descriptors of its devices are still out");
	bob = machine_connect(machine, BOB);
	machine_expect_refusal(&bob, "Acquire", ONE(NIC), "DeviceBusy", "a client of a former iommud");
	machine_serves(machine, BOB, IDLE);
	fuse_sysfs_let_go(machine->sysfs, NIC);
	machine_expect_event(machine, "leaseReleased");
	machine_assert_tree(machine, NIC " driver=e1000e override=\n");
	machine_take(&bob, ONE(NIC));
	varlink_client_close(&alice);
	varlink_client_close(&bob);
}

/* Two devices of one group were out, and one of them still is: the group is nobody else's. Each is a lease by now. */
static void keep_group(struct machine *machine, const char *held)
{
	static const char rules[] =
		"[Match]\nAddress=" TWIN_A " " TWIN_B "\n[Client]\nUser=*\n[Grant]\nAction=allow\nGroupScope=whole\n";
	struct varlink_client alice, bob;

	machine->rules = rules;
	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	machine_take(&alice, TWO(TWIN_A, TWIN_B));
	fuse_sysfs_hold(machine->sysfs, held);
	machine_kill_iommud(machine);
	machine_start_iommud(machine);
	machine_wait_log(machine, "of uid -1 ended, its devices are free"); /* the other one */
	bob = machine_connect(machine, BOB);
	machine_expect_refusal(&bob, "Acquire", TWO(TWIN_A, TWIN_B), "DeviceBusy", "former iommud");
	fuse_sysfs_let_go(machine->sysfs, held);
	await_no_lease(machine);
	machine_assert_tree(machine, TWIN_A " driver=e1000e override=\n" TWIN_B " driver=mlx5_vfio_pci override=\n");
	machine_take(&bob, TWO(TWIN_A, TWIN_B));
	varlink_client_close(&alice);
	varlink_client_close(&bob);
}

static void a_restarted_iommud_keeps_a_group_until_its_first_device_is_back(void **state)
{
	keep_group(*state, TWIN_A);
}

static void a_restarted_iommud_keeps_a_group_until_its_second_device_is_back(void **state)
{
	keep_group(*state, TWIN_B);
}

/* Killed while the helper is at work for it: what the helper had begun is undone. */
static void an_iommud_that_is_killed_in_the_middle_of_a_prepare_leaves_nothing(void **state)
{
	struct machine *machine = *state;
	_cleanup_free_ char *before = NULL;
	struct varlink_client alice;

	machine_start(machine);
	before = fuse_sysfs_describe(machine->sysfs);
	alice = machine_connect(machine, ALICE);
	fuse_sysfs_hold(machine->sysfs, NIC);
	assert_int_equal(varlink_client_send_call(&alice, "io.iommud.Acquire", ONE(NIC), NULL), 0);
	assert_true(fuse_sysfs_wait_blocked(machine->sysfs, NIC, MACHINE_WAIT));
	machine_kill_iommud(machine);
	varlink_client_close(&alice);
	machine_start_iommud(machine);
	fuse_sysfs_let_go(machine->sysfs, NIC);
	machine_wait_tree(machine, before);
	machine_serves(machine, BOB, DISK);
}

/* `systemctl restart`, in order: the same as a crash, but for the exit status. */
static void an_iommud_that_is_stopped_and_started_puts_back_as_well(void **state)
{
	struct machine *machine = *state;
	_cleanup_free_ char *before = NULL;
	struct varlink_client alice;

	machine_start(machine);
	before = fuse_sysfs_describe(machine->sysfs);
	alice = machine_connect(machine, ALICE);
	machine_take(&alice, ONE(DISK));
	machine_stop_iommud(machine);
	varlink_client_close(&alice);
	machine_start_iommud(machine);
	machine_wait_tree(machine, before);
	machine_serves(machine, BOB, NIC);
}

/* ---- the helper ---- */

static void a_lease_outlives_the_helper_and_is_put_back_by_the_next(void **state)
{
	struct machine *machine = *state;
	_cleanup_free_ char *before = NULL;
	struct varlink_client alice;
	long long lease;

	machine_start(machine);
	before = fuse_sysfs_describe(machine->sysfs);
	alice = machine_connect(machine, ALICE);
	lease = machine_take(&alice, TWO(NIC, BARE));
	machine_kill_helper(machine);
	machine_wait_log(machine, "iommud-helper is gone; leases stay as they are");
	machine_start_helper(machine);
	machine_release(&alice, lease);
	machine_expect_event(machine, "leaseReleased");
	assert_unchanged(machine, before);
	machine_release(&alice, machine_take(&alice, ONE(NIC)));
	machine_expect_event(machine, "leaseReleased");
	varlink_client_close(&alice);
}

/* Released while there is no helper: it is done when there is one. */
static void a_release_waits_for_the_helper(void **state)
{
	struct machine *machine = *state;
	_cleanup_free_ char *before = NULL;
	struct varlink_client alice, bob;

	machine_start(machine);
	before = fuse_sysfs_describe(machine->sysfs);
	alice = machine_connect(machine, ALICE);
	bob = machine_connect(machine, BOB);
	machine_take(&alice, ONE(NIC));
	machine_kill_helper(machine);
	varlink_client_close(&alice);
	machine_expect_refusal(&bob, "Acquire", ONE(DISK), "PrepareFailed", "iommud-helper");
	machine_expect_refusal(&bob, "Acquire", ONE(NIC), "DeviceBusy", NULL);
	machine_assert_tree(machine, NIC " driver=vfio-pci ");
	machine_start_helper(machine);
	machine_wait_tree(machine, before);
	machine_take(&bob, ONE(DISK));
	varlink_client_close(&bob);
}

static void a_client_is_told_that_the_helper_died_in_the_middle_of_its_prepare(void **state)
{
	struct machine *machine = *state;
	_cleanup_free_ char *before = NULL;
	struct varlink_client alice;
	struct varlink_reply reply;

	machine_start(machine);
	before = fuse_sysfs_describe(machine->sysfs);
	alice = machine_connect(machine, ALICE);
	fuse_sysfs_hold(machine->sysfs, NIC);
	assert_int_equal(varlink_client_send_call(&alice, "io.iommud.Acquire", ONE(NIC), NULL), 0);
	assert_true(fuse_sysfs_wait_blocked(machine->sysfs, NIC, MACHINE_WAIT));
	assert_int_equal(kill(-machine->helper, SIGKILL), 0);
	fuse_sysfs_let_go(machine->sysfs, NIC); /* a worker in the kernel dies only now */
	machine_kill_helper(machine);
	assert_int_equal(varlink_client_receive(&alice, &reply), 0);
	assert_string_equal(reply.error, "io.iommud.PrepareFailed");
	assert_non_null(strstr(machine_text(&reply, "message"), "iommud-helper went away"));
	assert_string_equal(machine_text(&reply, "device"), NIC);
	assert_string_equal(machine_text(&reply, "step"), "helper");
	varlink_reply_clear(&reply);
	machine_start_helper(machine);
	machine_wait_tree(machine, before);
	machine_serves(machine, BOB, DISK);
	varlink_client_close(&alice);
}

#define N_WRITES 8 /* override, unbind, reset, bind; unbind, override, bind, override */

struct killer {
	struct machine *machine;
	size_t number;
	bool struck;
};

static int kill_helper(void *userdata, const struct fuse_sysfs_write *write)
{
	struct killer *killer = userdata;

	if (write->number == killer->number && write->after) {
		killer->struck = true;
		kill(-killer->machine->helper, SIGKILL);
	}
	return machine_hook(killer->machine, write);
}

/* False: there is no such write, so the helper lived. */
static bool die_once(struct machine *machine, size_t number, const char *before)
{
	struct killer killer = { .machine = machine, .number = number };
	struct varlink_client alice = machine_connect(machine, ALICE);
	struct varlink_reply reply;

	fuse_sysfs_set_hook(machine->sysfs, kill_helper, &killer);
	reply = machine_call(&alice, "Acquire", ONE(NIC));
	if (reply.error)
		assert_string_equal(reply.error, "io.iommud.PrepareFailed");
	varlink_reply_clear(&reply);
	varlink_client_close(&alice);
	if (number > N_WRITES) {
		await_no_lease(machine);
	} else {
		while (waitpid(-machine->helper, NULL, 0) > 0)
			;
		machine_start_helper(machine);
		machine_wait_tree(machine, before);
	}
	fuse_sysfs_set_hook(machine->sysfs, machine_hook, machine);
	take_when_free(machine, ONE(NIC));
	assert_unchanged(machine, before);
	return killer.struck;
}

static void wherever_the_helper_dies_the_device_comes_back(void **state)
{
	struct machine *machine = *state;
	_cleanup_free_ char *before = NULL;

	machine_start(machine);
	before = fuse_sysfs_describe(machine->sysfs);
	for (size_t number = 1; number <= N_WRITES; number++)
		assert_true(die_once(machine, number, before));
	assert_false(die_once(machine, N_WRITES + 1, before));
}

static void both_are_killed_and_started_again(void **state)
{
	struct machine *machine = *state;
	_cleanup_free_ char *before = NULL;
	struct varlink_client alice;

	machine_start(machine);
	before = fuse_sysfs_describe(machine->sysfs);
	alice = machine_connect(machine, ALICE);
	machine_take(&alice, ONE(NIC));
	machine_kill_iommud(machine);
	machine_kill_helper(machine);
	varlink_client_close(&alice);
	machine_start_helper(machine);
	machine_start_iommud(machine);
	machine_wait_tree(machine, before);
	machine_serves(machine, BOB, DISK);
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
		TEST(a_restarted_iommud_puts_back_what_was_out),
		TEST(a_restarted_iommud_does_not_give_away_what_is_still_held),
		TEST(a_restarted_iommud_keeps_a_group_until_its_first_device_is_back),
		TEST(a_restarted_iommud_keeps_a_group_until_its_second_device_is_back),
		TEST(an_iommud_that_is_killed_in_the_middle_of_a_prepare_leaves_nothing),
		TEST(an_iommud_that_is_stopped_and_started_puts_back_as_well),
		TEST(a_lease_outlives_the_helper_and_is_put_back_by_the_next),
		TEST(a_release_waits_for_the_helper),
		TEST(a_client_is_told_that_the_helper_died_in_the_middle_of_its_prepare),
		TEST(wherever_the_helper_dies_the_device_comes_back),
		TEST(both_are_killed_and_started_again),
	};

	return cmocka_run_group_tests_name("iommud-crash", tests, NULL, NULL);
}
