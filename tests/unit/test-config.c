/* SPDX-License-Identifier: GPL-2.0-or-later */
/* iommud.conf: each key with its bounds, and each error with its place. What is tested is what iommud.conf(5) says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "util/config.h"
#include "util/cleanup.h"
#include "util/log.h"

#define PLACE "/conf:" /* how the file's path ends, as errors have it */

static char dir[] = "/tmp/iommud-test-XXXXXX";
static char path[64];
static char said[8192]; /* the log of the last load */

static int setup(void **state)
{
	log_init("test", LOG_INFO);
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/conf", dir);
	return 0;
}

static int teardown(void **state)
{
	unlink(path);
	return rmdir(dir);
}

static void write_text(const char *text, size_t size)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

/* config_load() or config_start(), with standard error in said[]. */
static int call(int (*function)(const char *path, struct config *config), struct config *config)
{
	int memory = memfd_create("log", MFD_CLOEXEC), saved = dup(2), r;
	ssize_t n;

	assert_true(memory >= 0 && saved >= 0 && dup2(memory, 2) == 2);
	r = function(path, config);
	assert_int_equal(dup2(saved, 2), 2);
	n = pread(memory, said, sizeof(said) - 1, 0);
	said[n < 0 ? 0 : n] = '\0';
	close_fd(memory);
	close_fd(saved);
	return r;
}

static int load(struct config *config)
{
	return call(config_load, config);
}

static struct config defaults(void)
{
	struct config config;

	memset(&config, 0, sizeof(config));
	config_set_defaults(&config);
	return config;
}

static struct config must_load(const char *text)
{
	struct config config = defaults();

	write_text(text, strlen(text));
	assert_int_equal(load(&config), 0);
	assert_string_equal(said, "");
	return config;
}

/* Fails with these lines, each of which follows "test: .../conf:", and changes nothing. */
static void must_fail(const char *text, const char *const *lines, size_t n_lines)
{
	struct config config = defaults(), before = config;
	char *rest = said;

	write_text(text, strlen(text));
	assert_int_equal(load(&config), -EINVAL);
	assert_memory_equal(&config, &before, sizeof(config));
	for (size_t i = 0; i < n_lines; i++) {
		char *line = strsep(&rest, "\n"), *place = strstr(line, PLACE);

		assert_memory_equal(line, "test: ", 6);
		assert_non_null(place);
		assert_string_equal(place + strlen(PLACE), lines[i]);
	}
	assert_string_equal(rest, "");
}

static void must_fail_once(const char *text, const char *line)
{
	must_fail(text, &line, 1);
}

static void defaults_are_those_of_the_manual(void **state)
{
	struct config config = defaults();

	assert_int_equal(config.max_connections, 4096);
	assert_int_equal(config.max_connections_per_user, 256);
	assert_int_equal(config.max_leases_per_user, 64);
	assert_int_equal(config.prepare_timeout_usec, 60000000);
	assert_int_equal(config.linger_after_usec, 2000000);
	assert_int_equal(config.message_timeout_usec, 10000000);
	assert_int_equal(config.send_timeout_usec, 30000000);
	assert_int_equal(config.event_buffer_size, 128 << 20);
	assert_int_equal(config.worker_timeout_usec, 30000000);
	assert_int_equal(config.max_workers, 16);
	assert_int_equal(config.kernel_module, CONFIG_MODULE_PREFER);
}

static void what_is_not_named_keeps_its_value(void **state)
{
	struct config config = must_load(""), expected = defaults();

	assert_memory_equal(&config, &expected, sizeof(config));
	config = must_load("# nothing\n; nothing\n\n[Limits]\n[Timeouts]\n[Events]\n[Helper]\n");
	assert_memory_equal(&config, &expected, sizeof(config));
	config = must_load("[Limits]\nMaxLeasesPerUser=7\n");
	expected.max_leases_per_user = 7;
	assert_memory_equal(&config, &expected, sizeof(config));
}

static void the_file_that_is_shipped_is_all_comments(void **state)
{
	struct config config = defaults(), expected = config;

	assert_int_equal(config_load("iommud.conf", &config), 0);
	assert_memory_equal(&config, &expected, sizeof(config));
}

