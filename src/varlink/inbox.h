/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a client sent and was not handled yet: at most one frame too large by one byte, and no memory while empty. */
#ifndef IOMMUD_VARLINK_INBOX_H
#define IOMMUD_VARLINK_INBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct wire_fds;

struct varlink_inbox {
	char *data; /* NULL while empty */
	size_t size, capacity;
	size_t scanned; /* bytes that hold no NUL; a frame is complete when there is one behind them */
	size_t n_fds; /* descriptors that came with the first frame */
	size_t tail_fds, tail_start; /* those that came with a later one, and where that begins; 0 without */
};

/*
 * One recvmsg(), to be called only when no frame is complete. Returns the number of bytes, 0 at the end of the stream, or
 * a negative errno (-EAGAIN: nothing there). Descriptors are the caller's, and counted for the frame they came with.
 */
ssize_t varlink_inbox_receive(struct varlink_inbox *inbox, int fd, struct wire_fds *ret_fds);

bool varlink_inbox_has_frame(const struct varlink_inbox *inbox);
/* Whether the first frame is larger than VARLINK_FRAME_MAX. */
bool varlink_inbox_is_overfull(const struct varlink_inbox *inbox);
/* Forgets the first frame (which must be complete) and gives memory back when nothing follows. */
void varlink_inbox_drop_frame(struct varlink_inbox *inbox);
void varlink_inbox_clear(struct varlink_inbox *inbox);

#endif
