/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Of libiommud nothing is used, and of varlink as much as it takes: the library does more in one call than a step. */
#include "slow-client.h"

#include <errno.h>
#include <grp.h>
#include <linux/sockios.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"

#define CONTROL 3 /* the child's end */
#define MESSAGE_MAX 65536
#define FDS_MAX 66
#define SILENCE_MSEC 120000 /* nothing takes that long here */

struct link {
	int fd;
	char reply[MESSAGE_MAX];
	int fds[FDS_MAX];
	size_t n_fds;
};

static void say(const char *word)
{
	if (dprintf(CONTROL, "%s\n", word) < 0)
		_exit(1);
}

static __attribute__((noreturn)) void end_lost(void)
{
	say("lost");
	_exit(0);
}

static void wait_to_go(void)
{
	char byte;

	if (read(CONTROL, &byte, 1) != 1)
		_exit(0);
}

static void become(const char *user)
{
	const struct passwd *passwd = getpwnam(user);

	if (!passwd || setgroups(0, NULL) < 0 || setresgid(passwd->pw_gid, passwd->pw_gid, passwd->pw_gid) < 0 ||
	    setresuid(passwd->pw_uid, passwd->pw_uid, passwd->pw_uid) < 0)
		_exit(say_error("can't become %s", user) != 0);
	/* A change of user takes that back. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static void connect_to_broker(struct link *link)
{
	const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/run/iommud/io.iommud" };

	link->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (link->fd < 0 || connect(link->fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		end_lost();
}

/* ---- a message there, in two halves ---- */

/* The kernel says when it frees what was read, by an edge; and counts a byte for itself until it has said so. */
static void wait_until_read(int fd)
{
	struct epoll_event event = { .events = EPOLLOUT | EPOLLET };
	int epoll = epoll_create1(EPOLL_CLOEXEC), unread = 0;

	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		_exit(1);
	while (ioctl(fd, SIOCOUTQ, &unread) == 0 && unread > 1)
		epoll_wait(epoll, &event, 1, -1);
	close(epoll);
}

static void send_half(int fd, const char *text, size_t size)
{
	if (send(fd, text, size, MSG_NOSIGNAL) != (ssize_t)size)
		end_lost();
	wait_until_read(fd);
}

/* ---- a message back ---- */

static void keep_fds(struct link *link, struct msghdr *message)
{
	for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
		size_t n = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (part->cmsg_type != SCM_RIGHTS || link->n_fds + n > FDS_MAX)
			continue;
		memcpy(link->fds + link->n_fds, CMSG_DATA(part), n * sizeof(int));
		link->n_fds += n;
	}
}

static size_t receive_part(struct link *link, size_t size)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = { link->reply + size, sizeof(link->reply) - size };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	struct pollfd poller = { .fd = link->fd, .events = POLLIN };
	ssize_t n;

	if (poll(&poller, 1, -1) != 1)
		end_lost();
	n = recvmsg(link->fd, &message, MSG_CMSG_CLOEXEC);
	if (n <= 0)
		end_lost();
	keep_fds(link, &message);
	return (size_t)n;
}

__attribute__((format(printf, 3, 4))) static void call(struct link *link, const char *method, const char *format, ...)
{
	char text[8192], parameters[4096];
	size_t size = 0, n;
	va_list args;

	va_start(args, format);
	vsnprintf(parameters, sizeof(parameters), format, args);
	va_end(args);
	n = (size_t)snprintf(text, sizeof(text), "{\"method\":\"io.iommud.%s\",\"parameters\":{%s}}", method,
			     parameters) +
	    1;
	send_half(link->fd, text, n / 2);
	send_half(link->fd, text + n / 2, n - n / 2);
	do
		size += receive_part(link, size);
	while (link->reply[size - 1]);
}

/* The text of a string among the reply's members; "" if there is none. */
static void find_text(const struct link *link, const char *key, char *ret, size_t size)
{
	char pattern[64];
	const char *found;

	snprintf(pattern, sizeof(pattern), "\"%s\":\"", key);
	found = strstr(link->reply, pattern);
	found = found ? found + strlen(pattern) : "";
	snprintf(ret, size, "%.*s", (int)strcspn(found, "\""), found);
}

