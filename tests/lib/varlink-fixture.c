/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The server side of the tests. Descriptors that it hands out are all of one pipe, so that a hang-up tells they are gone. */
#include "varlink-fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "open-fds.h"
#include "util/cleanup.h"

#define ROUNDS_MAX 100000

struct test_parameters {
	const char *text;
	uint32_t number;
	uint32_t size;
	bool flag;
	struct json_string_list list;
};

static const struct json_field test_fields[] = {
	{ "text", JSON_FIELD_STRING, offsetof(struct test_parameters, text), false },
	{ "number", JSON_FIELD_U32, offsetof(struct test_parameters, number), false },
	{ "size", JSON_FIELD_U32, offsetof(struct test_parameters, size), false },
	{ "flag", JSON_FIELD_BOOL, offsetof(struct test_parameters, flag), false },
	{ "list", JSON_FIELD_STRING_LIST, offsetof(struct test_parameters, list), false },
};

static json_object *filler(uint32_t size, uint32_t number)
{
	json_object *object = json_object_new_object();
	_cleanup_free_ char *text = calloc(1, (size_t)size + 1);

	if (text)
		memset(text, 'x', size);
	json_object_object_add(object, "text", json_object_new_string(text ? text : "no memory"));
	json_object_object_add(object, "number", json_object_new_int64(number));
	return object;
}

static int handle_echo(void *userdata, struct varlink_call *call, const void *parameters)
{
	const struct test_parameters *p = parameters;
	struct varlink_fixture *fixture = userdata;
	json_object *answer = json_object_new_object(), *list = json_object_new_array();
	int r;

	fixture->n_handled++;
	if (p->text)
		json_object_object_add(answer, "text", json_object_new_string(p->text));
	if (p->number != UINT32_MAX)
		json_object_object_add(answer, "number", json_object_new_int64(p->number));
	json_object_object_add(answer, "flag", json_object_new_boolean(p->flag));
	for (size_t i = 0; i < p->list.n; i++)
		json_object_array_add(list, json_object_new_string(p->list.items[i]));
	json_object_object_add(answer, "list", list);
	r = varlink_reply(call, answer, NULL, 0, false);
	/* Parameters outlive the reply; the sanitizer would tell. */
	return p->text && strlen(p->text) > VARLINK_FRAME_MAX ? -EIO : r;
}

static int reply_fds(struct varlink_fixture *fixture, struct varlink_call *call, uint32_t n)
{
	int fds[VARLINK_FDS_MAX + 1];

	for (uint32_t i = 0; i < n; i++)
		fds[i] = fcntl(fixture->pipe_write, F_DUPFD_CLOEXEC, 0);
	fixture->last_result = varlink_reply(call, filler(0, n), fds, n, false);
	return fixture->last_result == -ETOOMANYREFS ? 0 : fixture->last_result;
}

static int handle_fds(void *userdata, struct varlink_call *call, const void *parameters)
{
	const struct test_parameters *p = parameters;
	struct varlink_fixture *fixture = userdata;

	fixture->n_handled++;
	return reply_fds(fixture, call, p->number > VARLINK_FDS_MAX ? VARLINK_FDS_MAX + 1 : p->number);
}

static int handle_later(void *userdata, struct varlink_call *call, const void *parameters)
{
	struct varlink_fixture *fixture = userdata;

	fixture->n_handled++;
	if (fixture->n_pending == FIXTURE_PENDING_MAX)
		return -ENOBUFS;
	fixture->pending[fixture->n_pending++] = call;
	return 0;
}

static int handle_stream(void *userdata, struct varlink_call *call, const void *parameters)
{
	const struct test_parameters *p = parameters;
	struct varlink_fixture *fixture = userdata;
	uint32_t size = p->size == UINT32_MAX ? 0 : p->size;
	int r = 0;

	fixture->n_handled++;
	for (uint32_t i = 0; i + 1 < p->number && r == 0; i++)
		r = varlink_reply(call, filler(size, i), NULL, 0, true);
	return r < 0 ? 0 : varlink_reply(call, filler(size, p->number - 1), NULL, 0, false);
}

