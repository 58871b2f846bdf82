/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The verb policy: iommud itself is the authority on its syntax, so it is started to check, and its report and exit status
 * are this verb's.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "errors.h"

#ifndef IOMMUD_SBINDIR
#define IOMMUD_SBINDIR "/usr/sbin"
#endif

static const char *daemon_path(void)
{
	const char *path = getenv("IOMMUD_DAEMON");

	return path && *path ? path : IOMMUD_SBINDIR "/iommud";
}

int verb_policy(const struct options *options, int n_arguments, char **arguments)
{
	_cleanup_free_ char **command = NULL;

	if (strcmp(arguments[0], "check") != 0)
		return complain_usage("'policy' knows 'check' only, not '%s'", arguments[0]);
	command = calloc(n_arguments + 2, sizeof(*command));
	if (!command) {
		complain("out of memory");
		return EXIT_FAILED;
	}
	command[0] = (char *)daemon_path();
	command[1] = (char *)"--check-policy";
	memcpy(command + 2, arguments + 1, (n_arguments - 1) * sizeof(*command));
	execv(command[0], command);
	complain("iommud can't be started to check the policy: %s: %s; $IOMMUD_DAEMON says where it is", command[0],
		 strerror(errno));
	return EXIT_FAILED;
}
