/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What clients meet of resets, with both daemons: the next user gets the device reset, what can't be reset is said or
 * refused, and a device whose reset failed stays in quarantine until one succeeds.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "iommud-harness.h"
#include "util/cleanup.h"

#define FIXED "0000:00:0c.0" /* e1000e, group 12: can't be reset */

#define RULE(grant) \
	"[Match]\nAddress=" NIC " " DISK " " IDLE " " FIXED "\n[Client]\nUser=1000 1001\n[Grant]\nAction=allow\n" grant

static struct {
	struct machine *machine;
	unsigned int n; /* resets that took place */
	int error; /* what the kernel says to one; 0: it takes place */
} resets;

static int count_resets(void *userdata, const struct fuse_sysfs_write *write)
{
	if (write->file == FUSE_SYSFS_RESET) {
		if (!write->after && resets.error)
			return -resets.error;
		if (write->after)
			__atomic_add_fetch(&resets.n, 1, __ATOMIC_SEQ_CST);
	}
	return machine_hook(resets.machine, write);
}

static void start(struct machine *machine, const char *rules)
{
	static const struct fuse_sysfs_device fixed = { .address = FIXED,
							.vendor = 0x8086,
							.device = 0x10d3,
							.class = 0x020000,
							.group = 12,
							.driver = "e1000e",
							.memory_minor = 8,
							.no_reset = true };

	machine->rules = rules;
	machine_start(machine);
	machine_stop_iommud(machine);
	fuse_sysfs_add_device(machine->sysfs, &fixed);
	machine_replace_node(machine, FIXED, 8);
	machine_start_iommud(machine);
	resets.machine = machine;
	resets.n = 0;
	resets.error = 0;
	fuse_sysfs_set_hook(machine->sysfs, count_resets, NULL);
}

/* How many resets it took to serve this user. */
static unsigned int resets_for(struct machine *machine, uid_t uid, const char *address)
{
	unsigned int before = resets.n;

	machine_serves(machine, uid, address);
	return resets.n - before;
}

static bool is_quarantined(struct machine *machine, const char *address)
{
	struct varlink_client root = machine_connect(machine, 0);
	struct varlink_reply reply;
	char parameters[64];
	bool quarantined;

	snprintf(parameters, sizeof(parameters), "{\"device\":\"%s\"}", address);
	reply = machine_call(&root, "Describe", parameters);
	assert_null(reply.error);
	quarantined = json_object_get_boolean(machine_get(&reply, "device.quarantined"));
	varlink_reply_clear(&reply);
	varlink_client_close(&root);
	return quarantined;
}

static void reload(struct machine *machine, const char *rules)
{
	machine_write(machine, RULES_FILE, rules);
	machine_reload(machine);
	machine_expect_event(machine, "policyLoaded");
}

static void the_next_user_gets_it_reset(void **state)
{
	static const char *const addresses[] = { NIC, IDLE };
	struct machine *machine = *state;

	start(machine, RULE(""));
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		assert_int_equal(resets_for(machine, ALICE, addresses[i]), 1);
		assert_int_equal(resets_for(machine, ALICE, addresses[i]), 0);
		assert_int_equal(resets_for(machine, BOB, addresses[i]), 1);
		assert_int_equal(resets_for(machine, BOB, addresses[i]), 0);
	}
	/* Whoever had it before the broker began is not known. */
	machine_stop_iommud(machine);
	machine_start_iommud(machine);
	assert_int_equal(resets_for(machine, BOB, NIC), 1);
}

static void what_is_shown_says_what_a_reset_would_hit(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice;
	struct varlink_reply reply;

	start(machine, RULE(""));
	alice = machine_connect(machine, ALICE);
	reply = machine_call(&alice, "Describe", OF(NIC));
	assert_string_equal(machine_text(&reply, "device.resetScope"), "function");
	assert_string_equal(machine_text(&reply, "device.resetSet.0"), NIC);
	varlink_reply_clear(&reply);
	reply = machine_call(&alice, "Describe", OF(FIXED));
	assert_null(machine_get(&reply, "device.resetScope"));
	assert_null(machine_get(&reply, "device.resetSet.0"));
	varlink_reply_clear(&reply);
	reply = machine_call(&alice, "Explain", OF(NIC));
	assert_string_equal(machine_text(&reply, "plan.1"), NIC " is reset before (it is not known who had it)");
	varlink_reply_clear(&reply);
	varlink_client_close(&alice);
}

