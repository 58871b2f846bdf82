/* SPDX-License-Identifier: GPL-2.0-or-later */
/* System calls on one socket, and nothing kept between them. Every received descriptor is close-on-exec from birth. */
#include "varlink/wire.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "util/cleanup.h"

/*
 * While the kernel wakes a writer, it keeps one byte of the packet that was just read on the account (sock_wfree()). A
 * packet that still waits counts with its bookkeeping: at least 512 bytes.
 */
#define UNREAD_PACKET_MIN 256

static void take_fds(struct msghdr *message, struct wire_fds *ret)
{
	struct cmsghdr *header;

	for (header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
		size_t n = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		memcpy(ret->fds + ret->n, CMSG_DATA(header), n * sizeof(int));
		ret->n += n;
	}
}

ssize_t wire_receive(int fd, void *buffer, size_t size, struct wire_fds *ret_fds)
{
	struct iovec iov = { .iov_base = buffer, .iov_len = size };
	union {
		char space[CMSG_SPACE(sizeof(int) * WIRE_FDS_MAX)];
		struct cmsghdr align;
	} control;
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n;

	ret_fds->n = 0;
	ret_fds->truncated = false;
	do {
		n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	take_fds(&message, ret_fds);
	ret_fds->truncated = message.msg_flags & MSG_CTRUNC;
	return n;
}

static void attach_fds(struct msghdr *message, void *control, const int *fds, size_t n_fds)
{
	struct cmsghdr *header;

	message->msg_control = control;
	message->msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
	memset(control, 0, message->msg_controllen);
	header = CMSG_FIRSTHDR(message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
	memcpy(CMSG_DATA(header), fds, sizeof(int) * n_fds);
}

ssize_t wire_send(int fd, const struct iovec *iov, size_t n_iov, const int *fds, size_t n_fds)
{
	union {
		char space[CMSG_SPACE(sizeof(int) * WIRE_FDS_MAX)];
		struct cmsghdr align;
	} control;
	struct msghdr message = { .msg_iov = (struct iovec *)iov, .msg_iovlen = n_iov };
	ssize_t n;

	if (n_fds > WIRE_FDS_MAX)
		return -E2BIG;
	if (n_fds > 0)
		attach_fds(&message, &control, fds, n_fds);
	do {
		n = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

bool wire_is_read(int fd)
{
	int unread;

	return ioctl(fd, SIOCOUTQ, &unread) < 0 || unread < UNREAD_PACKET_MIN;
}

bool wire_has_room(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLOUT };

	return poll(&poll_fd, 1, 0) > 0 && (poll_fd.revents & POLLOUT);
}

int wire_shrink_send_buffer(int fd)
{
	int smallest = 1;

	return setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &smallest, sizeof(smallest)) < 0 ? -errno : 0;
}
