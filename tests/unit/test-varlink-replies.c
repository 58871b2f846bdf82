/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Replies: none, one, many, large ones, and those with descriptors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "varlink-suite.h"

static void answers_nothing_to_oneway_calls(void **state)
{
	struct varlink_client client = new_client();
	int extra = fcntl(fixture.pipe_write, F_DUPFD_CLOEXEC, 0);

	varlink_client_send_call(&client, "test.Echo", NULL, "\"oneway\":true");
	varlink_client_send_call(&client, "test.Nothing", NULL, "\"oneway\":true");
	varlink_client_send_call(&client, "test.Echo", "{\"bad\":1}", "\"oneway\":true");
	varlink_client_send_call(&client, "test.Later", NULL, "\"oneway\":true");
	fixture_run(&fixture);
	assert_int_equal(fixture.n_handled, 2);
	assert_int_equal(varlink_reply(fixture.pending[0], NULL, &extra, 1, false), 0);
	fixture.n_pending = 0;
	assert_echoes(&client, "the first answer");
	varlink_client_close(&client);
}

static void refuses_oneway_where_descriptors_are_the_answer(void **state)
{
	struct varlink_client client = new_client();

	varlink_client_send_call(&client, "test.Strict", NULL, "\"oneway\":true");
	assert_int_equal(varlink_client_await_close(&client), 0);
	assert_int_equal(fixture.n_handled, 0);
	assert_int_equal(fixture.n_disconnected, 1);
	varlink_client_close(&client);
}

static void streams_replies_with_more(void **state)
{
	struct varlink_client client = new_client();

	varlink_client_send_call(&client, "test.Stream", "{\"number\":500,\"size\":100}", "\"more\":true");
	varlink_client_send_call(&client, "test.Echo", "{\"number\":500}", NULL);
	for (int i = 0; i <= 500; i++) {
		struct varlink_reply reply;

		assert_int_equal(varlink_client_receive(&client, &reply), 0);
		assert_int_equal(varlink_reply_int(&reply, "number"), i);
		assert_int_equal(reply.continues, i < 499);
		varlink_reply_clear(&reply);
	}
	varlink_client_close(&client);
}

static void keeps_a_subscription_open(void **state)
{
	struct varlink_client client = new_client();
	struct varlink_reply reply;

	varlink_client_send_call(&client, "test.Later", NULL, "\"more\":true");
	fixture_run(&fixture);
	assert_true(varlink_call_wants_more(fixture.pending[0]));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(varlink_reply(fixture.pending[0], NULL, NULL, 0, true), 0);
		assert_int_equal(varlink_client_receive(&client, &reply), 0);
		assert_true(reply.continues);
		varlink_reply_clear(&reply);
		assert_int_equal(fixture_run(&fixture), 0);
	}
	assert_int_equal(varlink_server_next_deadline(fixture.server), UINT64_MAX);
	varlink_client_close(&client);
	fixture_run(&fixture);
	assert_int_equal(fixture.n_disconnected, 1);
	assert_int_equal(fixture.n_pending, 0);
}

static int list_left;

/* As much as the queue may hold, and no more until that was sent. */
static void continue_list(struct varlink_fixture *f, struct varlink_connection *connection)
{
	while (f->n_pending > 0 && varlink_connection_queued(connection) < 10000) {
		json_object *parameters = json_object_new_object();
		bool last = list_left == 1;
		struct varlink_call *call = f->pending[0];

		json_object_object_add(parameters, "number", json_object_new_int(list_left--));
		f->n_pending -= last;
		assert_int_equal(varlink_reply(call, parameters, NULL, 0, !last), 0);
	}
}

static void asks_for_more_when_the_queue_is_drained(void **state)
{
	struct varlink_client client = new_client();
	struct varlink_connection *connection;

	list_left = 5000;
	fixture.on_drained = continue_list;
	varlink_client_send_call(&client, "test.Later", NULL, "\"more\":true");
	fixture_run(&fixture);
	connection = varlink_call_get_connection(fixture.pending[0]);
	/* Nothing was queued, so nothing was drained. */
	assert_int_equal(fixture.n_drained, 0);
	continue_list(&fixture, connection);
	assert_in_range(varlink_connection_queued(connection), 10000, 11000);
	for (int i = 5000; i > 0; i--) {
		struct varlink_reply reply;

		assert_int_equal(varlink_client_receive(&client, &reply), 0);
		assert_int_equal(varlink_reply_int(&reply, "number"), i);
		assert_int_equal(reply.continues, i > 1);
		varlink_reply_clear(&reply);
		assert_true(varlink_connection_queued(connection) <= 11000);
	}
	assert_in_range(fixture.n_drained, 5, 5000);
	assert_echoes(&client, "after that");
	varlink_client_close(&client);
}

