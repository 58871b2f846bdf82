/* SPDX-License-Identifier: GPL-2.0-or-later */
/* [Client] by unit, slice, executable, context and AppArmor profile, and what becomes of what is not known of a client. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "policy-text.h"
#include "policy/match.h"
#include "util/cleanup.h"

static struct identity client;

static int setup(void **state)
{
	client = (struct identity)IDENTITY_INIT;
	client.uid = client.gid = 1000;
	client.unit = (char *)"qemu@a.service";
	client.slice = (char *)"machine-gold.slice";
	client.executable = (char *)"/usr/bin/qemu-system-x86_64";
	client.label = (char *)"system_u:system_r:svirt_t:s0:c1,c2";
	client.apparmor = (char *)"libvirt-1234";
	return 0;
}

static struct policy_decision ask(const char *keys, const char *action)
{
	const struct policy_subject subject = { .id = &test_nic, .driver = "e1000e", .numa_node = -1 };
	struct policy_decision decision;
	struct policy *policy;
	char text[600];

	snprintf(text, sizeof(text), "[Match]\nAddress=*\n[Client]\n%s\n[Grant]\nAction=%s\n", keys, action);
	policy = policy_must_load(text);
	assert_int_equal(policy_asks_process(policy),
			 strstr(keys, "Unit") || strstr(keys, "Slice") || strstr(keys, "Exec") || strstr(keys, "AppA"));
	decision = policy_ask_all(policy, &subject, &client);
	policy_free(policy);
	return decision;
}

struct client_case {
	const char *keys;
	bool allows, denies;
};

static void check(const struct client_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		bool allows = ask(cases[i].keys, "allow").action == POLICY_ALLOW;
		bool denies = ask(cases[i].keys, "deny").file != NULL;

		if (allows != cases[i].allows || denies != cases[i].denies)
			print_error("%s\n", cases[i].keys);
		assert_int_equal(allows, cases[i].allows);
		assert_int_equal(denies, cases[i].denies);
	}
}

#define YES true, true
#define NO false, false
#define UNKNOWN false, true

static void each_key_takes_lists_globs_and_negation(void **state)
{
	static const struct client_case cases[] = {
		{ "User=1000 !1001", YES },
		{ "User=!1000", NO },
		{ "User=!1001 !0", YES },
		{ "User=* !1000", NO },
		{ "Group=1000", YES },
		{ "Group=!1000", NO },
		{ "Group=!1001", YES },
		{ "User=1000\nGroup=!1000", NO },
		{ "Unit=qemu@a.service", YES },
		{ "Unit=qemu@b.service qemu@*.service", YES },
		{ "Unit=qemu@*.service !qemu@a.service", NO },
		{ "Unit=!qemu@b.service", YES },
		{ "Unit=none", NO },
		{ "Unit=!none", YES },
		{ "Unit=*", YES },
		{ "Slice=machine-gold.slice", YES },
		{ "Slice=machine.slice", YES },
		{ "Slice=-.slice", YES },
		{ "Slice=gold.slice", NO },
		{ "Slice=machine-gol.slice", NO },
		{ "Slice=mach*", YES },
		{ "Slice=machine.slice !machine-gold.slice", NO },
		{ "Slice=!machine.slice", NO },
		{ "Slice=!user.slice", YES },
		{ "Executable=/usr/bin/qemu-system-x86_64", YES },
		{ "Executable=/usr/*", YES },
		{ "Executable=*qemu*", YES },
		{ "Executable=/usr/bin/qemu", NO },
		{ "Executable=/usr/bin/* !*-x86_64", NO },
		{ "Context=system_u:system_r:svirt_t:s0:c1,c2", YES },
		{ "Context=system_u:system_r:svirt_t:s0:c1,c3", NO },
		{ "Context=*:*:svirt_t:*", YES },
		{ "Context=*:*:svirt_*:*", YES },
		{ "Context=*:*:svirt_t:s0:c?,c2", YES },
		{ "Context=!*:*:svirt_t:*", NO },
		{ "Context=!*:*:other_t:*", YES },
		{ "Context=*", YES },
		/* Neither prefixes nor globs over a colon. */
		{ "Context=*:*:svirt:*", NO },
		{ "Context=*:*:svirt_t", NO },
		{ "Context=system_u*", NO },
		{ "Context=system_u:*", NO },
		{ "Context=*:svirt_t:*", NO },
		{ "Context=system_u:*:s0:c1,c2", NO },
		{ "Context=*:*:*:s0", NO },
		{ "AppArmor=libvirt-1234", YES },
		{ "AppArmor=libvirt-*", YES },
		{ "AppArmor=unconfined", NO },
		{ "AppArmor=!unconfined", YES },
		{ "User=1000\nUnit=qemu@*.service\nAppArmor=libvirt-*", YES },
		{ "User=1000\nUnit=qemu@*.service\nAppArmor=other", NO },
	};

	check(cases, ARRAY_SIZE(cases));
}

