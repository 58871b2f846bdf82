/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Feeds one client's bytes to a real server through a real socket, in pieces whose sizes the input chooses, now and then
 * with a descriptor, while answers are read or not. The first byte of the input is for that, the rest is sent.
 * What must hold beside no crash: a second client is served afterwards, and nothing spins. `make fuzz` builds and runs it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/json.h"
#include "util/log.h"
#include "varlink-fixture.h"

enum { READS = 1, BYTEWISE = 2, SENDS_FDS = 4, HANGS_UP = 8, EXPIRES = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct varlink_fixture fixture;
static struct varlink_client witness;

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void start(void)
{
	log_init("fuzz", LOG_EMERG);
	check(fixture_start(&fixture, NULL) == 0);
	check(fixture_connect(&fixture, &witness) == 0);
}

static void drain(int fd)
{
	char buffer[65536];

	while (recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT) > 0)
		;
}

static void feed(struct varlink_client *client, unsigned int mode, const uint8_t *data, size_t size)
{
	size_t step = mode & BYTEWISE ? 1 + size / 64 : size;

	for (size_t done = 0; done < size;) {
		size_t n = size - done < step ? size - done : step;
		int fds[] = { fixture.pipe_read, fixture.pipe_write };

		if (varlink_client_send(client, data + done, n, fds, mode & SENDS_FDS && done == 0 ? 2 : 0) < 0)
			return;
		done += n;
		check(fixture_run(&fixture) >= 0);
		if (mode & READS)
			drain(client->fd);
	}
}

/* The tree must say what the text said: printed and parsed again it is the same. */
static void check_json(const uint8_t *data, size_t size)
{
	json_object *object, *again;
	const char *reason;
	_cleanup_free_ char *text = NULL;

	if (json_parse_object((const char *)data, size, &object, &reason) < 0) {
		check(reason && *reason);
		return;
	}
	text = strdup(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN));
	check(json_parse_object(text, strlen(text), &again, &reason) == 0);
	check(json_object_equal(object, again));
	json_object_put(again);
	json_object_put(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct varlink_client client;
	struct varlink_reply reply;

	if (!fixture.server)
		start();
	if (size < 1)
		return 0;
	check_json(data + 1, size - 1);
	check(fixture_connect(&fixture, &client) == 0);
	feed(&client, data[0], data + 1, size - 1);
	if (data[0] & HANGS_UP)
		varlink_client_close(&client);
	else if (data[0] & EXPIRES)
		fixture_expire(&fixture);
	check(fixture_run(&fixture) >= 0);
	check(varlink_client_call(&witness, "test.Echo", "{\"number\":42}", NULL, &reply) == 0);
	check(varlink_reply_int(&reply, "number") == 42);
	varlink_reply_clear(&reply);
	varlink_client_close(&client);
	check(fixture_run(&fixture) >= 0);
	check(fixture.n_pending == 0);
	return 0;
}
