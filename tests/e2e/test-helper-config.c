/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What iommud-helper takes from iommud.conf, and what it does when that is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/cleanup.h"

static char path[] = "/tmp/iommud-conf-XXXXXX";

/* Starts it with this file and so many more arguments; its exit status, and what it said. */
static int run_helper(const char *text, const char *arguments, char said[4096])
{
	const char *build = getenv("IOMMUD_BUILD");
	char command[512];
	FILE *file = fopen(path, "we"), *output;
	int status;

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	/* There is no such user, which ends it after it has read its settings. */
	snprintf(command, sizeof(command), "%s/iommud-helper --broker-user=nosuchuser --config=%s %s 2>&1",
		 build ? build : "build", path, arguments);
	output = popen(command, "re");
	assert_non_null(output);
	said[fread(said, 1, 4095, output)] = '\0';
	status = pclose(output);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void a_file_that_is_wrong_is_told_with_its_places(void **state)
{
	static const struct {
		const char *text, *error;
	} wrong[] = {
		{ "[Helper]\nWorkerTimeoutSec=0\n", ":2:18: error: no number in the range" },
		{ "[Helper]\nMaxWorkers=257\n", ":2:12: error: no number in the range" },
		{ "[Helper]\nMaxWorker=1\n", ":2:1: error: unknown key" },
		{ "[helper]\n", ":1:2: error: unknown section" },
		/* A mistake in what is the broker's counts as well: there is one file. */
		{ "[Limits]\nMaxConnections=0\n", ":2:16: error: no number in the range" },
	};
	char said[4096];

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		assert_int_equal(run_helper(wrong[i].text, "", said), 1);
		assert_non_null(strstr(said, path));
		assert_non_null(strstr(said, wrong[i].error));
		assert_null(strstr(said, "nosuchuser"));
	}
}

static void a_file_that_is_right_is_taken(void **state)
{
	char said[4096];

	assert_int_equal(run_helper("[Limits]\nMaxConnections=5\n[Helper]\nMaxWorkers=2\n", "", said), 1);
	assert_non_null(strstr(said, "there is no user \"nosuchuser\""));
	assert_null(strstr(said, path));
}

static void a_file_that_is_named_must_be_there(void **state)
{
	char said[4096];

	assert_int_equal(run_helper("", "--config=/nonexistent/iommud.conf", said), 1);
	assert_non_null(strstr(said, "/nonexistent/iommud.conf: No such file"));
}

static void options_have_the_bounds_of_the_file(void **state)
{
	char said[4096];

	assert_int_equal(run_helper("", "--worker-timeout=3600 --max-workers=256", said), 1);
	assert_non_null(strstr(said, "nosuchuser"));
	assert_int_equal(run_helper("", "--worker-timeout=3601", said), 2);
	assert_non_null(strstr(said, "\"3601\" is no number from 1 to 3600"));
	assert_int_equal(run_helper("", "--max-workers=0", said), 2);
	assert_non_null(strstr(said, "\"0\" is no number from 1 to 256"));
}

static int set_up(void **state)
{
	int fd = mkstemp(path);

	close_fd(fd);
	return fd < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	return unlink(path);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_that_is_wrong_is_told_with_its_places),
		cmocka_unit_test(a_file_that_is_right_is_taken),
		cmocka_unit_test(a_file_that_is_named_must_be_there),
		cmocka_unit_test(options_have_the_bounds_of_the_file),
	};

	return cmocka_run_group_tests_name("helper-config", tests, set_up, tear_down);
}
