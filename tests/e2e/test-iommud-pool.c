/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A pool of three, and clients that wait for it, with the real daemons: both judge what the pool gave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "iommud-harness.h"
#include "util/cleanup.h"

#define SOME "{\"pool\":\"some\"}"
#define SOME_WAITING "{\"pool\":\"some\",\"waitSec\":600}"

/* NIC, DISK and BARE, of which each may have any. */
static const char pool[] = "[Match]\nAddress=" NIC " " DISK " " BARE "\n[Pool]\nName=some\n";

static void start(struct machine *machine)
{
	static char rules[4096];

	snprintf(rules, sizeof(rules), "%s%s", machine_rules, pool);
	machine->rules = rules;
	machine_start(machine);
}

/* Asks, and returns when the daemon has it wait. */
static void begin_to_wait(struct machine *machine, struct varlink_client *client, const char *parameters)
{
	assert_int_equal(varlink_client_send_call(client, "io.iommud.Acquire", parameters, NULL), 0);
	machine_expect_event(machine, "leaseWaiting");
}

/* Its answer is this error, or (NULL) a lease, whose number it returns; with this device unless it is NULL. */
static long long finish_waiting(struct varlink_client *client, const char *address, const char *error)
{
	struct varlink_reply reply;
	long long lease = 0;

	assert_int_equal(varlink_client_receive(client, &reply), 0);
	if (error) {
		assert_non_null(reply.error);
		assert_string_equal(reply.error, error);
	} else {
		assert_null(reply.error);
		lease = varlink_reply_int(&reply, "lease");
	}
	if (address)
		assert_string_equal(machine_text(&reply, "devices.0.address"), address);
	varlink_reply_clear(&reply);
	return lease;
}

static void gives_each_another_device(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice, bob;
	struct varlink_reply first, second;

	start(machine);
	alice = machine_connect(machine, ALICE);
	bob = machine_connect(machine, BOB);
	first = machine_acquire(&alice, SOME);
	second = machine_acquire(&bob, "{\"pool\":\"some\",\"count\":2}");
	assert_string_equal(machine_text(&first, "devices.0.address"), NIC);
	assert_string_equal(machine_text(&second, "devices.0.address"), DISK);
	assert_string_equal(machine_text(&second, "devices.1.address"), BARE);
	machine_assert_tree(machine, NIC " driver=vfio-pci override=vfio-pci\n");
	machine_assert_tree(machine, DISK " driver=vfio-pci override=vfio-pci\n");
	varlink_reply_clear(&first);
	varlink_reply_clear(&second);
	varlink_client_close(&alice);
	varlink_client_close(&bob);
	machine_expect_event(machine, "leaseReleased");
	machine_expect_event(machine, "leaseReleased");
	machine_assert_tree(machine, NIC " driver=e1000e override=\n");
	machine_assert_tree(machine, DISK " driver=nvme override=\n");
}

static void refuses_what_the_pool_lacks(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice;
	struct varlink_reply reply;

	start(machine);
	alice = machine_connect(machine, ALICE);
	reply = machine_refused(&alice, "Acquire", "{\"pool\":\"some\",\"count\":4}", "PoolExhausted", "3 free");
	assert_int_equal(varlink_reply_int(&reply, "free"), 3);
	assert_int_equal(varlink_reply_int(&reply, "count"), 4);
	varlink_reply_clear(&reply);
	machine_expect_refusal(&alice, "Acquire", "{\"pool\":\"none\"}", "NoSuchPool", "'none'");
	reply = machine_call(&alice, "Describe", OF(NIC));
	assert_string_equal(machine_text(&reply, "device.pools.0"), "some");
	varlink_reply_clear(&reply);
	varlink_client_close(&alice);
}

static void waits_in_order_of_arrival(void **state)
{
	struct machine *machine = *state;
	struct varlink_client holder, bob, alice;
	long long lease, bobs, alices;

	start(machine);
	holder = machine_connect(machine, ALICE);
	bob = machine_connect(machine, BOB);
	alice = machine_connect(machine, ALICE);
	lease = machine_take(&holder, "{\"pool\":\"some\",\"count\":3}");
	begin_to_wait(machine, &bob, SOME_WAITING);
	begin_to_wait(machine, &alice, SOME_WAITING);
	/* Who does not wait does not get in between, and is told why. */
	machine_expect_refusal(&holder, "Acquire", SOME, "PoolExhausted", "3 leased or waited for");
	machine_release(&holder, lease);
	bobs = finish_waiting(&bob, NULL, NULL);
	alices = finish_waiting(&alice, NULL, NULL);
	assert_true(lease < bobs && bobs < alices);
	varlink_client_close(&holder);
	varlink_client_close(&bob);
	varlink_client_close(&alice);
}

