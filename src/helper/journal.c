/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Open transactions, in memory and in the file. The file is the truth after a restart: a record is written before what it
 * announces, and memory changes after the record is there. The one exception is the end of a transaction, which has
 * happened whether it can be written or not; then the file is stale, and is written anew before anything is added.
 *
 * A torn record at the end is what a killed writer leaves, and is cut off. A damaged one is not: the file is kept for
 * people under another name, and what could be read goes on.
 */
#include "helper/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "helper/journal-file.h"
#include "util/cleanup.h"
#include "util/log.h"

#define LOCK_FILE "lock"
#define COMPACT_RECORDS 256

struct journal {
	int dir_fd;
	int lock_fd;
	struct journal_file file;
	bool stale; /* the file shows a transaction that is closed */
	uint64_t last_number;
	struct list_link open; /* struct transaction, in order of number */
	size_t n_open;
};

static struct transaction *find(const struct journal *journal, uint64_t number)
{
	struct transaction *transaction;

	list_for_each(transaction, &journal->open, link) {
		if (transaction->number == number)
			return transaction;
	}
	return NULL;
}

static void remove_transaction(struct journal *journal, struct transaction *transaction)
{
	list_unlink(&transaction->link);
	journal->n_open--;
	free(transaction);
}

struct journal *journal_free(struct journal *journal)
{
	if (!journal)
		return NULL;
	while (!list_is_empty(&journal->open))
		remove_transaction(journal, list_first_entry(&journal->open, struct transaction, link));
	journal_file_close(&journal->file);
	close_fd(journal->lock_fd);
	close_fd(journal->dir_fd);
	free(journal);
	return NULL;
}

DEFINE_CLEANUP(journal, struct journal *, journal_free)

/* Keeps the order of numbers; new ones go to the end. */
static void insert_transaction(struct journal *journal, struct transaction *transaction)
{
	struct list_link *at = &journal->open;

	while (at->prev != &journal->open &&
	       list_entry(at->prev, struct transaction, link)->number > transaction->number)
		at = at->prev;
	list_append(at, &transaction->link);
	journal->n_open++;
}

static int add_transaction(struct journal *journal, uint64_t number, const struct device_state *snapshot,
			   struct transaction **ret)
{
	struct transaction *transaction = calloc(1, sizeof(*transaction));

	if (!transaction)
		return -ENOMEM;
	list_init(&transaction->link);
	transaction->number = number;
	transaction->snapshot = *snapshot;
	insert_transaction(journal, transaction);
	*ret = transaction;
	return 0;
}

/* A PREPARED whose BEGIN was damaged has all that is needed. */
static int fold_entry(struct journal *journal, const struct journal_entry *entry)
{
	struct transaction *transaction = find(journal, entry->transaction);
	int r;

	if (entry->transaction > journal->last_number)
		journal->last_number = entry->transaction;
	if (entry->type == JOURNAL_CLOSED) {
		if (transaction)
			remove_transaction(journal, transaction);
		return 0;
	}
	if (!transaction) {
		r = add_transaction(journal, entry->transaction, &entry->snapshot, &transaction);
		if (r < 0)
			return r;
	}
	if (entry->type == JOURNAL_PREPARED)
		transaction->prepared = true;
	return 0;
}

static struct journal_entry entry_of(const struct transaction *transaction)
{
	return (struct journal_entry){
		.type = transaction->prepared ? JOURNAL_PREPARED : JOURNAL_BEGIN,
		.transaction = transaction->number,
		.snapshot = transaction->snapshot,
	};
}

static int compact(struct journal *journal)
{
	_cleanup_free_ struct journal_entry *entries = calloc(journal->n_open + 1, sizeof(*entries));
	const struct transaction *transaction;
	size_t n = 0;
	int r;

	if (!entries)
		return -ENOMEM;
	list_for_each(transaction, &journal->open, link)
		entries[n++] = entry_of(transaction);
	r = journal_file_replace(&journal->file, entries, n);
	if (r < 0)
		return r;
	journal->stale = false;
	return 0;
}

static int append(struct journal *journal, const struct journal_entry *entry)
{
	int r = 0;

	if (journal->stale || journal->file.n_records >= COMPACT_RECORDS + 2 * journal->n_open)
		r = compact(journal);
	if (r < 0 && journal->stale)
		return r;
	r = journal_file_append(&journal->file, entry);
	if (r == -EIO)
		journal->stale = true;
	return r;
}

/*
 * A POSIX lock, for it belongs to the process: workers that outlive a killed helper must not keep the next one out.
 */
