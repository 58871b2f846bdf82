/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A descriptor that stays out: the unbind of its device waits in the kernel, with the device's lock held. That lease
 * lingers, and nothing else notices; above all the daemon itself does not wait.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "iommud-harness.h"
#include "util/cleanup.h"

/* Alice's lease of the device, which is over but can't be unbound. */
static long long linger(struct machine *machine, struct varlink_client *alice, const char *request, const char *address)
{
	struct varlink_reply event;
	long long lease;

	machine->config = "[Timeouts]\nLingerAfterSec=0\n";
	machine_start(machine);
	*alice = machine_connect(machine, ALICE);
	lease = machine_take(alice, request);
	fuse_sysfs_hold(machine->sysfs, address);
	machine_release(alice, lease);
	assert_true(fuse_sysfs_wait_blocked(machine->sysfs, address, MACHINE_WAIT));
	event = machine_await(machine, "leaseLingering");
	assert_int_equal(varlink_reply_int(&event, "lease"), lease);
	assert_string_equal(machine_text(&event, "device"), address);
	varlink_reply_clear(&event);
	return lease;
}

static void a_lingering_device_is_busy_until_its_last_descriptor_is_closed(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice, bob;
	struct varlink_reply reply;
	long long lease = linger(machine, &alice, ONE(NIC), NIC);

	bob = machine_connect(machine, BOB);
	reply = machine_refused(&bob, "Acquire", ONE(NIC), "DeviceBusy", "lingering");
	assert_string_equal(machine_text(&reply, "state"), "lingering");
	varlink_reply_clear(&reply);
	machine_expect_refusal(&alice, "Acquire", ONE(NIC), "DeviceBusy", "lingering");
	fuse_sysfs_let_go(machine->sysfs, NIC);
	reply = machine_await(machine, "leaseReleased");
	assert_int_equal(varlink_reply_int(&reply, "lease"), lease);
	varlink_reply_clear(&reply);
	machine_assert_tree(machine, NIC " driver=e1000e override=\n");
	machine_take(&bob, ONE(NIC));
	varlink_client_close(&alice);
	varlink_client_close(&bob);
}

/* A process that has the stand-in for the device's node open, until its standard input ends. */
static pid_t keep_node(struct machine *machine, int *ret_hold)
{
	int pair[2], ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(pair[1]);
		prctl(PR_SET_NAME, "keeper");
		/* NIC's node has the number of /dev/zero. */
		if (open("/dev/zero", O_RDONLY) < 0 || write(ready[1], "", 1) != 1)
			_exit(1);
		_exit(read(pair[0], &byte, 1) < 0);
	}
	close(pair[0]);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	*ret_hold = pair[1];
	return pid;
}

static void the_process_that_keeps_a_device_is_named(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice, bob;
	struct varlink_reply reply;
	long long lease;
	char who[32];
	int hold = -1;
	pid_t pid;

	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	bob = machine_connect(machine, BOB);
	lease = machine_take(&alice, ONE(NIC));
	fuse_sysfs_hold(machine->sysfs, NIC);
	pid = keep_node(machine, &hold);
	snprintf(who, sizeof(who), "pid %d (keeper)", (int)pid);
	machine_release(&alice, lease);
	reply = machine_await(machine, "leaseLingering");
	assert_non_null(strstr(machine_text(&reply, "message"), who));
	varlink_reply_clear(&reply);
	reply = machine_refused(&alice, "Acquire", ONE(NIC), "DeviceBusy", who);
	assert_non_null(strstr(json_object_to_json_string(machine_get(&reply, "holders")), who));
	varlink_reply_clear(&reply);
	reply = machine_refused(&bob, "Acquire", ONE(NIC), "DeviceBusy", "another user");
	assert_string_equal(machine_text(&reply, "holders.0"), "another user");
	assert_null(machine_get(&reply, "holders.1"));
	varlink_reply_clear(&reply);
	close(hold);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	fuse_sysfs_let_go(machine->sysfs, NIC);
	machine_expect_event(machine, "leaseReleased");
	varlink_client_close(&alice);
	varlink_client_close(&bob);
}

/* A whole list; the number of its elements. */
static size_t count_list(struct varlink_client *client, const char *method)
{
	struct varlink_reply reply;
	bool continues;
	size_t n = 0;

	assert_int_equal(varlink_client_send_call(client, method, NULL, "\"more\":true"), 0);
	do {
		assert_int_equal(varlink_client_receive(client, &reply), 0);
		assert_null(reply.error);
		continues = reply.continues;
		n += continues;
		varlink_reply_clear(&reply);
	} while (continues);
	return n;
}

