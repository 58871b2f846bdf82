/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Why rules did not decide: for each key what the rule says of it, and what there is instead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "policy-text.h"
#include "util/cleanup.h"

static void add(void *userdata, const struct policy_miss *missed)
{
	char *text = userdata;

	sprintf(text + strlen(text), "%u %s %s=%s is %s\n", missed->line,
		missed->action == POLICY_ALLOW ? "allow" : "deny", missed->key, missed->wanted, missed->found);
}

static gid_t groups[] = { 5, 1000, 27 };

static const struct identity alice = { .uid = 1000, .gid = 1000, .pidfd = -1, .groups = groups, .n_groups = 3 };

static void assert_trace(const char *rules, const struct identity *client, const char *expected)
{
	const struct policy_subject subject = { .id = &test_nic, .driver = "e1000e", .numa_node = -1 };
	struct policy *policy = policy_must_load(rules);
	char text[2000] = "";

	policy_trace(policy, &subject, client, add, text);
	assert_string_equal(text, expected);
	policy_free(policy);
}

#define RULE(match, client, action) "[Match]\n" match "\n[Client]\n" client "\n[Grant]\nAction=" action "\n"

static void each_rule_before_the_one_that_decides_says_why_it_did_not(void **state)
{
	assert_trace(RULE("Vendor=10de 0x1002", "User=*", "deny") RULE("Vendor=8086\nClass=display", "User=*", "allow")
			     RULE("Address=*", "User=1001", "deny") RULE("Address=*", "User=1000", "allow")
				     RULE("Driver=none", "User=*", "deny"),
		     &alice,
		     "1 deny Vendor=10de 0x1002 is 8086\n"
		     "7 allow Class=display is 020000\n"
		     "14 deny User=1001 is 1000\n");
}

static void where_none_decides_all_say_it(void **state)
{
	assert_trace(RULE("Driver=vfio-pci, none", "User=*", "allow")
			     RULE("PhysicalFunction=0000:3b:*", "User=*", "allow")
				     RULE("Address=*", "Group=7", "allow"),
		     &alice,
		     "1 allow Driver=vfio-pci, none is e1000e\n"
		     "7 allow PhysicalFunction=0000:3b:* is none\n"
		     "13 allow Group=7 is 1000, 5, 27\n");
}

static void what_nobody_told_is_not_known(void **state)
{
	struct identity nobody = IDENTITY_INIT, service = alice;

	service.unit = (char *)"";
	assert_trace(RULE("Address=*", "User=1000", "allow") RULE("Address=*", "Group=5", "allow")
			     RULE("Address=*", "Unit=a.service", "allow") RULE("Serial=x", "User=*", "allow"),
		     &nobody,
		     "1 allow User=1000 is not known\n"
		     "7 allow Group=5 is not known\n"
		     "13 allow Unit=a.service is not known\n"
		     "19 allow Serial=x is not known\n");
	assert_trace(RULE("Address=*", "Unit=a.service", "allow"), &service, "1 allow Unit=a.service is none\n");
}

static void exclusions_and_pools_are_shown_as_they_are_written(void **state)
{
	assert_trace("[Match]\nVendor=8086\n[Pool]\nName=intel\n"
		     "[Match]\nAddress=0000:01:*\n[Pool]\nName=bus1\n" RULE("Vendor=* !8086", "User=*", "deny")
			     RULE("Pool=!bus1", "User=*", "deny") RULE("NumaNode=1", "User=*", "deny"),
		     &alice,
		     "9 deny Vendor=* !8086 is 8086\n"
		     "15 deny Pool=!bus1 is intel, bus1\n"
		     "21 deny NumaNode=1 is none\n");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_rule_before_the_one_that_decides_says_why_it_did_not),
		cmocka_unit_test(where_none_decides_all_say_it),
		cmocka_unit_test(what_nobody_told_is_not_known),
		cmocka_unit_test(exclusions_and_pools_are_shown_as_they_are_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
