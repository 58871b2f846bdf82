/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Asks once, or twice with --yes: never more, for a group that changes in between wants a person to look at it. */
#include "take.h"

#include <errno.h>
#include <stdio.h>

#include "errors.h"
#include "reply.h"

static int acquire_with_token(struct iommud *connection, struct iommud_request *request, struct iommud_lease **ret)
{
	_cleanup_object_ json_object *parameters = json_tokener_parse(iommud_error_parameters(connection));
	const char *token = reply_text(parameters, "token");

	if (!token)
		return -EPROTO;
	complain("group %lld has other members, which are affected, too:",
		 (long long)reply_number(parameters, "group"));
	report_bystanders(parameters);
	request->consent = token;
	return iommud_acquire(connection, request, ret);
}

int take_devices(const struct options *options, struct iommud *connection, char **devices, size_t n_devices,
		 struct iommud_lease **ret)
{
	struct iommud_request request = {
		.size = sizeof(request),
		.devices = (const char *const *)devices,
		.n_devices = n_devices,
		.backend = options->backend,
		.consent = options->consent,
	};
	int r = iommud_acquire(connection, &request, ret);

	if (r == IOMMUD_REFUSED && options->yes && iommud_error(connection) == IOMMUD_ERROR_CONSENT_REQUIRED)
		r = acquire_with_token(connection, &request, ret);
	return r == 0 ? EXIT_DONE : report_result(connection, "acquire", r);
}
