/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records on disk. The folder is a tmpfs below /run, made anew at each boot, so the file has to outlive processes, not
 * the kernel: nothing is synced. A record is believed only with its checksum, and its texts only when they end.
 */
#include "helper/journal-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "topology/buses.h"
#include "util/cleanup.h"
#include "util/digest.h"
#include "util/fileio.h"

#define RECORD_MAGIC 0x696f6d6aU /* "iomj" */
#define RECORD_VERSION 3
#define CHECKSUM_SIZE 16
#define SIZE_LIMIT (64 * 1024 * 1024)
#define TEMPORARY_FILE "journal.new"
#define SET_ASIDE_MAX 100

struct record {
	uint32_t magic;
	uint16_t version;
	uint16_t type;
	uint64_t transaction;
	uint64_t serial;
	uint64_t node;
	uint16_t vendor;
	uint16_t device;
	uint16_t subsystem_vendor;
	uint16_t subsystem_device;
	uint32_t class;
	int32_t numa_node;
	char address[DEVICE_ADDRESS_MAX];
	char driver[DEVICE_DRIVER_MAX];
	char driver_override[DEVICE_DRIVER_MAX];
	char moved_to[DEVICE_DRIVER_MAX];
	char bus[DEVICE_BUS_MAX];
	char physical_function[PCI_ADDRESS_MAX];
	char path[DEVICE_PATH_MAX];
	char serial_number[DEVICE_SERIAL_MAX];
	uint8_t checksum[CHECKSUM_SIZE];
};
_Static_assert(sizeof(struct record) == JOURNAL_RECORD_SIZE, "the journal's format is fixed");

static void record_checksum(const struct record *record, uint8_t ret[CHECKSUM_SIZE])
{
	uint8_t full[DIGEST_SIZE];
	struct digest digest;

	digest_begin(&digest);
	digest_add(&digest, record, offsetof(struct record, checksum));
	digest_end(&digest, full);
	memcpy(ret, full, CHECKSUM_SIZE);
}

static void record_encode(const struct journal_entry *entry, struct record *ret)
{
	const struct device_state *snapshot = &entry->snapshot;

	memset(ret, 0, sizeof(*ret));
	ret->magic = RECORD_MAGIC;
	ret->version = RECORD_VERSION;
	ret->type = entry->type;
	ret->transaction = entry->transaction;
	ret->serial = snapshot->serial;
	ret->node = snapshot->node;
	ret->vendor = snapshot->id.vendor;
	ret->device = snapshot->id.device;
	ret->subsystem_vendor = snapshot->id.subsystem_vendor;
	ret->subsystem_device = snapshot->id.subsystem_device;
	ret->class = snapshot->id.class;
	memcpy(ret->address, snapshot->id.address, sizeof(ret->address));
	memcpy(ret->driver, snapshot->driver, sizeof(ret->driver));
	memcpy(ret->driver_override, snapshot->driver_override, sizeof(ret->driver_override));
	memcpy(ret->moved_to, snapshot->moved_to, sizeof(ret->moved_to));
	memcpy(ret->bus, snapshot->bus, sizeof(ret->bus));
	memcpy(ret->physical_function, snapshot->physical_function, sizeof(ret->physical_function));
	ret->numa_node = snapshot->numa_node;
	memcpy(ret->path, snapshot->path, sizeof(ret->path));
	memcpy(ret->serial_number, snapshot->serial_number, sizeof(ret->serial_number));
	record_checksum(ret, ret->checksum);
}

static bool text_is_name(const char *text, size_t size)
{
	return strnlen(text, size) < size && !strchr(text, '/');
}

static bool record_is_good(const struct record *record)
{
	uint8_t checksum[CHECKSUM_SIZE];

	record_checksum(record, checksum);
	if (memcmp(checksum, record->checksum, CHECKSUM_SIZE) != 0)
		return false;
	if (record->magic != RECORD_MAGIC || record->version != RECORD_VERSION || record->transaction == 0)
		return false;
	if (record->type == JOURNAL_CLOSED)
		return true;
	if (record->type != JOURNAL_BEGIN && record->type != JOURNAL_PREPARED)
		return false;
	return device_address_is_valid(record->address) && text_is_name(record->driver, DEVICE_DRIVER_MAX) &&
	       text_is_name(record->driver_override, DEVICE_DRIVER_MAX) &&
	       text_is_name(record->moved_to, DEVICE_DRIVER_MAX) && text_is_name(record->bus, DEVICE_BUS_MAX) &&
	       bus_find(record->bus) && text_is_name(record->physical_function, PCI_ADDRESS_MAX) &&
	       strnlen(record->path, DEVICE_PATH_MAX) < DEVICE_PATH_MAX &&
	       strnlen(record->serial_number, DEVICE_SERIAL_MAX) < DEVICE_SERIAL_MAX;
}

