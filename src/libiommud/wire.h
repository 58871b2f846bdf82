/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Messages on the socket: bytes that end with NUL, and the descriptors that came with them. Knows no JSON.
 * Blocking; not thread-safe for one socket.
 */
#ifndef LIBIOMMUD_WIRE_H
#define LIBIOMMUD_WIRE_H

#include <stddef.h>

#include "util/cleanup.h"

#define WIRE_MESSAGE_MAX (1024 * 1024) /* bytes without the NUL */
#define WIRE_FDS_MAX 253 /* the kernel's own limit for one message (SCM_MAX_FD) */

/* One message; the text is NUL-terminated and owned, and so are the descriptors. */
struct iommud_message {
	char *text;
	size_t size; /* without the NUL */
	int fds[WIRE_FDS_MAX];
	size_t n_fds;
};

/* Sends `size` bytes, the NUL at the end included. 0 or a negative errno; -ECONNRESET when the peer is gone. */
int iommud_wire_send(int fd, const char *bytes, size_t size);

/*
 * Receives one message and not one byte more. 0 or a negative errno: -ECONNRESET at the end of the stream, -EPROTO in the
 * middle of a message or beyond a limit, -EMFILE when the kernel could not install all descriptors. On failure nothing
 * stays open.
 */
int iommud_wire_receive(int fd, struct iommud_message *ret);

/* Frees the text and closes the descriptors that were not taken (set to -1). */
void iommud_message_clear(struct iommud_message *message);

#define _cleanup_message_ _cleanup_(iommud_message_clear)

#endif
