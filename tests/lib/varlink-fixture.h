/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A varlink server in the test's own process and thread, with an interface made for tests, on a socket in a temporary
 * folder. Everything is deterministic: unix sockets deliver at once, and time passes only when a test says so.
 */
#ifndef IOMMUD_TESTS_VARLINK_FIXTURE_H
#define IOMMUD_TESTS_VARLINK_FIXTURE_H

#include "varlink-client.h"
#include "varlink/server.h"

#define FIXTURE_PENDING_MAX 64
#define FIXTURE_FRAME_TIMEOUT_USEC 5000000
#define FIXTURE_SEND_TIMEOUT_USEC 30000000

/*
 * test.Echo(text: ?string, number: ?int, flag: ?bool, list: ?[]string) gives all back; test.Fds(number: int) gives that
 * many descriptors of the pipe's write end; test.Later() is answered by the test; test.Stream(number: int, size: ?int)
 * gives that many replies of that size (requires `more`); test.StreamFds(size: int) one of that size and one with a
 * descriptor; test.Fault() fails; test.Strict() is test.Echo that must not be oneway.
 */
struct varlink_fixture {
	struct varlink_server *server;
	struct varlink_server_config config;
	char path[108];
	int pipe_read, pipe_write;
	size_t n_fds_before;
	unsigned int n_connected, n_disconnected, n_handled, n_drained;
	int refuse; /* what `connected` returns */
	int last_result; /* of the last varlink_reply() of test.Fds */
	struct varlink_call *pending[FIXTURE_PENDING_MAX];
	size_t n_pending;
	/* Called in `disconnected`, before the fixture forgets the connection's pending calls. */
	void (*on_disconnected)(struct varlink_fixture *fixture, struct varlink_connection *connection);
	/* What `ready` says; NULL: yes. */
	bool (*on_ready)(struct varlink_fixture *fixture, struct varlink_connection *connection);
	void (*on_drained)(struct varlink_fixture *fixture, struct varlink_connection *connection);
};

void fixture_default_limits(struct varlink_limits *limits);
/* 0 or a negative errno. `limits` may be NULL. */
int fixture_start(struct varlink_fixture *fixture, const struct varlink_limits *limits);
/* Frees the server. Returns the number of descriptors that the process has more than before: 0. */
int fixture_stop(struct varlink_fixture *fixture);

/* Dispatches until nothing is ready, and returns how many rounds that took; -1 if there is no end to it. */
int fixture_run(struct varlink_fixture *fixture);
/* Lets the time pass until the next deadline, and runs. -1 if there is none. */
int fixture_expire(struct varlink_fixture *fixture);
/* Connects; the client pumps this server while it waits. */
int fixture_connect(struct varlink_fixture *fixture, struct varlink_client *client);

/* The same for who does not expect it to fail. */
struct varlink_client fixture_new_client(struct varlink_fixture *fixture);
/* An Echo comes back. */
void assert_served(struct varlink_client *client);
/* The next message is that error, and the string `key` (NULL: none) of its parameters is `value`. */
void assert_error(struct varlink_client *client, const char *name, const char *key, const char *value);
/* Asks for descriptors `n_calls` times, and does not look at the replies. */
void ask_for_fds(struct varlink_client *client, int n_calls, int n_fds);

/* Waits (with a deadline) until nobody holds the pipe's write end but the fixture. 0 or -ETIMEDOUT. */
int fixture_await_pipe_closed(struct varlink_fixture *fixture);

#endif