/* ---- what it does ---- */

static void explain(struct link *link, const struct wish *wish)
{
	call(link, "Explain", "\"device\":\"%s\"", wish->devices[0]);
}

static void acquire(struct link *link, const struct wish *wish, const char *token)
{
	char devices[1024] = "", rest[256] = "";

	for (size_t i = 0; wish->devices[i]; i++)
		snprintf(devices + strlen(devices), sizeof(devices) - strlen(devices), "%s\"%s\"", i ? "," : "",
			 wish->devices[i]);
	if (token[0])
		snprintf(rest, sizeof(rest), ",\"consent\":\"%s\"", token);
	if (wish->wait_sec)
		snprintf(rest + strlen(rest), sizeof(rest) - strlen(rest), ",\"waitSec\":%u", wish->wait_sec);
	call(link, "Acquire", "\"devices\":[%s],\"backend\":\"%s\"%s", devices, wish->backend ? wish->backend : "auto",
	     rest);
}

static void release(struct link *link)
{
	const char *lease = strstr(link->reply, "\"lease\":");

	for (size_t i = 0; i < link->n_fds; i++)
		close(link->fds[i]);
	call(link, "Release", "\"lease\":%lu", lease ? strtoul(lease + strlen("\"lease\":"), NULL, 10) : 0);
}

static void wait_for_end(void)
{
	char byte;

	while (read(CONTROL, &byte, 1) > 0)
		;
	_exit(0);
}

static __attribute__((noreturn)) void client_main(const struct wish *wish)
{
	static struct link link;
	char error[SLOW_CLIENT_WORD_MAX], token[80];

	become(wish->user);
	say("ready");
	wait_to_go();
	connect_to_broker(&link);
	if (wish->explains)
		explain(&link, wish);
	acquire(&link, wish, "");
	find_text(&link, "token", token, sizeof(token));
	if (token[0])
		acquire(&link, wish, token);
	find_text(&link, "error", error, sizeof(error));
	say(error[0] ? error : "granted");
	if (wish->keeps)
		wait_to_go();
	if (!error[0]) {
		release(&link);
		find_text(&link, "error", error, sizeof(error));
		say(error[0] ? error : "released");
	}
	wait_for_end();
	_exit(0);
}

/* ---- the parent's side ---- */

int slow_client_start(const struct wish *wish, struct slow_client *ret)
{
	char word[SLOW_CLIENT_WORD_MAX];
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0 || (ret->pid = fork()) < 0)
		return say_error("client: %s", strerror(errno));
	if (ret->pid == 0) {
		/* Else others would not see the end of theirs. */
		if (ends[1] != CONTROL && dup2(ends[1], CONTROL) < 0)
			_exit(1);
		close_range(CONTROL + 1, ~0U, 0);
		client_main(wish);
	}
	close(ends[1]);
	ret->fd = ends[0];
	/* What it does before is no step of a request. */
	slow_client_hear(ret, word);
	return strcmp(word, "ready") == 0 ? 0 : say_error("client: no %s", wish->user);
}

void slow_client_go(const struct slow_client *client)
{
	/* It may be dead. */
	(void)!send(client->fd, "g", 1, MSG_NOSIGNAL);
}

void slow_client_hear(const struct slow_client *client, char word[SLOW_CLIENT_WORD_MAX])
{
	struct pollfd poller = { .fd = client->fd, .events = POLLIN };
	size_t n = 0;

	while (n + 1 < SLOW_CLIENT_WORD_MAX && poll(&poller, 1, SILENCE_MSEC) == 1 &&
	       read(client->fd, word + n, 1) == 1 && word[n] != '\n')
		n++;
	word[n] = '\0';
}

void slow_client_end(struct slow_client *client)
{
	close(client->fd);
	waitpid(client->pid, NULL, 0);
}
