/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verb revoke: begins to take a lease back. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "errors.h"

/* Only digits: strtoull() would take a sign and blanks. */
static bool parse_lease(const char *text, uint64_t *ret)
{
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	*ret = strtoull(text, &end, 10);
	return errno == 0 && *end == '\0' && *ret <= INT64_MAX;
}

int verb_revoke(const struct options *options, int n_arguments, char **arguments)
{
	_cleanup_connection_ struct iommud *connection = NULL;
	uint64_t lease;
	int code, r;

	if (!parse_lease(arguments[0], &lease))
		return complain_usage("a lease is a number, as 'iommuctl status' shows it, not '%s'", arguments[0]);
	code = connect_daemon(options, &connection);
	if (code != EXIT_DONE)
		return code;
	r = iommud_revoke(connection, lease, options->reason);
	return r == 0 ? EXIT_DONE : report_result(connection, "revoke", r);
}
