/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy-tree.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "util/cleanup.h"

void policy_tree_make(struct policy_tree *tree)
{
	strcpy(tree->root, "/tmp/iommud-policy-XXXXXX");
	assert_non_null(mkdtemp(tree->root));
	snprintf(tree->high, sizeof(tree->high), "%s/high", tree->root);
	snprintf(tree->low, sizeof(tree->low), "%s/low", tree->root);
	assert_int_equal(mkdir(tree->high, 0755), 0);
	assert_int_equal(mkdir(tree->low, 0755), 0);
	tree->dirs[0] = tree->high;
	tree->dirs[1] = tree->low;
	tree->dirs[2] = NULL;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

void policy_tree_remove(struct policy_tree *tree)
{
	assert_int_equal(nftw(tree->root, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

const char *policy_tree_path(const struct policy_tree *tree, const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", tree->root, name);
	return path;
}

void policy_tree_write(const struct policy_tree *tree, const char *name, const char *text)
{
	_cleanup_fd_ int fd = open(policy_tree_path(tree, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

void policy_tree_write_rule(const struct policy_tree *tree, const char *name, const char *vendor, const char *action)
{
	char text[200];

	snprintf(text, sizeof(text), "[Match]\nVendor=%s\n[Client]\nUser=1000\n[Grant]\nAction=%s\n", vendor, action);
	policy_tree_write(tree, name, text);
}

struct policy *policy_tree_load(const struct policy_tree *tree)
{
	struct policy *policy = NULL;
	struct policy_report report;
	int r = policy_load(tree->dirs, true, &policy, &report);

	if (r < 0 && report.text)
		print_error("%s", report.text);
	assert_int_equal(r, 0);
	assert_int_equal(report.n_errors, 0);
	assert_non_null(policy);
	policy_report_clear(&report);
	return policy;
}

/* "@" for the folder, whose name is another one in each run. */
static void replace_root(char *text, const char *root)
{
	char *found;

	while ((found = strstr(text, root))) {
		*found = '@';
		memmove(found + 1, found + strlen(root), strlen(found + strlen(root)) + 1);
	}
}

void policy_tree_expect_errors(const struct policy_tree *tree, bool any_owner, const char *expected)
{
	struct policy *policy = NULL;
	struct policy_report report;
	unsigned int fds = count_open_fds();
	int r = policy_load(tree->dirs, any_owner, &policy, &report);

	assert_int_equal(r, -EINVAL);
	assert_null(policy);
	assert_non_null(report.text);
	assert_true(report.n_errors > 0);
	assert_int_equal(count_open_fds(), fds);
	replace_root(report.text, tree->root);
	assert_string_equal(report.text, expected);
	policy_report_clear(&report);
}
