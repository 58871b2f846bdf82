/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A connection owns its socket, what is received and unhandled, what is sent and untaken, and one unanswered call. What it
 * waits for follows from these alone (connection_interest()):
 *
 *   a call unanswered, or held, or descriptors of the client
 *   being closed                                                   its hang-up
 *   bytes queued, or a whole call that may not be handled yet      room in the socket
 *   else                                                           bytes to read
 *
 * One event handles one call at most, so that a client with many calls waits among the others for its next turn. It never
 * blocks, never frees itself while it runs, and calls the server's user only through call.c.
 */
#include "varlink/connection.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "util/log.h"
#include "varlink/call.h"
#include "varlink/core.h"
#include "varlink/discard.h"
#include "varlink/wire.h"

void varlink_connection_watch(struct varlink_connection *connection, uint32_t interest)
{
	struct epoll_event event = { .events = interest, .data.ptr = &connection->socket_source };

	if (interest == connection->interest)
		return;
	epoll_ctl(connection->server->epoll_fd, EPOLL_CTL_MOD, connection->fd, &event);
	connection->interest = interest;
}

static void set_mark(struct varlink_connection *connection, enum varlink_mark mark)
{
	/* Whenever the process ends, what it did before this is done, and what it does after is not. */
	if (connection->mark)
		__atomic_store_n(connection->mark, mark, __ATOMIC_RELEASE);
}

void varlink_connection_set_mark(struct varlink_connection *connection, uint32_t *mark)
{
	connection->mark = mark;
	set_mark(connection, connection->busy ? VARLINK_MARK_BUSY : varlink_connection_get_mark(connection));
}

enum varlink_mark varlink_connection_get_mark(const struct varlink_connection *connection)
{
	const struct varlink_inbox *inbox = &connection->inbox;

	if (connection->doomed)
		return VARLINK_MARK_NONE;
	if (!varlink_outbox_is_empty(&connection->outbox) || connection->closing || connection->discard_fd >= 0)
		return VARLINK_MARK_BUSY;
	if (connection->call && !connection->answering)
		return inbox->size > 0 ? VARLINK_MARK_BUSY : varlink_call_get_mark(connection->call);
	if (inbox->size == 0)
		return connection->skips ? VARLINK_MARK_PARTIAL : VARLINK_MARK_IDLE;
	if (!varlink_inbox_has_frame(inbox))
		return VARLINK_MARK_PARTIAL;
	return inbox->size == inbox->scanned + 1 ? VARLINK_MARK_CALLED : VARLINK_MARK_BUSY;
}

void varlink_connection_doom(struct varlink_connection *connection)
{
	if (connection->doomed)
		return;
	connection->doomed = true;
	set_mark(connection, VARLINK_MARK_NONE);
	list_unlink(&connection->link);
	list_append(&connection->server->doomed, &connection->link);
	varlink_deadline_disarm(&connection->frame_deadline);
	varlink_deadline_disarm(&connection->send_deadline);
	/* A socket that is shut down polls EPOLLHUP: so the server's descriptor is ready until this is dealt with. */
	shutdown(connection->fd, SHUT_RDWR);
	varlink_connection_watch(connection, 0);
}

bool varlink_connection_owes_reading(struct varlink_connection *connection)
{
	if (!connection->outbox.fds_sent)
		return false;
	if (!wire_is_read(connection->fd))
		return true;
	connection->outbox.fds_sent = false;
	varlink_deadline_disarm(&connection->send_deadline);
	return false;
}

void varlink_connection_end(struct varlink_connection *connection)
{
	varlink_connection_doom(connection);
}

static uint32_t connection_interest(const struct varlink_connection *connection)
{
	bool queued = !varlink_outbox_is_empty(&connection->outbox);

	if (connection->call || connection->discard_fd >= 0 || connection->held)
		return EPOLLRDHUP | (queued ? EPOLLOUT : 0);
	if (queued)
		return EPOLLOUT;
	if (!varlink_inbox_has_frame(&connection->inbox))
		return EPOLLIN;
	/*
	 * A small reply leaves the socket writable though it is unread. The edge comes once for that, and again when the
	 * kernel frees what was read; a level would spin.
	 */
	return EPOLLOUT | (connection->outbox.fds_sent ? EPOLLET : 0);
}

static void connection_set_deadlines(struct varlink_connection *connection)
{
	struct varlink_server *server = connection->server;

	if (connection->interest == EPOLLIN && connection->inbox.size > 0)
		varlink_deadline_arm(&connection->frame_deadline, &server->frame_deadlines,
				     server->config.limits.frame_timeout_usec);
	else
		varlink_deadline_disarm(&connection->frame_deadline);
	if ((connection->interest & EPOLLOUT) || connection->outbox.fds_sent)
		varlink_deadline_arm(&connection->send_deadline, &server->send_deadlines,
				     server->config.limits.send_timeout_usec);
	else
		varlink_deadline_disarm(&connection->send_deadline);
}

