/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pid-reuse: a connection whose process has ended, and its number in the hands of another.
 *
 *   pid-reuse connect SOCKET CALL   connects, says its pid, and ends at the first line that it reads; a child, which has the
 *                                   connection too, sends the varlink call at the second, and says what is answered
 *   pid-reuse stay SOCKET CALL      connects, says its pid, and sends the call with each line that it reads
 *   pid-reuse take PID              forks until a child has that pid, says "taken", and keeps it until its stdin ends
 *
 * The last takes root: it says which pid is to be the next.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"

#define ATTEMPTS 1000

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return say_error("connect to %s: %s", path, strerror(errno));
	return fd;
}

/* Without a buffer: parent and child read lines of one pipe in turn. */
static int wait_for_line(void)
{
	char c = 0;

	while (c != '\n')
		if (read(STDIN_FILENO, &c, 1) != 1)
			return -1;
	return 0;
}

static int call(int fd, const char *text)
{
	char reply[65536];
	size_t size = 0;

	if (write(fd, text, strlen(text) + 1) != (ssize_t)strlen(text) + 1)
		return say_error("can't send the call: %s", strerror(errno));
	while (size == 0 || reply[size - 1]) {
		ssize_t n = read(fd, reply + size, sizeof(reply) - size);

		if (n <= 0)
			return say_error("the connection ended");
		size += n;
	}
	puts(reply);
	fflush(stdout);
	return 0;
}

static int connect_and_end(const char *path, const char *text)
{
	int fd = connect_to(path), gate[2];
	char byte;

	if (fd < 0 || pipe(gate) < 0)
		return -1;
	switch (fork()) {
	case -1:
		return say_error("fork: %s", strerror(errno));
	case 0:
		/* It must not take the parent's line. */
		close(gate[1]);
		if (read(gate[0], &byte, 1) != 0 || wait_for_line() < 0)
			return -1;
		return call(fd, text);
	}
	printf("pid %d\n", (int)getpid());
	fflush(stdout);
	return wait_for_line();
}

static int connect_and_stay(const char *path, const char *text)
{
	int fd = connect_to(path);

	if (fd < 0)
		return -1;
	printf("pid %d\n", (int)getpid());
	fflush(stdout);
	while (wait_for_line() == 0)
		if (call(fd, text) < 0)
			return -1;
	return 0;
}

static int set_next(pid_t pid)
{
	FILE *file = fopen("/proc/sys/kernel/ns_last_pid", "w");

	if (!file)
		return say_error("ns_last_pid: %s", strerror(errno));
	fprintf(file, "%d", (int)pid - 1);
	return fclose(file) == 0 ? 0 : say_error("ns_last_pid: %s", strerror(errno));
}

static int take(pid_t wanted)
{
	for (int i = 0; i < ATTEMPTS; i++) {
		char byte;
		pid_t pid;

		if (set_next(wanted) < 0)
			return -1;
		pid = fork();
		if (pid < 0)
			return say_error("fork: %s", strerror(errno));
		if (pid == 0) {
			if (getpid() != wanted)
				_exit(0);
			puts("taken");
			fflush(stdout);
			while (read(STDIN_FILENO, &byte, 1) > 0)
				;
			_exit(0);
		}
		waitpid(pid, NULL, 0);
		if (pid == wanted)
			return 0;
	}
	return say_error("pid %d can't be had", (int)wanted);
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "connect") == 0)
		return connect_and_end(argv[2], argv[3]) < 0;
	if (argc == 4 && strcmp(argv[1], "stay") == 0)
		return connect_and_stay(argv[2], argv[3]) < 0;
	if (argc == 3 && strcmp(argv[1], "take") == 0)
		return take(atoi(argv[2])) < 0;
	fputs("pid-reuse connect|stay SOCKET CALL, or pid-reuse take PID\n", stderr);
	return 2;
}
