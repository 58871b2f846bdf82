/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A group of three of which two are on drivers of the host's: taken for the third by the real daemons, and put back exactly,
 * whatever is killed in the middle.
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

#define CROWD_C "0000:00:07.2" /* joins CROWD_A and CROWD_B, without a driver */

static const char rules[] =
	"[Match]\nAddress=" CROWD_C "\n[Client]\nUser=1000\n[Grant]\nAction=allow\nGroupScope=whole\nBystanders=park\n";

static void assert_unchanged(struct machine *machine, const char *before)
{
	_cleanup_free_ char *now = fuse_sysfs_describe(machine->sysfs);

	assert_string_equal(now, before);
}

static char *start(struct machine *machine)
{
	const struct fuse_sysfs_device third = {
		.address = CROWD_C,
		.vendor = 0x8086,
		.device = 0x0007,
		.subsystem_vendor = 0x1af4,
		.subsystem_device = 0x1100,
		.class = 0x00ff00,
		.group = 7,
		.memory_minor = 8,
	};

	machine->rules = rules;
	machine_start(machine);
	machine_stop_iommud(machine);
	fuse_sysfs_add_device(machine->sysfs, &third);
	machine_replace_node(machine, CROWD_C, 8);
	machine_start_iommud(machine);
	return fuse_sysfs_describe(machine->sysfs);
}

/* The request with the token that Explain gives now. */
static void make_request(struct varlink_client *client, char *request, size_t size)
{
	struct varlink_reply reply = machine_call(client, "Explain", OF(CROWD_C));

	assert_null(reply.error);
	snprintf(request, size, "{\"devices\":[\"" CROWD_C "\"],\"consent\":\"%s\"}", machine_text(&reply, "token"));
	varlink_reply_clear(&reply);
}

static void takes_a_group_from_the_host_and_gives_it_back(void **state)
{
	struct machine *machine = *state;
	_cleanup_free_ char *before = start(machine);
	struct varlink_client alice = machine_connect(machine, ALICE);
	struct varlink_reply reply;
	char request[160];

	reply = machine_refused(&alice, "Acquire", ONE(CROWD_C), "ConsentRequired", NULL);
	assert_string_equal(machine_text(&reply, "bystanders.0.action"),
			    "is parked on pci-stub, and put back on e1000e afterwards");
	varlink_reply_clear(&reply);
	assert_unchanged(machine, before);
	make_request(&alice, request, sizeof(request));
	reply = machine_acquire(&alice, request);
	assert_string_equal(machine_text(&reply, "devices.0.address"), CROWD_C);
	assert_null(machine_get(&reply, "devices.1"));
	machine_assert_tree(machine, CROWD_A " driver=pci-stub override=pci-stub\n");
	machine_assert_tree(machine, CROWD_B " driver=pci-stub override=pci-stub\n");
	machine_assert_tree(machine, CROWD_C " driver=vfio-pci override=vfio-pci\n");
	machine_release(&alice, varlink_reply_int(&reply, "lease"));
	varlink_reply_clear(&reply);
	machine_expect_event(machine, "leaseReleased");
	assert_unchanged(machine, before);
	varlink_client_close(&alice);
}

static void a_restarted_iommud_puts_the_group_back(void **state)
{
	struct machine *machine = *state;
	_cleanup_free_ char *before = start(machine);
	struct varlink_client alice = machine_connect(machine, ALICE);
	struct varlink_reply reply;
	char request[160];

	make_request(&alice, request, sizeof(request));
	reply = machine_acquire(&alice, request);
	machine_kill_iommud(machine);
	varlink_reply_clear(&reply);
	varlink_client_close(&alice);
	machine_start_iommud(machine);
	machine_wait_tree(machine, before);
}

struct killer {
	struct machine *machine;
	size_t number; /* of the write at which the helper dies with its workers */
	bool after; /* it has taken effect */
	bool struck;
};

static int kill_helper(void *userdata, const struct fuse_sysfs_write *write)
{
	struct killer *killer = userdata;

	if (write->number == killer->number && write->after == killer->after) {
		killer->struck = true;
		kill(-killer->machine->helper, SIGKILL);
		if (!killer->after)
			return -EINTR;
	}
	return machine_hook(killer->machine, write);
}

/* Granted or not, but not because something is still under way. */
static struct varlink_reply acquire_when_free(struct varlink_client *client)
{
	time_t until = time(NULL) + MACHINE_WAIT;

	for (;;) {
		struct varlink_reply reply;
		char request[160];

		make_request(client, request, sizeof(request));
		reply = machine_call(client, "Acquire", request);
		if (!reply.error || strcmp(reply.error, "io.iommud.DeviceBusy") != 0 || time(NULL) > until)
			return reply;
		varlink_reply_clear(&reply);
	}
}

/* Three writes for each that has a driver and two for the other; four and two on the way back. */
#define ACQUIRE_WRITES 8
#define ALL_WRITES 18

static void await_death(const struct machine *machine)
{
	siginfo_t info;

	assert_int_equal(waitid(P_PID, machine->helper, &info, WEXITED | WNOWAIT), 0);
}

static void die_once(struct machine *machine, struct killer *killer, const char *before)
{
	struct varlink_client alice = machine_connect(machine, ALICE);
	struct varlink_reply reply;

	fuse_sysfs_set_hook(machine->sysfs, kill_helper, killer);
	reply = acquire_when_free(&alice);
	assert_int_equal(reply.error != NULL, killer->number <= ACQUIRE_WRITES);
	varlink_reply_clear(&reply);
	varlink_client_close(&alice);
	await_death(machine);
	fuse_sysfs_set_hook(machine->sysfs, machine_hook, machine);
	machine_kill_helper(machine);
	machine_start_helper(machine);
	machine_wait_tree(machine, before);
}

static void puts_the_group_back_whenever_the_helper_is_killed(void **state)
{
	struct machine *machine = *state;
	_cleanup_free_ char *before = start(machine);
	struct varlink_client alice = machine_connect(machine, ALICE);
	size_t writes = fuse_sysfs_writes(machine->sysfs);
	struct varlink_reply reply = acquire_when_free(&alice);

	assert_null(reply.error);
	varlink_reply_clear(&reply);
	varlink_client_close(&alice);
	machine_expect_event(machine, "leaseReleased");
	/* One more for the reset: it was not known who had it before. */
	assert_int_equal(fuse_sysfs_writes(machine->sysfs) - writes, ALL_WRITES + 1);
	for (int after = 0; after < 2; after++)
		for (size_t number = 1; number <= ALL_WRITES; number++) {
			struct killer killer = { .machine = machine, .number = number, .after = after };

			die_once(machine, &killer, before);
			assert_true(killer.struck);
		}
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
		TEST(takes_a_group_from_the_host_and_gives_it_back),
		TEST(a_restarted_iommud_puts_the_group_back),
		TEST(puts_the_group_back_whenever_the_helper_is_killed),
	};

	return cmocka_run_group_tests_name("iommud-park", tests, NULL, NULL);
}
