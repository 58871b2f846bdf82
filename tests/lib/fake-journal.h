/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * journald's socket, /run/systemd/journal/socket, in a mount namespace of the test's own: what the process logs arrives as
 * journald would read it, by its native protocol. The namespace lasts until the process ends. Wants root.
 */
#ifndef IOMMUD_TESTS_FAKE_JOURNAL_H
#define IOMMUD_TESTS_FAKE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>

#define JOURNAL_FIELDS_MAX 96

struct journal_field {
	char name[64];
	char *value; /* with a NUL behind it that does not count */
	size_t size;
};

struct journal_entry {
	struct journal_field fields[JOURNAL_FIELDS_MAX];
	size_t n_fields;
};

/* False: namespaces can't be had here. May be called once. */
bool fake_journal_start(void);
/* Has log_init() take standard error for the journal's stream, and forgets what came before. */
void fake_journal_begin(const char *ident, int max_priority);
/* Standard error is what it is again. */
void fake_journal_end(void);

/* All that arrived since fake_journal_begin() and was sent before this call; kept until the next one. */
size_t fake_journal_count(void);
const struct journal_entry *fake_journal_entry(size_t index);
/* The `index`-th value of the field in the entry; NULL: there is none. */
const char *journal_value(const struct journal_entry *entry, const char *name, size_t index);
/* The one entry with this MESSAGE_ID; NULL: there is none, or more than one. */
const struct journal_entry *fake_journal_only(const char *message_id);

#endif