static void who_goes_is_waited_for_no_longer(void **state)
{
	struct machine *machine = *state;
	struct varlink_client holder, bob, alice;

	start(machine);
	holder = machine_connect(machine, ALICE);
	alice = machine_connect(machine, ALICE);
	machine_take(&holder, ONE(NIC));
	bob = machine_connect(machine, BOB);
	begin_to_wait(machine, &bob, "{\"devices\":[\"" NIC "\",\"" DISK "\"],\"waitSec\":600}");
	begin_to_wait(machine, &alice, "{\"devices\":[\"" DISK "\"],\"waitSec\":600}");
	varlink_client_close(&bob);
	machine_expect_event(machine, "waitAbandoned");
	assert_true(finish_waiting(&alice, DISK, NULL) > 0);
	varlink_client_close(&holder);
	varlink_client_close(&alice);
}

static void waits_no_longer_than_was_said(void **state)
{
	struct machine *machine = *state;
	struct varlink_client holder, bob;

	start(machine);
	holder = machine_connect(machine, ALICE);
	bob = machine_connect(machine, BOB);
	machine_take(&holder, ONE(NIC));
	begin_to_wait(machine, &bob, "{\"devices\":[\"" NIC "\"],\"waitSec\":1}");
	finish_waiting(&bob, NULL, "io.iommud.TimedOut");
	machine_serves(machine, BOB, DISK);
	varlink_client_close(&holder);
	varlink_client_close(&bob);
}

static void a_new_policy_ends_a_wait(void **state)
{
	struct machine *machine = *state;
	struct varlink_client holder, bob;

	start(machine);
	holder = machine_connect(machine, ALICE);
	bob = machine_connect(machine, BOB);
	machine_take(&holder, ONE(NIC));
	begin_to_wait(machine, &bob, "{\"devices\":[\"" NIC "\"],\"waitSec\":600}");
	machine_write(machine, RULES_FILE, "[Match]\nAddress=*\n[Client]\nUser=1000\n[Grant]\nAction=allow\n");
	machine_reload(machine);
	finish_waiting(&bob, NULL, "io.iommud.DeniedByPolicy");
	varlink_client_close(&holder);
	varlink_client_close(&bob);
}

/* All of them by the command line: the address is in the environment, and the exit status says that the time was over. */
static void iommuctl_asks_for_it(void **state)
{
	struct machine *machine = *state;
	struct varlink_client holder;
	char *output;

	start(machine);
	holder = machine_connect(machine, ALICE);
	machine_take(&holder, "{\"pool\":\"some\",\"count\":2}");
	assert_int_equal(machine_run(machine, BOB, &output, "iommuctl", "run", "--pool=some", "--", "sh", "-c",
				     "echo \"$IOMMUD_DEVICE_0\"", NULL),
			 0);
	assert_string_equal(output, BARE "\n");
	free(output);
	machine_expect_event(machine, "leaseReleased");
	machine_take(&holder, ONE(BARE));
	assert_int_equal(machine_run(machine, BOB, &output, "iommuctl", "acquire", "--pool=some", NULL), 4);
	assert_non_null(strstr(output, "pool some: 1 asked for, 0 free, 3 leased or waited for"));
	free(output);
	assert_int_equal(machine_run(machine, BOB, &output, "iommuctl", "acquire", "--pool=some", "--wait=1", NULL), 6);
	assert_non_null(strstr(output, "waited 1 s in vain: pool some:"));
	free(output);
	varlink_client_close(&holder);
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
		TEST(gives_each_another_device),     TEST(refuses_what_the_pool_lacks),
		TEST(waits_in_order_of_arrival),     TEST(who_goes_is_waited_for_no_longer),
		TEST(waits_no_longer_than_was_said), TEST(a_new_policy_ends_a_wait),
		TEST(iommuctl_asks_for_it),
	};

	return cmocka_run_group_tests_name("iommud-pool", tests, NULL, NULL);
}