static void everything_else_is_answered_meanwhile(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice, root;
	struct varlink_reply reply;
	long long lease = linger(machine, &alice, ONE(NIC), NIC);

	root = machine_connect(machine, 0);
	assert_true(count_list(&root, "io.iommud.ListDevices") > 10);
	assert_true(count_list(&root, "io.iommud.ListGroups") > 5);
	assert_int_equal(count_list(&root, "io.iommud.ListLeases"), 1);
	reply = machine_call(&root, "Describe", OF(NIC));
	assert_string_equal(machine_text(&reply, "device.state"), "lingering");
	assert_string_equal(machine_text(&reply, "device.driver"), "vfio-pci");
	assert_int_equal(json_object_get_int64(machine_get(&reply, "device.lease")), lease);
	varlink_reply_clear(&reply);
	reply = machine_call(&alice, "Explain", OF(NIC));
	assert_string_equal(machine_text(&reply, "allowed"), "false");
	varlink_reply_clear(&reply);
	/* On another driver of vfio's: the fake kernel does not unbind two devices of one driver at a time. */
	machine_serves(machine, BOB, IDLE);
	machine_take(&alice, ONE(DISK));
	assert_int_equal(count_list(&alice, "io.iommud.ListLeases"), 2);
	fuse_sysfs_let_go(machine->sysfs, NIC);
	machine_expect_event(machine, "leaseReleased");
	varlink_client_close(&alice);
	varlink_client_close(&root);
}

static void a_policy_is_loaded_meanwhile(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice;

	linger(machine, &alice, ONE(NIC), NIC);
	machine_reload(machine);
	machine_expect_event(machine, "policyLoaded");
	machine_serves(machine, BOB, IDLE);
	fuse_sysfs_let_go(machine->sysfs, NIC);
	machine_expect_event(machine, "leaseReleased");
	varlink_client_close(&alice);
}

/* The other devices of a lease, and the members of its groups, wait with it. */
static void a_lease_lingers_as_a_whole(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice, bob;

	linger(machine, &alice, TWO(NIC, IDLE), NIC);
	bob = machine_connect(machine, BOB);
	machine_expect_refusal(&bob, "Acquire", ONE(IDLE), "DeviceBusy", "lingering");
	fuse_sysfs_let_go(machine->sysfs, NIC);
	machine_expect_event(machine, "leaseReleased");
	machine_take(&bob, TWO(IDLE, NIC));
	varlink_client_close(&alice);
	varlink_client_close(&bob);
}

static void a_quota_goes_on_to_count_what_lingers(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice;

	machine->config = "[Limits]\nMaxLeasesPerUser=1\n[Timeouts]\nLingerAfterSec=0\n";
	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	machine_take(&alice, ONE(NIC));
	fuse_sysfs_hold(machine->sysfs, NIC);
	varlink_client_close(&alice);
	machine_expect_event(machine, "leaseLingering");
	alice = machine_connect(machine, ALICE);
	machine_expect_refusal(&alice, "Acquire", ONE(DISK), "QuotaExceeded", NULL);
	fuse_sysfs_let_go(machine->sysfs, NIC);
	machine_expect_event(machine, "leaseReleased");
	machine_take(&alice, ONE(DISK));
	varlink_client_close(&alice);
}

/* A host driver whose remove() hangs: the client is told in time, and it is undone when the kernel comes back. */
static void an_unbind_that_hangs_before_the_grant_is_told_in_time(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice;

	machine->config = "[Timeouts]\nPrepareTimeoutSec=1\n";
	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	fuse_sysfs_hold(machine->sysfs, NIC);
	machine_expect_refusal(&alice, "Acquire", ONE(NIC), "TimedOut", "as soon as the kernel lets go");
	machine_serves(machine, BOB, DISK);
	machine_expect_refusal(&alice, "Acquire", ONE(NIC), "DeviceBusy", NULL);
	fuse_sysfs_let_go(machine->sysfs, NIC);
	machine_expect_event(machine, "leaseReleased");
	machine_assert_tree(machine, NIC " driver=e1000e override=\n");
	machine_take(&alice, ONE(NIC));
	varlink_client_close(&alice);
}

/*
 * The helper's own limit is shorter here, from the file that both read: it names the step. The lease goes on to be the device's
 * until the driver lets go.
 */
