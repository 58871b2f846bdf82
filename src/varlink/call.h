/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One call, from its frame to its last reply. The other half of the interface is in server.h. */
#ifndef IOMMUD_VARLINK_CALL_H
#define IOMMUD_VARLINK_CALL_H

#include <stdint.h>

#include "util/json.h"
#include "varlink/server.h"

struct varlink_connection;

/*
 * Takes the first frame out of the inbox, which must have one, and handles it: afterwards the call is answered, or pending
 * as varlink_connection::call, or the connection is closing or doomed.
 */
void varlink_call_handle(struct varlink_connection *connection);

/* Of a connection that has this call open and nothing else: what a later server could do about it. */
enum varlink_mark varlink_call_get_mark(const struct varlink_call *call);
/* A call that wants more, as it was open in a former server. NULL when there is no memory. */
struct varlink_call *varlink_call_reopen(struct varlink_connection *connection);
/* The whole message of io.iommud.Interrupted. NULL when there is no memory. */
json_object *varlink_interrupted(void);

/* Answers a frame that is too large, and closes. */
void varlink_call_refuse_size(struct varlink_connection *connection);

/* Tells the server's user that the queue is empty, if a call is open that it may go on with. */
void varlink_call_drained(struct varlink_connection *connection);

/* Frees a call without an answer. Accepts NULL, returns NULL. */
struct varlink_call *varlink_call_free(struct varlink_call *call);

/* {"error":name,"parameters":parameters}; takes over `parameters`. NULL when there is no memory. */
json_object *varlink_error_message(const char *name, json_object *parameters);
/* The whole message of io.iommud.QuotaExceeded. NULL when there is no memory. */
json_object *varlink_quota_exceeded(const char *quota, uint64_t limit, const char *message);
/* The same for the kernel's limit of descriptors in flight. */
json_object *varlink_fds_exceeded(void);

#endif
