/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verb reload: has both daemons load the policy anew, and says what came of it. */
#include <stdio.h>

#include "errors.h"
#include "reply.h"
#include "terminal.h"

int verb_reload(const struct options *options, int n_arguments, char **arguments)
{
	_cleanup_connection_ struct iommud *connection = NULL;
	_cleanup_object_ json_object *reply = NULL;
	int code = connect_daemon(options, &connection);
	long long n_rules;

	if (code == EXIT_DONE)
		code = reply_call(connection, "io.iommud.Manage.Reload", NULL, &reply);
	if (code != EXIT_DONE)
		return code;
	if (options->json != JSON_OFF) {
		reply_print(options, reply);
		return EXIT_DONE;
	}
	n_rules = reply_number(reply, "rules");
	printf("%lld rule%s in force, digest ", n_rules, n_rules == 1 ? "" : "s");
	terminal_print(stdout, false, STYLE_PLAIN, reply_text(reply, "digest") ? reply_text(reply, "digest") : "?");
	puts(".");
	return EXIT_DONE;
}
