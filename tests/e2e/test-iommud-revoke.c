/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Leases that are taken back from real client processes: one that obeys, and those that do not, by each policy. The fake kernel
 * waits in the unbind as long as the test says that a descriptor is out.
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
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "iommud-harness.h"
#include "util/cleanup.h"

#define RULES(on_timeout)                                                                      \
	"[Match]\nAddress=" NIC " " DISK "\n[Client]\nUser=1000 1001\n[Grant]\nAction=allow\n" \
	"ReleaseTimeoutSec=1\nOnReleaseTimeout=" on_timeout "\n"

/* A client in a process of its own, which has a lease of NIC and does nothing more. */
struct keeper {
	pid_t pid;
	long long lease;
};

static void keep(struct machine *machine, bool ignores_sigterm, int told)
{
	struct varlink_client client;
	long long lease;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGTERM, ignores_sigterm ? SIG_IGN : SIG_DFL);
	client = machine_connect(machine, ALICE);
	lease = machine_take(&client, ONE(NIC));
	if (write(told, &lease, sizeof(lease)) != sizeof(lease))
		_exit(1);
	for (;;)
		pause();
}

static struct keeper start_keeper(struct machine *machine, bool ignores_sigterm)
{
	struct keeper keeper;
	int pair[2];

	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	keeper.pid = fork();
	assert_true(keeper.pid >= 0);
	if (keeper.pid == 0)
		keep(machine, ignores_sigterm, pair[1]);
	close(pair[1]);
	assert_int_equal(read(pair[0], &keeper.lease, sizeof(keeper.lease)), sizeof(keeper.lease));
	close(pair[0]);
	fuse_sysfs_hold(machine->sysfs, NIC);
	return keeper;
}

