/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What fake-sysfs.c (the tree, drivers, groups) has for fake-sysfs-device.c. */
#ifndef IOMMUD_TESTS_FAKE_SYSFS_INTERNAL_H
#define IOMMUD_TESTS_FAKE_SYSFS_INTERNAL_H

#include <limits.h>

#include "fake-sysfs.h"

struct fake_sysfs {
	char path[PATH_MAX];
	int fd;
	bool temporary;
	unsigned int n_removed;
};

/* Ends the program with this text and errno's. */
void fake_die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

void fake_format_path(char path[PATH_MAX], const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Makes all folders of `path`, and with `whole` its last component too. */
void fake_make_folders(struct fake_sysfs *fake, const char *path, bool whole);

/* A relative link at `path`, replacing what is there, to `target`; both below the tree's top. */
void fake_make_link(struct fake_sysfs *fake, const char *path, const char *target);

/* No error when it is not there. */
void fake_unlink(struct fake_sysfs *fake, const char *path);

/* Removes the folder `path` (not relative to the tree) and everything in it. */
void fake_remove_tree(const char *path);

#endif
