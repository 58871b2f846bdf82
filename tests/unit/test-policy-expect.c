/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files of expectations: what they take, each error with its place, and when a decision is as expected. */
#include "policy/expect.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "fail-alloc.h"
#include "policy-text.h"
#include "util/cleanup.h"

#define NIC_FACTS "[Device]\nAddress=0000:01:00.0\nVendor=8086\nDevice=0x10D3\nClass=0200\nDriver=e1000e\n"
#define ALLOW_RED "[Expect]\nAs=1000\nDecision=allow\nRule=t.policy:1\nBackend=iommufd\nLabel=red\n"

static const char rules[] = "[Match]\nVendor=8086\nDriver=e1000e\n[Client]\nUser=1000\n"
			    "[Grant]\nAction=allow\nBackend=iommufd\nLabel=red\n"
			    "[Match]\nAddress=0000:01:*\n[Client]\nUser=1001\n[Grant]\nAction=deny\n";

static struct expectations must_parse(const char *text)
{
	struct expectations expectations;
	struct policy_report report;
	int r = expectations_parse("x.test", text, strlen(text), &expectations, &report);

	if (report.text)
		print_error("%s", report.text);
	assert_int_equal(r, 0);
	return expectations;
}

static void assert_refused(const char *text, const char *expected)
{
	struct expectations expectations;
	struct policy_report report;

	assert_int_equal(expectations_parse("x.test", text, strlen(text), &expectations, &report), -EINVAL);
	assert_string_equal(report.text, expected);
	assert_int_equal(expectations.n, 0);
	assert_int_equal(expectations.n_devices, 0);
	policy_report_clear(&report);
}

static void takes_devices_and_what_is_expected_of_them(void **state)
{
	struct expectations all = must_parse(NIC_FACTS ALLOW_RED "[Expect]\nAs=alice:video@a:b:c\nDecision=deny\n"
								 "[Device]\nAddress=0000:02:00.0\n"
								 "[Expect]\nAs=1\nDecision=deny\nRule=none\n");

	assert_int_equal(all.n_devices, 2);
	assert_int_equal(all.n, 3);
	assert_true(all.devices[0].described);
	assert_int_equal(all.devices[0].id.vendor, 0x8086);
	assert_int_equal(all.devices[0].id.device, 0x10d3);
	assert_int_equal(all.devices[0].id.class, 0x020000);
	assert_string_equal(all.devices[0].driver, "e1000e");
	assert_false(all.devices[1].described);
	assert_int_equal(all.list[0].line, 7);
	assert_int_equal(all.list[0].backends, POLICY_BACKEND_IOMMUFD);
	assert_string_equal(all.list[1].as, "alice:video@a:b:c");
	assert_int_equal(all.list[2].device, 1);
	expectations_clear(&all);
}

static void each_mistake_is_said_with_its_place(void **state)
{
	assert_refused("[Device]\nVendor=80*\n[Expect]\nAs=1\nDecision=perhaps\n",
		       "x.test:1:2: error: [Device] without Address=\n"
		       "x.test:2:1: error: '80*' says not what Vendor this device has: one value is wanted, no glob\n"
		       "x.test:5:1: error: Decision is allow or deny, not 'perhaps'\n");
	assert_refused(
		NIC_FACTS "Vendr=1\nVendor=8086\nUser=1\n[Expct]\nAs=1\n",
		"x.test:7:1: error: [Device] takes the keys of [Match], and 'Vendr' is none of them; did you mean "
		"'Vendor'?\n"
		"x.test:8:1: error: repeated key 'Vendor'; a device has one value of each\n"
		"x.test:9:1: error: [Device] takes the keys of [Match], and 'User' is none of them\n"
		"x.test:10:2: error: unknown section [Expct]; did you mean [Expect]?\n");
	assert_refused("[Expect]\nAs=1\nAs=2\nDecison=deny\nRule=10\n",
		       "x.test:1:2: error: [Expect] without a [Device] before it, which says about what\n"
		       "x.test:1:2: error: [Expect] without Decision=allow or Decision=deny\n"
		       "x.test:3:1: error: repeated key 'As' in one [Expect]\n"
		       "x.test:4:1: error: unknown key 'Decison' in [Expect]; did you mean 'Decision'?\n"
		       "x.test:5:1: error: '10' is no rule: FILE:LINE, as in 50-net.policy:7, or none\n");
	assert_refused(NIC_FACTS "[Expect]\nDecision=deny\nLabel=x\nnonsense\n",
		       "x.test:7:2: error: [Expect] without As=, who asks\n"
		       "x.test:7:2: error: Backend= and Label= are of what is allowed, not of Decision=deny\n"
		       "x.test:10:1: error: neither a [Section] nor a Key=Value line\n");
}

static void assert_outcome(const char *expected, uid_t uid, const char *driver, const char *difference)
{
	struct policy *policy = policy_must_load(rules);
	struct expectations all = must_parse(expected);
	struct policy_subject subject = expected_subject(&all.devices[0]);
	struct policy_decision decision;
	struct identity client = IDENTITY_INIT;
	char why[512] = "";

	subject.driver = driver;
	client.uid = client.gid = uid;
	policy_decide(policy, &subject, &client, &decision);
	assert_int_equal(expectation_holds(&all.list[0], &decision, why, sizeof(why)), difference == NULL);
	assert_string_equal(why, difference ? difference : "");
	expectations_clear(&all);
	policy_free(policy);
}

