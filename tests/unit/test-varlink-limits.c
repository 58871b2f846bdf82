/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Too many clients, too few descriptors: said where it can be said, and nothing spins. Each test ends with
 * another client being served, and with no descriptor more than before.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fail-alloc.h"
#include "util/cleanup.h"
#define VARLINK_SUITE_WITNESS
#include "varlink-suite.h"

static int setup_few_in_all(void **state)
{
	struct varlink_limits limits;

	fixture_default_limits(&limits);
	limits.max_connections = 3;
	return setup_with(&limits);
}

/* ---- too many ---- */

static void limits_connections_of_one_user(void **state)
{
	struct varlink_client a = new_client(), b = new_client(), c = new_client();
	struct varlink_reply reply;

	assert_served(&a);
	assert_served(&b);
	varlink_client_send_call(&c, "test.Echo", NULL, NULL);
	assert_int_equal(varlink_client_receive(&c, &reply), 0);
	assert_string_equal(reply.error, "io.iommud.QuotaExceeded");
	assert_string_equal(varlink_reply_string(&reply, "quota"), "connectionsPerUser");
	assert_int_equal(varlink_reply_int(&reply, "limit"), 3);
	assert_non_null(varlink_reply_string(&reply, "message"));
	varlink_reply_clear(&reply);
	assert_int_equal(varlink_client_await_close(&c), 0);
	varlink_client_close(&c);
	varlink_client_close(&a);
	fixture_run(&fixture);
	c = new_client();
	assert_served(&c);
	varlink_client_close(&b);
	varlink_client_close(&c);
}

static void limits_connections_of_all(void **state)
{
	struct varlink_client a = new_client(), b = new_client(), c = new_client();

	assert_error(&c, "io.iommud.QuotaExceeded", "quota", "connections");
	assert_int_equal(varlink_client_await_close(&c), 0);
	assert_served(&a);
	assert_served(&b);
	varlink_client_close(&a);
	varlink_client_close(&b);
	varlink_client_close(&c);
}

static void set_fd_limit(rlim_t limit, struct rlimit *ret_before)
{
	struct rlimit now;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
	if (ret_before)
		*ret_before = now;
	now.rlim_cur = limit;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
}

static void shows_clients_out_when_descriptors_are_used_up(void **state)
{
	struct varlink_client clients[3];
	struct rlimit before;
	int highest;

	assert_served(&witness);
	for (int i = 0; i < 3; i++)
		clients[i] = new_client();
	highest = fcntl(fixture.pipe_write, F_DUPFD_CLOEXEC, 0);
	close_fd(highest);
	set_fd_limit(highest, &before);
	assert_in_range(fixture_run(&fixture), 1, 10);
	assert_int_equal(fixture.n_connected, 1);
	set_fd_limit(before.rlim_cur, NULL);
	for (int i = 0; i < 3; i++) {
		assert_error(&clients[i], "io.iommud.QuotaExceeded", "quota", "descriptors");
		assert_int_equal(varlink_client_await_close(&clients[i]), 0);
		varlink_client_close(&clients[i]);
	}
	clients[0] = new_client();
	assert_served(&clients[0]);
	varlink_client_close(&clients[0]);
}

static void pauses_when_even_the_reserve_does_not_help(void **state)
{
	struct varlink_client client;
	struct rlimit before;

	assert_served(&witness);
	client = new_client();
	set_fd_limit(3, &before);
	assert_in_range(fixture_run(&fixture), 1, 3);
	assert_served(&witness);
	assert_int_equal(fixture_run(&fixture), 0);
	set_fd_limit(before.rlim_cur, NULL);
	assert_true(fixture_expire(&fixture) >= 1);
	assert_served(&client);
	varlink_client_close(&client);
}

/* ---- too little memory ---- */

/* Reads all there is without allocating. true: there was something. */
static bool drain(struct varlink_client *client, size_t *n_messages)
{
	static char buffer[65536];
	ssize_t n = recv(client->fd, buffer, sizeof(buffer), MSG_DONTWAIT);

	for (ssize_t i = 0; i < n; i++)
		*n_messages += buffer[i] == '\0';
	return n > 0;
}

/*
 * A client's whole life, from accept() to its end, with a large stream that must be queued, and with descriptors. It is
 * answered in full, or closed, but never left waiting.
 */
