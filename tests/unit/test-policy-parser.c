/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Errors are part of the interface: whole reports are compared. */
#include "policy/policy.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "policy-text.h"

#define RULE_END "[Client]\nUser=*\n[Grant]\nAction=allow\n"

static void takes_several_rules_in_one_file(void **state)
{
	struct policy *policy = policy_must_load("[Match]\nVendor=8086\n[Client]\nUser=1\n[Grant]\nAction=allow\n"
						 "# the next one\n"
						 "[Match]\nVendor=10de\n[Client]\nUser=2\n[Grant]\nAction=deny\n");

	assert_int_equal(policy_n_rules(policy), 2);
	policy_free(policy);
}

static void takes_a_text_without_rules(void **state)
{
	struct policy *policy = policy_must_load("# nothing here yet\n");

	assert_int_equal(policy_n_rules(policy), 0);
	policy_free(policy);
}

static void names_the_key_that_was_meant(void **state)
{
	assert_policy_report("[Match]\nVendr=8086\n" RULE_END,
			     "t.policy:2:1: error: unknown key 'Vendr' in [Match]; did you mean 'Vendor'?\n");
	assert_policy_report("[Match]\nadress=*\n" RULE_END,
			     "t.policy:2:1: error: unknown key 'adress' in [Match]; did you mean 'Address'?\n");
}

static void lists_the_keys_when_none_is_near(void **state)
{
	assert_policy_report(
		"[Match]\nColour=red\n" RULE_END,
		"t.policy:2:1: error: unknown key 'Colour' in [Match], which takes Vendor, Device, Subsystem, Class, "
		"Address, Driver, Path, Serial, PhysicalFunction, NumaNode, Pool\n");
	assert_policy_report(
		"[Match]\nAddress=*\n[Client]\nPid=1\n[Grant]\nAction=deny\n",
		"t.policy:4:1: error: unknown key 'Pid' in [Client], which takes User, Group, Unit, Slice, "
		"Executable, Context, AppArmor\n");
	assert_policy_report(
		"[Match]\nAddress=*\n[Client]\nUser=*\n[Grant]\nAction=deny\nMode=0600\n",
		"t.policy:7:1: error: unknown key 'Mode' in [Grant], which takes Action, GroupScope, Bystanders, "
		"AllowedDrivers, Backend, Label, Force, OnViolation, LateJoiner, OnReleaseTimeout, ReleaseTimeoutSec, "
		"Reset, Isolation\n");
}

static void release_timeout_is_seconds_in_a_range(void **state)
{
	static const char *const wrong[] = { "0", "3601", "5s", "-1", "99999999999999999999" };

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char text[160], report[256];

		snprintf(text, sizeof(text),
			 "[Match]\nAddress=*\n[Client]\nUser=*\n[Grant]\nAction=allow\nReleaseTimeoutSec=%s\n",
			 wrong[i]);
		snprintf(report, sizeof(report),
			 "t.policy:7:19: error: ReleaseTimeoutSec takes a number of seconds from 1 to 3600, not '%s'\n",
			 wrong[i]);
		assert_policy_report(text, report);
	}
}

static void names_the_section_a_key_belongs_in(void **state)
{
	assert_policy_report("[Match]\nUser=*\n" RULE_END,
			     "t.policy:2:1: error: key 'User' does not belong in [Match] but in [Client]\n");
}

static void names_the_section_that_was_meant(void **state)
{
	assert_policy_report("[Match]\nAddress=*\n[Clint]\nUser=*\n[Grant]\nAction=allow\n",
			     "t.policy:3:2: error: unknown section [Clint]; did you mean [Client]?\n");
	assert_policy_report("[match]\nAddress=*\n" RULE_END,
			     "t.policy:1:2: error: unknown section [match]; did you mean [Match]?\n");
	assert_policy_report("[Match]\nAddress=*\n[Client]\nUser=*\n[Grnat]\nAction=allow\n",
			     "t.policy:5:2: error: unknown section [Grnat]; did you mean [Grant]?\n");
	assert_policy_report(
		"[Install]\nWantedBy=x\n",
		"t.policy:1:2: error: unknown section [Install]; there are [Match], [Pool], [Host], [Client], [Grant]\n");
}

