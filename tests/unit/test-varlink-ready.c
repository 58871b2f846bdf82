/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Calls that wait until more is known of who calls: nothing of that client is handled, and everybody else is served. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "util/cleanup.h"
#define VARLINK_SUITE_WITNESS
#include "varlink-suite.h"

static struct varlink_connection *held;
static unsigned int n_asked;
static bool is_ready;

/* All but the first that is asked about is ready. */
static bool hold_first(struct varlink_fixture *unused, struct varlink_connection *connection)
{
	if (!held)
		held = connection;
	if (held != connection)
		return true;
	n_asked++;
	return is_ready;
}

static int setup_held(void **state)
{
	int r = setup(state);

	held = NULL;
	n_asked = 0;
	is_ready = false;
	fixture.on_ready = hold_first;
	return r;
}

static struct varlink_client call_and_be_held(const char *method)
{
	struct varlink_client client = new_client();

	assert_int_equal(varlink_client_send_call(&client, method, NULL, NULL), 0);
	assert_true(fixture_run(&fixture) >= 0);
	assert_non_null(held);
	assert_int_equal(fixture.n_handled, 0);
	return client;
}

static void a_held_call_is_handled_when_it_is_resumed(void **state)
{
	struct varlink_client client = call_and_be_held("test.Later");

	/* It is not asked over and over again meanwhile. */
	assert_int_equal(n_asked, 1);
	assert_served(&witness);
	assert_int_equal(n_asked, 1);
	is_ready = true;
	varlink_connection_resume(held);
	assert_int_equal(n_asked, 2);
	assert_int_equal(fixture.n_pending, 1);
	/* Resumed once more by mistake: nothing happens. */
	varlink_connection_resume(held);
	assert_int_equal(fixture.n_pending, 1);
	varlink_client_close(&client);
}

static void it_may_be_held_again(void **state)
{
	struct varlink_client client = call_and_be_held("test.Later");

	varlink_connection_resume(held);
	assert_int_equal(n_asked, 2);
	assert_int_equal(fixture.n_pending, 0);
	is_ready = true;
	varlink_connection_resume(held);
	assert_int_equal(fixture.n_pending, 1);
	varlink_client_close(&client);
}

static void who_leaves_while_held_is_gone(void **state)
{
	struct varlink_client client = call_and_be_held("test.Later");
	unsigned int n = fixture.n_disconnected;

	varlink_client_close(&client);
	assert_true(fixture_run(&fixture) >= 0);
	assert_int_equal(fixture.n_disconnected, n + 1);
	assert_int_equal(fixture.n_pending, 0);
}

static void calls_behind_a_held_one_keep_their_order(void **state)
{
	struct varlink_client client = call_and_be_held("test.Echo");
	struct varlink_reply reply;

	assert_int_equal(varlink_client_send_call(&client, "test.Echo", "{\"text\":\"second\"}", NULL), 0);
	assert_true(fixture_run(&fixture) >= 0);
	is_ready = true;
	varlink_connection_resume(held);
	assert_int_equal(varlink_client_receive(&client, &reply), 0);
	assert_null(varlink_reply_string(&reply, "text"));
	varlink_reply_clear(&reply);
	assert_int_equal(varlink_client_receive(&client, &reply), 0);
	assert_string_equal(varlink_reply_string(&reply, "text"), "second");
	varlink_reply_clear(&reply);
	varlink_client_close(&client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_held, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_held_call_is_handled_when_it_is_resumed),
		TEST(it_may_be_held_again),
		TEST(who_leaves_while_held_is_gone),
		TEST(calls_behind_a_held_one_keep_their_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
