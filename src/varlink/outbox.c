/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The queue behind a socket. Descriptors go with the first byte of their message, and a message that has some never
 * shares a sendmsg() with what goes before or after it. They are closed as soon as the kernel has its own reference.
 */
#include "varlink/outbox.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "util/cleanup.h"
#include "varlink/wire.h"

#define BATCH_MAX 16

struct varlink_message {
	struct list_link link; /* varlink_outbox::messages */
	size_t size, sent;
	int *fds;
	size_t n_fds; /* 0 once they are sent */
	char text[];
};

static void close_fds(const int *fds, size_t n_fds)
{
	for (size_t i = 0; i < n_fds; i++)
		close_fd(fds[i]);
}

static void message_close_fds(struct varlink_message *message)
{
	close_fds(message->fds, message->n_fds);
	free(message->fds);
	message->fds = NULL;
	message->n_fds = 0;
}

static struct varlink_message *message_free(struct varlink_message *message)
{
	if (!message)
		return NULL;
	list_unlink(&message->link);
	message_close_fds(message);
	free(message);
	return NULL;
}

DEFINE_CLEANUP(message, struct varlink_message *, message_free)

void varlink_outbox_init(struct varlink_outbox *outbox)
{
	*outbox = (struct varlink_outbox){ 0 };
	list_init(&outbox->messages);
}

void varlink_outbox_clear(struct varlink_outbox *outbox)
{
	while (!list_is_empty(&outbox->messages))
		message_free(list_first_entry(&outbox->messages, struct varlink_message, link));
	outbox->queued = 0;
}

bool varlink_outbox_is_empty(const struct varlink_outbox *outbox)
{
	return list_is_empty(&outbox->messages);
}

/* `fds` stay the caller's until this succeeded. */
static int outbox_queue(struct varlink_outbox *outbox, const char *text, size_t size, const int *fds, size_t n_fds)
{
	_cleanup_(cleanup_message) struct varlink_message *message = malloc(sizeof(*message) + size);

	if (!message)
		return -ENOMEM;
	*message = (struct varlink_message){ .size = size };
	list_init(&message->link);
	memcpy(message->text, text, size);
	if (n_fds > 0) {
		message->fds = malloc(n_fds * sizeof(int));
		if (!message->fds)
			return -ENOMEM;
		memcpy(message->fds, fds, n_fds * sizeof(int));
		message->n_fds = n_fds;
	}
	list_append(&outbox->messages, &message->link);
	outbox->queued += size;
	TAKE_PTR(message);
	return 0;
}

/* What can go in one sendmsg(): the first message alone if it has descriptors, else all up to the next one that has. */
static size_t outbox_gather(const struct varlink_outbox *outbox, struct iovec iov[BATCH_MAX])
{
	struct varlink_message *message;
	size_t n = 0;

	list_for_each(message, &outbox->messages, link) {
		if (n == BATCH_MAX || (n > 0 && message->n_fds > 0))
			break;
		iov[n].iov_base = message->text + message->sent;
		iov[n++].iov_len = message->size - message->sent;
		if (message->n_fds > 0)
			break;
	}
	return n;
}

static void outbox_advance(struct varlink_outbox *outbox, size_t n_bytes)
{
	outbox->queued -= n_bytes;
	while (n_bytes > 0) {
		struct varlink_message *message = list_first_entry(&outbox->messages, struct varlink_message, link);
		size_t rest = message->size - message->sent;

		if (message->n_fds > 0) {
			outbox->fds_sent = true;
			message_close_fds(message);
		}
		if (n_bytes < rest) {
			message->sent += n_bytes;
			return;
		}
		n_bytes -= rest;
		message_free(message);
	}
}

int varlink_outbox_flush(struct varlink_outbox *outbox, int fd)
{
	struct varlink_message *first = list_first_entry(&outbox->messages, struct varlink_message, link);
	struct iovec iov[BATCH_MAX];
	ssize_t n;

	if (varlink_outbox_is_empty(outbox))
		return 0;
	n = wire_send(fd, iov, outbox_gather(outbox, iov), first->fds, first->n_fds);
	if (n == -EAGAIN)
		return 0;
	if (n < 0)
		return n;
	outbox_advance(outbox, n);
	return n;
}

/* The common case, which allocates nothing: the queue is empty and the kernel takes all. Bytes taken, or an errno. */
static ssize_t outbox_send_now(struct varlink_outbox *outbox, int fd, const char *text, size_t size, const int *fds,
			       size_t n_fds)
{
	struct iovec iov = { .iov_base = (char *)text, .iov_len = size };
	ssize_t n;

	if (!varlink_outbox_is_empty(outbox))
		return 0;
	n = wire_send(fd, &iov, 1, fds, n_fds);
	if (n == -EAGAIN)
		return 0;
	if (n > 0 && n_fds > 0)
		outbox->fds_sent = true;
	return n;
}

int varlink_outbox_send(struct varlink_outbox *outbox, int fd, const char *text, size_t size, const int *fds,
			size_t n_fds, size_t limit)
{
	ssize_t n;
	int r;

	if (outbox->queued + size > limit) {
		close_fds(fds, n_fds);
		return -ENOBUFS;
	}
	n = outbox_send_now(outbox, fd, text, size, fds, n_fds);
	if (n != 0)
		close_fds(fds, n_fds);
	if (n < 0)
		return n;
	if ((size_t)n == size)
		return 0;
	r = outbox_queue(outbox, text + n, size - n, fds, n == 0 ? n_fds : 0);
	if (r < 0 && n == 0)
		close_fds(fds, n_fds);
	return r;
}