void varlink_connection_settle(struct varlink_connection *connection)
{
	if (connection->doomed || connection->busy)
		return;
	if (connection->closing && varlink_outbox_is_empty(&connection->outbox)) {
		varlink_connection_doom(connection);
		return;
	}
	varlink_connection_watch(connection, connection_interest(connection));
	connection_set_deadlines(connection);
	set_mark(connection, varlink_connection_get_mark(connection));
}

int varlink_connection_send(struct varlink_connection *connection, json_object *message, const int *fds, size_t n_fds)
{
	size_t size = 0;
	const char *text = NULL;
	int r = -ENOMEM;

	set_mark(connection, VARLINK_MARK_BUSY);
	if (message)
		text = json_object_to_json_string_length(message, VARLINK_JSON_FLAGS, &size);
	if (text)
		/* json-c ends the text with a NUL, and so does varlink. */
		r = varlink_outbox_send(&connection->outbox, connection->fd, text, size + 1, fds, n_fds,
					connection->server->config.limits.send_buffer_max);
	else
		varlink_close_fds(fds, n_fds);
	/* At once: whoever has his answer may see to it that we are killed. */
	if (r >= 0)
		set_mark(connection, varlink_connection_get_mark(connection));
	json_object_put(message);
	if (r < 0 && r != -ETOOMANYREFS)
		varlink_connection_doom(connection);
	return r;
}

/*
 * The kernel refuses the descriptors of a reply that was queued behind unread ones. Its sender believes that it went out,
 * so the client is told why and the connection ends, and with it all that was granted.
 */
static void connection_replace_queue(struct varlink_connection *connection)
{
	varlink_outbox_clear(&connection->outbox);
	connection->closing = true;
	varlink_connection_send(connection, varlink_fds_exceeded(), NULL, 0);
}

static void connection_flush(struct varlink_connection *connection)
{
	int n = varlink_outbox_flush(&connection->outbox, connection->fd);

	if (n == -ETOOMANYREFS)
		connection_replace_queue(connection);
	else if (n < 0)
		varlink_connection_doom(connection);
	else if (n > 0)
		varlink_deadline_disarm(&connection->send_deadline);
	if (n > 0 && varlink_outbox_is_empty(&connection->outbox))
		varlink_call_drained(connection);
}

