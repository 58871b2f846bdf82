/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kinds of clients that rules tell apart, and whether labels can differ at all. Private to src/policy. */
#ifndef IOMMUD_POLICY_LABELS_H
#define IOMMUD_POLICY_LABELS_H

#include "policy/rule.h"

/* Fills policy::client_kinds, rule::next_of_client and policy::labels_differ, once all rules are there. -ENOMEM. */
int policy_index_clients(struct policy *policy);

#endif