static void takes_every_key(void **state)
{
	struct config config = must_load("[Limits]\nMaxConnections=1\nMaxConnectionsPerUser=2\nMaxLeasesPerUser=3\n"
					 "[Timeouts]\nPrepareTimeoutSec=4\nLingerAfterSec=5\nMessageTimeoutSec=6\n"
					 "SendTimeoutSec=7\n[Events]\nBufferSize=80000\n[Helper]\nWorkerTimeoutSec=8\n"
					 "MaxWorkers=9\n");

	assert_int_equal(config.max_connections, 1);
	assert_int_equal(config.max_connections_per_user, 2);
	assert_int_equal(config.max_leases_per_user, 3);
	assert_int_equal(config.prepare_timeout_usec, 4000000);
	assert_int_equal(config.linger_after_usec, 5000000);
	assert_int_equal(config.message_timeout_usec, 6000000);
	assert_int_equal(config.send_timeout_usec, 7000000);
	assert_int_equal(config.event_buffer_size, 80000);
	assert_int_equal(config.worker_timeout_usec, 8000000);
	assert_int_equal(config.max_workers, 9);
}

static const struct {
	const char *section, *key;
	unsigned long minimum, maximum;
} bounds[] = {
	{ "Limits", "MaxConnections", 1, 65536 },   { "Limits", "MaxConnectionsPerUser", 1, 65536 },
	{ "Limits", "MaxLeasesPerUser", 1, 65536 }, { "Timeouts", "PrepareTimeoutSec", 1, 3600 },
	{ "Timeouts", "LingerAfterSec", 0, 3600 },  { "Timeouts", "MessageTimeoutSec", 1, 3600 },
	{ "Timeouts", "SendTimeoutSec", 1, 3600 },  { "Helper", "WorkerTimeoutSec", 1, 3600 },
	{ "Helper", "MaxWorkers", 1, 256 },         { "Events", "BufferSize", 65536, 1ul << 30 },
};

static void try_value(size_t i, const char *value, bool fine)
{
	char text[256], line[256];

	snprintf(text, sizeof(text), "[%s]\n%s=%s\n", bounds[i].section, bounds[i].key, value);
	if (fine) {
		must_load(text);
		return;
	}
	snprintf(line, sizeof(line), "2:%zu: error: no number in the range that iommud.conf(5) gives: %s",
		 strlen(bounds[i].key) + 2, value);
	must_fail_once(text, line);
}

static void takes_each_key_within_its_bounds(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(bounds); i++) {
		char value[32];

		snprintf(value, sizeof(value), "%lu", bounds[i].minimum);
		try_value(i, value, true);
		snprintf(value, sizeof(value), "%lu", bounds[i].maximum);
		try_value(i, value, true);
		snprintf(value, sizeof(value), "%lu", bounds[i].maximum + 1);
		try_value(i, value, false);
		snprintf(value, sizeof(value), "%ld", (long)bounds[i].minimum - 1);
		try_value(i, value, false);
	}
}

static void takes_nothing_that_is_no_number(void **state)
{
	static const char *const values[] = {
		"x",   "-1", "+1", "0x10", "1 0", "1.5", "10s", "99999999999999999999", "18446744073709551617",
		"1e3", "1K",
	};

	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		for (size_t key = 0; key < ARRAY_SIZE(bounds) - 1; key++)
			try_value(key, values[i], false);
}

static void the_kernel_module_is_one_of_three_words(void **state)
{
	assert_int_equal(must_load("[Kernel]\nKernelModule=require\n").kernel_module, CONFIG_MODULE_REQUIRE);
	assert_int_equal(must_load("[Kernel]\nKernelModule=prefer\n").kernel_module, CONFIG_MODULE_PREFER);
	assert_int_equal(must_load("[Kernel]\nKernelModule=off\n").kernel_module, CONFIG_MODULE_OFF);
	must_fail_once("[Kernel]\nKernelModule=yes\n", "2:14: error: not require, prefer or off: yes");
	must_fail_once("[Kernel]\nKernelModule=1\n", "2:14: error: not require, prefer or off: 1");
	must_fail_once("[Kernel]\nKernelModule=\n", "2:14: error: not require, prefer or off: ");
}

static void sizes_have_units(void **state)
{
	static const size_t size = ARRAY_SIZE(bounds) - 1;

	assert_int_equal(must_load("[Events]\nBufferSize=64K\n").event_buffer_size, 65536);
	assert_int_equal(must_load("[Events]\nBufferSize=3M\n").event_buffer_size, 3 << 20);
	assert_int_equal(must_load("[Events]\nBufferSize=1024M\n").event_buffer_size, 1 << 30);
	assert_int_equal(must_load("[Events]\nBufferSize=1048576K\n").event_buffer_size, 1 << 30);
	try_value(size, "63K", false);
	try_value(size, "1025M", false);
	try_value(size, "1048577K", false);
	try_value(size, "17592186044416M", false); /* 2^64 */
	try_value(size, "1G", false);
	try_value(size, "64k", false);
	try_value(size, "64KB", false);
	try_value(size, "64 K", false);
	try_value(size, "K", false);
}

