/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Errors and warnings of one load, collected in any order, shown in order of file and line. */
#ifndef IOMMUD_POLICY_REPORT_H
#define IOMMUD_POLICY_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "policy/policy.h"

#define REPORT_LINES_MAX 1000 /* of text; what is beyond is counted and summed up in a last line */

struct report_place {
	const char *path; /* borrowed until report_render() */
	unsigned int order; /* of the file among those that are read */
	unsigned int line; /* 0: the file or folder as a whole */
	unsigned int column;
};

struct report_entry;

struct report {
	struct report_entry *entries;
	size_t n_entries;
	size_t n_errors;
	size_t n_warnings;
	int fault; /* -ENOMEM once something could not be kept */
};

void report_error(struct report *report, const struct report_place *place, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void report_warning(struct report *report, const struct report_place *place, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Makes the public form (policy_report_clear()). -ENOMEM, now or earlier. */
int report_render(struct report *report, struct policy_report *ret);
void report_clear(struct report *report);

/*
 * How much of a text from a file to quote, for "%.*s": at most 64 bytes, never a part of a character. Messages are
 * shown, logged and sent as JSON.
 */
int quote_length(const char *text);

#endif
