/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The client library's connections, calls, streams and refusals, against a scripted server. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "fake-server.h"
#include "libiommud.h"
#include "open-fds.h"
#include "util/cleanup.h"

struct fixture {
	struct fake_server server;
	struct iommud *connection;
	size_t fds_before;
};

static void begin(struct fixture *f, const char *script)
{
	f->fds_before = count_open_fds();
	fake_server_start(&f->server, script);
	assert_int_equal(iommud_open(f->server.path, &f->connection), 0);
}

/* Every test ends here: nothing that was opened is left. */
static void end(struct fixture *f)
{
	f->connection = iommud_close(f->connection);
	fake_server_stop(&f->server);
	assert_int_equal(count_open_fds(), f->fds_before);
}

static void assert_log(struct fixture *f, const char *expected)
{
	char line[4096];

	fake_server_read_log(&f->server, line, sizeof(line));
	assert_string_equal(line, expected);
}

/* A call of a.b.C answered by `script` is a fault: `error`, and the connection is of no more use. */
static void assert_fault(const char *script, int error)
{
	const char *text = "untouched";
	struct fixture f;

	begin(&f, script);
	assert_int_equal(iommud_call(f.connection, "a.b.C", NULL, &text), error);
	assert_string_equal(text, "untouched");
	assert_int_equal(iommud_error(f.connection), IOMMUD_ERROR_NONE);
	assert_int_equal(iommud_call(f.connection, "a.b.C", NULL, &text), -ENOTCONN);
	end(&f);
}

static void close_accepts_null(void **state)
{
	assert_null(iommud_close(NULL));
	assert_null(iommud_lease_free(NULL));
}

static void open_says_that_no_daemon_is_there(void **state)
{
	struct iommud *connection = NULL;
	char path[200];

	assert_int_equal(iommud_open("/nonexistent/socket", &connection), -ENOENT);
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(iommud_open(path, &connection), -ENAMETOOLONG);
	assert_null(connection);
}

static void open_without_a_path_takes_the_environment(void **state)
{
	struct fixture f = { .fds_before = count_open_fds() };

	fake_server_start(&f.server, "call a.b.C\nreply {\"x\":1}\n");
	setenv("IOMMUD_SOCKET", f.server.path, 1);
	assert_int_equal(iommud_open(NULL, &f.connection), 0);
	unsetenv("IOMMUD_SOCKET");
	assert_int_equal(iommud_call(f.connection, "a.b.C", NULL, NULL), 0);
	end(&f);
}

static void the_socket_is_close_on_exec(void **state)
{
	struct fixture f;

	begin(&f, "");
	assert_int_equal(fcntl(iommud_get_fd(f.connection), F_GETFD), FD_CLOEXEC);
	end(&f);
}

static void call_hands_out_the_replys_parameters(void **state)
{
	const char *text = NULL;
	struct fixture f;

	begin(&f, "call a.b.C\nreply {\"x\":[1,2],\"y\":\"z\"}\n");
	assert_int_equal(iommud_call(f.connection, "a.b.C", " {\"in\":true} ", &text), 0);
	assert_string_equal(text, "{\"x\":[1,2],\"y\":\"z\"}");
	assert_int_equal(iommud_error(f.connection), IOMMUD_ERROR_NONE);
	assert_null(iommud_error_name(f.connection));
	assert_null(iommud_error_message(f.connection));
	assert_null(iommud_error_parameters(f.connection));
	assert_log(&f, "call {\"method\":\"a.b.C\",\"parameters\":{\"in\":true}}");
	end(&f);
}

static void a_reply_without_parameters_is_an_empty_object(void **state)
{
	const char *text = NULL;
	struct fixture f;

	begin(&f, "call a.b.C\nraw {}\\0\n");
	assert_int_equal(iommud_call(f.connection, "a.b.C", NULL, &text), 0);
	assert_string_equal(text, "{}");
	end(&f);
}

static void a_reply_may_come_in_pieces(void **state)
{
	const char *text = NULL;
	struct fixture f;

	begin(&f, "call a.b.C\nraw {\"par\nraw ameters\":{\"x\"\nraw :1}}\nraw \\0\n");
	for (int i = 0; i < 3; i++) {
		assert_int_equal(iommud_call(f.connection, "a.b.C", NULL, &text), 0);
		assert_string_equal(text, "{\"x\":1}");
	}
	end(&f);
}