static void unknown_sections_are_errors_and_their_keys_are_not(void **state)
{
	must_fail_once(
		"[Limit]\nMaxConnections=1\nWhatever=2\n",
		"1:2: error: unknown section; there are [Limits], [Timeouts], [Events], [Helper] and [Kernel], not Limit");
	must_fail_once(
		"[Limits]\nMaxConnections=1\n[limits]\nx=y\n",
		"3:2: error: unknown section; there are [Limits], [Timeouts], [Events], [Helper] and [Kernel], not limits");
}

static void unknown_keys_are_errors(void **state)
{
	must_fail_once("[Limits]\nMaxConnection=1\n", "2:1: error: unknown key, see iommud.conf(5): MaxConnection");
	must_fail_once("[Limits]\nmaxconnections=1\n", "2:1: error: unknown key, see iommud.conf(5): maxconnections");
	/* A key of another section is none of this one. */
	must_fail_once("[Timeouts]\nMaxConnections=1\n", "2:1: error: unknown key, see iommud.conf(5): MaxConnections");
}

static void a_key_is_set_once(void **state)
{
	must_fail_once("[Limits]\nMaxConnections=1\nMaxConnections=1\n",
		       "3:1: error: this key was set above: MaxConnections");
	must_fail_once("[Limits]\nMaxConnections=1\n[Events]\n[Limits]\nMaxConnections=2\n",
		       "5:1: error: this key was set above: MaxConnections");
}

static void every_error_is_told_in_one_run(void **state)
{
	static const char *const lines[] = {
		"2:16: error: no number in the range that iommud.conf(5) gives: 0",
		"3:1: error: unknown key, see iommud.conf(5): What",
		"5:2: error: unknown section; there are [Limits], [Timeouts], [Events], [Helper] and [Kernel], not Other",
		"7:19: error: no number in the range that iommud.conf(5) gives: many",
	};

	must_fail("[Limits]\nMaxConnections=0\nWhat=1\nMaxLeasesPerUser=9\n[Other]\n[Timeouts]\nMessageTimeoutSec=many"
		  "\n",
		  lines, ARRAY_SIZE(lines));
}

static void a_file_that_can_not_be_read_says_why(void **state)
{
	static char large[70000];
	struct config config = defaults(), before = config;

	memset(large, '#', sizeof(large));
	write_text(large, sizeof(large));
	assert_int_equal(load(&config), -E2BIG);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(load(&config), -ENOENT);
	assert_int_equal(config_load(dir, &config), -EISDIR);
	assert_memory_equal(&config, &before, sizeof(config));
	write_text("", 0);
}

static void a_daemon_starts_with_the_file_over_the_defaults(void **state)
{
	struct config config, expected = defaults();
	char line[128];

	expected.max_workers = 3;
	memset(&config, 0, sizeof(config));
	write_text("[Helper]\nMaxWorkers=3\n", strlen("[Helper]\nMaxWorkers=3\n"));
	assert_int_equal(call(config_start, &config), 0);
	assert_memory_equal(&config, &expected, sizeof(config));
	assert_string_equal(said, "");
	/* A file that was named must be there. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(call(config_start, &config), -ENOENT);
	snprintf(line, sizeof(line), "test: %s: No such file or directory\n", path);
	assert_string_equal(said, line);
	write_text("", 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_those_of_the_manual),
		cmocka_unit_test(what_is_not_named_keeps_its_value),
		cmocka_unit_test(the_file_that_is_shipped_is_all_comments),
		cmocka_unit_test(takes_every_key),
		cmocka_unit_test(takes_each_key_within_its_bounds),
		cmocka_unit_test(takes_nothing_that_is_no_number),
		cmocka_unit_test(the_kernel_module_is_one_of_three_words),
		cmocka_unit_test(sizes_have_units),
		cmocka_unit_test(unknown_sections_are_errors_and_their_keys_are_not),
		cmocka_unit_test(unknown_keys_are_errors),
		cmocka_unit_test(a_key_is_set_once),
		cmocka_unit_test(every_error_is_told_in_one_run),
		cmocka_unit_test(a_file_that_can_not_be_read_says_why),
		cmocka_unit_test(a_daemon_starts_with_the_file_over_the_defaults),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
