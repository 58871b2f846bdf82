/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The end of a connection. Its user is rid of it; what remains is what the client can still make us pay for: replies with
 * descriptors that lie unread in its socket (closing our end does not take them back), and descriptors that it sent and
 * whose closing blocks. A tomb holds the place of the connection in its user's quota until neither is left.
 */
#include <sys/epoll.h>

#include "varlink/call.h"
#include "varlink/connection.h"
#include "varlink/core.h"
#include "varlink/discard.h"

static void tomb_let_go(struct varlink_connection *connection)
{
	connection->call = varlink_call_free(connection->call);
	varlink_inbox_clear(&connection->inbox);
	varlink_outbox_clear(&connection->outbox);
	identity_clear(&connection->identity);
	connection->buried = true;
	connection->mark = NULL; /* it is somebody else's from now on */
}

static void tomb_close_socket(struct varlink_connection *connection)
{
	if (connection->fd < 0)
		return;
	/* Explicitly: a copy of the descriptor that lives elsewhere would keep it in the epoll. */
	epoll_ctl(connection->server->epoll_fd, EPOLL_CTL_DEL, connection->fd, NULL);
	varlink_connection_await_discard(connection, varlink_discard_socket(TAKE_FD(connection->fd)));
}

void varlink_connection_bury(struct varlink_connection *connection)
{
	struct varlink_server *server = connection->server;

	if (!connection->buried)
		tomb_let_go(connection);
	list_unlink(&connection->link);
	list_append(&server->tombs, &connection->link);
	if (connection->fd >= 0 && varlink_connection_owes_reading(connection)) {
		/* If it is read before the watch begins: an edge watch begins with an event. */
		varlink_connection_watch(connection, EPOLLOUT | EPOLLET);
		return;
	}
	tomb_close_socket(connection);
	if (connection->discard_fd >= 0)
		return;
	list_unlink(&connection->link);
	list_append(&server->dead, &connection->link);
}

struct varlink_connection *varlink_connection_free(struct varlink_connection *connection)
{
	if (!connection)
		return NULL;
	list_unlink(&connection->link);
	varlink_deadline_disarm(&connection->frame_deadline);
	varlink_deadline_disarm(&connection->send_deadline);
	tomb_let_go(connection);
	tomb_close_socket(connection);
	close_fd(connection->discard_fd);
	varlink_uids_remove(&connection->server->uids, connection->uid);
	connection->server->n_held--;
	free(connection);
	return NULL;
}
