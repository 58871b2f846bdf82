/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the helper has to put back, in a folder of its own, so that it outlives the process. A transaction is open from
 * before its device is touched until the device is back. Not thread-safe; one process a folder, held to it by a lock.
 */
#ifndef IOMMUD_HELPER_JOURNAL_H
#define IOMMUD_HELPER_JOURNAL_H

#include "helper/device-state.h"
#include "util/list.h"

struct journal;

struct transaction {
	struct list_link link; /* journal::open, in order of number */
	uint64_t number; /* never used twice within a boot */
	bool prepared; /* the broker was told; otherwise it is to be undone at the next start */
	bool failed; /* it could not be undone when that was tried last; of this process, not in the file */
	struct device_state snapshot;
};

/*
 * Reads the journal of the folder `dir_fd` (duplicated) and mends it: see journal.c. -EBUSY if another process has it.
 */
int journal_open(int dir_fd, struct journal **ret);
struct journal *journal_free(struct journal *journal);

/* Records that `snapshot`'s device is about to be touched. On failure (negative errno) nothing is recorded. */
int journal_begin(struct journal *journal, const struct device_state *snapshot, const struct transaction **ret);

/* Records that the device is prepared. On failure the transaction stays as it was. -ENOENT if it is not open. */
int journal_mark_prepared(struct journal *journal, uint64_t number);

/* Remembers that the device could not be put back. Nothing happens if it is not open. */
void journal_mark_failed(struct journal *journal, uint64_t number);

/*
 * Ends a transaction; `number` is not known any more afterwards. A negative errno says that the file does not show it
 * yet: it is written again with the next record. -ENOENT if it is not open.
 */
int journal_close(struct journal *journal, uint64_t number);

/* NULL if there is none. Borrowed until the transaction is closed. */
const struct transaction *journal_find(const struct journal *journal, uint64_t number);
const struct transaction *journal_find_address(const struct journal *journal, const char *address);
/* The one with the lowest number above `number`. */
const struct transaction *journal_next(const struct journal *journal, uint64_t number);

#endif
