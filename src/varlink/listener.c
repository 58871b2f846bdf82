/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Listening sockets and who comes in through them. A client that may not come in is told why and shown out, never left
 * waiting in the backlog, where it would keep the descriptor ready and the event loop spinning. When there is no
 * descriptor left to accept with, one that is kept for this is given up for a moment; when that does not help either,
 * nobody listens for a while.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "util/log.h"
#include "varlink/call.h"
#include "varlink/core.h"
#include "varlink/discard.h"
#include "varlink/wire.h"

#define ACCEPT_BATCH 16 /* at once, before clients that are in get their turn */
#define PAUSE_USEC 500000

struct varlink_listener {
	struct varlink_source source;
	struct varlink_server *server;
	struct list_link link; /* varlink_server::listeners */
	int fd;
};

static void listeners_watch(struct varlink_server *server, uint32_t interest)
{
	struct varlink_listener *listener;

	list_for_each(listener, &server->listeners, link) {
		struct epoll_event event = { .events = interest, .data.ptr = &listener->source };

		epoll_ctl(server->epoll_fd, EPOLL_CTL_MOD, listener->fd, &event);
	}
}

static void listeners_pause(struct varlink_server *server, int error)
{
	log_error("Can't accept clients: %s. Trying again in a moment.", strerror(error));
	listeners_watch(server, 0);
	server->resume_usec = varlink_now_usec() + PAUSE_USEC;
}

void varlink_listeners_resume(struct varlink_server *server, uint64_t now_usec)
{
	if (now_usec < server->resume_usec)
		return;
	server->resume_usec = UINT64_MAX;
	listeners_watch(server, EPOLLIN);
}

/* ---- who may not come in ---- */

/* The socket is new, so a few bytes fit; if they do not, the client is shown out all the same. */
static void turn_away(int fd, const char *quota, uint64_t limit, const char *reason)
{
	json_object *message = varlink_quota_exceeded(quota, limit, reason);
	struct iovec iov = { 0 };

	if (message)
		iov.iov_base = (char *)json_object_to_json_string_length(message, VARLINK_JSON_FLAGS, &iov.iov_len);
	if (iov.iov_base) {
		iov.iov_len++;
		wire_send(fd, &iov, 1, NULL, 0);
	}
	json_object_put(message);
	close_fd(varlink_discard_socket(fd));
}

/* Whether the client is one too many; then it is gone, and `fd` with it. */
static bool turn_away_surplus(struct varlink_server *server, int fd, uid_t uid)
{
	const struct varlink_limits *limits = &server->config.limits;
	char reason[128];

	if (varlink_uids_count(&server->uids, uid) >= limits->max_connections_per_uid) {
		snprintf(reason, sizeof(reason), "user %u has %u connections open, which is the limit for one user",
			 (unsigned int)uid, limits->max_connections_per_uid);
		turn_away(fd, "connectionsPerUser", limits->max_connections_per_uid, reason);
		return true;
	}
	if (server->n_held >= limits->max_connections) {
		snprintf(reason, sizeof(reason), "%u connections are open, which is the limit for all users",
			 limits->max_connections);
		turn_away(fd, "connections", limits->max_connections, reason);
		return true;
	}
	return false;
}

/* ---- who may ---- */

static int announce(struct varlink_connection *connection)
{
	struct varlink_server *server = connection->server;
	int r = server->config.connected ? server->config.connected(server->config.userdata, connection) : 0;

	if (r < 0) {
		varlink_connection_doom(connection);
		return r;
	}
	connection->announced = true;
	server->n_connections++;
	return 0;
}

int varlink_server_adopt(struct varlink_server *server, int fd, enum varlink_mark mark, struct varlink_connection **ret,
			 struct varlink_call **ret_call)
{
	struct identity identity = IDENTITY_INIT;
	struct varlink_connection *connection;
	int r = identity_from_socket(fd, &identity);

