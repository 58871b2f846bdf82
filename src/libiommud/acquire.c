/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Acquire, Release and Revoke, typed: a request to JSON, the call, and the lease that comes back. */
#include <stdio.h>
#include <string.h>

#include "internal.h"

/* The size of struct iommud_request in the first version: what every caller has. */
#define REQUEST_SIZE_0 (offsetof(struct iommud_request, consent) + sizeof(const char *))

static int check_devices(const struct iommud_request *request)
{
	if (request->pool)
		return request->n_devices == 0 ? 0 : -EINVAL;
	if (request->n_devices == 0 || !request->devices || request->count || request->numa_node)
		return -EINVAL;
	for (size_t i = 0; i < request->n_devices; i++)
		if (!request->devices[i])
			return -EINVAL;
	return 0;
}

static int request_check(const struct iommud_request *request)
{
	const char *bytes = (const char *)request;

	if (!request || request->size < REQUEST_SIZE_0)
		return -EINVAL;
	/* A newer caller may have members that are not known here, as long as it does not use them. */
	for (size_t i = sizeof(*request); i < request->size; i++)
		if (bytes[i] != 0)
			return -E2BIG;
	return check_devices(request);
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

static int object_add_number(json_object *object, const char *key, int64_t number)
{
	json_object *value = json_object_new_int64(number);

	if (value && json_object_object_add(object, key, value) == 0)
		return 0;
	json_object_put(value);
	return -ENOMEM;
}

static int encode_devices(const struct iommud_request *request, json_object *object)
{
	json_object *devices = json_object_new_array();
	int r = 0;

	if (!devices || json_object_object_add(object, "devices", devices) < 0) {
		json_object_put(devices);
		return -ENOMEM;
	}
	for (size_t i = 0; i < request->n_devices && r == 0; i++)
		r = array_add_string(devices, request->devices[i]);
	return r;
}

static int encode_pool(const struct iommud_request *request, json_object *object)
{
	int r = object_add_string(object, "pool", request->pool);

	if (r == 0 && request->count)
		r = object_add_number(object, "count", (int64_t)request->count);
	if (r == 0 && request->numa_node)
		r = object_add_number(object, "numaNode", *request->numa_node);
	return r;
}

static int request_encode(const struct iommud_request *request, json_object **ret)
{
	_cleanup_json_ json_object *object = json_object_new_object();
	int r;

	if (!object)
		return -ENOMEM;
	r = request->pool ? encode_pool(request, object) : encode_devices(request, object);
	if (r == 0)
		r = object_add_string(object, "backend", request->backend);
	if (r == 0)
		r = object_add_string(object, "consent", request->consent);
	if (r == 0 && request->wait_sec)
		r = object_add_number(object, "waitSec", request->wait_sec);
	if (r == 0)
		*ret = TAKE_PTR(object);
	return r;
}

static size_t n_expected(const struct iommud_request *request)
{
	if (!request->pool)
		return request->n_devices;
	return request->count ? request->count : 1;
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
	r = reply.continues ? -EPROTO : iommud_lease_decode(&reply, n_expected(request), ret);
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

static int revocation_encode(uint64_t lease_id, const char *reason, json_object **ret)
{
	_cleanup_json_ json_object *object = json_object_new_object();
	json_object *number = json_object_new_int64((int64_t)lease_id);
	int r;

	if (!object || !number || json_object_object_add(object, "lease", number) < 0) {
		json_object_put(number);
		return -ENOMEM;
	}
	r = object_add_string(object, "reason", reason);
	if (r == 0)
		*ret = TAKE_PTR(object);
	return r;
}

EXPORT int iommud_revoke(struct iommud *connection, uint64_t lease_id, const char *reason)
{
	_cleanup_json_ json_object *parameters = NULL;
	const char *text;
	bool continues;
	int r = connection && lease_id <= INT64_MAX ? revocation_encode(lease_id, reason, &parameters) : -EINVAL;

	if (r == 0)
		r = iommud_call_send(connection, "io.iommud.Manage.Revoke", parameters, false);
	if (r == 0)
		r = iommud_call_receive_text(connection, &text, &continues);
	return r == 0 && continues ? iommud_break(connection, -EPROTO) : r;
}
