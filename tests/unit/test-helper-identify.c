/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the helper learns of the process behind a client's socket: this one, and one that has ended. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "helper/authority.h"
#include "policy-text.h"
#include "util/cleanup.h"

static char folder[64];
static struct sockaddr_un name;
static int listener;

static int set_up(void **state)
{
	strcpy(folder, "/tmp/iommud-identify-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	name.sun_family = AF_UNIX;
	snprintf(name.sun_path, sizeof(name.sun_path), "%s/socket", folder);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return bind(listener, (struct sockaddr *)&name, sizeof(name)) < 0 || listen(listener, 1) < 0;
}

static int tear_down(void **state)
{
	close(listener);
	unlink(name.sun_path);
	return rmdir(folder);
}

static int connect_here(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return connect(fd, (struct sockaddr *)&name, sizeof(name)) < 0 ? -1 : fd;
}

static int accept_one(void)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static struct identity identify(const char *policy_text, const char *proc, int fd)
{
	struct policy *policy = policy_must_load(policy_text);
	const struct authority authority = {
		.decide = policy_decide, .policy = policy, .client_socket = name.sun_path, .proc = proc
	};
	struct identity identity = IDENTITY_INIT;
	struct authority_answer answer;

	assert_true(authority_identify(&authority, fd, &identity, &answer));
	policy_free(policy);
	return identity;
}

#define RULE(client) "[Match]\nAddress=*\n[Client]\n" client "\n[Grant]\nAction=allow\n"

static void reads_what_the_policy_asks_for(void **state)
{
	int client = connect_here(), accepted = accept_one();
	bool can = identity_pidfd_error(accepted) == 0;
	struct identity identity = identify(RULE("Executable=/*"), "/proc", accepted);
	char executable[4096] = "";

	assert_int_equal(identity.uid, getuid());
	assert_true(readlink("/proc/self/exe", executable, sizeof(executable) - 1) > 0);
	/* Before Linux 6.5 nobody can tell. */
	if (can)
		assert_string_equal(identity.executable, executable);
	else
		assert_null(identity.executable);
	identity_clear(&identity);
	close(client);
	close(accepted);
}

static void reads_nothing_that_nobody_asks_for(void **state)
{
	int client = connect_here(), accepted = accept_one();
	struct identity identity = identify(RULE("User=*"), "/proc", accepted);

	assert_null(identity.executable);
	assert_null(identity.unit);
	identity_clear(&identity);
	close(client);
	close(accepted);
}

/* Its connection is open still, in our hands. */
static void knows_nothing_of_who_has_ended(void **state)
{
	pid_t pid = fork();
	struct identity identity;
	int accepted, status;

	if (pid == 0)
		_exit(connect_here() < 0);
	accepted = accept_one();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	identity = identify(RULE("Unit=*"), "/proc", accepted);
	assert_int_equal(identity.uid, getuid());
	assert_true(!identity.unit && !identity.slice && !identity.executable && !identity.apparmor);
	identity_clear(&identity);
	close(accepted);
}

static void tells_the_broker_of_clients_only(void **state)
{
	const struct authority authority = { .client_socket = name.sun_path, .proc = "/proc" };
	int client = connect_here(), accepted = accept_one(), pair[2];
	struct authority_answer answer;
	struct process_facts facts;

	assert_true(authority_read_process(&authority, accepted, &facts, &answer));
	assert_int_equal(facts.executable[0] == '/', identity_pidfd_error(accepted) == 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_false(authority_read_process(&authority, pair[0], &facts, &answer));
	assert_int_equal(answer.status, HELPER_BAD_REQUEST);
	assert_false(authority_read_process(&authority, client, &facts, &answer));
	close(pair[0]);
	close(pair[1]);
	close(client);
	close(accepted);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(reads_what_the_policy_asks_for),
		TEST(reads_nothing_that_nobody_asks_for),
		TEST(knows_nothing_of_who_has_ended),
		TEST(tells_the_broker_of_clients_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