/* The heart of it: who is not known gets nothing by any way to say it, and does not get around what denies him. */
static void what_is_not_known_fits_no_allow_and_stops_no_deny(void **state)
{
	static const struct client_case cases[] = {
		{ "Unit=qemu@a.service", UNKNOWN },
		{ "Unit=!other.service", UNKNOWN },
		{ "Unit=*", UNKNOWN },
		{ "Unit=none", UNKNOWN },
		{ "Unit=!none", UNKNOWN },
		{ "Unit=* !other.service", UNKNOWN },
		{ "Slice=machine.slice", UNKNOWN },
		{ "Slice=!machine.slice", UNKNOWN },
		{ "Slice=-.slice", UNKNOWN },
		{ "Executable=/usr/bin/*", UNKNOWN },
		{ "Executable=!/usr/bin/*", UNKNOWN },
		{ "Context=*:*:svirt_t:*", UNKNOWN },
		{ "Context=!*:*:svirt_t:*", UNKNOWN },
		{ "Context=*", UNKNOWN },
		{ "AppArmor=unconfined", UNKNOWN },
		{ "AppArmor=!unconfined", UNKNOWN },
		{ "User=1000\nUnit=!other.service", UNKNOWN },
		/* What is known decides where it says no. */
		{ "User=1001\nUnit=qemu@a.service", NO },
		{ "User=!1000\nUnit=!other.service", NO },
		{ "User=1000", YES },
	};

	client.unit = client.slice = client.executable = client.label = client.apparmor = NULL;
	check(cases, ARRAY_SIZE(cases));
}

static void that_there_is_no_unit_is_known(void **state)
{
	static const struct client_case cases[] = {
		{ "Unit=none", YES },       { "Unit=!none", NO },     { "Unit=a.service", NO },
		{ "Unit=!a.service", YES }, { "Unit=*.service", NO },
	};

	client.unit = (char *)"";
	check(cases, ARRAY_SIZE(cases));
}

static void contexts_have_other_forms(void **state)
{
	static const struct client_case smack[] = {
		{ "Context=System", YES }, { "Context=Sys*", YES }, { "Context=*:*", NO }, { "Context=!User", YES }
	};
	static const struct client_case plain[] = {
		{ "Context=u:r:t", YES }, { "Context=*:*:t", YES }, { "Context=*:*:t:*", NO }, { "Context=*:*:*", YES }
	};

	client.label = (char *)"System";
	check(smack, ARRAY_SIZE(smack));
	client.label = (char *)"u:r:t";
	check(plain, ARRAY_SIZE(plain));
}

/* A component of any length, as a context with many categories has it. */
static void contexts_may_be_long(void **state)
{
	static char label[9000];
	size_t used = snprintf(label, sizeof(label), "u:r:t:s0");

	for (int i = 0; i < 1000; i++)
		used += snprintf(label + used, sizeof(label) - used, "%cc%d", i ? ',' : ':', i);
	client.label = label;
	assert_int_equal(ask("Context=*:*:t:s0:*,c999", "allow").action, POLICY_ALLOW);
	assert_int_equal(ask("Context=*:*:t:s0:*,c99", "allow").action, POLICY_DENY);
}