static int take_lock(struct journal *journal)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	journal->lock_fd = openat(journal->dir_fd, LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (journal->lock_fd < 0)
		return -errno;
	if (fcntl(journal->lock_fd, F_SETLK, &lock) < 0)
		return errno == EACCES || errno == EAGAIN ? -EBUSY : -errno;
	return 0;
}

static int set_aside(struct journal *journal, size_t n_damaged)
{
	char name[64];
	int r = journal_file_set_aside(journal->dir_fd, name, sizeof(name));

	if (r < 0)
		return r;
	log_warning("journal: %zu damaged record(s), kept as %s; devices that only they named must be put back by hand",
		    n_damaged, name);
	return 0;
}

static int load(struct journal *journal)
{
	_cleanup_free_ struct journal_entry *entries = NULL;
	struct journal_content content;
	int r = journal_file_read(journal->dir_fd, &content);

	if (r < 0)
		return r;
	entries = content.entries;
	for (size_t i = 0; i < content.n_entries; i++) {
		r = fold_entry(journal, &entries[i]);
		if (r < 0)
			return r;
	}
	if (content.torn)
		log_warning("journal: an unfinished record of %zu bytes at the end was cut off", content.torn);
	if (content.n_damaged) {
		r = set_aside(journal, content.n_damaged);
		if (r < 0)
			return r;
	}
	return compact(journal);
}

int journal_open(int dir_fd, struct journal **ret)
{
	_cleanup_(cleanup_journal) struct journal *journal = calloc(1, sizeof(*journal));
	int r;

	if (!journal)
		return -ENOMEM;
	list_init(&journal->open);
	journal->lock_fd = -1;
	journal->dir_fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
	journal->file = (struct journal_file)JOURNAL_FILE_INIT(journal->dir_fd);
	if (journal->dir_fd < 0)
		return -errno;
	r = take_lock(journal);
	if (r < 0)
		return r;
	r = load(journal);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(journal);
	return 0;
}

/* The clock makes numbers unique within the boot even when the file was lost or taken away. */
static uint64_t new_number(struct journal *journal)
{
	struct timespec now;
	uint64_t number;

	clock_gettime(CLOCK_BOOTTIME, &now);
	number = (uint64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	return number > journal->last_number ? number : journal->last_number + 1;
}

int journal_begin(struct journal *journal, const struct device_state *snapshot, const struct transaction **ret)
{
	struct journal_entry entry = { .type = JOURNAL_BEGIN, .snapshot = *snapshot };
	struct transaction *transaction;
	int r;

	entry.transaction = new_number(journal);
	r = append(journal, &entry);
	if (r < 0)
		return r;
	journal->last_number = entry.transaction;
	r = add_transaction(journal, entry.transaction, snapshot, &transaction);
	if (r < 0) {
		journal->stale = true;
		return r;
	}
	*ret = transaction;
	return 0;
}

int journal_mark_prepared(struct journal *journal, uint64_t number)
{
	struct transaction *transaction = find(journal, number);
	struct journal_entry entry;
	int r;

	if (!transaction)
		return -ENOENT;
	entry = entry_of(transaction);
	entry.type = JOURNAL_PREPARED;
	r = append(journal, &entry);
	if (r < 0)
		return r;
	transaction->prepared = true;
	return 0;
}

void journal_mark_failed(struct journal *journal, uint64_t number)
{
	struct transaction *transaction = find(journal, number);

	if (transaction)
		transaction->failed = true;
}

int journal_close(struct journal *journal, uint64_t number)
{
	struct journal_entry entry = { .type = JOURNAL_CLOSED, .transaction = number };
	struct transaction *transaction = find(journal, number);
	int r;

	if (!transaction)
		return -ENOENT;
	remove_transaction(journal, transaction);
	r = append(journal, &entry);
	if (r == 0)
		return 0;
	/* Where one more record does not go, a new file may. */
	journal->stale = true;
	return compact(journal);
}

const struct transaction *journal_find(const struct journal *journal, uint64_t number)
{
	return find(journal, number);
}

const struct transaction *journal_find_address(const struct journal *journal, const char *address)
{
	const struct transaction *transaction;

	list_for_each(transaction, &journal->open, link) {
		if (strcmp(transaction->snapshot.id.address, address) == 0)
			return transaction;
	}
	return NULL;
}

const struct transaction *journal_next(const struct journal *journal, uint64_t number)
{
	const struct transaction *transaction;

	list_for_each(transaction, &journal->open, link) {
		if (transaction->number > number)
			return transaction;
	}
	return NULL;
}
