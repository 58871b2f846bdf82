/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A frame becomes a call here, is held against the table of methods, and answered. A message that is no call ends the
 * connection, for nothing that follows it can be trusted to be one; a call that can't be carried out is answered by an
 * error and the connection goes on. A oneway call is never answered, whatever becomes of it.
 *
 * The parameters, and the text they borrow from, live until the call has ended and `handle` has returned, whichever is
 * later: a handler may look at them after its reply, and a pending call may keep pointing at them.
 */
#include "varlink/call.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "util/log.h"
#include "varlink/core.h"

struct varlink_call {
	struct varlink_connection *connection;
	json_object *message; /* as received; NULL while `handle` runs, which owns it then */
	void *parameters;
	bool more, oneway;
};

struct call_header {
	const char *method;
	json_object *parameters;
	bool more, oneway, upgrade;
};

static const struct json_field call_fields[] = {
	{ "method", JSON_FIELD_STRING, offsetof(struct call_header, method), true },
	{ "parameters", JSON_FIELD_OBJECT, offsetof(struct call_header, parameters), false },
	{ "more", JSON_FIELD_BOOL, offsetof(struct call_header, more), false },
	{ "oneway", JSON_FIELD_BOOL, offsetof(struct call_header, oneway), false },
	{ "upgrade", JSON_FIELD_BOOL, offsetof(struct call_header, upgrade), false },
};

DEFINE_CLEANUP(json, json_object *, json_object_put)

struct varlink_call *varlink_call_free(struct varlink_call *call)
{
	if (!call)
		return NULL;
	json_object_put(call->message);
	free(call->parameters);
	free(call);
	return NULL;
}

/* ---- messages ---- */

/* Takes over `value`; NULL, which json-c would make a null of, is what an allocation that failed looks like. */
static bool add(json_object *object, const char *key, json_object *value)
{
	if (value && json_object_object_add(object, key, value) == 0)
		return true;
	json_object_put(value);
	return false;
}

static json_object *new_message(json_object *parameters)
{
	json_object *message = json_object_new_object();

	if (!parameters)
		parameters = json_object_new_object();
	if (!message) {
		json_object_put(parameters);
		return NULL;
	}
	if (!add(message, "parameters", parameters)) {
		json_object_put(message);
		return NULL;
	}
	return message;
}

static json_object *reply_message(json_object *parameters, bool continues)
{
	json_object *message = new_message(parameters);

	if (message && continues && !add(message, "continues", json_object_new_boolean(true))) {
		json_object_put(message);
		return NULL;
	}
	return message;
}

json_object *varlink_error_message(const char *name, json_object *parameters)
{
	json_object *message = new_message(parameters);

	if (message && !add(message, "error", json_object_new_string(name))) {
		json_object_put(message);
		return NULL;
	}
	return message;
}

/* The parameters of an error that has but one. */
static json_object *one_string(const char *key, const char *value)
{
	json_object *object = json_object_new_object();

	if (object)
		add(object, key, json_object_new_string(value));
	return object;
}

static json_object *one_number(const char *key, uint64_t value)
{
	json_object *object = json_object_new_object();

	if (object)
		add(object, key, json_object_new_uint64(value));
	return object;
}

json_object *varlink_quota_exceeded(const char *quota, uint64_t limit, const char *message)
{
	json_object *parameters = one_string("quota", quota);

	if (parameters) {
		add(parameters, "limit", json_object_new_uint64(limit));
		add(parameters, "message", json_object_new_string(message));
	}
	return varlink_error_message("io.iommud.QuotaExceeded", parameters);
}

json_object *varlink_fds_exceeded(void)
{
	struct rlimit limit = { 0 };

	getrlimit(RLIMIT_NOFILE, &limit);
	return varlink_quota_exceeded(
		"descriptorsInFlight", limit.rlim_cur,
		"too many descriptors are on their way to clients that do not read them; try again, "
		"or raise LimitNOFILE= of iommud.service");
}

json_object *varlink_interrupted(void)
{
	return varlink_error_message(
		"io.iommud.Interrupted",
		one_string(
			"message",
			"iommud was restarted while it had your call: nobody knows how far it came; a lease that was "
			"not granted is not yours, what you had is; call again"));
}

