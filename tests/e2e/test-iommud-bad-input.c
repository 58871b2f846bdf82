/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What clients do wrong, by accident or on purpose: each is answered by a named error where one can be sent, and by the end
 * of the connection where not. After each an honest client is served, and the daemon has as many descriptors as before.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "iommud-harness.h"
#include "util/cleanup.h"

#define FRAME_MAX 16384

/* Answered by this error, then closed; nobody else notices. */
static void assert_closed_with(struct machine *machine, const void *data, size_t size, const char *error,
			       const char *reason)
{
	struct varlink_client client = machine_connect(machine, ALICE);
	struct varlink_reply reply;
	int r = varlink_client_send(&client, data, size, NULL, 0);

	assert_true(r == 0 || r == -EPIPE || r == -ECONNRESET);
	assert_int_equal(varlink_client_receive(&client, &reply), 0);
	if (!reply.error || strcmp(reply.error, error) != 0 ||
	    (reason && !strstr(machine_text(&reply, "reason"), reason)))
		fail_msg("%.60s: not %s(%s) but %s", (const char *)data, error, reason ? reason : "",
			 json_object_to_json_string(reply.message));
	varlink_reply_clear(&reply);
	assert_int_equal(varlink_client_await_close(&client), 0);
	varlink_client_close(&client);
}

static size_t count_fds(struct machine *machine, struct varlink_client *root)
{
	struct varlink_reply reply = machine_call(root, "org.varlink.service.GetInfo", NULL);

	varlink_reply_clear(&reply);
	return machine_count_fds(machine);
}

/* With no connection but this one and the subscription. */
static void start(struct machine *machine, size_t *ret_at_rest)
{
	struct varlink_client root;

	machine_start(machine);
	root = machine_connect(machine, 0);
	*ret_at_rest = count_fds(machine, &root);
	varlink_client_close(&root);
}

/* The daemon closes in its own time, after it has answered; it answers quickly. */
static void assert_at_rest(struct machine *machine, size_t expected)
{
	struct varlink_client root = machine_connect(machine, 0);
	time_t until = time(NULL) + MACHINE_WAIT;

	while (count_fds(machine, &root) != expected && time(NULL) < until)
		;
	assert_int_equal(count_fds(machine, &root), expected);
	varlink_client_close(&root);
}

static void finish(struct machine *machine, size_t at_rest)
{
	machine_serves(machine, BOB, SPARE);
	assert_at_rest(machine, at_rest);
}

/* ---- no calls ---- */

#define TEXT(literal) literal, sizeof(literal)

