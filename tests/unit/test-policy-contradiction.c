/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules that contradict themselves or each other, that can match nothing, or that never get to decide: each is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "policy-text.h"
#include "util/cleanup.h"

#define CLIENT(user, action) "[Client]\nUser=" user "\n[Grant]\nAction=" action "\n"
#define MATCH(condition, action) "[Match]\n" condition "\n" CLIENT("1", action)

static void assert_report(const char *text, const char *expected)
{
	assert_policy_report(text, expected);
}

static void assert_silent(const char *text)
{
	policy_free(policy_must_load(text));
}

static void what_is_excluded_again_never_matches(void **state)
{
	assert_report(
		MATCH("Vendor=8086 !8086", "allow"),
		"t.policy:2:8: error: Vendor=8086 !8086 can never match: the second excludes all that the first fits\n");
	assert_report(
		MATCH("Vendor=8086 10de !80* !10DE", "deny"),
		"t.policy:2:8: error: Vendor=8086 !80* can never match: the second excludes all that the first fits\n"
		"t.policy:2:13: error: Vendor=10de !10de can never match: the second excludes all that the first fits\n");
	assert_report(
		MATCH("Class=0300 !display", "allow"),
		"t.policy:2:7: error: Class=0300 !03???? can never match: the second excludes all that the first fits\n");
	assert_report(
		MATCH("Address=0000:65:00.[0-3] !0000:65:*", "allow") MATCH("Driver=none !none", "allow"),
		"t.policy:8:8: error: Driver=none !none can never match: the second excludes all that the first fits\n");
	assert_report("[Match]\nAddress=*\n[Client]\nUser=7 !7\n[Grant]\nAction=allow\n",
		      "t.policy:4:6: error: User=7 !7 can never match: the second excludes all that the first fits\n");
	assert_report("[Match]\nAddress=*\n[Client]\nUnit=a.service !a*\n[Grant]\nAction=deny\n",
		      "t.policy:4:6: error: Unit=a.service !a* can never match: the second excludes all that the first "
		      "fits\n");
}

static void what_is_excluded_in_part_says_nothing(void **state)
{
	assert_report(MATCH("Vendor=8086 10de !80*", "allow"),
		      "t.policy:2:8: warning: '8086' says nothing here: '!80*' excludes all that it fits\n");
	assert_silent(MATCH("Vendor=80* !8086", "allow"));
	assert_silent(MATCH("Vendor=* !8086", "allow"));
	assert_silent(MATCH("Class=display !0302", "allow"));
	/* A component's glob is no glob over the whole. */
	assert_silent("[Match]\nAddress=*\n[Client]\nContext=a:b:c !a:*\n[Grant]\nAction=allow\n");
}

static void a_device_is_not_its_own_physical_function(void **state)
{
	assert_report(
		MATCH("Address=0000:3b:00.0\nPhysicalFunction=0000:3B:00.0", "allow"),
		"t.policy:3:18: error: this can never match: 0000:3b:00.0 is not a virtual function of itself; to fit its "
		"virtual functions, leave Address= away\n");
	assert_report(
		"[Match]\nPhysicalFunction=0000:3b:00.0\n[Host]\nNumVFs=4\n",
		"t.policy:2:18: error: NumVFs= can do nothing here: this [Match] fits virtual functions only, which make "
		"none; name the physical function by Address=\n");
	assert_silent("[Match]\nVendor=8086\nPhysicalFunction=none\n[Host]\nNumVFs=4\n");
}

#define POOL(match, name) "[Match]\n" match "\n[Pool]\nName=" name "\n"

/* [Match] of the pool and [Match] of the rule must both fit. */
static void a_pool_of_displays_has_no_network_card(void **state)
{
	assert_report(
		POOL("Class=display", "gpus") MATCH("Class=network\nPool=gpus", "allow"),
		"t.policy:7:6: error: this can never match: no device of pool 'gpus' has such a Class, says t.policy:1\n");
	assert_report(POOL("Address=0000:65:*", "gpus") MATCH("Pool=g*\nAddress=0000:3b:*", "deny"),
		      "t.policy:6:6: error: this can never match: no device of pool 'gpus' has such a Address, says "
		      "t.policy:1\n");
	assert_silent(POOL("Class=display", "gpus") POOL("Class=network", "gpus")
			      MATCH("Class=network\nPool=gpus", "allow"));
	assert_silent(POOL("Class=display", "gpus") MATCH("Vendor=10de\nPool=gpus", "allow"));
	assert_silent(POOL("Class=display", "gpus") MATCH("Class=network\nPool=!gpus", "allow"));
	assert_silent(POOL("Class=display", "gpus") MATCH("Class=network\nPool=gpus none", "allow"));
}

static void a_deny_behind_an_allow_of_the_same_is_an_error(void **state)
{
	assert_report(
		MATCH("Vendor=8086", "allow") MATCH("Vendor=8086\nDevice=10d3", "deny"),
		"t.policy:7:2: error: this rule denies nothing: line 1 comes first, fits all that this one fits, and "
		"allows it; put the deny in front\n");
	assert_report(
		MATCH("Vendor=8086", "deny") MATCH("Vendor=8086\nDevice=10d3", "allow"),
		"t.policy:7:2: warning: this rule never decides: t.policy:1 comes first, fits all that this one fits, and "
		"denies it\n");
	/* What is not known about the client slips by an allow, and is stopped by a deny. */
	assert_silent("[Match]\nAddress=*\n[Client]\nUnit=a.service\n[Grant]\nAction=allow\n"
		      "[Match]\nAddress=*\n[Client]\nUnit=a.service\n[Grant]\nAction=deny\n");
}

