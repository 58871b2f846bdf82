/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Folders, overrides, masks, and whom files must belong to. */
#include "policy/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "policy-text.h"
#include "policy-tree.h"
#include "util/cleanup.h"

static int setup(void **state)
{
	static struct policy_tree tree;

	policy_tree_make(&tree);
	*state = &tree;
	return 0;
}

static int teardown(void **state)
{
	policy_tree_remove(*state);
	return 0;
}

/* The file that decides about the network card, without its folder's path; "" if none does. */
static const char *deciding_file(const struct policy_tree *tree)
{
	static char name[300];
	struct policy *policy = policy_tree_load(tree);
	struct policy_decision decision = policy_ask(policy, &test_nic, "e1000e", 1000);

	snprintf(name, sizeof(name), "%s", decision.file ? decision.file + strlen(tree->root) + 1 : "");
	policy_free(policy);
	return name;
}

static void the_first_file_by_name_decides_whatever_its_folder(void **state)
{
	policy_tree_write_rule(*state, "high/50-b.policy", "8086", "allow");
	policy_tree_write_rule(*state, "low/40-a.policy", "8086", "deny");
	policy_tree_write_rule(*state, "low/60-c.policy", "1234", "deny");
	assert_string_equal(deciding_file(*state), "low/40-a.policy");
}

static void names_are_ordered_as_bytes(void **state)
{
	policy_tree_write_rule(*state, "high/9.policy", "8086", "allow");
	policy_tree_write_rule(*state, "high/10.policy", "8086 1111", "allow");
	assert_string_equal(deciding_file(*state), "high/10.policy");
	policy_tree_write_rule(*state, "high/A.policy", "8086 2222", "allow");
	policy_tree_write_rule(*state, "high/a.policy", "8086 3333", "allow");
	unlink(policy_tree_path(*state, "high/9.policy"));
	unlink(policy_tree_path(*state, "high/10.policy"));
	assert_string_equal(deciding_file(*state), "high/A.policy");
}

static void a_file_overrides_its_namesake_in_later_folders(void **state)
{
	struct policy *policy;

	policy_tree_write_rule(*state, "high/50.policy", "8086", "allow");
	policy_tree_write_rule(*state, "low/50.policy", "10de", "allow");
	policy = policy_tree_load(*state);
	assert_int_equal(policy_n_rules(policy), 1);
	assert_int_equal(policy_ask(policy, &test_nic, "", 1000).action, POLICY_ALLOW);
	assert_int_equal(policy_ask(policy, &test_gpu, "", 1000).action, POLICY_DENY);
	policy_free(policy);
}

static void what_is_overridden_is_not_even_read(void **state)
{
	policy_tree_write_rule(*state, "high/50.policy", "8086", "allow");
	policy_tree_write(*state, "low/50.policy", "this is no policy\n");
	assert_string_equal(deciding_file(*state), "high/50.policy");
}

static void a_link_to_dev_null_masks(void **state)
{
	policy_tree_write_rule(*state, "low/50.policy", "8086", "allow");
	assert_string_equal(deciding_file(*state), "low/50.policy");
	assert_int_equal(symlink("/dev/null", policy_tree_path(*state, "high/50.policy")), 0);
	assert_string_equal(deciding_file(*state), "");
}

static void a_relative_link_to_dev_null_masks(void **state)
{
	policy_tree_write_rule(*state, "low/50.policy", "8086", "allow");
	assert_int_equal(symlink("../../../dev/null", policy_tree_path(*state, "high/50.policy")), 0);
	assert_string_equal(deciding_file(*state), "");
}

static void an_empty_file_masks(void **state)
{
	policy_tree_write_rule(*state, "low/50.policy", "8086", "allow");
	policy_tree_write(*state, "high/50.policy", "");
	assert_string_equal(deciding_file(*state), "");
}

static void a_file_of_comments_overrides_with_nothing(void **state)
{
	policy_tree_write_rule(*state, "low/50.policy", "8086", "allow");
	policy_tree_write(*state, "high/50.policy", "# not on this machine\n");
	assert_string_equal(deciding_file(*state), "");
}

