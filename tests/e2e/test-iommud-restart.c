/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The real daemons, with a service manager that keeps descriptors, or with a folder for iommud's state only: iommud is killed,
 * or stopped, and started again, and leases go on whose clients are there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "iommud-harness.h"
#include "util/cleanup.h"

#define ROUNDS 10

/* A client has its answer before iommud has noted that it was sent. It has when somebody else is answered. */
static void let_it_settle(struct machine *machine)
{
	struct varlink_client root = machine_connect(machine, 0);
	struct varlink_reply reply = machine_call(&root, "GetStatus", NULL);

	varlink_reply_clear(&reply);
	varlink_client_close(&root);
}

static void start_again(struct machine *machine, bool killed)
{
	let_it_settle(machine);
	if (killed)
		machine_kill_iommud(machine);
	else
		machine_stop_iommud(machine);
	machine_start_iommud(machine);
}

static long long n_leases(struct varlink_client *client)
{
	struct varlink_reply reply = { 0 };
	long long n = -1;

	assert_int_equal(varlink_client_send_call(client, "io.iommud.ListLeases", NULL, "\"more\":true"), 0);
	do {
		varlink_reply_clear(&reply);
		assert_int_equal(varlink_client_receive(client, &reply), 0);
		assert_null(reply.error);
		n++;
	} while (reply.continues);
	varlink_reply_clear(&reply);
	return n;
}

static void leases_go_on_and_calls_are_answered(void **state)
{
	struct machine *machine = *state;
	_cleanup_free_ char *before = NULL;
	struct varlink_client alice, bob;
	long long first, second;
	size_t n_fds = 0;

	machine->keeps = true;
	machine_start(machine);
	before = fuse_sysfs_describe(machine->sysfs);
	alice = machine_connect(machine, ALICE);
	bob = machine_connect(machine, BOB);
	first = machine_take(&alice, TWO(NIC, BARE));
	second = machine_take(&bob, ONE(DISK));
	for (int i = 0; i < ROUNDS; i++) {
		start_again(machine, i % 2);
		assert_int_equal(n_leases(&alice), 1);
		assert_int_equal(n_leases(&bob), 1);
		machine_assert_tree(machine, NIC " driver=vfio-pci ");
		assert_int_equal(machine->store.n, 2);
		if (i == 0)
			n_fds = machine_count_fds(machine);
		else
			assert_int_equal(machine_count_fds(machine), n_fds);
	}
	machine_release(&bob, second);
	machine_expect_event(machine, "leaseReleased");
	assert_true(machine_take(&bob, ONE(DISK)) > second && second > first);
	varlink_client_close(&alice);
	machine_expect_event(machine, "leaseReleased");
	varlink_client_close(&bob);
	machine_expect_event(machine, "leaseReleased");
	machine_assert_tree(machine, before);
	machine_serves(machine, BOB, NIC);
}

static void who_went_meanwhile_leaves_nothing(void **state)
{
	struct machine *machine = *state;
	_cleanup_free_ char *before = NULL;
	struct varlink_client alice;

	machine->keeps = true;
	machine_start(machine);
	before = fuse_sysfs_describe(machine->sysfs);
	alice = machine_connect(machine, ALICE);
	machine_take(&alice, ONE(NIC));
	let_it_settle(machine);
	machine_kill_iommud(machine);
	varlink_client_close(&alice);
	machine_start_iommud(machine);
	machine_wait_log(machine, "of uid 1000 ended, its devices are free");
	machine_assert_tree(machine, before);
	machine_serves(machine, BOB, NIC);
	/* The ends of connections are dealt with when everybody was answered: once more. */
	let_it_settle(machine);
	let_it_settle(machine);
	machine_drain_store(machine);
	assert_int_equal(machine->store.n, 0);
}

