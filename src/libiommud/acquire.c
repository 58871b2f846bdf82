/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Acquire, Release and Revoke, typed: a request to JSON, the call, and the lease that comes back. */
#include <stdio.h>
#include <string.h>

#include "internal.h"

/* The size of struct iommud_request in the first version: what every caller has. */
#define REQUEST_SIZE_0 (offsetof(struct iommud_request, consent) + sizeof(const char *))

static int request_check(const struct iommud_request *request)
{
	const char *bytes = (const char *)request;

	if (!request || request->size < REQUEST_SIZE_0)
		return -EINVAL;
	/* A newer caller may have members that are not known here, as long as it does not use them. */
	for (size_t i = sizeof(*request); i < request->size; i++)
		if (bytes[i] != 0)
			return -E2BIG;
	if (request->n_devices == 0 || !request->devices)
		return -EINVAL;
	for (size_t i = 0; i < request->n_devices; i++)
		if (!request->devices[i])
			return -EINVAL;
	return 0;
}

static int object_add_string(json_object *object, const char *key, const char *text)
{
	json_object *value;

	if (!text)
		return 0;
	value = json_object_new_string(text);
	if (value && json_object_object_add(object, key, value) == 0)
		return 0;
	json_object_put(value);
	return -ENOMEM;
}

static int array_add_string(json_object *array, const char *text)
{
	json_object *value = json_object_new_string(text);

	if (value && json_object_array_add(array, value) == 0)
		return 0;
	json_object_put(value);
	return -ENOMEM;
}

static int request_encode(const struct iommud_request *request, json_object **ret)
{
	_cleanup_json_ json_object *object = json_object_new_object();
	json_object *devices = json_object_new_array();
	int r = 0;

	if (!object || !devices || json_object_object_add(object, "devices", devices) < 0) {
		json_object_put(devices);
		return -ENOMEM;
	}
	for (size_t i = 0; i < request->n_devices && r == 0; i++)
		r = array_add_string(devices, request->devices[i]);
	if (r == 0)
		r = object_add_string(object, "backend", request->backend);
	if (r == 0)
		r = object_add_string(object, "consent", request->consent);
	if (r == 0)
		*ret = TAKE_PTR(object);
	return r;
}

EXPORT int iommud_acquire(struct iommud *connection, const struct iommud_request *request, struct iommud_lease **ret)
{
	_cleanup_json_ json_object *parameters = NULL;
	_cleanup_reply_ struct iommud_reply reply = { 0 };
	int r = request_check(request);

	if (r == 0)
		r = request_encode(request, &parameters);
	if (r == 0)
		r = iommud_call_send(connection, "io.iommud.Acquire", parameters, false);
	if (r == 0)
		r = iommud_call_receive(connection, &reply);
	if (r != 0)
		return r;
	r = reply.continues ? -EPROTO : iommud_lease_decode(&reply, request->n_devices, ret);
	/* What was granted is not known: only the end of the connection gives it back. */
	return r < 0 ? iommud_break(connection, r) : 0;
}

EXPORT int iommud_release(struct iommud *connection, uint64_t lease_id)
{
	char parameters[64];
	int n = snprintf(parameters, sizeof(parameters), "{\"lease\":%llu}", (unsigned long long)lease_id);

	if (lease_id > INT64_MAX || n < 0)
		return -EINVAL;
	return iommud_call(connection, "io.iommud.Release", parameters, NULL);
}

EXPORT int iommud_revoke(struct iommud *connection, uint64_t lease_id, const char *reason)
{
	_cleanup_json_ json_object *parameters = json_object_new_object();
	_cleanup_reply_ struct iommud_reply reply = { 0 };
	json_object *number = json_object_new_int64((int64_t)lease_id);
	int r = lease_id > INT64_MAX ? -EINVAL : 0;

	if (!parameters || !number || json_object_object_add(parameters, "lease", number) < 0) {
		json_object_put(number);
		return -ENOMEM;
	}
	if (r == 0)
		r = object_add_string(parameters, "reason", reason);
	if (r == 0)
		r = iommud_call_send(connection, "io.iommud.Revoke", parameters, false);
	if (r == 0)
		r = iommud_call_receive(connection, &reply);
	if (r != 0)
		return r;
	return reply.continues || reply.message.n_fds > 0 ? iommud_break(connection, -EPROTO) : 0;
}