static void says_one_thing_about_a_misspelt_section_behind_a_rule(void **state)
{
	assert_policy_report("[Match]\nAddress=*\n" RULE_END "[Mach]\nVendor=8086\n" RULE_END,
			     "t.policy:7:2: error: unknown section [Mach]; did you mean [Match]?\n");
}

static void wants_all_three_sections(void **state)
{
	assert_policy_report(
		"[Match]\nAddress=*\n",
		"t.policy:1:2: error: this rule has no [Client] and no [Grant]; a rule is [Match], [Client], "
		"[Grant]\n");
	assert_policy_report("\n[Match]\nAddress=*\n[Client]\nUser=*\n[Match]\nAddress=*\n" RULE_END,
			     "t.policy:2:2: error: this rule has no [Grant]; a rule is [Match], [Client], [Grant]\n");
	assert_policy_report("[Match]\nAddress=*\n[Grant]\nAction=allow\n",
			     "t.policy:3:2: error: [Grant] without a [Client] before it; for everybody say User=*\n");
	assert_policy_report("[Grant]\nAction=allow\n",
			     "t.policy:1:2: error: [Grant] without [Match] and [Client] before it\n");
	assert_policy_report(
		RULE_END,
		"t.policy:1:2: error: [Client] without a [Match] before it; for every device say Address=*\n");
}

static void begins_a_rule_with_a_client_behind_a_grant(void **state)
{
	assert_policy_report(
		"[Match]\nAddress=*\n" RULE_END RULE_END,
		"t.policy:7:2: error: [Client] without a [Match] before it; for every device say Address=*\n");
}

static void wants_sections_once_and_in_order(void **state)
{
	assert_policy_report(
		"[Match]\nAddress=*\n[Client]\nUser=1\n[Client]\nUser=2\n[Grant]\nAction=allow\n",
		"t.policy:5:2: error: second [Client] in one rule; each rule begins with its own [Match]\n");
	assert_policy_report(
		"[Match]\nAddress=*\n[Client]\nUser=1\n[Grant]\nAction=allow\n[Grant]\nAction=deny\n",
		"t.policy:7:2: error: second [Grant] in one rule; each rule begins with its own [Match]\n");
	assert_policy_report(
		"[Client]\nUser=*\n[Match]\nAddress=*\n[Grant]\nAction=allow\n",
		"t.policy:1:2: error: [Client] without a [Match] before it; for every device say Address=*\n"
		"t.policy:5:2: error: [Grant] without a [Client] before it; for everybody say User=*\n");
}

static void refuses_empty_sections(void **state)
{
	assert_policy_report("[Match]\n[Client]\n[Grant]\n",
			     "t.policy:1:2: error: [Match] is empty; one that shall fit every device says Address=*\n"
			     "t.policy:2:2: error: [Client] is empty; one that shall fit everybody says User=*\n"
			     "t.policy:3:2: error: [Grant] without Action=allow or Action=deny\n");
}

static void refuses_repeated_keys(void **state)
{
	assert_policy_report(
		"[Match]\nVendor=8086\nVendor=10de\n[Client]\nUser=*\n[Grant]\nAction=deny\nAction=allow\n",
		"t.policy:3:1: error: repeated key 'Vendor' in [Match]; the first is in line 2, and takes a list\n"
		"t.policy:8:1: error: repeated key 'Action' in [Grant]; the first is in line 7\n");
}

static void takes_the_same_key_again_in_the_next_rule(void **state)
{
	struct policy *policy = policy_must_load("[Match]\nVendor=8086\n" RULE_END "[Match]\nVendor=10de\n" RULE_END);

	assert_int_equal(policy_n_rules(policy), 2);
	policy_free(policy);
}

