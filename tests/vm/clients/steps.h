/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Words of a command line that say which system calls of whom are the steps of a test: WHO CALL,CALL... */
#ifndef TESTS_VM_STEPS_H
#define TESTS_VM_STEPS_H

#include <stdbool.h>
#include <sys/types.h>

#define STEPS_CALLS_MAX 16

/* A daemon: its unit, and the name of its main process. */
struct daemon_name {
	const char *unit, *process;
};

extern const struct daemon_name broker_name, helper_name;

struct steps {
	const struct daemon_name *daemon; /* NULL: WHO is client */
	bool workers; /* what it starts, and not itself */
	int calls[STEPS_CALLS_MAX + 1]; /* ended by -1 */
};

/*
 * WHO: helper, workers (of iommud-helper), broker, openers (threads of the broker), client. `calls` is cut to pieces. 0, or -1
 * with a word on stderr.
 */
int steps_parse(const char *who, char *calls, struct steps *ret);
/* 0: it does not run. */
pid_t daemon_find(const struct daemon_name *name);
/* Waits for the end of what it has started. */
void daemon_wait_for_workers(const struct daemon_name *name);

#endif
