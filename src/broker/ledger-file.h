/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ledger as a file: lines, appended, each with its own checksum; what they say is ledger.c's. All functions return 0 or a
 * negative errno.
 */
#ifndef IOMMUD_BROKER_LEDGER_FILE_H
#define IOMMUD_BROKER_LEDGER_FILE_H

#include <stdbool.h>
#include <stddef.h>

#define LEDGER_FILE "ledger"

struct ledger_file {
	int dir_fd; /* borrowed */
	int fd; /* -1: it was not written yet */
	size_t size; /* of what is whole */
	size_t n_lines;
};

#define LEDGER_FILE_INIT(dir)             \
	{                                 \
		.dir_fd = (dir), .fd = -1 \
	}

/* Lines that are to be written together. All zero: none. */
struct ledger_lines {
	char *text;
	size_t size, capacity, n;
	bool failed; /* memory was out: nothing of it is to be written */
};

/* Adds one, with its checksum. `json` has no line break. */
void ledger_lines_add(struct ledger_lines *lines, const char *json, size_t size);
void ledger_lines_clear(struct ledger_lines *lines);

struct ledger_content {
	char *text; /* free() */
	char **lines; /* what could be read, in order, without checksums; point into text; free() */
	size_t n_lines;
	size_t n_damaged; /* lines with a wrong checksum or form */
	size_t torn; /* bytes of an unfinished line at the end */
};

/* Reads the file as it is. One that is missing is empty. */
int ledger_file_read(int dir_fd, struct ledger_content *ret);
void ledger_content_clear(struct ledger_content *content);

/* Replaces the file by these lines, at once (a new file, renamed), and opens it for appending. */
int ledger_file_replace(struct ledger_file *file, const struct ledger_lines *lines);
/* Appends all lines or none. -EIO: what is half there could not be taken back. */
int ledger_file_append(struct ledger_file *file, const struct ledger_lines *lines);
/* Keeps a damaged file for people as ledger.damaged-N; `name` gets that name. */
int ledger_file_set_aside(int dir_fd, char *name, size_t size);
void ledger_file_close(struct ledger_file *file);

#endif
