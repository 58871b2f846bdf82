/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The varlink server: listens, accepts, frames, decodes, dispatches by a table of verbs, and replies; it knows nothing of
 * devices. All connections hang on one epoll descriptor, which the owner polls from its event loop (sd-event re-polls all
 * its sources for each event it dispatches; with a thousand of them its cost explodes).
 *
 * Promises: one client's calls are answered in order, one at a time; a client costs bounded memory and time, whatever it
 * sends or does not read; a message that can't be accepted is answered by a named error where one can be sent, and never
 * disturbs another connection. Not thread-safe. Nothing blocks.
 */
#ifndef IOMMUD_VARLINK_SERVER_H
#define IOMMUD_VARLINK_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/identity.h"
#include "util/json.h"

#define VARLINK_FRAME_MAX 16384 /* bytes of one message from a client, without its NUL */
#define VARLINK_FDS_MAX 66 /* descriptors of one reply */

struct varlink_server;
struct varlink_connection;
struct varlink_call; /* one call that was not answered for good yet */

enum varlink_method_flags {
	VARLINK_REQUIRES_MORE = 1 << 0, /* else org.varlink.service.ExpectedMore */
	VARLINK_NO_ONEWAY = 1 << 1, /* answered with fds: a oneway call is refused (and so ends the connection) */
};

/*
 * One verb. Parameters are decoded by the table into a zeroed structure of `parameters_size` bytes, valid only for the
 * time of the call; what does not fit is answered by org.varlink.service.InvalidParameter(parameter).
 *
 * `handle` answers now or later: with varlink_reply() or varlink_error(), exactly one of which ends the call (replies with
 * `continues` do not). A negative return is a fault: logged, and the connection is closed. It must not touch `call`
 * after it ended.
 */
struct varlink_method {
	const char *name; /* "io.iommud.Acquire" */
	unsigned int flags;
	const struct json_field *fields;
	size_t n_fields;
	size_t parameters_size;
	int (*handle)(void *userdata, struct varlink_call *call, const void *parameters);
};

struct varlink_interface {
	const char *name; /* "io.iommud" */
	const char *description; /* the text of its IDL file */
	const struct varlink_method *methods;
	size_t n_methods;
};

struct varlink_limits {
	unsigned int max_connections;
	unsigned int max_connections_per_uid;
	uint64_t frame_timeout_usec; /* half a message may wait this long for its rest */
	uint64_t send_timeout_usec; /* a reply may wait this long to be read */
	size_t send_buffer_max; /* bytes queued for one client that does not read; beyond it is dropped */
};

struct varlink_server_config {
	const char *vendor, *product, *version, *url; /* for org.varlink.service.GetInfo */
	const struct varlink_interface *const *interfaces; /* org.varlink.service is added by the server */
	size_t n_interfaces;
	struct varlink_limits limits;
	/*
	 * A client came (its identity is captured), or is gone: everything of it must be let go of now, its unanswered call
	 * included, which is freed after this returns. `connected` may return a negative errno to refuse.
	 */
	int (*connected)(void *userdata, struct varlink_connection *connection);
	void (*disconnected)(void *userdata, struct varlink_connection *connection);
	/*
	 * Whether this client's next call may be handled now. If not, nothing is read of it until
	 * varlink_connection_resume(). May be NULL.
	 */
	bool (*ready)(void *userdata, struct varlink_connection *connection);
	/* All that was queued for this client was sent, and its call is still open: more may follow. May be NULL. */
	void (*drained)(void *userdata, struct varlink_connection *connection);
	void *userdata;
};

/* The config is copied, the texts and tables it points to are borrowed for the server's life. 0 or a negative errno. */
int varlink_server_new(const struct varlink_server_config *config, struct varlink_server **ret);
/* Closes all connections (calling `disconnected`). Accepts NULL, returns NULL. */
struct varlink_server *varlink_server_free(struct varlink_server *server);

/* Takes over a listening socket (from systemd, or from varlink_listen()). 0 or a negative errno; closed in any case. */
int varlink_server_add_listener(struct varlink_server *server, int fd);
/*
 * Makes a listening unix stream socket at `path` with mode 0666: a stale socket file of ours is replaced, one that answers
 * is -EADDRINUSE. Returns the descriptor (the caller's) or a negative errno.
 */
