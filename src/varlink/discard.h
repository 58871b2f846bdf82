/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Closing what strangers sent. The last close(2) of a lingering TCP socket or of a file on a stranger's FUSE file system
 * blocks for as long as that stranger likes, so it is never done on the event loop.
 */
#ifndef IOMMUD_VARLINK_DISCARD_H
#define IOMMUD_VARLINK_DISCARD_H

#include <stddef.h>

/*
 * Takes over `fds` and has them closed. Returns a descriptor (the caller's) that polls EPOLLHUP once they are, or a
 * negative errno: then they were closed here and now.
 */
int varlink_discard(const int *fds, size_t n_fds);

/*
 * Takes over and closes a connected socket, after shutting it down. Unread bytes in it may carry descriptors: then it is
 * discarded as above and the descriptor to wait for returned, else -1.
 */
int varlink_discard_socket(int fd);

#endif
