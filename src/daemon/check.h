/* SPDX-License-Identifier: GPL-2.0-or-later */
/* iommud --check-policy: what `iommuctl policy check` runs, for the daemon is the authority on its own files. */
#ifndef IOMMUD_DAEMON_CHECK_H
#define IOMMUD_DAEMON_CHECK_H

#include "daemon/options.h"

/*
 * Loads the policy as the daemon would, with the label check against the groups of this machine, and prints every error
 * and warning. Returns the exit status: 0 fine, 1 errors.
 */
int check_policy(const struct options *options);

#endif
