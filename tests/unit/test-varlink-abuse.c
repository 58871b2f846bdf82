/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a stranger may try on the client socket. Each test ends with another client being served, and with no descriptor
 * more than before.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "varlink-fixture.h"

static struct varlink_fixture fixture;
static struct varlink_client witness; /* connected all the time, and to be served whatever happens */

static int setup_with(const struct varlink_limits *limits)
{
	int r = fixture_start(&fixture, limits);

	return r < 0 ? r : fixture_connect(&fixture, &witness);
}

static int setup(void **state)
{
	return setup_with(NULL);
}

/* One for the witness, two more. */
static int setup_few(void **state)
{
	struct varlink_limits limits;

	fixture_default_limits(&limits);
	limits.max_connections_per_uid = 3;
	return setup_with(&limits);
}

static int setup_few_in_all(void **state)
{
	struct varlink_limits limits;

	fixture_default_limits(&limits);
	limits.max_connections = 3;
	return setup_with(&limits);
}

static int setup_small_buffer(void **state)
{
	struct varlink_limits limits;

	fixture_default_limits(&limits);
	limits.send_buffer_max = 100000;
	return setup_with(&limits);
}

static void assert_served(struct varlink_client *client)
{
	struct varlink_reply reply;

	assert_int_equal(varlink_client_call(client, "test.Echo", "{\"number\":42}", NULL, &reply), 0);
	assert_null(reply.error);
	assert_int_equal(varlink_reply_int(&reply, "number"), 42);
	varlink_reply_clear(&reply);
}

static int teardown(void **state)
{
	if (witness.fd >= 0)
		assert_served(&witness);
	varlink_client_close(&witness);
	return fixture_stop(&fixture);
}

static struct varlink_client new_client(void)
{
	struct varlink_client client;

	assert_int_equal(fixture_connect(&fixture, &client), 0);
	return client;
}

static void assert_error(struct varlink_client *client, const char *name, const char *key, const char *value)
{
	struct varlink_reply reply;

	assert_int_equal(varlink_client_receive(client, &reply), 0);
	assert_non_null(reply.error);
	assert_string_equal(reply.error, name);
	if (key)
		assert_string_equal(varlink_reply_string(&reply, key), value);
	varlink_reply_clear(&reply);
}

/* No varlink call: one named error, then the end. */
static void assert_refused(const void *data, size_t size, const char *reason)
{
	struct varlink_client client = new_client();
	unsigned int n_handled = fixture.n_handled;

	assert_int_equal(varlink_client_send(&client, data, size, NULL, 0), 0);
	assert_error(&client, "io.iommud.InvalidMessage", "reason", reason);
	assert_int_equal(varlink_client_await_close(&client), 0);
	varlink_client_close(&client);
	assert_int_equal(fixture.n_handled, n_handled);
}

static void assert_text_refused(const char *text, const char *reason)
{
	assert_refused(text, strlen(text) + 1, reason);
}

