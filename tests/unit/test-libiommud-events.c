/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A lease that is wanted back, by the client library: Revoke, and the events on the lease's own connection. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake-server.h"
#include "libiommud.h"
#include "open-fds.h"

#define SUBSCRIBE "call io.iommud.Subscribe\n"
#define EVENT(name) "{\"event\":\"" name "\",\"lease\":3}"

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

static void end(struct fixture *f)
{
	f->connection = iommud_close(f->connection);
	fake_server_stop(&f->server);
	assert_int_equal(count_open_fds(), f->fds_before);
}

static void assert_log(struct fixture *f, const char *expected)
{
	char line[256];

	fake_server_read_log(&f->server, line, sizeof(line));
	assert_string_equal(line, expected);
}

static bool is_readable(const struct iommud *connection, int milliseconds)
{
	struct pollfd poller = { .fd = iommud_get_fd(connection), .events = POLLIN };

	return poll(&poller, 1, milliseconds) == 1;
}

static void events_are_read_one_at_a_time(void **state)
{
	const char *event;
	struct fixture f;

	begin(&f, SUBSCRIBE
	      "more " EVENT("subscribed") "\nmore " EVENT("violation") "\nmore " EVENT("releaseRequested") "\n");
	assert_int_equal(iommud_subscribe(f.connection, 3), 0);
	assert_log(&f, "call {\"method\":\"io.iommud.Subscribe\",\"parameters\":{\"lease\":3},\"more\":true}");
	/* What is there can be polled for: nothing was read ahead. */
	assert_true(is_readable(f.connection, 20000));
	assert_int_equal(iommud_read_event(f.connection, &event), 0);
	assert_string_equal(event, EVENT("violation"));
	assert_true(is_readable(f.connection, 20000));
	assert_int_equal(iommud_read_event(f.connection, &event), 0);
	assert_string_equal(event, EVENT("releaseRequested"));
	assert_false(is_readable(f.connection, 0));
	end(&f);
}

static void a_subscribed_connection_calls_nothing_else(void **state)
{
	static const char *const devices[] = { "0000:00:04.0" };
	const struct iommud_request request = { .size = sizeof(request), .devices = devices, .n_devices = 1 };
	struct iommud_lease *lease = NULL;
	struct fixture f;

	begin(&f, SUBSCRIBE "more " EVENT("subscribed") "\nmore " EVENT("releaseRequested") "\n");
	assert_int_equal(iommud_subscribe(f.connection, 3), 0);
	assert_int_equal(iommud_release(f.connection, 3), -EBUSY);
	assert_int_equal(iommud_subscribe(f.connection, 3), -EBUSY);
	assert_int_equal(iommud_acquire(f.connection, &request, &lease), -EBUSY);
	assert_null(lease);
	assert_int_equal(iommud_revoke(f.connection, 3, NULL), -EBUSY);
	end(&f);
}

static void arguments_that_are_wrong_are_not_sent(void **state)
{
	const char *event;
	struct fixture f;

	begin(&f, SUBSCRIBE "more " EVENT("subscribed") "\ncall io.iommud.Manage.Revoke\nreply {}\n");
	assert_int_equal(iommud_subscribe(NULL, 3), -EINVAL);
	assert_int_equal(iommud_subscribe(f.connection, 0), -EINVAL);
	assert_int_equal(iommud_subscribe(f.connection, UINT64_MAX), -EINVAL);
	assert_int_equal(iommud_read_event(f.connection, &event), -EINVAL);
	assert_int_equal(iommud_read_event(NULL, &event), -EINVAL);
	assert_int_equal(iommud_revoke(NULL, 3, NULL), -EINVAL);
	assert_int_equal(iommud_revoke(f.connection, UINT64_MAX, NULL), -EINVAL);
	assert_int_equal(iommud_revoke(f.connection, 3, NULL), 0);
	assert_log(&f, "call {\"method\":\"io.iommud.Manage.Revoke\",\"parameters\":{\"lease\":3}}");
	end(&f);
}

static void a_subscription_may_be_refused(void **state)
{
	struct fixture f;

	begin(&f, SUBSCRIBE "error io.iommud.NoSuchLease {\"lease\":3,\"message\":\"it is over\"}\n"
			    "call io.iommud.Release\nreply {}\n");
	assert_int_equal(iommud_subscribe(f.connection, 3), IOMMUD_REFUSED);
	assert_int_equal(iommud_error(f.connection), IOMMUD_ERROR_NO_SUCH_LEASE);
	assert_string_equal(iommud_error_message(f.connection), "it is over");
	assert_int_equal(iommud_release(f.connection, 3), 0);
	end(&f);
}

static void a_stream_that_ends_or_fails_is_a_fault(void **state)
{
	static const char *const endings[] = { "reply {}\n", "error a.B {}\n", "raw x\\0\n", "fds 1\nmore {}\n" };
	const char *event;
	struct fixture f;

	for (size_t i = 0; i < sizeof(endings) / sizeof(*endings); i++) {
		char script[256] = SUBSCRIBE "more " EVENT("subscribed") "\n";

		strcat(script, endings[i]);
		begin(&f, script);
		assert_int_equal(iommud_subscribe(f.connection, 3), 0);
		assert_int_equal(iommud_read_event(f.connection, &event), -EPROTO);
		assert_int_equal(iommud_read_event(f.connection, &event), -ENOTCONN);
		end(&f);
	}
	begin(&f, SUBSCRIBE "reply {}\n");
	assert_int_equal(iommud_subscribe(f.connection, 3), -EPROTO);
	end(&f);
	begin(&f, SUBSCRIBE "more " EVENT("subscribed") "\nclose\n");
	assert_int_equal(iommud_subscribe(f.connection, 3), 0);
	assert_int_equal(iommud_read_event(f.connection, &event), -ECONNRESET);
	end(&f);
}

static void revoke_says_why_and_may_be_refused(void **state)
{
	struct fixture f;

	begin(&f,
	      "call io.iommud.Manage.Revoke \"lease\":9\nreply {}\ncall io.iommud.Manage.Revoke \"lease\":10\n"
	      "error io.iommud.Manage.NotAllowed {\"message\":\"only root\"}\ncall io.iommud.Manage.Revoke\nmore {}\n");
	assert_int_equal(iommud_revoke(f.connection, 9, "a \"b\""), 0);
	assert_log(
		&f,
		"call {\"method\":\"io.iommud.Manage.Revoke\",\"parameters\":{\"lease\":9,\"reason\":\"a \\\"b\\\"\"}}");
	assert_int_equal(iommud_revoke(f.connection, 10, NULL), IOMMUD_REFUSED);
	assert_int_equal(iommud_error(f.connection), IOMMUD_ERROR_DENIED);
	assert_int_equal(iommud_revoke(f.connection, 11, NULL), -EPROTO);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_are_read_one_at_a_time),
		cmocka_unit_test(a_subscribed_connection_calls_nothing_else),
		cmocka_unit_test(arguments_that_are_wrong_are_not_sent),
		cmocka_unit_test(a_subscription_may_be_refused),
		cmocka_unit_test(a_stream_that_ends_or_fails_is_a_fault),
		cmocka_unit_test(revoke_says_why_and_may_be_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
