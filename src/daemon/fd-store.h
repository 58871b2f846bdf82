/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * systemd's descriptor store as the broker's keeper, and what comes out of it at the start. Descriptors in it survive a
 * restart of the service, however it came about, and not its stop.
 */
#ifndef IOMMUD_DAEMON_FD_STORE_H
#define IOMMUD_DAEMON_FD_STORE_H

#include <stdbool.h>

#include "broker/keeper.h"

struct service;
struct varlink_server;

struct fd_store {
	struct keeper keeper;
	unsigned int n; /* that it was told to keep, as far as we know */
};

/* `limit`: FileDescriptorStoreMax= of the unit. False: there is no service manager, or the limit is 0. */
bool fd_store_init(struct fd_store *store, unsigned int limit);

/*
 * Takes what systemd has passed: connections and claims go to the broker, the socket to listen on is returned (the caller's;
 * -1: there is none), all else is shut down and dropped from the store. Ends with broker_inherit_end(). Once only.
 */
int fd_store_take(struct fd_store *store, struct service *service, struct varlink_server *server);

#endif
