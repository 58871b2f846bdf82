/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * talk: one varlink connection to iommud. Each line of stdin is sent as a message, "half TEXT" without its end, "rest TEXT" as well with it;
 * each message that comes is printed as a line, and the descriptors with it are kept open. "closed" is printed at the end of the connection.
 * Ends at the end of stdin. Exit status: 0, 1 after a message.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET "/run/iommud/io.iommud"

static void give_up(const char *what)
{
	fprintf(stderr, "talk: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		give_up(path);
	return fd;
}

/* The descriptors that come along are never closed. False: the connection has ended. */
static int receive(int fd)
{
	char data[65536], control[CMSG_SPACE(253 * sizeof(int))];
	struct iovec iov = { data, sizeof(data) };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
	};
	ssize_t n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);

	if (n <= 0) {
		puts("closed");
		return 0;
	}
	for (ssize_t i = 0; i < n; i++)
		putchar(data[i] ? data[i] : '\n');
	return 1;
}

static void send_line(int fd, char *line)
{
	int half = strncmp(line, "half ", 5) == 0, rest = strncmp(line, "rest ", 5) == 0;
	size_t size;

	line += half || rest ? 5 : 0;
	size = strlen(line) + !half;
	if (send(fd, line, size, MSG_NOSIGNAL) != (ssize_t)size)
		give_up("send");
}

int main(void)
{
	int fd = connect_to(SOCKET), open = 1;
	char *line = NULL;
	size_t room = 0;

	setlinebuf(stdout);
	setvbuf(stdin, NULL, _IONBF, 0);
	for (;;) {
		struct pollfd pollers[] = { { .fd = 0, .events = POLLIN }, { .fd = open ? fd : -1, .events = POLLIN } };
		ssize_t n;

		if (poll(pollers, 2, -1) < 0)
			give_up("poll");
		if (pollers[1].revents)
			open = receive(fd);
		if (!pollers[0].revents)
			continue;
		n = getline(&line, &room, stdin);
		if (n <= 0)
			return 0;
		line[n - 1] = '\0';
		send_line(fd, line);
	}
}