static void what_the_caller_got_wrong_is_not_sent(void **state)
{
	static const char *const wrong[] = { "", "[]", "1", "{", "{} {}", "{\"a\":\"\xff\"}", "x", "{}x" };
	struct fixture f;

	begin(&f, "call a.b.C\nreply {}\n");
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(iommud_call(f.connection, "a.b.C", wrong[i], NULL), -EINVAL);
	assert_int_equal(iommud_call(f.connection, NULL, NULL, NULL), -EINVAL);
	assert_int_equal(iommud_call(f.connection, "", NULL, NULL), -EINVAL);
	assert_int_equal(iommud_call(NULL, "a.b.C", NULL, NULL), -EINVAL);
	assert_int_equal(iommud_call_more(f.connection, "a.b.C", NULL, NULL, NULL), -EINVAL);
	assert_int_equal(iommud_call(f.connection, "a.b.C", "{}", NULL), 0);
	assert_log(&f, "call {\"method\":\"a.b.C\",\"parameters\":{}}");
	end(&f);
}

static void a_call_beyond_the_limit_is_not_sent(void **state)
{
	size_t size = 1024 * 1024 - 10;
	_cleanup_free_ char *text = malloc(size + 1);
	struct fixture f;

	assert_non_null(text);
	memset(text, 'x', size);
	memcpy(text, "{\"a\":\"", 6);
	strcpy(text + size - 2, "\"}");
	begin(&f, "call a.b.C\nreply {}\n");
	assert_int_equal(iommud_call(f.connection, "a.b.C", text, NULL), -EMSGSIZE);
	assert_int_equal(iommud_call(f.connection, "a.b.C", NULL, NULL), 0);
	end(&f);
}

static void a_refusal_has_kind_name_message_and_parameters(void **state)
{
	const char *text = "untouched";
	struct fixture f;

	begin(&f, "call a.b.C\nerror io.iommud.DeviceBusy {\"device\":\"0\",\"message\":\"held by 7\"}\n"
		  "call a.b.D\nreply {}\n");
	assert_int_equal(iommud_call(f.connection, "a.b.C", NULL, &text), IOMMUD_REFUSED);
	assert_string_equal(text, "untouched");
	assert_int_equal(iommud_error(f.connection), IOMMUD_ERROR_BUSY);
	assert_string_equal(iommud_error_name(f.connection), "io.iommud.DeviceBusy");
	assert_string_equal(iommud_error_message(f.connection), "held by 7");
	assert_string_equal(iommud_error_parameters(f.connection), "{\"device\":\"0\",\"message\":\"held by 7\"}");
	/* The connection goes on, and the next call forgets. */
	assert_int_equal(iommud_call(f.connection, "a.b.D", NULL, NULL), 0);
	assert_int_equal(iommud_error(f.connection), IOMMUD_ERROR_NONE);
	assert_null(iommud_error_parameters(f.connection));
	end(&f);
}

static void a_refusal_without_a_message_gets_one(void **state)
{
	struct fixture f;

	begin(&f, "call a.b.C\nerror org.varlink.service.InvalidParameter {\"parameter\":\"devices\"}\n"
		  "call a.b.D\nraw {\"error\":\"Strange\"}\\0\n");
	assert_int_equal(iommud_call(f.connection, "a.b.C", NULL, NULL), IOMMUD_REFUSED);
	assert_string_equal(iommud_error_message(f.connection), "InvalidParameter: parameter devices");
	assert_int_equal(iommud_error(f.connection), IOMMUD_ERROR_INVALID_CALL);
	assert_int_equal(iommud_call(f.connection, "a.b.D", NULL, NULL), IOMMUD_REFUSED);
	assert_string_equal(iommud_error_message(f.connection), "Strange");
	assert_string_equal(iommud_error_parameters(f.connection), "{}");
	assert_int_equal(iommud_error(f.connection), IOMMUD_ERROR_OTHER);
	end(&f);
}

