/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which rule decides, and what it grants. */
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
#include "util/cleanup.h"

#define ALLOW "[Client]\nUser=*\n[Grant]\nAction=allow\n"

static bool match_allows(const char *match, const struct device_id *id, const char *driver)
{
	char text[400];
	struct policy *policy;
	struct policy_decision decision;

	snprintf(text, sizeof(text), "[Match]\n%s\n" ALLOW, match);
	policy = policy_must_load(text);
	decision = policy_ask(policy, id, driver, 1000);
	policy_free(policy);
	return decision.action == POLICY_ALLOW;
}

struct match_case {
	const char *match;
	bool fits;
};

static void check_cases(const struct match_case *cases, size_t n, const struct device_id *id, const char *driver)
{
	for (size_t i = 0; i < n; i++) {
		bool fits = match_allows(cases[i].match, id, driver);

		if (fits != cases[i].fits)
			print_error("%s\n", cases[i].match);
		assert_int_equal(fits, cases[i].fits);
	}
}

static void vendor_takes_ids_globs_and_lists(void **state)
{
	static const struct match_case cases[] = {
		{ "Vendor=8086", true },       { "Vendor=0x8086", true },
		{ "Vendor=0X8086", true },     { "Vendor=8087", false },
		{ "Vendor=80*", true },        { "Vendor=0x80*", true },
		{ "Vendor=*", true },          { "Vendor=????", true },
		{ "Vendor=808[0-7]", true },   { "Vendor=808[!0-7]", false },
		{ "Vendor=10de 8086", true },  { "Vendor=10de,8086", true },
		{ "Vendor=10de, 8086", true }, { "Vendor=10de\t,,\t8086", true },
		{ "Vendor=10de,1002", false }, { "Vendor=10de *", true },
		{ "Vendor=*6", true },         { "Vendor=*7", false },
	};

	check_cases(cases, ARRAY_SIZE(cases), &test_nic, "e1000e");
}

static void ids_have_no_case(void **state)
{
	static const struct match_case cases[] = {
		{ "Vendor=10DE", true },     { "Vendor=0x10De", true }, { "Vendor=10D*", true },
		{ "Vendor=10[A-D]E", true }, { "Class=0302", true },
	};

	check_cases(cases, ARRAY_SIZE(cases), &test_gpu, "nouveau");
}

static void device_takes_ids_globs_and_lists(void **state)
{
	static const struct match_case cases[] = {
		{ "Device=10d3", true },  { "Device=10D3", true },      { "Device=10d?", true },
		{ "Device=8086", false }, { "Device=1533 10d3", true },
	};

	check_cases(cases, ARRAY_SIZE(cases), &test_nic, "e1000e");
}

static void class_is_a_prefix_of_whole_bytes(void **state)
{
	static const struct match_case cases[] = {
		{ "Class=03", true },     { "Class=0x03", true },    { "Class=0302", true },
		{ "Class=030200", true }, { "Class=0300", false },   { "Class=030201", false },
		{ "Class=02", false },    { "Class=02 03", true },   { "Class=03*", true },
		{ "Class=0302??", true }, { "Class=0x0302*", true }, { "Class=*", true },
		{ "Class=??02??", true }, { "Class=*02", false },    { "Class=*00", true },
	};

	check_cases(cases, ARRAY_SIZE(cases), &test_gpu, "nouveau");
}

static void address_is_whole_and_has_no_case(void **state)
{
	static const struct match_case cases[] = {
		{ "Address=0000:65:0a.1", true },
		{ "Address=0000:65:0A.1", true },
		{ "Address=0000:65:*", true },
		{ "Address=*:65:0A.?", true },
		{ "Address=0000:65:0[a-c].1", true },
		{ "Address=0000:65:0[A-C].1", true },
		{ "Address=0000:65:0a", false },
		{ "Address=0000:65:0a.0", false },
		{ "Address=*", true },
		{ "Address=0000:65:??.[!1]", false },
	};

	check_cases(cases, ARRAY_SIZE(cases), &test_gpu, "nouveau");
}

