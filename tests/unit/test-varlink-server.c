/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a well-behaved client can count on. What others get is in test-varlink-abuse.c. */
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
#include "varlink-fixture.h"

static struct varlink_fixture fixture;

static int setup(void **state)
{
	return fixture_start(&fixture, NULL);
}

static int teardown(void **state)
{
	return fixture_stop(&fixture);
}

static struct varlink_client new_client(void)
{
	struct varlink_client client;

	assert_int_equal(fixture_connect(&fixture, &client), 0);
	return client;
}

static void assert_echoes(struct varlink_client *client, const char *text)
{
	struct varlink_reply reply;
	char parameters[256];

	snprintf(parameters, sizeof(parameters), "{\"text\":\"%s\"}", text);
	assert_int_equal(varlink_client_call(client, "test.Echo", parameters, NULL, &reply), 0);
	assert_null(reply.error);
	assert_string_equal(varlink_reply_string(&reply, "text"), text);
	varlink_reply_clear(&reply);
}

static void assert_error(struct varlink_client *client, const char *name, const char *key, const char *value)
{
	struct varlink_reply reply;

	assert_int_equal(varlink_client_receive(client, &reply), 0);
	assert_non_null(reply.error);
	assert_string_equal(reply.error, name);
	assert_non_null(reply.parameters);
	if (key)
		assert_string_equal(varlink_reply_string(&reply, key), value);
	varlink_reply_clear(&reply);
}

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
	assert_echoes(&other, "undisturbed");
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
		TEST(answers_a_call),
		TEST(knows_who_calls),
		TEST(describes_itself),
		TEST(serves_the_descriptions_of_its_interfaces),
		TEST(names_what_is_unknown),
		TEST(answers_pipelined_calls_in_order),
		TEST(takes_turns_between_clients),
		TEST(keeps_later_calls_back_while_one_is_pending),
		TEST(answers_a_pending_call_with_an_error),
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
		TEST(takes_a_call_byte_by_byte),
		TEST(takes_two_calls_and_a_half_in_one_packet),
		TEST(takes_a_frame_of_the_greatest_size),
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
