/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the texts of its entries, borrows paths. Never fails to its callers' faces: the parser's callbacks have nowhere
 * to put an error, so a lack of memory is kept and comes out of report_render().
 */
#include "policy/report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

#define QUOTE_MAX 64

struct report_entry {
	struct report_place place;
	size_t number; /* keeps the order of what stands at one place */
	bool is_error;
	char *message;
};

static int report_add(struct report *report, const struct report_place *place, bool is_error, const char *message)
{
	struct report_entry *entries;
	char *copy;

	if (report->n_entries == REPORT_LINES_MAX)
		return 0;
	entries = reallocarray(report->entries, report->n_entries + 1, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	report->entries = entries;
	copy = strndup(message, strlen(message));
	if (!copy)
		return -ENOMEM;
	entries[report->n_entries] = (struct report_entry){
		.place = *place, .number = report->n_entries, .is_error = is_error, .message = copy
	};
	report->n_entries++;
	return 0;
}

void report_error(struct report *report, const struct report_place *place, const char *format, ...)
{
	char message[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	report->n_errors++;
	if (report_add(report, place, true, message) < 0)
		report->fault = -ENOMEM;
}

void report_warning(struct report *report, const struct report_place *place, const char *format, ...)
{
	char message[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	report->n_warnings++;
	if (report_add(report, place, false, message) < 0)
		report->fault = -ENOMEM;
}

static int compare_numbers(size_t left, size_t right)
{
	return (left > right) - (left < right);
}

static int compare_entries(const void *left_pointer, const void *right_pointer)
{
	const struct report_entry *left = left_pointer, *right = right_pointer;
	int r = compare_numbers(left->place.order, right->place.order);

	if (r == 0)
		r = compare_numbers(left->place.line, right->place.line);
	if (r == 0)
		r = compare_numbers(left->place.column, right->place.column);
	return r ? r : compare_numbers(left->number, right->number);
}

static int print_entry(const struct report_entry *entry, char *buffer, size_t size)
{
	const char *kind = entry->is_error ? "error" : "warning";
	const struct report_place *place = &entry->place;

	if (place->line == 0)
		return snprintf(buffer, size, "%s: %s: %s\n", place->path, kind, entry->message);
	return snprintf(buffer, size, "%s:%u:%u: %s: %s\n", place->path, place->line, place->column, kind,
			entry->message);
}

static int print_rest(const struct report *report, char *buffer, size_t size)
{
	return snprintf(buffer, size, "and %zu more\n", report->n_errors + report->n_warnings - report->n_entries);
}

static char *print_all(const struct report *report)
{
	bool rest = report->n_errors + report->n_warnings > report->n_entries;
	size_t size = 1, used = 0;
	char *text;

	for (size_t i = 0; i < report->n_entries; i++)
		size += print_entry(&report->entries[i], NULL, 0);
	if (rest)
		size += print_rest(report, NULL, 0);
	text = reallocarray(NULL, size, 1);
	if (!text)
		return NULL;
	for (size_t i = 0; i < report->n_entries; i++)
		used += print_entry(&report->entries[i], text + used, size - used);
	if (rest)
		print_rest(report, text + used, size - used);
	return text;
}

int report_render(struct report *report, struct policy_report *ret)
{
	char *text = NULL;

	if (report->fault)
		return report->fault;
	if (report->n_entries > 0) {
		qsort(report->entries, report->n_entries, sizeof(report->entries[0]), compare_entries);
		text = print_all(report);
		if (!text)
			return -ENOMEM;
	}
	*ret = (struct policy_report){ .text = text, .n_errors = report->n_errors, .n_warnings = report->n_warnings };
	return 0;
}

void report_clear(struct report *report)
{
	for (size_t i = 0; i < report->n_entries; i++)
		free(report->entries[i].message);
	free(report->entries);
	*report = (struct report){};
}

void policy_report_clear(struct policy_report *report)
{
	free(report->text);
	*report = (struct policy_report){};
}

int quote_length(const char *text)
{
	int length = (int)strnlen(text, QUOTE_MAX + 1);

	if (length <= QUOTE_MAX)
		return length;
	length = QUOTE_MAX;
	while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
		length--;
	return length;
}
