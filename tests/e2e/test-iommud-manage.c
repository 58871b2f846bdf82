/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * io.iommud.Manage of the real daemons: a reload is answered when both have the new set, whoever the policy names may manage
 * for as long as it does, and iommuctl says what came of it.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <poll.h>

#include "iommud-harness.h"
#include "util/cleanup.h"

#define CAROL 1002
#define ALLOW(device, user) "[Match]\nAddress=" device "\n[Client]\nUser=" user "\n[Grant]\nAction=allow\n"
#define MANAGE(user, allow) "[Manage]\nUser=" user "\nAllow=" allow "\n"
#define ALL "reload revoke list-leases"
#define BOBS ALLOW(NIC, "1001")

#define RELOAD "io.iommud.Manage.Reload"
#define REVOKE "io.iommud.Manage.Revoke"
#define NOT_ALLOWED "io.iommud.Manage.NotAllowed"

static void assert_contains(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in\n%s", part, text);
}

static void assert_run(struct machine *machine, uid_t uid, int expected, const char *said, const char *verb,
		       const char *argument)
{
	_cleanup_free_ char *output = NULL;
	int status = machine_run(machine, uid, &output, "iommuctl", verb, argument, NULL);

	if (status != expected)
		fail_msg("iommuctl %s: %d: %s", verb, status, output);
	assert_contains(output, said);
}

/* Returns the digest that it says (free()). */
static char *reload(struct varlink_client *client, long long n_rules)
{
	struct varlink_reply reply = machine_call(client, RELOAD, NULL);
	char *digest;

	if (reply.error)
		fail_msg("%s: %s", reply.error, machine_text(&reply, "message"));
	assert_int_equal(varlink_reply_int(&reply, "rules"), n_rules);
	digest = strdup(machine_text(&reply, "digest"));
	assert_int_equal(strlen(digest), 64);
	varlink_reply_clear(&reply);
	return digest;
}

static void a_reload_is_answered_when_both_have_the_set(void **state)
{
	struct machine *machine = *state;
	_cleanup_free_ char *first = NULL, *second = NULL, *third = NULL;
	struct varlink_client root, alice;

	machine_start(machine);
	root = machine_connect(machine, 0);
	alice = machine_connect(machine, ALICE);
	first = reload(&root, 6);
	machine_write(machine, RULES_FILE, ALLOW(UNKNOWN, "1000"));
	second = reload(&root, 1);
	assert_string_not_equal(first, second);
	/* At once: the helper, which moves the device, has it too. */
	machine_take(&alice, ONE(UNKNOWN));
	machine_expect_refusal(&alice, "Acquire", ONE(DISK), "DeniedByPolicy", NULL);
	machine_write(machine, RULES_FILE, machine_rules);
	third = reload(&root, 6);
	assert_string_equal(first, third);
	varlink_client_close(&alice);
	varlink_client_close(&root);
}

static bool is_answered(const struct varlink_client *client)
{
	struct pollfd fd = { .fd = client->fd, .events = POLLIN };

	return poll(&fd, 1, 0) == 1;
}

/* A helper that is stopped has not loaded anything: nobody is told that it has. */
static void a_reload_is_not_answered_before_the_helper_has_it(void **state)
{
	struct machine *machine = *state;
	struct varlink_client root, alice;
	struct varlink_reply reply;

	machine_start(machine);
	root = machine_connect(machine, 0);
	alice = machine_connect(machine, ALICE);
	machine_write(machine, RULES_FILE, ALLOW(UNKNOWN, "1000"));
	assert_int_equal(kill(machine->helper, SIGSTOP), 0);
	assert_int_equal(varlink_client_send_call(&root, RELOAD, NULL, NULL), 0);
	machine_expect_event(machine, "policyLoaded");
	/* iommud has done all that it can: it serves others. */
	reply = machine_call(&alice, "Describe", OF(UNKNOWN));
	assert_null(reply.error);
	varlink_reply_clear(&reply);
	assert_false(is_answered(&root));
	assert_int_equal(kill(machine->helper, SIGCONT), 0);
	assert_int_equal(varlink_client_receive(&root, &reply), 0);
	assert_null(reply.error);
	varlink_reply_clear(&reply);
	varlink_client_close(&alice);
	varlink_client_close(&root);
}

