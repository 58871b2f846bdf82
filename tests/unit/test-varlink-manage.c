/* SPDX-License-Identifier: GPL-2.0-or-later */
/* io.iommud.Manage as clients see it: who may, who may not and what would help, and all that a reload can come to. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fail-alloc.h"
#include "service-rig.h"
#include "util/cleanup.h"
#include "varlink/manage.h"

#define ALICE 1000
#define BOB 1001
#define CAROL 1002
#define RULE(match, user) "[Match]\n" match "\n[Client]\nUser=" user "\n[Grant]\nAction=allow\n"
#define RULES RULE("Address=0000:01:00.0", "1000") RULE("Address=0000:02:00.0", "1001")
#define MANAGE(user, allow) "[Manage]\nUser=" user "\nAllow=" allow "\n"

static struct service_rig rig;
static struct varlink_client alice, bob, carol, root;
static unsigned int n_reloads;
static const struct reload_outcome *at_once; /* what a reload comes to before it returns; NULL: nothing yet */

static void begin_reload(void *userdata)
{
	assert_ptr_equal(userdata, &rig);
	n_reloads++;
	if (at_once)
		manage_reloaded(&rig.service, rig.service.last_reload, at_once);
}

static int setup(void **state)
{
	if (geteuid() != 0) {
		print_message("not root: clients of other uids can't be played\n");
		return -1;
	}
	service_rig_start(&rig, RULES MANAGE("1000", "reload revoke list-leases"));
	rig.service.begin_reload = begin_reload;
	rig.service.reload_userdata = &rig;
	n_reloads = 0;
	at_once = NULL;
	alice = service_rig_connect(&rig, ALICE);
	bob = service_rig_connect(&rig, BOB);
	carol = service_rig_connect(&rig, CAROL);
	root = service_rig_connect(&rig, 0);
	return 0;
}

static int teardown(void **state)
{
	varlink_client_close(&alice);
	varlink_client_close(&bob);
	varlink_client_close(&carol);
	varlink_client_close(&root);
	service_rig_run(&rig);
	assert_true(list_is_empty(&rig.service.reloading));
	assert_true(list_is_empty(broker_leases(rig.rig.broker)));
	service_rig_stop(&rig);
	return 0;
}

static void set_policy(const char *text)
{
	struct policy *policy = rig_policy(text);
	char refused[256];

	memcpy(rig.rig.fake.digest, policy_digest(policy), DIGEST_SIZE);
	assert_int_equal(broker_set_policy(rig.rig.broker, policy, refused, sizeof(refused)), 0);
}

static long long take(struct varlink_client *client, const char *parameters)
{
	struct varlink_reply reply = service_call(&rig, client, "Acquire", parameters, NULL);
	long long lease = varlink_reply_int(&reply, "lease");

	varlink_reply_clear(&reply);
	return lease;
}

static const char *of_lease(long long lease)
{
	static char parameters[64];

	snprintf(parameters, sizeof(parameters), "{\"lease\":%lld}", lease);
	return parameters;
}

static void contains(const char *text, const char *part)
{
	if (!text || !strstr(text, part))
		fail_msg("no '%s' in '%s'", part, text ? text : "(null)");
}

/* ---- who may ---- */

static void refuses(struct varlink_client *client, const char *method, const char *parameters, const char *flags,
		    const char *allow)
{
	struct varlink_reply reply;
	char name[64];

	snprintf(name, sizeof(name), "io.iommud.Manage.%s", method);
	assert_int_equal(varlink_client_call(client, name, parameters, flags, &reply), 0);
	assert_string_equal(reply.error, "io.iommud.Manage.NotAllowed");
	assert_null(idl_check(rig.manage_idl, IDL_ERROR, "NotAllowed", reply.parameters));
	assert_string_equal(varlink_reply_string(&reply, "method"), method);
	assert_string_equal(varlink_reply_string(&reply, "allow"), allow);
	contains(varlink_reply_string(&reply, "message"), "[Manage]");
	contains(varlink_reply_string(&reply, "message"), allow);
	varlink_reply_clear(&reply);
}

