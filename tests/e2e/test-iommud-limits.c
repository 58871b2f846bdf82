/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a rule limits, by both daemons and for real client processes: prlimit() is the kernel's own. Raising a limit of another
 * user's process, or beyond its hard limit, takes CAP_SYS_RESOURCE, which the helper need not have where this runs: so root's
 * own clients are raised below their hard limit, and others are told what the kernel says. The VM has it all.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "iommud-harness.h"
#include "util/cleanup.h"

#define RULES(grant)                                                                             \
	"[Match]\nAddress=" NIC " " DISK "\n[Client]\nUser=0 1000 1001\n[Grant]\nAction=allow\n" \
	"ReleaseTimeoutSec=1\n" grant "\n"
#define SOFT (64 * 1024)

/* What a client in a process of its own tells of itself. */
struct told {
	bool granted;
	char message[512];
	rlim_t soft;
};

static void take_nic(struct varlink_client *client, int tell)
{
	struct varlink_reply reply = machine_call(client, "Acquire", ONE(NIC));
	struct told told = { .granted = !reply.error };
	struct rlimit limit;

	snprintf(told.message, sizeof(told.message), "%s", machine_text(&reply, "message"));
	getrlimit(RLIMIT_MEMLOCK, &limit);
	told.soft = limit.rlim_cur;
	_exit(write(tell, &told, sizeof(told)) != sizeof(told));
}

static void set_soft_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		_exit(1);
	limit.rlim_cur = SOFT;
	if (setrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		_exit(1);
}

static struct told listen_to(int pair[2])
{
	struct told told;

	close(pair[1]);
	assert_int_equal(read(pair[0], &told, sizeof(told)), sizeof(told));
	close(pair[0]);
	return told;
}

/* A process that begins with SOFT, and takes NIC. */
static struct told take_as(struct machine *machine, uid_t uid)
{
	struct varlink_client client;
	struct told told;
	int pair[2];
	pid_t pid;

	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		set_soft_limit();
		client = machine_connect(machine, uid);
		take_nic(&client, pair[1]);
	}
	told = listen_to(pair);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return told;
}

static bool has_pidfds(void)
{
	int pair[2], pidfd, r;
	socklen_t size = sizeof(pidfd);

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	r = getsockopt(pair[0], SOL_SOCKET, 77 /* SO_PEERPIDFD */, &pidfd, &size);
	if (r == 0)
		close(pidfd);
	close(pair[0]);
	close(pair[1]);
	return r == 0;
}

static void assert_nothing_is_lost(struct machine *machine)
{
	machine_expect_event(machine, "leaseReleased");
	machine_assert_tree(machine, NIC " driver=e1000e override=\n");
	machine_write(machine, RULES_FILE, RULES(""));
	machine_reload(machine);
	machine_expect_event(machine, "policyLoaded");
	machine_serves(machine, BOB, NIC);
}

static void the_limit_is_raised_before_the_client_is_answered(void **state)
{
	struct machine *machine = *state;
	struct told told;

	machine->rules = RULES("MemlockLimit=1M");
	machine_start(machine);
	told = take_as(machine, 0);
	if (!has_pidfds()) {
		assert_non_null(strstr(told.message, "before Linux 6.5"));
		return;
	}
	assert_string_equal(told.message, "");
	assert_true(told.granted);
	assert_int_equal(told.soft, 1 << 20);
}

/* Granted with the limit, or refused without it: never granted without. */
static void what_can_not_be_raised_is_refused(void **state)
{
	struct machine *machine = *state;
	struct told told;

	machine->rules = RULES("MemlockLimit=1T");
	machine_start(machine);
	told = take_as(machine, ALICE);
	if (told.granted) {
		assert_int_equal(told.soft, 1ull << 40);
	} else {
		assert_int_equal(told.soft, SOFT);
		assert_non_null(strstr(told.message, "could not be raised as MemlockLimit= in "));
		assert_non_null(strstr(told.message, "10-test.policy:1 says: "));
	}
	assert_nothing_is_lost(machine);
}