static void refuses_keys_without_a_value(void **state)
{
	assert_policy_report("[Match]\nVendor=\nDevice= , ,\n[Client]\nUser=*\n[Grant]\nAction= \nLabel=\n",
			     "t.policy:2:8: error: 'Vendor' has no value\n"
			     "t.policy:3:9: error: 'Device' has no value\n"
			     "t.policy:7:9: error: 'Action' has no value\n"
			     "t.policy:8:7: error: 'Label' has no value\n");
}

static void wants_an_action(void **state)
{
	assert_policy_report("[Match]\nAddress=*\n[Client]\nUser=*\n[Grant]\nGroupScope=whole\n",
			     "t.policy:5:2: error: [Grant] without Action=allow or Action=deny\n");
}

static void does_not_ask_for_an_action_that_was_misspelt(void **state)
{
	assert_policy_report("[Match]\nAddress=*\n[Client]\nUser=*\n[Grant]\nAcion=allow\n",
			     "t.policy:6:1: error: unknown key 'Acion' in [Grant]; did you mean 'Action'?\n");
	assert_policy_report("[Match]\nAddress=*\n[Client]\nUser=*\n[Grant]\nAction allow\n",
			     "t.policy:6:1: error: neither a [Section] nor a Key=Value line\n");
}

static void names_the_word_that_was_meant(void **state)
{
	assert_policy_report(
		"[Match]\nAddress=*\n[Client]\nUser=*\n[Grant]\nAction=alow\nGroupScope=hole\nBackend=legacy,iomufd\n",
		"t.policy:6:8: error: unknown value 'alow' of Action; did you mean 'allow'?\n"
		"t.policy:7:12: error: unknown value 'hole' of GroupScope; did you mean 'whole'?\n"
		"t.policy:8:16: error: unknown value 'iomufd' of Backend; did you mean 'iommufd'?\n");
	assert_policy_report(
		"[Match]\nAddress=*\n[Client]\nUser=*\n[Grant]\nAction=maybe\nGroupScope=7\nBackend=cdev\nForce=true\n",
		"t.policy:6:8: error: unknown value 'maybe' of Action, which takes allow or deny\n"
		"t.policy:7:12: error: unknown value '7' of GroupScope, which takes singleton or whole\n"
		"t.policy:8:9: error: unknown value 'cdev' of Backend, which takes auto, iommufd or legacy\n"
		"t.policy:9:7: error: unknown value 'true' of Force, which takes no or yes\n");
}

static void takes_no_list_where_there_is_one_answer(void **state)
{
	assert_policy_report("[Match]\nAddress=*\n[Client]\nUser=*\n[Grant]\nAction=allow deny\n",
			     "t.policy:6:8: error: unknown value 'allow deny' of Action, which takes allow or deny\n");
}

static void refuses_a_deny_that_grants(void **state)
{
	assert_policy_report(
		"[Match]\nAddress=*\n[Client]\nUser=*\n"
		"[Grant]\nGroupScope=whole\nBackend=auto\nAction=deny\nLabel=none\nBystanders=park\nForce=no\n",
		"t.policy:6:1: error: 'GroupScope' together with Action=deny: a deny grants nothing\n"
		"t.policy:7:1: error: 'Backend' together with Action=deny: a deny grants nothing\n"
		"t.policy:9:1: error: 'Label' together with Action=deny: a deny grants nothing\n"
		"t.policy:10:1: error: 'Bystanders' together with Action=deny: a deny grants nothing\n"
		"t.policy:11:1: error: 'Force' together with Action=deny: a deny grants nothing\n");
}

#define SINGLETONS "is about groups of several devices, which this rule does not admit; add GroupScope=whole\n"

static void refuses_to_park_where_no_bystander_can_be(void **state)
{
	assert_policy_report("[Match]\nAddress=*\n[Client]\nUser=*\n[Grant]\nAction=allow\nBystanders=park\n",
			     "t.policy:7:1: error: 'Bystanders' " SINGLETONS);
	assert_policy_report("[Match]\nAddress=*\n[Client]\nUser=*\n"
			     "[Grant]\nAction=allow\nGroupScope=singleton\nAllowedDrivers=ahci\nBystanders=require\n",
			     "t.policy:8:1: error: 'AllowedDrivers' " SINGLETONS
			     "t.policy:9:1: error: 'Bystanders' " SINGLETONS);
}

