/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A connection that outlives its server: the mark is true after every step, and the next server goes on by it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "varlink-fixture.h"

static struct varlink_fixture fixture;
static struct varlink_client client;
static struct varlink_connection *connection;
static struct varlink_call *call;
static uint32_t mark;

static void pump(void *userdata)
{
	fixture_run(&fixture);
}

/* As if the server of this process were the second one. */
static int adopt(enum varlink_mark left)
{
	int pair[2], r;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	client = (struct varlink_client)VARLINK_CLIENT_INIT;
	client.fd = pair[0];
	client.pump = pump;
	client.pump_fd = varlink_server_get_fd(fixture.server);
	r = varlink_server_adopt(fixture.server, pair[1], left, &connection, &call);
	if (r == 0)
		varlink_connection_set_mark(connection, &mark);
	fixture_run(&fixture);
	return r;
}

static int setup(void **state)
{
	mark = VARLINK_MARK_NONE;
	return fixture_start(&fixture, NULL);
}

static int teardown(void **state)
{
	varlink_client_close(&client);
	fixture_run(&fixture);
	return fixture_stop(&fixture);
}

static void one_that_was_idle_is_served(void **state)
{
	assert_int_equal(adopt(VARLINK_MARK_IDLE), 0);
	assert_int_equal(fixture.n_connected, 1);
	assert_int_equal(mark, VARLINK_MARK_IDLE);
	assert_served(&client);
	assert_int_equal(mark, VARLINK_MARK_IDLE);
	varlink_client_close(&client);
	fixture_run(&fixture);
	assert_int_equal(mark, VARLINK_MARK_NONE);
	assert_int_equal(fixture.n_disconnected, 1);
}

static void who_waits_for_an_answer_is_told(void **state)
{
	assert_int_equal(adopt(VARLINK_MARK_CALLED), 0);
	assert_error(&client, "io.iommud.Interrupted", NULL, NULL);
	assert_served(&client);
}

static void the_rest_of_half_a_call_is_dropped(void **state)
{
	static const char rest[] = "tBegin\":\"x\"}}";

	assert_int_equal(adopt(VARLINK_MARK_PARTIAL), 0);
	assert_int_equal(mark, VARLINK_MARK_PARTIAL);
	assert_int_equal(varlink_client_send(&client, rest, 5, NULL, 0), 0);
	fixture_run(&fixture);
	assert_int_equal(mark, VARLINK_MARK_PARTIAL);
	assert_int_equal(varlink_client_send(&client, rest + 5, sizeof(rest) - 5, NULL, 0), 0);
	assert_error(&client, "io.iommud.Interrupted", NULL, NULL);
	assert_int_equal(fixture.n_handled, 0);
	assert_served(&client);
}

/* The rest, and a whole call behind it. */
static void what_follows_the_rest_is_handled(void **state)
{
	static const char both[] = "t\"}\0{\"method\":\"test.Echo\"}";
	struct varlink_reply reply;

	assert_int_equal(adopt(VARLINK_MARK_PARTIAL), 0);
	assert_int_equal(varlink_client_send(&client, both, sizeof(both), NULL, 0), 0);
	assert_error(&client, "io.iommud.Interrupted", NULL, NULL);
	assert_int_equal(varlink_client_receive(&client, &reply), 0);
	assert_null(reply.error);
	varlink_reply_clear(&reply);
}

static void a_stream_goes_on(void **state)
{
	struct varlink_reply reply;

	assert_int_equal(adopt(VARLINK_MARK_STREAM), 0);
	assert_non_null(call);
	assert_int_equal(mark, VARLINK_MARK_STREAM);
	assert_int_equal(varlink_reply(call, NULL, NULL, 0, true), 0);
	assert_int_equal(varlink_client_receive(&client, &reply), 0);
	assert_true(reply.continues);
	varlink_reply_clear(&reply);
	assert_int_equal(varlink_reply(call, NULL, NULL, 0, false), 0);
	assert_int_equal(varlink_client_receive(&client, &reply), 0);
	assert_false(reply.continues);
	varlink_reply_clear(&reply);
	assert_served(&client);
}

