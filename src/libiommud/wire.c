/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bytes and descriptors. Nothing is read ahead: the kernel's queue is looked at for the NUL first, and then exactly one
 * message is taken. So descriptors always belong to the message whose bytes they came with, poll() on the socket tells
 * the truth, and a process that inherits the socket finds nothing missing.
 *
 * Promises: what it received is handed out whole or closed. It never raises SIGPIPE and never leaves a descriptor without
 * close-on-exec.
 */
#include "wire.h"

#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#define CHUNK 4096

int iommud_wire_send(int fd, const char *bytes, size_t size)
{
	while (size > 0) {
		ssize_t n = send(fd, bytes, size, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EPIPE ? -ECONNRESET : -errno;
		bytes += n;
		size -= n;
	}
	return 0;
}

void iommud_message_clear(struct iommud_message *message)
{
	for (size_t i = 0; i < message->n_fds; i++)
		close_fd(message->fds[i]);
	free(message->text);
	*message = (struct iommud_message){ 0 };
}

/* Keeps what fits; closes the rest and says so. */
static bool message_add_fds(struct iommud_message *message, const struct cmsghdr *header)
{
	size_t n = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	bool fits = true;

	for (size_t i = 0; i < n; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
		if (message->n_fds < WIRE_FDS_MAX) {
			message->fds[message->n_fds++] = fd;
		} else {
			close_fd(fd);
			fits = false;
		}
	}
	return fits;
}

/*
 * The control buffer holds as many descriptors as the kernel passes at once, so "truncated" can only mean that it could
 * not install one: the limit of open files, or a security module.
 */
static int message_take_control(struct iommud_message *message, struct msghdr *header)
{
	bool fits = true;

	for (struct cmsghdr *control = CMSG_FIRSTHDR(header); control; control = CMSG_NXTHDR(header, control))
		if (control->cmsg_level == SOL_SOCKET && control->cmsg_type == SCM_RIGHTS)
			fits = message_add_fds(message, control) && fits;
	if (header->msg_flags & MSG_CTRUNC)
		return -EMFILE;
	return fits ? 0 : -EPROTO;
}

/* Returns how many bytes the next recvmsg() shall take: up to the NUL, or all that is there. */
static ssize_t wire_peek(int fd, char *chunk, bool *ret_ends)
{
	ssize_t n;
	const char *nul;

	do
		n = recv(fd, chunk, CHUNK, MSG_PEEK);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	nul = memchr(chunk, '\0', n);
	*ret_ends = nul;
	return nul ? nul - chunk + 1 : n;
}

/* Takes `size` bytes (they are there already) to the end of the message. */
static int wire_take(int fd, struct iommud_message *message, size_t size)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * WIRE_FDS_MAX)];
		struct cmsghdr align;
	} control;
	struct iovec iov = { message->text + message->size, size };
	struct msghdr header = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	ssize_t n;

	do
		n = recvmsg(fd, &header, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	message->size += n;
	return message_take_control(message, &header);
}

static int message_reserve(struct iommud_message *message, size_t size)
{
	char *text;

	if (message->size + size > WIRE_MESSAGE_MAX + 1)
		return -EPROTO;
	text = realloc(message->text, message->size + size + 1);
	if (!text)
		return -ENOMEM;
	message->text = text;
	return 0;
}

int iommud_wire_receive(int fd, struct iommud_message *ret)
{
	_cleanup_message_ struct iommud_message message = { 0 };
	char chunk[CHUNK];
	bool ends = false;

	do {
		ssize_t n = wire_peek(fd, chunk, &ends);
		size_t before = message.size;
		int r;

		if (n < 0)
			return n;
		if (n == 0)
			return message.size == 0 ? -ECONNRESET : -EPROTO;
		r = message_reserve(&message, n);
		if (r == 0)
			r = wire_take(fd, &message, n);
		if (r < 0)
			return r;
		/* A recvmsg() that hands out descriptors may end before the NUL that was seen. */
		ends = ends && message.size - before == (size_t)n;
	} while (!ends);
	message.size--;
	*ret = message;
	message = (struct iommud_message){ 0 };
	return 0;
}
