/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules that never get to decide. Private to src/policy. */
#ifndef IOMMUD_POLICY_COVERAGE_H
#define IOMMUD_POLICY_COVERAGE_H

#include "policy/report.h"
#include "policy/rule.h"

/*
 * Reports each rule for which an earlier one provably fits whatever it fits. It is an error where a deny loses all effect to
 * an allow of the same file, for who wrote both can't have meant both; else a warning: to override a rule of another file by
 * an earlier one is what the order of files is for.
 */
void report_covered(const struct policy *policy, struct report *report);

#endif