/* Who asks and goes away meanwhile keeps nobody from anything. */
static void who_does_not_wait_for_the_helper_does_no_harm(void **state)
{
	struct machine *machine = *state;
	struct varlink_client root, other;

	machine_start(machine);
	root = machine_connect(machine, 0);
	other = machine_connect(machine, 0);
	assert_int_equal(kill(machine->helper, SIGSTOP), 0);
	assert_int_equal(varlink_client_send_call(&root, RELOAD, NULL, NULL), 0);
	machine_expect_event(machine, "policyLoaded");
	varlink_client_close(&root);
	machine_write(machine, RULES_FILE, ALLOW(UNKNOWN, "1000"));
	assert_int_equal(varlink_client_send_call(&other, RELOAD, NULL, NULL), 0);
	assert_int_equal(kill(machine->helper, SIGCONT), 0);
	machine_expect_event(machine, "policyLoaded");
	machine_serves(machine, ALICE, UNKNOWN);
	varlink_client_close(&other);
}

static void all_errors_are_in_the_answer_and_the_old_set_stays(void **state)
{
	struct machine *machine = *state;
	struct varlink_client root, alice;
	struct varlink_reply reply;

	machine_start(machine);
	root = machine_connect(machine, 0);
	alice = machine_connect(machine, ALICE);
	machine_write(machine, "policy/20-two.policy",
		      "[Match]\nVendr=8086\n[Client]\nUser=1000\n[Grant]\nAction=perhaps\n");
	machine_write(machine, "policy/30-one.policy", MANAGE("no-such-user", "reload"));
	reply = machine_refused(&root, RELOAD, NULL, "io.iommud.Manage.PolicyInvalid",
				"the former one, with 6 rules, stays in force");
	assert_int_equal(json_object_array_length(machine_get(&reply, "messages")), 3);
	assert_contains(machine_text(&reply, "messages.0"), "/policy/20-two.policy:2:1: error: unknown key 'Vendr'");
	assert_contains(machine_text(&reply, "messages.1"), "/policy/20-two.policy:6:8: error: ");
	assert_contains(machine_text(&reply, "messages.2"), "/policy/30-one.policy:2:6: error: no such user");
	varlink_reply_clear(&reply);
	machine_take(&alice, ONE(NIC));
	assert_run(machine, 0, 1, "/policy/20-two.policy:2:1: error: unknown key 'Vendr'", "reload", NULL);
	varlink_client_close(&alice);
	varlink_client_close(&root);
}

static void labels_that_differ_in_a_group_are_in_the_answer(void **state)
{
	static const char rules[] =
		"[Match]\nAddress=" TWIN_A "\n[Client]\nUser=1000\n[Grant]\nAction=allow\nGroupScope=whole\nLabel=red\n"
		"[Match]\nAddress=" TWIN_B
		"\n[Client]\nUser=1000\n[Grant]\nAction=allow\nGroupScope=whole\nLabel=green\n";
	struct machine *machine = *state;
	struct varlink_client root;
	struct varlink_reply reply;

	machine_start(machine);
	root = machine_connect(machine, 0);
	machine_write(machine, RULES_FILE, rules);
	reply = machine_refused(&root, RELOAD, NULL, "io.iommud.Manage.PolicyInvalid", NULL);
	assert_contains(machine_text(&reply, "messages.0"), "/" RULES_FILE ":1: label 'red' for " TWIN_A);
	varlink_reply_clear(&reply);
	varlink_client_close(&root);
}

static void without_the_helper_it_is_said_that_only_one_has_it(void **state)
{
	struct machine *machine = *state;
	_cleanup_free_ char *digest = NULL;
	struct varlink_client root, alice;

	machine_start(machine);
	root = machine_connect(machine, 0);
	alice = machine_connect(machine, ALICE);
	machine_kill_helper(machine);
	machine_wait_log(machine, "iommud-helper is gone");
	machine_write(machine, RULES_FILE, ALLOW(UNKNOWN, "1000"));
	machine_expect_refusal(&root, RELOAD, NULL, "io.iommud.Manage.PolicyNotShared", "can't be reached");
	machine_start_helper(machine);
	/* It is reached by the reload itself. */
	digest = reload(&root, 1);
	machine_take(&alice, ONE(UNKNOWN));
	varlink_client_close(&alice);
	varlink_client_close(&root);
}