static void a_mask_in_a_later_folder_masks_nothing(void **state)
{
	policy_tree_write_rule(*state, "high/50.policy", "8086", "allow");
	assert_int_equal(symlink("/dev/null", policy_tree_path(*state, "low/50.policy")), 0);
	assert_string_equal(deciding_file(*state), "high/50.policy");
}

static void missing_folders_are_empty(void **state)
{
	static const char *const none[] = { NULL };
	static const char *const missing[] = { "/nonexistent/iommud/policy.d", "/nonexistent/2", NULL };
	struct policy_report report;
	struct policy *policy;

	assert_int_equal(policy_load(none, false, &policy, &report), 0);
	assert_null(report.text);
	assert_int_equal(policy_n_rules(policy), 0);
	policy_free(policy);
	assert_int_equal(policy_load(missing, false, &policy, &report), 0);
	assert_null(report.text);
	assert_int_equal(policy_ask(policy, &test_nic, "", 0).action, POLICY_DENY);
	policy_free(policy);
}

static void other_files_are_passed_over(void **state)
{
	policy_tree_write(*state, "high/50.policy~", "x\n");
	policy_tree_write(*state, "high/50.policy.bak", "x\n");
	policy_tree_write(*state, "high/.50.policy", "x\n");
	policy_tree_write(*state, "high/.policy", "x\n");
	policy_tree_write(*state, "high/README", "x\n");
	policy_tree_write(*state, "high/50.Policy", "x\n");
	assert_string_equal(deciding_file(*state), "");
}

static void shows_paths_without_doubled_slashes(void **state)
{
	struct policy_tree *tree = *state;
	struct policy_decision decision;
	struct policy *policy;

	policy_tree_write_rule(tree, "high/50.policy", "8086", "allow");
	strcat(tree->high, "//");
	policy = policy_tree_load(tree);
	decision = policy_ask(policy, &test_nic, "", 1000);
	assert_string_equal(decision.file, policy_tree_path(tree, "high/50.policy"));
	policy_free(policy);
}

static void reports_all_errors_of_all_files_in_order(void **state)
{
	policy_tree_write(*state, "high/20.policy", "[Match]\nVendor=x\n");
	policy_tree_write(*state, "low/10.policy", "nonsense\n");
	policy_tree_write_rule(*state, "high/15.policy", "8086", "allow");
	policy_tree_write_rule(*state, "high/16.policy", "8086", "allow");
	assert_int_equal(mkdir(policy_tree_path(*state, "high/18.policy"), 0755), 0);
	policy_tree_expect_errors(
		*state, true,
		"@/low/10.policy:1:1: error: neither a [Section] nor a Key=Value line\n"
		"@/high/16.policy:1:2: warning: this rule never decides: @/high/15.policy:1 comes first and fits all that "
		"this one fits\n"
		"@/high/18.policy: error: is not a regular file\n"
		"@/high/20.policy:1:2: error: this rule has no [Client] and no [Grant]; a rule is [Match], [Client], "
		"[Grant]\n"
		"@/high/20.policy:2:8: error: 'x' is no vendor id: four hexadecimal digits (0x8086 or 8086) or a glob over "
		"them (80*)\n");
}

static void one_bad_file_is_no_policy_at_all(void **state)
{
	policy_tree_write_rule(*state, "high/50.policy", "8086", "allow");
	policy_tree_write(*state, "high/90.policy", "x\n");
	policy_tree_expect_errors(*state, true,
				  "@/high/90.policy:1:1: error: neither a [Section] nor a Key=Value line\n");
}

static void keeps_warnings_of_a_policy_that_is_loaded(void **state)
{
	const struct policy_tree *tree = *state;
	struct policy_report report;
	struct policy *policy;

	policy_tree_write_rule(tree, "high/50.policy", "8086", "allow");
	policy_tree_write_rule(tree, "high/51.policy", "8086", "deny");
	assert_int_equal(policy_load(tree->dirs, true, &policy, &report), 0);
	assert_int_equal(report.n_errors, 0);
	assert_int_equal(report.n_warnings, 1);
	assert_non_null(strstr(report.text, "/high/51.policy:1:2: warning: this rule denies nothing: "));
	policy_report_clear(&report);
	assert_null(report.text);
	assert_int_equal(report.n_warnings, 0);
	policy_free(policy);
}

