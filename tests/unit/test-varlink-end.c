/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How connections and the server end, and how it begins to listen. Nothing is left behind, which each teardown checks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "varlink-suite.h"

static void answers_who_only_shut_down_its_sending_side(void **state)
{
	struct varlink_client client = new_client();
	struct varlink_reply reply;

	varlink_client_send_call(&client, "test.Echo", "{\"number\":1}", NULL);
	varlink_client_send_call(&client, "test.Echo", "{\"number\":2}", NULL);
	shutdown(client.fd, SHUT_WR);
	for (int i = 1; i <= 2; i++) {
		assert_int_equal(varlink_client_receive(&client, &reply), 0);
		assert_int_equal(varlink_reply_int(&reply, "number"), i);
		varlink_reply_clear(&reply);
	}
	assert_int_equal(varlink_client_await_close(&client), 0);
	varlink_client_close(&client);
}

static void tells_of_a_hang_up_during_a_pending_call(void **state)
{
	struct varlink_client client = new_client();

	varlink_client_send_call(&client, "test.Later", NULL, NULL);
	fixture_run(&fixture);
	assert_int_equal(fixture.n_pending, 1);
	/* What is queued behind does not hide it. */
	varlink_client_send_call(&client, "test.Echo", NULL, NULL);
	varlink_client_close(&client);
	assert_true(fixture_run(&fixture) >= 1);
	assert_int_equal(fixture.n_disconnected, 1);
	assert_int_equal(fixture.n_handled, 1);
	assert_int_equal(varlink_server_n_connections(fixture.server), 0);
}

static int reply_in_disconnected_result;

static void reply_in_disconnected(struct varlink_fixture *f, struct varlink_connection *connection)
{
	int extra = fcntl(f->pipe_write, F_DUPFD_CLOEXEC, 0);

	reply_in_disconnected_result = varlink_reply(f->pending[0], json_object_new_object(), &extra, 1, false);
	assert_int_equal(varlink_error(f->pending[0], "test.Failed", json_object_new_object()), -EPIPE);
}

static void bears_a_reply_from_inside_of_disconnected(void **state)
{
	struct varlink_client client = new_client();

	fixture.on_disconnected = reply_in_disconnected;
	varlink_client_send_call(&client, "test.Later", NULL, NULL);
	fixture_run(&fixture);
	varlink_client_close(&client);
	fixture_run(&fixture);
	assert_int_equal(reply_in_disconnected_result, -EPIPE);
	assert_int_equal(fixture.n_disconnected, 1);
}

/* The client is gone, and the server has not looked yet. */
static void says_so_when_a_deferred_reply_comes_too_late(void **state)
{
	struct varlink_client client = new_client();
	int extra = fcntl(fixture.pipe_write, F_DUPFD_CLOEXEC, 0);

	varlink_client_send_call(&client, "test.Later", NULL, "\"more\":true");
	fixture_run(&fixture);
	varlink_client_close(&client);
	assert_int_equal(varlink_reply(fixture.pending[0], NULL, &extra, 1, true), -EPIPE);
	assert_int_equal(fixture.n_disconnected, 0);
	assert_int_equal(varlink_reply(fixture.pending[0], NULL, NULL, 0, false), -EPIPE);
	fixture_run(&fixture);
	assert_int_equal(fixture.n_disconnected, 1);
	assert_int_equal(fixture_await_pipe_closed(&fixture), 0);
}

static void reply_to_others(struct varlink_fixture *f, struct varlink_connection *connection)
{
	for (size_t i = 0; i < f->n_pending; i++)
		if (varlink_call_get_connection(f->pending[i]) != connection)
			varlink_reply(f->pending[i], NULL, NULL, 0, true);
}

/* Each end is published to the others, who find that they are gone too. */
static void bears_connections_that_end_each_other(void **state)
{
	struct varlink_client clients[8];

	fixture.on_disconnected = reply_to_others;
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		clients[i] = new_client();
		varlink_client_send_call(&clients[i], "test.Later", NULL, "\"more\":true");
	}
	fixture_run(&fixture);
	assert_int_equal(fixture.n_pending, ARRAY_SIZE(clients));
	for (size_t i = 0; i + 1 < ARRAY_SIZE(clients); i++)
		varlink_client_close(&clients[i]);
	fixture_run(&fixture);
	assert_int_equal(fixture.n_disconnected, ARRAY_SIZE(clients) - 1);
	assert_int_equal(fixture.n_pending, 1);
	varlink_client_close(&clients[ARRAY_SIZE(clients) - 1]);
}