void varlink_connection_await_discard(struct varlink_connection *connection, int fd)
{
	struct epoll_event event = { .events = 0, .data.ptr = &connection->discard_source };

	if (fd < 0)
		return;
	if (connection->discard_fd >= 0 || epoll_ctl(connection->server->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		close_fd(fd);
	else
		connection->discard_fd = fd;
}

/* Of a call whose begin a former server has taken with it. Its client waits. */
static void drop_rest(struct varlink_connection *connection)
{
	if (!connection->skips || !varlink_inbox_has_frame(&connection->inbox))
		return;
	connection->skips = false;
	varlink_inbox_drop_frame(&connection->inbox);
	log_notice("A call of user %u was half received when iommud was restarted: it is dropped, and its client told.",
		   (unsigned int)connection->uid);
	varlink_connection_send(connection, varlink_interrupted(), NULL, 0);
}

static void connection_receive(struct varlink_connection *connection)
{
	struct wire_fds fds;
	ssize_t n = varlink_inbox_receive(&connection->inbox, connection->fd, &fds);

	/* Nobody asked for these. The client waits until they are closed, and gets its answer then. */
	if (fds.n > 0)
		varlink_connection_await_discard(connection, varlink_discard(fds.fds, fds.n));
	if (n > 0 || n == -EAGAIN) {
		drop_rest(connection);
		return;
	}
	if (connection->inbox.size > 0)
		log_debug("A client of user %u left in the middle of a message.", (unsigned int)connection->uid);
	varlink_connection_doom(connection);
}

/* Of a call that could be handled. */
static bool connection_is_ready(struct varlink_connection *connection)
{
	const struct varlink_server_config *config = &connection->server->config;

	connection->held = config->ready && !config->ready(config->userdata, connection);
	return !connection->held;
}

static bool connection_may_handle(struct varlink_connection *connection)
{
	if (connection->doomed || connection->closing || connection->call || connection->discard_fd >= 0)
		return false;
	if (!varlink_outbox_is_empty(&connection->outbox))
		return false;
	if (varlink_inbox_is_overfull(&connection->inbox))
		return true;
	/* Before it has read the descriptors it got, no further call: it could pin ours by the hundred. */
	return varlink_inbox_has_frame(&connection->inbox) && !varlink_connection_owes_reading(connection) &&
	       connection_is_ready(connection);
}

static void connection_handle(struct varlink_connection *connection)
{
	varlink_deadline_disarm(&connection->frame_deadline);
	varlink_deadline_disarm(&connection->send_deadline);
	if (varlink_inbox_is_overfull(&connection->inbox))
		varlink_call_refuse_size(connection);
	else
		varlink_call_handle(connection);
}

static void connection_run(struct varlink_connection *connection, uint32_t events)
{
	connection->busy = true;
	set_mark(connection, VARLINK_MARK_BUSY);
	if (events & EPOLLOUT)
		connection_flush(connection);
	if ((events & EPOLLIN) && !connection->doomed)
		connection_receive(connection);
	/* Until something is sent, a call is one that was received. */
	set_mark(connection, varlink_connection_get_mark(connection));
	if (connection_may_handle(connection))
		connection_handle(connection);
	connection->busy = false;
	varlink_connection_settle(connection);
}

static void connection_socket_ready(struct varlink_source *source, uint32_t events)
{
	struct varlink_connection *connection = container_of(source, struct varlink_connection, socket_source);

	if (connection->buried)
		varlink_connection_bury(connection);
	else if (connection->doomed)
		return;
	/* While bytes may be read, the end of the stream comes in its turn. */
	else if (!(connection->interest & EPOLLIN) && (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)))
		varlink_connection_doom(connection);
	else
		connection_run(connection, events);
}

static void connection_discard_ready(struct varlink_source *source, uint32_t events)
{
	struct varlink_connection *connection = container_of(source, struct varlink_connection, discard_source);

	if (connection->discard_fd < 0)
		return;
	epoll_ctl(connection->server->epoll_fd, EPOLL_CTL_DEL, connection->discard_fd, NULL);
	connection->discard_fd = close_fd(connection->discard_fd);
	if (connection->buried)
		varlink_connection_bury(connection);
	else if (!connection->doomed)
		connection_run(connection, 0);
}

void varlink_connection_resume(struct varlink_connection *connection)
{
	if (!connection->held || connection->doomed)
		return;
	connection->held = false;
	connection_run(connection, 0);
}

static int connection_attach(struct varlink_connection *connection)
{
	struct varlink_server *server = connection->server;
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = &connection->socket_source };
	int r = wire_shrink_send_buffer(connection->fd);

	if (r < 0)
		return r;
	if (epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, connection->fd, &event) < 0)
		return -errno;
	connection->interest = event.events;
	return 0;
}

int varlink_connection_new(struct varlink_server *server, int fd, struct identity *identity,
			   struct varlink_connection **ret)
{
	struct varlink_connection *connection = calloc(1, sizeof(*connection));
	int r = connection ? varlink_uids_add(&server->uids, identity->uid) : -ENOMEM;

	if (r < 0) {
		close_fd(fd);
		identity_clear(identity);
		free(connection);
		return r;
	}
	connection->server = server;
	connection->fd = fd;
	connection->discard_fd = -1;
	connection->socket_source.ready = connection_socket_ready;
	connection->discard_source.ready = connection_discard_ready;
	connection->uid = identity->uid;
	connection->identity = *identity;
	*identity = (struct identity)IDENTITY_INIT;
	varlink_outbox_init(&connection->outbox);
	list_init(&connection->frame_deadline.link);
	list_init(&connection->send_deadline.link);
	list_append(&server->connections, &connection->link);
	server->n_held++;
	r = connection_attach(connection);
	if (r < 0) {
		varlink_connection_free(connection);
		return r;
	}
	*ret = connection;
	return 0;
}

/* ---- of a former server ---- */

static int go_on(struct varlink_connection *connection, enum varlink_mark mark, struct varlink_call **ret_call)
{
	int r = 0;

	switch (mark) {
	case VARLINK_MARK_IDLE:
		break;
	case VARLINK_MARK_PARTIAL:
		connection->skips = true;
		break;
	case VARLINK_MARK_CALLED:
		r = varlink_connection_send(connection, varlink_interrupted(), NULL, 0);
		break;
	case VARLINK_MARK_STREAM:
		connection->call = *ret_call = varlink_call_reopen(connection);
		r = connection->call ? 0 : -ENOMEM;
		break;
	case VARLINK_MARK_NONE:
	case VARLINK_MARK_BUSY:
		r = -EINVAL;
		break;
	}
	return r;
}

int varlink_connection_go_on(struct varlink_connection *connection, enum varlink_mark mark,
			     struct varlink_call **ret_call)
{
	int r = go_on(connection, mark, ret_call);

	if (r < 0)
		varlink_connection_doom(connection);
	else
		varlink_connection_settle(connection);
	return r;
}
