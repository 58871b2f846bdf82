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

int check_devices(const struct options *options, const char *verb, size_t n_devices)
{
	if (!options->pool && n_devices == 0)
		return complain_usage("which devices? '%s' takes addresses, or --pool=NAME", verb);
	if (options->pool && n_devices > 0)
		return complain_usage("'%s' takes addresses or --pool, not both", verb);
	if (!options->pool && options->count)
		return complain_usage("--count goes with --pool");
	if (!options->pool && options->with_numa_node)
		return complain_usage("--numa-node goes with --pool");
	return EXIT_DONE;
}

int take_devices(const struct options *options, struct iommud *connection, char **devices, size_t n_devices,
		 struct iommud_lease **ret)
{
	struct iommud_request request = {
		.size = sizeof(request),
		.devices = (const char *const *)devices,
		.n_devices = n_devices,
		.pool = options->pool,
		.count = options->count,
		.numa_node = options->with_numa_node ? &options->numa_node : NULL,
		.wait_sec = options->wait_sec,
		.backend = options->backend,
		.consent = options->consent,
	};
	int r = iommud_acquire(connection, &request, ret);

	if (r == IOMMUD_REFUSED && options->yes && iommud_error(connection) == IOMMUD_ERROR_CONSENT_REQUIRED)
		r = acquire_with_token(connection, &request, ret);
	return r == 0 ? EXIT_DONE : report_result(connection, "acquire", r);
}
