/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a client was sent and the kernel did not take yet: messages with their descriptors, in order. */
#ifndef IOMMUD_VARLINK_OUTBOX_H
#define IOMMUD_VARLINK_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "util/list.h"

struct varlink_outbox {
	struct list_link messages; /* of struct varlink_message */
	size_t queued; /* bytes in them that were not sent */
	bool fds_sent; /* descriptors went out, and nobody looked yet whether they were read */
};

void varlink_outbox_init(struct varlink_outbox *outbox);
/* Forgets what is queued and closes its descriptors. */
void varlink_outbox_clear(struct varlink_outbox *outbox);
bool varlink_outbox_is_empty(const struct varlink_outbox *outbox);

/*
 * Sends what the kernel takes of a message and queues the rest. The descriptors are taken over and closed in any case.
 * Returns 0 or a negative errno, with nothing of the message sent or queued then: -ENOBUFS beyond `limit` bytes,
 * -ETOOMANYREFS when the kernel has too many descriptors in flight, -EPIPE when the peer is gone, ...
 */
int varlink_outbox_send(struct varlink_outbox *outbox, int fd, const char *text, size_t size, const int *fds,
			size_t n_fds, size_t limit);

/*
 * Sends what the kernel takes of the queue. Returns the number of bytes it took (0: none now), or a negative errno:
 * -ETOOMANYREFS is about the first message, which stays queued, others are about the connection.
 */
int varlink_outbox_flush(struct varlink_outbox *outbox, int fd);

#endif
