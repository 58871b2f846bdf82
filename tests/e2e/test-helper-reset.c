/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PREPARE with the flag that asks for a reset, by the real helper on a fake kernel: when it writes what, what it makes of a
 * device that can't be reset or whose reset fails, and that it leads back when it is killed at any of its writes.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "helper-harness.h"
#include "util/cleanup.h"

#define FIXED "0000:00:0b.0" /* e1000e, group 11: can't be reset */

#define RULE(grant) \
	"[Match]\nAddress=" NIC " " BARE " " IDLE " " FIXED "\n[Client]\nUser=root\n[Grant]\nAction=allow\n" grant

static void assert_tree(struct harness *harness, const char *expected)
{
	_cleanup_free_ char *now = fuse_sysfs_describe(harness->sysfs);

	assert_string_equal(now, expected);
}

/* ---- what is written ---- */

static struct {
	pthread_mutex_t mutex;
	char text[512];
	int reset_error; /* what the kernel says to a reset; 0: nothing */
} trace = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static const char *name_of(enum fuse_sysfs_file file)
{
	static const char *const names[] = {
		[FUSE_SYSFS_OVERRIDE] = "override", [FUSE_SYSFS_BIND] = "bind",   [FUSE_SYSFS_UNBIND] = "unbind",
		[FUSE_SYSFS_PROBE] = "probe",       [FUSE_SYSFS_RESET] = "reset", [FUSE_SYSFS_NEW_ID] = "new_id",
	};

	return names[file];
}

static int note_write(void *userdata, const struct fuse_sysfs_write *write)
{
	bool bind = write->file == FUSE_SYSFS_BIND || write->file == FUSE_SYSFS_UNBIND;
	size_t used;

	if (write->file == FUSE_SYSFS_RESET && !write->after && trace.reset_error)
		return -trace.reset_error;
	if (write->after) {
		pthread_mutex_lock(&trace.mutex);
		used = strlen(trace.text);
		snprintf(trace.text + used, sizeof(trace.text) - used, "%s(%s) ", name_of(write->file),
			 bind ? write->driver : write->value);
		pthread_mutex_unlock(&trace.mutex);
	}
	return harness_hook(userdata, write);
}

static void start(struct harness *harness, const char *rules)
{
	static const struct fuse_sysfs_device fixed = { .address = FIXED,
							.vendor = 0x8086,
							.device = 0x10d3,
							.class = 0x020000,
							.group = 11,
							.driver = "e1000e",
							.no_reset = true };
	struct helper_request reload;

	trace.text[0] = '\0';
	trace.reset_error = 0;
	harness_start(harness);
	fuse_sysfs_add_device(harness->sysfs, &fixed);
	harness_write_policy(harness, rules);
	reload = harness_request(harness, HELPER_RELOAD);
	assert_int_equal(harness_call(harness, &reload, -1).status, HELPER_OK);
	harness_connect_broker(harness);
	fuse_sysfs_set_hook(harness->sysfs, note_write, harness);
}

static struct helper_request reset_request(struct harness *harness, const char *address)
{
	struct helper_request request = harness_request(harness, HELPER_PREPARE);

	snprintf(request.address, sizeof(request.address), "%s", address);
	memcpy(request.digest, harness->digest, DIGEST_SIZE);
	request.flags = HELPER_RESET;
	return request;
}

static struct helper_reply prepare(struct harness *harness, const char *address)
{
	struct helper_request request = reset_request(harness, address);

	trace.text[0] = '\0';
	return harness_call(harness, &request, harness->accepted);
}

/* ---- the good path ---- */

static void there_and_back(struct harness *harness, const char *address, bool reset, const char *writes)
{
	_cleanup_free_ char *before = fuse_sysfs_describe(harness->sysfs);
	struct helper_reply reply = prepare(harness, address);

	assert_int_equal(reply.status, HELPER_OK);
	assert_int_equal(reply.reset_done, reset);
	assert_string_equal(trace.text, writes);
	assert_int_equal(harness_restore(harness, reply.transaction).status, HELPER_OK);
	assert_tree(harness, before);
}

static void resets_while_the_device_is_on_no_driver(void **state)
{
	struct harness *harness = *state;

	start(harness, RULE(""));
	there_and_back(harness, NIC, true, "override(vfio-pci) unbind(e1000e) reset(1) bind(vfio-pci) ");
	there_and_back(harness, BARE, true, "override(vfio-pci) reset(1) bind(vfio-pci) ");
	there_and_back(harness, IDLE, true,
		       "override(mlx5_vfio_pci) unbind(mlx5_vfio_pci) reset(1) bind(mlx5_vfio_pci) ");
}

static void resets_nothing_unless_asked_to(void **state)
{
	struct harness *harness = *state;
	struct helper_reply reply;

	start(harness, RULE("Reset=require\n"));
	trace.text[0] = '\0';
	reply = harness_prepare(harness, NIC);
	assert_int_equal(reply.status, HELPER_OK);
	assert_int_equal(reply.reset_done, 0);
	assert_null(strstr(trace.text, "reset"));
}

static void resets_nothing_that_its_own_policy_says_not_to(void **state)
{
	struct harness *harness = *state;

	start(harness, RULE("Reset=no\n"));
	there_and_back(harness, NIC, false, "override(vfio-pci) unbind(e1000e) bind(vfio-pci) ");
	there_and_back(harness, IDLE, false, "");
}

