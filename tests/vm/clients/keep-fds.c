/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * keep-fds: the third process that nobody thought of.
 *
 *   keep-fds N... -- COMMAND [ARG]...
 *
 * Starts the command as a child that has stdin, stdout, stderr and the fds N, and nothing else: not the connection to
 * iommud. Ends as soon as the command has begun, so the command outlives the lease whose descriptors it has.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FDS_MAX 1024 /* numbers; iommuctl run's are small */

static void close_others(const bool *keep)
{
	for (int fd = STDERR_FILENO + 1; fd < FDS_MAX; fd++)
		if (!keep[fd])
			close(fd);
}

int main(int argc, char **argv)
{
	bool keep[FDS_MAX] = { false };
	int begun[2], i;
	char byte;

	for (i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		int fd = atoi(argv[i]);

		if (fd <= STDERR_FILENO || fd >= FDS_MAX || fcntl(fd, F_GETFD) < 0) {
			fprintf(stderr, "keep-fds: %s is no open fd\n", argv[i]);
			return 2;
		}
		keep[fd] = true;
	}
	if (i == 1 || i + 1 >= argc || pipe2(begun, O_CLOEXEC) < 0) {
		fputs("keep-fds N... -- COMMAND [ARG]...\n", stderr);
		return 2;
	}
	if (fork() == 0) {
		/* The end of the pipe says that the exec is done, or has failed. */
		keep[begun[1]] = true;
		close_others(keep);
		execvp(argv[i + 1], argv + i + 1);
		perror(argv[i + 1]);
		_exit(127);
	}
	close(begun[1]);
	return read(begun[0], &byte, 1) == 0 ? 0 : 1;
}