/* ---- for a later server ---- */

enum varlink_mark varlink_call_get_mark(const struct varlink_call *call)
{
	/* Nobody waits for an answer to a oneway call, but it would be lost. */
	if (call->oneway)
		return VARLINK_MARK_BUSY;
	return call->more ? VARLINK_MARK_STREAM : VARLINK_MARK_CALLED;
}

struct varlink_call *varlink_call_reopen(struct varlink_connection *connection)
{
	struct varlink_call *call = calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	call->connection = connection;
	call->more = true;
	return call;
}

/* ---- answers ---- */

struct varlink_connection *varlink_call_get_connection(const struct varlink_call *call)
{
	return call->connection;
}

bool varlink_call_wants_more(const struct varlink_call *call)
{
	return call->more;
}

/* All of it is taken over. The call is not freed if the connection is doomed: it goes with that. */
static int call_send(struct varlink_call *call, json_object *message, const int *fds, size_t n_fds, bool last)
{
	struct varlink_connection *connection = call->connection;
	int r;

	connection->answering = last;
	r = varlink_connection_send(connection, message, fds, n_fds);
	if (r == -ETOOMANYREFS) {
		connection->answering = last = true;
		varlink_connection_send(connection, varlink_fds_exceeded(), NULL, 0);
	}
	connection->answering = false;
	if (last)
		connection->call = varlink_call_free(call);
	varlink_connection_settle(connection);
	return r;
}

/* Nobody to tell. The call is over, but for a connection that is doomed anyway. */
static int call_end_unanswered(struct varlink_call *call)
{
	struct varlink_connection *connection = call->connection;

	if (connection->doomed)
		return -EPIPE;
	connection->call = varlink_call_free(call);
	varlink_connection_settle(connection);
	return 0;
}

int varlink_reply(struct varlink_call *call, json_object *parameters, const int *fds, size_t n_fds, bool continues)
{
	bool wrong = (continues && !call->more) || n_fds > VARLINK_FDS_MAX;

	if (wrong || call->oneway || call->connection->doomed) {
		json_object_put(parameters);
		varlink_close_fds(fds, n_fds);
		return wrong ? -EINVAL : call_end_unanswered(call);
	}
	return call_send(call, reply_message(parameters, continues), fds, n_fds, !continues);
}

int varlink_error(struct varlink_call *call, const char *name, json_object *parameters)
{
	if (call->oneway || call->connection->doomed) {
		json_object_put(parameters);
		return call_end_unanswered(call);
	}
	return call_send(call, varlink_error_message(name, parameters), NULL, 0, true);
}

int varlink_invalid_parameter(struct varlink_call *call, const char *parameter)
{
	return varlink_error(call, "org.varlink.service.InvalidParameter", one_string("parameter", parameter));
}

void varlink_call_drained(struct varlink_connection *connection)
{
	const struct varlink_server_config *config = &connection->server->config;

	if (connection->call && !connection->doomed && config->drained)
		config->drained(config->userdata, connection);
}

/* ---- from frame to method ---- */

/* What follows a message that is no call may be anything: the connection ends when this is sent. */
static void refuse_message(struct varlink_connection *connection, const char *reason)
{
	json_object *parameters = one_string("reason", reason);

	log_debug("A client of user %u sent no varlink call: %s.", (unsigned int)connection->uid, reason);
	connection->closing = true;
	varlink_connection_send(connection, varlink_error_message("io.iommud.InvalidMessage", parameters), NULL, 0);
}

void varlink_call_refuse_size(struct varlink_connection *connection)
{
	json_object *parameters = one_number("limit", VARLINK_FRAME_MAX);

	varlink_inbox_clear(&connection->inbox);
	connection->closing = true;
	varlink_connection_send(connection, varlink_error_message("io.iommud.MessageTooLarge", parameters), NULL, 0);
}

