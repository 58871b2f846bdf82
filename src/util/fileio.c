/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/fileio.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"

static int read_full(int fd, char *buffer, size_t size, size_t *ret_size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = read(fd, buffer + done, size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += n;
	}
	*ret_size = done;
	return 0;
}

int read_file_at(int dirfd, const char *path, char *buffer, size_t size)
{
	_cleanup_fd_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	size_t length;
	int r;

	if (fd < 0)
		return -errno;
	r = read_full(fd, buffer, size, &length);
	if (r < 0)
		return r;
	if (length == size)
		return -E2BIG;
	while (length > 0 && buffer[length - 1] == '\n')
		length--;
	buffer[length] = '\0';
	return 0;
}

int read_whole_file_at(int dirfd, const char *path, size_t limit, char **ret_text, size_t *ret_size)
{
	_cleanup_fd_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	_cleanup_free_ char *text = NULL;
	size_t length;
	int r;

	if (fd < 0)
		return -errno;
	text = malloc(limit + 1);
	if (!text)
		return -ENOMEM;
	r = read_full(fd, text, limit + 1, &length);
	if (r < 0)
		return r;
	if (length > limit)
		return -E2BIG;
	text[length] = '\0';
	if (ret_size)
		*ret_size = length;
	*ret_text = TAKE_PTR(text);
	return 0;
}

int write_file_at(int dirfd, const char *path, const char *text)
{
	_cleanup_fd_ int fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	size_t length = strlen(text);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, text, length);
	if (n < 0)
		return -errno;
	return (size_t)n == length ? 0 : -EIO;
}

int read_link_name_at(int dirfd, const char *path, char *buffer, size_t size)
{
	char target[PATH_MAX];
	const char *name;
	ssize_t n = readlinkat(dirfd, path, target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	name = strrchr(target, '/');
	name = name ? name + 1 : target;
	if (strlen(name) >= size)
		return -ENAMETOOLONG;
	strcpy(buffer, name);
	return 0;
}

int read_u64_at(int dirfd, const char *path, uint64_t *ret_value)
{
	char text[64], *end;
	unsigned long long value;
	int r = read_file_at(dirfd, path, text, sizeof(text));

	if (r < 0)
		return r;
	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || *end)
		return -EINVAL;
	*ret_value = value;
	return 0;
}

int open_dir_at(int dirfd, const char *path)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}
