/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every error of io.iommud as it goes over the wire, with every member that may be null both ways, held against the
 * interface. The last test shows that none was left out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "util/cleanup.h"
#include "varlink-fixture.h"
#include "varlink-idl.h"
#include "varlink/errors.h"
#include "varlink/methods.h"

static struct varlink_fixture fixture;
static struct varlink_client client;
static struct idl *idl;
static struct idl *service_idl;
static bool seen[IDL_MEMBERS_MAX];

static int setup_all(void **state)
{
	idl = idl_parse(iommud_interface.description);
	return 0;
}

static int teardown_all(void **state)
{
	idl = idl_free(idl);
	service_idl = idl_free(service_idl);
	return 0;
}

static int setup(void **state)
{
	int r = fixture_start(&fixture, NULL);

	return r < 0 ? r : fixture_connect(&fixture, &client);
}

static int teardown(void **state)
{
	varlink_client_close(&client);
	return fixture_stop(&fixture);
}

/* The next message is that error, as declared. To be cleared by the caller. */
static struct varlink_reply receive_error(const char *name)
{
	const struct idl_member *member = idl_find(idl, IDL_ERROR, name);
	struct varlink_reply reply;
	const char *wrong;

	assert_non_null(member);
	assert_int_equal(varlink_client_receive(&client, &reply), 0);
	assert_non_null(reply.error);
	assert_memory_equal(reply.error, "io.iommud.", 10);
	assert_string_equal(reply.error + 10, name);
	assert_false(reply.continues);
	wrong = idl_check(idl, IDL_ERROR, name, reply.parameters);
	if (wrong)
		fail_msg("%s", wrong);
	seen[member - idl->members] = true;
	return reply;
}

/* Ends a call with the refusal, as a method would. */
static struct varlink_reply refuse(struct refusal *refusal, const char *name)
{
	struct varlink_reply reply;

	refusal_set(refusal, refusal->kind, "says %s", name);
	assert_int_equal(varlink_client_send_call(&client, "test.Later", NULL, NULL), 0);
	fixture_run(&fixture);
	assert_int_equal(fixture.n_pending, 1);
	fixture.n_pending = 0;
	assert_int_equal(errors_reply(fixture.pending[0], refusal), 0);
	reply = receive_error(name);
	assert_non_null(strstr(varlink_reply_string(&reply, "message"), name));
	assert_served(&client);
	return reply;
}

static void refuse_simply(struct refusal *refusal, const char *name)
{
	struct varlink_reply reply = refuse(refusal, name);

	varlink_reply_clear(&reply);
	refusal_clear(refusal);
}

static struct refusal empty(enum refusal_kind kind)
{
	return (struct refusal){ .kind = kind };
}

static struct refusal full(enum refusal_kind kind)
{
	struct refusal refusal = { .kind = kind,
				   .device = "0000:01:00.0",
				   .group = 7,
				   .line = 12,
				   .word = "word",
				   .number = 42,
				   .state = LEASE_LINGERING,
				   .holder = "pid 3 of uid 1000",
				   .token = "token" };

	refusal.file = strdup("/etc/iommud/policy.d/50.policy");
	refusal.label = strdup("red");
	refusal.other_label = strdup("blue");
	assert_true(refusal.file && refusal.label && refusal.other_label);
	return refusal;
}

static const struct {
	enum refusal_kind kind;
	const char *name;
} kinds[] = {
	{ REFUSAL_NO_SUCH_DEVICE, "NoSuchDevice" },
	{ REFUSAL_NO_SUCH_LEASE, "NoSuchLease" },
	{ REFUSAL_DENIED, "DeniedByPolicy" },
	{ REFUSAL_NOT_VIABLE, "GroupNotViable" },
	{ REFUSAL_CONSENT_REQUIRED, "ConsentRequired" },
	{ REFUSAL_NOT_SINGLETON, "GroupNotSingleton" },
	{ REFUSAL_LABEL_MISMATCH, "LabelMismatch" },
	{ REFUSAL_BUSY, "DeviceBusy" },
	{ REFUSAL_BACKEND_UNAVAILABLE, "BackendUnavailable" },
	{ REFUSAL_QUOTA, "QuotaExceeded" },
	{ REFUSAL_TIMED_OUT, "TimedOut" },
	{ REFUSAL_NO_SUCH_POOL, "NoSuchPool" },
	{ REFUSAL_POOL_EXHAUSTED, "PoolExhausted" },
	{ REFUSAL_PREPARE_FAILED, "PrepareFailed" },
	{ REFUSAL_RESET_SCOPE, "ResetScopeConflict" },
};

