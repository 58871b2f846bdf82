/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a well-behaved client can count on. What others get is in its neighbours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "varlink-suite.h"

static void answers_a_call(void **state)
{
	struct varlink_client client = new_client();
	struct varlink_reply reply;

	assert_int_equal(varlink_client_call(&client, "test.Echo",
					     "{\"text\":\"a/b\",\"number\":7,\"flag\":true,\"list\":[\"x\",\"y\"]}",
					     NULL, &reply),
			 0);
	assert_string_equal(
		json_object_to_json_string_ext(reply.message, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE),
		"{\"parameters\":{\"text\":\"a/b\",\"number\":7,\"flag\":true,\"list\":[\"x\",\"y\"]}}");
	varlink_reply_clear(&reply);
	varlink_client_close(&client);
	fixture_run(&fixture);
	assert_int_equal(fixture.n_connected, 1);
	assert_int_equal(fixture.n_disconnected, 1);
	assert_int_equal(varlink_server_n_connections(fixture.server), 0);
}

static void knows_who_calls(void **state)
{
	struct varlink_client client = new_client();
	struct varlink_connection *connection;
	const struct identity *identity;

	assert_int_equal(varlink_client_send_call(&client, "test.Later", NULL, NULL), 0);
	fixture_run(&fixture);
	assert_int_equal(fixture.n_pending, 1);
	connection = varlink_call_get_connection(fixture.pending[0]);
	identity = varlink_connection_get_identity(connection);
	assert_int_equal(identity->uid, getuid());
	assert_int_equal(identity->pid, getpid());
	varlink_connection_set_userdata(connection, &client);
	assert_ptr_equal(varlink_connection_get_userdata(connection), &client);
	assert_true(fcntl(varlink_connection_get_fd(connection), F_GETFD) & FD_CLOEXEC);
	varlink_client_close(&client);
}

static void describes_itself(void **state)
{
	struct varlink_client client = new_client();
	struct varlink_reply reply;
	json_object *names;

	assert_int_equal(varlink_client_call(&client, "org.varlink.service.GetInfo", NULL, NULL, &reply), 0);
	assert_null(reply.error);
	assert_string_equal(varlink_reply_string(&reply, "vendor"), "vendor");
	assert_string_equal(varlink_reply_string(&reply, "product"), "product");
	assert_string_equal(varlink_reply_string(&reply, "version"), "1");
	assert_string_equal(varlink_reply_string(&reply, "url"), "https://example.org/");
	assert_true(json_object_object_get_ex(reply.parameters, "interfaces", &names));
	assert_string_equal(json_object_to_json_string_ext(names, JSON_C_TO_STRING_PLAIN),
			    "[\"org.varlink.service\",\"test\"]");
	varlink_reply_clear(&reply);
	varlink_client_close(&client);
}

static void serves_the_descriptions_of_its_interfaces(void **state)
{
	static const char *const names[] = { "test", "org.varlink.service" };
	struct varlink_client client = new_client();

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct varlink_reply reply;
		char parameters[64], begin[64];

		snprintf(parameters, sizeof(parameters), "{\"interface\":\"%s\"}", names[i]);
		snprintf(begin, sizeof(begin), "interface %s\n", names[i]);
		assert_int_equal(varlink_client_call(&client, "org.varlink.service.GetInterfaceDescription", parameters,
						     NULL, &reply),
				 0);
		assert_non_null(varlink_reply_string(&reply, "description"));
		assert_non_null(strstr(varlink_reply_string(&reply, "description"), begin));
		varlink_reply_clear(&reply);
	}
	varlink_client_send_call(&client, "org.varlink.service.GetInterfaceDescription", "{\"interface\":\"tes\"}",
				 NULL);
	assert_error(&client, "org.varlink.service.InterfaceNotFound", "interface", "tes");
	varlink_client_send_call(&client, "org.varlink.service.GetInterfaceDescription", NULL, NULL);
	assert_error(&client, "org.varlink.service.InvalidParameter", "parameter", "interface");
	varlink_client_close(&client);
}

static void names_what_is_unknown(void **state)
{
	struct varlink_client client = new_client();

	varlink_client_send_call(&client, "nowhere.to.be.Found", NULL, NULL);
	assert_error(&client, "org.varlink.service.InterfaceNotFound", "interface", "nowhere.to.be");
	varlink_client_send_call(&client, "test.Nothing", NULL, NULL);
	assert_error(&client, "org.varlink.service.MethodNotFound", "method", "test.Nothing");
	varlink_client_send_call(&client, "org.varlink.service.Nothing", NULL, NULL);
	assert_error(&client, "org.varlink.service.MethodNotFound", "method", "org.varlink.service.Nothing");
	varlink_client_send_call(&client, "Echo", NULL, NULL);
	assert_error(&client, "org.varlink.service.InvalidParameter", "parameter", "method");
	varlink_client_send_call(&client, "test.Echo", NULL, "\"upgrade\":true");
	assert_error(&client, "org.varlink.service.MethodNotImplemented", "method", "test.Echo");
	varlink_client_send_call(&client, "test.Stream", "{\"number\":1}", NULL);
	assert_error(&client, "org.varlink.service.ExpectedMore", NULL, NULL);
	assert_echoes(&client, "still here");
	varlink_client_close(&client);
}

static void answers_pipelined_calls_in_order(void **state)
{
	struct varlink_client client = new_client();
	_cleanup_free_ char *text = calloc(200, 128);
	size_t size = 0;

	for (int i = 0; i < 200; i++)
		size += 1 + sprintf(text + size, "{\"method\":\"test.Echo\",\"parameters\":{\"number\":%d}}", i);
	assert_int_equal(varlink_client_send(&client, text, size, NULL, 0), 0);
	for (int i = 0; i < 200; i++) {
		struct varlink_reply reply;

		assert_int_equal(varlink_client_receive(&client, &reply), 0);
		assert_int_equal(varlink_reply_int(&reply, "number"), i);
		varlink_reply_clear(&reply);
	}
	varlink_client_close(&client);
}