int varlink_listen(const char *path);

/* Poll for reading (borrowed): the epoll that holds listeners and connections. */
int varlink_server_get_fd(const struct varlink_server *server);
/* Handles what is ready, a bounded amount (fair among connections). Call again while the fd polls readable. */
int varlink_server_dispatch(struct varlink_server *server);
/*
 * Microseconds of CLOCK_MONOTONIC at which varlink_server_expire() must be called next; UINT64_MAX: never. Ask after
 * each dispatch.
 */
uint64_t varlink_server_next_deadline(const struct varlink_server *server);
void varlink_server_expire(struct varlink_server *server, uint64_t now_usec);
size_t varlink_server_n_connections(const struct varlink_server *server);

/* ---- connections ---- */

/* Borrowed; valid until `disconnected` returned. */
struct identity *varlink_connection_get_identity(struct varlink_connection *connection);
/* After `ready` said no: it is asked again, and maybe the call handled, before this returns. */
void varlink_connection_resume(struct varlink_connection *connection);
int varlink_connection_get_fd(const struct varlink_connection *connection);
void varlink_connection_set_userdata(struct varlink_connection *connection, void *userdata);
void *varlink_connection_get_userdata(const struct varlink_connection *connection);
/* Bytes that wait to be sent: a subscriber over half of send_buffer_max should get `lost` instead of more. */
size_t varlink_connection_queued(const struct varlink_connection *connection);

/* ---- what outlives a server ---- */

/*
 * What the next server has to know of a connection whose socket outlives this one. It is kept up to date in memory of the
 * owner's, before and after each step, so that it is true whenever the process ends.
 */
enum varlink_mark {
	VARLINK_MARK_NONE, /* the connection is over, or nobody's */
	VARLINK_MARK_BUSY, /* in the midst of receiving, or of an answer: nobody knows what the client has got */
	VARLINK_MARK_IDLE,
	VARLINK_MARK_PARTIAL, /* a part of a call was received */
	VARLINK_MARK_CALLED, /* one call was received, and nothing of its answer sent */
	VARLINK_MARK_STREAM, /* one call that wants more is open; whole replies may have been sent */
};

/* Ends it: `disconnected` follows in the next turn. */
void varlink_connection_end(struct varlink_connection *connection);

/* Borrowed, until the connection has ended; NULL: nothing is kept up to date. */
void varlink_connection_set_mark(struct varlink_connection *connection, uint32_t *mark);

/*
 * Takes over a connection of a former server's with the mark that it left, which is neither NONE nor BUSY; `connected` is called as for a
 * new one. A client that waits for an answer gets io.iommud.Interrupted: at once, or when the rest of its call has come, which
 * is dropped. STREAM: its call is open again, and in *ret_call: the caller goes on with it. 0 or a negative errno; then the
 * client is shown out. `fd` is taken over in any case.
 */
int varlink_server_adopt(struct varlink_server *server, int fd, enum varlink_mark mark, struct varlink_connection **ret,
			 struct varlink_call **ret_call);

/* ---- calls ---- */

struct varlink_connection *varlink_call_get_connection(const struct varlink_call *call);
bool varlink_call_wants_more(const struct varlink_call *call);

/*
 * Replies. `parameters` is taken over (put) in any case, NULL means {}; the descriptors are taken over and closed in any
 * case. With `continues`, the call stays open (only for calls that want more; on others -EINVAL). 0; a negative errno
 * means that the client is gone or was dropped: the call has ended then, nothing else needs to be done. One exception:
 * -ETOOMANYREFS, the kernel has too many descriptors in flight. The client was answered io.iommud.QuotaExceeded instead,
 * the call has ended, the connection goes on: what was to be handed out must be taken back (or passed up by `handle`, as a
 * fault, which ends the connection).
 */
int varlink_reply(struct varlink_call *call, json_object *parameters, const int *fds, size_t n_fds, bool continues);
/* `name` is fully qualified. Ends the call. */
int varlink_error(struct varlink_call *call, const char *name, json_object *parameters);
/* org.varlink.service.InvalidParameter, for what a table of fields can't say. */
int varlink_invalid_parameter(struct varlink_call *call, const char *parameter);

#endif