static int handle_stream_fds(void *userdata, struct varlink_call *call, const void *parameters)
{
	const struct test_parameters *p = parameters;
	int r = varlink_reply(call, filler(p->size, 0), NULL, 0, true);

	return r < 0 ? 0 : reply_fds(userdata, call, 1);
}

static int handle_fault(void *userdata, struct varlink_call *call, const void *parameters)
{
	return -EIO;
}

#define TEST_METHOD(method_name, method_flags, method_handle)                                           \
	{                                                                                               \
		.name = "test." method_name, .flags = method_flags, .fields = test_fields,              \
		.n_fields = ARRAY_SIZE(test_fields), .parameters_size = sizeof(struct test_parameters), \
		.handle = method_handle,                                                                \
	}

static const struct varlink_method test_methods[] = {
	TEST_METHOD("Echo", 0, handle_echo),
	TEST_METHOD("Fds", VARLINK_NO_ONEWAY, handle_fds),
	TEST_METHOD("Later", 0, handle_later),
	TEST_METHOD("Stream", VARLINK_REQUIRES_MORE, handle_stream),
	TEST_METHOD("StreamFds", VARLINK_REQUIRES_MORE, handle_stream_fds),
	TEST_METHOD("Fault", 0, handle_fault),
	TEST_METHOD("Strict", VARLINK_NO_ONEWAY, handle_echo),
};

static const struct varlink_interface test_interfaces[] = {
	{ .name = "test", .description = "interface test\n\nmethod Echo() -> ()\n" },
};

static int on_connected(void *userdata, struct varlink_connection *connection)
{
	struct varlink_fixture *fixture = userdata;

	if (fixture->refuse < 0)
		return fixture->refuse;
	fixture->n_connected++;
	return 0;
}

static void forget_pending(struct varlink_fixture *fixture, const struct varlink_connection *connection)
{
	size_t n = 0;

	for (size_t i = 0; i < fixture->n_pending; i++)
		if (varlink_call_get_connection(fixture->pending[i]) != connection)
			fixture->pending[n++] = fixture->pending[i];
	fixture->n_pending = n;
}

static void on_disconnected(void *userdata, struct varlink_connection *connection)
{
	struct varlink_fixture *fixture = userdata;

	fixture->n_disconnected++;
	if (fixture->on_disconnected)
		fixture->on_disconnected(fixture, connection);
	forget_pending(fixture, connection);
}

static void on_drained(void *userdata, struct varlink_connection *connection)
{
	struct varlink_fixture *fixture = userdata;

	fixture->n_drained++;
	if (fixture->on_drained)
		fixture->on_drained(fixture, connection);
}

void fixture_default_limits(struct varlink_limits *limits)
{
	*limits = (struct varlink_limits){
		.max_connections = 512,
		.max_connections_per_uid = 256,
		.frame_timeout_usec = FIXTURE_FRAME_TIMEOUT_USEC,
		.send_timeout_usec = FIXTURE_SEND_TIMEOUT_USEC,
		.send_buffer_max = 4 * 1024 * 1024,
	};
}

static bool on_ready(void *userdata, struct varlink_connection *connection)
{
	struct varlink_fixture *fixture = userdata;

	return !fixture->on_ready || fixture->on_ready(fixture, connection);
}

static int fixture_listen(struct varlink_fixture *fixture)
{
	char dir[] = "/tmp/iommud-test-XXXXXX";
	int fd;

	if (!mkdtemp(dir))
		return -errno;
	snprintf(fixture->path, sizeof(fixture->path), "%s/socket", dir);
	fd = varlink_listen(fixture->path);
	return fd < 0 ? fd : varlink_server_add_listener(fixture->server, fd);
}

