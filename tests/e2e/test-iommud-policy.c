/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules and settings of the real daemons: loaded as a whole or not at all, with everything that is wrong said at once, and
 * nothing allowed without.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "iommud-harness.h"
#include "util/cleanup.h"

#define ALLOW(device, user) "[Match]\nAddress=" device "\n[Client]\nUser=" user "\n[Grant]\nAction=allow\n"

/* Two errors in one file, and one in another. */
static const char two_errors[] = "[Match]\nVendr=8086\n[Client]\nUser=1000\n[Grant]\nAction=perhaps\n";
static const char one_error[] = "[Match]\nAddress=*\n[Client]\nUser=no-such-user\n[Grant]\nAction=deny\n";
static const char *const errors[] = { "/policy/20-two.policy:2:1: error: unknown key 'Vendr'",
				      "/policy/20-two.policy:6:8: error: ", "/policy/30-one.policy:4:6: error: " };

static void write_errors(struct machine *machine)
{
	machine_write(machine, "policy/20-two.policy", two_errors);
	machine_write(machine, "policy/30-one.policy", one_error);
}

static void assert_contains(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in\n%s", part, text);
}

/* ---- loading ---- */

static void a_signal_loads_new_rules_into_both_daemons(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice;

	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	machine_take(&alice, ONE(NIC));
	machine_write(machine, RULES_FILE, ALLOW(UNKNOWN, "1000"));
	machine_reload(machine);
	machine_expect_event(machine, "policyLoaded");
	machine_expect_refusal(&alice, "Acquire", ONE(DISK), "DeniedByPolicy", NULL);
	/* The helper has them as well: it moves the device. What is out stays out. */
	machine_take(&alice, ONE(UNKNOWN));
	machine_assert_tree(machine, UNKNOWN " driver=vfio-pci ");
	machine_assert_tree(machine, NIC " driver=vfio-pci ");
	varlink_client_close(&alice);
}

static void rules_with_errors_are_not_loaded_and_all_errors_are_said(void **state)
{
	struct machine *machine = *state;
	_cleanup_free_ char *log = NULL;
	struct varlink_client alice;

	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	machine_write(machine, RULES_FILE, ALLOW(UNKNOWN, "1000"));
	write_errors(machine);
	machine_reload(machine);
	machine_wait_log(machine, "the policy was not loaded; the former one, with 6 rules, stays in force");
	log = machine_log(machine);
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
		assert_contains(log, errors[i]);
	assert_contains(log, "did you mean 'Vendor'?");
	machine_expect_refusal(&alice, "Acquire", ONE(UNKNOWN), "DeniedByPolicy", NULL);
	machine_take(&alice, ONE(NIC));
	varlink_client_close(&alice);
}

static void labels_that_differ_in_a_group_are_refused_at_load(void **state)
{
	static const char rules[] =
		"[Match]\nAddress=" TWIN_A "\n[Client]\nUser=1000\n[Grant]\nAction=allow\nGroupScope=whole\nLabel=red\n"
		"[Match]\nAddress=" TWIN_B
		"\n[Client]\nUser=1000\n[Grant]\nAction=allow\nGroupScope=whole\nLabel=green\n";
	struct machine *machine = *state;
	struct varlink_client alice;

	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	machine_write(machine, RULES_FILE, rules);
	machine_reload(machine);
	machine_wait_log(machine, "/" RULES_FILE ":1: label 'red' for " TWIN_A);
	machine_wait_log(machine, "/" RULES_FILE ":9 gives 'green' to " TWIN_B ", and both are in group 6");
	machine_wait_log(machine, "the policy was not loaded");
	machine_take(&alice, ONE(NIC));
	machine_take(&alice, TWO(TWIN_A, TWIN_B));
	varlink_client_close(&alice);
}

static void without_rules_everything_is_denied(void **state)
{
	struct machine *machine = *state;
	static const uid_t uids[] = { 0, ALICE, BROKER_UID };

	machine->rules = "";
	machine_start(machine);
	for (size_t i = 0; i < ARRAY_SIZE(uids); i++) {
		struct varlink_client client = machine_connect(machine, uids[i]);

		machine_expect_refusal(&client, "Acquire", ONE(NIC), "DeniedByPolicy", NULL);
		varlink_client_close(&client);
	}
	assert_int_equal(fuse_sysfs_writes(machine->sysfs), 0);
}