static void takes_the_flag_with_nothing_but_prepare(void **state)
{
	struct harness *harness = *state;
	struct helper_request request;
	struct helper_reply reply;

	start(harness, RULE(""));
	request = harness_request(harness, HELPER_NEXT);
	request.flags = HELPER_RESET;
	harness_send(harness, &request, -1);
	assert_true(harness_receive(harness, &reply));
	assert_int_equal(reply.status, HELPER_BAD_REQUEST);
	assert_false(harness_receive(harness, &reply));
}

/* ---- what can't be reset ---- */

static void goes_on_with_what_can_not_be_reset_and_says_so(void **state)
{
	struct harness *harness = *state;

	start(harness, RULE(""));
	there_and_back(harness, FIXED, false, "override(vfio-pci) unbind(e1000e) bind(vfio-pci) ");
}

static void a_rule_that_requires_a_reset_is_kept(void **state)
{
	struct harness *harness = *state;
	_cleanup_free_ char *before = NULL;
	struct helper_reply reply;

	start(harness, RULE("Reset=require\n"));
	before = fuse_sysfs_describe(harness->sysfs);
	reply = prepare(harness, FIXED);
	assert_int_equal(reply.status, HELPER_FAULT);
	assert_int_equal(reply.step, HELPER_STEP_RESET);
	assert_int_equal(reply.error, ENOENT);
	assert_int_equal(reply.transaction, 0);
	assert_tree(harness, before);
	there_and_back(harness, NIC, true, "override(vfio-pci) unbind(e1000e) reset(1) bind(vfio-pci) ");
}

static void puts_everything_back_when_a_reset_fails(void **state)
{
	static const char *const addresses[] = { NIC, BARE, IDLE };
	struct harness *harness = *state;
	_cleanup_free_ char *before = NULL;

	start(harness, RULE(""));
	before = fuse_sysfs_describe(harness->sysfs);
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		struct helper_reply reply;

		trace.reset_error = ENOTTY;
		reply = prepare(harness, addresses[i]);
		assert_int_equal(reply.status, HELPER_FAULT);
		assert_int_equal(reply.step, HELPER_STEP_RESET);
		assert_int_equal(reply.error, ENOTTY);
		assert_int_equal(reply.transaction, 0);
		assert_tree(harness, before);
		trace.reset_error = 0;
		reply = prepare(harness, addresses[i]);
		assert_int_equal(reply.reset_done, 1);
		assert_int_equal(harness_restore(harness, reply.transaction).status, HELPER_OK);
	}
	assert_tree(harness, before);
}

/* ---- being killed ---- */

struct killer {
	struct harness *harness;
	size_t number; /* of the write at which helper and worker die */
	bool after; /* it has taken effect */
	bool struck;
};

static int kill_helper(void *userdata, const struct fuse_sysfs_write *write)
{
	struct killer *killer = userdata;

	if (write->number == killer->number && write->after == killer->after) {
		killer->struck = true;
		kill(-killer->harness->helper, SIGKILL);
		if (!killer->after)
			return -EINTR;
	}
	return harness_hook(killer->harness, write);
}

/* False: the helper lived, for there is no such write. */
static bool die_once(struct harness *harness, const char *address, const struct killer *how)
{
	_cleanup_free_ char *before = fuse_sysfs_describe(harness->sysfs);
	struct helper_request request = reset_request(harness, address);
	struct killer killer = *how;
	struct helper_reply reply;

	fuse_sysfs_set_hook(harness->sysfs, kill_helper, &killer);
	harness_send(harness, &request, harness->accepted);
	if (harness_receive(harness, &reply) && !killer.struck) {
		fuse_sysfs_set_hook(harness->sysfs, harness_hook, harness);
		assert_int_equal(reply.reset_done, 1);
		assert_int_equal(harness_restore(harness, reply.transaction).status, HELPER_OK);
		assert_tree(harness, before);
		return false;
	}
	harness_reap_helper(harness);
	fuse_sysfs_set_hook(harness->sysfs, harness_hook, harness);
	harness_start_helper(harness);
	harness_wait_tree(harness, before);
	harness_connect_broker(harness);
	harness_wait_closed(harness);
	return true;
}

static void die_everywhere(struct harness *harness, const char *address, size_t n_writes)
{
	for (int after = 0; after < 2; after++) {
		struct killer killer = { .harness = harness, .after = after };

		do
			killer.number++;
		while (die_once(harness, address, &killer));
		assert_int_equal(killer.number, n_writes + 1);
	}
}

static void leads_back_after_being_killed_at_any_write(void **state)
{
	struct harness *harness = *state;

	start(harness, RULE("Reset=require\n"));
	die_everywhere(harness, NIC, 4); /* override, unbind, reset, bind */
	die_everywhere(harness, BARE, 3); /* override, reset, bind */
	die_everywhere(harness, IDLE, 4);
}

static int set_up(void **state)
{
	static struct harness harness;

	memset(&harness, 0, sizeof(harness));
	*state = &harness;
	return 0;
}

static int tear_down(void **state)
{
	harness_stop(*state);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(resets_while_the_device_is_on_no_driver),        TEST(resets_nothing_unless_asked_to),
		TEST(resets_nothing_that_its_own_policy_says_not_to), TEST(takes_the_flag_with_nothing_but_prepare),
		TEST(goes_on_with_what_can_not_be_reset_and_says_so), TEST(a_rule_that_requires_a_reset_is_kept),
		TEST(puts_everything_back_when_a_reset_fails),        TEST(leads_back_after_being_killed_at_any_write),
	};

	return cmocka_run_group_tests_name("helper-reset", tests, NULL, NULL);
}