static bool live_with_failure(unsigned int nth)
{
	static const char text[] = "{\"method\":\"test.Nowhere\"}\0{\"method\":\"nowhere.Nothing\"}";
	struct varlink_client client = new_client();
	size_t n_messages = 0;
	bool failed;
	char end;

	varlink_client_send_call(&client, "test.Stream", "{\"number\":5,\"size\":5000}", "\"more\":true");
	varlink_client_send_call(&client, "test.Fds", "{\"number\":2}", NULL);
	varlink_client_send(&client, text, sizeof(text), NULL, 0);
	fail_alloc_begin(nth);
	do {
		assert_true(fixture_run(&fixture) >= 0);
	} while (drain(&client, &n_messages));
	failed = fail_alloc_end();
	if (n_messages < 8)
		assert_int_equal(recv(client.fd, &end, 1, MSG_DONTWAIT), 0);
	varlink_client_close(&client);
	fixture_run(&fixture);
	assert_served(&witness);
	return failed;
}

static void survives_every_allocation_that_fails(void **state)
{
	unsigned int nth = 1;

	assert_served(&witness);
	while (live_with_failure(nth) && nth < 1000)
		nth++;
	/* It did sweep something. */
	assert_in_range(nth, 12, 999);
	assert_int_equal(varlink_server_n_connections(fixture.server), 1);
}

/* ---- too many descriptors in flight, which the kernel counts for users without capabilities only ---- */

static void ask_and_expect(struct varlink_client *client, const char *method, const char *parameters, const char *flags,
			   size_t n_skipped)
{
	struct varlink_reply reply;

	assert_int_equal(varlink_client_send_call(client, method, parameters, flags), 0);
	fixture_run(&fixture);
	for (; n_skipped > 0; n_skipped--) {
		assert_int_equal(varlink_client_receive(client, &reply), 0);
		assert_null(reply.error);
		varlink_reply_clear(&reply);
	}
	assert_int_equal(varlink_client_receive(client, &reply), 0);
	assert_non_null(reply.error);
	assert_string_equal(reply.error, "io.iommud.QuotaExceeded");
	assert_string_equal(varlink_reply_string(&reply, "quota"), "descriptorsInFlight");
	assert_int_equal(reply.n_fds, 0);
	varlink_reply_clear(&reply);
}

static void exceed_descriptors_in_flight(struct varlink_client *hoarder, struct varlink_client *honest,
					 struct varlink_client *queued)
{
	assert_int_equal(setresuid(64999, 64999, 64999), 0);
	/* The limit is held against what is in flight, 66, and leaves room for what a reply needs. */
	ask_for_fds(hoarder, 1, 66);
	fixture_run(&fixture);
	assert_int_equal(fixture.last_result, 0);
	set_fd_limit(60, NULL);
	ask_and_expect(honest, "test.Fds", "{\"number\":1}", NULL, 0);
	assert_int_equal(fixture.last_result, -ETOOMANYREFS);
	assert_served(honest);
	/* Queued behind a large reply: found out later, when nobody can be told but the client. */
	ask_and_expect(queued, "test.StreamFds", "{\"size\":100000}", "\"more\":true", 1);
	assert_int_equal(fixture.last_result, 0);
	assert_int_equal(varlink_client_await_close(queued), 0);
	assert_int_equal(fixture.n_disconnected, 1);
	assert_int_equal(fixture_run(&fixture), 0);
}

static void tells_when_too_many_descriptors_are_in_flight(void **state)
{
	struct varlink_client hoarder = new_client(), honest = new_client(), queued = new_client();
	int status;
	pid_t pid;

	if (geteuid() != 0)
		skip();
	assert_served(&honest);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		exceed_descriptors_in_flight(&hoarder, &honest, &queued);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	varlink_client_close(&hoarder);
	varlink_client_close(&honest);
	varlink_client_close(&queued);
	/* The child has shut down the sockets that are ours as well. */
	varlink_client_close(&witness);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
#define TEST_WITH(setup_function, function) cmocka_unit_test_setup_teardown(function, setup_function, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_WITH(setup_few, limits_connections_of_one_user),
		TEST_WITH(setup_few_in_all, limits_connections_of_all),
		TEST(shows_clients_out_when_descriptors_are_used_up),
		TEST(pauses_when_even_the_reserve_does_not_help),
		TEST(survives_every_allocation_that_fails),
		TEST(tells_when_too_many_descriptors_are_in_flight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
