/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The helper's loop: one poll() over the listening socket, signals, connections and workers. */
#ifndef IOMMUD_HELPER_SERVER_H
#define IOMMUD_HELPER_SERVER_H

#include "helper/helper.h"

/*
 * Listens at `path`, for the owner `uid` alone. A socket that nobody listens at any more is replaced; anything else
 * there is not. Returns the descriptor or a negative errno; -EADDRINUSE: somebody listens there.
 */
int server_listen(const char *path, uid_t uid);

/*
 * Serves until SIGTERM or SIGINT; then returns at once, and workers finish alone. `helper` is set up but for its
 * connections and jobs. 0, or a negative errno.
 */
int server_run(struct helper *helper, int listen_fd);

#endif