static void every_kind_has_its_error(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct refusal bare = empty(kinds[i].kind), rich = full(kinds[i].kind);

		assert_int_equal(kinds[i].kind, i + 1); /* none is missing in the table above */
		refuse_simply(&bare, kinds[i].name);
		refuse_simply(&rich, kinds[i].name);
	}
}

static bool has_null(const struct varlink_reply *reply, const char *key)
{
	json_object *value;

	assert_true(json_object_object_get_ex(reply->parameters, key, &value));
	return !value;
}

static void a_denial_names_the_rule_if_there_is_one(void **state)
{
	struct refusal refusal = full(REFUSAL_DENIED);
	struct varlink_reply reply = refuse(&refusal, "DeniedByPolicy");

	assert_string_equal(varlink_reply_string(&reply, "device"), "0000:01:00.0");
	assert_string_equal(varlink_reply_string(&reply, "file"), "/etc/iommud/policy.d/50.policy");
	assert_int_equal(varlink_reply_int(&reply, "line"), 12);
	varlink_reply_clear(&reply);
	free(refusal.file);
	refusal.file = NULL; /* then the line is nothing's, whatever it is */
	reply = refuse(&refusal, "DeniedByPolicy");
	assert_true(has_null(&reply, "file") && has_null(&reply, "line"));
	varlink_reply_clear(&reply);
	refusal_clear(&refusal);
}

static void labels_are_null_where_there_is_none(void **state)
{
	struct refusal refusal = full(REFUSAL_LABEL_MISMATCH);
	struct varlink_reply reply = refuse(&refusal, "LabelMismatch");

	assert_string_equal(varlink_reply_string(&reply, "label"), "red");
	assert_string_equal(varlink_reply_string(&reply, "otherLabel"), "blue");
	varlink_reply_clear(&reply);
	free(refusal.label);
	refusal.label = NULL;
	reply = refuse(&refusal, "LabelMismatch");
	assert_true(has_null(&reply, "label") && !has_null(&reply, "otherLabel"));
	varlink_reply_clear(&reply);
	refusal_clear(&refusal);
}

static void a_reset_conflict_lists_the_set_and_what_is_in_the_way(void **state)
{
	struct refusal refusal = empty(REFUSAL_RESET_SCOPE);
	struct varlink_reply reply = refuse(&refusal, "ResetScopeConflict");

	assert_string_equal(varlink_reply_string(&reply, "scope"), "none");
	varlink_reply_clear(&reply);
	refusal.reset_set = (struct reset_set){ .scope = RESET_SCOPE_BUS,
						.members = calloc(2, sizeof(struct reset_member)),
						.n = 2 };
	assert_non_null(refusal.reset_set.members);
	strcpy(refusal.reset_set.members[0].address, "0000:02:00.0");
	strcpy(refusal.reset_set.members[1].address, "0000:02:00.1");
	refusal.reset_set.members[1].conflicting = true;
	reply = refuse(&refusal, "ResetScopeConflict");
	assert_string_equal(varlink_reply_string(&reply, "scope"), "bus");
	assert_string_equal(json_object_to_json_string_ext(json_object_object_get(reply.parameters, "resetSet"),
							   JSON_C_TO_STRING_PLAIN),
			    "[\"0000:02:00.0\",\"0000:02:00.1\"]");
	assert_string_equal(json_object_to_json_string_ext(json_object_object_get(reply.parameters, "conflicting"),
							   JSON_C_TO_STRING_PLAIN),
			    "[\"0000:02:00.1\"]");
	varlink_reply_clear(&reply);
	refusal_clear(&refusal);
}

static void blockers_of_every_kind_are_declared(void **state)
{
	struct refusal refusal = full(REFUSAL_NOT_VIABLE);
	struct varlink_reply reply;

	for (int kind = 0; kind < BLOCKER_KINDS; kind++) {
		struct blocker blocker = { .kind = kind, .message = "m", .remedy = "r" };

		assert_int_equal(verdict_add(&refusal.verdict, &blocker), 0);
		strcpy(blocker.device, "0000:01:00.0");
		strcpy(blocker.driver, "e1000e");
		assert_int_equal(verdict_add(&refusal.verdict, &blocker), 0);
	}
	reply = refuse(&refusal, "GroupNotViable");
	varlink_reply_clear(&reply);
	refusal_clear(&refusal);
}

