/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The journal as a file: records of one size, appended, each with its own checksum. What they mean is journal.c's.
 * All functions return 0 or a negative errno.
 */
#ifndef IOMMUD_HELPER_JOURNAL_FILE_H
#define IOMMUD_HELPER_JOURNAL_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "helper/device-state.h"

#define JOURNAL_FILE "journal"
#define JOURNAL_RECORD_SIZE 384

enum journal_type {
	JOURNAL_BEGIN = 1, /* the device may have been touched; undo it */
	JOURNAL_PREPARED = 2, /* the broker was told */
	JOURNAL_CLOSED = 3,
};

struct journal_entry {
	enum journal_type type;
	uint64_t transaction;
	struct device_state snapshot; /* not of CLOSED */
};

struct journal_file {
	int dir_fd; /* borrowed */
	int fd;
	size_t n_records;
};

#define JOURNAL_FILE_INIT(dir)            \
	{                                 \
		.dir_fd = (dir), .fd = -1 \
	}

struct journal_content {
	struct journal_entry *entries; /* what could be read, in order; free() */
	size_t n_entries;
	size_t n_damaged; /* records with a wrong checksum or form */
	size_t torn; /* bytes of an unfinished record at the end */
};

/* Reads the file as it is. One that is missing is empty. */
int journal_file_read(int dir_fd, struct journal_content *ret);

/* Replaces the file by one of these entries, at once (a new file, renamed), and opens it for appending. */
int journal_file_replace(struct journal_file *file, const struct journal_entry *entries, size_t n_entries);

/* Appends one record. On failure the file is as before, or -EIO says that this could not be had. */
int journal_file_append(struct journal_file *file, const struct journal_entry *entry);

/* Keeps a damaged file for people as journal.damaged-N; `name` gets that name. */
int journal_file_set_aside(int dir_fd, char *name, size_t size);

void journal_file_close(struct journal_file *file);

#endif
