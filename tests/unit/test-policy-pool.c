/* SPDX-License-Identifier: GPL-2.0-or-later */
/* [Pool] and [Host]: their errors, what belongs to a pool, how many virtual functions a device is to have. */
#include "policy/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "policy-text.h"

#define RULE_END "[Client]\nUser=*\n[Grant]\nAction=allow\n"

static const struct policy_subject nic = { .id = &test_nic, .driver = "e1000e", .physical_function = "" };
static const struct policy_subject gpu = { .id = &test_gpu }; /* without a driver */
static const struct policy_subject function = { .id = &test_nic, .driver = "", .physical_function = "0000:3B:00.0" };

static void devices_that_the_match_fits_belong_to_the_pool(void **state)
{
	struct policy *policy = policy_must_load("[Match]\nVendor=8086\nClass=02\n[Pool]\nName=nets_1.a-B\n");

	assert_true(policy_pool_exists(policy, "nets_1.a-B"));
	assert_false(policy_pool_exists(policy, "nets_1.a-b"));
	assert_true(policy_pool_contains(policy, "nets_1.a-B", &nic));
	assert_false(policy_pool_contains(policy, "nets_1.a-B", &gpu));
	assert_false(policy_pool_contains(policy, "other", &nic));
	policy_free(policy);
}

static void several_runs_make_one_pool(void **state)
{
	struct policy *policy = policy_must_load("[Match]\nVendor=8086\n[Pool]\nName=all\n"
						 "[Match]\nVendor=10de\n[Pool]\nName=all\n");

	assert_true(policy_pool_contains(policy, "all", &nic));
	assert_true(policy_pool_contains(policy, "all", &gpu));
	policy_free(policy);
}

static void a_device_has_each_of_its_pools_once(void **state)
{
	struct policy *policy = policy_must_load("[Match]\nVendor=8086\n[Pool]\nName=b\n"
						 "[Match]\nVendor=10de\n[Pool]\nName=c\n"
						 "[Match]\nClass=02\n[Pool]\nName=a\n"
						 "[Match]\nAddress=*\n[Pool]\nName=b\n");
	size_t cursor = 0;

	assert_string_equal(policy_next_pool(policy, &nic, &cursor), "b");
	assert_string_equal(policy_next_pool(policy, &nic, &cursor), "a");
	assert_null(policy_next_pool(policy, &nic, &cursor));
	cursor = 0;
	assert_string_equal(policy_next_pool(policy, &gpu, &cursor), "c");
	assert_string_equal(policy_next_pool(policy, &gpu, &cursor), "b");
	assert_null(policy_next_pool(policy, &gpu, &cursor));
	policy_free(policy);
}

static void a_pool_gives_nobody_anything(void **state)
{
	struct policy *policy = policy_must_load("[Match]\nAddress=*\n[Pool]\nName=all\n");

	assert_int_equal(policy_n_rules(policy), 0);
	assert_int_equal(policy_ask(policy, &test_nic, "e1000e", 0).action, POLICY_DENY);
	policy_free(policy);
}

static void a_pool_and_a_rule_in_one_run(void **state)
{
	struct policy *policy = policy_must_load("[Match]\nVendor=8086\n[Pool]\nName=all\n[Host]\nNumVFs=2\n" RULE_END);
	struct policy_decision decision = policy_ask(policy, &test_nic, "e1000e", 0);

	assert_int_equal(policy_n_rules(policy), 1);
	assert_int_equal(decision.action, POLICY_ALLOW);
	assert_int_equal(decision.line, 1);
	assert_true(policy_pool_contains(policy, "all", &nic));
	policy_free(policy);
}

/* It takes no part in deciding, so neither in the warning about rules that never decide: policy_must_load() wants none. */
static void a_pool_covers_no_rule(void **state)
{
	struct policy *policy = policy_must_load("[Match]\nAddress=*\n[Pool]\nName=all\n[Match]\nVendor=8086\n" RULE_END
						 "[Match]\nVendor=8086\n[Host]\nNumVFs=2\n");

	assert_int_equal(policy_n_rules(policy), 1);
	policy_free(policy);
}