static void refuses_what_is_no_json(void **state)
{
	unsigned char noise[256];
	unsigned int seed = 1;

	for (size_t i = 0; i < sizeof(noise) - 1; i++)
		noise[i] = 1 + (seed = seed * 1103515245 + 12345) / 65536 % 255;
	noise[sizeof(noise) - 1] = '\0';
	assert_refused(noise, sizeof(noise), "not a JSON object");
	assert_text_refused("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "not a JSON object");
	assert_text_refused("", "not a JSON object");
	assert_text_refused("[]", "not a JSON object");
	assert_text_refused("{\"method\":\"test.Echo\"", "no comma or closing bracket after a value");
	assert_text_refused("{\"method\":\"test.Echo\xff\"}", "not UTF-8");
}

static void refuses_single_quotes(void **state)
{
	assert_text_refused("{'method':'test.Echo'}", "no string in double quotes where one must be");
}

static void refuses_duplicate_keys(void **state)
{
	assert_text_refused("{\"method\":\"test.Echo\",\"method\":\"test.Fds\"}", "duplicate key");
	assert_text_refused("{\"method\":\"test.Echo\",\"parameters\":{\"text\":\"a\",\"text\":\"b\"}}",
			    "duplicate key");
}

static void refuses_embedded_nul(void **state)
{
	static const char raw[] = "{\"method\":\"test\0.Echo\"}";

	assert_refused(raw, sizeof(raw), "unterminated string");
	assert_text_refused("{\"method\":\"test.Echo\\u0000\"}", "NUL in a string");
}

static void refuses_numbers_out_of_range(void **state)
{
	struct varlink_client client = new_client();

	assert_text_refused("{\"method\":\"test.Echo\",\"parameters\":{\"number\":18446744073709551616}}",
			    "number out of range");
	varlink_client_send_call(&client, "test.Echo", "{\"number\":4294967296}", NULL);
	assert_error(&client, "org.varlink.service.InvalidParameter", "parameter", "number");
	varlink_client_send_call(&client, "test.Echo", "{\"number\":-1}", NULL);
	assert_error(&client, "org.varlink.service.InvalidParameter", "parameter", "number");
	assert_served(&client);
	varlink_client_close(&client);
}

static void names_the_parameter_of_a_wrong_type(void **state)
{
	struct varlink_client client = new_client();

	varlink_client_send_call(&client, "test.Echo", "{\"number\":\"12abc\"}", NULL);
	assert_error(&client, "org.varlink.service.InvalidParameter", "parameter", "number");
	varlink_client_send_call(&client, "test.Echo", "{\"text\":7}", NULL);
	assert_error(&client, "org.varlink.service.InvalidParameter", "parameter", "text");
	varlink_client_send_call(&client, "test.Echo", "{\"list\":[1]}", NULL);
	assert_error(&client, "org.varlink.service.InvalidParameter", "parameter", "list");
	varlink_client_send_call(&client, "test.Echo", "{\"unheardOf\":1}", NULL);
	assert_error(&client, "org.varlink.service.InvalidParameter", "parameter", "unheardOf");
	assert_int_equal(fixture.n_handled, 0);
	assert_served(&client);
	varlink_client_close(&client);
}

static void refuses_a_call_object_that_is_none(void **state)
{
	_cleanup_free_ char *text = calloc(1, 2000);

	assert_text_refused("{}", "'method' is missing, unknown, or of the wrong type");
	assert_text_refused("{\"method\":1}", "'method' is missing, unknown, or of the wrong type");
	assert_text_refused("{\"method\":\"test.Echo\",\"parameters\":[]}",
			    "'parameters' is missing, unknown, or of the wrong type");
	assert_text_refused("{\"method\":\"test.Echo\",\"more\":1}",
			    "'more' is missing, unknown, or of the wrong type");
	assert_text_refused("{\"method\":\"test.Echo\",\"extra\":1}",
			    "'extra' is missing, unknown, or of the wrong type");
	assert_text_refused("{\"method\":\"test.Echo\",\"more\":true,\"oneway\":true}",
			    "'more' and 'oneway' exclude each other");
	/* A key of a thousand bytes is not quoted back, least of all half of its last character. */
	sprintf(text, "{\"method\":\"test.Echo\",\"");
	for (int i = 0; i < 500; i++)
		strcat(text, "\xc3\xa9");
	strcat(text, "\":1}");
	assert_text_refused(text, "a key is unknown");
}

static void answers_nothing_that_follows_a_refused_message(void **state)
{
	static const char text[] = "oops\0{\"method\":\"test.Echo\"}";
	struct varlink_client client = new_client();

	assert_int_equal(varlink_client_send(&client, text, sizeof(text), NULL, 0), 0);
	assert_error(&client, "io.iommud.InvalidMessage", "reason", "not a JSON object");
	assert_int_equal(varlink_client_await_close(&client), 0);
	assert_int_equal(fixture.n_handled, 0);
	varlink_client_close(&client);
}

static void refuses_ten_megabytes(void **state)
{
	size_t size = 10 * 1024 * 1024;
	_cleanup_free_ char *text = malloc(size);
	struct varlink_client client = new_client();
	struct varlink_reply reply;
	int r;

	memset(text, ' ', size);
	text[size - 1] = '\0';
	r = varlink_client_send(&client, text, size, NULL, 0);
	assert_true(r == -ECONNRESET || r == -EPIPE);
	assert_int_equal(varlink_client_receive(&client, &reply), 0);
	assert_string_equal(reply.error, "io.iommud.MessageTooLarge");
	assert_int_equal(varlink_reply_int(&reply, "limit"), VARLINK_FRAME_MAX);
	varlink_reply_clear(&reply);
	assert_int_equal(varlink_client_await_close(&client), 0);
	varlink_client_close(&client);
}

static void refuses_one_byte_too_many(void **state)
{
	_cleanup_free_ char *text = calloc(1, VARLINK_FRAME_MAX + 2);
	struct varlink_client client = new_client();

	memset(text, ' ', VARLINK_FRAME_MAX + 1);
	memcpy(text, "{\"method\":\"test.Echo\"}", 22);
	assert_int_equal(varlink_client_send_text(&client, text), 0);
	assert_error(&client, "io.iommud.MessageTooLarge", NULL, NULL);
	assert_int_equal(varlink_client_await_close(&client), 0);
	varlink_client_close(&client);
}

static void refuses_floods_of_brackets(void **state)
{
	_cleanup_free_ char *text = calloc(1, VARLINK_FRAME_MAX + 1);
	size_t size = sprintf(text, "{\"method\":\"test.Echo\",\"parameters\":{\"list\":[{}");

	while (size < VARLINK_FRAME_MAX - 10)
		size += sprintf(text + size, ",{}");
	strcpy(text + size, "]}}");
	assert_text_refused(text, "too many values and keys");
	memset(text, '[', VARLINK_FRAME_MAX);
	assert_text_refused(text, "not a JSON object");
	memcpy(text, "{\"a\":", 5);
	assert_text_refused(text, "nested too deep");
}

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

/* ---- time ---- */

static void closes_after_half_a_message_and_silence(void **state)
{
	struct varlink_client client = new_client();
	uint64_t deadline;

	assert_served(&client);
	assert_int_equal(varlink_server_next_deadline(fixture.server), UINT64_MAX);
	assert_int_equal(varlink_client_send(&client, "{\"meth", 6, NULL, 0), 0);
	fixture_run(&fixture);
	deadline = varlink_server_next_deadline(fixture.server);
	assert_true(deadline != UINT64_MAX);
	/* More of it is no reason to wait longer. */
	assert_int_equal(varlink_client_send(&client, "od\":", 4, NULL, 0), 0);
	fixture_run(&fixture);
	assert_int_equal(varlink_server_next_deadline(fixture.server), deadline);
	varlink_server_expire(fixture.server, deadline - 1);
	assert_int_equal(fixture.n_disconnected, 0);
	varlink_server_expire(fixture.server, deadline);
	assert_int_equal(fixture.n_disconnected, 1);
	assert_int_equal(varlink_client_await_close(&client), 0);
	varlink_client_close(&client);
	assert_int_equal(varlink_server_next_deadline(fixture.server), UINT64_MAX);
}

static void forgets_the_deadline_when_the_message_is_whole(void **state)
{
	struct varlink_client client = new_client();

	assert_int_equal(varlink_client_send(&client, "{\"method\":", 10, NULL, 0), 0);
	fixture_run(&fixture);
	assert_true(varlink_server_next_deadline(fixture.server) != UINT64_MAX);
	assert_int_equal(varlink_client_send_text(&client, "\"test.Later\"}"), 0);
	/* Half of the next one: as long as nobody reads it, nobody waits for its rest. */
	assert_int_equal(varlink_client_send(&client, "{\"meth", 6, NULL, 0), 0);
	fixture_run(&fixture);
	assert_int_equal(fixture.n_pending, 1);
	assert_int_equal(varlink_server_next_deadline(fixture.server), UINT64_MAX);
	varlink_client_close(&client);
}

/* ---- who does not read ---- */

static void ask_for_fds(struct varlink_client *client, int n_calls, int n_fds)
{
	char parameters[32];

	snprintf(parameters, sizeof(parameters), "{\"number\":%d}", n_fds);
	for (int i = 0; i < n_calls; i++)
		assert_int_equal(varlink_client_send_call(client, "test.Fds", parameters, NULL), 0);
}

static void handles_no_call_before_descriptors_are_read(void **state)
{
	struct varlink_client client = new_client();

	ask_for_fds(&client, 10, 3);
	/* No busy loop: a small unread reply leaves the socket writable. */
	assert_in_range(fixture_run(&fixture), 1, 10);
	assert_int_equal(fixture.n_handled, 1);
	assert_int_equal(fixture_run(&fixture), 0);
	assert_served(&witness);
	fixture.n_handled = 0;
	for (int i = 0; i < 10; i++) {
		struct varlink_reply reply;

		/* Reading one is what wakes the server for the next. */
		assert_int_equal(varlink_client_receive(&client, &reply), 0);
		assert_int_equal(reply.n_fds, 3);
		varlink_reply_clear(&reply);
		fixture_run(&fixture);
		assert_int_equal(fixture.n_handled, i < 9 ? i + 1 : 9);
	}
	assert_served(&client);
	varlink_client_close(&client);
}

static void handles_no_call_before_large_replies_are_read(void **state)
{
	struct varlink_client client = new_client();

	varlink_client_send_call(&client, "test.StreamFds", "{\"size\":3000}", "\"more\":true");
	ask_for_fds(&client, 3, 66);
	assert_in_range(fixture_run(&fixture), 1, 10);
	assert_int_equal(fixture.n_handled, 0);
	for (int i = 0; i < 5; i++) {
		struct varlink_reply reply;

		assert_int_equal(varlink_client_receive(&client, &reply), 0);
		varlink_reply_clear(&reply);
		assert_true(fixture_run(&fixture) < 10);
	}
	assert_int_equal(fixture.n_handled, 3);
	varlink_client_close(&client);
}

static void drops_who_does_not_read_descriptors(void **state)
{
	struct varlink_client client = new_client();

	ask_for_fds(&client, 10, 3);
	fixture_run(&fixture);
	assert_true(fixture_expire(&fixture) >= 0);
	assert_int_equal(fixture.n_disconnected, 1);
	assert_int_equal(varlink_server_n_connections(fixture.server), 1);
	assert_int_equal(fixture.n_handled, 1);
	/* Nothing else is kept of it, and nothing spins. */
	assert_int_equal(fixture_run(&fixture), 0);
	assert_int_equal(varlink_server_next_deadline(fixture.server), UINT64_MAX);
	varlink_client_close(&client);
	assert_true(fixture_run(&fixture) >= 1);
	assert_int_equal(fixture_await_pipe_closed(&fixture), 0);
}

static void drops_who_asked_once_and_never_reads(void **state)
{
	struct varlink_client client = new_client();

	ask_for_fds(&client, 1, 1);
	fixture_run(&fixture);
	assert_true(fixture_expire(&fixture) >= 0);
	assert_int_equal(fixture.n_disconnected, 1);
	varlink_client_close(&client);
}

static void keeps_who_has_read_without_a_further_call(void **state)
{
	struct varlink_client client = new_client();
	struct varlink_reply reply;

	ask_for_fds(&client, 1, 1);
	assert_int_equal(varlink_client_receive(&client, &reply), 0);
	varlink_reply_clear(&reply);
	assert_int_equal(fixture_expire(&fixture), 0);
	assert_int_equal(fixture.n_disconnected, 0);
	assert_int_equal(varlink_server_next_deadline(fixture.server), UINT64_MAX);
	assert_served(&client);
	varlink_client_close(&client);
}

/* Coming back does not help: what it left unread counts until it is gone for good. */
static void counts_unread_descriptors_after_the_connection(void **state)
{
	struct varlink_client clients[2], third;

	for (int i = 0; i < 2; i++) {
		clients[i] = new_client();
		ask_for_fds(&clients[i], 1, 3);
		fixture_run(&fixture);
		assert_true(fixture_expire(&fixture) >= 0);
	}
	assert_int_equal(fixture.n_disconnected, 2);
	third = new_client();
	assert_error(&third, "io.iommud.QuotaExceeded", "quota", "connectionsPerUser");
	varlink_client_close(&third);
	varlink_client_close(&clients[0]);
	fixture_run(&fixture);
	third = new_client();
	assert_served(&third);
	varlink_client_close(&third);
	/* Reading is as good as closing. */
	fixture_run(&fixture);
	assert_int_equal(varlink_client_send_text(&clients[1], "x"), -EPIPE);
	for (int i = 0; i < 2; i++) {
		struct varlink_reply reply;
		int r = varlink_client_receive(&clients[1], &reply);

		assert_int_equal(r, i == 0 ? 0 : -EPIPE);
		if (r == 0)
			varlink_reply_clear(&reply);
	}
	assert_true(fixture_run(&fixture) >= 1);
	varlink_client_close(&clients[1]);
}

static void drops_who_does_not_read_bytes(void **state)
{
	struct varlink_client client = new_client();

	varlink_client_send_call(&client, "test.Stream", "{\"number\":20,\"size\":2000}", "\"more\":true");
	assert_in_range(fixture_run(&fixture), 1, 10);
	assert_int_equal(fixture.n_handled, 1);
	assert_true(fixture_expire(&fixture) >= 0);
	assert_int_equal(fixture.n_disconnected, 1);
	varlink_client_close(&client);
}

/* Whole calls in our buffer, small replies in the kernel's: nothing queued with us, and still it must read on. */
static void holds_back_the_calls_of_who_does_not_read(void **state)
{
	struct varlink_client client = new_client();
	_cleanup_free_ char *text = calloc(100, 128);
	size_t size = 0;

	for (int i = 0; i < 100; i++)
		size += 1 + sprintf(text + size, "{\"method\":\"test.Echo\",\"parameters\":{\"number\":%d}}", i);
	assert_int_equal(varlink_client_send(&client, text, size, NULL, 0), 0);
	assert_in_range(fixture_run(&fixture), 1, 50);
	assert_in_range(fixture.n_handled, 1, 50);
	assert_true(fixture_expire(&fixture) >= 0);
	assert_int_equal(fixture.n_disconnected, 1);
	varlink_client_close(&client);
}

static void gives_a_slow_reader_its_time_anew_for_what_it_reads(void **state)
{
	struct varlink_client client = new_client();
	uint64_t before, after;

	varlink_client_send_call(&client, "test.Stream", "{\"number\":50,\"size\":3000}", "\"more\":true");
	fixture_run(&fixture);
	before = varlink_server_next_deadline(fixture.server);
	for (int i = 0; i < 10; i++) {
		struct varlink_reply reply;

		assert_int_equal(varlink_client_receive(&client, &reply), 0);
		varlink_reply_clear(&reply);
	}
	fixture_run(&fixture);
	after = varlink_server_next_deadline(fixture.server);
	assert_true(after > before && after != UINT64_MAX);
	varlink_client_close(&client);
}

static void drops_a_subscriber_whose_queue_is_full(void **state)
{
	struct varlink_client client = new_client();
	struct varlink_connection *connection;
	json_object *parameters = json_object_new_object();
	size_t n = 0;
	int r = 0;

	json_object_object_add(parameters, "event", json_object_new_string("something of some length happened"));
	varlink_client_send_call(&client, "test.Later", NULL, "\"more\":true");
	fixture_run(&fixture);
	connection = varlink_call_get_connection(fixture.pending[0]);
	while (r == 0 && n++ < 10000) {
		assert_true(varlink_connection_queued(connection) <= 100000);
		r = varlink_reply(fixture.pending[0], json_object_get(parameters), NULL, 0, true);
	}
	assert_int_equal(r, -ENOBUFS);
	assert_int_equal(fixture.n_disconnected, 0);
	/* Though this was no event of the client's, the server notices at once. */
	assert_in_range(fixture_run(&fixture), 1, 3);
	assert_int_equal(fixture.n_disconnected, 1);
	json_object_put(parameters);
	varlink_client_close(&client);
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
		TEST(refuses_what_is_no_json),
		TEST(refuses_single_quotes),
		TEST(refuses_duplicate_keys),
		TEST(refuses_embedded_nul),
		TEST(refuses_numbers_out_of_range),
		TEST(names_the_parameter_of_a_wrong_type),
		TEST(refuses_a_call_object_that_is_none),
		TEST(answers_nothing_that_follows_a_refused_message),
		TEST(refuses_ten_megabytes),
		TEST(refuses_one_byte_too_many),
		TEST(refuses_floods_of_brackets),
		TEST(closes_descriptors_nobody_asked_for),
		TEST(counts_descriptors_for_the_message_they_came_with),
		TEST(closes_descriptors_of_messages_it_refuses),
		TEST(closes_descriptors_it_never_received),
		TEST(is_not_held_up_by_a_descriptor_that_will_not_close),
		TEST(closes_after_half_a_message_and_silence),
		TEST(forgets_the_deadline_when_the_message_is_whole),
		TEST(handles_no_call_before_descriptors_are_read),
		TEST(handles_no_call_before_large_replies_are_read),
		TEST(drops_who_does_not_read_descriptors),
		TEST(drops_who_asked_once_and_never_reads),
		TEST(keeps_who_has_read_without_a_further_call),
		TEST_WITH(setup_few, counts_unread_descriptors_after_the_connection),
		TEST(drops_who_does_not_read_bytes),
		TEST(holds_back_the_calls_of_who_does_not_read),
		TEST(gives_a_slow_reader_its_time_anew_for_what_it_reads),
		TEST_WITH(setup_small_buffer, drops_a_subscriber_whose_queue_is_full),
		TEST_WITH(setup_few, limits_connections_of_one_user),
		TEST_WITH(setup_few_in_all, limits_connections_of_all),
		TEST(shows_clients_out_when_descriptors_are_used_up),
		TEST(pauses_when_even_the_reserve_does_not_help),
		TEST(tells_when_too_many_descriptors_are_in_flight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
