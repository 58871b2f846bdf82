/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Clients that take their time, with sending and with reading: they cost nobody else any. Each test ends with
 * another client being served, and with no descriptor more than before.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/cleanup.h"
#define VARLINK_SUITE_WITNESS
#include "varlink-suite.h"

static int setup_small_buffer(void **state)
{
	struct varlink_limits limits;

	fixture_default_limits(&limits);
	limits.send_buffer_max = 100000;
	return setup_with(&limits);
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

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
#define TEST_WITH(setup_function, function) cmocka_unit_test_setup_teardown(function, setup_function, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
