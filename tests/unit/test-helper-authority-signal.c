/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whom the helper would signal, and for what: real sockets and processes, decisions of the test's own. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "helper/authority.h"
#include "open-fds.h"
#include "util/cleanup.h"

/* A client in a process of its own, which connects and waits for its end. */
struct client {
	char dir[64];
	char path[96];
	int listener;
	int accepted;
	pid_t pid;
	int alive; /* closed: it ends */
};

static struct sockaddr_un name_of(const char *path)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };

	snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
	return name;
}

static void connect_and_wait(const struct client *client, int until)
{
	struct sockaddr_un name = name_of(client->path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char byte;

	if (connect(fd, (struct sockaddr *)&name, sizeof(name)) < 0)
		_exit(1);
	_exit(read(until, &byte, 1) != 0);
}

static int set_up(void **state)
{
	struct client *client = calloc(1, sizeof(*client));
	struct sockaddr_un name;
	int pair[2];

	strcpy(client->dir, "/tmp/iommud-signal-XXXXXX");
	if (!mkdtemp(client->dir) || pipe2(pair, O_CLOEXEC) < 0)
		return -1;
	snprintf(client->path, sizeof(client->path), "%s/io.iommud", client->dir);
	name = name_of(client->path);
	client->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(client->listener, (struct sockaddr *)&name, sizeof(name)) < 0 || listen(client->listener, 1) < 0)
		return -1;
	client->pid = fork();
	if (client->pid == 0) {
		close(pair[1]);
		connect_and_wait(client, pair[0]);
	}
	close(pair[0]);
	client->alive = pair[1];
	client->accepted = accept4(client->listener, NULL, NULL, SOCK_CLOEXEC);
	*state = client;
	return client->accepted < 0;
}

static void end(struct client *client)
{
	if (client->alive < 0)
		return;
	client->alive = close_fd(client->alive);
	waitpid(client->pid, NULL, 0);
}

static int tear_down(void **state)
{
	struct client *client = *state;

	end(client);
	close(client->listener);
	close(client->accepted);
	unlink(client->path);
	rmdir(client->dir);
	free(client);
	return 0;
}

/* What the fake policy says, and what it was asked. */
static struct policy_decision next_decision;
static struct device_id asked_id;
static char asked_driver[DEVICE_DRIVER_MAX];
static char asked_physical_function[DEVICE_ADDRESS_MAX];
static uid_t asked_uid;
static unsigned int n_asked;

static void decide(const struct policy *policy, const struct policy_subject *subject, const struct identity *identity,
		   struct policy_decision *ret)
{
	n_asked++;
	asked_id = *subject->id;
	snprintf(asked_driver, sizeof(asked_driver), "%s", subject->driver);
	snprintf(asked_physical_function, sizeof(asked_physical_function), "%s", subject->physical_function);
	asked_uid = identity->uid;
	*ret = next_decision;
}

/* As journalled before it went to vfio-pci. */
static const struct device_state device = {
	.id = { .address = "0000:00:01.0", .vendor = 0x8086, .device = 0x10d3, .class = 0x020000 },
	.driver = "e1000e",
	.moved_to = "vfio-pci",
	.physical_function = "0000:00:02.0",
};

static struct authority_answer judge(const struct client *client, int fd, const struct device_state *snapshot,
				     bool kill, int *ret_pidfd)
{
	const struct authority authority = { .decide = decide, .client_socket = client->path };
	struct authority_answer answer;

	n_asked = 0;
	*ret_pidfd = -1;
	authority_judge_signal(&authority, fd, snapshot, kill, ret_pidfd, &answer);
	return answer;
}

static void allow(enum policy_on_release_timeout on_timeout)
{
	next_decision = (struct policy_decision){ .action = POLICY_ALLOW,
						  .file = "/etc/iommud/policy.d/a.policy",
						  .line = 7,
						  .conduct.on_release_timeout = on_timeout };
}

/* There are kernels without a pidfd for a socket: then nobody is ever signalled, and there is nothing more to test. */
static void skip_without_pidfds(const struct client *client)
{
	if (identity_pidfd_error(client->accepted) != -ENOPROTOOPT)
		return;
	print_message("no SO_PEERPIDFD before Linux 6.5\n");
	skip();
}

static void expect(const struct client *client, bool kill, enum helper_status status, const char *reason)
{
	struct authority_answer answer;
	size_t before = count_open_fds();
	int pidfd;

	answer = judge(client, client->accepted, &device, kill, &pidfd);
	assert_int_equal(answer.status, status);
	if (!strstr(answer.reason, reason))
		fail_msg("\"%s\" is not in \"%s\"", reason, answer.reason);
	assert_int_equal(pidfd >= 0, status == HELPER_OK);
	close_fd(pidfd);
	assert_int_equal(count_open_fds(), before);
}