static void add_bystander(struct refusal *refusal, const char *device, const char *driver)
{
	struct bystander *list = reallocarray(refusal->bystanders.list, refusal->bystanders.n + 1, sizeof(*list));

	assert_non_null(list);
	refusal->bystanders.list = list;
	list[refusal->bystanders.n] = (struct bystander){ .ids = "8086:10d3", .action = "stays" };
	strcpy(list[refusal->bystanders.n].device, device);
	strcpy(list[refusal->bystanders.n].driver, driver);
	refusal->bystanders.n++;
}

static void bystanders_are_listed_with_and_without_a_driver(void **state)
{
	struct refusal refusal = full(REFUSAL_CONSENT_REQUIRED);
	struct varlink_reply reply;
	json_object *members;

	add_bystander(&refusal, "0000:01:00.1", "snd");
	add_bystander(&refusal, "0000:01:00.2", "");
	reply = refuse(&refusal, "ConsentRequired");
	assert_string_equal(varlink_reply_string(&reply, "token"), "token");
	varlink_reply_clear(&reply);
	refusal.kind = REFUSAL_NOT_SINGLETON;
	reply = refuse(&refusal, "GroupNotSingleton");
	assert_true(json_object_object_get_ex(reply.parameters, "devices", &members));
	assert_int_equal(json_object_array_length(members), 2);
	assert_string_equal(json_object_get_string(json_object_array_get_idx(members, 1)), "0000:01:00.2");
	varlink_reply_clear(&reply);
	refusal_clear(&refusal);
}

static void a_group_may_be_busy_in_every_state(void **state)
{
	for (int lease = 0; lease < LEASE_STATES; lease++) {
		struct refusal refusal = full(REFUSAL_BUSY);

		refusal.state = lease;
		refuse_simply(&refusal, "DeviceBusy");
	}
}

/* Then there is no lease whose state it could be. */
static void a_device_in_use_by_the_host_has_no_state(void **state)
{
	struct refusal refusal = full(REFUSAL_BUSY);
	struct varlink_reply reply;

	refusal.host_has_it = true;
	reply = refuse(&refusal, "DeviceBusy");
	assert_true(has_null(&reply, "state"));
	varlink_reply_clear(&reply);
	refusal_clear(&refusal);
}

/* ---- what the server says by itself ---- */

static void what_is_no_call_is_answered_as_declared(void **state)
{
	struct varlink_reply reply;

	assert_int_equal(varlink_client_send_text(&client, "{\"nonsense\":1}"), 0);
	reply = receive_error("InvalidMessage");
	varlink_reply_clear(&reply);
	assert_int_equal(varlink_client_await_close(&client), 0);
}

static void a_call_of_a_former_server_is_answered_as_declared(void **state)
{
	struct varlink_client former = VARLINK_CLIENT_INIT;
	struct varlink_connection *connection;
	struct varlink_reply reply;
	struct varlink_call *call;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(varlink_server_adopt(fixture.server, pair[1], VARLINK_MARK_CALLED, &connection, &call), 0);
	varlink_client_close(&client);
	client = former;
	client.fd = pair[0];
	reply = receive_error("Interrupted");
	varlink_reply_clear(&reply);
}

static void what_is_too_large_is_answered_as_declared(void **state)
{
	_cleanup_free_ char *text = malloc(VARLINK_FRAME_MAX + 100);
	struct varlink_reply reply;

	assert_non_null(text);
	memset(text, ' ', VARLINK_FRAME_MAX + 100);
	assert_int_equal(varlink_client_send(&client, text, VARLINK_FRAME_MAX + 100, NULL, 0), 0);
	reply = receive_error("MessageTooLarge");
	assert_int_equal(varlink_reply_int(&reply, "limit"), VARLINK_FRAME_MAX);
	varlink_reply_clear(&reply);
}

