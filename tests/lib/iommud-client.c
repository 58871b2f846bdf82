/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The clients of iommud-harness.h, and what they wait for. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "iommud-harness.h"
#include "util/cleanup.h"
#include "util/fileio.h"

#define LOG_MAX (4u << 20)

void machine_become(uid_t uid)
{
	if (uid == 0)
		assert_int_equal(syscall(SYS_setresuid, -1, 0, -1), 0);
	assert_int_equal(syscall(SYS_setgroups, 0, NULL), 0);
	assert_int_equal(syscall(SYS_setresgid, -1, uid, -1), 0);
	if (uid != 0)
		assert_int_equal(syscall(SYS_setresuid, -1, uid, -1), 0);
}

struct varlink_client machine_connect(const struct machine *machine, uid_t uid)
{
	struct varlink_client client = VARLINK_CLIENT_INIT;
	int r;

	machine_become(uid);
	r = varlink_client_connect(&client, machine->socket);
	machine_become(0);
	if (r < 0)
		fail_msg("connect: %s", strerror(-r));
	return client;
}

struct varlink_reply machine_call(struct varlink_client *client, const char *method, const char *parameters)
{
	struct varlink_reply reply = { 0 };
	char name[128];
	int r;

	snprintf(name, sizeof(name), "%s%s", strchr(method, '.') ? "" : "io.iommud.", method);
	r = varlink_client_call(client, name, parameters, NULL, &reply);
	if (r < 0)
		fail_msg("%s %s: %s", name, parameters ? parameters : "", strerror(-r));
	return reply;
}

struct varlink_reply machine_refused(struct varlink_client *client, const char *method, const char *parameters,
				     const char *error, const char *message)
{
	struct varlink_reply reply = machine_call(client, method, parameters);
	char name[128];

	snprintf(name, sizeof(name), "%s%s", strchr(error, '.') ? "" : "io.iommud.", error);
	if (!reply.error || strcmp(reply.error, name) != 0 || reply.n_fds != 0 ||
	    (message && !strstr(machine_text(&reply, "message"), message)))
		fail_msg("%s: not %s, \"%s\", but\n%s", method, name, message ? message : "",
			 json_object_to_json_string(reply.message));
	return reply;
}

void machine_expect_refusal(struct varlink_client *client, const char *method, const char *parameters,
			    const char *error, const char *message)
{
	struct varlink_reply reply = machine_refused(client, method, parameters, error, message);

	varlink_reply_clear(&reply);
}

struct varlink_reply machine_acquire(struct varlink_client *client, const char *parameters)
{
	struct varlink_reply reply = machine_call(client, "Acquire", parameters);

	if (reply.error)
		fail_msg("Acquire %s: %s", parameters, json_object_to_json_string(reply.message));
	assert_true(varlink_reply_int(&reply, "lease") > 0);
	return reply;
}

long long machine_take(struct varlink_client *client, const char *parameters)
{
	struct varlink_reply reply = machine_acquire(client, parameters);
	long long lease = varlink_reply_int(&reply, "lease");

	varlink_reply_clear(&reply);
	return lease;
}

void machine_release(struct varlink_client *client, long long lease)
{
	struct varlink_reply reply;
	char parameters[64];

	snprintf(parameters, sizeof(parameters), "{\"lease\":%lld}", lease);
	reply = machine_call(client, "Release", parameters);
	if (reply.error)
		fail_msg("Release %s: %s", parameters, json_object_to_json_string(reply.message));
	varlink_reply_clear(&reply);
}

void machine_serves(struct machine *machine, uid_t uid, const char *address)
{
	struct varlink_client client = machine_connect(machine, uid);
	struct varlink_reply event;
	char parameters[64];
	long long lease;

	snprintf(parameters, sizeof(parameters), "{\"devices\":[\"%s\"]}", address);
	lease = machine_take(&client, parameters);
	machine_release(&client, lease);
	do {
		event = machine_await(machine, "leaseReleased");
		lease -= varlink_reply_int(&event, "lease") == lease ? lease : 0;
		varlink_reply_clear(&event);
	} while (lease);
	varlink_client_close(&client);
}