static void the_rule_says_which_signal(void **state)
{
	skip_without_pidfds(*state);
	allow(POLICY_RELEASE_LEAVE);
	expect(*state, false, HELPER_REFUSED, "a.policy:7 has OnReleaseTimeout=leave");
	expect(*state, true, HELPER_REFUSED, "a.policy:7 has OnReleaseTimeout=leave");
	allow(POLICY_RELEASE_TERMINATE);
	expect(*state, false, HELPER_OK, "");
	expect(*state, true, HELPER_REFUSED, "a.policy:7 has OnReleaseTimeout=terminate");
	allow(POLICY_RELEASE_KILL);
	expect(*state, false, HELPER_OK, "");
	expect(*state, true, HELPER_OK, "");
}

static void who_is_denied_the_device_is_not_signalled_for_it(void **state)
{
	allow(POLICY_RELEASE_KILL);
	next_decision.action = POLICY_DENY;
	strcpy(next_decision.reason, "no rule fits");
	expect(*state, false, HELPER_REFUSED, "no rule fits");
	expect(*state, true, HELPER_REFUSED, "no rule fits");
}

static void asks_about_the_device_as_it_was_before(void **state)
{
	struct client *client = *state;
	int pidfd;

	allow(POLICY_RELEASE_KILL);
	judge(client, client->accepted, &device, false, &pidfd);
	close_fd(pidfd);
	assert_int_equal(n_asked, 1);
	assert_memory_equal(&asked_id, &device.id, sizeof(asked_id));
	assert_string_equal(asked_driver, "e1000e");
	assert_string_equal(asked_physical_function, "0000:00:02.0");
	assert_int_equal(asked_uid, getuid());
}

static void nobody_has_what_is_parked(void **state)
{
	struct client *client = *state;
	struct device_state parked = device;
	int pidfd;

	strcpy(parked.moved_to, DRIVER_PARKING);
	allow(POLICY_RELEASE_KILL);
	assert_int_equal(judge(client, client->accepted, &parked, false, &pidfd).status, HELPER_REFUSED);
	assert_int_equal(pidfd, -1);
	assert_int_equal(n_asked, 0);
}

static void what_is_no_client_of_ours_is_refused_unasked(void **state)
{
	struct client *client = *state;
	int pair[2], pidfd;

	allow(POLICY_RELEASE_KILL);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(judge(client, pair[0], &device, false, &pidfd).status, HELPER_BAD_REQUEST);
	assert_int_equal(judge(client, client->listener, &device, false, &pidfd).status, HELPER_BAD_REQUEST);
	assert_int_equal(judge(client, STDIN_FILENO, &device, false, &pidfd).status, HELPER_BAD_REQUEST);
	assert_int_equal(pidfd, -1);
	assert_int_equal(n_asked, 0);
	close(pair[0]);
	close(pair[1]);
}

static void the_process_is_the_one_that_connected(void **state)
{
	struct client *client = *state;
	int pidfd, status;

	skip_without_pidfds(client);
	allow(POLICY_RELEASE_TERMINATE);
	assert_int_equal(judge(client, client->accepted, &device, false, &pidfd).status, HELPER_OK);
	assert_int_equal(syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0), 0);
	assert_int_equal(waitpid(client->pid, &status, 0), client->pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGTERM);
	close(pidfd);
	client->alive = close_fd(client->alive);
}

/* Whatever the kernel makes of its socket then: no other process is hit, though the number is free for one. */
static void a_process_that_has_ended_is_out_of_reach(void **state)
{
	struct client *client = *state;
	struct authority_answer answer;
	int pidfd;

	skip_without_pidfds(client);
	end(client);
	allow(POLICY_RELEASE_KILL);
	answer = judge(client, client->accepted, &device, true, &pidfd);
	if (answer.status == HELPER_OK) {
		assert_int_equal(syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0), -1);
		assert_int_equal(errno, ESRCH);
		close(pidfd);
	} else {
		assert_int_equal(answer.status, HELPER_FAULT);
		assert_true(answer.error > 0);
		assert_non_null(strstr(answer.reason, "has probably ended"));
		assert_int_equal(pidfd, -1);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(the_rule_says_which_signal),
		TEST(who_is_denied_the_device_is_not_signalled_for_it),
		TEST(asks_about_the_device_as_it_was_before),
		TEST(nobody_has_what_is_parked),
		TEST(what_is_no_client_of_ours_is_refused_unasked),
		TEST(the_process_is_the_one_that_connected),
		TEST(a_process_that_has_ended_is_out_of_reach),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