static void descriptors_are_refused_as_declared(void **state)
{
	static const char call[] = "{\"method\":\"test.Echo\"}";
	_cleanup_fd_ int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int fds[] = { fd, fd };
	struct varlink_reply reply;

	assert_int_equal(varlink_client_send(&client, call, sizeof(call), fds, 2), 0);
	reply = receive_error("UnexpectedFileDescriptors");
	assert_int_equal(varlink_reply_int(&reply, "count"), 2);
	varlink_reply_clear(&reply);
}

static void one_connection_too_many_is_answered_as_declared(void **state)
{
	struct varlink_limits limits;
	struct varlink_client first;
	struct varlink_reply reply;

	varlink_client_close(&client);
	assert_int_equal(fixture_stop(&fixture), 0);
	fixture_default_limits(&limits);
	limits.max_connections_per_uid = 1;
	assert_int_equal(fixture_start(&fixture, &limits), 0);
	first = fixture_new_client(&fixture);
	assert_served(&first);
	assert_int_equal(fixture_connect(&fixture, &client), 0);
	reply = receive_error("QuotaExceeded");
	varlink_reply_clear(&reply);
	assert_served(&first);
	varlink_client_close(&first);
}

static void expect_service_error(const char *call, const char *name)
{
	struct varlink_reply reply;
	const char *wrong;

	assert_int_equal(varlink_client_send_text(&client, call), 0);
	assert_int_equal(varlink_client_receive(&client, &reply), 0);
	assert_non_null(reply.error);
	assert_memory_equal(reply.error, "org.varlink.service.", 20);
	assert_string_equal(reply.error + 20, name);
	wrong = idl_check(service_idl, IDL_ERROR, name, reply.parameters);
	if (wrong)
		fail_msg("%s", wrong);
	varlink_reply_clear(&reply);
}

static void the_interface_of_all_services_is_kept_too(void **state)
{
	struct varlink_reply reply;
	const char *wrong;

	assert_int_equal(varlink_client_call(&client, "org.varlink.service.GetInterfaceDescription",
					     "{\"interface\":\"org.varlink.service\"}", NULL, &reply),
			 0);
	service_idl = idl_parse(varlink_reply_string(&reply, "description"));
	wrong = idl_check(service_idl, IDL_METHOD, "GetInterfaceDescription", reply.parameters);
	assert_null(wrong);
	varlink_reply_clear(&reply);
	assert_int_equal(varlink_client_call(&client, "org.varlink.service.GetInfo", NULL, NULL, &reply), 0);
	wrong = idl_check(service_idl, IDL_METHOD, "GetInfo", reply.parameters);
	if (wrong)
		fail_msg("%s", wrong);
	varlink_reply_clear(&reply);
	expect_service_error("{\"method\":\"no.such.Method\"}", "InterfaceNotFound");
	expect_service_error("{\"method\":\"test.NoSuchMethod\"}", "MethodNotFound");
	expect_service_error("{\"method\":\"test.Echo\",\"upgrade\":true}", "MethodNotImplemented");
	expect_service_error("{\"method\":\"test.Echo\",\"parameters\":{\"what\":1}}", "InvalidParameter");
	expect_service_error("{\"method\":\"test.Stream\"}", "ExpectedMore");
}

static void every_error_of_the_interface_was_seen(void **state)
{
	for (size_t i = 0; i < idl->n_members; i++)
		if (idl->members[i].kind == IDL_ERROR && !seen[i])
			fail_msg("nothing answers with %s", idl->members[i].name);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(every_kind_has_its_error),
		CASE(a_denial_names_the_rule_if_there_is_one),
		CASE(labels_are_null_where_there_is_none),
		CASE(a_reset_conflict_lists_the_set_and_what_is_in_the_way),
		CASE(blockers_of_every_kind_are_declared),
		CASE(bystanders_are_listed_with_and_without_a_driver),
		CASE(a_group_may_be_busy_in_every_state),
		CASE(a_device_in_use_by_the_host_has_no_state),
		CASE(what_is_no_call_is_answered_as_declared),
		CASE(a_call_of_a_former_server_is_answered_as_declared),
		CASE(what_is_too_large_is_answered_as_declared),
		CASE(descriptors_are_refused_as_declared),
		CASE(one_connection_too_many_is_answered_as_declared),
		CASE(the_interface_of_all_services_is_kept_too),
		cmocka_unit_test(every_error_of_the_interface_was_seen),
	};

	return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
