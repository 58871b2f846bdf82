/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The epoll and the order of things. A round hands out the events there are, then tells the user about connections that
 * ended, then frees: so nothing that an event, a handler or a caller still holds goes away under it. A user that ends a
 * connection from inside of `disconnected` finds it dealt with in the same round.
 */
#include "varlink/server.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "varlink/core.h"
#include "varlink/wire.h"

#define EVENTS_PER_ROUND 64

DEFINE_CLEANUP(server, struct varlink_server *, varlink_server_free)

void varlink_close_fds(const int *fds, size_t n_fds)
{
	for (size_t i = 0; i < n_fds; i++)
		close_fd(fds[i]);
}

/* ---- deadlines ---- */

uint64_t varlink_now_usec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void varlink_deadline_arm(struct varlink_deadline *deadline, struct list_link *list, uint64_t timeout_usec)
{
	uint64_t now = varlink_now_usec();

	if (!list_is_empty(&deadline->link))
		return;
	deadline->at_usec = timeout_usec < UINT64_MAX - now ? now + timeout_usec : UINT64_MAX;
	list_append(list, &deadline->link);
}

void varlink_deadline_disarm(struct varlink_deadline *deadline)
{
	list_unlink(&deadline->link);
}

static uint64_t list_deadline(const struct list_link *list)
{
	if (list_is_empty(list))
		return UINT64_MAX;
	return list_first_entry(list, struct varlink_deadline, link)->at_usec;
}

uint64_t varlink_server_next_deadline(const struct varlink_server *server)
{
	uint64_t frame = list_deadline(&server->frame_deadlines), send = list_deadline(&server->send_deadlines);
	uint64_t first = frame < send ? frame : send;

	return first < server->resume_usec ? first : server->resume_usec;
}

/* ---- the end of connections ---- */

static void server_end_connection(struct varlink_server *server, struct varlink_connection *connection)
{
	if (connection->announced) {
		connection->announced = false;
		server->n_connections--;
		if (server->config.disconnected)
			server->config.disconnected(server->config.userdata, connection);
	}
	varlink_connection_bury(connection);
}

static void server_reap(struct varlink_server *server)
{
	while (!list_is_empty(&server->doomed))
		server_end_connection(server, list_first_entry(&server->doomed, struct varlink_connection, link));
	while (!list_is_empty(&server->dead))
		varlink_connection_free(list_first_entry(&server->dead, struct varlink_connection, link));
}

static void expire_frames(struct varlink_server *server, uint64_t now_usec)
{
	while (list_deadline(&server->frame_deadlines) <= now_usec)
		varlink_connection_doom(
			list_first_entry(&server->frame_deadlines, struct varlink_connection, frame_deadline.link));
}

/*
 * Whether the client is late, or we are: descriptors may have been read, which nobody told us, and a socket with room may
 * only wait for its turn.
 */
static bool connection_is_late(struct varlink_connection *connection)
{
	if (varlink_connection_owes_reading(connection))
		return true;
	return (connection->interest & EPOLLOUT) && !wire_has_room(connection->fd);
}

static void expire_sends(struct varlink_server *server, uint64_t now_usec)
{
	while (list_deadline(&server->send_deadlines) <= now_usec) {
		struct varlink_connection *connection =
			list_first_entry(&server->send_deadlines, struct varlink_connection, send_deadline.link);

		if (connection_is_late(connection))
			varlink_connection_doom(connection);
		else
			varlink_deadline_disarm(&connection->send_deadline);
	}
}

void varlink_server_expire(struct varlink_server *server, uint64_t now_usec)
{
	expire_frames(server, now_usec);
	expire_sends(server, now_usec);
	varlink_listeners_resume(server, now_usec);
	server_reap(server);
}

/* ---- the server ---- */

static int check_config(const struct varlink_server_config *config)
{
	const struct varlink_limits *limits = &config->limits;

	if (!config->vendor || !config->product || !config->version || !config->url)
		return -EINVAL;
	/* Zero would shut everybody out, which nobody means. */
	if (limits->max_connections == 0 || limits->max_connections_per_uid == 0 || limits->frame_timeout_usec == 0 ||
	    limits->send_timeout_usec == 0 || limits->send_buffer_max == 0)
		return -EINVAL;
	return 0;
}

int varlink_server_new(const struct varlink_server_config *config, struct varlink_server **ret)
{
	_cleanup_(cleanup_server) struct varlink_server *server = NULL;
	int r = check_config(config);

	if (r < 0)
		return r;
	server = calloc(1, sizeof(*server));
	if (!server)
		return -ENOMEM;
	server->config = *config;
	server->resume_usec = UINT64_MAX;
	list_init(&server->listeners);
	list_init(&server->connections);
	list_init(&server->doomed);
	list_init(&server->tombs);
	list_init(&server->dead);
	list_init(&server->frame_deadlines);
	list_init(&server->send_deadlines);
	varlink_uids_init(&server->uids);
	server->reserve_fd = -1;
	server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (server->epoll_fd < 0)
		return -errno;
	server->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (server->reserve_fd < 0)
		return -errno;
	*ret = TAKE_PTR(server);
	return 0;
}

struct varlink_server *varlink_server_free(struct varlink_server *server)
{
	if (!server)
		return NULL;
	varlink_listeners_free(server);
	while (!list_is_empty(&server->connections)) {
		varlink_connection_doom(list_first_entry(&server->connections, struct varlink_connection, link));
		server_reap(server);
	}
	server_reap(server);
	while (!list_is_empty(&server->tombs))
		varlink_connection_free(list_first_entry(&server->tombs, struct varlink_connection, link));
	close_fd(server->reserve_fd);
	close_fd(server->epoll_fd);
	free(server);
	return NULL;
}

int varlink_server_get_fd(const struct varlink_server *server)
{
	return server->epoll_fd;
}

int varlink_server_dispatch(struct varlink_server *server)
{
	struct epoll_event events[EVENTS_PER_ROUND];
	int n = epoll_wait(server->epoll_fd, events, EVENTS_PER_ROUND, 0);

	if (n < 0 && errno != EINTR)
		return -errno;
	for (int i = 0; i < n; i++) {
		struct varlink_source *source = events[i].data.ptr;

		source->ready(source, events[i].events);
	}
	server_reap(server);
	return 0;
}

size_t varlink_server_n_connections(const struct varlink_server *server)
{
	return server->n_connections;
}

/* ---- what users may know of a connection ---- */

struct identity *varlink_connection_get_identity(struct varlink_connection *connection)
{
	return &connection->identity;
}

int varlink_connection_get_fd(const struct varlink_connection *connection)
{
	return connection->fd;
}

void varlink_connection_set_userdata(struct varlink_connection *connection, void *userdata)
{
	connection->userdata = userdata;
}

void *varlink_connection_get_userdata(const struct varlink_connection *connection)
{
	return connection->userdata;
}

size_t varlink_connection_queued(const struct varlink_connection *connection)
{
	return connection->outbox.queued;
}