static void record_decode(const struct record *record, struct journal_entry *ret)
{
	struct device_state *snapshot = &ret->snapshot;

	memset(ret, 0, sizeof(*ret));
	ret->type = record->type;
	ret->transaction = record->transaction;
	snapshot->serial = record->serial;
	snapshot->node = record->node;
	snapshot->id.vendor = record->vendor;
	snapshot->id.device = record->device;
	snapshot->id.subsystem_vendor = record->subsystem_vendor;
	snapshot->id.subsystem_device = record->subsystem_device;
	snapshot->id.class = record->class;
	memcpy(snapshot->id.address, record->address, sizeof(snapshot->id.address));
	memcpy(snapshot->driver, record->driver, sizeof(snapshot->driver));
	memcpy(snapshot->driver_override, record->driver_override, sizeof(snapshot->driver_override));
	memcpy(snapshot->moved_to, record->moved_to, sizeof(snapshot->moved_to));
	memcpy(snapshot->bus, record->bus, sizeof(snapshot->bus));
	memcpy(snapshot->physical_function, record->physical_function, sizeof(snapshot->physical_function));
	snapshot->numa_node = record->numa_node;
	memcpy(snapshot->path, record->path, sizeof(snapshot->path));
	memcpy(snapshot->serial_number, record->serial_number, sizeof(snapshot->serial_number));
}

int journal_file_read(int dir_fd, struct journal_content *ret)
{
	_cleanup_free_ char *text = NULL;
	struct journal_content content = { 0 };
	struct record record;
	size_t size = 0;
	int r;

	r = read_whole_file_at(dir_fd, JOURNAL_FILE, SIZE_LIMIT, &text, &size);
	if (r < 0 && r != -ENOENT)
		return r;
	content.entries = calloc(size / sizeof(record) + 1, sizeof(*content.entries));
	if (!content.entries)
		return -ENOMEM;
	content.torn = size % sizeof(record);
	for (size_t i = 0; i < size / sizeof(record); i++) {
		memcpy(&record, text + i * sizeof(record), sizeof(record));
		if (record_is_good(&record))
			record_decode(&record, &content.entries[content.n_entries++]);
		else
			content.n_damaged++;
	}
	*ret = content;
	return 0;
}

static int write_record(int fd, const struct journal_entry *entry)
{
	struct record record;
	ssize_t n;

	record_encode(entry, &record);
	n = write(fd, &record, sizeof(record));
	if (n < 0)
		return -errno;
	return n == sizeof(record) ? 0 : -ENOSPC;
}

int journal_file_replace(struct journal_file *file, const struct journal_entry *entries, size_t n_entries)
{
	_cleanup_fd_ int fd = -1;
	int r;

	if (unlinkat(file->dir_fd, TEMPORARY_FILE, 0) < 0 && errno != ENOENT)
		return -errno;
	fd = openat(file->dir_fd, TEMPORARY_FILE, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	for (size_t i = 0; i < n_entries; i++) {
		r = write_record(fd, &entries[i]);
		if (r < 0)
			return r;
	}
	if (renameat(file->dir_fd, TEMPORARY_FILE, file->dir_fd, JOURNAL_FILE) < 0)
		return -errno;
	close_fd(file->fd);
	file->fd = TAKE_FD(fd);
	file->n_records = n_entries;
	return 0;
}

int journal_file_append(struct journal_file *file, const struct journal_entry *entry)
{
	int r = write_record(file->fd, entry);

	if (r == 0) {
		file->n_records++;
		return 0;
	}
	/* Half a record must not stand before the next whole one. */
	if (ftruncate(file->fd, file->n_records * sizeof(struct record)) < 0)
		return -EIO;
	return r;
}

int journal_file_set_aside(int dir_fd, char *name, size_t size)
{
	for (int i = 1; i <= SET_ASIDE_MAX; i++) {
		snprintf(name, size, JOURNAL_FILE ".damaged-%d", i);
		/* A second name, not a new one: until the file is replaced, it is all that there is. */
		if (linkat(dir_fd, JOURNAL_FILE, dir_fd, name, 0) == 0)
			return 0;
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

void journal_file_close(struct journal_file *file)
{
	file->fd = close_fd(file->fd);
}