static void with_errors_at_start_everything_is_denied_until_they_are_mended(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice;

	machine->rules = two_errors;
	machine_start(machine);
	machine_wait_log(machine, "no policy is in force: everything is denied until it is mended");
	alice = machine_connect(machine, ALICE);
	machine_expect_refusal(&alice, "Acquire", ONE(NIC), "DeniedByPolicy", NULL);
	machine_write(machine, RULES_FILE, machine_rules);
	machine_reload(machine);
	machine_expect_event(machine, "policyLoaded");
	machine_take(&alice, ONE(NIC));
	varlink_client_close(&alice);
}

/* The helper was told of newer rules, and the broker was not. */
static void two_daemons_with_two_policies_grant_nothing(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice;

	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	machine_write(machine, RULES_FILE, ALLOW("*", "1000"));
	assert_int_equal(kill(machine->helper, SIGHUP), 0);
	machine_wait_log(machine, "policy loaded: 1 rule(s)");
	machine_expect_refusal(&alice, "Acquire", ONE(NIC), "PrepareFailed", "another policy in force; reload both");
	machine_assert_tree(machine, NIC " driver=e1000e override=\n");
	machine_reload(machine);
	machine_expect_event(machine, "policyLoaded");
	machine_take(&alice, ONE(NIC));
	varlink_client_close(&alice);
}

/* ---- checking ---- */

static int check(struct machine *machine, char **ret_output, const char *dir)
{
	return machine_run(machine, 0, ret_output, "iommud", "--check-policy", "--policy-any-owner", "--sysfs",
			   fuse_sysfs_path(machine->sysfs), dir, NULL);
}

static void check_policy_says_what_is_wrong(void **state)
{
	struct machine *machine = *state;
	char dir[96], *output;

	machine_start(machine);
	snprintf(dir, sizeof(dir), "%s/policy", machine->dir);
	assert_int_equal(check(machine, &output, dir), 0);
	assert_string_equal(output, "6 rules, no errors, 0 warnings\n");
	free(output);
	write_errors(machine);
	assert_int_equal(check(machine, &output, dir), 1);
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
		assert_contains(output, errors[i]);
	assert_contains(output, "3 errors, 0 warnings: this policy would not be loaded");
	free(output);
}

/* As root: it is root's files that it checks then. */
static void iommuctl_has_the_daemon_check(void **state)
{
	struct machine *machine = *state;
	char dir[96], *output;

	machine_start(machine);
	snprintf(dir, sizeof(dir), "%s/policy", machine->dir);
	assert_int_equal(machine_run(machine, 0, &output, "iommuctl", "policy", "check", dir, NULL), 0);
	assert_contains(output, "6 rules, no errors");
	free(output);
	write_errors(machine);
	assert_int_equal(machine_run(machine, 0, &output, "iommuctl", "policy", "check", dir, NULL), 1);
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
		assert_contains(output, errors[i]);
	free(output);
}

/* ---- listing and testing: of files, not of what the daemon has ---- */

