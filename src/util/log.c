/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a log line goes: the journal or standard error. Owns nothing but the two settings of log_init(). */
#include "util/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>

/* This file's own name in every entry would help nobody. */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#define MAX_FIELDS 80

static const char *log_ident = "iommud";
static int log_max = LOG_INFO;
static int log_to_journal;

/* systemd names device and inode of the stream it gave us; a redirected standard error no longer matches them. */
static int stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long device, inode;
	struct stat st;

	if (!stream || sscanf(stream, "%lu:%lu", &device, &inode) != 2 || fstat(2, &st) < 0)
		return 0;
	return st.st_dev == device && st.st_ino == inode;
}

void log_init(const char *ident, int max_priority)
{
	log_ident = ident;
	log_max = max_priority;
	log_to_journal = stderr_is_journal();
}

static void log_send_journal(int priority, const char *const *fields, const char *text)
{
	struct iovec iov[MAX_FIELDS + 3];
	char message[2100], level[32], ident[80];
	int n = 0;

	snprintf(message, sizeof(message), "MESSAGE=%s", text);
	snprintf(level, sizeof(level), "PRIORITY=%d", priority);
	snprintf(ident, sizeof(ident), "SYSLOG_IDENTIFIER=%s", log_ident);
	iov[n++] = (struct iovec){ message, strlen(message) };
	iov[n++] = (struct iovec){ level, strlen(level) };
	iov[n++] = (struct iovec){ ident, strlen(ident) };
	for (; fields && *fields && n < MAX_FIELDS + 3; fields++)
		iov[n++] = (struct iovec){ (char *)*fields, strlen(*fields) };
	sd_journal_sendv(iov, n);
}

/* One line, whatever it repeats: nobody's words may look like a line of ours. */
static void keep_on_one_line(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

__attribute__((format(printf, 3, 0))) static void log_va(int priority, const char *const *fields, const char *format,
							 va_list args)
{
	int saved = errno;
	char text[2048];

	if (priority > log_max)
		return;
	vsnprintf(text, sizeof(text), format, args);
	keep_on_one_line(text);
	if (log_to_journal)
		log_send_journal(priority, fields, text);
	else
		fprintf(stderr, "%s: %s\n", log_ident, text);
	errno = saved;
}

void log_line(int priority, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_va(priority, NULL, format, args);
	va_end(args);
}

void log_fields(int priority, const char *const *fields, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_va(priority, fields, format, args);
	va_end(args);
}
