/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A varlink server that answers by a script, right or wrong, for tests of clients. It runs in a process of its own, so
 * that a test can count its own descriptors.
 *
 * The script is text, a line a step; empty lines and lines that begin with '#' are left out:
 *
 *   call METHOD [TEXT]   what follows answers calls of METHOD whose message contains TEXT; the first that fits is taken
 *   fds N                the next message brings N descriptors: files that hold "0", "1", ...
 *   reply JSON           a reply with these parameters
 *   more JSON            the same, and more will follow
 *   error NAME [JSON]    a refusal
 *   raw TEXT             these bytes and nothing else; \0 is a NUL
 *   fill N               N bytes of 'x'
 *   close                the end of the connection
 *
 * A call that nothing fits is answered by org.varlink.service.MethodNotFound. A "call" without steps is never answered.
 * What happens is written to `log_fd`, a line each: "call MESSAGE", "gone" when a client went away.
 */
#ifndef TESTS_FAKE_SERVER_H
#define TESTS_FAKE_SERVER_H

#include <stddef.h>
#include <sys/types.h>

struct fake_server {
	pid_t pid;
	char directory[64];
	char path[80]; /* of the socket */
	int log_fd;
};

/* Serves one client after the other for ever; only a signal ends it. */
void fake_serve(int listener, const char *script, int log_fd) __attribute__((noreturn));
/* A listening socket at `path`, or -1 with errno. */
int fake_listen(const char *path);

/* Starts one in a child process. Aborts on failure, for a test can't go on. */
void fake_server_start(struct fake_server *server, const char *script);
/* The next line of the log without its newline, waiting for it. Empty at the end. */
void fake_server_read_log(struct fake_server *server, char *line, size_t size);
void fake_server_stop(struct fake_server *server);

#endif
