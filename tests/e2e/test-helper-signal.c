/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Signals to clients, asked of the real helper: what must be open and allowed for one, and that it waits for nothing. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "helper-harness.h"
#include "util/cleanup.h"

#define RULE(on_timeout)                                                                                              \
	"[Match]\nAddress=" NIC " " DISK "\n[Client]\nUser=root\n[Grant]\nAction=allow\nOnReleaseTimeout=" on_timeout \
	"\n[Match]\nAddress=" WANTED " " BYSTANDER "\n[Client]\nUser=root\n[Grant]\nAction=allow\n"                   \
	"GroupScope=whole\nBystanders=park\nOnReleaseTimeout=" on_timeout "\n"

/* A client in a process of its own. */
struct client {
	pid_t pid;
	int accepted;
};

static struct client start_client(struct harness *harness)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	struct client client;

	snprintf(name.sun_path, sizeof(name.sun_path), "%s", harness->client_path);
	client.pid = fork();
	assert_true(client.pid >= 0);
	if (client.pid == 0) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGTERM, SIG_DFL);
		if (connect(fd, (struct sockaddr *)&name, sizeof(name)) < 0)
			_exit(1);
		for (;;)
			pause();
	}
	client.accepted = accept4(harness->listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(client.accepted >= 0);
	return client;
}

/* The signal that it ended by, now. */
static void assert_ended_by(struct client *client, int number)
{
	int status;

	assert_int_equal(waitpid(client->pid, &status, 0), client->pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), number);
	client->accepted = close_fd(client->accepted);
}

static void stop_client(struct client *client)
{
	assert_int_equal(waitpid(client->pid, NULL, WNOHANG), 0);
	assert_int_equal(kill(client->pid, SIGKILL), 0);
	assert_ended_by(client, SIGKILL);
}

static struct helper_reply ask(struct harness *harness, uint64_t transaction, int fd, uint32_t flags)
{
	struct helper_request request = harness_request(harness, HELPER_SIGNAL);
	struct helper_reply reply;

	request.transaction = transaction;
	request.flags = flags;
	memcpy(request.digest, harness->digest, DIGEST_SIZE);
	reply = harness_call(harness, &request, fd);
	assert_int_equal(reply.transaction, transaction);
	return reply;
}

static void begin(struct harness *harness, const char *policy)
{
	struct helper_request reload;
	struct helper_reply reply;

	harness_start(harness);
	harness_write_policy(harness, policy);
	reload = harness_request(harness, HELPER_RELOAD);
	reply = harness_call(harness, &reload, -1);
	assert_int_equal(reply.status, HELPER_OK);
	memcpy(harness->digest, reply.digest, DIGEST_SIZE);
}

/* The restore holds the device's lock: whatever the helper read in sysfs of it would wait as well. */
static void signals_while_the_unbind_hangs(void **state)
{
	struct harness *harness = *state;
	struct helper_reply prepared, reply;
	struct client client;

	begin(harness, RULE("kill"));
	client = start_client(harness);
	prepared = harness_prepare(harness, NIC);
	fuse_sysfs_hold(harness->sysfs, NIC);
	harness_send_restore(harness, prepared.transaction);
	assert_true(fuse_sysfs_wait_blocked(harness->sysfs, NIC, HARNESS_WAIT));
	reply = ask(harness, prepared.transaction, client.accepted, 0);
	assert_int_equal(reply.status, HELPER_OK);
	assert_ended_by(&client, SIGTERM);
	fuse_sysfs_let_go(harness->sysfs, NIC);
	assert_true(harness_receive(harness, &reply));
	assert_int_equal(reply.status, HELPER_OK);
}

static void kills_when_it_is_asked_to(void **state)
{
	struct harness *harness = *state;
	struct helper_reply prepared;
	struct client client;

	begin(harness, RULE("kill"));
	client = start_client(harness);
	prepared = harness_prepare(harness, NIC);
	assert_int_equal(ask(harness, prepared.transaction, client.accepted, HELPER_KILL).status, HELPER_OK);
	assert_ended_by(&client, SIGKILL);
	harness_restore(harness, prepared.transaction);
}