static int refuse_unknown(struct varlink_call *call, const char *method)
{
	const char *dot = strrchr(method, '.');
	_cleanup_free_ char *interface = NULL;

	if (!dot)
		return varlink_error(call, "org.varlink.service.InvalidParameter", one_string("parameter", "method"));
	if (varlink_server_find_interface(call->connection->server, method, dot - method))
		return varlink_error(call, "org.varlink.service.MethodNotFound", one_string("method", method));
	interface = strndup(method, dot - method);
	if (!interface)
		return -ENOMEM;
	return varlink_error(call, "org.varlink.service.InterfaceNotFound", one_string("interface", interface));
}

static int call_run(struct varlink_call *call, const struct varlink_method *method, void *userdata,
		    json_object *parameters, void **decoded)
{
	const char *field;

	*decoded = calloc(1, method->parameters_size + 1);
	if (!*decoded)
		return -ENOMEM;
	if (json_decode(parameters, method->fields, method->n_fields, *decoded, &field) < 0)
		return varlink_invalid_parameter(call, field);
	return method->handle(userdata, call, *decoded);
}

static int call_dispatch(struct varlink_call *call, const struct call_header *header, void **decoded)
{
	const struct varlink_method *method;
	void *userdata;

	if (header->upgrade)
		return varlink_error(call, "org.varlink.service.MethodNotImplemented",
				     one_string("method", header->method));
	method = varlink_server_find_method(call->connection->server, header->method, &userdata);
	if (!method)
		return refuse_unknown(call, header->method);
	if ((method->flags & VARLINK_REQUIRES_MORE) && !header->more)
		return varlink_error(call, "org.varlink.service.ExpectedMore", NULL);
	if ((method->flags & VARLINK_NO_ONEWAY) && header->oneway) {
		varlink_connection_doom(call->connection);
		return 0;
	}
	return call_run(call, method, userdata, header->parameters, decoded);
}

/* `message` is the caller's, and taken over when the call stays pending. */
static int call_begin(struct varlink_connection *connection, const struct call_header *header, json_object **message,
		      size_t n_fds)
{
	_cleanup_free_ void *decoded = NULL;
	struct varlink_call *call = calloc(1, sizeof(*call));
	int r;

	if (!call)
		return -ENOMEM;
	call->connection = connection;
	call->more = header->more;
	call->oneway = header->oneway;
	connection->call = call;
	if (n_fds > 0)
		r = varlink_error(call, "io.iommud.UnexpectedFileDescriptors", one_number("count", n_fds));
	else
		r = call_dispatch(call, header, &decoded);
	if (connection->call) {
		call->message = TAKE_PTR(*message);
		call->parameters = TAKE_PTR(decoded);
	}
	return r;
}

/* Returns NULL, or why the message is no call; `buffer` may be used for the reason. */
static const char *decode_header(json_object *message, struct call_header *header, char *buffer, size_t size)
{
	const char *field;

	if (json_decode(message, call_fields, ARRAY_SIZE(call_fields), header, &field) < 0) {
		/* Whole or not at all: half a character would make our reply no JSON. */
		if ((size_t)snprintf(buffer, size, "'%s' is missing, unknown, or of the wrong type", field) >= size)
			return "a key is unknown";
		return buffer;
	}
	if (header->more && header->oneway)
		return "'more' and 'oneway' exclude each other";
	return NULL;
}

void varlink_call_handle(struct varlink_connection *connection)
{
	_cleanup_(cleanup_json) json_object *message = NULL;
	size_t n_fds = connection->inbox.n_fds;
	const struct varlink_method *known;
	struct call_header header = { 0 };
	void *userdata;
	const char *reason = "out of memory";
	char buffer[256];
	int r = json_parse_object(connection->inbox.data, connection->inbox.scanned, &message, &reason);

	varlink_inbox_drop_frame(&connection->inbox);
	if (r == 0)
		reason = decode_header(message, &header, buffer, sizeof(buffer));
	if (reason) {
		refuse_message(connection, reason);
		return;
	}
	r = call_begin(connection, &header, &message, n_fds);
	if (r >= 0 || connection->doomed)
		return;
	/* A name that we do not know may hold anything, line breaks too. */
	known = varlink_server_find_method(connection->server, header.method, &userdata);
	log_error("%s of user %u failed: %s. The connection is closed.", known ? known->name : "A call",
		  (unsigned int)connection->uid, strerror(-r));
	varlink_connection_doom(connection);
}
