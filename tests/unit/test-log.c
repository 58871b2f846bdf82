/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a log line goes, and what it looks like there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/log.h"

static int saved, memory;
static char text[8192];

/* From here on standard error is a file of ours. */
static void begin(void)
{
	saved = dup(2);
	memory = memfd_create("log", MFD_CLOEXEC);
	assert_true(saved >= 0 && memory >= 0);
	assert_int_equal(dup2(memory, 2), 2);
}

static const char *end(void)
{
	ssize_t n = pread(memory, text, sizeof(text) - 1, 0);

	text[n < 0 ? 0 : n] = '\0';
	dup2(saved, 2);
	close_fd(saved);
	close_fd(memory);
	return text;
}

static void writes_lines_to_standard_error(void **state)
{
	static const char *const fields[] = { "IOMMUD_DEVICE=0000:01:00.0", NULL };

	unsetenv("JOURNAL_STREAM");
	begin();
	log_init("me", LOG_DEBUG);
	log_error("error %d", 1);
	log_warning("warning");
	log_notice("notice");
	log_info("info");
	log_debug("debug");
	log_fields(LOG_INFO, fields, "with %s", "fields");
	log_fields(LOG_INFO, NULL, "without");
	assert_string_equal(end(), "me: error 1\nme: warning\nme: notice\nme: info\nme: debug\nme: with fields\n"
				   "me: without\n");
}

static void leaves_out_what_is_above_the_level(void **state)
{
	for (int level = LOG_EMERG - 1; level <= LOG_DEBUG; level++) {
		char expected[256] = "";

		for (int priority = LOG_EMERG; priority <= level; priority++)
			snprintf(expected + strlen(expected), sizeof(expected) - strlen(expected), "me: %d\n",
				 priority);
		begin();
		log_init("me", level);
		for (int priority = LOG_EMERG; priority <= LOG_DEBUG; priority++)
			log_line(priority, "%d", priority);
		assert_string_equal(end(), expected);
	}
}

static void keeps_errno(void **state)
{
	begin();
	log_init("me", LOG_INFO);
	close(2); /* so that writing fails */
	errno = EXDEV;
	log_info("nowhere to go");
	assert_int_equal(errno, EXDEV);
	assert_string_equal(end(), "");
}

static void a_long_line_is_cut_and_ended(void **state)
{
	char *line = calloc(1, 5001);
	const char *written;

	assert_non_null(line);
	memset(line, 'x', 5000);
	begin();
	log_init("me", LOG_INFO);
	log_info("%s", line);
	written = end();
	assert_int_equal(strlen(written), strlen("me: ") + 2047 + 1);
	assert_int_equal(written[strlen(written) - 1], '\n');
	free(line);
}

/* What it repeats may come from anybody. */
static void a_line_stays_one_line(void **state)
{
	begin();
	log_init("me", LOG_INFO);
	log_info("label '%s'", "a\nme: b\r\x1b[2J\x7f \xc3\xa4");
	assert_string_equal(end(), "me: label 'a?me: b??[2J? \xc3\xa4'\n");
}

/* What systemd says about the stream that it gave us. */
static void set_stream(unsigned long device, unsigned long inode)
{
	char stream[64];

	snprintf(stream, sizeof(stream), "%lu:%lu", device, inode);
	setenv("JOURNAL_STREAM", stream, 1);
}

static void goes_to_the_journal_if_standard_error_is_its_stream(void **state)
{
	struct stat st;

	begin();
	assert_int_equal(fstat(2, &st), 0);
	set_stream(st.st_dev, st.st_ino);
	log_init("iommud-test-log", LOG_DEBUG);
	log_debug("not on standard error");
	assert_string_equal(end(), "");
	unsetenv("JOURNAL_STREAM");
}

static void a_stream_that_was_redirected_is_not_the_journal(void **state)
{
	static const char *const rubbish[] = { "", "1", "a:b", ":" };
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(rubbish); i++) {
		begin();
		setenv("JOURNAL_STREAM", rubbish[i], 1);
		log_init("me", LOG_INFO);
		log_info("here");
		assert_string_equal(end(), "me: here\n");
	}
	begin();
	assert_int_equal(fstat(2, &st), 0);
	set_stream(st.st_dev, st.st_ino + 1);
	log_init("me", LOG_INFO);
	log_info("here");
	assert_string_equal(end(), "me: here\n");
	unsetenv("JOURNAL_STREAM");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_lines_to_standard_error),
		cmocka_unit_test(leaves_out_what_is_above_the_level),
		cmocka_unit_test(keeps_errno),
		cmocka_unit_test(a_long_line_is_cut_and_ended),
		cmocka_unit_test(a_line_stays_one_line),
		cmocka_unit_test(goes_to_the_journal_if_standard_error_is_its_stream),
		cmocka_unit_test(a_stream_that_was_redirected_is_not_the_journal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
