/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One client's connection, inside of the varlink server. Not for its users: they have server.h. */
#ifndef IOMMUD_VARLINK_CONNECTION_H
#define IOMMUD_VARLINK_CONNECTION_H

#include "util/list.h"
#include "varlink/inbox.h"
#include "varlink/outbox.h"
#include "varlink/server.h"

/* What an epoll event points at. */
struct varlink_source {
	void (*ready)(struct varlink_source *source, uint32_t events);
};

/* In a list that is sorted because all its deadlines lie equally far from when they were armed. */
struct varlink_deadline {
	struct list_link link; /* varlink_server::frame_deadlines or ::send_deadlines; unlinked: not armed */
	uint64_t at_usec;
};

struct varlink_connection {
	struct varlink_server *server;
	struct list_link link; /* varlink_server::connections, ::doomed, ::tombs or ::dead */
	struct varlink_source socket_source;
	struct varlink_source discard_source;
	int fd;
	int discard_fd; /* hangs up when the descriptors that the client sent are closed; -1 without */
	uint32_t interest; /* what epoll was told for `fd` */
	uid_t uid; /* counted in varlink_server::uids for as long as this exists */
	struct identity identity;
	void *userdata;
	struct varlink_inbox inbox;
	struct varlink_outbox outbox;
	uint32_t *mark; /* enum varlink_mark, for a later server; NULL: nobody wants it */
	struct varlink_call *call; /* the one that is not answered for good */
	struct varlink_deadline frame_deadline, send_deadline;
	bool announced; /* `connected` took it, so `disconnected` is owed */
	bool answering; /* what is being sent is the last reply to `call` */
	bool busy; /* an event is being handled, the settling follows */
	bool closing; /* goes when the outbox is empty */
	bool doomed; /* goes at the end of the round; nothing is sent or received any more */
	bool held; /* a whole call is there, and `ready` said no */
	bool skips; /* what comes up to the next NUL is the rest of a call that a former server received the begin of */
	bool buried; /* its user is rid of it */
};

/*
 * Takes over `fd` and what `identity` owns, on failure too. The connection is in varlink_server::connections and counted
 * against its uid. 0 or a negative errno.
 */
int varlink_connection_new(struct varlink_server *server, int fd, struct identity *identity,
			   struct varlink_connection **ret);

/* The end, from wherever it is seen: `disconnected` is called and memory freed when the server gets to it, not here. */
void varlink_connection_doom(struct varlink_connection *connection);

/* The connection is one of a former server's, see varlink_server_adopt(). 0, or a negative errno: it is doomed. */
int varlink_connection_go_on(struct varlink_connection *connection, enum varlink_mark mark,
			     struct varlink_call **ret_call);

/*
 * After `disconnected`: lets go of all but what still costs, descriptors in flight that the client did not read, or that it
 * sent and whose closing takes its time. Until those are done the connection stays among the tombs, counted against its
 * user, who else could pin any number by coming back; after that it is in varlink_server::dead.
 */
void varlink_connection_bury(struct varlink_connection *connection);

/* Frees at once, whatever is unread. Accepts NULL, returns NULL. */
struct varlink_connection *varlink_connection_free(struct varlink_connection *connection);

/*
 * Sends or queues a message and its descriptors, both taken over. A negative errno means doomed, except -ETOOMANYREFS,
 * where nothing was sent.
 */
int varlink_connection_send(struct varlink_connection *connection, json_object *message, const int *fds, size_t n_fds);

/* What it would be for a later server, between two steps. */
enum varlink_mark varlink_connection_get_mark(const struct varlink_connection *connection);

/* Tells epoll, the deadlines and the mark what the connection waits for now. */
void varlink_connection_settle(struct varlink_connection *connection);

/* Whether the client did not read all descriptors yet. Looks at the socket only when some were sent. */
bool varlink_connection_owes_reading(struct varlink_connection *connection);

void varlink_connection_watch(struct varlink_connection *connection, uint32_t interest);

/* Takes over what varlink_discard() returned, an errno too: events on it come to `discard_source`. */
void varlink_connection_await_discard(struct varlink_connection *connection, int fd);

#endif
