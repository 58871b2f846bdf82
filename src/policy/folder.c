/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads folders and files, and trusts neither: follows no link (but knows the one to /dev/null, which it does not follow
 * either), opens nothing that is not a regular file, and looks at owner and mode of what it opened, not of a name.
 * Everything that can be found wrong comes as a text for the report; only a lack of memory is a fault.
 */
#include "policy/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "util/cleanup.h"

#define SUFFIX ".policy"

static inline void close_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static int refuse(char reason[FOLDER_REASON_MAX], const char *format, ...) __attribute__((format(printf, 2, 3)));

static int refuse(char reason[FOLDER_REASON_MAX], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(reason, FOLDER_REASON_MAX, format, args);
	va_end(args);
	return -EINVAL;
}

static int check_owner(const struct stat *st, bool any_owner, char reason[FOLDER_REASON_MAX])
{
	if (any_owner)
		return 0;
	if (st->st_uid != 0)
		return refuse(reason, "belongs to uid %u; policy must belong to root", st->st_uid);
	/* The group bits are the mask of an ACL, if there is one: they cover it. Links have no mode of their own. */
	if (!S_ISLNK(st->st_mode) && (st->st_mode & (S_IWGRP | S_IWOTH)))
		return refuse(reason,
			      "is writable by group or others (mode %04o); policy must be writable by root only",
			      st->st_mode & 07777);
	return 0;
}

int folder_open(const char *path, bool any_owner, char reason[FOLDER_REASON_MAX])
{
	_cleanup_fd_ int fd =
		open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK | (any_owner ? 0 : O_NOFOLLOW));
	struct stat st;
	int r;

	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
		return refuse(reason, "is not a folder, or is a symbolic link");
	if (fd < 0)
		return refuse(reason, "can't be opened: %s", strerror(errno));
	if (fstat(fd, &st) < 0)
		return refuse(reason, "can't be examined: %s", strerror(errno));
	r = check_owner(&st, any_owner, reason);
	return r < 0 ? r : TAKE_FD(fd);
}

static bool is_policy_name(const char *name)
{
	size_t length = strlen(name);

	return name[0] != '.' && length > strlen(SUFFIX) && strcmp(name + length - strlen(SUFFIX), SUFFIX) == 0;
}

static int list_add(struct folder_list *list, const char *name, size_t folder)
{
	_cleanup_free_ char *copy = strndup(name, strlen(name));
	struct folder_entry *entries;

	if (!copy)
		return -ENOMEM;
	entries = reallocarray(list->entries, list->n + 1, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	list->entries = entries;
	entries[list->n++] = (struct folder_entry){ .name = TAKE_PTR(copy), .folder = folder };
	return 0;
}

int folder_read(int fd, size_t folder, struct folder_list *list, char reason[FOLDER_REASON_MAX])
{
	_cleanup_fd_ int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(close_dir) DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *entry;
	int r;

	if (!dir)
		return refuse(reason, "can't be opened: %s", strerror(errno));
	copy = -1; /* closed with `dir` */
	while (errno = 0, (entry = readdir(dir))) {
		if (!is_policy_name(entry->d_name))
			continue;
		r = list_add(list, entry->d_name, folder);
		if (r < 0)
			return r;
	}
	return errno ? refuse(reason, "can't be listed: %s", strerror(errno)) : 0;
}

static int compare_entries(const void *left_pointer, const void *right_pointer)
{
	const struct folder_entry *left = left_pointer, *right = right_pointer;
	int r = strcmp(left->name, right->name);

	return r ? r : (left->folder > right->folder) - (left->folder < right->folder);
}

void folder_list_sort(struct folder_list *list)
{
	if (list->n > 0)
		qsort(list->entries, list->n, sizeof(list->entries[0]), compare_entries);
}

void folder_list_resolve(struct folder_list *list)
{
	size_t kept = 0;

	folder_list_sort(list);
	if (list->n == 0)
		return;
	for (size_t i = 1; i < list->n; i++) {
		if (strcmp(list->entries[i].name, list->entries[kept].name) == 0)
			free(list->entries[i].name);
		else
			list->entries[++kept] = list->entries[i];
	}
	list->n = kept + 1;
}

void folder_list_clear(struct folder_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->entries[i].name);
	free(list->entries);
	*list = (struct folder_list){};
}

static bool is_null_device(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3);
}

/* Before anything is opened: opening a device or a FIFO would already do something. */
static int check_name(int fd, const char *name, bool any_owner, bool *ret_masks, char reason[FOLDER_REASON_MAX])
{
	struct stat st, target;
	int r;

	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return refuse(reason, "can't be examined: %s", strerror(errno));
	r = is_null_device(&st) ? 0 : check_owner(&st, any_owner, reason);
	if (r < 0)
		return r;
	if (S_ISLNK(st.st_mode) && (fstatat(fd, name, &target, 0) < 0 || !is_null_device(&target)))
		return refuse(reason, "is a symbolic link; only a link to /dev/null is taken, which masks the name");
	*ret_masks = S_ISLNK(st.st_mode) || is_null_device(&st);
	if (!*ret_masks && !S_ISREG(st.st_mode))
		return refuse(reason, "is not a regular file");
	return 0;
}

static int open_file(int fd, const char *name, bool any_owner, int *ret_fd, char reason[FOLDER_REASON_MAX])
{
	_cleanup_fd_ int file = openat(fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;
	int r;

	if (file < 0)
		return refuse(reason, "can't be opened: %s", strerror(errno));
	if (fstat(file, &st) < 0)
		return refuse(reason, "can't be examined: %s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return refuse(reason, "is not a regular file");
	r = check_owner(&st, any_owner, reason);
	if (r < 0)
		return r;
	*ret_fd = TAKE_FD(file);
	return 0;
}

/* Reads to the end, not to a size that was asked before: a file that grows must not be cut off in the middle of a rule. */
static int read_all(int fd, char **ret_text, size_t *ret_size, char reason[FOLDER_REASON_MAX])
{
	_cleanup_free_ char *text = reallocarray(NULL, POLICY_FILE_MAX + 1, 1);
	size_t size = 0;

	if (!text)
		return -ENOMEM;
	while (size <= POLICY_FILE_MAX) {
		ssize_t n = read(fd, text + size, POLICY_FILE_MAX + 1 - size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return refuse(reason, "can't be read: %s", strerror(errno));
		if (n == 0)
			break;
		size += n;
	}
	if (size > POLICY_FILE_MAX)
		return refuse(reason, "is larger than %d bytes", POLICY_FILE_MAX);
	*ret_size = size;
	*ret_text = size > 0 ? TAKE_PTR(text) : NULL;
	return 0;
}

int folder_read_file(int fd, const char *name, bool any_owner, char **ret_text, size_t *ret_size,
		     char reason[FOLDER_REASON_MAX])
{
	_cleanup_fd_ int file = -1;
	bool masks;
	int r = check_name(fd, name, any_owner, &masks, reason);

	if (r < 0)
		return r;
	if (masks) {
		*ret_text = NULL;
		*ret_size = 0;
		return 0;
	}
	r = open_file(fd, name, any_owner, &file, reason);
	return r < 0 ? r : read_all(file, ret_text, ret_size, reason);
}
