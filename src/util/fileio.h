/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Small files, read and written whole, relative to a directory descriptor and bounded. Made for sysfs: one read, one
 * write, no buffering. All functions return 0 or a negative errno and leave their outputs alone on failure.
 */
#ifndef IOMMUD_UTIL_FILEIO_H
#define IOMMUD_UTIL_FILEIO_H

#include <stddef.h>
#include <stdint.h>

/* Reads at most size - 1 bytes of `path`, ends them with NUL and cuts trailing newlines. -E2BIG if there is more. */
int read_file_at(int dirfd, const char *path, char *buffer, size_t size);

/* The same, newly allocated (free()), for files up to `limit` bytes; `ret_size` may be NULL. -E2BIG beyond. */
int read_whole_file_at(int dirfd, const char *path, size_t limit, char **ret_text, size_t *ret_size);

/* Writes `text` with one write(2), as sysfs demands. -EIO on a short write. The file must exist. */
int write_file_at(int dirfd, const char *path, const char *text);

/* The last component of the symbolic link `path`. -ENOENT if there is none, -ENAMETOOLONG if it does not fit. */
int read_link_name_at(int dirfd, const char *path, char *buffer, size_t size);

/* Reads an integer as the kernel prints them: decimal, or hexadecimal with 0x. -EINVAL on anything else. */
int read_u64_at(int dirfd, const char *path, uint64_t *ret_value);

/* Opens a folder below `dirfd`, O_PATH-free and O_CLOEXEC. Returns the descriptor (the caller's) or a negative errno. */
int open_dir_at(int dirfd, const char *path);

#endif