static void error_names_are_known(void **state)
{
	assert_int_equal(iommud_error_from_name(NULL), IOMMUD_ERROR_NONE);
	assert_int_equal(iommud_error_from_name("io.iommud.DeniedByPolicy"), IOMMUD_ERROR_DENIED);
	assert_int_equal(iommud_error_from_name("org.varlink.service.PermissionDenied"), IOMMUD_ERROR_DENIED);
	assert_int_equal(iommud_error_from_name("io.iommud.GroupNotViable"), IOMMUD_ERROR_NOT_VIABLE);
	assert_int_equal(iommud_error_from_name("io.iommud.TimedOut"), IOMMUD_ERROR_TIMED_OUT);
	assert_int_equal(iommud_error_from_name("io.iommud.DeniedByPolic"), IOMMUD_ERROR_OTHER);
	assert_int_equal(iommud_error_from_name("DeniedByPolicy"), IOMMUD_ERROR_OTHER);
}

static void malformed_replies_are_faults(void **state)
{
	static const char *const wrong[] = {
		"raw garbage\\0",
		"raw \\0",
		"raw []\\0",
		"raw \"text\"\\0",
		"raw {}{}\\0",
		"raw {} x\\0",
		"raw {\"parameters\":{}\\0",
		"raw {\"parameters\":[]}\\0",
		"raw {\"parameters\":\"x\"}\\0",
		"raw {\"error\":1}\\0",
		"raw {\"continues\":1}\\0",
		"raw {\"error\":\"a.b\",\"continues\":true}\\0",
		"raw {\"parameters\":{\"a\":\"\xff\"}}\\0",
		"more {}", /* nobody asked for more */
		"fds 1\nreply {}", /* nobody asked for descriptors */
		"fds 253\nreply {}",
		"fds 2\nraw {\"error\":\"a.b\"}\\0",
		"fds 3\nraw garbage\\0",
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		char script[256];

		snprintf(script, sizeof(script), "call a.b.C\n%s\n", wrong[i]);
		assert_fault(script, -EPROTO);
	}
}

static void a_message_that_ends_half_way_is_a_fault(void **state)
{
	assert_fault("call a.b.C\nraw {\"parameters\":{}}\nclose\n", -EPROTO);
	assert_fault("call a.b.C\nfds 2\nraw {\"parameters\nclose\n", -EPROTO);
}

static void a_closed_connection_is_said_so(void **state)
{
	assert_fault("call a.b.C\nclose\n", -ECONNRESET);
}

static void a_message_without_an_end_is_bounded(void **state)
{
	assert_fault("call a.b.C\nfill 1100000\n", -EPROTO);
	assert_fault("call a.b.C\nfds 5\nfill 1100000\n", -EPROTO);
}

static void deep_nesting_is_bounded(void **state)
{
	char script[512] = "call a.b.C\nreply ";

	for (int i = 0; i < 40; i++)
		strcat(script, "{\"a\":");
	strcat(script, "1");
	for (int i = 0; i < 40; i++)
		strcat(script, "}");
	assert_fault(script, -EPROTO);
}

static void descriptors_pile_up_to_a_bound(void **state)
{
	assert_fault("call a.b.C\nfds 200\nraw {\"parameters\nfds 200\nraw \":{}}\\0\n", -EPROTO);
}

static int collect(const char *parameters, void *userdata)
{
	strcat(userdata, parameters);
	return strstr(parameters, "stop") ? 42 : 0;
}

static void a_stream_hands_out_every_reply(void **state)
{
	char seen[256] = "";
	struct fixture f;

	begin(&f, "call a.b.C\nmore {\"a\":1}\nmore {\"a\":2}\nraw {}\\0\n");
	assert_int_equal(iommud_call_more(f.connection, "a.b.C", "{}", collect, seen), 0);
	assert_string_equal(seen, "{\"a\":1}{\"a\":2}{}");
	assert_log(&f, "call {\"method\":\"a.b.C\",\"parameters\":{},\"more\":true}");
	assert_int_equal(iommud_call_more(f.connection, "a.b.C", NULL, collect, seen), 0);
	end(&f);
}

static void replies_of_one_segment_are_told_apart(void **state)
{
	char seen[256] = "";
	struct fixture f;

	begin(&f, "call a.b.C\nraw {\"continues\":true,\"parameters\":{\"a\":1}}\\0{\"parameters\":{\"a\":2}}\\0\n");
	assert_int_equal(iommud_call_more(f.connection, "a.b.C", NULL, collect, seen), 0);
	assert_string_equal(seen, "{\"a\":1}{\"a\":2}");
	end(&f);
}