	*ret_call = NULL;
	if (r < 0) {
		close_fd(varlink_discard_socket(fd));
		return r;
	}
	r = varlink_connection_new(server, fd, &identity, &connection);
	if (r == 0)
		r = announce(connection);
	if (r == 0)
		r = varlink_connection_go_on(connection, mark, ret_call);
	if (r == 0)
		*ret = connection;
	return r;
}

static void admit(struct varlink_server *server, int fd)
{
	struct identity identity = IDENTITY_INIT;
	struct varlink_connection *connection;
	int r = identity_from_socket(fd, &identity);

	if (r < 0) {
		log_error("Can't tell who a client is: %s", strerror(-r));
		close_fd(varlink_discard_socket(fd));
		return;
	}
	if (turn_away_surplus(server, fd, identity.uid)) {
		identity_clear(&identity);
		return;
	}
	r = varlink_connection_new(server, fd, &identity, &connection);
	if (r < 0) {
		log_error("Can't take a client: %s", strerror(-r));
		return;
	}
	(void)announce(connection);
}

/* 0 when one client was dealt with, or a negative errno. */
static int accept_with_reserve(struct varlink_server *server, int listener_fd)
{
	struct rlimit limit = { 0 };
	int fd, r = 0;

	if (server->reserve_fd < 0)
		return -EMFILE;
	server->reserve_fd = close_fd(server->reserve_fd);
	fd = accept4(listener_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		r = -errno;
	} else {
		getrlimit(RLIMIT_NOFILE, &limit);
		turn_away(
			fd, "descriptors", limit.rlim_cur,
			"the service has no file descriptor left; try again, or raise LimitNOFILE= of iommud.service");
	}
	server->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return r;
}

/* 0 when one client was dealt with, or a negative errno. */
static int accept_one(struct varlink_server *server, int listener_fd)
{
	int fd = accept4(listener_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0) {
		admit(server, fd);
		return 0;
	}
	if (errno == EINTR || errno == ECONNABORTED)
		return 0;
	if (errno == EMFILE || errno == ENFILE)
		return accept_with_reserve(server, listener_fd);
	return -errno;
}

static void listener_ready(struct varlink_source *source, uint32_t events)
{
	struct varlink_listener *listener = container_of(source, struct varlink_listener, source);
	struct varlink_server *server = listener->server;
	int r = 0;

	if (server->reserve_fd < 0)
		server->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	for (int i = 0; i < ACCEPT_BATCH && r == 0; i++)
		r = accept_one(server, listener->fd);
	if (r < 0 && r != -EAGAIN)
		listeners_pause(server, -r);
}

static int check_listening(int fd)
{
	socklen_t size = sizeof(int);
	int listening = 0, domain = 0, flags;

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) < 0)
		return -errno;
	size = sizeof(domain);
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0)
		return -errno;
	if (!listening || domain != AF_UNIX)
		return -EINVAL;
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

int varlink_server_add_listener(struct varlink_server *server, int fd)
{
	_cleanup_fd_ int owned = fd;
	struct varlink_listener *listener;
	struct epoll_event event = { .events = EPOLLIN };
	int r = check_listening(fd);

	if (r < 0)
		return r;
	listener = calloc(1, sizeof(*listener));
	if (!listener)
		return -ENOMEM;
	listener->source.ready = listener_ready;
	listener->server = server;
	event.data.ptr = &listener->source;
	if (epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		r = -errno;
		free(listener);
		return r;
	}
	listener->fd = TAKE_FD(owned);
	list_append(&server->listeners, &listener->link);
	return 0;
}

void varlink_listeners_free(struct varlink_server *server)
{
	struct varlink_listener *listener, *following;

	list_for_each_safe(listener, following, &server->listeners, link) {
		epoll_ctl(server->epoll_fd, EPOLL_CTL_DEL, listener->fd, NULL);
		list_unlink(&listener->link);
		close_fd(listener->fd);
		free(listener);
	}
}
