/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How many descriptors this process has, for tests that show that none leaks. */
#ifndef TESTS_OPEN_FDS_H
#define TESTS_OPEN_FDS_H

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>

static inline size_t count_open_fds(void)
{
	DIR *directory = opendir("/proc/self/fd");
	size_t n = 0;

	if (!directory)
		abort();
	while (readdir(directory))
		n++;
	closedir(directory);
	return n;
}

#endif