/* Alice waits for what Bob has. */
static void who_waits_is_told_and_keeps_what_he_has(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice, bob;
	struct varlink_reply reply;

	machine->keeps = true;
	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	bob = machine_connect(machine, BOB);
	machine_take(&bob, ONE(DISK));
	machine_take(&alice, ONE(NIC));
	assert_int_equal(varlink_client_send_call(&alice, "io.iommud.Acquire",
						  "{\"devices\":[\"" DISK "\"],\"waitSec\":100}", NULL),
			 0);
	machine_expect_event(machine, "leaseWaiting");
	start_again(machine, true);
	assert_int_equal(varlink_client_receive(&alice, &reply), 0);
	assert_string_equal(reply.error, "io.iommud.Interrupted");
	varlink_reply_clear(&reply);
	assert_int_equal(n_leases(&alice), 1);
	varlink_client_close(&alice);
	varlink_client_close(&bob);
}

static void a_subscription_goes_on(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice, bob;
	struct varlink_reply reply;

	machine->keeps = true;
	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	machine_take(&alice, ONE(NIC));
	assert_int_equal(varlink_client_call(&alice, "io.iommud.Subscribe", NULL, "\"more\":true", &reply), 0);
	varlink_reply_clear(&reply);
	start_again(machine, true);
	do {
		varlink_reply_clear(&reply);
		assert_int_equal(varlink_client_receive(&alice, &reply), 0);
		assert_true(reply.continues);
	} while (strcmp(varlink_reply_string(&reply, "event"), "resynced") != 0);
	bob = machine_connect(machine, BOB);
	machine_take(&bob, ONE(DISK));
	do {
		varlink_reply_clear(&reply);
		assert_int_equal(varlink_client_receive(&alice, &reply), 0);
	} while (strcmp(varlink_reply_string(&reply, "event"), "driverBound") != 0);
	varlink_reply_clear(&reply);
	varlink_client_close(&alice);
	varlink_client_close(&bob);
}

static void what_nobody_misses_is_closed(void **state)
{
	struct machine *machine = *state;
	int pairs[3][2];
	char byte;

	machine->keeps = true;
	machine_start(machine);
	machine_kill_iommud(machine);
	machine_drain_store(machine);
	for (int i = 0; i < 3; i++) {
		static const char *const names[] = { "connection-1", "claim-7-7", "something" };

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pairs[i]), 0);
		snprintf(machine->store.kept[machine->store.n].name, 64, "%s", names[i]);
		machine->store.kept[machine->store.n++].fd = pairs[i][0];
	}
	machine_start_iommud(machine);
	machine_drain_store(machine);
	assert_int_equal(machine->store.n, 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(recv(pairs[i][1], &byte, 1, 0), 0);
		close(pairs[i][1]);
	}
}

/* Connections end then; what is remembered is in the folder. */
static void without_a_manager_numbers_go_on_and_devices_go_back(void **state)
{
	struct machine *machine = *state;
	_cleanup_free_ char *before = NULL;
	struct varlink_client alice;
	long long first;

	machine->writes_down = true;
	machine_start(machine);
	before = fuse_sysfs_describe(machine->sysfs);
	alice = machine_connect(machine, ALICE);
	first = machine_take(&alice, ONE(NIC));
	machine_kill_iommud(machine);
	assert_int_equal(varlink_client_await_close(&alice), 0);
	varlink_client_close(&alice);
	machine_start_iommud(machine);
	machine_wait_log(machine, "of uid -1 ended, its devices are free");
	machine_assert_tree(machine, before);
	machine_serves(machine, BOB, NIC);
	alice = machine_connect(machine, ALICE);
	assert_true(machine_take(&alice, ONE(DISK)) > first);
	varlink_client_close(&alice);
	machine_wait_tree(machine, before);
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
		TEST(leases_go_on_and_calls_are_answered),
		TEST(who_went_meanwhile_leaves_nothing),
		TEST(who_waits_is_told_and_keeps_what_he_has),
		TEST(a_subscription_goes_on),
		TEST(what_nobody_misses_is_closed),
		TEST(without_a_manager_numbers_go_on_and_devices_go_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