static void refuses_what_is_no_regular_file(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", policy_tree_path(*state, "high/3.policy"));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	/* A FIFO without a writer would block whoever opens it like a file. */
	assert_int_equal(mkfifo(policy_tree_path(*state, "high/1.policy"), 0644), 0);
	assert_int_equal(mkdir(policy_tree_path(*state, "high/2.policy"), 0755), 0);
	policy_tree_expect_errors(*state, true,
				  "@/high/1.policy: error: is not a regular file\n"
				  "@/high/2.policy: error: is not a regular file\n"
				  "@/high/3.policy: error: is not a regular file\n");
}

static void refuses_links_but_to_dev_null(void **state)
{
	policy_tree_write_rule(*state, "rule", "8086", "allow");
	assert_int_equal(symlink("../rule", policy_tree_path(*state, "high/1.policy")), 0);
	assert_int_equal(symlink("nowhere", policy_tree_path(*state, "high/2.policy")), 0);
	assert_int_equal(symlink("/dev/zero", policy_tree_path(*state, "high/3.policy")), 0);
	assert_int_equal(symlink("4.policy", policy_tree_path(*state, "high/4.policy")), 0);
	policy_tree_expect_errors(
		*state, true,
		"@/high/1.policy: error: is a symbolic link; only a link to /dev/null is taken, which masks the name\n"
		"@/high/2.policy: error: is a symbolic link; only a link to /dev/null is taken, which masks the name\n"
		"@/high/3.policy: error: is a symbolic link; only a link to /dev/null is taken, which masks the name\n"
		"@/high/4.policy: error: is a symbolic link; only a link to /dev/null is taken, which masks the name\n");
}

static void limits_the_size_of_files(void **state)
{
	_cleanup_free_ char *text = malloc(1024 * 1024 + 2);

	memset(text, '\n', 1024 * 1024 + 1);
	text[1024 * 1024 + 1] = '\0';
	policy_tree_write(*state, "high/1.policy", text);
	policy_tree_expect_errors(*state, true, "@/high/1.policy: error: is larger than 1048576 bytes\n");
	text[1024 * 1024] = '\0';
	policy_tree_write(*state, "high/1.policy", text);
	assert_string_equal(deciding_file(*state), "");
}

static void refuses_names_that_would_forge_a_report(void **state)
{
	policy_tree_write(*state, "high/a\nb.policy", "");
	policy_tree_write(*state, "high/c d.policy", "");
	policy_tree_write(*state, "high/\xc3\xa9.policy", "");
	policy_tree_expect_errors(
		*state, true,
		"@/high/a?b.policy: error: has a name with blanks or characters that are not ASCII\n"
		"@/high/c?d.policy: error: has a name with blanks or characters that are not ASCII\n"
		"@/high/\?\?.policy: error: has a name with blanks or characters that are not ASCII\n");
}

static void refuses_a_folder_that_is_none(void **state)
{
	struct policy_tree *tree = *state;

	rmdir(tree->low);
	policy_tree_write(tree, "low", "x\n");
	policy_tree_expect_errors(tree, true, "@/low: error: is not a folder, or is a symbolic link\n");
}

static void refuses_a_folder_that_is_a_link_where_owners_count(void **state)
{
	struct policy_tree *tree = *state;

	if (geteuid() != 0)
		skip();
	rmdir(tree->low);
	assert_int_equal(symlink(tree->high, tree->low), 0);
	policy_tree_expect_errors(tree, false, "@/low: error: is not a folder, or is a symbolic link\n");
}

static void takes_files_of_root(void **state)
{
	const struct policy_tree *tree = *state;
	struct policy_report report;
	struct policy *policy;

	if (geteuid() != 0)
		skip();
	policy_tree_write_rule(tree, "high/50.policy", "8086", "allow");
	assert_int_equal(symlink("/dev/null", policy_tree_path(tree, "high/51.policy")), 0);
	assert_int_equal(policy_load(tree->dirs, false, &policy, &report), 0);
	assert_int_equal(policy_n_rules(policy), 1);
	policy_free(policy);
}

