/* SPDX-License-Identifier: GPL-2.0-or-later */
/* [Match] by subsystem, class name, path, serial number, NUMA node and pool; and what `!` means, of every key alike. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "policy-text.h"
#include "util/cleanup.h"

#define RULE_END "[Client]\nUser=*\n[Grant]\nAction=deny\n"
#define POOLS "[Match]\nClass=nvme\n[Pool]\nName=disks\n[Match]\nSerial=S1\n[Pool]\nName=ones\n"

static const struct device_id disk = { .address = "0000:02:00.0",
				       .vendor = 0x1b36,
				       .device = 0x0010,
				       .subsystem_vendor = 0x1af4,
				       .subsystem_device = 0x1100,
				       .class = 0x010802 };

static struct policy_subject subject;

static int setup(void **state)
{
	subject = (struct policy_subject){
		.id = &disk, .driver = "nvme", .path = "pci-0000:02:00.0", .serial = "S1", .numa_node = 1
	};
	return 0;
}

static bool decides(const char *match, const char *action)
{
	struct identity client = IDENTITY_INIT;
	struct policy_decision decision;
	struct policy *policy;
	char text[800];

	snprintf(text, sizeof(text), POOLS "[Match]\n%s\n[Client]\nUser=*\n[Grant]\nAction=%s\n", match, action);
	policy = policy_must_load(text);
	client.uid = client.gid = 1000;
	decision = policy_ask_all(policy, &subject, &client);
	policy_free(policy);
	return decision.file != NULL;
}

struct match_case {
	const char *match;
	bool allows;
	bool denies; /* the same as a rule that denies; differs where something is not known */
};

static void check(const struct match_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		bool allows = decides(cases[i].match, "allow"), denies = decides(cases[i].match, "deny");

		if (allows != cases[i].allows || denies != cases[i].denies)
			print_error("%s\n", cases[i].match);
		assert_int_equal(allows, cases[i].allows);
		assert_int_equal(denies, cases[i].denies);
	}
}

#define YES true, true
#define NO false, false
#define UNKNOWN false, true

static void each_key_takes_lists_globs_and_negation(void **state)
{
	static const struct match_case cases[] = {
		{ "Vendor=1b36", YES },
		{ "Vendor=!1b36", NO },
		{ "Vendor=!8086", YES },
		{ "Vendor=1b* !1b36", NO },
		{ "Vendor=!1b* 8086", NO },
		{ "Vendor=* !8086", YES },
		{ "Vendor=!8086 !10de", YES },
		{ "Vendor=!8086,!1b36", NO },
		{ "Device=0010 !0011", YES },
		{ "Device=!001?", NO },
		{ "Subsystem=1af4:1100", YES },
		{ "Subsystem=1AF4:1100", YES },
		{ "Subsystem=1af4:*", YES },
		{ "Subsystem=*:1100", YES },
		{ "Subsystem=1af4:1101", NO },
		{ "Subsystem=8086:* 1af4:11??", YES },
		{ "Subsystem=!1af4:*", NO },
		{ "Subsystem=*", YES },
		{ "Class=nvme", YES },
		{ "Class=storage", YES },
		{ "Class=network display usb audio", NO },
		{ "Class=!nvme", NO },
		{ "Class=storage !0106", YES },
		{ "Class=!display !02", YES },
		{ "Address=!0000:02:00.0", NO },
		{ "Address=0000:* !0000:03:*", YES },
		{ "Driver=nvme !vfio*", YES },
		{ "Driver=!none", YES },
		{ "Driver=!nvme", NO },
		{ "Path=pci-0000:02:00.0", YES },
		{ "Path=pci-*", YES },
		{ "Path=PCI-*", NO },
		{ "Path=platform-* !pci-*", NO },
		{ "Path=!pci-0000:03:00.0", YES },
		{ "Serial=S1", YES },
		{ "Serial=s1", NO },
		{ "Serial=S2 S[0-1]", YES },
		{ "Serial=S* !S1", NO },
		{ "Serial=S1,S2", NO }, /* a comma may be part of one */
		{ "PhysicalFunction=none", YES },
		{ "PhysicalFunction=!none", NO },
		{ "NumaNode=1", YES },
		{ "NumaNode=0 1", YES },
		{ "NumaNode=none", NO },
		{ "NumaNode=!1", NO },
		{ "NumaNode=!none !0", YES },
		{ "NumaNode=*", YES },
		{ "Pool=disks", YES },
		{ "Pool=ones", YES },
		{ "Pool=d*", YES },
		{ "Pool=none", NO },
		{ "Pool=!none", YES },
		{ "Pool=!disks", NO },
		{ "Pool=disks !ones", NO },
		{ "Pool=*", YES },
	};

	check(cases, ARRAY_SIZE(cases));
}