static void refuses_allowed_drivers_that_are_no_names(void **state)
{
	assert_policy_report(
		"[Match]\nAddress=*\n[Client]\nUser=*\n"
		"[Grant]\nAction=allow\nGroupScope=whole\nAllowedDrivers=ahci, xhci* a/b\nBystanders=parc\n",
		"t.policy:8:22: error: AllowedDrivers takes names, no globs: 'xhci*' would allow any driver "
		"that fits\n"
		"t.policy:8:29: error: not a character of a driver's name in 'a/b'\n"
		"t.policy:9:12: error: unknown value 'parc' of Bystanders; did you mean 'park'?\n");
}

static void refuses_bad_ids_at_the_bad_item(void **state)
{
	assert_policy_report(
		"[Match]\nVendor=8086, 86 intel\nDevice=0x12345\n" RULE_END,
		"t.policy:2:14: error: '86' is no vendor id: four hexadecimal digits (0x8086 or 8086) or a glob over them "
		"(80*)\n"
		"t.policy:2:17: error: 'intel' is no vendor id: four hexadecimal digits (0x8086 or 8086) or a glob over "
		"them (80*)\n"
		"t.policy:3:8: error: '0x12345' is no device id: four hexadecimal digits (0x8086 or 8086) or a glob over "
		"them (80*)\n");
}

static void refuses_globs_that_can_match_nothing(void **state)
{
	assert_policy_report("[Match]\nVendor=10g*\nDevice=???\nClass=0x03?????\n" RULE_END,
			     "t.policy:2:10: error: not a hexadecimal digit, nor part of a glob, in '10g*'\n"
			     "t.policy:3:8: error: the glob '\?\?\?' can never match 4 digits\n"
			     "t.policy:4:9: error: the glob '03\?\?\?\?\?' can never match 6 digits\n");
}

static void refuses_malformed_globs_at_their_bracket(void **state)
{
	assert_policy_report(
		"[Match]\nVendor=0x1[02\nDevice=1[]00\nClass=03[9-0]*\nAddress=*[\nDriver=e1000[\n" RULE_END,
		"t.policy:2:11: error: ']' missing in a glob\n"
		"t.policy:3:9: error: empty [] in a glob\n"
		"t.policy:4:9: error: range in a glob that runs backwards\n"
		"t.policy:5:10: error: ']' missing in a glob\n"
		"t.policy:6:13: error: ']' missing in a glob\n");
}

static void judges_ranges_in_the_case_they_are_used_in(void **state)
{
	assert_policy_report("[Match]\nVendor=10[F-a]0\n" RULE_END,
			     "t.policy:2:10: error: range in a glob that runs backwards\n");
}

#define CLASS_NAMES \
	"storage, nvme, network, ethernet, display, vga, multimedia, audio, serial, usb, crypto, accelerator"

static void refuses_bad_classes(void **state)
{
	assert_policy_report(
		"[Match]\nClass=3 netwrk 0x030\n" RULE_END,
		"t.policy:2:7: error: '3' is no class: two, four or six hexadecimal digits (03, 0x0300, "
		"030000), a glob over six (03*), or one of " CLASS_NAMES "\n"
		"t.policy:2:9: error: 'netwrk' is no class; did you mean 'network'?\n"
		"t.policy:2:16: error: '0x030' is no class: two, four or six hexadecimal digits (03, 0x0300, "
		"030000), a glob over six (03*), or one of " CLASS_NAMES "\n");
}

