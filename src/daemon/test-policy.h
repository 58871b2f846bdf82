/* SPDX-License-Identifier: GPL-2.0-or-later */
/* iommud --test-policy FILE: what `iommuctl policy test` runs, for an administrator's own checks of a set of rules. */
#ifndef IOMMUD_DAEMON_TEST_POLICY_H
#define IOMMUD_DAEMON_TEST_POLICY_H

#include "daemon/options.h"

/*
 * Loads the policy and holds its decisions against what the file expects, a line of TAP each. Returns the exit status: 0 all
 * as expected; 1 something differs, or policy or file have errors, which are printed.
 */
int test_policy(const struct options *options);

#endif