static void refuses_all(struct varlink_client *client, long long lease)
{
	refuses(client, "Revoke", of_lease(lease), NULL, "revoke");
	refuses(client, "Reload", NULL, NULL, "reload");
	refuses(client, "ListLeases", NULL, "\"more\":true", "list-leases");
}

static void who_is_not_named_may_not(void **state)
{
	long long lease = take(&bob, "{\"devices\":[\"" EDU "\"]}");

	refuses_all(&carol, lease);
	/* Whose lease it is, and that there is none, makes no difference. */
	refuses(&bob, "Revoke", of_lease(lease), NULL, "revoke");
	refuses(&carol, "Revoke", of_lease(99), NULL, "revoke");
	assert_int_equal(rig_state(&rig.rig, lease), LEASE_ACTIVE);
	assert_int_equal(n_reloads, 0);
	assert_true(rig_saw(&rig.rig, "manageDenied"));
}

static void who_is_named_may_what_is_allowed_and_no_more(void **state)
{
	long long lease = take(&bob, "{\"devices\":[\"" EDU "\"]}");

	set_policy(RULES MANAGE("1002", "list-leases"));
	refuses(&carol, "Revoke", of_lease(lease), NULL, "revoke");
	refuses(&carol, "Reload", NULL, NULL, "reload");
	set_policy(RULES MANAGE("1002", "reload"));
	refuses(&carol, "Revoke", of_lease(lease), NULL, "revoke");
	refuses(&carol, "ListLeases", NULL, "\"more\":true", "list-leases");
}

static void what_policy_withdraws_is_refused_at_once(void **state)
{
	long long lease = take(&bob, "{\"devices\":[\"" EDU "\"]}");

	set_policy(RULES);
	refuses_all(&alice, lease);
	assert_int_equal(rig_state(&rig.rig, lease), LEASE_ACTIVE);
}

static void root_may_whatever_policy_says(void **state)
{
	long long lease = take(&bob, "{\"devices\":[\"" EDU "\"]}");
	struct varlink_reply reply;

	set_policy("");
	reply = service_call(&rig, &root, "Manage.Revoke", of_lease(lease), NULL);
	varlink_reply_clear(&reply);
	service_rig_run(&rig);
	assert_int_equal(rig_state(&rig.rig, lease), LEASE_RELEASED);
}

/* ---- Revoke ---- */

static void a_manager_takes_a_lease_back(void **state)
{
	long long lease = take(&bob, "{\"devices\":[\"" EDU "\"]}");
	struct varlink_reply reply;

	rig.rig.last_event[0] = '\0';
	reply = service_call(&rig, &alice, "Manage.Revoke", of_lease(lease), NULL);
	varlink_reply_clear(&reply);
	service_rig_run(&rig);
	assert_true(rig_saw(&rig.rig, "releaseRequested"));
	assert_int_equal(rig_state(&rig.rig, lease), LEASE_RELEASED);
	reply = service_refused(&rig, &alice, "Manage.Revoke", of_lease(lease), "Manage.NoSuchLease");
	assert_int_equal(varlink_reply_int(&reply, "lease"), lease);
	varlink_reply_clear(&reply);
}

/* ---- ListLeases ---- */

static unsigned int list(struct varlink_client *client, const char *method)
{
	struct varlink_reply reply = service_call(&rig, client, method, NULL, "\"more\":true");
	unsigned int n = 0;

	while (reply.continues) {
		assert_non_null(json_child(reply.parameters, "lease"));
		n++;
		varlink_reply_clear(&reply);
		assert_int_equal(varlink_client_receive(client, &reply), 0);
	}
	assert_int_equal(json_object_object_length(reply.parameters), 0);
	varlink_reply_clear(&reply);
	return n;
}

static void a_manager_sees_all_leases(void **state)
{
	take(&alice, "{\"devices\":[\"" NIC "\"]}");
	take(&bob, "{\"devices\":[\"" EDU "\"]}");
	assert_int_equal(list(&alice, "Manage.ListLeases"), 2);
	assert_int_equal(list(&root, "Manage.ListLeases"), 2);
	/* What it is beside that it is not by that. */
	assert_int_equal(list(&alice, "ListLeases"), 1);
	assert_int_equal(list(&bob, "ListLeases"), 1);
}

