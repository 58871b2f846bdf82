/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Refusals: keeps the last one of a connection, and knows the names. */
#include <stdio.h>
#include <string.h>

#include "internal.h"

static const struct {
	const char *name;
	enum iommud_error error;
} names[] = {
	{ "io.iommud.NoSuchDevice", IOMMUD_ERROR_NO_SUCH_DEVICE },
	{ "io.iommud.NoSuchLease", IOMMUD_ERROR_NO_SUCH_LEASE },
	{ "io.iommud.DeniedByPolicy", IOMMUD_ERROR_DENIED },
	{ "io.iommud.GroupNotViable", IOMMUD_ERROR_NOT_VIABLE },
	{ "io.iommud.ConsentRequired", IOMMUD_ERROR_CONSENT_REQUIRED },
	{ "io.iommud.GroupNotSingleton", IOMMUD_ERROR_NOT_SINGLETON },
	{ "io.iommud.LabelMismatch", IOMMUD_ERROR_LABEL_MISMATCH },
	{ "io.iommud.DeviceBusy", IOMMUD_ERROR_BUSY },
	{ "io.iommud.BackendUnavailable", IOMMUD_ERROR_BACKEND_UNAVAILABLE },
	{ "io.iommud.QuotaExceeded", IOMMUD_ERROR_QUOTA_EXCEEDED },
	{ "io.iommud.TimedOut", IOMMUD_ERROR_TIMED_OUT },
	{ "io.iommud.PrepareFailed", IOMMUD_ERROR_PREPARE_FAILED },
	{ "io.iommud.NoSuchPool", IOMMUD_ERROR_NO_SUCH_POOL },
	{ "io.iommud.PoolExhausted", IOMMUD_ERROR_POOL_EXHAUSTED },
	{ "io.iommud.ResetScopeConflict", IOMMUD_ERROR_RESET_SCOPE_CONFLICT },
	{ "io.iommud.Manage.NotAllowed", IOMMUD_ERROR_DENIED },
	{ "io.iommud.Manage.NoSuchLease", IOMMUD_ERROR_NO_SUCH_LEASE },
	{ "io.iommud.Manage.PolicyInvalid", IOMMUD_ERROR_POLICY_INVALID },
	{ "io.iommud.Interrupted", IOMMUD_ERROR_INTERRUPTED },
	{ "io.iommud.InvalidMessage", IOMMUD_ERROR_INVALID_CALL },
	{ "io.iommud.MessageTooLarge", IOMMUD_ERROR_INVALID_CALL },
	{ "io.iommud.UnexpectedFileDescriptors", IOMMUD_ERROR_INVALID_CALL },
	{ "org.varlink.service.PermissionDenied", IOMMUD_ERROR_DENIED },
	{ "org.varlink.service.InterfaceNotFound", IOMMUD_ERROR_INVALID_CALL },
	{ "org.varlink.service.MethodNotFound", IOMMUD_ERROR_INVALID_CALL },
	{ "org.varlink.service.MethodNotImplemented", IOMMUD_ERROR_INVALID_CALL },
	{ "org.varlink.service.InvalidParameter", IOMMUD_ERROR_INVALID_CALL },
	{ "org.varlink.service.ExpectedMore", IOMMUD_ERROR_INVALID_CALL },
};

EXPORT enum iommud_error iommud_error_from_name(const char *name)
{
	if (!name)
		return IOMMUD_ERROR_NONE;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(names[i].name, name) == 0)
			return names[i].error;
	return IOMMUD_ERROR_OTHER;
}

void iommud_error_clear(struct iommud *connection)
{
	free(TAKE_PTR(connection->error_name));
	free(TAKE_PTR(connection->error_message));
	json_object_put(TAKE_PTR(connection->error_parameters));
}

/* The daemon's own sentence, or what can be said without one: the name and the first text that came with it. */
static char *message_of(const char *name, json_object *parameters)
{
	const char *short_name = strrchr(name, '.') ? strrchr(name, '.') + 1 : name;
	json_object *value;
	char *text;

	if (json_object_object_get_ex(parameters, "message", &value) && json_object_is_type(value, json_type_string))
		return strdup(json_object_get_string(value));
	json_object_object_foreach(parameters, key, detail)
	{
		if (asprintf(&text, "%s: %s %s", short_name, key, json_object_get_string(detail)) < 0)
			return NULL;
		return text;
	}
	return strdup(short_name);
}

int iommud_error_set(struct iommud *connection, const char *name, json_object *parameters)
{
	_cleanup_json_ json_object *kept = parameters ? json_object_get(parameters) : json_object_new_object();
	_cleanup_free_ char *name_copy = strdup(name);
	_cleanup_free_ char *message = NULL;

	if (!kept || !name_copy)
		return -ENOMEM;
	message = message_of(name, kept);
	if (!message || !json_object_to_json_string_ext(kept, JSON_FLAGS))
		return -ENOMEM;
	iommud_error_clear(connection);
	connection->error_name = TAKE_PTR(name_copy);
	connection->error_message = TAKE_PTR(message);
	connection->error_parameters = TAKE_PTR(kept);
	return 0;
}

EXPORT enum iommud_error iommud_error(const struct iommud *connection)
{
	return iommud_error_from_name(connection->error_name);
}

EXPORT const char *iommud_error_name(const struct iommud *connection)
{
	return connection->error_name;
}

EXPORT const char *iommud_error_message(const struct iommud *connection)
{
	return connection->error_message;
}

EXPORT const char *iommud_error_parameters(const struct iommud *connection)
{
	if (!connection->error_parameters)
		return NULL;
	return json_object_to_json_string_ext(connection->error_parameters, JSON_FLAGS);
}
