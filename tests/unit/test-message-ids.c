/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of message ids, the catalog and the manual page say the same; from the top of the source tree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>

#include "broker/message-ids.h"
#include "util/cleanup.h"
#include "util/fileio.h"

#define CATALOG "src/daemon/iommud.catalog"
#define MANUAL "src/daemon/iommud.8"

static void read_text(const char *path, char **ret)
{
	assert_int_equal(read_whole_file_at(AT_FDCWD, path, 1 << 17, ret, NULL), 0);
}

static unsigned int count(const char *text, const char *part)
{
	unsigned int n = 0;

	for (const char *at = text; (at = strstr(at, part)); at++)
		n++;
	return n;
}

static void ids_are_ids_and_unique(void **state)
{
	for (size_t i = 0; i < n_message_ids; i++) {
		const char *id = message_ids[i].id;

		assert_ptr_equal(message_id_find(message_ids[i].event), &message_ids[i]);
		if (!id)
			continue;
		assert_int_equal(strlen(id), 32);
		assert_int_equal(strspn(id, "0123456789abcdef"), 32);
		/* As a random one has it. */
		assert_int_equal(id[12], '4');
		for (size_t j = 0; j < i; j++)
			assert_true(!message_ids[j].id || strcmp(message_ids[j].id, id) != 0);
	}
	assert_null(message_id_find("noSuchEvent"));
}

/* What has no entry of its own but in a limited way needs no id; all else in the table has one. */
static void what_is_asked_for_has_an_id(void **state)
{
	static const char *const events[] = { "leaseGranted",     "leaseDenied",       "labelRefused", "violation",
					      "releaseRequested", "deviceQuarantined", "leaseFailed" };

	for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
		assert_non_null(message_id_find(events[i]));
		assert_non_null(message_id_find(events[i])->id);
	}
}

static const char *entry_of(const char *catalog, const char *id)
{
	char head[64];

	snprintf(head, sizeof(head), "\n-- %s\n", id);
	assert_int_equal(count(catalog, head), 1);
	return strstr(catalog, head) + strlen(head);
}

/* Head, an empty line, and a text that goes on to the next. */
static void assert_is_whole(const char *entry, const char *event)
{
	const char *end = strstr(entry, "\n-- "), *text = strstr(entry, "\n\n"), *manual = strstr(entry, "man:");

	assert_memory_equal(entry, "Subject: ", 9);
	if (!text || (end && text > end) || strlen(text) < 40)
		fail_msg("no text for %s", event);
	if (!manual || manual > text)
		fail_msg("no manual page for %s", event);
	assert_non_null(strstr(entry, "\nDefined-By: iommud\n"));
}

static void the_catalog_has_each_and_no_other(void **state)
{
	_cleanup_free_ char *catalog = NULL;
	unsigned int n = 0;

	read_text(CATALOG, &catalog);
	for (size_t i = 0; i < n_message_ids; i++) {
		if (!message_ids[i].id)
			continue;
		assert_is_whole(entry_of(catalog, message_ids[i].id), message_ids[i].event);
		n++;
	}
	assert_int_equal(count(catalog, "\n-- "), n);
}

/* A field that no entry has would stay as it is written. */
static void the_catalog_asks_for_fields_that_are_there(void **state)
{
	static const char *const fields[] = { "@IOMMUD_LEASE@", "@IOMMUD_UID@", "@IOMMUD_DEVICE@", "@IOMMUD_RULE@",
					      "@IOMMUD_DRIVER@" };
	_cleanup_free_ char *catalog = NULL;
	unsigned int n = 0;

	read_text(CATALOG, &catalog);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		n += count(catalog, fields[i]);
	assert_int_equal(2 * n, count(catalog, "@"));
}

static void the_manual_page_has_each(void **state)
{
	_cleanup_free_ char *page = NULL;

	read_text(MANUAL, &page);
	for (size_t i = 0; i < n_message_ids; i++) {
		char lines[128];

		if (!message_ids[i].id)
			continue;
		snprintf(lines, sizeof(lines), ".It Li %s\n", message_ids[i].event);
		assert_int_equal(count(page, lines), 1);
		snprintf(lines, sizeof(lines), ".Li %s\n", message_ids[i].id);
		assert_int_equal(count(strstr(page, message_ids[i].event), lines), 1);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_are_ids_and_unique),
		cmocka_unit_test(what_is_asked_for_has_an_id),
		cmocka_unit_test(the_catalog_has_each_and_no_other),
		cmocka_unit_test(the_catalog_asks_for_fields_that_are_there),
		cmocka_unit_test(the_manual_page_has_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
