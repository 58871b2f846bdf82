/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two folders of policy files, "high" before "low", in a temporary folder of their own. Fails the running cmocka test
 * where something can't be made.
 */
#ifndef IOMMUD_TESTS_POLICY_TREE_H
#define IOMMUD_TESTS_POLICY_TREE_H

#include <limits.h>

#include "open-fds.h"
#include "policy/policy.h"

struct policy_tree {
	char root[64];
	char high[80];
	char low[80];
	const char *dirs[3]; /* for policy_load() */
};

void policy_tree_make(struct policy_tree *tree);
void policy_tree_remove(struct policy_tree *tree);

/* The path of `name` in the tree, as in "high/50.policy"; static, valid until the next call. */
const char *policy_tree_path(const struct policy_tree *tree, const char *name);
void policy_tree_write(const struct policy_tree *tree, const char *name, const char *text);

/* A whole rule that allows the vendor to the uid, into a file. */
void policy_tree_write_rule(const struct policy_tree *tree, const char *name, const char *vendor, const char *action);

/* Loads with any owner; there must be no errors, and warnings are passed over. */
struct policy *policy_tree_load(const struct policy_tree *tree);

/* Loads and compares the report, in which "@" stands for the tree's folder. Must fail. */
void policy_tree_expect_errors(const struct policy_tree *tree, bool any_owner, const char *expected);

#endif
