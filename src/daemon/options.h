/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemon's command line. */
#ifndef IOMMUD_DAEMON_OPTIONS_H
#define IOMMUD_DAEMON_OPTIONS_H

#include <stdbool.h>

#define OPTIONS_DIRS_MAX 16

struct options {
	const char *config; /* NULL: the default path, which may be missing */
	const char *listen; /* NULL: systemd's socket */
	const char *helper;
	const char *sysfs;
	const char *dev;
	const char *user; /* NULL: stay */
	const char *state; /* the folder for what outlives us; empty: none */
	unsigned int fd_store; /* how many descriptors systemd keeps for us; 0: none */
	const char *policy[OPTIONS_DIRS_MAX + 1]; /* none: policy_default_dirs */
	bool any_owner;
	bool check_policy;
	const char *list_policy; /* "text", "pretty" or "short" (JSON); NULL: do not */
	const char *test_policy; /* a file of expectations; NULL: do not */
	int log_level;
};

/* Exits for --help and --version (0) and for what it does not understand (2). */
void options_parse(int argc, char **argv, struct options *ret);

#endif
