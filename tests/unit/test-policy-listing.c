/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rules as they were written, and the files that count or do not. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "fail-alloc.h"
#include "policy-text.h"
#include "policy-tree.h"

static void rules_are_shown_as_they_were_written(void **state)
{
	struct policy *policy = policy_must_load("[Match]\nVendor=0x8086, 10DE\nClass=02\n[Pool]\nName=p\n"
						 "[Client]\nUser=root\n[Grant]\nLabel=x\nAction=allow\n"
						 "[Match]\nAddress=*\n[Client]\nUser=*\n[Grant]\nAction=deny\n");
	struct policy_place place = policy_rule_place(policy, 0);
	char text[64];

	assert_string_equal(place.file, "t.policy");
	assert_int_equal(place.line, 1);
	assert_int_equal(place.action, POLICY_ALLOW);
	policy_rule_part(policy, 0, POLICY_PART_MATCH, text, sizeof(text));
	assert_string_equal(text, "Vendor=0x8086, 10DE Class=02");
	policy_rule_part(policy, 0, POLICY_PART_CLIENT, text, sizeof(text));
	assert_string_equal(text, "User=root");
	policy_rule_part(policy, 0, POLICY_PART_GRANT, text, sizeof(text));
	assert_string_equal(text, "Label=x");
	policy_rule_part(policy, 1, POLICY_PART_GRANT, text, sizeof(text));
	assert_string_equal(text, "");
	assert_int_equal(policy_rule_place(policy, 1).line, 11);
	policy_rule_part(policy, 0, POLICY_PART_MATCH, text, 10);
	assert_string_equal(text, "Vendor=0x");
	policy_free(policy);
}

static void add_file(void *userdata, const struct policy_file *file)
{
	static const char *const states[] = { "read", "masks", "overridden", "bad" };
	char *text = userdata;

	sprintf(text + strlen(text), "%s/%s %s%s%s\n", strrchr(file->dir, '/') + 1, file->name, states[file->state],
		file->by ? " by " : "", file->by ? strrchr(file->by, '/') + 1 : "");
}

static void make_files(const struct policy_tree *tree)
{
	policy_tree_write_rule(tree, "high/50.policy", "8086", "allow");
	policy_tree_write_rule(tree, "low/50.policy", "8086", "deny");
	policy_tree_write_rule(tree, "low/10.policy", "8086", "deny");
	policy_tree_write_rule(tree, "low/60.policy", "8086", "deny");
	policy_tree_write(tree, "high/70.policy", "");
	policy_tree_write(tree, "high/README", "");
	assert_int_equal(symlink("/dev/null", policy_tree_path(tree, "high/60.policy")), 0);
	assert_int_equal(symlink("/etc/passwd", policy_tree_path(tree, "high/80.policy")), 0);
}

static void every_file_says_whether_it_counts(void **state)
{
	struct policy_tree tree;
	char text[1024] = "";

	policy_tree_make(&tree);
	make_files(&tree);
	assert_int_equal(policy_list_files(tree.dirs, true, add_file, text), 0);
	assert_string_equal(text, "low/10.policy read\n"
				  "high/50.policy read\n"
				  "low/50.policy overridden by high\n"
				  "high/60.policy masks\n"
				  "low/60.policy overridden by high\n"
				  "high/70.policy masks\n"
				  "high/80.policy bad\n");
	policy_tree_remove(&tree);
}

static void a_folder_that_is_missing_is_empty(void **state)
{
	static const char *const dirs[] = { "/nonexistent/policy.d", NULL };
	char text[64] = "";

	assert_int_equal(policy_list_files(dirs, true, add_file, text), 0);
	assert_string_equal(text, "");
}

static void ignore_file(void *userdata, const struct policy_file *file)
{
}

static void a_lack_of_memory_leaks_no_descriptor(void **state)
{
	unsigned int fds = count_open_fds();
	struct policy_tree tree;
	bool failed = true;

	policy_tree_make(&tree);
	make_files(&tree);
	for (unsigned int n = 1; failed; n++) {
		int r;

		fail_alloc_begin(n);
		r = policy_list_files(tree.dirs, true, ignore_file, NULL);
		failed = fail_alloc_end();
		assert_int_equal(r, failed ? -ENOMEM : 0);
		assert_int_equal(count_open_fds(), fds);
	}
	policy_tree_remove(&tree);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_are_shown_as_they_were_written),
		cmocka_unit_test(every_file_says_whether_it_counts),
		cmocka_unit_test(a_folder_that_is_missing_is_empty),
		cmocka_unit_test(a_lack_of_memory_leaks_no_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