static void refuses_files_of_others(void **state)
{
	if (geteuid() != 0)
		skip();
	policy_tree_write_rule(*state, "high/1.policy", "8086", "allow");
	policy_tree_write(*state, "high/2.policy", "");
	assert_int_equal(symlink("/dev/null", policy_tree_path(*state, "high/3.policy")), 0);
	assert_int_equal(chown(policy_tree_path(*state, "high/1.policy"), 1000, 0), 0);
	assert_int_equal(chown(policy_tree_path(*state, "high/2.policy"), 1001, 0), 0);
	assert_int_equal(lchown(policy_tree_path(*state, "high/3.policy"), 1002, 0), 0);
	policy_tree_expect_errors(*state, false,
				  "@/high/1.policy: error: belongs to uid 1000; policy must belong to root\n"
				  "@/high/2.policy: error: belongs to uid 1001; policy must belong to root\n"
				  "@/high/3.policy: error: belongs to uid 1002; policy must belong to root\n");
}

static void refuses_files_that_others_may_write(void **state)
{
	if (geteuid() != 0)
		skip();
	policy_tree_write_rule(*state, "high/1.policy", "8086", "allow");
	policy_tree_write_rule(*state, "high/2.policy", "8087", "allow");
	assert_int_equal(chmod(policy_tree_path(*state, "high/1.policy"), 0664), 0);
	assert_int_equal(chmod(policy_tree_path(*state, "high/2.policy"), 0646), 0);
	policy_tree_expect_errors(*state, false,
				  "@/high/1.policy: error: is writable by group or others (mode 0664); policy must be "
				  "writable by root only\n"
				  "@/high/2.policy: error: is writable by group or others (mode 0646); policy must be "
				  "writable by root only\n");
}

static void refuses_folders_of_others(void **state)
{
	struct policy_tree *tree = *state;

	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(tree->high, 1000, 0), 0);
	assert_int_equal(chmod(tree->low, 01777), 0);
	policy_tree_expect_errors(
		tree, false,
		"@/high: error: belongs to uid 1000; policy must belong to root\n"
		"@/low: error: is writable by group or others (mode 1777); policy must be writable by "
		"root only\n");
}

static void takes_files_of_anybody_when_asked_to(void **state)
{
	const struct policy_tree *tree = *state;

	policy_tree_write_rule(tree, "high/50.policy", "8086", "allow");
	if (geteuid() == 0)
		assert_int_equal(chown(policy_tree_path(tree, "high/50.policy"), 1000, 0), 0);
	assert_int_equal(chmod(policy_tree_path(tree, "high/50.policy"), 0666), 0);
	assert_string_equal(deciding_file(tree), "high/50.policy");
}

static void a_null_device_itself_masks(void **state)
{
	policy_tree_write_rule(*state, "low/50.policy", "8086", "allow");
	if (mknod(policy_tree_path(*state, "high/50.policy"), S_IFCHR | 0666, makedev(1, 3)) < 0)
		skip();
	assert_string_equal(deciding_file(*state), "");
}

static void load_digest(const struct policy_tree *tree, uint8_t ret[DIGEST_SIZE])
{
	struct policy *policy = policy_tree_load(tree);

	memcpy(ret, policy_digest(policy), DIGEST_SIZE);
	policy_free(policy);
}

static void assert_digest(const struct policy_tree *tree, const uint8_t digest[DIGEST_SIZE], bool same)
{
	uint8_t now[DIGEST_SIZE];

	load_digest(tree, now);
	assert_int_equal(memcmp(now, digest, DIGEST_SIZE) == 0, same);
}