static void address_may_be_an_mdev_or_a_platform_device(void **state)
{
	struct device_id mdev = { .address = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001" };
	struct device_id platform = { .address = "ARMH0330:00" };

	assert_true(match_allows("Address=83B8F4F2-509f-382f-3c1e-e6bfe0fa1001", &mdev, ""));
	assert_true(match_allows("Address=????????[-]????[-]????[-]????[-]????????????", &mdev, ""));
	assert_true(match_allows("Address=armh0330:*", &platform, ""));
	assert_true(match_allows("Vendor=0000", &platform, ""));
}

static void driver_takes_names_globs_and_none(void **state)
{
	static const struct match_case bound[] = {
		{ "Driver=e1000e", true },      { "Driver=e1000*", true }, { "Driver=E1000E", false },
		{ "Driver=e1000", false },      { "Driver=none", false },  { "Driver=*", true },
		{ "Driver=none,e1000e", true },
	};
	static const struct match_case driverless[] = {
		{ "Driver=none", true },        { "Driver=*", true },   { "Driver=**", false },
		{ "Driver=n*", false },         { "Driver=?*", false }, { "Driver=e1000e", false },
		{ "Driver=e1000e none", true },
	};

	check_cases(bound, ARRAY_SIZE(bound), &test_nic, "e1000e");
	check_cases(driverless, ARRAY_SIZE(driverless), &test_nic, "");
	check_cases(driverless, ARRAY_SIZE(driverless), &test_nic, NULL);
}

static void all_keys_of_match_must_fit(void **state)
{
	static const struct match_case cases[] = {
		{ "Vendor=8086\nDevice=10d3\nClass=02\nAddress=0000:01:*\nDriver=e1000e", true },
		{ "Vendor=10de\nDevice=10d3\nClass=02\nAddress=0000:01:*\nDriver=e1000e", false },
		{ "Vendor=8086\nDevice=10d4\nClass=02\nAddress=0000:01:*\nDriver=e1000e", false },
		{ "Vendor=8086\nDevice=10d3\nClass=03\nAddress=0000:01:*\nDriver=e1000e", false },
		{ "Vendor=8086\nDevice=10d3\nClass=02\nAddress=0000:02:*\nDriver=e1000e", false },
		{ "Vendor=8086\nDevice=10d3\nClass=02\nAddress=0000:01:*\nDriver=igb", false },
	};

	check_cases(cases, ARRAY_SIZE(cases), &test_nic, "e1000e");
}

static enum policy_action client_action(const char *client, const char *action, const struct identity *identity)
{
	struct policy_subject subject = { .id = &test_nic, .driver = "e1000e" };
	struct policy_decision decision;
	struct policy *policy;
	char text[400];

	snprintf(text, sizeof(text), "[Match]\nAddress=*\n[Client]\n%s\n[Grant]\nAction=%s\n", client, action);
	policy = policy_must_load(text);
	policy_decide(policy, &subject, identity, &decision);
	/* A deny that fits and no rule at all both deny: the file tells them apart. */
	assert_int_equal(decision.file != NULL, decision.line == 1);
	if (strcmp(action, "deny") == 0) {
		bool fits = decision.file != NULL;

		assert_int_equal(decision.action, POLICY_DENY);
		policy_free(policy);
		return fits ? POLICY_DENY : POLICY_ALLOW;
	}
	policy_free(policy);
	return decision.action;
}

static bool client_fits(const char *client, const struct identity *identity)
{
	return client_action(client, "allow", identity) == POLICY_ALLOW;
}

static struct identity make_client(uid_t uid, gid_t gid, gid_t *groups, size_t n_groups)
{
	struct identity client = IDENTITY_INIT;

	client.uid = uid;
	client.gid = gid;
	client.groups = groups;
	client.n_groups = n_groups;
	return client;
}

static void users_fit_by_number_and_by_name(void **state)
{
	struct identity root = make_client(0, 0, NULL, 0), daemon = make_client(1, 1, NULL, 0);

	assert_true(client_fits("User=0", &root));
	assert_true(client_fits("User=root", &root));
	assert_true(client_fits("User=daemon root", &root));
	assert_true(client_fits("User=daemon", &daemon));
	assert_true(client_fits("User=*", &daemon));
	assert_true(client_fits("User=root,*", &daemon));
	assert_false(client_fits("User=root", &daemon));
	assert_false(client_fits("User=10", &daemon));
}

static void root_is_no_exception(void **state)
{
	struct identity root = make_client(0, 0, NULL, 0);

	assert_false(client_fits("User=1000", &root));
	assert_false(client_fits("Group=1000", &root));
}

static void groups_fit_by_primary_and_supplementary(void **state)
{
	gid_t groups[] = { 44, 107 };
	struct identity client = make_client(1000, 1000, groups, ARRAY_SIZE(groups));

	assert_true(client_fits("Group=1000", &client));
	assert_true(client_fits("Group=44", &client));
	assert_true(client_fits("Group=107", &client));
	assert_true(client_fits("Group=5 107", &client));
	assert_true(client_fits("Group=*", &client));
	assert_true(client_fits("Group=video", &client));
	assert_false(client_fits("Group=0", &client));
	assert_false(client_fits("Group=daemon", &client));
}

static void user_and_group_must_both_fit(void **state)
{
	gid_t groups[] = { 44 };
	struct identity client = make_client(1000, 1000, groups, ARRAY_SIZE(groups));

	assert_true(client_fits("User=1000\nGroup=44", &client));
	assert_false(client_fits("User=1001\nGroup=44", &client));
	assert_false(client_fits("User=1000\nGroup=45", &client));
}

static void an_unknown_identity_fits_no_allow(void **state)
{
	struct identity nobody_known = IDENTITY_INIT;
	struct identity no_group = make_client(1000, (gid_t)-1, NULL, 0);

	assert_false(client_fits("User=*", &nobody_known));
	assert_false(client_fits("User=4294967294", &nobody_known));
	assert_false(client_fits("Group=*", &nobody_known));
	assert_false(client_fits("User=1000\nGroup=5", &no_group));
	assert_true(client_fits("User=1000", &no_group));
}

static void an_unknown_identity_gets_around_no_deny(void **state)
{
	struct identity nobody_known = IDENTITY_INIT;
	struct identity no_group = make_client(1000, (gid_t)-1, NULL, 0);

	assert_int_equal(client_action("User=7", "deny", &nobody_known), POLICY_DENY);
	assert_int_equal(client_action("User=*", "deny", &nobody_known), POLICY_DENY);
	assert_int_equal(client_action("Group=7", "deny", &no_group), POLICY_DENY);
	assert_int_equal(client_action("User=7\nGroup=7", "deny", &no_group), POLICY_ALLOW);
}

static void denies_what_no_rule_fits(void **state)
{
	struct policy *policy = policy_must_load("[Match]\nVendor=10de\n" ALLOW);
	struct policy_decision decision = policy_ask(policy, &test_nic, "e1000e", 1000);

	assert_int_equal(decision.action, POLICY_DENY);
	assert_null(decision.file);
	assert_int_equal(decision.line, 0);
	assert_string_equal(decision.reason, "no rule fits 0000:01:00.0 (8086:10d3, driver e1000e) for uid 1000; write "
					     "one in /etc/iommud/policy.d, see iommud.policy(5)");
	decision = policy_ask(policy, &test_nic, "", 1000);
	assert_string_equal(decision.reason, "no rule fits 0000:01:00.0 (8086:10d3, no driver) for uid 1000; write one "
					     "in /etc/iommud/policy.d, see iommud.policy(5)");
	decision = policy_ask(policy, &test_nic, "", (uid_t)-1);
	assert_string_equal(decision.reason,
			    "no rule fits 0000:01:00.0 (8086:10d3, no driver) for an unknown uid; write "
			    "one in /etc/iommud/policy.d, see iommud.policy(5)");
	policy_free(policy);
}

static void an_empty_policy_denies_everything(void **state)
{
	struct policy *policy;
	struct policy_decision decision;

	assert_int_equal(policy_new_empty(&policy), 0);
	assert_int_equal(policy_n_rules(policy), 0);
	decision = policy_ask(policy, &test_nic, "vfio-pci", 0);
	assert_int_equal(decision.action, POLICY_DENY);
	assert_null(policy_free(policy));
	assert_null(policy_free(NULL));
}

static void the_first_rule_that_fits_decides(void **state)
{
	struct policy *policy = policy_must_load("[Match]\nDevice=10d3\n[Client]\nUser=1001\n[Grant]\nAction=deny\n"
						 "[Match]\nVendor=8086\n" ALLOW "GroupScope=whole\n"
						 "[Match]\nVendor=8086 10de\n" ALLOW);
	struct policy_decision decision = policy_ask(policy, &test_nic, "e1000e", 1001);

	assert_int_equal(decision.action, POLICY_DENY);
	assert_string_equal(decision.file, "t.policy");
	assert_int_equal(decision.line, 1);
	assert_string_equal(decision.reason, "denied by t.policy:1");

	decision = policy_ask(policy, &test_nic, "e1000e", 1000);
	assert_int_equal(decision.action, POLICY_ALLOW);
	assert_int_equal(decision.line, 7);
	assert_int_equal(decision.scope, POLICY_WHOLE);
	assert_string_equal(decision.reason, "allowed by t.policy:7");

	decision = policy_ask(policy, &test_gpu, "", 1000);
	assert_int_equal(decision.action, POLICY_ALLOW);
	assert_int_equal(decision.line, 14);
	assert_int_equal(decision.scope, POLICY_SINGLETON);
	policy_free(policy);
}

static void a_deny_before_an_allow_denies_and_after_it_does_not(void **state)
{
	const char *deny = "[Match]\nAddress=0000:01:00.0\n[Client]\nUser=*\n[Grant]\nAction=deny\n";
	const char *allow = "[Match]\nVendor=8086\n" ALLOW;
	char text[400];
	struct policy *policy;

	snprintf(text, sizeof(text), "%s%s", deny, allow);
	policy = policy_must_load(text);
	assert_int_equal(policy_ask(policy, &test_nic, "", 1).action, POLICY_DENY);
	policy_free(policy);
	snprintf(text, sizeof(text), "%s%s", allow, deny);
	policy = policy_must_load(text);
	assert_int_equal(policy_ask(policy, &test_nic, "", 1).action, POLICY_ALLOW);
	policy_free(policy);
}

/* Without its texts, which go with the policy. */
static struct policy_decision grant(const char *lines)
{
	struct policy_decision decision;
	struct policy *policy;
	char text[400];

	snprintf(text, sizeof(text), "[Match]\nAddress=*\n" ALLOW "%s\n", lines);
	policy = policy_must_load(text);
	decision = policy_ask(policy, &test_nic, "", 1000);
	assert_int_equal(decision.label != NULL, decision.label_kind == POLICY_LABEL_STATIC);
	decision.label = decision.file = NULL;
	policy_free(policy);
	return decision;
}

static void grants_the_least_by_default(void **state)
{
	struct policy_decision decision = grant("");

	assert_int_equal(decision.scope, POLICY_SINGLETON);
	assert_int_equal(decision.bystanders, POLICY_REQUIRE);
	assert_null(decision.allowed_drivers);
	assert_int_equal(decision.backends, POLICY_BACKEND_ANY);
	assert_int_equal(decision.label_kind, POLICY_LABEL_NONE);
	assert_false(decision.force);
}

static void grants_scopes_and_backends(void **state)
{
	assert_int_equal(grant("GroupScope=singleton").scope, POLICY_SINGLETON);
	assert_int_equal(grant("GroupScope=whole").scope, POLICY_WHOLE);
	assert_int_equal(grant("Backend=auto").backends, POLICY_BACKEND_ANY);
	assert_int_equal(grant("Backend=iommufd").backends, POLICY_BACKEND_IOMMUFD);
	assert_int_equal(grant("Backend=legacy").backends, POLICY_BACKEND_LEGACY);
	assert_int_equal(grant("Backend=iommufd, legacy").backends, POLICY_BACKEND_ANY);
}

static void parks_bystanders_only_when_told_to(void **state)
{
	assert_int_equal(grant("GroupScope=whole").bystanders, POLICY_REQUIRE);
	assert_int_equal(grant("GroupScope=whole\nBystanders=require").bystanders, POLICY_REQUIRE);
	assert_int_equal(grant("Bystanders=park\nGroupScope=whole").bystanders, POLICY_PARK);
}

static void allows_further_drivers_by_name(void **state)
{
	struct policy *policy =
		policy_must_load("[Match]\nAddress=*\n" ALLOW "GroupScope=whole\nAllowedDrivers=ahci, xhci_hcd i801\n");
	struct policy_decision decision = policy_ask(policy, &test_nic, "", 1000);

	assert_string_equal(decision.allowed_drivers[0], "ahci");
	assert_string_equal(decision.allowed_drivers[1], "xhci_hcd");
	assert_string_equal(decision.allowed_drivers[2], "i801");
	assert_null(decision.allowed_drivers[3]);
	policy_free(policy);
}

static void takes_from_the_host_only_when_told_to(void **state)
{
	assert_true(grant("Force=yes").force);
	assert_false(grant("Force=no").force);
}

static void conducts_leases_by_default_with_care(void **state)
{
	struct policy_conduct conduct = grant("").conduct;

	assert_int_equal(conduct.on_violation, POLICY_VIOLATION_UNBIND);
	assert_int_equal(conduct.late_joiner, POLICY_LATE_PARK);
	assert_int_equal(conduct.on_release_timeout, POLICY_RELEASE_LEAVE);
	assert_int_equal(conduct.release_timeout_sec, 30);
	assert_int_equal(conduct.reset, POLICY_RESET_PREFER);
	assert_int_equal(conduct.isolation, POLICY_ISOLATION_OWN);
}

static void conducts_leases_as_told(void **state)
{
	assert_int_equal(grant("OnViolation=unbind").conduct.on_violation, POLICY_VIOLATION_UNBIND);
	assert_int_equal(grant("OnViolation=revoke").conduct.on_violation, POLICY_VIOLATION_REVOKE);
	assert_int_equal(grant("OnViolation=log").conduct.on_violation, POLICY_VIOLATION_LOG);
	assert_int_equal(grant("LateJoiner=park").conduct.late_joiner, POLICY_LATE_PARK);
	assert_int_equal(grant("LateJoiner=allow").conduct.late_joiner, POLICY_LATE_ALLOW);
	assert_int_equal(grant("LateJoiner=violate").conduct.late_joiner, POLICY_LATE_VIOLATE);
	assert_int_equal(grant("OnReleaseTimeout=leave").conduct.on_release_timeout, POLICY_RELEASE_LEAVE);
	assert_int_equal(grant("OnReleaseTimeout=terminate").conduct.on_release_timeout, POLICY_RELEASE_TERMINATE);
	assert_int_equal(grant("OnReleaseTimeout=kill").conduct.on_release_timeout, POLICY_RELEASE_KILL);
	assert_int_equal(grant("ReleaseTimeoutSec=5").conduct.release_timeout_sec, 5);
	assert_int_equal(grant("ReleaseTimeoutSec=3600").conduct.release_timeout_sec, 3600);
	assert_int_equal(grant("Reset=require").conduct.reset, POLICY_RESET_REQUIRE);
	assert_int_equal(grant("Reset=no").conduct.reset, POLICY_RESET_NO);
	assert_int_equal(grant("Isolation=shared").conduct.isolation, POLICY_ISOLATION_SHARED);
}

static void grants_labels(void **state)
{
	struct policy *policy =
		policy_must_load("[Match]\nAddress=*\n" ALLOW "Label=system_u:object_r:vfio_device_t:s0:c1,c2\n");
	struct policy_decision decision = policy_ask(policy, &test_nic, "", 1000);

	assert_int_equal(decision.label_kind, POLICY_LABEL_STATIC);
	assert_string_equal(decision.label, "system_u:object_r:vfio_device_t:s0:c1,c2");
	policy_free(policy);
	assert_int_equal(grant("Label=none").label_kind, POLICY_LABEL_NONE);
}

static void gives_the_peers_own_label(void **state)
{
	struct policy *policy = policy_must_load("[Match]\nAddress=*\n" ALLOW "Label=peer\n");
	struct policy_subject subject = { .id = &test_nic, .driver = "" };
	struct identity client = make_client(1000, 1000, NULL, 0);
	char label[] = "system_u:system_r:svirt_t:s0:c7";
	struct policy_decision decision;

	client.label = label;
	policy_decide(policy, &subject, &client, &decision);
	assert_int_equal(decision.action, POLICY_ALLOW);
	assert_int_equal(decision.label_kind, POLICY_LABEL_PEER);
	assert_ptr_equal(decision.label, label);
	policy_free(policy);
}

static void denies_a_client_without_the_label_it_should_bring(void **state)
{
	struct policy *policy =
		policy_must_load("[Match]\nVendor=8086\n" ALLOW "Label=peer\n[Match]\nAddress=*\n" ALLOW);
	struct policy_decision decision = policy_ask(policy, &test_nic, "", 1000);

	assert_int_equal(decision.action, POLICY_DENY);
	assert_int_equal(decision.line, 1);
	assert_int_equal(decision.backends, 0);
	assert_null(decision.label);
	assert_string_equal(decision.reason, "denied by t.policy:1: its Label=peer needs a client with a security "
					     "context, and this one has none");
	policy_free(policy);
}

static void a_deny_grants_nothing(void **state)
{
	struct policy *policy = policy_must_load("[Match]\nAddress=*\n[Client]\nUser=*\n[Grant]\nAction=deny\n");
	struct policy_decision decision = policy_ask(policy, &test_nic, "", 1000);

	assert_int_equal(decision.action, POLICY_DENY);
	assert_int_equal(decision.backends, 0);
	assert_int_equal(decision.scope, POLICY_SINGLETON);
	assert_false(decision.force);
	assert_null(decision.label);
	policy_free(policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vendor_takes_ids_globs_and_lists),
		cmocka_unit_test(ids_have_no_case),
		cmocka_unit_test(device_takes_ids_globs_and_lists),
		cmocka_unit_test(class_is_a_prefix_of_whole_bytes),
		cmocka_unit_test(address_is_whole_and_has_no_case),
		cmocka_unit_test(address_may_be_an_mdev_or_a_platform_device),
		cmocka_unit_test(driver_takes_names_globs_and_none),
		cmocka_unit_test(all_keys_of_match_must_fit),
		cmocka_unit_test(users_fit_by_number_and_by_name),
		cmocka_unit_test(root_is_no_exception),
		cmocka_unit_test(groups_fit_by_primary_and_supplementary),
		cmocka_unit_test(user_and_group_must_both_fit),
		cmocka_unit_test(an_unknown_identity_fits_no_allow),
		cmocka_unit_test(an_unknown_identity_gets_around_no_deny),
		cmocka_unit_test(denies_what_no_rule_fits),
		cmocka_unit_test(an_empty_policy_denies_everything),
		cmocka_unit_test(the_first_rule_that_fits_decides),
		cmocka_unit_test(a_deny_before_an_allow_denies_and_after_it_does_not),
		cmocka_unit_test(grants_the_least_by_default),
		cmocka_unit_test(grants_scopes_and_backends),
		cmocka_unit_test(parks_bystanders_only_when_told_to),
		cmocka_unit_test(allows_further_drivers_by_name),
		cmocka_unit_test(takes_from_the_host_only_when_told_to),
		cmocka_unit_test(conducts_leases_by_default_with_care),
		cmocka_unit_test(conducts_leases_as_told),
		cmocka_unit_test(grants_labels),
		cmocka_unit_test(gives_the_peers_own_label),
		cmocka_unit_test(denies_a_client_without_the_label_it_should_bring),
		cmocka_unit_test(a_deny_grants_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