static void physical_function_tells_virtual_functions(void **state)
{
	struct policy *policy = policy_must_load("[Match]\nPhysicalFunction=0000:3b:00.0\n[Pool]\nName=exact\n"
						 "[Match]\nPhysicalFunction=0000:3B:*\n[Pool]\nName=glob\n"
						 "[Match]\nPhysicalFunction=none\n[Pool]\nName=none\n"
						 "[Match]\nPhysicalFunction=?*\n[Pool]\nName=virtual\n"
						 "[Match]\nPhysicalFunction=*\n[Pool]\nName=all\n");
	static const struct {
		const char *pool;
		bool has_function, has_nic;
	} pools[] = { { "exact", true, false },
		      { "glob", true, false },
		      { "none", false, true },
		      { "virtual", true, false },
		      { "all", true, true } };

	for (size_t i = 0; i < sizeof(pools) / sizeof(pools[0]); i++) {
		assert_int_equal(policy_pool_contains(policy, pools[i].pool, &function), pools[i].has_function);
		assert_int_equal(policy_pool_contains(policy, pools[i].pool, &nic), pools[i].has_nic);
		assert_int_equal(policy_pool_contains(policy, pools[i].pool, &gpu), pools[i].has_nic);
	}
	policy_free(policy);
}

static void physical_function_decides_in_rules(void **state)
{
	struct policy *policy = policy_must_load("[Match]\nPhysicalFunction=0000:3b:00.0\n" RULE_END);
	struct identity client = IDENTITY_INIT;
	struct policy_decision decision;

	client.uid = client.gid = 1000;
	policy_decide(policy, &function, &client, &decision);
	assert_int_equal(decision.action, POLICY_ALLOW);
	policy_decide(policy, &nic, &client, &decision);
	assert_int_equal(decision.action, POLICY_DENY);
	policy_free(policy);
}

static void the_first_host_that_fits_counts(void **state)
{
	struct policy *policy = policy_must_load("[Match]\nVendor=10de\n[Host]\nNumVFs=1\n"
						 "[Match]\nVendor=8086\n[Host]\nNumVFs=65535\n"
						 "[Match]\nAddress=*\n[Host]\nNumVFs=3\n"
						 "[Match]\nAddress=*\n[Pool]\nName=all\n");
	const char *file = NULL;
	unsigned int line = 0;

	assert_int_equal(policy_num_vfs(policy, &nic, &file, &line), 65535);
	assert_string_equal(file, "t.policy");
	assert_int_equal(line, 5);
	assert_int_equal(policy_num_vfs(policy, &gpu, &file, &line), 1);
	assert_int_equal(line, 1);
	assert_int_equal(policy_num_vfs(policy, &function, &file, &line), 0);
	policy_free(policy);
}

static void without_a_host_there_are_none(void **state)
{
	struct policy *policy = policy_must_load("[Match]\nAddress=*\n[Pool]\nName=all\n");
	const char *file;
	unsigned int line;

	assert_int_equal(policy_num_vfs(policy, &nic, &file, &line), 0);
	policy_free(policy);
}

static void refuses_sections_out_of_order(void **state)
{
	assert_policy_report("[Pool]\nName=a\n[Match]\nAddress=*\n" RULE_END,
			     "t.policy:1:2: error: [Pool] without a [Match] before it, which says for which devices\n");
	assert_policy_report("[Match]\nAddress=*\n" RULE_END "[Host]\nNumVFs=1\n",
			     "t.policy:7:2: error: [Host] without a [Match] before it, which says for which devices\n");
	assert_policy_report("[Match]\nAddress=*\n[Client]\nUser=*\n[Pool]\nName=a\n[Grant]\nAction=allow\n",
			     "t.policy:5:2: error: [Pool] behind [Client]; it stands between [Match] and [Client]\n");
	assert_policy_report("[Match]\nAddress=*\n[Pool]\nName=a\n[Pool]\nName=b\n",
			     "t.policy:5:2: error: second [Pool] behind one [Match]; give it a [Match] of its own\n");
	assert_policy_report("[Match]\nAddress=*\n[Host]\nNumVFs=1\n[Pool]\nName=a\n[Host]\nNumVFs=1\n",
			     "t.policy:7:2: error: second [Host] behind one [Match]; give it a [Match] of its own\n");
}

static void wants_both_client_and_grant_or_none(void **state)
{
	assert_policy_report("[Match]\nAddress=*\n[Pool]\nName=a\n[Client]\nUser=*\n",
			     "t.policy:1:2: error: this rule has no [Grant]; a rule is [Match], [Client], [Grant]\n");
	assert_policy_report("[Match]\nAddress=*\n[Pool]\nName=a\n[Grant]\nAction=allow\n",
			     "t.policy:5:2: error: [Grant] without a [Client] before it; for everybody say User=*\n");
}

static void refuses_sections_that_say_nothing(void **state)
{
	assert_policy_report("[Match]\nAddress=*\n[Pool]\n[Host]\n",
			     "t.policy:3:2: error: [Pool] without Name=, the pool's name\n"
			     "t.policy:4:2: error: [Host] without NumVFs=, the number of virtual functions\n");
	assert_policy_report("[Match]\n[Pool]\nName=a\n",
			     "t.policy:1:2: error: [Match] is empty; one that shall fit every device says Address=*\n");
}

