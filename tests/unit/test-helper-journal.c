/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What survives: restarts, torn and damaged files, a full disk, and two helpers at once. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "helper/journal-file.h"
#include "helper/journal.h"
#include "util/cleanup.h"
#include "util/log.h"

struct folder {
	char path[64];
	int fd;
	struct journal *journal;
};

static void open_again(struct folder *folder)
{
	folder->journal = journal_free(folder->journal);
	assert_int_equal(journal_open(folder->fd, &folder->journal), 0);
}

static int set_up(void **state)
{
	struct folder *folder = calloc(1, sizeof(*folder));

	log_init("test", LOG_EMERG);
	strcpy(folder->path, "/tmp/iommud-journal-XXXXXX");
	if (!mkdtemp(folder->path))
		return -1;
	folder->fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	open_again(folder);
	*state = folder;
	return 0;
}

static int tear_down(void **state)
{
	struct folder *folder = *state;
	char command[128];

	journal_free(folder->journal);
	close(folder->fd);
	snprintf(command, sizeof(command), "rm -rf %s", folder->path);
	free(folder);
	return system(command);
}

static struct device_state device(const char *address)
{
	struct device_state is = { .bus = "pci",
				   .id = { .vendor = 0x8086,
					   .device = 0x10d3,
					   .subsystem_vendor = 1,
					   .subsystem_device = 2,
					   .class = 0x020000 },
				   .serial = 0x1122334455667788,
				   .node = 99,
				   .driver = "e1000e",
				   .driver_override = "mine",
				   .moved_to = "pci-stub",
				   .physical_function = "0000:00:02.0" };

	strcpy(is.id.address, address);
	return is;
}

static uint64_t begin(struct folder *folder, const char *address)
{
	const struct device_state is = device(address);
	const struct transaction *transaction;

	assert_int_equal(journal_begin(folder->journal, &is, &transaction), 0);
	return transaction->number;
}

static size_t count(const struct folder *folder)
{
	const struct transaction *transaction = journal_next(folder->journal, 0);
	size_t n = 0;

	for (; transaction; n++)
		transaction = journal_next(folder->journal, transaction->number);
	return n;
}

static off_t file_size(const struct folder *folder)
{
	struct stat st;

	assert_int_equal(fstatat(folder->fd, JOURNAL_FILE, &st, 0), 0);
	return st.st_size;
}