static void what_is_no_call_is_said_and_closed(void **state)
{
	static const struct {
		const char *data;
		size_t size;
		const char *reason;
	} messages[] = {
		{ TEXT("hello"), "not a JSON object" },
		{ TEXT(""), "not a JSON object" },
		{ TEXT("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), "not a JSON object" },
		{ TEXT("\x01\x02\xff\xfe"), "not a JSON object" },
		{ TEXT("[{},{},{},{}]"), "not a JSON object" },
		{ TEXT("{\"method\":\"io.iommud.Release\""), "" },
		{ TEXT("{\"method\":\"io.iommud.Release\"}{}"), "more than one" },
		{ TEXT("{\"method\":\"io.iommud.Describe\",\"method\":\"io.iommud.Release\"}"), "" },
		{ TEXT("{\"method\":\"io.iommud.Release\",\"parameters\":{\"lease\":1,\"lease\":2}}"), "" },
		{ TEXT("{'method':'io.iommud.ListDevices'}"), "double quotes" },
		{ TEXT("{\"method\":\"io.iommud.Describe\",\"parameters\":{\"device\":'0000:00:01.0'}}"), "" },
		{ TEXT("{\"method\":\"io.iommud.Describe\\u0000\"}"), "NUL in a string" },
		{ TEXT("{\"method\":\"io.iommud.Describe\",\"parameters\":{\"device\":\"0000\0:00:01.0\"}}"),
		  "unterminated string" },
		{ TEXT("{\"method\":\"io.iommud.Release\",\"parameters\":{\"lease\":18446744073709551616}}"),
		  "number out of range" },
		{ TEXT("{\"method\":\"io.iommud.Release\",\"parameters\":{\"lease\":-9223372036854775809}}"),
		  "number out of range" },
		{ TEXT("{\"method\":\"io.iommud.Release\",\"parameters\":{\"lease\":1e999}}"), "number out of range" },
		{ TEXT("{\"method\":\"io.iommud.Release\",\"parameters\":{\"lease\":01}}"), "malformed number" },
		{ TEXT("{\"method\":\"io.iommud.Release\",\"parameters\":{\"lease\":NaN}}"), "no JSON value" },
		{ TEXT("{\"method\":\"io.iommud.Describe\",\"parameters\":{\"device\":\"\xc3\x28\"}}"), "UTF-8" },
		{ TEXT("{\"method\":\"x\",\"parameters\":{\"a\":[[[[[[[[[1]]]]]]]]]}}"), "nested too deep" },
		{ TEXT("{\"method\":42}"), "'method'" },
		{ TEXT("{\"method\":null}"), "'method'" },
		{ TEXT("{\"parameters\":{}}"), "'method'" },
		{ TEXT("{\"method\":\"io.iommud.Release\",\"parameters\":[1]}"), "'parameters'" },
		{ TEXT("{\"method\":\"io.iommud.ListDevices\",\"more\":1}"), "'more'" },
		{ TEXT("{\"method\":\"io.iommud.ListDevices\",\"more\":\"true\"}"), "'more'" },
		{ TEXT("{\"method\":\"io.iommud.ListDevices\",\"password\":\"x\"}"), "'password'" },
		{ TEXT("{\"method\":\"io.iommud.ListDevices\",\"more\":true,\"oneway\":true}"), "exclude" },
	};
	struct machine *machine = *state;
	size_t at_rest;

	start(machine, &at_rest);
	for (size_t i = 0; i < ARRAY_SIZE(messages); i++)
		assert_closed_with(machine, messages[i].data, messages[i].size, "io.iommud.InvalidMessage",
				   messages[i].reason);
	finish(machine, at_rest);
}

/* [{},{},...] as long as a frame may be, which would be a hundred times as much memory. */
static void many_small_values_are_refused(void **state)
{
	static const char head[] = "{\"method\":\"io.iommud.Acquire\",\"parameters\":{\"devices\":[";
	struct machine *machine = *state;
	char message[FRAME_MAX + 1];
	size_t at_rest, size = sizeof(head) - 1;

	start(machine, &at_rest);
	memcpy(message, head, size);
	for (; size + 6 < sizeof(message); size += 3)
		memcpy(message + size, "{},", 3);
	memcpy(message + size - 1, "]}}", 4);
	assert_closed_with(machine, message, size + 3, "io.iommud.InvalidMessage", "too many values");
	finish(machine, at_rest);
}

static void a_message_of_10_mb_is_refused_before_it_is_read(void **state)
{
	_cleanup_free_ char *message = malloc(10 << 20);
	struct machine *machine = *state;
	size_t at_rest;

	assert_non_null(message);
	memset(message, 'x', 10 << 20);
	start(machine, &at_rest);
	for (int i = 0; i < 3; i++)
		assert_closed_with(machine, message, 10 << 20, "io.iommud.MessageTooLarge", NULL);
	assert_closed_with(machine, message, FRAME_MAX + 1, "io.iommud.MessageTooLarge", NULL);
	/* One byte less is a frame, of nonsense. */
	message[FRAME_MAX] = '\0';
	assert_closed_with(machine, message, FRAME_MAX + 1, "io.iommud.InvalidMessage", "not a JSON object");
	finish(machine, at_rest);
}

/* ---- calls that can't be carried out: the connection goes on ---- */

static void what_does_not_fit_a_method_is_said(void **state)
{
	static const struct {
		const char *method, *parameters, *error, *member, *value;
	} calls[] = {
		{ "Describe", NULL, "org.varlink.service.InvalidParameter", "parameter", "device" },
		{ "Describe", "{\"device\":17}", "org.varlink.service.InvalidParameter", "parameter", "device" },
		{ "Describe", "{\"device\":[\"" NIC "\"]}", "org.varlink.service.InvalidParameter", "parameter",
		  "device" },
		{ "Describe", "{\"device\":\"" NIC "\",\"bus\":1}", "org.varlink.service.InvalidParameter", "parameter",
		  "bus" },
		{ "Acquire", "{\"devices\":\"" NIC "\"}", "org.varlink.service.InvalidParameter", "parameter",
		  "devices" },
		{ "Acquire", "{\"devices\":[\"" NIC "\",7]}", "org.varlink.service.InvalidParameter", "parameter",
		  "devices" },
		{ "Acquire", "{\"devices\":[\"" NIC "\"],\"uid\":0}", "org.varlink.service.InvalidParameter",
		  "parameter", "uid" },
		{ "Release", "{\"lease\":\"1\"}", "org.varlink.service.InvalidParameter", "parameter", "lease" },
		{ "Release", "{\"lease\":-1}", "org.varlink.service.InvalidParameter", "parameter", "lease" },
		{ "Release", "{\"lease\":1.5}", "org.varlink.service.InvalidParameter", "parameter", "lease" },
		{ "Release", "{\"lease\":true}", "org.varlink.service.InvalidParameter", "parameter", "lease" },
		{ "Conquer", NULL, "org.varlink.service.MethodNotFound", "method", "io.iommud.Conquer" },
		{ "io.other.Acquire", NULL, "org.varlink.service.InterfaceNotFound", "interface", "io.other" },
		{ "..", NULL, "org.varlink.service.InterfaceNotFound", "interface", "." },
	};
	struct machine *machine = *state;
	struct varlink_client alice;
	size_t at_rest;

	start(machine, &at_rest);
	alice = machine_connect(machine, ALICE);
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		struct varlink_reply reply =
			machine_refused(&alice, calls[i].method, calls[i].parameters, calls[i].error, NULL);

		assert_string_equal(machine_text(&reply, calls[i].member), calls[i].value);
		varlink_reply_clear(&reply);
	}
	machine_take(&alice, ONE(NIC));
	varlink_client_close(&alice);
	machine_expect_event(machine, "leaseReleased");
	finish(machine, at_rest);
}

/* Of all kinds, also such that block when they are closed, and sockets with descriptors in them. */
static void descriptors_that_nobody_asked_for_are_closed(void **state)
{
	static const char call[] = "{\"method\":\"io.iommud.Acquire\",\"parameters\":" ONE(NIC) "}";
	struct machine *machine = *state;
	struct varlink_client alice;
	struct varlink_reply reply;
	int fds[VARLINK_CLIENT_FDS_MAX], pair[2];
	size_t at_rest;

	start(machine, &at_rest);
	assert_int_equal(pipe(pair), 0);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = pair[1];
	alice = machine_connect(machine, ALICE);
	for (size_t n = 1; n <= ARRAY_SIZE(fds); n += 126) {
		assert_int_equal(varlink_client_send(&alice, call, sizeof(call), fds, n), 0);
		assert_int_equal(varlink_client_receive(&alice, &reply), 0);
		assert_string_equal(reply.error, "io.iommud.UnexpectedFileDescriptors");
		assert_int_equal(varlink_reply_int(&reply, "count"), n);
		varlink_reply_clear(&reply);
	}
	/* With half a call, and then nothing more. */
	assert_int_equal(varlink_client_send(&alice, call, 10, fds, 3), 0);
	varlink_client_close(&alice);
	close(pair[1]);
	finish(machine, at_rest);
	/* Nobody has the pipe's other end any more. */
	assert_int_equal(read(pair[0], fds, 1), 0);
	close(pair[0]);
	machine_assert_tree(machine, NIC " driver=e1000e override=\n");
}

/* ---- clients that wait ---- */

static void half_a_message_and_silence_is_closed(void **state)
{
	static const char *const halves[] = { "{", "{\"method\":\"io.iommud.Acquire\",\"parameters\":" ONE(NIC) "}" };
	struct machine *machine = *state;
	struct varlink_client clients[ARRAY_SIZE(halves)], patient;
	size_t at_rest;

	machine->config = "[Timeouts]\nMessageTimeoutSec=1\n";
	start(machine, &at_rest);
	patient = machine_connect(machine, ALICE);
	for (size_t i = 0; i < ARRAY_SIZE(halves); i++) {
		clients[i] = machine_connect(machine, ALICE);
		assert_int_equal(varlink_client_send(&clients[i], halves[i], strlen(halves[i]), NULL, 0), 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(halves); i++) {
		assert_int_equal(varlink_client_await_close(&clients[i]), 0);
		varlink_client_close(&clients[i]);
	}
	/* Silence between messages is no fault. */
	machine_take(&patient, ONE(DISK));
	varlink_client_close(&patient);
	machine_expect_event(machine, "leaseReleased");
	finish(machine, at_rest);
	machine_assert_tree(machine, NIC " driver=e1000e override=\n");
}

static size_t count_leases(struct machine *machine)
{
	struct varlink_client root = machine_connect(machine, 0);
	struct varlink_reply reply;
	bool continues = true;
	size_t n = 0;

	assert_int_equal(varlink_client_send_call(&root, "io.iommud.ListLeases", NULL, "\"more\":true"), 0);
	for (; continues; n++) {
		assert_int_equal(varlink_client_receive(&root, &reply), 0);
		continues = reply.continues;
		varlink_reply_clear(&reply);
	}
	varlink_client_close(&root);
	return n - 1;
}

/* One grant that was not read is all that it can pin; the other calls wait behind it. */
static void who_asks_for_descriptors_and_never_reads_is_dropped(void **state)
{
	static const char *const requests[] = { ONE(NIC), ONE(DISK), ONE(BARE), ONE(IDLE) };
	struct machine *machine = *state;
	struct varlink_client alice;
	struct varlink_reply event;
	size_t at_rest;

	machine->config = "[Timeouts]\nSendTimeoutSec=1\n";
	start(machine, &at_rest);
	alice = machine_connect(machine, ALICE);
	for (size_t i = 0; i < 40; i++)
		assert_int_equal(varlink_client_send_call(&alice, "io.iommud.Acquire", requests[i % 4], NULL), 0);
	machine_expect_event(machine, "leaseGranted");
	machine_serves(machine, BOB, SPARE);
	assert_true(count_leases(machine) <= 1);
	do { /* the end of Alice's lease may have been passed over while Bob was served */
		event = (struct varlink_reply){ 0 };
		if (count_leases(machine) > 0)
			event = machine_await(machine, "leaseReleased");
		varlink_reply_clear(&event);
	} while (count_leases(machine) > 0);
	machine_assert_tree(machine, NIC " driver=e1000e override=\n" DISK " driver=nvme override=\n");
	/* Its end of the socket still holds the descriptors of that one grant. */
	assert_int_equal(varlink_client_receive(&alice, &event), 0);
	assert_int_equal(event.n_fds, 2);
	varlink_reply_clear(&event);
	assert_int_equal(varlink_client_await_close(&alice), 0);
	varlink_client_close(&alice);
	finish(machine, at_rest);
}

static void who_asks_for_lists_and_never_reads_is_dropped(void **state)
{
	static const char call[] = "{\"method\":\"io.iommud.ListDevices\",\"more\":true}";
	struct machine *machine = *state;
	struct varlink_client root;
	struct varlink_reply reply;
	size_t at_rest;
	int r;

	machine->config = "[Timeouts]\nSendTimeoutSec=1\n";
	start(machine, &at_rest);
	root = machine_connect(machine, 0);
	/* Until the daemon reads no more of them; then it waits for us. */
	do
		r = send(root.fd, call, sizeof(call), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
	while (r == 0);
	assert_true(r == -EAGAIN || r == -EPIPE || r == -ECONNRESET);
	machine_serves(machine, BOB, SPARE);
	assert_at_rest(machine, at_rest); /* dropped, though we did nothing */
	while (varlink_client_receive(&root, &reply) == 0)
		varlink_reply_clear(&reply);
	varlink_client_close(&root);
	finish(machine, at_rest);
}

static int set_up(void **state)
{
	static struct machine machine;

	machine = (struct machine){ 0 };
	*state = &machine;
	return 0;
}

static int tear_down(void **state)
{
	machine_stop(*state);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_no_call_is_said_and_closed),
		TEST(many_small_values_are_refused),
		TEST(a_message_of_10_mb_is_refused_before_it_is_read),
		TEST(what_does_not_fit_a_method_is_said),
		TEST(descriptors_that_nobody_asked_for_are_closed),
		TEST(half_a_message_and_silence_is_closed),
		TEST(who_asks_for_descriptors_and_never_reads_is_dropped),
		TEST(who_asks_for_lists_and_never_reads_is_dropped),
	};

	return cmocka_run_group_tests_name("iommud-bad-input", tests, NULL, NULL);
}