static void nothing_is_read_ahead(void **state)
{
	struct pollfd poll_fd = { .events = POLLIN };
	struct fixture f;

	begin(&f, "call a.b.C\nraw {}\\0{\"parameters\":{\"late\":1}}\\0\n");
	assert_int_equal(iommud_call(f.connection, "a.b.C", NULL, NULL), 0);
	poll_fd.fd = iommud_get_fd(f.connection);
	assert_int_equal(poll(&poll_fd, 1, 0), 1);
	end(&f);
}

static void a_stream_may_be_stopped_once(void **state)
{
	char seen[256] = "";
	struct fixture f;

	begin(&f, "call a.b.C\nmore {\"a\":1}\nmore {\"stop\":1}\nmore {\"a\":3}\n");
	assert_int_equal(iommud_call_more(f.connection, "a.b.C", NULL, collect, seen), 42);
	assert_string_equal(seen, "{\"a\":1}{\"stop\":1}");
	assert_int_equal(iommud_call(f.connection, "a.b.C", NULL, NULL), -ENOTCONN);
	end(&f);
}

static void a_stop_in_the_last_reply_costs_nothing(void **state)
{
	char seen[256] = "";
	struct fixture f;

	begin(&f, "call a.b.C\nreply {\"stop\":1}\n");
	assert_int_equal(iommud_call_more(f.connection, "a.b.C", NULL, collect, seen), 42);
	assert_int_equal(iommud_call_more(f.connection, "a.b.C", NULL, collect, seen), 42);
	end(&f);
}

static void a_stream_may_end_in_a_refusal(void **state)
{
	char seen[256] = "";
	struct fixture f;

	begin(&f, "call a.b.C\nmore {\"a\":1}\nerror io.iommud.TimedOut {\"message\":\"late\"}\n");
	assert_int_equal(iommud_call_more(f.connection, "a.b.C", NULL, collect, seen), IOMMUD_REFUSED);
	assert_string_equal(seen, "{\"a\":1}");
	assert_int_equal(iommud_error(f.connection), IOMMUD_ERROR_TIMED_OUT);
	end(&f);
}

static void a_stream_that_breaks_is_a_fault(void **state)
{
	char seen[256] = "";
	struct fixture f;

	begin(&f, "call a.b.C\nmore {\"a\":1}\nclose\n");
	assert_int_equal(iommud_call_more(f.connection, "a.b.C", NULL, collect, seen), -ECONNRESET);
	assert_string_equal(seen, "{\"a\":1}");
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(close_accepts_null),
		cmocka_unit_test(open_says_that_no_daemon_is_there),
		cmocka_unit_test(open_without_a_path_takes_the_environment),
		cmocka_unit_test(the_socket_is_close_on_exec),
		cmocka_unit_test(call_hands_out_the_replys_parameters),
		cmocka_unit_test(a_reply_without_parameters_is_an_empty_object),
		cmocka_unit_test(a_reply_may_come_in_pieces),
		cmocka_unit_test(what_the_caller_got_wrong_is_not_sent),
		cmocka_unit_test(a_call_beyond_the_limit_is_not_sent),
		cmocka_unit_test(a_refusal_has_kind_name_message_and_parameters),
		cmocka_unit_test(a_refusal_without_a_message_gets_one),
		cmocka_unit_test(error_names_are_known),
		cmocka_unit_test(malformed_replies_are_faults),
		cmocka_unit_test(a_message_that_ends_half_way_is_a_fault),
		cmocka_unit_test(a_closed_connection_is_said_so),
		cmocka_unit_test(a_message_without_an_end_is_bounded),
		cmocka_unit_test(deep_nesting_is_bounded),
		cmocka_unit_test(descriptors_pile_up_to_a_bound),
		cmocka_unit_test(a_stream_hands_out_every_reply),
		cmocka_unit_test(replies_of_one_segment_are_told_apart),
		cmocka_unit_test(nothing_is_read_ahead),
		cmocka_unit_test(a_stream_may_be_stopped_once),
		cmocka_unit_test(a_stop_in_the_last_reply_costs_nothing),
		cmocka_unit_test(a_stream_may_end_in_a_refusal),
		cmocka_unit_test(a_stream_that_breaks_is_a_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