static void policy_list_shows_rules_in_order_and_files_that_do_not_count(void **state)
{
	struct machine *machine = *state;
	char a[96], b[96], *output;

	machine_start(machine);
	snprintf(a, sizeof(a), "%s/a", machine->dir);
	snprintf(b, sizeof(b), "%s/b", machine->dir);
	assert_int_equal(mkdir(a, 0755), 0);
	assert_int_equal(mkdir(b, 0755), 0);
	machine_write(machine, "a/10-a.policy", "[Match]\nAddress=*\n[Client]\nUser=root\n[Grant]\nAction=deny\n");
	machine_write(machine, "b/10-a.policy", ALLOW("*", "1000"));
	machine_write(machine, "b/20-b.policy", ALLOW(NIC, "1000") "Label=red\n");
	machine_write(machine, "a/30-c.policy", "");
	assert_int_equal(machine_run(machine, 0, &output, "iommuctl", "policy", "list", a, b, NULL), 0);
	assert_contains(output, "/a/10-a.policy:1  deny    Address=*");
	assert_contains(output, "/b/20-b.policy:1  allow   Address=" NIC "  User=1000  Label=red\n");
	assert_true(strstr(output, "/a/10-a.policy:1") < strstr(output, "/b/20-b.policy:1"));
	assert_contains(output, "/b/10-a.policy: overridden by the one in ");
	assert_contains(output, "/a/30-c.policy: masks its name\n");
	free(output);
	assert_int_equal(machine_run(machine, 0, &output, "iommuctl", "policy", "list", "--json=short", a, b, NULL), 0);
	assert_contains(output, "/b/20-b.policy\",\"line\":1,\"action\":\"allow\",\"match\":\"Address=" NIC "\"");
	assert_contains(output, "\"name\":\"30-c.policy\",\"state\":\"masks\",\"by\":null}");
	free(output);
}

#define EXPECT_NIC "[Device]\nAddress=" NIC "\nVendor=8086\n"

static void policy_test_tells_what_differs_from_what_is_expected(void **state)
{
	static const char good[] = EXPECT_NIC "[Expect]\nAs=1000\nDecision=allow\nRule=10-a.policy:1\n"
					      "[Expect]\nAs=1001\nDecision=deny\nRule=none\n";
	static const char bad[] = EXPECT_NIC "[Expect]\nAs=1001\nDecision=allow\n[Expect]\nAs=1000\nDecision=allow\n";
	struct machine *machine = *state;
	char dir[96], file[96], *output;

	machine_start(machine);
	snprintf(dir, sizeof(dir), "%s/c", machine->dir);
	snprintf(file, sizeof(file), "%s/x.test", machine->dir);
	assert_int_equal(mkdir(dir, 0755), 0);
	machine_write(machine, "c/10-a.policy", ALLOW(NIC, "1000"));
	machine_write(machine, "x.test", good);
	assert_int_equal(machine_run(machine, 0, &output, "iommuctl", "policy", "test", file, dir, NULL), 0);
	assert_contains(output, "1..2\nok 1 - ");
	assert_contains(output, "/x.test:4: " NIC " as 1000: allowed by ");
	assert_contains(output, "\nok 2 - ");
	free(output);
	machine_write(machine, "x.test", bad);
	assert_int_equal(machine_run(machine, 0, &output, "iommuctl", "policy", "test", file, dir, NULL), 1);
	assert_contains(output, "not ok 1 - ");
	assert_contains(output, "as 1001: Decision=allow is expected, but it is no rule fits " NIC);
	assert_contains(output, "\nok 2 - ");
	assert_contains(output, "# 1 of 2 differ\n");
	free(output);
	machine_write(machine, "x.test", "[Device]\nVendr=8086\n");
	assert_int_equal(machine_run(machine, 0, &output, "iommuctl", "policy", "test", file, dir, NULL), 1);
	assert_contains(output, "/x.test:2:1: error: [Device] takes the keys of [Match], and 'Vendr' is none of them");
	assert_contains(output, "Bail out! ");
	free(output);
}

/* By nothing but its address, a device is this machine's. */
static void policy_test_asks_about_devices_of_this_machine(void **state)
{
	struct machine *machine = *state;
	char dir[96], file[96], *output;

	machine_start(machine);
	snprintf(dir, sizeof(dir), "%s/d", machine->dir);
	snprintf(file, sizeof(file), "%s/x.test", machine->dir);
	assert_int_equal(mkdir(dir, 0755), 0);
	machine_write(machine, "d/10-a.policy", "[Match]\nDriver=e1000e\n[Client]\nUser=1000\n[Grant]\nAction=allow\n");
	machine_write(machine, "x.test",
		      "[Device]\nAddress=" NIC "\n[Expect]\nAs=1000\nDecision=allow\n"
		      "[Device]\nAddress=0000:77:00.0\n[Expect]\nAs=1000\nDecision=deny\n");
	assert_int_equal(machine_run(machine, 0, &output, "iommud", "--test-policy", file, "--policy-any-owner",
				     "--sysfs", fuse_sysfs_path(machine->sysfs), dir, NULL),
			 1);
	assert_contains(output, "\nok 1 - ");
	assert_contains(output, "as 1000: this machine has no device 0000:77:00.0 with an IOMMU group; describe it");
	free(output);
}