static int open_file(const struct folder *folder)
{
	int fd = openat(folder->fd, JOURNAL_FILE, O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static bool exists(const struct folder *folder, const char *name)
{
	return faccessat(folder->fd, name, F_OK, 0) == 0;
}

static void keeps_everything_across_a_restart(void **state)
{
	struct folder *folder = *state;
	uint64_t first = begin(folder, "0000:00:01.0"), second = begin(folder, "0000:00:02.0");
	const struct device_state is = device("0000:00:02.0");
	const struct transaction *transaction;

	assert_int_equal(journal_mark_prepared(folder->journal, second), 0);
	open_again(folder);
	assert_int_equal(count(folder), 2);
	assert_false(journal_find(folder->journal, first)->prepared);
	transaction = journal_find(folder->journal, second);
	assert_true(transaction->prepared);
	assert_true(device_state_is_same_device(&transaction->snapshot, &is));
	assert_string_equal(transaction->snapshot.driver, "e1000e");
	assert_string_equal(transaction->snapshot.driver_override, "mine");
	assert_true(device_state_is_parked(&transaction->snapshot));
	assert_ptr_equal(journal_find_address(folder->journal, "0000:00:02.0"), transaction);
}

static void keeps_the_bus_and_believes_no_other(void **state)
{
	struct folder *folder = *state;
	struct device_state odd = device("fe200000.dma");
	const struct transaction *transaction;

	strcpy(odd.bus, "platform");
	assert_int_equal(journal_begin(folder->journal, &odd, &transaction), 0);
	strcpy(odd.bus, "isa");
	assert_int_equal(journal_begin(folder->journal, &odd, &transaction), 0);
	open_again(folder);
	/* The other is a damaged record: nobody could put a device back on a bus that is not known. */
	assert_int_equal(count(folder), 1);
	transaction = journal_find_address(folder->journal, "fe200000.dma");
	assert_string_equal(transaction->snapshot.bus, "platform");
}

static void forgets_what_is_closed(void **state)
{
	struct folder *folder = *state;
	uint64_t first = begin(folder, "0000:00:01.0"), second = begin(folder, "0000:00:02.0");

	assert_int_equal(journal_close(folder->journal, first), 0);
	assert_int_equal(journal_close(folder->journal, first), -ENOENT);
	assert_int_equal(journal_mark_prepared(folder->journal, first), -ENOENT);
	assert_null(journal_find_address(folder->journal, "0000:00:01.0"));
	open_again(folder);
	assert_int_equal(count(folder), 1);
	assert_non_null(journal_find(folder->journal, second));
}

static void goes_through_transactions_in_order(void **state)
{
	struct folder *folder = *state;
	uint64_t first = begin(folder, "0000:00:01.0"), second = begin(folder, "0000:00:02.0");

	assert_int_equal(journal_next(folder->journal, 0)->number, first);
	assert_int_equal(journal_next(folder->journal, first)->number, second);
	assert_null(journal_next(folder->journal, second));
	assert_null(journal_next(folder->journal, UINT64_MAX));
}

static void never_uses_a_number_twice(void **state)
{
	struct folder *folder = *state;
	uint64_t last = 0;

	for (int i = 0; i < 50; i++) {
		uint64_t number = begin(folder, "0000:00:01.0");

		assert_true(number > last);
		last = number;
		assert_int_equal(journal_close(folder->journal, number), 0);
		if (i % 10 == 0)
			open_again(folder);
		if (i % 20 == 0)
			assert_int_equal(unlinkat(folder->fd, JOURNAL_FILE, 0), 0);
	}
}

static void is_readable_for_its_owner_alone(void **state)
{
	struct folder *folder = *state;
	struct stat st;

	begin(folder, "0000:00:01.0");
	assert_int_equal(fstatat(folder->fd, JOURNAL_FILE, &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void stays_small(void **state)
{
	struct folder *folder = *state;
	uint64_t kept = begin(folder, "0000:00:01.0");

	for (int i = 0; i < 1000; i++) {
		uint64_t number = begin(folder, "0000:00:02.0");

		assert_int_equal(journal_mark_prepared(folder->journal, number), 0);
		assert_int_equal(journal_close(folder->journal, number), 0);
		assert_true(file_size(folder) <= 270 * JOURNAL_RECORD_SIZE);
	}
	open_again(folder);
	assert_int_equal(count(folder), 1);
	assert_non_null(journal_find(folder->journal, kept));
	assert_int_equal(file_size(folder), JOURNAL_RECORD_SIZE);
}

/* Whatever the length at which the last record was torn. */
static void cuts_off_a_torn_record(void **state)
{
	struct folder *folder = *state;
	uint64_t first = begin(folder, "0000:00:01.0");

	for (off_t length = 1; length < JOURNAL_RECORD_SIZE; length += 51) {
		begin(folder, "0000:00:02.0");
		assert_int_equal(file_size(folder), 2 * JOURNAL_RECORD_SIZE);
		folder->journal = journal_free(folder->journal);
		{
			_cleanup_fd_ int fd = open_file(folder);

			assert_int_equal(ftruncate(fd, JOURNAL_RECORD_SIZE + length), 0);
		}
		open_again(folder);
		assert_int_equal(count(folder), 1);
		assert_non_null(journal_find(folder->journal, first));
		assert_int_equal(file_size(folder), JOURNAL_RECORD_SIZE);
		assert_false(exists(folder, "journal.damaged-1"));
	}
}

static void flip(const struct folder *folder, off_t offset)
{
	_cleanup_fd_ int fd = open_file(folder);
	uint8_t byte;

	assert_int_equal(pread(fd, &byte, 1, offset), 1);
	byte ^= 0x10;
	assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
}

static void sets_a_damaged_file_aside_and_keeps_the_rest(void **state)
{
	struct folder *folder = *state;
	uint64_t first = begin(folder, "0000:00:01.0"), third;

	begin(folder, "0000:00:02.0");
	third = begin(folder, "0000:00:03.0");
	folder->journal = journal_free(folder->journal);
	flip(folder, JOURNAL_RECORD_SIZE + 60);
	open_again(folder);
	assert_int_equal(count(folder), 2);
	assert_non_null(journal_find(folder->journal, first));
	assert_non_null(journal_find(folder->journal, third));
	assert_true(exists(folder, "journal.damaged-1"));
	folder->journal = journal_free(folder->journal);
	flip(folder, JOURNAL_RECORD_SIZE + 60);
	open_again(folder);
	assert_true(exists(folder, "journal.damaged-2"));
	open_again(folder);
	assert_false(exists(folder, "journal.damaged-3"));
}

/* No bit of a record can change without being seen. */
static void believes_no_record_with_one_bit_changed(void **state)
{
	struct folder *folder = *state;

	begin(folder, "0000:00:01.0");
	folder->journal = journal_free(folder->journal);
	for (off_t offset = 0; offset < JOURNAL_RECORD_SIZE; offset++) {
		struct journal_content content;

		flip(folder, offset);
		assert_int_equal(journal_file_read(folder->fd, &content), 0);
		assert_int_equal(content.n_entries, 0);
		assert_int_equal(content.n_damaged, 1);
		free(content.entries);
		flip(folder, offset);
	}
	open_again(folder);
	assert_int_equal(count(folder), 1);
}

/* The PREPARED record has all that the damaged BEGIN had. */
static void restores_from_the_prepared_record_alone(void **state)
{
	struct folder *folder = *state;
	uint64_t number = begin(folder, "0000:00:01.0");

	assert_int_equal(journal_mark_prepared(folder->journal, number), 0);
	folder->journal = journal_free(folder->journal);
	flip(folder, 20);
	open_again(folder);
	assert_true(journal_find(folder->journal, number)->prepared);
	assert_string_equal(journal_find(folder->journal, number)->snapshot.driver, "e1000e");
}

static void believes_no_name_that_leaves_its_folder(void **state)
{
	struct folder *folder = *state;
	struct journal_file file = JOURNAL_FILE_INIT(folder->fd);
	struct journal_entry entries[3];
	struct journal_content content;

	for (int i = 0; i < 3; i++)
		entries[i] = (struct journal_entry){ .type = JOURNAL_BEGIN,
						     .transaction = i + 1,
						     .snapshot = device("0000:00:01.0") };
	strcpy(entries[0].snapshot.id.address, "../x");
	strcpy(entries[1].snapshot.driver, "../x");
	memset(entries[2].snapshot.driver_override, 'x', DEVICE_DRIVER_MAX);
	assert_int_equal(journal_file_replace(&file, entries, 3), 0);
	journal_file_close(&file);
	assert_int_equal(journal_file_read(folder->fd, &content), 0);
	assert_int_equal(content.n_entries, 0);
	assert_int_equal(content.n_damaged, 3);
	free(content.entries);
}

static void limit_file_size(rlim_t size)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = size;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_begin_that_can_not_be_written_leaves_nothing(void **state)
{
	struct folder *folder = *state;
	const struct device_state is = device("0000:00:02.0");
	const struct transaction *transaction = NULL;
	uint64_t first = begin(folder, "0000:00:01.0");

	signal(SIGXFSZ, SIG_IGN);
	limit_file_size(JOURNAL_RECORD_SIZE + 100); /* a short write first, that has to be taken back */
	assert_true(journal_begin(folder->journal, &is, &transaction) < 0);
	assert_null(transaction);
	assert_true(journal_mark_prepared(folder->journal, first) < 0);
	assert_false(journal_find(folder->journal, first)->prepared);
	limit_file_size(RLIM_INFINITY);
	assert_int_equal(file_size(folder), JOURNAL_RECORD_SIZE);
	begin(folder, "0000:00:03.0");
	open_again(folder);
	assert_int_equal(count(folder), 2);
	assert_false(exists(folder, "journal.damaged-1"));
}

static void a_close_that_can_not_be_added_is_in_a_new_file(void **state)
{
	struct folder *folder = *state;
	uint64_t first = begin(folder, "0000:00:01.0"), second = begin(folder, "0000:00:02.0");

	signal(SIGXFSZ, SIG_IGN);
	limit_file_size(2 * JOURNAL_RECORD_SIZE);
	assert_int_equal(journal_close(folder->journal, first), 0);
	limit_file_size(RLIM_INFINITY);
	open_again(folder);
	assert_int_equal(count(folder), 1);
	assert_non_null(journal_find(folder->journal, second));
}

static void a_close_that_can_not_be_written_is_made_good_later(void **state)
{
	struct folder *folder = *state;
	uint64_t first = begin(folder, "0000:00:01.0"), second = begin(folder, "0000:00:02.0");

	signal(SIGXFSZ, SIG_IGN);
	limit_file_size(JOURNAL_RECORD_SIZE / 2);
	assert_true(journal_close(folder->journal, first) < 0);
	limit_file_size(RLIM_INFINITY);
	assert_null(journal_find(folder->journal, first));
	assert_int_equal(journal_mark_prepared(folder->journal, second), 0);
	open_again(folder);
	assert_int_equal(count(folder), 1);
	assert_true(journal_find(folder->journal, second)->prepared);
}

static void lets_one_process_in_at_a_time(void **state)
{
	struct folder *folder = *state;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct journal *journal;

		_exit(journal_open(folder->fd, &journal) == -EBUSY ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(keeps_everything_across_a_restart),
		TEST(keeps_the_bus_and_believes_no_other),
		TEST(forgets_what_is_closed),
		TEST(goes_through_transactions_in_order),
		TEST(never_uses_a_number_twice),
		TEST(is_readable_for_its_owner_alone),
		TEST(stays_small),
		TEST(cuts_off_a_torn_record),
		TEST(sets_a_damaged_file_aside_and_keeps_the_rest),
		TEST(believes_no_record_with_one_bit_changed),
		TEST(restores_from_the_prepared_record_alone),
		TEST(believes_no_name_that_leaves_its_folder),
		TEST(a_begin_that_can_not_be_written_leaves_nothing),
		TEST(a_close_that_can_not_be_added_is_in_a_new_file),
		TEST(a_close_that_can_not_be_written_is_made_good_later),
		TEST(lets_one_process_in_at_a_time),
	};

	return cmocka_run_group_tests_name("helper-journal", tests, NULL, NULL);
}