int fixture_start(struct varlink_fixture *fixture, const struct varlink_limits *limits)
{
	int ends[2], r;

	*fixture = (struct varlink_fixture){ .n_fds_before = count_open_fds() };
	fixture->config = (struct varlink_server_config){
		.vendor = "vendor",
		.product = "product",
		.version = "1",
		.url = "https://example.org/",
		.interfaces = test_interfaces,
		.n_interfaces = ARRAY_SIZE(test_interfaces),
		.methods = test_methods,
		.n_methods = ARRAY_SIZE(test_methods),
		.connected = on_connected,
		.disconnected = on_disconnected,
		.drained = on_drained,
		.ready = on_ready,
		.userdata = fixture,
	};
	fixture_default_limits(&fixture->config.limits);
	if (limits)
		fixture->config.limits = *limits;
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	fixture->pipe_read = ends[0];
	fixture->pipe_write = ends[1];
	r = varlink_server_new(&fixture->config, &fixture->server);
	return r < 0 ? r : fixture_listen(fixture);
}

/* Threads that discard descriptors tell nobody but the server, which is gone: so look until the number is right. */
static int await_fds(const struct varlink_fixture *fixture)
{
	int surplus = 0;

	for (int i = 0; i < VARLINK_CLIENT_TIMEOUT_MSEC; i++) {
		surplus = (int)count_open_fds() - (int)fixture->n_fds_before;
		if (surplus <= 0)
			break;
		poll(NULL, 0, 1);
	}
	return surplus;
}

int fixture_stop(struct varlink_fixture *fixture)
{
	fixture->server = varlink_server_free(fixture->server);
	close_fd(fixture->pipe_read);
	close_fd(fixture->pipe_write);
	unlink(fixture->path);
	*strrchr(fixture->path, '/') = '\0';
	rmdir(fixture->path);
	return await_fds(fixture);
}

static bool is_ready(const struct varlink_fixture *fixture)
{
	struct pollfd fd = { .fd = varlink_server_get_fd(fixture->server), .events = POLLIN };

	return poll(&fd, 1, 0) > 0;
}

int fixture_run(struct varlink_fixture *fixture)
{
	for (int i = 0; i < ROUNDS_MAX; i++) {
		if (!is_ready(fixture))
			return i;
		if (varlink_server_dispatch(fixture->server) < 0)
			return -1;
	}
	return -1;
}

int fixture_expire(struct varlink_fixture *fixture)
{
	uint64_t deadline = varlink_server_next_deadline(fixture->server);

	if (deadline == UINT64_MAX)
		return -1;
	varlink_server_expire(fixture->server, deadline);
	return fixture_run(fixture);
}

static void pump(void *userdata)
{
	struct varlink_fixture *fixture = userdata;

	varlink_server_dispatch(fixture->server);
}

int fixture_connect(struct varlink_fixture *fixture, struct varlink_client *client)
{
	*client = (struct varlink_client)VARLINK_CLIENT_INIT;
	client->pump_fd = varlink_server_get_fd(fixture->server);
	client->pump = pump;
	client->pump_userdata = fixture;
	return varlink_client_connect(client, fixture->path);
}

struct varlink_client fixture_new_client(struct varlink_fixture *fixture)
{
	struct varlink_client client;

	assert_int_equal(fixture_connect(fixture, &client), 0);
	return client;
}

void assert_served(struct varlink_client *client)
{
	struct varlink_reply reply;

	assert_int_equal(varlink_client_call(client, "test.Echo", "{\"number\":42}", NULL, &reply), 0);
	assert_null(reply.error);
	assert_int_equal(varlink_reply_int(&reply, "number"), 42);
	varlink_reply_clear(&reply);
}

void assert_error(struct varlink_client *client, const char *name, const char *key, const char *value)
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

void ask_for_fds(struct varlink_client *client, int n_calls, int n_fds)
{
	char parameters[32];

	snprintf(parameters, sizeof(parameters), "{\"number\":%d}", n_fds);
	for (int i = 0; i < n_calls; i++)
		assert_int_equal(varlink_client_send_call(client, "test.Fds", parameters, NULL), 0);
}

int fixture_await_pipe_closed(struct varlink_fixture *fixture)
{
	struct pollfd fd = { .fd = fixture->pipe_read, .events = POLLIN };

	fixture->pipe_write = close_fd(fixture->pipe_write);
	return poll(&fd, 1, VARLINK_CLIENT_TIMEOUT_MSEC) == 1 && (fd.revents & POLLHUP) ? 0 : -ETIMEDOUT;
}
