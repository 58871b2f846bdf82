/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon as a whole: makes the parts in order, joins them by one event loop, and takes them apart. The order counts:
 * events are subscribed to before sysfs is scanned, and privileges are gone before the first client is accepted.
 */
#ifndef IOMMUD_DAEMON_MANAGER_H
#define IOMMUD_DAEMON_MANAGER_H

#include "daemon/options.h"
#include "util/config.h"

struct manager;

/* Everything but the loop; on failure the reason was logged. 0 or a negative errno. */
int manager_new(const struct options *options, const struct config *config, struct manager **ret);
/* Accepts NULL, returns NULL. */
struct manager *manager_free(struct manager *manager);

/* Serves until SIGTERM or SIGINT. 0 or a negative errno. */
int manager_run(struct manager *manager);

#endif