/* ---- Reload ---- */

static void send_reload(struct varlink_client *client)
{
	assert_int_equal(varlink_client_send_call(client, "io.iommud.Manage.Reload", NULL, NULL), 0);
	service_rig_run(&rig);
}

static struct reload_outcome done(void)
{
	const struct policy *policy = broker_get_policy(rig.rig.broker);

	return (struct reload_outcome){ .result = RELOAD_DONE,
					.n_rules = policy_n_rules(policy),
					.digest = policy_digest(policy) };
}

static void expect_done(struct varlink_client *client)
{
	struct varlink_reply reply = service_next(&rig, client, "Manage.Reload");
	char digest[DIGEST_HEX_SIZE];

	digest_to_hex(policy_digest(broker_get_policy(rig.rig.broker)), digest);
	assert_int_equal(varlink_reply_int(&reply, "rules"), 2);
	assert_string_equal(varlink_reply_string(&reply, "digest"), digest);
	varlink_reply_clear(&reply);
}

static void a_reload_is_answered_when_it_is_done(void **state)
{
	struct reload_outcome outcome = done();

	send_reload(&alice);
	assert_int_equal(n_reloads, 1);
	assert_false(list_is_empty(&rig.service.reloading));
	manage_reloaded(&rig.service, rig.service.last_reload, &outcome);
	expect_done(&alice);
	at_once = &outcome;
	send_reload(&root);
	expect_done(&root);
	assert_int_equal(n_reloads, 2);
}

/* Who asks while one is under way waits for the one that begins after. */
static void each_is_answered_by_a_reload_that_began_after_it_asked(void **state)
{
	struct reload_outcome outcome = done();
	uint64_t first;

	send_reload(&alice);
	first = rig.service.last_reload;
	send_reload(&root);
	manage_reloaded(&rig.service, first, &outcome);
	expect_done(&alice);
	assert_false(list_is_empty(&rig.service.reloading));
	manage_reloaded(&rig.service, rig.service.last_reload, &outcome);
	expect_done(&root);
}

static struct varlink_reply expect_error(struct varlink_client *client, const char *error)
{
	struct varlink_reply reply;
	const char *wrong;

	assert_int_equal(varlink_client_receive(client, &reply), 0);
	assert_non_null(reply.error);
	assert_memory_equal(reply.error, "io.iommud.Manage.", 17);
	assert_string_equal(reply.error + 17, error);
	wrong = idl_check(rig.manage_idl, IDL_ERROR, error, reply.parameters);
	if (wrong)
		fail_msg("%s", wrong);
	return reply;
}

static void errors_in_the_files_are_all_said(void **state)
{
	struct reload_outcome outcome = { .result = RELOAD_INVALID,
					  .n_rules = 2,
					  .messages = "a.policy:1:2: error: one\nb.policy:3:4: error: two \"x\"\n" };
	struct varlink_reply reply;
	json_object *lines;

	at_once = &outcome;
	send_reload(&alice);
	reply = expect_error(&alice, "PolicyInvalid");
	lines = json_child(reply.parameters, "messages");
	assert_int_equal(json_object_array_length(lines), 2);
	assert_string_equal(json_object_get_string(json_object_array_get_idx(lines, 0)), "a.policy:1:2: error: one");
	assert_string_equal(json_object_get_string(json_object_array_get_idx(lines, 1)),
			    "b.policy:3:4: error: two \"x\"");
	contains(varlink_reply_string(&reply, "message"), "the former one, with 2 rules, stays in force");
	varlink_reply_clear(&reply);
	/* Without a word, which only a lack of memory makes. */
	outcome.messages = NULL;
	send_reload(&alice);
	reply = expect_error(&alice, "PolicyInvalid");
	varlink_reply_clear(&reply);
}

