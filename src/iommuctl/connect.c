/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The way to the daemon, and what to do when it is not there. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "errors.h"
#include "iommuctl.h"

static const char *socket_name(const struct options *options)
{
	const char *path = getenv("IOMMUD_SOCKET");

	if (options->socket)
		return options->socket;
	return path && *path ? path : IOMMUD_DEFAULT_SOCKET;
}

int connect_daemon(const struct options *options, struct iommud **ret)
{
	int r = iommud_open(options->socket, ret);

	if (r == 0)
		return EXIT_DONE;
	complain("no connection to iommud at %s: %s%s", socket_name(options), strerror(-r),
		 r == -ENOENT || r == -ECONNREFUSED ? "; start it with 'systemctl start iommud.socket'" : "");
	return EXIT_FAILED;
}
