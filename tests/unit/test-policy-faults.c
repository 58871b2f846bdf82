/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fail the Nth step: each allocation of a load fails once, and nothing may leak (ASan looks for that), be half done, or
 * be granted. src/policy allocates by reallocarray() and strndup() only, which are replaced here.
 */
#include "policy/policy.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "policy-text.h"
#include "policy-tree.h"

static unsigned int n_allocations;
static unsigned int failing; /* the number of the one that fails, 0: none */

static bool fails_now(void)
{
	if (++n_allocations != failing)
		return false;
	errno = ENOMEM;
	return true;
}

void *reallocarray(void *pointer, size_t n, size_t size)
{
	return fails_now() ? NULL : realloc(pointer, n * size);
}

char *strndup(const char *text, size_t size)
{
	size_t length = strnlen(text, size);
	char *copy = fails_now() ? NULL : malloc(length + 1);

	if (!copy)
		return NULL;
	memcpy(copy, text, length);
	copy[length] = '\0';
	return copy;
}

static void load_with_failures(const struct policy_tree *tree, int expected)
{
	unsigned int fds = count_open_fds();

	for (failing = 1; failing < 1000; failing++) {
		struct policy *policy = NULL;
		struct policy_report report;
		int r;

		n_allocations = 0;
		r = policy_load(tree->dirs, true, &policy, &report);
		if (n_allocations < failing) {
			assert_int_equal(r, expected);
			policy_report_clear(&report);
			policy_free(policy);
			/* It did count something. */
			assert_true(failing > 20);
			failing = 0;
			return;
		}
		assert_int_equal(r, -ENOMEM);
		assert_null(policy);
		assert_null(report.text);
		assert_int_equal(count_open_fds(), fds);
	}
	fail_msg("no end of allocations");
}

static int setup(void **state)
{
	static struct policy_tree tree;
	struct policy *policy;

	policy_tree_make(&tree);
	policy_tree_write(
		&tree, "high/10.policy",
		"[Match]\nVendor=8086 80*\nDevice=10d3\nClass=02 0300??\nAddress=0000:*, 0001:00:00.0\n"
		"Driver=none e1000e igb* !vfio-pci\nSubsystem=*:* !1028:0001\nNumaNode=0 none\n"
		"PhysicalFunction=none 0000:*\n[Pool]\nName=some\n[Host]\nNumVFs=4\n"
		"[Client]\nUser=root daemon 7\nGroup=daemon 8\nUnit=a.service !b*.service\nSlice=user.slice\n"
		"Executable=/usr/bin/*\nContext=*:*:t:* a:b:c:d\nAppArmor=qemu*\n"
		"[Grant]\nAction=allow\nGroupScope=whole\nBackend=iommufd legacy\nLabel=text\n"
		"[Match]\nVendor=* 8086\n[Client]\nUser=1\n[Grant]\nAction=deny\n"
		"[Match]\nAddress=*\nPool=* !?ome\nPath=pci-*\nSerial=S1\n[Client]\nUser=2\n[Grant]\nAction=allow\nLabel=peer\n");
	policy_tree_write_rule(&tree, "low/10.policy", "8086", "allow");
	policy_tree_write_rule(&tree, "low/20.policy", "8086", "allow");
	/* What the C library keeps open for looking up users is open from now on, and no leak later. */
	policy = policy_tree_load(&tree);
	policy_free(policy);
	*state = &tree;
	return 0;
}

static int teardown(void **state)
{
	policy_tree_remove(*state);
	return 0;
}

static void each_failing_allocation_fails_a_good_load(void **state)
{
	load_with_failures(*state, 0);
}

static void each_failing_allocation_fails_a_load_with_warnings(void **state)
{
	policy_tree_write_rule(*state, "low/30.policy", "8086", "deny");
	load_with_failures(*state, 0);
}

static void each_failing_allocation_fails_a_load_with_errors(void **state)
{
	/* Not taken for the error in the file: -ENOMEM, although the text is wrong as well. */
	policy_tree_write(*state, "high/40.policy", "[Match]\nVendr=1\nDevice=x\n[Client]\nUser=nosuchuseratall\n");
	assert_int_equal(mkdir(policy_tree_path(*state, "low/50.policy"), 0755), 0);
	load_with_failures(*state, -EINVAL);
}

static void each_failing_allocation_fails_a_load_with_a_bad_folder(void **state)
{
	struct policy_tree *tree = *state;

	unlink(policy_tree_path(tree, "low/10.policy"));
	unlink(policy_tree_path(tree, "low/20.policy"));
	assert_int_equal(rmdir(tree->low), 0);
	policy_tree_write(tree, "low", "");
	load_with_failures(tree, -EINVAL);
}

static void a_failing_allocation_fails_an_empty_policy(void **state)
{
	struct policy *policy = NULL;

	n_allocations = 0;
	failing = 1;
	assert_int_equal(policy_new_empty(&policy), -ENOMEM);
	failing = 0;
	assert_null(policy);
}

static void deciding_allocates_nothing(void **state)
{
	struct policy *policy = policy_tree_load(*state);
	struct policy_subject members[] = { { .id = &test_nic, .driver = "e1000e" },
					    { .id = &test_gpu, .driver = "" } };
	struct policy_label_conflict conflict;

	n_allocations = 0;
	assert_int_equal(policy_ask(policy, &test_nic, "e1000e", 1000).action, POLICY_ALLOW);
	assert_int_equal(policy_ask(policy, &test_gpu, "", 1000).action, POLICY_DENY);
	assert_false(policy_find_label_conflict(policy, members, 2, &conflict));
	assert_true(policy_pool_contains(policy, "some", &members[0]));
	assert_false(policy_pool_contains(policy, "some", &members[1]));
	assert_int_equal(n_allocations, 0);
	policy_free(policy);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(each_failing_allocation_fails_a_good_load),
		TEST(each_failing_allocation_fails_a_load_with_warnings),
		TEST(each_failing_allocation_fails_a_load_with_errors),
		TEST(each_failing_allocation_fails_a_load_with_a_bad_folder),
		TEST(a_failing_allocation_fails_an_empty_policy),
		TEST(deciding_allocates_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