static void what_nobody_knows_the_state_of_is_shown_out(void **state)
{
	assert_int_equal(adopt(VARLINK_MARK_BUSY), -EINVAL);
	assert_int_equal(varlink_client_await_close(&client), 0);
	varlink_client_close(&client);
	assert_int_equal(adopt(VARLINK_MARK_NONE), -EINVAL);
	assert_int_equal(varlink_client_await_close(&client), 0);
}

/* ---- marks ---- */

static void half_a_call_is_marked(void **state)
{
	static const char text[] = "{\"method\":\"test.Echo\"}";
	struct varlink_reply reply;

	assert_int_equal(adopt(VARLINK_MARK_IDLE), 0);
	assert_int_equal(varlink_client_send(&client, text, 5, NULL, 0), 0);
	fixture_run(&fixture);
	assert_int_equal(mark, VARLINK_MARK_PARTIAL);
	assert_int_equal(varlink_client_send(&client, text + 5, sizeof(text) - 5, NULL, 0), 0);
	assert_int_equal(varlink_client_receive(&client, &reply), 0);
	varlink_reply_clear(&reply);
	fixture_run(&fixture);
	assert_int_equal(mark, VARLINK_MARK_IDLE);
}

static void a_call_that_is_not_answered_yet_is_marked(void **state)
{
	struct varlink_reply reply;

	assert_int_equal(adopt(VARLINK_MARK_IDLE), 0);
	assert_int_equal(varlink_client_send_call(&client, "test.Later", NULL, NULL), 0);
	fixture_run(&fixture);
	assert_int_equal(mark, VARLINK_MARK_CALLED);
	fixture.n_pending = 0;
	assert_int_equal(varlink_reply(fixture.pending[0], NULL, NULL, 0, false), 0);
	assert_int_equal(mark, VARLINK_MARK_IDLE);
	assert_int_equal(varlink_client_receive(&client, &reply), 0);
	varlink_reply_clear(&reply);
}

static void a_call_behind_a_call_is_more_than_a_mark_can_say(void **state)
{
	static const char both[] = "{\"method\":\"test.Later\"}\0{\"method\":\"test.Echo\"}";

	assert_int_equal(adopt(VARLINK_MARK_IDLE), 0);
	assert_int_equal(varlink_client_send(&client, both, sizeof(both), NULL, 0), 0);
	fixture_run(&fixture);
	assert_int_equal(fixture.n_pending, 1);
	assert_int_equal(mark, VARLINK_MARK_BUSY);
}

static void a_call_that_wants_no_answer_is_not_one_that_waits(void **state)
{
	assert_int_equal(adopt(VARLINK_MARK_IDLE), 0);
	assert_int_equal(varlink_client_send_call(&client, "test.Later", NULL, "\"oneway\":true"), 0);
	fixture_run(&fixture);
	assert_int_equal(fixture.n_pending, 1);
	assert_int_equal(mark, VARLINK_MARK_BUSY);
}

static void a_reply_that_is_not_all_sent_is_marked(void **state)
{
	assert_int_equal(adopt(VARLINK_MARK_IDLE), 0);
	assert_int_equal(
		varlink_client_send_call(&client, "test.Stream", "{\"number\":1,\"size\":400000}", "\"more\":true"), 0);
	fixture_run(&fixture);
	assert_true(varlink_connection_queued(connection) > 0);
	assert_int_equal(mark, VARLINK_MARK_BUSY);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(one_that_was_idle_is_served),
		CASE(who_waits_for_an_answer_is_told),
		CASE(the_rest_of_half_a_call_is_dropped),
		CASE(what_follows_the_rest_is_handled),
		CASE(a_stream_goes_on),
		CASE(what_nobody_knows_the_state_of_is_shown_out),
		CASE(half_a_call_is_marked),
		CASE(a_call_that_is_not_answered_yet_is_marked),
		CASE(a_call_behind_a_call_is_more_than_a_mark_can_say),
		CASE(a_call_that_wants_no_answer_is_not_one_that_waits),
		CASE(a_reply_that_is_not_all_sent_is_marked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