static void refuses_addresses_that_no_device_has(void **state)
{
	assert_policy_report(
		"[Match]\nAddress=01:00.0 ../0 .hidden 0000:01:00.0/x\n" RULE_END,
		"t.policy:2:9: error: '01:00.0' lacks the domain; did you mean '0000:01:00.0'?\n"
		"t.policy:2:19: error: not a character of an address, nor part of a glob, in '../0'\n"
		"t.policy:2:22: error: '.hidden' is no address of a device, as in 0000:01:00.0\n"
		"t.policy:2:42: error: not a character of an address, nor part of a glob, in '0000:01:00.0/x'\n");
	assert_policy_report(
		"[Match]\nAddress=????????????????????????????????????????\n" RULE_END,
		"t.policy:2:9: error: the glob '\?\?\?\?\?\?\?\?\?\?\?\?\?\?\?\?\?\?\?\?\?\?\?\?\?\?\?\?\?\?\?\?"
		"\?\?\?\?\?\?\?\?' can never match within 39 characters\n");
}

static void refuses_drivers_that_no_driver_is_called(void **state)
{
	assert_policy_report("[Match]\nDriver=\"e1000e\" vfio/pci d\xc3\xa9mon\n" RULE_END,
			     "t.policy:2:8: error: not a character of a driver's name in '\"e1000e\"'\n"
			     "t.policy:2:21: error: not a character of a driver's name in 'vfio/pci'\n"
			     "t.policy:2:27: error: not a character of a driver's name in 'd\xc3\xa9mon'\n");
	assert_policy_report(
		"[Match]\nDriver=a123456789b123456789c123456789d123456789\n" RULE_END,
		"t.policy:2:8: error: 'a123456789b123456789c123456789d123456789' is too long for a driver's "
		"name, 39 bytes at most\n");
}

static void refuses_unknown_users_and_groups(void **state)
{
	assert_policy_report("[Match]\nAddress=*\n[Client]\nUser=root, nobdoy\nGroup=nosuchgroupatall\n"
			     "[Grant]\nAction=allow\n",
			     "t.policy:4:12: error: no such user 'nobdoy'; did you mean 'nobody'?\n"
			     "t.policy:5:7: error: no such group 'nosuchgroupatall'\n");
	assert_policy_report("[Match]\nAddress=*\n[Client]\nGroup=dameon\n[Grant]\nAction=allow\n",
			     "t.policy:4:7: error: no such group 'dameon'; did you mean 'daemon'?\n");
}

static void refuses_numbers_that_are_no_ids(void **state)
{
	assert_policy_report(
		"[Match]\nAddress=*\n[Client]\nUser=4294967295\nGroup=99999999999999999999999\n"
		"[Grant]\nAction=allow\n",
		"t.policy:4:6: error: '4294967295' is no user id; the largest is 4294967294\n"
		"t.policy:5:7: error: '99999999999999999999999' is no group id; the largest is 4294967294\n");
	assert_policy_report("[Match]\nAddress=*\n[Client]\nUser=-1\n[Grant]\nAction=allow\n",
			     "t.policy:4:6: error: no such user '-1'\n");
}

static void refuses_labels_that_could_hide_something(void **state)
{
	char text[600], expected[200];
	int n = snprintf(text, sizeof(text), "[Match]\nAddress=*\n[Client]\nUser=*\n[Grant]\nAction=allow\nLabel=");

	assert_policy_report("[Match]\nAddress=*\n[Client]\nUser=*\n[Grant]\nAction=allow\nLabel=one two\n",
			     "t.policy:7:10: error: labels are printable ASCII without blanks\n");
	assert_policy_report("[Match]\nAddress=*\n[Client]\nUser=*\n[Grant]\nAction=allow\nLabel=v\xc3\xa9\n",
			     "t.policy:7:8: error: labels are printable ASCII without blanks\n");
	memset(text + n, 'x', 256);
	text[n + 256] = '\0';
	snprintf(expected, sizeof(expected), "t.policy:7:262: error: the label is longer than 255 bytes\n");
	assert_policy_report(text, expected);
	text[n + 255] = '\0';
	policy_free(policy_must_load(text));
}