static void the_digest_is_that_of_names_and_contents(void **state)
{
	uint8_t digest[DIGEST_SIZE];

	policy_tree_write_rule(*state, "high/50.policy", "8086", "allow");
	policy_tree_write_rule(*state, "low/60.policy", "10de", "allow");
	load_digest(*state, digest);
	assert_digest(*state, digest, true);

	/* Not of folders: what decides is the same. */
	unlink(policy_tree_path(*state, "low/60.policy"));
	policy_tree_write_rule(*state, "high/60.policy", "10de", "allow");
	assert_digest(*state, digest, true);
	policy_tree_write_rule(*state, "low/60.policy", "1111", "deny");
	assert_digest(*state, digest, true);

	policy_tree_write_rule(*state, "high/50.policy", "8087", "allow");
	assert_digest(*state, digest, false);
	policy_tree_write_rule(*state, "high/50.policy", "8086", "allow");
	assert_digest(*state, digest, true);
	policy_tree_write(*state, "low/70.policy", "#\n");
	assert_digest(*state, digest, false);
	policy_tree_write(*state, "low/70.policy", "");
	assert_digest(*state, digest, true);
}

static void the_digest_knows_where_a_file_ends(void **state)
{
	uint8_t digest[DIGEST_SIZE];

	policy_tree_write(*state, "high/1.policy", "#a\n#b\n");
	policy_tree_write(*state, "high/2.policy", "#c\n");
	load_digest(*state, digest);
	policy_tree_write(*state, "high/1.policy", "#a\n");
	policy_tree_write(*state, "high/2.policy", "#b\n#c\n");
	assert_digest(*state, digest, false);
}

static void the_digest_of_nothing_is_that_of_an_empty_policy(void **state)
{
	struct policy *policy;

	assert_int_equal(policy_new_empty(&policy), 0);
	assert_digest(*state, policy_digest(policy), true);
	policy_free(policy);
}

static void leaves_no_descriptor_open(void **state)
{
	unsigned int before = count_open_fds();

	policy_tree_write_rule(*state, "high/50.policy", "8086", "allow");
	policy_tree_write_rule(*state, "low/60.policy", "10de", "allow");
	policy_free(policy_tree_load(*state));
	assert_int_equal(count_open_fds(), before);
}

static void has_the_folders_of_the_manual(void **state)
{
	assert_string_equal(policy_default_dirs[0], "/etc/iommud/policy.d");
	assert_string_equal(policy_default_dirs[1], "/run/iommud/policy.d");
	assert_string_equal(policy_default_dirs[2], "/usr/lib/iommud/policy.d");
	assert_null(policy_default_dirs[3]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_first_file_by_name_decides_whatever_its_folder),
		TEST(names_are_ordered_as_bytes),
		TEST(a_file_overrides_its_namesake_in_later_folders),
		TEST(what_is_overridden_is_not_even_read),
		TEST(a_link_to_dev_null_masks),
		TEST(a_relative_link_to_dev_null_masks),
		TEST(an_empty_file_masks),
		TEST(a_file_of_comments_overrides_with_nothing),
		TEST(a_mask_in_a_later_folder_masks_nothing),
		TEST(missing_folders_are_empty),
		TEST(other_files_are_passed_over),
		TEST(shows_paths_without_doubled_slashes),
		TEST(reports_all_errors_of_all_files_in_order),
		TEST(one_bad_file_is_no_policy_at_all),
		TEST(keeps_warnings_of_a_policy_that_is_loaded),
		TEST(refuses_what_is_no_regular_file),
		TEST(refuses_links_but_to_dev_null),
		TEST(limits_the_size_of_files),
		TEST(refuses_names_that_would_forge_a_report),
		TEST(refuses_a_folder_that_is_none),
		TEST(refuses_a_folder_that_is_a_link_where_owners_count),
		TEST(takes_files_of_root),
		TEST(refuses_files_of_others),
		TEST(refuses_files_that_others_may_write),
		TEST(refuses_folders_of_others),
		TEST(takes_files_of_anybody_when_asked_to),
		TEST(a_null_device_itself_masks),
		TEST(the_digest_is_that_of_names_and_contents),
		TEST(the_digest_knows_where_a_file_ends),
		TEST(the_digest_of_nothing_is_that_of_an_empty_policy),
		TEST(leaves_no_descriptor_open),
		TEST(has_the_folders_of_the_manual),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
