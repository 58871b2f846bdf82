/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A varlink client for tests: small, blocking, and able to misbehave. Each wait has a deadline of
 * VARLINK_CLIENT_TIMEOUT_MSEC. A test whose server runs in the same thread sets `pump`, which is then called while
 * waiting, whenever `pump_fd` is readable.
 */
#ifndef IOMMUD_TESTS_VARLINK_CLIENT_H
#define IOMMUD_TESTS_VARLINK_CLIENT_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

#define VARLINK_CLIENT_TIMEOUT_MSEC 20000
#define VARLINK_CLIENT_FDS_MAX 253

struct varlink_client {
	int fd; /* -1: not connected */
	char *data; /* received and not handed out */
	size_t size;
	int fds[VARLINK_CLIENT_FDS_MAX]; /* of the message that is being received */
	size_t n_fds;
	int pump_fd;
	void (*pump)(void *userdata);
	void *pump_userdata;
};

#define VARLINK_CLIENT_INIT              \
	{                                \
		.fd = -1, .pump_fd = -1, \
	}

struct varlink_reply {
	json_object *message; /* whole */
	json_object *parameters; /* borrowed from it; NULL without */
	const char *error; /* borrowed from it; NULL without */
	bool continues;
	int fds[VARLINK_CLIENT_FDS_MAX];
	size_t n_fds;
};

/* All return 0 or a negative errno: -ETIMEDOUT, -EPIPE when the server has closed, -ECONNREFUSED, ... */
int varlink_client_connect(struct varlink_client *client, const char *path);
/* Closes the connection and all descriptors that were not taken. */
void varlink_client_close(struct varlink_client *client);

/* Raw bytes, as they are; descriptors go with the first of them. */
int varlink_client_send(struct varlink_client *client, const void *data, size_t size, const int *fds, size_t n_fds);
/* A text and its terminating NUL. */
int varlink_client_send_text(struct varlink_client *client, const char *text);
/* A call. `parameters` is JSON text or NULL, `flags` NULL or JSON members, such as "\"more\":true". */
int varlink_client_send_call(struct varlink_client *client, const char *method, const char *parameters,
			     const char *flags);

/* The next message. `ret` is the caller's, to be emptied by varlink_reply_clear(). */
int varlink_client_receive(struct varlink_client *client, struct varlink_reply *ret);
/* Sends a call and receives one reply. */
int varlink_client_call(struct varlink_client *client, const char *method, const char *parameters, const char *flags,
			struct varlink_reply *ret);
/* 0 once the server has closed and nothing is left to read, -EBUSY when a message comes instead. */
int varlink_client_await_close(struct varlink_client *client);

/* Text, number (-1 if it is none) or boolean of the reply's parameters. NULL, -1 or false if it is not there. */
const char *varlink_reply_string(const struct varlink_reply *reply, const char *key);
long long varlink_reply_int(const struct varlink_reply *reply, const char *key);
bool varlink_reply_bool(const struct varlink_reply *reply, const char *key);
/* Frees the message and closes its descriptors, but those that the caller set to -1. */
void varlink_reply_clear(struct varlink_reply *reply);

#endif
