/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Calls and replies: the envelope that varlink puts around parameters. One call at a time; a fault on the way leaves the
 * connection broken, since nobody knows where the next reply begins.
 */
#include <string.h>

#include "internal.h"

int iommud_break(struct iommud *connection, int error)
{
	connection->broken = true;
	return error;
}

void iommud_reply_clear(struct iommud_reply *reply)
{
	json_object_put(reply->parameters);
	iommud_message_clear(&reply->message);
	*reply = (struct iommud_reply){ 0 };
}

/* Adds `value` (taken over in any case). */
static int object_add(json_object *object, const char *key, json_object *value)
{
	if (value && json_object_object_add(object, key, value) == 0)
		return 0;
	json_object_put(value);
	return -ENOMEM;
}

static int envelope_new(const char *method, json_object *parameters, bool more, json_object **ret)
{
	_cleanup_json_ json_object *envelope = json_object_new_object();
	int r;

	if (!envelope)
		return -ENOMEM;
	r = object_add(envelope, "method", json_object_new_string(method));
	if (r == 0 && parameters)
		r = object_add(envelope, "parameters", json_object_get(parameters));
	if (r == 0 && more)
		r = object_add(envelope, "more", json_object_new_boolean(true));
	if (r == 0)
		*ret = TAKE_PTR(envelope);
	return r;
}

int iommud_call_send(struct iommud *connection, const char *method, json_object *parameters, bool more)
{
	_cleanup_json_ json_object *envelope = NULL;
	const char *text;
	size_t size;
	int r;

	iommud_error_clear(connection);
	json_object_put(TAKE_PTR(connection->reply));
	if (connection->broken)
		return -ENOTCONN;
	if (connection->subscribed)
		return -EBUSY;
	r = envelope_new(method, parameters, more, &envelope);
	if (r < 0)
		return r;
	text = json_object_to_json_string_length(envelope, JSON_FLAGS, &size);
	if (!text)
		return -ENOMEM;
	if (size > WIRE_MESSAGE_MAX)
		return -EMSGSIZE;
	r = iommud_wire_send(connection->fd, text, size + 1);
	return r < 0 ? iommud_break(connection, r) : 0;
}

/* The members of a reply's envelope, borrowed from it. `parameters` and `error` are NULL when absent. */
struct envelope {
	json_object *parameters;
	const char *error;
	bool continues;
};

static int envelope_decode(json_object *object, struct envelope *ret)
{
	struct envelope envelope = { 0 };
	json_object *value;

	if (json_object_object_get_ex(object, "parameters", &value) && value) {
		if (!json_object_is_type(value, json_type_object))
			return -EPROTO;
		envelope.parameters = value;
	}
	if (json_object_object_get_ex(object, "error", &value) && value) {
		if (!json_object_is_type(value, json_type_string))
			return -EPROTO;
		envelope.error = json_object_get_string(value);
	}
	if (json_object_object_get_ex(object, "continues", &value) && value) {
		if (!json_object_is_type(value, json_type_boolean))
			return -EPROTO;
		envelope.continues = json_object_get_boolean(value);
	}
	if (envelope.error && envelope.continues)
		return -EPROTO;
	*ret = envelope;
	return 0;
}

static int call_receive(struct iommud *connection, struct iommud_reply *ret)
{
	_cleanup_reply_ struct iommud_reply reply = { 0 };
	_cleanup_json_ json_object *object = NULL;
	struct envelope envelope = { 0 };
	int r = iommud_wire_receive(connection->fd, &reply.message);

	if (r == 0)
		r = iommud_json_parse(reply.message.text, reply.message.size, &object);
	if (r == 0)
		r = envelope_decode(object, &envelope);
	if (r < 0)
		return r == -EINVAL ? -EPROTO : r;
	if (envelope.error) {
		if (reply.message.n_fds > 0)
			return -EPROTO;
		r = iommud_error_set(connection, envelope.error, envelope.parameters);
		return r < 0 ? r : IOMMUD_REFUSED;
	}
	reply.parameters = envelope.parameters ? json_object_get(envelope.parameters) : json_object_new_object();
	if (!reply.parameters)
		return -ENOMEM;
	reply.continues = envelope.continues;
	*ret = reply;
	reply = (struct iommud_reply){ 0 };
	return 0;
}

int iommud_call_receive(struct iommud *connection, struct iommud_reply *ret)
{
	int r = call_receive(connection, ret);

	return r < 0 ? iommud_break(connection, r) : r;
}

/* As iommud_call_send(), for parameters that are text. */
static int call_send_text(struct iommud *connection, const char *method, const char *parameters, bool more)
{
	_cleanup_json_ json_object *object = NULL;

	if (!connection || !method || !*method)
		return -EINVAL;
	if (parameters) {
		int r = iommud_json_parse(parameters, strlen(parameters), &object);

		if (r < 0)
			return r;
	}
	return iommud_call_send(connection, method, object, more);
}

int iommud_call_receive_text(struct iommud *connection, const char **ret_text, bool *ret_continues)
{
	_cleanup_reply_ struct iommud_reply reply = { 0 };
	const char *text;
	int r = iommud_call_receive(connection, &reply);

	if (r != 0)
		return r;
	if (reply.message.n_fds > 0)
		return iommud_break(connection, -EPROTO);
	text = json_object_to_json_string_ext(reply.parameters, JSON_FLAGS);
	if (!text)
		return iommud_break(connection, -ENOMEM);
	json_object_put(connection->reply);
	connection->reply = TAKE_PTR(reply.parameters);
	*ret_text = text;
	*ret_continues = reply.continues;
	return 0;
}

EXPORT int iommud_call(struct iommud *connection, const char *method, const char *parameters,
		       const char **ret_parameters)
{
	const char *text;
	bool continues;
	int r = call_send_text(connection, method, parameters, false);

	if (r == 0)
		r = iommud_call_receive_text(connection, &text, &continues);
	if (r != 0)
		return r;
	if (continues)
		return iommud_break(connection, -EPROTO);
	if (ret_parameters)
		*ret_parameters = text;
	return 0;
}

EXPORT int iommud_call_more(struct iommud *connection, const char *method, const char *parameters,
			    iommud_reply_fn function, void *userdata)
{
	bool continues = true;
	int r = function ? call_send_text(connection, method, parameters, true) : -EINVAL;

	while (r == 0 && continues) {
		const char *text;

		r = iommud_call_receive_text(connection, &text, &continues);
		if (r != 0)
			return r;
		r = function(text, userdata);
		if (r != 0 && continues)
			return iommud_break(connection, r);
	}
	return r;
}