static void what_is_as_expected_holds(void **state)
{
	assert_outcome(NIC_FACTS ALLOW_RED, 1000, "e1000e", NULL);
	assert_outcome(NIC_FACTS "[Expect]\nAs=1\nDecision=deny\nRule=none\n", 1002, "e1000e", NULL);
	assert_outcome(NIC_FACTS "[Expect]\nAs=1\nDecision=deny\nRule=t.policy:10\n", 1001, "e1000e", NULL);
}

static void what_differs_is_said(void **state)
{
	assert_outcome(NIC_FACTS ALLOW_RED, 1001, "e1000e",
		       "Decision=allow is expected, but it is denied by t.policy:10");
	assert_outcome(NIC_FACTS "[Expect]\nAs=1\nDecision=deny\nRule=t.policy:1\n", 1001, "e1000e",
		       "Rule=t.policy:1 is expected to decide, but it is denied by t.policy:10");
	/* A rule of another file whose name ends alike is another rule. */
	assert_outcome(NIC_FACTS "[Expect]\nAs=1\nDecision=deny\nRule=policy:10\n", 1001, "e1000e",
		       "Rule=policy:10 is expected to decide, but it is denied by t.policy:10");
	assert_outcome(NIC_FACTS "[Expect]\nAs=1\nDecision=deny\nRule=none\n", 1001, "e1000e",
		       "Rule=none is expected to decide, but it is denied by t.policy:10");
	assert_outcome(NIC_FACTS "[Expect]\nAs=1\nDecision=allow\nBackend=legacy\n", 1000, "e1000e",
		       "Backend=legacy is expected, but t.policy:1 has iommufd");
	assert_outcome(NIC_FACTS "[Expect]\nAs=1\nDecision=allow\nLabel=none\n", 1000, "e1000e",
		       "Label=none is expected, but t.policy:1 gives red");
}

#define MORE_FACTS "Subsystem=1028:075b\nPath=pci-0000:01:00.0\nSerial=a,b\nNumaNode=1\n"

/* Each fact reaches the rule that asks for it, and what is not said is not known. */
static void facts_are_what_rules_ask_for(void **state)
{
	static const char *const conditions[] = { "Subsystem=1028:*", "Path=pci-0000:01:*", "Serial=a,b",
						  "NumaNode=1",       "Class=network",      "Device=10d3",
						  "Driver=e1000e" };
	struct expectations all = must_parse(NIC_FACTS MORE_FACTS "[Expect]\nAs=1\nDecision=allow\nUnit=a.service\n"
								  "Executable=/usr/bin/x\nAppArmor=y\n"
								  "[Device]\nAddress=0000:01:00.0\nVendor=8086\n");
	struct policy_subject full = expected_subject(&all.devices[0]), bare = expected_subject(&all.devices[1]);

	for (size_t i = 0; i < ARRAY_SIZE(conditions); i++) {
		struct identity client = IDENTITY_INIT;
		struct policy_decision decision;
		struct policy *policy;
		char text[300];

		snprintf(text, sizeof(text),
			 "[Match]\n%s\n[Client]\nUser=1\nUnit=a.service\nSlice=system.slice\nExecutable=/usr/bin/*\n"
			 "AppArmor=y\n[Grant]\nAction=allow\n",
			 conditions[i]);
		policy = policy_must_load(text);
		client.uid = client.gid = 1;
		assert_int_equal(process_facts_store(&all.list[0].client, &client), 0);
		policy_decide(policy, &full, &client, &decision);
		assert_int_equal(decision.action, POLICY_ALLOW);
		policy_decide(policy, &bare, &client, &decision);
		assert_int_equal(decision.action, POLICY_DENY);
		identity_clear(&client);
		policy_free(policy);
	}
	expectations_clear(&all);
}

static void cut_off_files_are_read_or_refused(void **state)
{
	static const char text[] = NIC_FACTS ALLOW_RED;

	for (size_t size = 0; size <= strlen(text); size++) {
		struct expectations expectations;
		struct policy_report report;
		int r = expectations_parse("x.test", text, size, &expectations, &report);

		assert_int_equal(r, report.n_errors ? -EINVAL : 0);
		expectations_clear(&expectations);
		policy_report_clear(&report);
	}
}

static void a_lack_of_memory_is_said(void **state)
{
	static const char text[] = NIC_FACTS ALLOW_RED;
	bool failed = true;

	for (unsigned int n = 1; failed; n++) {
		struct expectations expectations;
		struct policy_report report = {};
		int r;

		fail_alloc_begin(n);
		r = expectations_parse("x.test", text, strlen(text), &expectations, &report);
		failed = fail_alloc_end();
		assert_int_equal(r, failed ? -ENOMEM : 0);
		expectations_clear(&expectations);
		policy_report_clear(&report);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_devices_and_what_is_expected_of_them),
		cmocka_unit_test(each_mistake_is_said_with_its_place),
		cmocka_unit_test(what_is_as_expected_holds),
		cmocka_unit_test(what_differs_is_said),
		cmocka_unit_test(facts_are_what_rules_ask_for),
		cmocka_unit_test(cut_off_files_are_read_or_refused),
		cmocka_unit_test(a_lack_of_memory_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