static void more_errors_than_an_answer_holds_are_cut(void **state)
{
	struct reload_outcome outcome = { .result = RELOAD_INVALID };
	_cleanup_free_ char *text = malloc(1 << 20);
	struct varlink_reply reply;
	json_object *lines;

	assert_non_null(text);
	memset(text, 'x', 1 << 20);
	for (size_t i = 1000; i < 1 << 20; i += 1000)
		text[i] = '\n';
	text[(1 << 20) - 1] = '\0';
	outcome.messages = text;
	at_once = &outcome;
	send_reload(&alice);
	reply = expect_error(&alice, "PolicyInvalid");
	lines = json_child(reply.parameters, "messages");
	assert_in_range(json_object_array_length(lines), 200, 270);
	assert_string_equal(
		json_object_get_string(json_object_array_get_idx(lines, json_object_array_length(lines) - 1)),
		"and more: see 'journalctl -u iommud'");
	varlink_reply_clear(&reply);
}

static void a_helper_that_has_another_set_is_said(void **state)
{
	struct reload_outcome outcome = { .result = RELOAD_NOT_SHARED, .why = "the helper is away" };
	struct varlink_reply reply;

	at_once = &outcome;
	send_reload(&alice);
	reply = expect_error(&alice, "PolicyNotShared");
	assert_string_equal(varlink_reply_string(&reply, "message"), "the helper is away");
	varlink_reply_clear(&reply);
}

static void a_fault_is_said(void **state)
{
	struct reload_outcome outcome = { .result = RELOAD_FAILED, .error = EMFILE };
	struct varlink_reply reply;

	at_once = &outcome;
	send_reload(&alice);
	reply = expect_error(&alice, "ReloadFailed");
	assert_int_equal(varlink_reply_int(&reply, "errno"), EMFILE);
	contains(varlink_reply_string(&reply, "message"), "Too many open files");
	varlink_reply_clear(&reply);
}

static void who_went_away_is_not_answered(void **state)
{
	struct reload_outcome outcome = done();

	send_reload(&alice);
	send_reload(&root);
	varlink_client_close(&alice);
	service_rig_run(&rig);
	manage_reloaded(&rig.service, rig.service.last_reload, &outcome);
	expect_done(&root);
	alice = service_rig_connect(&rig, ALICE);
}

/* ---- memory ---- */

/* However it ends: nobody waits for ever, and the connection of somebody else serves. */
static bool survives_the_failure_of(unsigned int n, const struct reload_outcome *outcome)
{
	struct varlink_reply reply;
	bool failed;

	at_once = outcome;
	assert_int_equal(varlink_client_send_call(&alice, "io.iommud.Manage.Reload", NULL, NULL), 0);
	fail_alloc_begin(n);
	service_rig_run(&rig);
	failed = fail_alloc_end();
	assert_true(list_is_empty(&rig.service.reloading));
	if (varlink_client_receive(&alice, &reply) == 0)
		varlink_reply_clear(&reply);
	varlink_client_close(&alice);
	service_rig_run(&rig);
	alice = service_rig_connect(&rig, ALICE);
	return failed;
}

static void whichever_allocation_fails_there_is_an_end(void **state)
{
	struct reload_outcome good = done();
	const struct reload_outcome outcomes[] = {
		good,
		{ .result = RELOAD_INVALID, .messages = "a\nb\n" },
		{ .result = RELOAD_NOT_SHARED, .why = "w" },
		{ .result = RELOAD_FAILED, .error = EIO },
	};

	for (size_t i = 0; i < ARRAY_SIZE(outcomes); i++) {
		unsigned int n = 1;

		while (survives_the_failure_of(n, &outcomes[i]))
			n++;
		assert_true(n > 2);
	}
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(who_is_not_named_may_not),
		CASE(who_is_named_may_what_is_allowed_and_no_more),
		CASE(what_policy_withdraws_is_refused_at_once),
		CASE(root_may_whatever_policy_says),
		CASE(a_manager_takes_a_lease_back),
		CASE(a_manager_sees_all_leases),
		CASE(a_reload_is_answered_when_it_is_done),
		CASE(each_is_answered_by_a_reload_that_began_after_it_asked),
		CASE(errors_in_the_files_are_all_said),
		CASE(more_errors_than_an_answer_holds_are_cut),
		CASE(a_helper_that_has_another_set_is_said),
		CASE(a_fault_is_said),
		CASE(who_went_away_is_not_answered),
		CASE(whichever_allocation_fails_there_is_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
