/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The server's own structure, and what its parts share. Not for its users: they have server.h. */
#ifndef IOMMUD_VARLINK_CORE_H
#define IOMMUD_VARLINK_CORE_H

#include "util/list.h"
#include "varlink/connection.h"
#include "varlink/server.h"
#include "varlink/uids.h"

#define VARLINK_JSON_FLAGS (JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)

struct varlink_server {
	struct varlink_server_config config;
	int epoll_fd;
	int reserve_fd; /* given up for a moment when there is no descriptor left for accept(); -1 if it can't be had */
	struct list_link listeners; /* of struct varlink_listener */
	struct list_link connections; /* of struct varlink_connection, as are the next three */
	struct list_link doomed; /* to be told `disconnected`, then buried */
	struct list_link tombs; /* see varlink_connection_bury() */
	struct list_link dead; /* to be freed when no event can point at them */
	size_t n_connections; /* announced, and not told `disconnected` */
	size_t n_held; /* all, tombs too */
	struct varlink_uids uids;
	struct list_link frame_deadlines, send_deadlines;
	uint64_t resume_usec; /* when to listen again after accept() failed; UINT64_MAX: listening */
};

/* ---- server.c ---- */

/* Arms it at now + `timeout_usec` unless it is armed already. */
void varlink_deadline_arm(struct varlink_deadline *deadline, struct list_link *list, uint64_t timeout_usec);
void varlink_deadline_disarm(struct varlink_deadline *deadline);
uint64_t varlink_now_usec(void);
void varlink_close_fds(const int *fds, size_t n_fds);

/* ---- listener.c ---- */

void varlink_listeners_free(struct varlink_server *server);
/* Listens again if it is time to. */
void varlink_listeners_resume(struct varlink_server *server, uint64_t now_usec);

/* ---- service.c ---- */

/* The method of that name with what its `handle` wants as userdata, or NULL. */
const struct varlink_method *varlink_server_find_method(struct varlink_server *server, const char *name,
							void **ret_userdata);
/* The interface whose name is the first `size` bytes of `name`, or NULL. */
const struct varlink_interface *varlink_server_find_interface(const struct varlink_server *server, const char *name,
							      size_t size);

#endif
