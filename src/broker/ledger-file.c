/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A line is the first 16 digits of the SHA-256 of the rest, a blank, and one JSON object. The folder is a tmpfs below /run,
 * so the file has to outlive processes, not the kernel: nothing is synced. What a killed writer leaves is a line without an
 * end, at the end.
 */
#include "broker/ledger-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/digest.h"
#include "util/fileio.h"

#define CHECKSUM_DIGITS 16
#define PREFIX_SIZE (CHECKSUM_DIGITS + 1)
#define SIZE_LIMIT (64 * 1024 * 1024)
#define TEMPORARY_FILE "ledger.new"
#define SET_ASIDE_MAX 100

static void checksum(const char *json, size_t size, char ret[DIGEST_HEX_SIZE])
{
	uint8_t full[DIGEST_SIZE];
	struct digest digest;

	digest_begin(&digest);
	digest_add(&digest, json, size);
	digest_end(&digest, full);
	digest_to_hex(full, ret);
}

static bool reserve(struct ledger_lines *lines, size_t more)
{
	size_t capacity = lines->capacity ? lines->capacity : 4096;
	char *larger;

	while (capacity - lines->size < more)
		capacity *= 2;
	if (capacity == lines->capacity)
		return true;
	larger = realloc(lines->text, capacity);
	if (!larger)
		return false;
	lines->text = larger;
	lines->capacity = capacity;
	return true;
}

void ledger_lines_add(struct ledger_lines *lines, const char *json, size_t size)
{
	char digits[DIGEST_HEX_SIZE], *at;

	if (lines->failed || !json || !reserve(lines, PREFIX_SIZE + size + 1)) {
		lines->failed = true;
		return;
	}
	checksum(json, size, digits);
	at = lines->text + lines->size;
	memcpy(at, digits, CHECKSUM_DIGITS);
	at[CHECKSUM_DIGITS] = ' ';
	memcpy(at + PREFIX_SIZE, json, size);
	at[PREFIX_SIZE + size] = '\n';
	lines->size += PREFIX_SIZE + size + 1;
	lines->n++;
}

void ledger_lines_clear(struct ledger_lines *lines)
{
	free(lines->text);
	*lines = (struct ledger_lines){ 0 };
}

/* ---- reading ---- */

static bool line_is_good(const char *line, size_t size)
{
	char digits[DIGEST_HEX_SIZE];

	if (size < PREFIX_SIZE || line[CHECKSUM_DIGITS] != ' ' || memchr(line, '\0', size))
		return false;
	checksum(line + PREFIX_SIZE, size - PREFIX_SIZE, digits);
	return memcmp(line, digits, CHECKSUM_DIGITS) == 0;
}

static size_t count_lines(const char *text, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < size; i++)
		n += text[i] == '\n';
	return n;
}

int ledger_file_read(int dir_fd, struct ledger_content *ret)
{
	struct ledger_content content = { 0 };
	char *at, *end, *stop;
	size_t size = 0;
	int r = read_whole_file_at(dir_fd, LEDGER_FILE, SIZE_LIMIT, &content.text, &size);

	if (r < 0 && r != -ENOENT)
		return r;
	content.lines = calloc(count_lines(content.text, size) + 1, sizeof(*content.lines));
	if (!content.lines) {
		free(content.text);
		return -ENOMEM;
	}
	stop = content.text + size;
	for (at = content.text; at && at < stop; at = end + 1) {
		end = memchr(at, '\n', stop - at);
		if (!end) {
			content.torn = stop - at;
			break;
		}
		*end = '\0';
		if (line_is_good(at, end - at))
			content.lines[content.n_lines++] = at + PREFIX_SIZE;
		else
			content.n_damaged++;
	}
	*ret = content;
	return 0;
}

void ledger_content_clear(struct ledger_content *content)
{
	free(content->lines);
	free(content->text);
	*content = (struct ledger_content){ 0 };
}

/* ---- writing ---- */

static int write_all(int fd, const struct ledger_lines *lines)
{
	ssize_t n;

	if (lines->failed)
		return -ENOMEM;
	if (lines->size == 0)
		return 0;
	n = write(fd, lines->text, lines->size);
	if (n < 0)
		return -errno;
	return (size_t)n == lines->size ? 0 : -ENOSPC;
}

int ledger_file_replace(struct ledger_file *file, const struct ledger_lines *lines)
{
	_cleanup_fd_ int fd = -1;
	int r;

	if (unlinkat(file->dir_fd, TEMPORARY_FILE, 0) < 0 && errno != ENOENT)
		return -errno;
	fd = openat(file->dir_fd, TEMPORARY_FILE, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = write_all(fd, lines);
	if (r < 0)
		return r;
	if (renameat(file->dir_fd, TEMPORARY_FILE, file->dir_fd, LEDGER_FILE) < 0)
		return -errno;
	close_fd(file->fd);
	file->fd = TAKE_FD(fd);
	file->size = lines->size;
	file->n_lines = lines->n;
	return 0;
}

int ledger_file_append(struct ledger_file *file, const struct ledger_lines *lines)
{
	int r = write_all(file->fd, lines);

	if (r == 0) {
		file->size += lines->size;
		file->n_lines += lines->n;
		return 0;
	}
	/* Half a line must not stand before the next whole one. */
	if (ftruncate(file->fd, file->size) < 0)
		return -EIO;
	return r;
}

int ledger_file_set_aside(int dir_fd, char *name, size_t size)
{
	for (int i = 1; i <= SET_ASIDE_MAX; i++) {
		snprintf(name, size, LEDGER_FILE ".damaged-%d", i);
		/* A second name, not a new one: until the file is replaced, it is all that there is. */
		if (linkat(dir_fd, LEDGER_FILE, dir_fd, name, 0) == 0)
			return 0;
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

void ledger_file_close(struct ledger_file *file)
{
	file->fd = close_fd(file->fd);
}