static void does_not_ask_for_more_after_the_last_reply(void **state)
{
	struct varlink_client client = new_client();

	varlink_client_send_call(&client, "test.Stream", "{\"number\":3,\"size\":20000}", "\"more\":true");
	for (int i = 0; i < 3; i++) {
		struct varlink_reply reply;

		assert_int_equal(varlink_client_receive(&client, &reply), 0);
		varlink_reply_clear(&reply);
	}
	fixture_run(&fixture);
	assert_int_equal(fixture.n_drained, 0);
	varlink_client_close(&client);
}

static void refuses_to_continue_where_one_reply_is_wanted(void **state)
{
	struct varlink_client client = new_client();
	int extra = fcntl(fixture.pipe_write, F_DUPFD_CLOEXEC, 0);

	varlink_client_send_call(&client, "test.Later", NULL, NULL);
	fixture_run(&fixture);
	assert_int_equal(varlink_reply(fixture.pending[0], json_object_new_object(), &extra, 1, true), -EINVAL);
	assert_int_equal(varlink_reply(fixture.pending[0], NULL, NULL, 0, false), 0);
	fixture.n_pending = 0;
	varlink_client_close(&client);
}

static void hands_out_descriptors(void **state)
{
	struct varlink_client client = new_client();
	struct varlink_reply reply;
	char byte;

	assert_int_equal(varlink_client_call(&client, "test.Fds", "{\"number\":66}", NULL, &reply), 0);
	assert_int_equal(reply.n_fds, VARLINK_FDS_MAX);
	for (size_t i = 0; i < reply.n_fds; i++) {
		assert_int_equal(write(reply.fds[i], "x", 1), 1);
		assert_int_equal(read(fixture.pipe_read, &byte, 1), 1);
	}
	varlink_reply_clear(&reply);
	/* The server kept none. */
	assert_int_equal(fixture_await_pipe_closed(&fixture), 0);
	varlink_client_close(&client);
}

static void keeps_descriptors_with_their_reply(void **state)
{
	struct varlink_client client = new_client();

	for (int i = 0; i < 20; i++)
		assert_int_equal(varlink_client_send_call(&client, "test.Fds",
							  i % 2 ? "{\"number\":2}" : "{\"number\":0}", NULL),
				 0);
	for (int i = 0; i < 20; i++) {
		struct varlink_reply reply;

		assert_int_equal(varlink_client_receive(&client, &reply), 0);
		assert_int_equal(varlink_reply_int(&reply, "number"), i % 2 ? 2 : 0);
		varlink_reply_clear(&reply);
	}
	varlink_client_close(&client);
}

static void sends_large_replies_in_pieces(void **state)
{
	struct varlink_client client = new_client();
	struct varlink_reply reply;

	varlink_client_send_call(&client, "test.StreamFds", "{\"size\":1000000}", "\"more\":true");
	assert_int_equal(varlink_client_receive(&client, &reply), 0);
	assert_int_equal(strlen(varlink_reply_string(&reply, "text")), 1000000);
	varlink_reply_clear(&reply);
	assert_int_equal(varlink_client_receive(&client, &reply), 0);
	assert_int_equal(reply.n_fds, 1);
	assert_false(reply.continues);
	varlink_reply_clear(&reply);
	assert_echoes(&client, "after that");
	assert_int_equal(varlink_server_next_deadline(fixture.server), UINT64_MAX);
	varlink_client_close(&client);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(answers_nothing_to_oneway_calls),
		TEST(refuses_oneway_where_descriptors_are_the_answer),
		TEST(streams_replies_with_more),
		TEST(keeps_a_subscription_open),
		TEST(asks_for_more_when_the_queue_is_drained),
		TEST(does_not_ask_for_more_after_the_last_reply),
		TEST(refuses_to_continue_where_one_reply_is_wanted),
		TEST(hands_out_descriptors),
		TEST(keeps_descriptors_with_their_reply),
		TEST(sends_large_replies_in_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