/* The signal that it ended by. */
static int end_of(const struct keeper *keeper)
{
	int status;

	assert_int_equal(waitpid(keeper->pid, &status, 0), keeper->pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* As the kernel does when the last descriptor is closed. */
static void come_back(struct machine *machine)
{
	fuse_sysfs_let_go(machine->sysfs, NIC);
	machine_expect_event(machine, "leaseReleased");
	machine_assert_tree(machine, NIC " driver=e1000e override=\n");
	machine_serves(machine, BOB, NIC);
}

static void take_back(struct machine *machine, long long lease)
{
	struct varlink_client root = machine_connect(machine, 0);
	struct varlink_reply reply;
	char parameters[64];

	snprintf(parameters, sizeof(parameters), "{\"lease\":%lld,\"reason\":\"it is wanted\"}", lease);
	reply = machine_call(&root, "io.iommud.Manage.Revoke", parameters);
	assert_null(reply.error);
	varlink_reply_clear(&reply);
	varlink_client_close(&root);
}

static void expect_message(struct machine *machine, const char *event, const char *part)
{
	struct varlink_reply reply = machine_await(machine, event);

	if (!strstr(machine_text(&reply, "message"), part))
		fail_msg("%s: no \"%s\" in \"%s\"", event, part, machine_text(&reply, "message"));
	varlink_reply_clear(&reply);
}

static void a_client_that_ignores_it_is_left_and_reported(void **state)
{
	struct machine *machine = *state;
	struct keeper keeper;

	machine->rules = RULES("leave");
	machine_start(machine);
	keeper = start_keeper(machine, false);
	take_back(machine, keeper.lease);
	expect_message(machine, "releaseRequested", "is taken back: it is wanted;");
	expect_message(machine, "releaseIgnored", "descriptors of its devices are still out");
	assert_int_equal(waitpid(keeper.pid, NULL, WNOHANG), 0);
	kill(keeper.pid, SIGKILL);
	assert_int_equal(end_of(&keeper), SIGKILL);
	come_back(machine);
}

static void a_client_that_ignores_it_is_terminated(void **state)
{
	struct machine *machine = *state;
	struct keeper keeper;
	char who[64];

	machine->rules = RULES("terminate");
	machine_start(machine);
	keeper = start_keeper(machine, false);
	snprintf(who, sizeof(who), "pid %d of uid 1000 was sent SIGTERM", (int)keeper.pid);
	take_back(machine, keeper.lease);
	expect_message(machine, "clientSignalled", who);
	assert_int_equal(end_of(&keeper), SIGTERM);
	come_back(machine);
}

static void a_client_that_ignores_sigterm_is_left_by_terminate(void **state)
{
	struct machine *machine = *state;
	struct keeper keeper;

	machine->rules = RULES("terminate");
	machine_start(machine);
	keeper = start_keeper(machine, true);
	take_back(machine, keeper.lease);
	expect_message(machine, "clientSignalled", "SIGTERM");
	expect_message(machine, "releaseIgnored", "still out");
	assert_int_equal(waitpid(keeper.pid, NULL, WNOHANG), 0);
	kill(keeper.pid, SIGKILL);
	assert_int_equal(end_of(&keeper), SIGKILL);
	come_back(machine);
}

static void a_client_that_ignores_sigterm_is_killed(void **state)
{
	struct machine *machine = *state;
	struct keeper keeper;

	machine->rules = RULES("kill");
	machine_start(machine);
	keeper = start_keeper(machine, true);
	take_back(machine, keeper.lease);
	expect_message(machine, "clientSignalled", "SIGTERM");
	expect_message(machine, "clientSignalled", "SIGKILL");
	assert_int_equal(end_of(&keeper), SIGKILL);
	come_back(machine);
}

/* The helper goes by the policy of now: what the broker remembers of the grant does not count. */
static void a_policy_that_does_not_want_it_any_more_spares_the_client(void **state)
{
	struct machine *machine = *state;
	struct keeper keeper;

	machine->rules = RULES("kill");
	machine_start(machine);
	keeper = start_keeper(machine, false);
	machine_write(machine, RULES_FILE, RULES("leave"));
	machine_reload(machine);
	machine_expect_event(machine, "policyLoaded");
	take_back(machine, keeper.lease);
	expect_message(machine, "releaseIgnored", "no SIGTERM: ");
	assert_int_equal(waitpid(keeper.pid, NULL, WNOHANG), 0);
	kill(keeper.pid, SIGKILL);
	assert_int_equal(end_of(&keeper), SIGKILL);
	come_back(machine);
}

/* A rule by the host's driver still fits: the helper judges by what the device was before. */
static void a_rule_by_driver_counts_though_the_device_is_on_vfio(void **state)
{
	struct machine *machine = *state;
	struct keeper keeper;

	machine->rules = "[Match]\nDriver=e1000e\n[Client]\nUser=1000 1001\n[Grant]\nAction=allow\n"
			 "ReleaseTimeoutSec=1\nOnReleaseTimeout=terminate\n";
	machine_start(machine);
	keeper = start_keeper(machine, false);
	take_back(machine, keeper.lease);
	machine_expect_event(machine, "clientSignalled");
	assert_int_equal(end_of(&keeper), SIGTERM);
	come_back(machine);
}

/* The former helper's worker still waits in the kernel, and the new one's for that: the client is signalled all the same. */
static void a_helper_that_was_started_anew_signals_as_well(void **state)
{
	struct machine *machine = *state;
	struct keeper keeper;
	pid_t former;

	machine->rules = RULES("terminate");
	machine_start(machine);
	keeper = start_keeper(machine, false);
	take_back(machine, keeper.lease);
	assert_true(fuse_sysfs_wait_blocked(machine->sysfs, NIC, MACHINE_WAIT));
	former = machine->helper;
	assert_int_equal(kill(former, SIGKILL), 0);
	assert_int_equal(waitpid(former, NULL, 0), former);
	machine_start_helper(machine);
	machine_expect_event(machine, "clientSignalled");
	assert_int_equal(end_of(&keeper), SIGTERM);
	come_back(machine);
	while (waitpid(-former, NULL, 0) > 0 || errno == EINTR)
		;
}

static void only_root_takes_leases_back(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice, root;
	char parameters[64];
	long long lease;

	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	root = machine_connect(machine, 0);
	lease = machine_take(&alice, ONE(NIC));
	snprintf(parameters, sizeof(parameters), "{\"lease\":%lld}", lease);
	machine_expect_refusal(&alice, "io.iommud.Manage.Revoke", parameters, "io.iommud.Manage.NotAllowed",
			       "for root, and for users");
	machine_expect_refusal(&root, "io.iommud.Manage.Revoke", "{\"lease\":999}", "io.iommud.Manage.NoSuchLease",
			       "there is no lease 999");
	take_back(machine, lease);
	machine_expect_event(machine, "leaseReleased");
	varlink_client_close(&alice);
	varlink_client_close(&root);
}

/* ---- iommuctl, which obeys ---- */

/* `iommuctl acquire NIC` as Alice; its standard input is open as long as *ret_input. */
static pid_t start_acquire(struct machine *machine, int *ret_input, int *ret_output)
{
	int input[2], output[2];
	char library[512], program[256], *build = getenv("IOMMUD_BUILD");
	pid_t pid;

	snprintf(program, sizeof(program), "%s/iommuctl", build ? build : "build");
	snprintf(library, sizeof(library), "%s", build ? build : "build");
	assert_int_equal(pipe2(input, O_CLOEXEC), 0);
	assert_int_equal(pipe2(output, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(input[0], STDIN_FILENO);
		dup2(output[1], STDOUT_FILENO);
		dup2(output[1], STDERR_FILENO);
		setenv("LD_LIBRARY_PATH", library, 1);
		if (setresgid(ALICE, ALICE, ALICE) < 0 || setresuid(ALICE, ALICE, ALICE) < 0)
			_exit(1);
		execl(program, program, "--socket", machine->socket, "acquire", "--no-legend", NIC, NULL);
		_exit(127);
	}
	close(input[0]);
	close(output[1]);
	*ret_input = input[1];
	*ret_output = output[0];
	return pid;
}

static void acquire_lets_go_when_it_is_asked(void **state)
{
	struct machine *machine = *state;
	char text[1024] = "";
	int input, output, status;
	size_t used;
	ssize_t n;
	pid_t pid;

	machine->rules = RULES("kill");
	machine_start(machine);
	pid = start_acquire(machine, &input, &output);
	n = read(output, text, sizeof(text) - 1);
	assert_true(n > 0);
	used = n;
	take_back(machine, strtoll(text, NULL, 10));
	machine_expect_event(machine, "leaseReleased");
	while ((n = read(output, text + used, sizeof(text) - 1 - used)) > 0)
		used += n;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_non_null(strstr(text, "is taken back: it is wanted"));
	machine_assert_tree(machine, NIC " driver=e1000e override=\n");
	close(input);
	close(output);
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
		TEST(a_client_that_ignores_it_is_left_and_reported),
		TEST(a_client_that_ignores_it_is_terminated),
		TEST(a_client_that_ignores_sigterm_is_left_by_terminate),
		TEST(a_client_that_ignores_sigterm_is_killed),
		TEST(a_policy_that_does_not_want_it_any_more_spares_the_client),
		TEST(a_rule_by_driver_counts_though_the_device_is_on_vfio),
		TEST(a_helper_that_was_started_anew_signals_as_well),
		TEST(only_root_takes_leases_back),
		TEST(acquire_lets_go_when_it_is_asked),
	};

	return cmocka_run_group_tests_name("iommud-revoke", tests, NULL, NULL);
}