/* One mistake, one message: a key that was misspelt was given all the same. */
static void names_what_was_meant(void **state)
{
	assert_policy_report("[Match]\nAddress=*\n[Pool]\nNme=a\n",
			     "t.policy:4:1: error: unknown key 'Nme' in [Pool]; did you mean 'Name'?\n");
	assert_policy_report("[Match]\nAddress=*\n[Host]\nNumVfs=4\n",
			     "t.policy:4:1: error: unknown key 'NumVfs' in [Host]; did you mean 'NumVFs'?\n");
	assert_policy_report("[Match]\nAddress=*\n[Pol]\nName=a\n",
			     "t.policy:3:2: error: unknown section [Pol]; did you mean [Pool]?\n");
	assert_policy_report("[Match]\nAddress=*\nNumVFs=4\n[Pool]\nName=a\n",
			     "t.policy:3:1: error: key 'NumVFs' does not belong in [Match] but in [Host]\n");
	assert_policy_report("[Match]\nPhysicalFuncton=none\n[Pool]\nName=a\n",
			     "t.policy:2:1: error: unknown key 'PhysicalFuncton' in [Match]; did you mean "
			     "'PhysicalFunction'?\n");
}

static void refuses_names_that_are_none(void **state)
{
	char text[256], name[66] = "";

	assert_policy_report(
		"[Match]\nAddress=*\n[Pool]\nName=my pool\n",
		"t.policy:4:8: error: 'my pool' is no name of a pool: letters, digits, '-', '_' and '.'\n");
	assert_policy_report("[Match]\nAddress=*\n[Pool]\nName=\n", "t.policy:4:6: error: 'Name' has no value\n");
	assert_policy_report("[Match]\nAddress=*\n[Pool]\nName=a\nName=b\n",
			     "t.policy:5:1: error: repeated key 'Name' in [Pool]; the first is in line 4\n");
	memset(name, 'x', POLICY_POOL_NAME_MAX);
	snprintf(text, sizeof(text), "[Match]\nAddress=*\n[Pool]\nName=%s\n", name);
	policy_free(policy_must_load(text));
	name[POLICY_POOL_NAME_MAX] = 'x';
	snprintf(text, sizeof(text), "[Match]\nAddress=*\n[Pool]\nName=%s\n", name);
	assert_policy_report(text, "t.policy:4:69: error: the name of the pool is longer than 63 bytes\n");
}

static void refuses_numbers_of_functions_that_no_device_has(void **state)
{
	static const char *const numbers[] = { "0", "65536", "-1", "4x", "0x4", "99999999999999999999", "4 4" };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		char text[128], expected[128];

		snprintf(text, sizeof(text), "[Match]\nAddress=*\n[Host]\nNumVFs=%s\n", numbers[i]);
		snprintf(expected, sizeof(expected),
			 "t.policy:4:8: error: NumVFs takes a number from 1 to 65535, not '%s'\n", numbers[i]);
		assert_policy_report(text, expected);
	}
}

static void refuses_physical_functions_that_no_device_has(void **state)
{
	assert_policy_report("[Match]\nPhysicalFunction=3b:00.0\n[Pool]\nName=a\n",
			     "t.policy:2:18: error: '3b:00.0' lacks the domain; did you mean '0000:3b:00.0'?\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(devices_that_the_match_fits_belong_to_the_pool),
		cmocka_unit_test(several_runs_make_one_pool),
		cmocka_unit_test(a_device_has_each_of_its_pools_once),
		cmocka_unit_test(a_pool_gives_nobody_anything),
		cmocka_unit_test(a_pool_and_a_rule_in_one_run),
		cmocka_unit_test(a_pool_covers_no_rule),
		cmocka_unit_test(physical_function_tells_virtual_functions),
		cmocka_unit_test(physical_function_decides_in_rules),
		cmocka_unit_test(the_first_host_that_fits_counts),
		cmocka_unit_test(without_a_host_there_are_none),
		cmocka_unit_test(refuses_sections_out_of_order),
		cmocka_unit_test(wants_both_client_and_grant_or_none),
		cmocka_unit_test(refuses_sections_that_say_nothing),
		cmocka_unit_test(names_what_was_meant),
		cmocka_unit_test(refuses_names_that_are_none),
		cmocka_unit_test(refuses_numbers_of_functions_that_no_device_has),
		cmocka_unit_test(refuses_physical_functions_that_no_device_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