static void class_names_are_what_the_manual_says(void **state)
{
	static const struct {
		uint32_t class;
		const char *names; /* those that fit */
	} cases[] = {
		{ 0x010802, "storage nvme" },
		{ 0x010601, "storage" },
		{ 0x020000, "network ethernet" },
		{ 0x028000, "network" },
		{ 0x030000, "display vga" },
		{ 0x030200, "display" },
		{ 0x040300, "multimedia audio" },
		{ 0x040100, "multimedia audio" },
		{ 0x040000, "multimedia" },
		{ 0x0c0330, "usb" },
		{ 0x0c0500, "" },
		{ 0x070002, "serial" },
		{ 0x108000, "crypto" },
		{ 0x120000, "accelerator" },
	};
	static const char *const names[] = { "storage",    "nvme",  "network", "ethernet", "display", "vga",
					     "multimedia", "audio", "serial",  "usb",      "crypto",  "accelerator" };
	struct device_id id = disk;

	subject.id = &id;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (size_t j = 0; j < ARRAY_SIZE(names); j++) {
			char match[40], word[24], list[60];

			id.class = cases[i].class;
			snprintf(match, sizeof(match), "Class=%s", names[j]);
			snprintf(word, sizeof(word), " %s ", names[j]);
			snprintf(list, sizeof(list), " %s ", cases[i].names);
			assert_int_equal(decides(match, "allow"), strstr(list, word) != NULL);
		}
}

static void what_is_not_known_fits_no_allow_and_stops_no_deny(void **state)
{
	static const struct match_case cases[] = {
		{ "Serial=S1", UNKNOWN },
		{ "Serial=!S1", UNKNOWN },
		{ "Serial=*", UNKNOWN },
		{ "Serial=S1\nClass=network", NO }, /* another key says no */
		{ "Class=nvme\nSerial=S1", UNKNOWN },
		{ "Path=pci-*", UNKNOWN },
		{ "Path=!pci-*", UNKNOWN },
		{ "Pool=ones", UNKNOWN },
		{ "Pool=!ones", UNKNOWN },
		{ "Pool=disks", YES },
		{ "Pool=disks ones", YES },
		{ "Pool=disks !ones", UNKNOWN },
		{ "Pool=none", NO }, /* it is in the disks */
		{ "NumaNode=0", NO }, /* that there is none is known */
		{ "NumaNode=!0", YES },
		{ "NumaNode=none", YES },
		{ "Driver=!nvme", YES }, /* the same */
		{ "Driver=none", YES },
	};

	subject.serial = subject.path = NULL;
	subject.driver = "";
	subject.numa_node = -1;
	check(cases, ARRAY_SIZE(cases));
	subject.serial = subject.path = "";
	check(cases, ARRAY_SIZE(cases));
}

static void what_is_not_known_is_in_no_pool(void **state)
{
	struct policy *policy = policy_must_load(POOLS);
	size_t cursor = 0;

	assert_true(policy_pool_contains(policy, "ones", &subject));
	subject.serial = NULL;
	assert_false(policy_pool_contains(policy, "ones", &subject));
	assert_string_equal(policy_next_pool(policy, &subject, &cursor), "disks");
	assert_null(policy_next_pool(policy, &subject, &cursor));
	policy_free(policy);
}

static void virtual_functions_of_a_pool(void **state)
{
	struct policy *policy = policy_must_load(POOLS "[Match]\nPool=disks\n[Host]\nNumVFs=3\n");
	const char *file;
	unsigned int line;

	assert_int_equal(policy_num_vfs(policy, &subject, &file, &line), 3);
	policy_free(policy);
}

static void pools_are_not_made_of_pools(void **state)
{
	assert_policy_report(POOLS "[Match]\nPool=disks\n[Pool]\nName=more\n",
			     "t.policy:11:2: error: [Pool] behind a [Match] with Pool=: pools are not made of pools\n");
}

static void a_pool_that_is_not_there_is_an_error(void **state)
{
	assert_policy_report(POOLS "[Match]\nPool=disks dsks\n" RULE_END,
			     "t.policy:10:12: error: no [Pool] has the name 'dsks'; did you mean 'disks'?\n");
	assert_policy_report("[Match]\nPool=!x*\n" RULE_END, "t.policy:2:6: error: no [Pool] has the name 'x*'\n");
	/* Of one run with [Host] and rule it is said once. */
	assert_policy_report("[Match]\nPool=zz\n[Host]\nNumVFs=1\n" RULE_END,
			     "t.policy:2:6: error: no [Pool] has the name 'zz'\n");
	/* The one that is meant may be in what can't be read. */
	assert_policy_report("[Match]\nClass=nvmee\n[Pool]\nName=a\n[Match]\nPool=a\n" RULE_END,
			     "t.policy:2:7: error: 'nvmee' is no class; did you mean 'nvme'?\n");
}