static void says_which_key_does_not_fit(void **state)
{
	struct policy *policy =
		policy_must_load("[Match]\nVendor=8086\nSerial=S1\nNumaNode=0\n[Client]\nUser=1000\nUnit=a.service\n"
				 "[Grant]\nAction=allow\n");
	struct policy_subject subject = { .id = &test_nic, .driver = "e1000e", .serial = "S1" };
	struct question question;
	struct rule_fit fit;

	question_init(&question, policy, &subject, &client);
	fit = rule_fits(&policy->rules[0], &question);
	assert_true(fit.fit == FIT_NO && fit.key == KEY_UNIT);
	client.unit = (char *)"a.service";
	fit = rule_fits(&policy->rules[0], &question);
	assert_true(fit.fit == FIT_YES && fit.key == N_CONDITIONS);
	client.unit = NULL;
	fit = rule_fits(&policy->rules[0], &question);
	assert_true(fit.fit == FIT_UNKNOWN && fit.key == KEY_UNIT);
	/* The first that is not known, unless another says no. */
	question.serial = "";
	fit = rule_fits(&policy->rules[0], &question);
	assert_true(fit.fit == FIT_UNKNOWN && fit.key == KEY_SERIAL);
	question.numa_node = 1;
	fit = rule_fits(&policy->rules[0], &question);
	assert_true(fit.fit == FIT_NO && fit.key == KEY_NUMA_NODE);
	policy_free(policy);
}

static void says_what_was_not_known(void **state)
{
	client.unit = NULL;
	assert_non_null(
		strstr(ask("Unit=a.service", "allow").reason, "; what Unit= of t.policy:1 asks for is not known"));
	assert_string_equal(ask("Unit=a.service", "deny").reason,
			    "denied by t.policy:1; what Unit= of t.policy:1 asks for is not known");
	client.unit = (char *)"b.service";
	assert_null(strstr(ask("Unit=a.service", "allow").reason, "not known"));
	assert_string_equal(ask("Unit=b.service", "deny").reason, "denied by t.policy:1");
}

#define CLIENT(line, complaint)                                                                \
	assert_policy_report("[Match]\nAddress=*\n[Client]\n" line "\n[Grant]\nAction=deny\n", \
			     "t.policy:4:" complaint "\n")

static void refuses_what_never_fits(void **state)
{
	CLIENT("Unit=qemu", "6: error: 'qemu' is no unit that has processes; did you mean 'qemu.service'?");
	CLIENT("Unit=a.timer", "6: error: 'a.timer' is no unit that has processes; did you mean 'a.timer.service'?");
	CLIENT("Unit=user.slice",
	       "6: error: 'user.slice' is a slice, and no process is right in one; say Slice=user.slice");
	CLIENT("Unit=a/b.service", "7: error: not a character of a unit's name, nor part of a glob, in 'a/b.service'");
	CLIENT("Unit=!a/b.service", "8: error: not a character of a unit's name, nor part of a glob, in 'a/b.service'");
	CLIENT("Slice=user", "7: error: 'user' is no slice; did you mean 'user.slice'?");
	CLIENT("Executable=qemu", "12: error: 'qemu' is no absolute path of a program");
	CLIENT("Executable=/usr/../bin/x",
	       "16: error: the kernel's path of a program has no '/../': this can never match");
	CLIENT("Executable=/usr//bin/x", "16: error: the kernel's path of a program has no '//': this can never match");
	CLIENT("Executable=/usr/bin/", "12: error: '/usr/bin/' is a folder; for all that is in it say '/usr/bin/*'");
	CLIENT("Context=a::b", "11: error: empty component of a security context; '*' stands for any");
	CLIENT("Context=a:b:[c:d", "13: error: ']' missing in a glob");
	CLIENT("AppArmor=[x", "10: error: ']' missing in a glob");
	CLIENT("Unt=a.service", "1: error: unknown key 'Unt' in [Client]; did you mean 'Unit'?");
	CLIENT("Serial=1", "1: error: key 'Serial' does not belong in [Client] but in [Match]");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
		TEST(each_key_takes_lists_globs_and_negation),
		TEST(what_is_not_known_fits_no_allow_and_stops_no_deny),
		TEST(that_there_is_no_unit_is_known),
		TEST(contexts_have_other_forms),
		TEST(contexts_may_be_long),
		TEST(says_which_key_does_not_fit),
		TEST(says_what_was_not_known),
		TEST(refuses_what_never_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