static void closes_on_a_fault(void **state)
{
	struct varlink_client client = new_client(), other = new_client();

	varlink_client_send_call(&client, "test.Fault", NULL, NULL);
	assert_int_equal(varlink_client_await_close(&client), 0);
	assert_int_equal(fixture.n_disconnected, 1);
	assert_served(&other);
	varlink_client_close(&client);
	varlink_client_close(&other);
}

static void closes_whom_the_user_refuses(void **state)
{
	struct varlink_client client;

	fixture.refuse = -EPERM;
	client = new_client();
	assert_int_equal(varlink_client_await_close(&client), 0);
	fixture_run(&fixture);
	assert_int_equal(fixture.n_disconnected, 0);
	assert_int_equal(varlink_server_n_connections(fixture.server), 0);
	varlink_client_close(&client);
}

static void ends_all_connections_when_it_is_freed(void **state)
{
	struct varlink_client clients[3];

	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		clients[i] = new_client();
		varlink_client_send_call(&clients[i], "test.Later", NULL, NULL);
	}
	fixture_run(&fixture);
	assert_int_equal(varlink_server_n_connections(fixture.server), 3);
	fixture.server = varlink_server_free(fixture.server);
	assert_int_equal(fixture.n_disconnected, 3);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		clients[i].pump = NULL;
		assert_int_equal(varlink_client_await_close(&clients[i]), 0);
		varlink_client_close(&clients[i]);
	}
}

static void wants_limits_that_let_somebody_in(void **state)
{
	struct varlink_server *server = NULL;

	for (int i = 0; i < 6; i++) {
		struct varlink_server_config config = fixture.config;

		config.limits.max_connections *= i != 0;
		config.limits.max_connections_per_uid *= i != 1;
		config.limits.frame_timeout_usec *= i != 2;
		config.limits.send_timeout_usec *= i != 3;
		config.limits.send_buffer_max *= i != 4;
		if (i == 5)
			config.vendor = NULL;
		assert_int_equal(varlink_server_new(&config, &server), -EINVAL);
		assert_null(server);
	}
	assert_null(varlink_server_free(NULL));
}

static void takes_only_listening_unix_sockets(void **state)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(varlink_server_add_listener(fixture.server, pair[0]), -EINVAL);
	assert_int_equal(fcntl(pair[0], F_GETFD), -1);
	close_fd(pair[1]);
	assert_int_equal(varlink_server_add_listener(fixture.server, fcntl(fixture.pipe_read, F_DUPFD_CLOEXEC, 0)),
			 -ENOTSOCK);
}

static void listens_for_everybody(void **state)
{
	struct stat st;

	assert_int_equal(stat(fixture.path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0666);
}

static void replaces_a_stale_socket_only(void **state)
{
	char path[sizeof(fixture.path) + 8];
	int fd;

	assert_int_equal(varlink_listen(fixture.path), -EADDRINUSE);
	snprintf(path, sizeof(path), "%.80s2", fixture.path);
	fd = varlink_listen(path);
	assert_true(fd >= 0);
	close_fd(fd);
	fd = varlink_listen(path);
	assert_true(fd >= 0);
	close_fd(fd);
	assert_int_equal(unlink(path), 0);
	close_fd(open(path, O_CREAT | O_EXCL | O_CLOEXEC | O_WRONLY, 0600));
	assert_int_equal(varlink_listen(path), -EEXIST);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(varlink_listen("/nonexistent/socket"), -ENOENT);
	assert_int_equal(varlink_listen(""), -EINVAL);
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(varlink_listen(path), -ENAMETOOLONG);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(answers_who_only_shut_down_its_sending_side),
		TEST(tells_of_a_hang_up_during_a_pending_call),
		TEST(bears_a_reply_from_inside_of_disconnected),
		TEST(says_so_when_a_deferred_reply_comes_too_late),
		TEST(bears_connections_that_end_each_other),
		TEST(closes_on_a_fault),
		TEST(closes_whom_the_user_refuses),
		TEST(ends_all_connections_when_it_is_freed),
		TEST(wants_limits_that_let_somebody_in),
		TEST(takes_only_listening_unix_sockets),
		TEST(listens_for_everybody),
		TEST(replaces_a_stale_socket_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
