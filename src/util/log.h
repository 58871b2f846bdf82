/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Log lines: to the journal with structured fields when standard error is the journal's stream, else to standard error
 * as "ident: text". Thread-safe; never blocks for long, never fails, keeps errno.
 * Library code (util, topology, policy, hw) logs at LOG_DEBUG at most; who decides logs once.
 */
#ifndef IOMMUD_UTIL_LOG_H
#define IOMMUD_UTIL_LOG_H

#include <stdarg.h>
#include <syslog.h>

/* `ident` must live as long as the process. Lines above `max_priority` (a LOG_* level) are left out. */
void log_init(const char *ident, int max_priority);

void log_line(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * As log_line(), with journal fields: `fields` is a NULL-terminated array of "NAME=value" strings, names as the
 * journal wants them (IOMMUD_DEVICE, IOMMUD_GROUP, ...), 80 at most. Without a journal the fields are left out, the text
 * stays. Control characters of the text become '?'; what is in fields is for the caller to see to.
 */
void log_fields(int priority, const char *const *fields, const char *format, ...) __attribute__((format(printf, 3, 4)));

#define log_error(...) log_line(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_notice(...) log_line(LOG_NOTICE, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

#endif