/* Alice manages Bob's lease and the rules, until a reload of her own ends that. */
static void a_manager_manages_until_the_policy_says_otherwise(void **state)
{
	struct machine *machine = *state;
	_cleanup_free_ char *digest = NULL;
	struct varlink_client alice, bob, carol;
	struct varlink_reply reply;
	char parameters[64];
	long long lease;

	machine->rules = BOBS MANAGE("1000", ALL);
	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	bob = machine_connect(machine, BOB);
	carol = machine_connect(machine, CAROL);
	lease = machine_take(&bob, ONE(NIC));
	snprintf(parameters, sizeof(parameters), "{\"lease\":%lld}", lease);
	machine_expect_refusal(&carol, REVOKE, parameters, NOT_ALLOWED, "Allow=revoke");
	machine_expect_refusal(&bob, REVOKE, parameters, NOT_ALLOWED, "uid 1001 may not revoke");
	machine_expect_refusal(&carol, RELOAD, NULL, NOT_ALLOWED, "Allow=reload");
	machine_assert_tree(machine, NIC " driver=vfio-pci ");
	assert_run(machine, CAROL, 3, "Allow=list-leases", "status", "--all");
	assert_run(machine, CAROL, 0, "No leases", "status", NULL);
	assert_run(machine, ALICE, 0, NIC, "status", "--all");
	assert_run(machine, CAROL, 3, "Allow=reload", "reload", NULL);
	reply = machine_call(&alice, REVOKE, parameters);
	assert_null(reply.error);
	varlink_reply_clear(&reply);
	machine_expect_event(machine, "leaseReleased");
	machine_assert_tree(machine, NIC " driver=e1000e override=\n");
	assert_run(machine, ALICE, 0, "1 rule in force, digest ", "reload", NULL);

	machine_write(machine, RULES_FILE, BOBS);
	digest = reload(&alice, 1);
	machine_expect_refusal(&alice, RELOAD, NULL, NOT_ALLOWED, "uid 1000 may not reload");
	machine_expect_refusal(&alice, REVOKE, parameters, NOT_ALLOWED, NULL);
	varlink_client_close(&alice);
	varlink_client_close(&bob);
	varlink_client_close(&carol);
}

/* The files of a set that is not loaded give nobody anything, and take nothing away. */
static void a_section_that_is_not_in_force_counts_for_nothing(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice;

	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	machine_write(machine, "policy/20-manage.policy", MANAGE("1000", ALL));
	machine_write(machine, "policy/30-bad.policy", "nonsense\n");
	machine_reload(machine);
	machine_wait_log(machine, "the policy was not loaded");
	machine_expect_refusal(&alice, RELOAD, NULL, NOT_ALLOWED, NULL);
	varlink_client_close(&alice);
}

static void a_signal_reloads_as_before(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice;

	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	machine_expect_refusal(&alice, RELOAD, NULL, NOT_ALLOWED, NULL);
	machine_write(machine, RULES_FILE, MANAGE("1000", "reload"));
	machine_reload(machine);
	machine_expect_event(machine, "policyLoaded");
	free(reload(&alice, 0));
	varlink_client_close(&alice);
}

/* Signals and calls at the same time: each call has its answer, and the last set is in force in both. */
static void reloads_that_overlap_all_have_an_answer(void **state)
{
	struct machine *machine = *state;
	struct varlink_client clients[4];
	struct varlink_client alice;

	machine_start(machine);
	machine_write(machine, RULES_FILE, ALLOW(UNKNOWN, "1000"));
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		clients[i] = machine_connect(machine, 0);
		machine_reload(machine);
		assert_int_equal(varlink_client_send_call(&clients[i], RELOAD, NULL, NULL), 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		struct varlink_reply reply;

		assert_int_equal(varlink_client_receive(&clients[i], &reply), 0);
		assert_null(reply.error);
		assert_int_equal(varlink_reply_int(&reply, "rules"), 1);
		varlink_reply_clear(&reply);
		varlink_client_close(&clients[i]);
	}
	alice = machine_connect(machine, ALICE);
	machine_take(&alice, ONE(UNKNOWN));
	varlink_client_close(&alice);
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
		TEST(a_reload_is_answered_when_both_have_the_set),
		TEST(a_reload_is_not_answered_before_the_helper_has_it),
		TEST(who_does_not_wait_for_the_helper_does_no_harm),
		TEST(all_errors_are_in_the_answer_and_the_old_set_stays),
		TEST(labels_that_differ_in_a_group_are_in_the_answer),
		TEST(without_the_helper_it_is_said_that_only_one_has_it),
		TEST(a_manager_manages_until_the_policy_says_otherwise),
		TEST(a_section_that_is_not_in_force_counts_for_nothing),
		TEST(a_signal_reloads_as_before),
		TEST(reloads_that_overlap_all_have_an_answer),
	};

	return cmocka_run_group_tests_name("iommud-manage", tests, NULL, NULL);
}