/* Its connection lives on in a child; its number may be anybody's by then. */
static void a_client_that_died_is_not_looked_for_by_its_number(void **state)
{
	struct machine *machine = *state;
	struct varlink_client client;
	int pair[2], gone[2];
	struct told told;
	char byte;
	pid_t pid;

	machine->rules = RULES("MemlockLimit=1M");
	machine_start(machine);
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	assert_int_equal(pipe2(gone, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		set_soft_limit();
		client = machine_connect(machine, 0);
		if (fork() != 0)
			_exit(0);
		close(gone[1]);
		_exit(read(gone[0], &byte, 1) != 0 || (take_nic(&client, pair[1]), 1));
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(gone[1]);
	told = listen_to(pair);
	close(gone[0]);
	assert_false(told.granted);
	assert_int_equal(told.soft, SOFT);
	if (!strstr(told.message, has_pidfds() ? "ended" : "before Linux 6.5"))
		fail_msg("%s", told.message);
	assert_nothing_is_lost(machine);
}

static void a_mode_that_can_not_be_set_is_refused(void **state)
{
	struct machine *machine = *state;
	struct varlink_client root;

	machine->rules = RULES("RlimitMode=mm");
	machine_start(machine);
	root = machine_connect(machine, 0);
	machine_expect_refusal(&root, "Acquire", ONE(NIC), "PrepareFailed", "could not be set to RlimitMode=mm as ");
	varlink_client_close(&root);
	assert_nothing_is_lost(machine);
}

static void a_user_gets_no_more_than_the_rule_gives(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice, again, bob;
	struct varlink_reply reply;
	long long lease;

	machine->rules = RULES("MaxDevices=1");
	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	again = machine_connect(machine, ALICE);
	bob = machine_connect(machine, BOB);
	lease = machine_take(&alice, ONE(NIC));
	reply = machine_refused(&again, "Acquire", ONE(DISK), "QuotaExceeded", "10-test.policy:1");
	assert_string_equal(machine_text(&reply, "quota"), "ruleDevices");
	assert_string_equal(machine_text(&reply, "limit"), "1");
	varlink_reply_clear(&reply);
	reply = machine_call(&again, "Explain", OF(DISK));
	assert_string_equal(machine_text(&reply, "limits.0"), "MaxDevices=1: uid 1000 has 1 by this rule");
	varlink_reply_clear(&reply);
	machine_take(&bob, ONE(DISK));
	machine_release(&alice, lease);
	machine_expect_event(machine, "leaseReleased");
	machine_take(&again, ONE(NIC));
	varlink_client_close(&alice);
	varlink_client_close(&again);
	varlink_client_close(&bob);
}

static void a_lease_ends_with_its_time(void **state)
{
	struct machine *machine = *state;
	_cleanup_free_ char *output = NULL;
	struct varlink_client alice;
	struct varlink_reply reply;

	machine->rules = RULES("MaxLeaseSec=2");
	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	machine_take(&alice, ONE(NIC));
	assert_int_equal(machine_run(machine, ALICE, &output, "iommuctl", "status", NULL), 0);
	assert_non_null(strstr(output, "EXPIRES"));
	reply = machine_await(machine, "releaseRequested");
	assert_non_null(strstr(machine_text(&reply, "message"), "its time is over, by MaxLeaseSec=2 in "));
	assert_non_null(strstr(machine_text(&reply, "message"), "10-test.policy:1"));
	varlink_reply_clear(&reply);
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
		TEST(the_limit_is_raised_before_the_client_is_answered),
		TEST(what_can_not_be_raised_is_refused),
		TEST(a_client_that_died_is_not_looked_for_by_its_number),
		TEST(a_mode_that_can_not_be_set_is_refused),
		TEST(a_user_gets_no_more_than_the_rule_gives),
		TEST(a_lease_ends_with_its_time),
	};

	return cmocka_run_group_tests_name("iommud-limits", tests, NULL, NULL);
}