static void goes_no_further_than_the_rule(void **state)
{
	struct harness *harness = *state;
	struct helper_reply prepared, reply;
	struct client client;

	begin(harness, RULE("terminate"));
	client = start_client(harness);
	prepared = harness_prepare(harness, NIC);
	reply = ask(harness, prepared.transaction, client.accepted, HELPER_KILL);
	assert_int_equal(reply.status, HELPER_REFUSED);
	assert_non_null(strstr(reply.detail, "has OnReleaseTimeout=terminate"));
	stop_client(&client);
	harness_restore(harness, prepared.transaction);
}

static void wants_a_transaction_that_is_open(void **state)
{
	struct harness *harness = *state;
	struct helper_reply prepared;
	struct client client;

	begin(harness, RULE("kill"));
	client = start_client(harness);
	assert_int_equal(ask(harness, 77, client.accepted, 0).status, HELPER_NO_SUCH_TRANSACTION);
	prepared = harness_prepare(harness, NIC);
	harness_restore(harness, prepared.transaction);
	assert_int_equal(ask(harness, prepared.transaction, client.accepted, 0).status, HELPER_NO_SUCH_TRANSACTION);
	stop_client(&client);
}

static void wants_the_policy_that_the_broker_has(void **state)
{
	struct harness *harness = *state;
	struct helper_reply prepared, reply;
	struct client client;

	begin(harness, RULE("kill"));
	client = start_client(harness);
	prepared = harness_prepare(harness, NIC);
	harness->digest[0] ^= 1;
	reply = ask(harness, prepared.transaction, client.accepted, 0);
	assert_int_equal(reply.status, HELPER_POLICY_DIFFERS);
	assert_non_null(strstr(reply.detail, "reload both"));
	stop_client(&client);
	harness_restore(harness, prepared.transaction);
}

/* Allowed the device or not: nobody has what is parked. */
static void signals_nobody_for_a_bystander(void **state)
{
	struct harness *harness = *state;
	struct helper_reply parked, reply;
	struct client client;

	begin(harness, RULE("kill"));
	client = start_client(harness);
	parked = harness_park(harness, BYSTANDER, WANTED);
	assert_int_equal(parked.status, HELPER_OK);
	reply = ask(harness, parked.transaction, client.accepted, 0);
	assert_int_equal(reply.status, HELPER_REFUSED);
	assert_non_null(strstr(reply.detail, "is parked"));
	stop_client(&client);
	harness_restore(harness, parked.transaction);
}

static void wants_a_clients_socket(void **state)
{
	struct harness *harness = *state;
	struct helper_reply prepared;

	begin(harness, RULE("kill"));
	prepared = harness_prepare(harness, NIC);
	assert_int_equal(ask(harness, prepared.transaction, harness->listener, 0).status, HELPER_BAD_REQUEST);
	assert_int_equal(ask(harness, prepared.transaction, harness->client, 0).status, HELPER_BAD_REQUEST);
	harness_restore(harness, prepared.transaction);
}

/* The helper is done with all that was asked before: a reply goes out before the request's descriptor is closed. */
static size_t count_fds(struct harness *harness)
{
	struct helper_request hello = harness_request(harness, HELPER_HELLO);

	harness_call(harness, &hello, -1);
	return harness_count_fds(harness);
}

static void leaks_no_descriptor(void **state)
{
	struct harness *harness = *state;
	struct helper_reply prepared;
	struct client client;
	size_t before;

	begin(harness, RULE("leave"));
	client = start_client(harness);
	prepared = harness_prepare(harness, NIC);
	before = count_fds(harness);
	for (int i = 0; i < 20; i++)
		assert_int_equal(ask(harness, prepared.transaction, client.accepted, 0).status, HELPER_REFUSED);
	assert_int_equal(count_fds(harness), before);
	stop_client(&client);
	harness_restore(harness, prepared.transaction);
}

static int set_up(void **state)
{
	static struct harness harness;

	harness = (struct harness){ 0 };
	*state = &harness;
	return 0;
}

static int tear_down(void **state)
{
	harness_stop(*state);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(signals_while_the_unbind_hangs),
		TEST(kills_when_it_is_asked_to),
		TEST(goes_no_further_than_the_rule),
		TEST(wants_a_transaction_that_is_open),
		TEST(wants_the_policy_that_the_broker_has),
		TEST(signals_nobody_for_a_bystander),
		TEST(wants_a_clients_socket),
		TEST(leaks_no_descriptor),
	};

	return cmocka_run_group_tests_name("helper-signal", tests, NULL, NULL);
}