static void refuses_what_never_fits(void **state)
{
	assert_policy_report(
		"[Match]\nSubsystem=1af4 1af4:1100:1 1af4:11 1af4:110g 12*45:0000 :0001\n" RULE_END,
		"t.policy:2:11: error: '1af4' is no subsystem: vendor and device, as in 1028:075b or 1028:*\n"
		"t.policy:2:16: error: '1af4:1100:1' is no subsystem: vendor and device, as in 1028:075b or "
		"1028:*\n"
		"t.policy:2:33: error: four hexadecimal digits, or a glob over them, not '11'\n"
		"t.policy:2:41: error: not a hexadecimal digit, nor part of a glob, in '110g'\n"
		"t.policy:2:57: error: four hexadecimal digits, or a glob over them, not ''\n");
	assert_policy_report("[Match]\nPath=0000:01:00.0\n" RULE_END,
			     "t.policy:2:6: error: '0000:01:00.0' is an address; the path of that device is "
			     "'pci-0000:01:00.0'\n");
	assert_policy_report(
		"[Match]\nSerial=12345678901234567890123456789012\n" RULE_END,
		"t.policy:2:8: error: '12345678901234567890123456789012' is too long for a serial number, 31 "
		"characters at most\n");
	assert_policy_report("[Match]\nNumaNode=x 9999999 1?\n" RULE_END,
			     "t.policy:2:10: error: 'x' is no NUMA node: a number, or none\n"
			     "t.policy:2:12: error: '9999999' is no NUMA node: a number, or none\n"
			     "t.policy:2:20: error: '1?' is no NUMA node: a number, or none\n");
	assert_policy_report("[Match]\nSerial=[a\n" RULE_END, "t.policy:2:8: error: ']' missing in a glob\n");
}

static void refuses_negation_that_means_nothing(void **state)
{
	assert_policy_report(
		"[Match]\nVendor=! !* !808\n" RULE_END,
		"t.policy:2:8: error: '!' excludes nothing: write it right before a value\n"
		"t.policy:2:10: error: '!*' excludes everything: this can never match\n"
		"t.policy:2:14: error: '808' is no vendor id: four hexadecimal digits (0x8086 or 8086) or a glob "
		"over them (80*)\n");
	assert_policy_report("[Match]\nAddress=*\n[Client]\nUser=!!root\n[Grant]\nAction=deny\n",
			     "t.policy:4:7: error: no such user '!root'; did you mean 'root'?\n");
}

static void warns_only_where_nothing_can_slip_by(void **state)
{
	/* What is not known slips by an allow, and is stopped by the deny behind it. */
	policy_free(policy_must_load("[Match]\nSerial=S1\n[Client]\nUser=*\n[Grant]\nAction=allow\n"
				     "[Match]\nSerial=S1\n[Client]\nUser=*\n[Grant]\nAction=deny\n"));
	/* Also where the first takes any that is known. */
	policy_free(policy_must_load("[Match]\nSerial=*\n[Client]\nUser=*\n[Grant]\nAction=allow\n"
				     "[Match]\nClass=nvme\n[Client]\nUser=*\n[Grant]\nAction=allow\n"));
	/* The second excludes less. */
	policy_free(policy_must_load("[Match]\nClass=!nvme\n[Client]\nUser=*\n[Grant]\nAction=allow\n"
				     "[Match]\nAddress=*\n[Client]\nUser=*\n[Grant]\nAction=allow\n"));
	assert_policy_report(
		"[Match]\nClass=!nvme\n[Client]\nUser=*\n[Grant]\nAction=allow\n"
		"[Match]\nClass=!nvme !usb\n[Client]\nUser=1\n[Grant]\nAction=allow\n",
		"t.policy:7:2: warning: this rule never decides: t.policy:1 comes first and fits all that this "
		"one fits\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
		TEST(each_key_takes_lists_globs_and_negation),
		TEST(class_names_are_what_the_manual_says),
		TEST(what_is_not_known_fits_no_allow_and_stops_no_deny),
		TEST(what_is_not_known_is_in_no_pool),
		TEST(virtual_functions_of_a_pool),
		TEST(pools_are_not_made_of_pools),
		TEST(a_pool_that_is_not_there_is_an_error),
		TEST(refuses_what_never_fits),
		TEST(refuses_negation_that_means_nothing),
		TEST(warns_only_where_nothing_can_slip_by),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