static void quotes_no_more_than_the_beginning_of_long_values(void **state)
{
	char text[400], expected[400];
	char part[65];

	/* The 64th and 65th byte are one character: it is left out whole. */
	memset(part, 'x', 63);
	part[63] = '\0';
	snprintf(text, sizeof(text), "[Match]\nAddress=*\n[Client]\nUser=%s\xc3\xa9yyyy\n[Grant]\nAction=allow\n",
		 part);
	snprintf(expected, sizeof(expected), "t.policy:4:6: error: no such user '%s'\n", part);
	assert_policy_report(text, expected);
}

static void reports_everything_in_one_run_in_order(void **state)
{
	assert_policy_report(
		"x\n"
		"[Match]\nVendr=8086\nDevice=zz\n"
		"[Client]\nUser=nosuchuseratall\n Group=x\n"
		"[Grant]\nLabel=a\nAction=deny\n"
		"[Match]\n"
		"[Frobnicate]\na=b\n"
		"[Match]\nAddress=*\n[Client]\nUser=*\n",
		"t.policy:1:1: error: neither a [Section] nor a Key=Value line\n"
		"t.policy:3:1: error: unknown key 'Vendr' in [Match]; did you mean 'Vendor'?\n"
		"t.policy:4:8: error: 'zz' is no device id: four hexadecimal digits (0x8086 or 8086) or a glob "
		"over them (80*)\n"
		"t.policy:6:6: error: no such user 'nosuchuseratall'\n"
		"t.policy:7:2: error: the line begins with a blank; there are no continuation lines\n"
		"t.policy:9:1: error: 'Label' together with Action=deny: a deny grants nothing\n"
		"t.policy:11:2: error: [Match] is empty; one that shall fit every device says Address=*\n"
		"t.policy:12:2: error: unknown section [Frobnicate]; there are [Match], [Pool], [Host], [Client], [Grant]\n"
		"t.policy:14:2: error: this rule has no [Grant]; a rule is [Match], [Client], [Grant]\n");
}

static void counts_errors_beyond_what_it_shows(void **state)
{
	struct policy *policy = NULL;
	struct policy_report report;
	char *text = calloc(1, 3 * 1500 + 1), *last;

	for (size_t i = 0; i < 1500; i++)
		memcpy(text + 3 * i, "xy\n", 3);
	assert_int_equal(policy_from_text(text, &policy, &report), -EINVAL);
	assert_null(policy);
	assert_int_equal(report.n_errors, 1500);
	last = strstr(report.text, "t.policy:1000:1:");
	assert_non_null(last);
	assert_string_equal(strchr(last, '\n'), "\nand 500 more\n");
	policy_report_clear(&report);
	free(text);
}

static void warns_of_a_rule_that_never_decides(void **state)
{
	assert_policy_report(
		"[Match]\nVendor=8086 10de\n" RULE_END "[Match]\nVendor=0x10DE\nDevice=2204\n"
		"[Client]\nUser=root\n[Grant]\nAction=allow\n",
		"t.policy:7:2: warning: this rule never decides: t.policy:1 comes first and fits all that this "
		"one fits\n");
	assert_policy_report(
		"[Match]\nAddress=*\n[Client]\nUser=1000\n[Grant]\nAction=allow\n"
		"[Match]\nDriver=none\n[Client]\nUser=1000\nGroup=5\n[Grant]\nAction=allow\n",
		"t.policy:7:2: warning: this rule never decides: t.policy:1 comes first and fits all that this "
		"one fits\n");
}

