/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From the policy's folders into the broker: the same at start, and for a reload. */
#ifndef IOMMUD_DAEMON_POLICY_FILES_H
#define IOMMUD_DAEMON_POLICY_FILES_H

#include "broker/broker.h"
#include "daemon/options.h"

/* Of the command line, or the system's; NULL-terminated. */
const char *const *policy_files_dirs(const struct options *options);

/*
 * Loads the set for somebody at a terminal: errors and warnings go to standard error. As policy_load(); `report` is the
 * caller's, policy_report_clear().
 */
int policy_files_read(const struct options *options, struct policy **ret, struct policy_report *report);

/*
 * Loads the set and puts it in force. Fails closed: a set with an error is not loaded, and what the broker had stays. Errors
 * and warnings are logged, all of them. 0 or a negative errno.
 */
int policy_files_load(const struct options *options, struct broker *broker);

#endif
