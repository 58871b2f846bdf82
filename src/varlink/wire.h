/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes and descriptors over a connected, non-blocking unix stream socket. */
#ifndef IOMMUD_VARLINK_WIRE_H
#define IOMMUD_VARLINK_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#define WIRE_FDS_MAX 253 /* what the kernel lets pass in one message, SCM_MAX_FD */

struct wire_fds {
	size_t n;
	bool truncated; /* there were more, which the kernel could not give us and closed */
	int fds[WIRE_FDS_MAX];
};

/*
 * One recvmsg(). Returns the number of bytes, 0 at the end of the stream, or a negative errno. Descriptors that came along
 * are in `ret_fds` (the caller's), whose `n` is set in any case.
 */
ssize_t wire_receive(int fd, void *buffer, size_t size, struct wire_fds *ret_fds);

/* One sendmsg(), never a SIGPIPE. Returns the number of bytes, or a negative errno; descriptors go with the first byte. */
ssize_t wire_send(int fd, const struct iovec *iov, size_t n_iov, const int *fds, size_t n_fds);

/* Whether the peer has read all that was sent, so that no descriptor is in flight any more. */
bool wire_is_read(int fd);

/* Whether a send would be taken now, at least in part. */
bool wire_has_room(int fd);

/*
 * Makes the send buffer as small as the kernel allows, so that a client which does not read holds up its own calls
 * instead of our memory.
 */
int wire_shrink_send_buffer(int fd);

#endif
