/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client of iommud as a child process that does one thing at a time: sends each message in two halves, and the second when
 * the first was read; reads an answer when it lies there, and not before. So each of its system calls is a step of its own,
 * and whoever kills it before one knows what the daemons have of it.
 */
#ifndef TESTS_VM_SLOW_CLIENT_H
#define TESTS_VM_SLOW_CLIENT_H

#include <stdbool.h>
#include <sys/types.h>

#define SLOW_CLIENT_WORD_MAX 128

struct wish {
	const char *user;
	char *const *devices; /* NULL-terminated */
	const char *backend; /* NULL: auto */
	unsigned int wait_sec;
	bool explains; /* asks for an explanation first */
	bool keeps; /* gives nothing back before it is told to go once more */
};

struct slow_client {
	pid_t pid;
	int fd;
};

/* It is the user's, and does nothing yet. 0, or -1 with a word on stderr. The wish is borrowed until its end. */
int slow_client_start(const struct wish *wish, struct slow_client *ret);
void slow_client_go(const struct slow_client *client);
/*
 * The next word of it: "granted", "released", the name of an error, "lost" (its connection), or "" when it was killed. A
 * client that got the devices stays connected after "released".
 */
void slow_client_hear(const struct slow_client *client, char word[SLOW_CLIENT_WORD_MAX]);
/* Ends it, if it is not dead. */
void slow_client_end(struct slow_client *client);

#endif
