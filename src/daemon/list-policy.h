/* SPDX-License-Identifier: GPL-2.0-or-later */
/* iommud --list-policy: what `iommuctl policy list` runs: the rules in the order in which they are taken, and the files. */
#ifndef IOMMUD_DAEMON_LIST_POLICY_H
#define IOMMUD_DAEMON_LIST_POLICY_H

#include "daemon/options.h"

/* Prints rules and files, aligned or as JSON. Returns the exit status: 0, or 1 for a policy with errors, which are printed. */
int list_policy(const struct options *options);

#endif