static void does_not_warn_where_a_rule_may_decide(void **state)
{
	static const char *const texts[] = {
		"[Match]\nVendor=8086\n" RULE_END "[Match]\nVendor=8086 10de\n" RULE_END,
		"[Match]\nVendor=8086\nDevice=10d3\n" RULE_END "[Match]\nVendor=8086\n" RULE_END,
		"[Match]\nVendor=8086\n" RULE_END "[Match]\nDevice=10d3\n" RULE_END,
		"[Match]\nVendor=8086\n" RULE_END "[Match]\nVendor=*\n" RULE_END,
		"[Match]\nAddress=*\n[Client]\nUser=1\n[Grant]\nAction=allow\n[Match]\nAddress=*\n" RULE_END,
		"[Match]\nAddress=*\n[Client]\nUser=1\nGroup=1\n[Grant]\nAction=allow\n"
		"[Match]\nAddress=*\n[Client]\nUser=1\n[Grant]\nAction=allow\n",
		"[Match]\nVendor=80*\n" RULE_END "[Match]\nVendor=8186\n" RULE_END,
		"[Match]\nDriver=none\n" RULE_END "[Match]\nDriver=e1000e\n" RULE_END,
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		policy_free(policy_must_load(texts[i]));
}

static void warns_also_beside_errors(void **state)
{
	assert_policy_report("[Match]\nAddress=*\n" RULE_END "[Match]\nVendor=8086\n" RULE_END "x\n",
			     "t.policy:13:1: error: neither a [Section] nor a Key=Value line\n");
	assert_policy_report(
		"x\n[Match]\nAddress=*\n" RULE_END "[Match]\nVendor=8086\n" RULE_END,
		"t.policy:1:1: error: neither a [Section] nor a Key=Value line\n"
		"t.policy:8:2: warning: this rule never decides: t.policy:2 comes first and fits all that this "
		"one fits\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_several_rules_in_one_file),
		cmocka_unit_test(takes_a_text_without_rules),
		cmocka_unit_test(names_the_key_that_was_meant),
		cmocka_unit_test(lists_the_keys_when_none_is_near),
		cmocka_unit_test(release_timeout_is_seconds_in_a_range),
		cmocka_unit_test(names_the_section_a_key_belongs_in),
		cmocka_unit_test(names_the_section_that_was_meant),
		cmocka_unit_test(says_one_thing_about_a_misspelt_section_behind_a_rule),
		cmocka_unit_test(wants_all_three_sections),
		cmocka_unit_test(begins_a_rule_with_a_client_behind_a_grant),
		cmocka_unit_test(wants_sections_once_and_in_order),
		cmocka_unit_test(refuses_empty_sections),
		cmocka_unit_test(refuses_repeated_keys),
		cmocka_unit_test(takes_the_same_key_again_in_the_next_rule),
		cmocka_unit_test(refuses_keys_without_a_value),
		cmocka_unit_test(wants_an_action),
		cmocka_unit_test(does_not_ask_for_an_action_that_was_misspelt),
		cmocka_unit_test(names_the_word_that_was_meant),
		cmocka_unit_test(takes_no_list_where_there_is_one_answer),
		cmocka_unit_test(refuses_a_deny_that_grants),
		cmocka_unit_test(refuses_to_park_where_no_bystander_can_be),
		cmocka_unit_test(refuses_allowed_drivers_that_are_no_names),
		cmocka_unit_test(refuses_bad_ids_at_the_bad_item),
		cmocka_unit_test(refuses_globs_that_can_match_nothing),
		cmocka_unit_test(refuses_malformed_globs_at_their_bracket),
		cmocka_unit_test(judges_ranges_in_the_case_they_are_used_in),
		cmocka_unit_test(refuses_bad_classes),
		cmocka_unit_test(refuses_addresses_that_no_device_has),
		cmocka_unit_test(refuses_drivers_that_no_driver_is_called),
		cmocka_unit_test(refuses_unknown_users_and_groups),
		cmocka_unit_test(refuses_numbers_that_are_no_ids),
		cmocka_unit_test(refuses_labels_that_could_hide_something),
		cmocka_unit_test(quotes_no_more_than_the_beginning_of_long_values),
		cmocka_unit_test(reports_everything_in_one_run_in_order),
		cmocka_unit_test(counts_errors_beyond_what_it_shows),
		cmocka_unit_test(warns_of_a_rule_that_never_decides),
		cmocka_unit_test(does_not_warn_where_a_rule_may_decide),
		cmocka_unit_test(warns_also_beside_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
