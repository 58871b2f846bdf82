/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Managers in the making and at their end; asking for them is in policy.h. Private to src/policy. */
#ifndef IOMMUD_POLICY_MANAGERS_H
#define IOMMUD_POLICY_MANAGERS_H

#include "policy/rule.h"

/* Moves what the parser has read of one [Manage] into the policy. -ENOMEM: it stays the caller's. */
int policy_add_manager(struct policy *policy, struct manager_rule *manager);
void manager_rule_clear(struct manager_rule *manager);

#endif
