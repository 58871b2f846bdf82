/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules that never get to decide. Private to src/policy. */
#ifndef IOMMUD_POLICY_COVERAGE_H
#define IOMMUD_POLICY_COVERAGE_H

#include "policy/report.h"
#include "policy/rule.h"

/* Warns of each rule for which an earlier one provably fits whatever it fits. */
void policy_warn_of_covered(const struct policy *policy, struct report *report);

#endif