/* ---- iommud.conf, and other reasons not to start ---- */

static void assert_does_not_start(struct machine *machine, const char *config, const char *user, char **ret_output)
{
	char path[96], other[96];

	machine_write(machine, "other.conf", config);
	snprintf(path, sizeof(path), "%s/other.conf", machine->dir);
	snprintf(other, sizeof(other), "%s/other", machine->dir);
	assert_int_equal(machine_run(machine, 0, ret_output, "iommud", "--listen", other, "--config", path, "--user",
				     user, "--sysfs", fuse_sysfs_path(machine->sysfs), "--helper", other, NULL),
			 1);
}

static void a_wrong_setting_keeps_it_from_starting_and_all_are_said(void **state)
{
	static const char config[] = "MaxConnections=1\n[Limits]\nMaxConnections=0\nMaxLeasesPerUser=1\n"
				     "MaxLeasesPerUser=2\nMaxLease=3\n[Timeout]\nLingerAfterSec=1\n[Timeouts]\n"
				     "SendTimeoutSec=3601\nPrepareTimeoutSec=soon\nMessageTimeoutSec=-1\n[Events]\n"
				     "BufferSize=1K\n nothing\n";
	static const char *const wrong[] = { ":1:1: error: ",
					     ":3:16: error: ",
					     ":5:1: error: this key was set above",
					     ":6:1: error: unknown key",
					     ":7:2: error: unknown section",
					     ":10:16: error: ",
					     ":11:19: error: ",
					     ":12:19: error: ",
					     ":14:12: error: ",
					     ":15:2: error: the line begins with a blank" };
	struct machine *machine = *state;
	char *output;

	machine_start(machine);
	assert_does_not_start(machine, config, "nobody", &output);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		char place[64];

		snprintf(place, sizeof(place), "/other.conf%s", wrong[i]);
		assert_contains(output, place);
	}
	free(output);
}

static void it_does_not_start_without_the_user_that_it_should_become(void **state)
{
	struct machine *machine = *state;
	char *output;

	machine_start(machine);
	assert_does_not_start(machine, "", "no-such-user", &output);
	assert_contains(output, "is there a user no-such-user?");
	free(output);
}

static void a_second_one_does_not_start(void **state)
{
	struct machine *machine = *state;
	char config[96], *output;

	machine_start(machine);
	snprintf(config, sizeof(config), "%s/iommud.conf", machine->dir);
	assert_int_equal(machine_run(machine, 0, &output, "iommud", "--listen", machine->socket, "--user", "nobody",
				     "--config", config, "--sysfs", fuse_sysfs_path(machine->sysfs), NULL),
			 1);
	assert_contains(output, "Address already in use");
	free(output);
	machine_serves(machine, ALICE, NIC);
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
		TEST(a_signal_loads_new_rules_into_both_daemons),
		TEST(rules_with_errors_are_not_loaded_and_all_errors_are_said),
		TEST(labels_that_differ_in_a_group_are_refused_at_load),
		TEST(without_rules_everything_is_denied),
		TEST(with_errors_at_start_everything_is_denied_until_they_are_mended),
		TEST(two_daemons_with_two_policies_grant_nothing),
		TEST(check_policy_says_what_is_wrong),
		TEST(iommuctl_has_the_daemon_check),
		TEST(policy_list_shows_rules_in_order_and_files_that_do_not_count),
		TEST(policy_test_tells_what_differs_from_what_is_expected),
		TEST(policy_test_asks_about_devices_of_this_machine),
		TEST(a_wrong_setting_keeps_it_from_starting_and_all_are_said),
		TEST(it_does_not_start_without_the_user_that_it_should_become),
		TEST(a_second_one_does_not_start),
	};

	return cmocka_run_group_tests_name("iommud-policy", tests, NULL, NULL);
}
