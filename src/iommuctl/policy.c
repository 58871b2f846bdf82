/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The verb policy: iommud itself is the authority on its files, so it is started to check, list or test them, and its output
 * and exit status are this verb's. No daemon need run.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "errors.h"
#include "suggest.h"

#ifndef IOMMUD_SBINDIR
#define IOMMUD_SBINDIR "/usr/sbin"
#endif

static const char *daemon_path(void)
{
	const char *path = getenv("IOMMUD_DAEMON");

	return path && *path ? path : IOMMUD_SBINDIR "/iommud";
}

static const char *list_option(const struct options *options)
{
	switch (options->json) {
	case JSON_OFF:
		break;
	case JSON_PRETTY:
		return "--list-policy=pretty";
	case JSON_SHORT:
		return "--list-policy=short";
	}
	return "--list-policy";
}

/* What iommud is started with for the word behind `policy`; NULL: there is no such word. */
static const char *daemon_option(const struct options *options, const char *word)
{
	if (strcmp(word, "check") == 0)
		return "--check-policy";
	if (strcmp(word, "list") == 0)
		return list_option(options);
	return strcmp(word, "test") == 0 ? "--test-policy" : NULL;
}

static int complain_word(const char *word)
{
	static const char *const words[] = { "check", "list", "test" };
	const char *near = suggest(word, words, ARRAY_SIZE(words));

	if (near)
		return complain_usage("'policy' knows check, list and test, not '%s'; did you mean '%s'?", word, near);
	return complain_usage("'policy' knows check, list and test, not '%s'", word);
}

int verb_policy(const struct options *options, int n_arguments, char **arguments)
{
	const char *option = daemon_option(options, arguments[0]);
	_cleanup_free_ char **command = NULL;

	if (!option)
		return complain_word(arguments[0]);
	if (strcmp(arguments[0], "test") == 0 && n_arguments < 2)
		return complain_usage("which file? usage: iommuctl policy test FILE [DIRECTORY...]");
	if (strcmp(arguments[0], "list") != 0 && options->json != JSON_OFF)
		return complain_usage("'policy %s' takes no --json", arguments[0]);
	command = calloc(n_arguments + 2, sizeof(*command));
	if (!command) {
		complain("out of memory");
		return EXIT_FAILED;
	}
	command[0] = (char *)daemon_path();
	command[1] = (char *)option;
	memcpy(command + 2, arguments + 1, (n_arguments - 1) * sizeof(*command));
	execv(command[0], command);
	complain("iommud can't be started for its policy: %s: %s; $IOMMUD_DAEMON says where it is", command[0],
		 strerror(errno));
	return EXIT_FAILED;
}
