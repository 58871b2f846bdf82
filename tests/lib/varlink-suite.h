/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the suites on the varlink server begin with: one server a test, and, in those with VARLINK_SUITE_WITNESS, a second
 * client that is connected all the time and is to be served whatever happens to others. Each suite is one file and
 * includes this once.
 */
#ifndef TESTS_VARLINK_SUITE_H
#define TESTS_VARLINK_SUITE_H

#include "varlink-fixture.h"

static struct varlink_fixture fixture;

static inline struct varlink_client new_client(void)
{
	return fixture_new_client(&fixture);
}

#ifdef VARLINK_SUITE_WITNESS

static struct varlink_client witness;

static inline int setup_with(const struct varlink_limits *limits)
{
	int r = fixture_start(&fixture, limits);

	return r < 0 ? r : fixture_connect(&fixture, &witness);
}

static inline int setup(void **state)
{
	return setup_with(NULL);
}

/* One for the witness, two more. */
static inline int setup_few(void **state)
{
	struct varlink_limits limits;

	fixture_default_limits(&limits);
	limits.max_connections_per_uid = 3;
	return setup_with(&limits);
}

static inline int teardown(void **state)
{
	if (witness.fd >= 0)
		assert_served(&witness);
	varlink_client_close(&witness);
	return fixture_stop(&fixture);
}

#else

static inline int setup(void **state)
{
	return fixture_start(&fixture, NULL);
}

static inline int teardown(void **state)
{
	return fixture_stop(&fixture);
}

static inline void assert_echoes(struct varlink_client *client, const char *text)
{
	struct varlink_reply reply;
	char parameters[256];

	snprintf(parameters, sizeof(parameters), "{\"text\":\"%s\"}", text);
	assert_int_equal(varlink_client_call(client, "test.Echo", parameters, NULL, &reply), 0);
	assert_null(reply.error);
	assert_string_equal(varlink_reply_string(&reply, "text"), text);
	varlink_reply_clear(&reply);
}

#endif
#endif
