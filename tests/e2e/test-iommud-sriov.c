/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NumVFs= with the real daemons: what is written to sriov_numvfs, when, and what is told of it. That real drivers make real
 * devices of it, and who may have these, is shown in the VM.
 */
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "iommud-harness.h"
#include "util/cleanup.h"

#define PF "0000:00:0b.0"
#define PF_RULE "[Match]\nAddress=" PF "\n[Client]\nUser=1000\n[Grant]\nAction=allow\n"
#define NUM_VFS(n) "[Match]\nAddress=" PF "\n[Host]\nNumVFs=" n "\n"

/* Values that were written to sriov_numvfs, each followed by a blank. */
static char written[64];

/* The driver does not come back before that. */
static bool hangs;
static sem_t let_go;

static int hook(void *userdata, const struct fuse_sysfs_write *write)
{
	if (write->file == FUSE_SYSFS_NUM_VFS && !write->after && hangs)
		sem_wait(&let_go);
	if (write->file == FUSE_SYSFS_NUM_VFS && write->after)
		snprintf(written + strlen(written), sizeof(written) - strlen(written), "%s ", write->value);
	return machine_hook(userdata, write);
}

/* The physical function is there when iommud starts. */
static void start(struct machine *machine, const char *rules)
{
	const struct fuse_sysfs_device function = {
		.address = PF,
		.vendor = 0x8086,
		.device = 0x10d3,
		.class = 0x020000,
		.group = 11,
		.driver = "e1000e",
		.max_vfs = 8,
		.memory_minor = 8,
	};

	written[0] = '\0';
	machine->rules = rules;
	machine_start(machine);
	machine_stop_iommud(machine);
	fuse_sysfs_add_device(machine->sysfs, &function);
	machine_replace_node(machine, PF, 8);
	fuse_sysfs_set_hook(machine->sysfs, hook, machine);
	machine_start_iommud(machine);
}

static void they_are_made_at_the_start(void **state)
{
	struct machine *machine = *state;

	start(machine, NUM_VFS("4") PF_RULE);
	/* Not its event: that may come before we listen. */
	machine_wait_log(machine, PF " has made 4 virtual functions");
	assert_string_equal(written, "4 ");
	/* The next start finds them. */
	machine_stop_iommud(machine);
	machine_start_iommud(machine);
	machine_wait_log(machine, PF ": no virtual functions were made: it has 4 already");
	assert_string_equal(written, "4 ");
	machine_stop(machine);
}

static void they_are_made_on_a_reload(void **state)
{
	struct machine *machine = *state;

	start(machine, PF_RULE);
	assert_string_equal(written, "");
	machine_write(machine, RULES_FILE, NUM_VFS("8") PF_RULE);
	machine_reload(machine);
	machine_expect_event(machine, "vfsCreated");
	assert_string_equal(written, "8 ");
	machine_stop(machine);
}

static void too_many_are_an_event_that_names_both_numbers(void **state)
{
	struct machine *machine = *state;
	struct varlink_reply event;

	start(machine, NUM_VFS("9"));
	event = machine_await(machine, "vfsFailed");
	assert_non_null(strstr(machine_text(&event, "message"), "NumVFs=9 is more than its sriov_totalvfs, 8; see "));
	assert_non_null(strstr(machine_text(&event, "message"), "10-test.policy:1"));
	varlink_reply_clear(&event);
	assert_string_equal(written, "");
	machine_stop(machine);
}

/* A driver that takes its time is a worker's to wait for; the daemons serve others meanwhile. */
static void a_driver_that_hangs_delays_nobody(void **state)
{
	struct machine *machine = *state;
	struct varlink_reply event;

	machine->worker_timeout = "1";
	hangs = true;
	start(machine, NUM_VFS("4") PF_RULE "[Match]\nAddress=" NIC "\n[Client]\nUser=1000\n[Grant]\nAction=allow\n");
	event = machine_await(machine, "vfsFailed");
	assert_string_equal(machine_text(&event, "message"),
			    PF ": its virtual functions were not made: its driver has not come back yet; see "
			       "'journalctl -u iommud-helper'");
	varlink_reply_clear(&event);
	machine_serves(machine, ALICE, NIC);
	assert_string_equal(written, "");
	assert_int_equal(sem_post(&let_go), 0);
	machine_wait_log(machine, PF ": made 4 virtual functions, as NumVFs= says");
	assert_string_equal(written, "4 ");
	machine_stop(machine);
}

/* The broker does not know of virtual functions of which no event came; the helper looks. */
static void a_physical_function_with_virtual_ones_is_not_taken(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice;

	start(machine, NUM_VFS("4") PF_RULE);
	machine_expect_event(machine, "vfsCreated");
	alice = machine_connect(machine, ALICE);
	machine_expect_refusal(&alice, "Acquire", ONE(PF), "DeniedByPolicy", "see 'journalctl -u iommud-helper'");
	machine_wait_log(machine, PF " has virtual functions, which would be lost; set its sriov_numvfs to 0 first");
	machine_assert_tree(machine, PF " driver=e1000e override=\n");
	varlink_client_close(&alice);
	machine_stop(machine);
}

static int prepare(void **state)
{
	static struct machine machine;

	machine = (struct machine){ 0 };
	hangs = false;
	*state = &machine;
	return sem_init(&let_go, 0, 0);
}

#define TEST(function) cmocka_unit_test_setup(function, prepare)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(they_are_made_at_the_start),
		TEST(they_are_made_on_a_reload),
		TEST(too_many_are_an_event_that_names_both_numbers),
		TEST(a_driver_that_hangs_delays_nobody),
		TEST(a_physical_function_with_virtual_ones_is_not_taken),
	};

	return cmocka_run_group_tests_name("iommud-sriov", tests, NULL, NULL);
}