/* ---- waiting ---- */

struct varlink_reply machine_await(struct machine *machine, const char *event)
{
	struct varlink_reply reply;
	int r;

	while ((r = varlink_client_receive(&machine->watch, &reply)) == 0) {
		if (strcmp(machine_text(&reply, "event"), event) == 0)
			return reply;
		varlink_reply_clear(&reply);
	}
	fail_msg("no event %s: %s", event, strerror(-r));
	return reply;
}

void machine_expect_event(struct machine *machine, const char *event)
{
	struct varlink_reply reply = machine_await(machine, event);

	varlink_reply_clear(&reply);
}

char *machine_log(struct machine *machine)
{
	static const char *const names[] = { "iommud.log", "helper.log" };
	char *both = strdup("");

	for (size_t i = 0; both && i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *text = NULL, *former = both;
		char path[128];
		size_t size;

		snprintf(path, sizeof(path), "%s/%s", machine->dir, names[i]);
		if (read_whole_file_at(AT_FDCWD, path, LOG_MAX, &text, &size) == 0 &&
		    asprintf(&both, "%s%.*s", former, (int)size, text) < 0)
			both = NULL;
		else if (!text)
			both = TAKE_PTR(former);
	}
	assert_non_null(both);
	return both;
}

void machine_wait_log(struct machine *machine, const char *text)
{
	_cleanup_fd_ int fd = inotify_init1(IN_CLOEXEC);
	struct pollfd slot = { .fd = fd, .events = POLLIN };
	char events[4096];

	assert_true(fd >= 0 && inotify_add_watch(fd, machine->dir, IN_MODIFY) >= 0);
	for (;;) {
		_cleanup_free_ char *log = machine_log(machine);

		if (strstr(log, text))
			return;
		if (poll(&slot, 1, MACHINE_WAIT * 1000) <= 0)
			fail_msg("no\n%sin the log\n%s", text, log);
		assert_true(read(fd, events, sizeof(events)) > 0);
	}
}

void machine_wait_tree(struct machine *machine, const char *expected)
{
	struct pollfd slot = { .fd = machine->writes, .events = POLLIN };
	char byte;

	for (;;) {
		_cleanup_free_ char *now = fuse_sysfs_describe(machine->sysfs);

		if (strstr(now, expected))
			return;
		if (poll(&slot, 1, MACHINE_WAIT * 1000) <= 0)
			fail_msg("it did not become\n%sin\n%s", expected, now);
		assert_int_equal(read(machine->writes, &byte, 1), 1);
	}
}

void machine_assert_tree(struct machine *machine, const char *expected)
{
	_cleanup_free_ char *now = fuse_sysfs_describe(machine->sysfs);

	if (!strstr(now, expected))
		fail_msg("no\n%sin\n%s", expected, now);
}

/* ---- looking into replies ---- */

static json_object *step(json_object *value, const char *key)
{
	json_object *member = NULL;

	if (json_object_is_type(value, json_type_array))
		return json_object_array_get_idx(value, strtoul(key, NULL, 10));
	if (json_object_is_type(value, json_type_object))
		json_object_object_get_ex(value, key, &member);
	return member;
}

json_object *machine_get(const struct varlink_reply *reply, const char *path)
{
	_cleanup_free_ char *copy = strdup(path);
	json_object *value = reply->parameters;
	char *rest = copy, *key;

	assert_non_null(copy);
	while ((key = strsep(&rest, ".")))
		value = step(value, key);
	return value;
}

const char *machine_text(const struct varlink_reply *reply, const char *path)
{
	json_object *value = machine_get(reply, path);

	return value ? json_object_get_string(value) : "";
}