static void the_helper_names_the_step_that_hangs(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice;
	struct varlink_reply reply;

	machine->config = "[Helper]\nWorkerTimeoutSec=1\n";
	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	fuse_sysfs_hold(machine->sysfs, NIC);
	reply = machine_refused(&alice, "Acquire", ONE(NIC), "TimedOut", "driver e1000e did not let go");
	assert_string_equal(machine_text(&reply, "step"), "unbind");
	assert_string_equal(machine_text(&reply, "device"), NIC);
	assert_string_equal(json_object_to_json_string(machine_get(&reply, "holders")), "[ ]");
	varlink_reply_clear(&reply);
	machine_expect_event(machine, "leaseLingering");
	reply = machine_refused(&alice, "Acquire", ONE(NIC), "DeviceBusy", "driver e1000e has not let go of " NIC);
	assert_string_equal(machine_text(&reply, "state"), "lingering");
	assert_string_equal(machine_text(&reply, "holders.0"), "driver e1000e");
	varlink_reply_clear(&reply);
	machine_serves(machine, BOB, DISK);
	fuse_sysfs_let_go(machine->sysfs, NIC);
	machine_expect_event(machine, "leaseReleased");
	machine_assert_tree(machine, NIC " driver=e1000e override=\n");
	machine_take(&alice, ONE(NIC));
	varlink_client_close(&alice);
}

/* A broker that was restarted meanwhile knows of it by the helper's journal. */
static void a_driver_that_hangs_is_known_to_the_next_broker(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice;

	machine->config = "[Timeouts]\nLingerAfterSec=0\n[Helper]\nWorkerTimeoutSec=1\n";
	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	fuse_sysfs_hold(machine->sysfs, NIC);
	machine_expect_refusal(&alice, "Acquire", ONE(NIC), "TimedOut", "step unbind");
	varlink_client_close(&alice);
	machine_kill_iommud(machine);
	machine_start_iommud(machine);
	alice = machine_connect(machine, ALICE);
	machine_wait_log(machine, "it is put back");
	machine_expect_refusal(&alice, "Acquire", ONE(NIC), "DeviceBusy", NULL);
	machine_serves(machine, BOB, DISK);
	fuse_sysfs_let_go(machine->sysfs, NIC);
	machine_expect_event(machine, "leaseReleased");
	machine_assert_tree(machine, NIC " driver=e1000e override=\n");
	machine_serves(machine, BOB, NIC);
	varlink_client_close(&alice);
}

static void a_limit_that_is_too_short_for_the_helper_is_warned_of(void **state)
{
	struct machine *machine = *state;

	machine->config = "[Timeouts]\nPrepareTimeoutSec=30\n[Helper]\nWorkerTimeoutSec=30\n";
	machine_start(machine);
	machine_wait_log(machine, "PrepareTimeoutSec= of iommud.conf is not longer than WorkerTimeoutSec=");
}

/* The client goes while its device is being prepared. */
static void a_client_that_leaves_in_the_middle_leaves_nothing(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice;

	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	fuse_sysfs_hold(machine->sysfs, NIC);
	assert_int_equal(varlink_client_send_call(&alice, "io.iommud.Acquire", ONE(NIC), NULL), 0);
	assert_true(fuse_sysfs_wait_blocked(machine->sysfs, NIC, MACHINE_WAIT));
	varlink_client_close(&alice);
	machine_serves(machine, BOB, DISK);
	fuse_sysfs_let_go(machine->sysfs, NIC);
	machine_expect_event(machine, "leaseReleased");
	machine_assert_tree(machine, NIC " driver=e1000e override=\n");
	machine_serves(machine, BOB, NIC);
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
		TEST(a_lingering_device_is_busy_until_its_last_descriptor_is_closed),
		TEST(the_process_that_keeps_a_device_is_named),
		TEST(everything_else_is_answered_meanwhile),
		TEST(a_policy_is_loaded_meanwhile),
		TEST(a_lease_lingers_as_a_whole),
		TEST(a_quota_goes_on_to_count_what_lingers),
		TEST(an_unbind_that_hangs_before_the_grant_is_told_in_time),
		TEST(the_helper_names_the_step_that_hangs),
		TEST(a_driver_that_hangs_is_known_to_the_next_broker),
		TEST(a_limit_that_is_too_short_for_the_helper_is_warned_of),
		TEST(a_client_that_leaves_in_the_middle_leaves_nothing),
	};

	return cmocka_run_group_tests_name("iommud-linger", tests, NULL, NULL);
}