/* One call a round each: who sends a hundred at once does not make the other wait for all of them. */
static void takes_turns_between_clients(void **state)
{
	struct varlink_client greedy = new_client(), modest = new_client();
	char text[8192];
	size_t size = 0;

	assert_echoes(&greedy, "here");
	assert_echoes(&modest, "here");
	fixture.n_handled = 0;
	for (int i = 0; i < 20; i++)
		size += 1 + sprintf(text + size, "{\"method\":\"test.Echo\"}");
	assert_int_equal(varlink_client_send(&greedy, text, size, NULL, 0), 0);
	assert_int_equal(varlink_client_send_call(&modest, "test.Echo", NULL, NULL), 0);
	assert_int_equal(varlink_server_dispatch(fixture.server), 0);
	assert_int_equal(fixture.n_handled, 2);
	varlink_client_close(&greedy);
	varlink_client_close(&modest);
}

static void keeps_later_calls_back_while_one_is_pending(void **state)
{
	struct varlink_client client = new_client();
	struct varlink_reply reply;

	varlink_client_send_call(&client, "test.Later", NULL, NULL);
	varlink_client_send_call(&client, "test.Echo", "{\"number\":2}", NULL);
	assert_true(fixture_run(&fixture) < 10);
	assert_int_equal(fixture.n_handled, 1);
	assert_int_equal(varlink_reply(fixture.pending[0], NULL, NULL, 0, false), 0);
	fixture.n_pending = 0;
	assert_int_equal(varlink_client_receive(&client, &reply), 0);
	assert_int_equal(json_object_object_length(reply.parameters), 0);
	varlink_reply_clear(&reply);
	assert_int_equal(varlink_client_receive(&client, &reply), 0);
	assert_int_equal(varlink_reply_int(&reply, "number"), 2);
	varlink_reply_clear(&reply);
	varlink_client_close(&client);
}

static void answers_a_pending_call_with_an_error(void **state)
{
	struct varlink_client client = new_client();

	varlink_client_send_call(&client, "test.Later", NULL, NULL);
	fixture_run(&fixture);
	assert_int_equal(varlink_error(fixture.pending[0], "test.Failed", NULL), 0);
	fixture.n_pending = 0;
	assert_error(&client, "test.Failed", NULL, NULL);
	assert_echoes(&client, "still here");
	varlink_client_close(&client);
}

static void takes_a_call_byte_by_byte(void **state)
{
	static const char text[] = "{\"method\":\"test.Echo\",\"parameters\":{\"number\":5}}";
	struct varlink_client client = new_client();
	struct varlink_reply reply;

	for (size_t i = 0; i < sizeof(text); i++) {
		assert_int_equal(varlink_client_send(&client, text + i, 1, NULL, 0), 0);
		fixture_run(&fixture);
		assert_int_equal(fixture.n_handled, i == sizeof(text) - 1);
	}
	assert_int_equal(varlink_client_receive(&client, &reply), 0);
	assert_int_equal(varlink_reply_int(&reply, "number"), 5);
	varlink_reply_clear(&reply);
	varlink_client_close(&client);
}

static void takes_two_calls_and_a_half_in_one_packet(void **state)
{
	static const char text[] = "{\"method\":\"test.Echo\"}\0{\"method\":\"test.Echo\"}\0{\"method\":\"te";
	struct varlink_client client = new_client();
	struct varlink_reply reply;

	assert_int_equal(varlink_client_send(&client, text, sizeof(text) - 1, NULL, 0), 0);
	fixture_run(&fixture);
	assert_int_equal(fixture.n_handled, 2);
	assert_int_equal(varlink_client_send_text(&client, "st.Echo\"}"), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(varlink_client_receive(&client, &reply), 0);
		varlink_reply_clear(&reply);
	}
	assert_int_equal(fixture.n_handled, 3);
	varlink_client_close(&client);
}

static void takes_a_frame_of_the_greatest_size(void **state)
{
	static const char head[] = "{\"method\":\"test.Echo\",\"parameters\":{\"text\":\"", tail[] = "\"}}";
	_cleanup_free_ char *text = calloc(1, VARLINK_FRAME_MAX + 1);
	size_t room = VARLINK_FRAME_MAX - strlen(head) - strlen(tail);
	struct varlink_client client = new_client();
	struct varlink_reply reply;

	strcpy(text, head);
	memset(text + strlen(head), 'x', room);
	strcpy(text + strlen(head) + room, tail);
	assert_int_equal(strlen(text), VARLINK_FRAME_MAX);
	assert_int_equal(varlink_client_send_text(&client, text), 0);
	assert_int_equal(varlink_client_receive(&client, &reply), 0);
	assert_null(reply.error);
	assert_int_equal(strlen(varlink_reply_string(&reply, "text")), room);
	varlink_reply_clear(&reply);
	varlink_client_close(&client);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(answers_a_call),
		TEST(knows_who_calls),
		TEST(describes_itself),
		TEST(serves_the_descriptions_of_its_interfaces),
		TEST(names_what_is_unknown),
		TEST(answers_pipelined_calls_in_order),
		TEST(takes_turns_between_clients),
		TEST(keeps_later_calls_back_while_one_is_pending),
		TEST(answers_a_pending_call_with_an_error),
		TEST(takes_a_call_byte_by_byte),
		TEST(takes_two_calls_and_a_half_in_one_packet),
		TEST(takes_a_frame_of_the_greatest_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
