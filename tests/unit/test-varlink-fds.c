/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Descriptors nobody asked for: closed, counted, and nobody but their sender waits for it. Each test ends with
 * another client being served, and with no descriptor more than before.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/cleanup.h"
#define VARLINK_SUITE_WITNESS
#include "varlink-suite.h"

/* ---- descriptors nobody asked for ---- */

static void send_fds(struct varlink_client *client, const void *data, size_t size, size_t n)
{
	int fds[VARLINK_CLIENT_FDS_MAX];

	for (size_t i = 0; i < n; i++)
		fds[i] = fixture.pipe_write;
	assert_int_equal(varlink_client_send(client, data, size, fds, n), 0);
}

static void assert_fds_refused(struct varlink_client *client, int count)
{
	struct varlink_reply reply;

	assert_int_equal(varlink_client_receive(client, &reply), 0);
	assert_string_equal(reply.error, "io.iommud.UnexpectedFileDescriptors");
	assert_int_equal(varlink_reply_int(&reply, "count"), count);
	varlink_reply_clear(&reply);
}

static void closes_descriptors_nobody_asked_for(void **state)
{
	static const size_t counts[] = { 1, 3, 253 };
	static const char text[] = "{\"method\":\"test.Echo\"}";
	struct varlink_client client = new_client();

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		send_fds(&client, text, sizeof(text), counts[i]);
		assert_fds_refused(&client, counts[i]);
		assert_int_equal(fixture.n_handled, i);
		assert_served(&client);
	}
	assert_int_equal(fixture_await_pipe_closed(&fixture), 0);
	varlink_client_close(&client);
}

static void counts_descriptors_for_the_message_they_came_with(void **state)
{
	static const char text[] = "{\"method\":\"test.Echo\"}";
	struct varlink_client client = new_client();
	struct varlink_reply reply;

	/* In three pieces, two with descriptors, and a second message without any. */
	send_fds(&client, text, 5, 2);
	fixture_run(&fixture);
	assert_int_equal(varlink_client_send(&client, text + 5, 5, NULL, 0), 0);
	send_fds(&client, text + 10, sizeof(text) - 10, 1);
	assert_int_equal(varlink_client_send_text(&client, text), 0);
	assert_fds_refused(&client, 3);
	assert_int_equal(varlink_client_receive(&client, &reply), 0);
	assert_null(reply.error);
	varlink_reply_clear(&reply);
	assert_int_equal(fixture.n_handled, 1);
	assert_served(&client);
	varlink_client_close(&client);
}

/* What was sent before, without any, is read at once with what has some. */
static void blames_only_the_message_they_came_with(void **state)
{
	static const char text[] = "{\"method\":\"test.Echo\"}";
	struct varlink_client client = new_client();
	struct varlink_reply reply;

	for (int i = 0; i < 3; i++)
		assert_int_equal(varlink_client_send_text(&client, text), 0);
	send_fds(&client, text, 7, 2);
	assert_int_equal(varlink_client_send(&client, text + 7, sizeof(text) - 7, NULL, 0), 0);
	assert_int_equal(varlink_client_send_text(&client, text), 0);
	for (int i = 0; i < 5; i++) {
		if (i == 3) {
			assert_fds_refused(&client, 2);
			continue;
		}
		assert_int_equal(varlink_client_receive(&client, &reply), 0);
		assert_null(reply.error);
		varlink_reply_clear(&reply);
	}
	assert_int_equal(fixture.n_handled, 4);
	varlink_client_close(&client);
}

static void closes_descriptors_of_messages_it_refuses(void **state)
{
	static const char text[] = "no call";
	_cleanup_free_ char *large = calloc(1, VARLINK_FRAME_MAX + 100);
	struct varlink_client client = new_client();

	send_fds(&client, text, sizeof(text), 5);
	assert_error(&client, "io.iommud.InvalidMessage", NULL, NULL);
	assert_int_equal(varlink_client_await_close(&client), 0);
	varlink_client_close(&client);
	client = new_client();
	memset(large, ' ', VARLINK_FRAME_MAX + 99);
	send_fds(&client, large, VARLINK_FRAME_MAX + 100, 5);
	assert_error(&client, "io.iommud.MessageTooLarge", NULL, NULL);
	varlink_client_close(&client);
	client = new_client();
	send_fds(&client, "half", 4, 5);
	fixture_run(&fixture);
	varlink_client_close(&client);
	assert_int_equal(fixture_await_pipe_closed(&fixture), 0);
	fixture_run(&fixture);
}

/* They lie in our socket, unread, because a call is pending. */
static void closes_descriptors_it_never_received(void **state)
{
	static const char text[] = "{\"method\":\"test.Echo\"}";
	struct varlink_client client = new_client();

	varlink_client_send_call(&client, "test.Later", NULL, NULL);
	fixture_run(&fixture);
	send_fds(&client, text, sizeof(text), 9);
	varlink_client_close(&client);
	fixture_run(&fixture);
	assert_int_equal(fixture.n_disconnected, 1);
	assert_int_equal(fixture_await_pipe_closed(&fixture), 0);
	assert_served(&witness);
}

/* A TCP socket with unsent data and SO_LINGER: its last close(2) blocks for as long as its sender said. */
static int lingering_socket(int *ret_peer, int *ret_listener)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct linger linger = { .l_onoff = 1, .l_linger = 600 };
	socklen_t size = sizeof(address);
	static char zeros[65536];
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*ret_listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(*ret_listener, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(*ret_listener, 1), 0);
	assert_int_equal(getsockname(*ret_listener, (struct sockaddr *)&address, &size), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, size), 0);
	*ret_peer = accept4(*ret_listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(*ret_peer >= 0);
	while (send(fd, zeros, sizeof(zeros), MSG_DONTWAIT) > 0)
		;
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	return fd;
}

static void is_not_held_up_by_a_descriptor_that_will_not_close(void **state)
{
	static const char text[] = "{\"method\":\"test.Echo\"}";
	struct varlink_client client = new_client(), late = new_client();
	int peers[2], listeners[2], fds[2];

	for (int i = 0; i < 2; i++)
		fds[i] = lingering_socket(&peers[i], &listeners[i]);
	assert_int_equal(varlink_client_send(&client, text, sizeof(text), &fds[0], 1), 0);
	close_fd(fds[0]);
	assert_int_equal(varlink_client_send_call(&late, "test.Later", NULL, NULL), 0);
	assert_true(fixture_run(&fixture) < 100);
	/* The second lies unread in our socket when that is closed. */
	assert_int_equal(varlink_client_send(&late, text, sizeof(text), &fds[1], 1), 0);
	close_fd(fds[1]);
	varlink_client_close(&late);
	assert_true(fixture_run(&fixture) < 100);
	assert_served(&witness);
	/* Its sender waits for it, and so is the only one to. */
	assert_int_equal(fixture.n_handled, 2);
	for (int i = 0; i < 2; i++) {
		static const struct linger reset = { .l_onoff = 1, .l_linger = 0 };

		/* The other end resets: now they close. */
		assert_int_equal(setsockopt(peers[i], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
		close_fd(peers[i]);
		close_fd(listeners[i]);
	}
	assert_fds_refused(&client, 1);
	varlink_client_close(&client);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(closes_descriptors_nobody_asked_for),    TEST(counts_descriptors_for_the_message_they_came_with),
		TEST(blames_only_the_message_they_came_with), TEST(closes_descriptors_of_messages_it_refuses),
		TEST(closes_descriptors_it_never_received),   TEST(is_not_held_up_by_a_descriptor_that_will_not_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
