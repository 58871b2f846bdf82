/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a client is told of a device that the host uses: both daemons, and an interface with a bridge upon it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "iommud-harness.h"

#define PORT "0000:00:0c.0"

#define RULE "[Match]\nAddress=" PORT "\n[Client]\nUser=1000\n[Grant]\nAction=allow\n"

/* The broker has to scan it, so it starts again. */
static void start(struct machine *machine)
{
	static const struct fuse_sysfs_device port = { .address = PORT,
						       .vendor = 0x8086,
						       .device = 0x10d3,
						       .class = 0x020000,
						       .group = 12,
						       .driver = "e1000e",
						       .interface = "eth0" };

	machine->rules = RULE;
	machine_start(machine);
	machine_stop_iommud(machine);
	fuse_sysfs_add_device(machine->sysfs, &port);
	machine_start_iommud(machine);
}

static void says_what_uses_it_and_what_would_help(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice;
	struct varlink_reply reply;

	start(machine);
	alice = machine_connect(machine, ALICE);
	reply = machine_refused(&alice, "Acquire", ONE(PORT), "DeviceBusy",
				PORT
				" is in use by the host: eth0 carries br0; end that use, or take it by Force=yes in ");
	assert_non_null(strstr(machine_text(&reply, "message"), "10-test.policy:1"));
	assert_null(machine_get(&reply, "state"));
	assert_string_equal(machine_text(&reply, "device"), PORT);
	assert_string_equal(machine_text(&reply, "holders.0"), "eth0 carries br0");
	varlink_reply_clear(&reply);
	machine_assert_tree(machine, PORT " driver=e1000e override=\n");
	machine_expect_event(machine, "leaseFailed");
	varlink_client_close(&alice);
}

static void iommuctl_says_it_once_and_exits_with_busy(void **state)
{
	struct machine *machine = *state;
	const char *first;
	char *output;

	start(machine);
	assert_int_equal(machine_run(machine, ALICE, &output, "iommuctl", "acquire", PORT, NULL), 4);
	first = strstr(output, "eth0 carries br0");
	assert_non_null(first);
	assert_null(strstr(first + 1, "eth0 carries br0"));
	free(output);
}

static void explain_says_that_force_takes_it(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice;
	struct varlink_reply reply;

	start(machine);
	machine_write(machine, RULES_FILE, RULE "Force=yes\n");
	machine_reload(machine);
	machine_expect_event(machine, "policyLoaded");
	alice = machine_connect(machine, ALICE);
	reply = machine_call(&alice, "Explain", OF(PORT));
	assert_string_equal(machine_text(&reply, "plan.0"),
			    PORT " is unbound from e1000e, even if the host uses it (Force=yes)");
	varlink_reply_clear(&reply);
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
		TEST(says_what_uses_it_and_what_would_help),
		TEST(iommuctl_says_it_once_and_exits_with_busy),
		TEST(explain_says_that_force_takes_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
