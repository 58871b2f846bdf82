/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of iommuctl share: exit codes, options, verbs. iommuctl is a client like any other: it knows the daemon
 * by libiommud and by the protocol, never by its sources.
 */
#ifndef IOMMUCTL_IOMMUCTL_H
#define IOMMUCTL_IOMMUCTL_H

#include <stdbool.h>
#include <stddef.h>

#include "libiommud.h"
#include "util/cleanup.h"

enum exit_code {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_DENIED = 3,
	EXIT_BUSY = 4,
	EXIT_NOT_VIABLE = 5,
	EXIT_TIMED_OUT = 6,
	/* of `run`, when the command could not be started: as env(1) and the shells have it */
	EXIT_NOT_EXECUTABLE = 126,
	EXIT_NOT_FOUND = 127,
};

enum json_mode {
	JSON_OFF,
	JSON_PRETTY,
	JSON_SHORT,
};

enum color_mode {
	COLOR_AUTO,
	COLOR_ALWAYS,
	COLOR_NEVER,
};

/* Options that only some verbs take; the others are for all. */
enum option_bits {
	OPTION_JSON = 1 << 0,
	OPTION_LEGEND = 1 << 1,
	OPTION_AS = 1 << 2,
	OPTION_BACKEND = 1 << 3,
	OPTION_CONSENT = 1 << 4,
	OPTION_YES = 1 << 5,
	OPTION_REASON = 1 << 6,
	OPTION_POOL = 1 << 7, /* which devices, where addresses need not be given */
	OPTION_WAIT = 1 << 8,
	OPTION_ALL = 1 << 16, /* of all users */
};

/* What the command line says. Texts are borrowed from it. */
struct options {
	unsigned int given; /* enum option_bits */
	enum json_mode json;
	enum color_mode color;
	const char *socket; /* NULL: the library's choice */
	bool no_legend;
	const char *as;
	const char *backend;
	const char *consent;
	bool yes;
	const char *pool;
	unsigned int count; /* of the pool; 0: not given */
	int numa_node; /* of the pool */
	bool with_numa_node;
	unsigned int wait_sec; /* 0: not given */
	const char *reason;
	bool all;
	bool help;
	bool version;
	/* after "--" of `run`; NULL-terminated, NULL when there was no "--" */
	char **command;
};

/* A verb returns the exit code; what went wrong has been said on standard error by then. */
struct verb {
	const char *name;
	const char *arguments; /* for the usage line */
	const char *summary; /* one line */
	const char *details; /* more lines, each ending in newline, or NULL */
	unsigned int options; /* enum option_bits: those that it takes */
	int min_arguments;
	int max_arguments; /* -1: any number */
	int (*run)(const struct options *options, int n_arguments, char **arguments);
};

int verb_list(const struct options *options, int n_arguments, char **arguments);
int verb_groups(const struct options *options, int n_arguments, char **arguments);
int verb_describe(const struct options *options, int n_arguments, char **arguments);
int verb_explain(const struct options *options, int n_arguments, char **arguments);
int verb_acquire(const struct options *options, int n_arguments, char **arguments);
int verb_revoke(const struct options *options, int n_arguments, char **arguments);
int verb_reload(const struct options *options, int n_arguments, char **arguments);
int verb_status(const struct options *options, int n_arguments, char **arguments);
int verb_monitor(const struct options *options, int n_arguments, char **arguments);
int verb_run(const struct options *options, int n_arguments, char **arguments);
int verb_policy(const struct options *options, int n_arguments, char **arguments);
int verb_version(const struct options *options, int n_arguments, char **arguments);

DEFINE_CLEANUP(connection, struct iommud *, iommud_close)
DEFINE_CLEANUP(lease, struct iommud_lease *, iommud_lease_free)
#define _cleanup_connection_ _cleanup_(cleanup_connection)
#define _cleanup_lease_ _cleanup_(cleanup_lease)

/* Connects as the options say. Returns EXIT_DONE, or EXIT_FAILED after it said why on standard error. */
int connect_daemon(const struct options *options, struct iommud **ret);

#endif