static void what_can_not_be_reset_is_granted_with_a_notice(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice;
	struct varlink_reply event;
	long long lease;

	start(machine, RULE(""));
	alice = machine_connect(machine, ALICE);
	lease = machine_take(&alice, ONE(FIXED));
	event = machine_await(machine, "notReset");
	assert_string_equal(machine_text(&event, "device"), FIXED);
	assert_int_equal(varlink_reply_int(&event, "lease"), lease);
	assert_non_null(strstr(machine_text(&event, "message"), "was handed out as it was left"));
	varlink_reply_clear(&event);
	varlink_client_close(&alice);
	machine_expect_event(machine, "leaseReleased");
	assert_int_equal(resets.n, 0);
}

static void require_refuses_what_can_not_be_reset(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice;
	struct varlink_reply reply;
	char *output;

	start(machine, RULE("Reset=require\n"));
	alice = machine_connect(machine, ALICE);
	reply = machine_refused(&alice, "Acquire", ONE(FIXED), "ResetScopeConflict", "10-test.policy:1");
	assert_string_equal(machine_text(&reply, "device"), FIXED);
	assert_string_equal(machine_text(&reply, "scope"), "none");
	varlink_reply_clear(&reply);
	machine_assert_tree(machine, FIXED " driver=e1000e override=\n");
	assert_int_equal(machine_run(machine, ALICE, &output, "iommuctl", "acquire", FIXED, NULL), 3);
	assert_non_null(strstr(output, FIXED " can't be reset"));
	free(output);
	varlink_client_close(&alice);
	assert_int_equal(resets_for(machine, ALICE, NIC), 1);
}

static void a_failed_reset_keeps_the_device_from_everybody(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice, bob;
	struct varlink_reply reply;

	start(machine, RULE(""));
	machine_serves(machine, ALICE, NIC);
	alice = machine_connect(machine, ALICE);
	bob = machine_connect(machine, BOB);
	resets.error = EIO;
	reply = machine_refused(&bob, "Acquire", ONE(NIC), "PrepareFailed",
				NIC " could not be reset (Input/output error), and is quarantined");
	assert_string_equal(machine_text(&reply, "step"), "reset");
	assert_int_equal(varlink_reply_int(&reply, "errno"), EIO);
	varlink_reply_clear(&reply);
	machine_expect_event(machine, "deviceQuarantined");
	machine_assert_tree(machine, NIC " driver=e1000e override=\n");
	assert_true(is_quarantined(machine, NIC));
	machine_expect_refusal(&alice, "Acquire", ONE(NIC), "PrepareFailed", "quarantined");
	/* A new helper makes no difference, and others are served. */
	machine_kill_helper(machine);
	machine_start_helper(machine);
	machine_expect_refusal(&alice, "Acquire", ONE(NIC), "PrepareFailed", "quarantined");
	resets.error = 0;
	machine_serves(machine, BOB, DISK);
	assert_true(is_quarantined(machine, NIC));
	assert_int_equal(resets_for(machine, ALICE, NIC), 1);
	assert_false(is_quarantined(machine, NIC));
	varlink_client_close(&alice);
	varlink_client_close(&bob);
}

static void an_administrator_can_give_it_away_all_the_same(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice;
	char *output;

	start(machine, RULE(""));
	alice = machine_connect(machine, ALICE);
	resets.error = ENOTTY;
	machine_expect_refusal(&alice, "Acquire", ONE(NIC), "PrepareFailed", "quarantined");
	assert_int_equal(machine_run(machine, ALICE, &output, "iommuctl", "list", NULL), 0);
	assert_non_null(strstr(output, " quarantined "));
	free(output);
	assert_int_equal(machine_run(machine, ALICE, &output, "iommuctl", "describe", NIC, NULL), 0);
	assert_non_null(strstr(output, "Quarantined: yes"));
	free(output);
	reload(machine, RULE("Reset=no\n"));
	assert_int_equal(resets_for(machine, ALICE, NIC), 0);
	assert_true(is_quarantined(machine, NIC));
	varlink_client_close(&alice);
}

static int set_up(void **state)
{
	static struct machine machine;

	memset(&machine, 0, sizeof(machine));
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
		TEST(the_next_user_gets_it_reset),
		TEST(what_is_shown_says_what_a_reset_would_hit),
		TEST(what_can_not_be_reset_is_granted_with_a_notice),
		TEST(require_refuses_what_can_not_be_reset),
		TEST(a_failed_reset_keeps_the_device_from_everybody),
		TEST(an_administrator_can_give_it_away_all_the_same),
	};

	return cmocka_run_group_tests_name("iommud-reset", tests, NULL, NULL);
}
