/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A client that asks for what is refused, as fast as it can: its refusals do not fill the log, and nobody else's are lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "iommud-harness.h"
#include "util/cleanup.h"

#define REFUSED FORBIDDEN ": "

static unsigned int count(struct machine *machine, const char *part)
{
	_cleanup_free_ char *log = machine_log(machine);
	unsigned int n = 0;

	for (const char *at = log; (at = strstr(at, part)); at++)
		n++;
	return n;
}

static void refusals_of_one_user_are_summed_up(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice, bob;

	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	bob = machine_connect(machine, BOB);
	for (int i = 0; i < 70; i++)
		machine_expect_refusal(&alice, "Acquire", ONE(FORBIDDEN), "DeniedByPolicy", NULL);
	assert_int_equal(count(machine, REFUSED), 20);
	machine_expect_refusal(&bob, "Acquire", ONE(FORBIDDEN), "DeniedByPolicy", NULL);
	assert_int_equal(count(machine, REFUSED), 21);
	machine_take(&bob, ONE(NIC));
	assert_int_equal(count(machine, "granted to uid 1001"), 1);
	/* The rest is told when the time is over, without anybody's asking. */
	machine_wait_log(machine, "50 more messages about requests of uid 1000 in 10 s were left out");
	assert_int_equal(count(machine, "were left out"), 1);
	varlink_client_close(&alice);
	varlink_client_close(&bob);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(refusals_of_one_user_are_summed_up, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("iommud-flood", tests, NULL, NULL);
}