static void a_wider_rule_covers_in_whatever_form(void **state)
{
	static const char *const pairs[][2] = {
		{ "Vendor=80*", "Vendor=8086" },
		{ "Class=display", "Class=0300" },
		{ "Class=network", "Class=0280 ethernet" },
		{ "Class=02", "Class=0200 ethernet" },
		{ "Address=0000:65:*", "Address=0000:65:00.*" },
		{ "Address=0000:65:*", "Address=0000:65:0a.1 0000:65:00.?" },
		{ "Driver=!none", "Driver=!none !e1000e" },
		{ "Driver=e1000e none", "Driver=none" },
		{ "PhysicalFunction=none", "Vendor=8086\nPhysicalFunction=none" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		struct policy_report report;
		struct policy *policy = NULL;
		char text[400];

		snprintf(text, sizeof(text), "[Match]\n%s\n" CLIENT("1", "allow") "[Match]\n%s\n" CLIENT("1", "allow"),
			 pairs[i][0], pairs[i][1]);
		assert_int_equal(policy_from_text(text, &policy, &report), 0);
		assert_non_null(report.text);
		assert_non_null(strstr(report.text, "warning: this rule never decides: t.policy:1 comes first"));
		policy_report_clear(&report);
		policy_free(policy);
		/* And not the other way round. */
		snprintf(text, sizeof(text), "[Match]\n%s\n" CLIENT("1", "allow") "[Match]\n%s\n" CLIENT("1", "allow"),
			 pairs[i][1], pairs[i][0]);
		assert_silent(text);
	}
}

static void globs_that_only_look_alike_do_not_cover(void **state)
{
	assert_silent(MATCH("Driver=a?", "allow") MATCH("Driver=a*", "allow"));
	assert_silent(MATCH("Driver=*a*", "allow") MATCH("Driver=[a-c]", "allow"));
	assert_silent(MATCH("Driver=a*", "allow") MATCH("Driver=none", "allow"));
	assert_silent(MATCH("Class=0200[!0]0", "allow") MATCH("Class=0200", "allow"));
}

#define GRANT(keys) "[Match]\nAddress=*\n[Client]\nUser=1\n[Grant]\nAction=allow\n" keys

static void grants_that_contradict_each_other_are_errors(void **state)
{
	assert_report(
		GRANT("GroupScope=singleton\nLateJoiner=allow\n"),
		"t.policy:8:1: error: LateJoiner=allow contradicts GroupScope=singleton in line 7: a group that others may "
		"join is none of one device; say GroupScope=whole, or LateJoiner=park\n");
	assert_report(
		GRANT("Bystanders=park\n"),
		"t.policy:7:1: error: 'Bystanders' is about groups of several devices, which this rule does not admit; "
		"add GroupScope=whole\n");
	assert_silent(GRANT("GroupScope=whole\nLateJoiner=allow\nBystanders=park\n"));
	assert_report(GRANT("Backend=auto legacy\n"),
		      "t.policy:7:14: error: 'auto' is all backends, and stands alone; 'legacy' contradicts it\n");
	assert_report(GRANT("Backend=legacy auto\n"),
		      "t.policy:7:16: error: 'auto' is all backends, and stands alone\n");
}

static void words_in_a_wrong_section_are_told_where_they_belong(void **state)
{
	assert_report("[Match]\nAddress=*\n[Client]\nUser=1\nVendr=8086\n[Grant]\nAction=deny\n",
		      "t.policy:5:1: error: unknown key 'Vendr' in [Client]; did you mean 'Vendor', which belongs in "
		      "[Match]?\n");
	assert_report("[Match]\nAddress=*\nUser=1\n[Client]\nUser=1\n[Grant]\nAction=deny\n",
		      "t.policy:3:1: error: key 'User' does not belong in [Match] but in [Client]\n");
	assert_report("[Match]\nAddress=*\n[Client]\nUser=1\n[Grant]\nAction=alow\n",
		      "t.policy:6:8: error: unknown value 'alow' of Action; did you mean 'allow'?\n");
}

/* One run shows what is wrong with the whole set, whatever kind of mistake it is. */
static void all_contradictions_are_said_in_one_run(void **state)
{
	assert_report(
		MATCH("Vendor=8086 !80*", "allow") MATCH("Vendr=1", "allow") MATCH("Driver=e1000e", "allow")
			MATCH("Driver=e1000e", "deny"),
		"t.policy:2:8: error: Vendor=8086 !80* can never match: the second excludes all that the first fits\n"
		"t.policy:8:1: error: unknown key 'Vendr' in [Match]; did you mean 'Vendor'?\n"
		"t.policy:19:2: error: this rule denies nothing: line 13 comes first, fits all that this one fits, and "
		"allows it; put the deny in front\n");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_excluded_again_never_matches),
		cmocka_unit_test(what_is_excluded_in_part_says_nothing),
		cmocka_unit_test(a_device_is_not_its_own_physical_function),
		cmocka_unit_test(a_pool_of_displays_has_no_network_card),
		cmocka_unit_test(a_deny_behind_an_allow_of_the_same_is_an_error),
		cmocka_unit_test(a_wider_rule_covers_in_whatever_form),
		cmocka_unit_test(globs_that_only_look_alike_do_not_cover),
		cmocka_unit_test(grants_that_contradict_each_other_are_errors),
		cmocka_unit_test(words_in_a_wrong_section_are_told_where_they_belong),
		cmocka_unit_test(all_contradictions_are_said_in_one_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
