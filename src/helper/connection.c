/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who may talk to the helper is decided here, once, by the uid that the kernel recorded. Nothing is queued for a peer that
 * does not read: it is cut off, and learns of its open transactions by NEXT when it comes back.
 */
#include "helper/connection.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "util/cleanup.h"
#include "util/log.h"

/* More than any request takes, so that a second one is seen; what is beyond is closed by the kernel. */
#define DESCRIPTORS_MAX 8

void connections_init(struct helper *helper)
{
	for (size_t i = 0; i < HELPER_CONNECTIONS_MAX; i++)
		helper->connections[i] = (struct connection){ .fd = -1 };
}

static struct connection *find_place(struct helper *helper)
{
	for (size_t i = 0; i < HELPER_CONNECTIONS_MAX; i++) {
		if (helper->connections[i].fd < 0)
			return &helper->connections[i];
	}
	return NULL;
}

static bool is_broker(const struct helper *helper, int fd)
{
	socklen_t size = sizeof(struct ucred);
	struct ucred peer;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return false;
	if (peer.uid == helper->options.broker_uid)
		return true;
	log_warning("refused a connection of uid %u (pid %d): only the broker's uid %u is served", peer.uid, peer.pid,
		    helper->options.broker_uid);
	return false;
}

void connection_accept(struct helper *helper, int listen_fd)
{
	_cleanup_fd_ int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct connection *place = find_place(helper);

	if (fd < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			log_warning("can't accept a connection: %s", strerror(errno));
		return;
	}
	if (!is_broker(helper, fd))
		return;
	if (!place) {
		log_warning("refused a connection of the broker's: it has %d already", HELPER_CONNECTIONS_MAX);
		return;
	}
	place->id = ++helper->last_connection;
	place->fd = TAKE_FD(fd);
}

void packet_close(struct packet *packet)
{
	packet->fd = close_fd(packet->fd);
	packet->second_fd = close_fd(packet->second_fd);
}

static void keep_descriptor(struct packet *packet, int fd)
{
	size_t n = packet->n_fds++;

	if (n == 0)
		packet->fd = fd;
	else if (n == 1)
		packet->second_fd = fd;
	else
		close_fd(fd);
}

/* Keeps the first two descriptors and closes the others. */
static void take_descriptors(struct msghdr *message, struct packet *packet)
{
	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(message); cmsg; cmsg = CMSG_NXTHDR(message, cmsg)) {
		size_t n;

		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(fd));
			keep_descriptor(packet, fd);
		}
	}
	if (message->msg_flags & MSG_CTRUNC)
		packet->n_fds++;
}

int connection_receive(struct connection *connection, struct packet *ret)
{
	union {
		struct cmsghdr header;
		char buffer[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))];
	} control;
	struct packet packet = { .fd = -1, .second_fd = -1 };
	struct iovec iov = { &packet.request, sizeof(packet.request) };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	ssize_t n;

	do
		n = recvmsg(connection->fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT | MSG_TRUNC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -ECONNRESET;
	take_descriptors(&message, &packet);
	if (n == 0) {
		packet_close(&packet);
		return -ECONNRESET;
	}
	packet.size = n;
	*ret = packet;
	return 1;
}

static struct connection *find_connection(const struct helper *helper, uint64_t id)
{
	for (size_t i = 0; i < HELPER_CONNECTIONS_MAX; i++) {
		const struct connection *connection = &helper->connections[i];

		if (id && connection->fd >= 0 && connection->id == id)
			return (struct connection *)connection;
	}
	return NULL;
}

bool connection_is_open(const struct helper *helper, uint64_t id)
{
	return find_connection(helper, id) != NULL;
}

int connection_reply(struct helper *helper, uint64_t id, const struct helper_reply *reply)
{
	struct connection *connection = find_connection(helper, id);
	ssize_t n;

	if (!connection)
		return -ENOTCONN;
	do
		n = send(connection->fd, reply, sizeof(*reply), MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n == sizeof(*reply))
		return 0;
	if (errno != EPIPE && errno != ECONNRESET)
		log_warning("the broker does not take replies (%s): connection closed", strerror(errno));
	connection_close(connection);
	return -ENOTCONN;
}

void connection_close(struct connection *connection)
{
	connection->fd = close_fd(connection->fd);
	connection->id = 0;
}

struct helper_reply reply_new(uint64_t serial, enum helper_status status)
{
	struct helper_reply reply;

	memset(&reply, 0, sizeof(reply));
	reply.version = HELPER_VERSION;
	reply.serial = serial;
	reply.status = status;
	return reply;
}
