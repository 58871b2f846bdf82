/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The client library when memory runs out: the Nth allocation fails, for each N, and nothing leaks or crashes. This program
 * replaces malloc() and its kin, which a sanitizer does as well: there, the test is left out. What json-c asks for is always
 * there: it does not survive without (0.16 copies a key and takes its length unseen).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake-server.h"
#include "libiommud.h"
#include "open-fds.h"
#include "util/cleanup.h"

#if defined(__SANITIZE_ADDRESS__)
#define HAS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif
#ifndef HAS_SANITIZER
#define HAS_SANITIZER 0
#endif

#define STEPS_MAX 1000 /* more than any call allocates */

static unsigned long fail_at; /* 0: never */
static unsigned long n_allocations;

#if !HAS_SANITIZER
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *pointer, size_t size);
extern const char __executable_start, etext;

/* Counts and fails what is asked for by this program, the library in it included; json-c has its memory. */
static int fails(const char *caller)
{
	if (fail_at == 0 || caller < &__executable_start || caller >= &etext || ++n_allocations != fail_at)
		return 0;
	errno = ENOMEM;
	return 1;
}

#define INTERPOSED __attribute__((visibility("default"), noinline))

INTERPOSED void *malloc(size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

INTERPOSED void *calloc(size_t n, size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(n, size);
}

INTERPOSED void *realloc(void *pointer, size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(pointer, size);
}

INTERPOSED char *strdup(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);

	return copy ? memcpy(copy, text, size) : NULL;
}
#endif

static const char script[] = "call io.iommud.Acquire\n"
			     "fds 2\n"
			     "reply {\"lease\":3,\"backend\":\"iommufd\",\"label\":\"blue\",\"iommuFileDescriptor\":0,"
			     "\"devices\":[{\"address\":\"a\",\"group\":7,\"deviceFileDescriptor\":1}]}\n"
			     "call io.iommud.Describe\n"
			     "error io.iommud.NoSuchDevice {\"device\":\"b\",\"message\":\"no b\"}\n"
			     "call io.iommud.ListDevices\n"
			     "more {\"device\":{\"address\":\"a\"}}\n"
			     "reply {}\n";

static int ignore(const char *parameters, void *userdata)
{
	return 0;
}

static int acquire(struct iommud *connection)
{
	const char *const devices[] = { "a" };
	const struct iommud_request request = { .size = sizeof(request), .devices = devices, .n_devices = 1 };
	struct iommud_lease *lease = NULL;
	int r = iommud_acquire(connection, &request, &lease);

	assert_true((r == 0) == (lease != NULL));
	iommud_lease_free(lease);
	return r;
}

static int be_refused(struct iommud *connection)
{
	int r = iommud_call(connection, "io.iommud.Describe", "{\"device\":\"b\"}", NULL);

	assert_true((r == IOMMUD_REFUSED) == (iommud_error(connection) != IOMMUD_ERROR_NONE));
	return r == IOMMUD_REFUSED ? 0 : r;
}

static int list(struct iommud *connection)
{
	return iommud_call_more(connection, "io.iommud.ListDevices", "{}", ignore, NULL);
}

/* Opens a connection and makes one call on it, with the Nth allocation failing. */
static int attempt(const struct fake_server *server, int (*function)(struct iommud *connection), unsigned long step)
{
	struct iommud *connection = NULL;
	int r;

	n_allocations = 0;
	fail_at = step;
	r = iommud_open(server->path, &connection);
	if (r == 0)
		r = function(connection);
	iommud_close(connection);
	fail_at = 0;
	return r;
}

/* Makes step 1, 2, ... fail until the call gets through without having come to the step. */
static void sweep(int (*function)(struct iommud *connection))
{
	size_t before = count_open_fds();
	struct fake_server server;
	unsigned long step = 0;
	char line[512];

	fake_server_start(&server, script);
	do {
		size_t fds = count_open_fds();
		int r = attempt(&server, function, ++step);

		assert_int_equal(count_open_fds(), fds);
		assert_int_equal(r, n_allocations < step ? 0 : -ENOMEM);
		/* An unread log would stop the server. */
		do {
			fake_server_read_log(&server, line, sizeof(line));
		} while (strcmp(line, "gone") != 0);
	} while (n_allocations >= step && step < STEPS_MAX);
	fake_server_stop(&server);
	assert_true(step > 1 && step < STEPS_MAX);
	assert_int_equal(count_open_fds(), before);
}

static void acquire_survives_each_failed_allocation(void **state)
{
	sweep(acquire);
}

static void a_refusal_survives_each_failed_allocation(void **state)
{
	sweep(be_refused);
}

static void a_stream_survives_each_failed_allocation(void **state)
{
	sweep(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(acquire_survives_each_failed_allocation),
		cmocka_unit_test(a_refusal_survives_each_failed_allocation),
		cmocka_unit_test(a_stream_survives_each_failed_allocation),
	};

	if (HAS_SANITIZER) {
		puts("1..1\nok 1 - each_failed_allocation # SKIP the sanitizer has malloc() for itself");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
