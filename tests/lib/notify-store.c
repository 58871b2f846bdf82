/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "notify-store.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/cleanup.h"

/* Of the line "KEY=" in a message; false: there is none. */
static bool find_value(const char *text, const char *key, char *ret, size_t size)
{
	const char *at = strstr(text, key);

	if (!at || (at != text && at[-1] != '\n'))
		return false;
	at += strlen(key);
	snprintf(ret, size, "%.*s", (int)strcspn(at, "\n"), at);
	return true;
}

static void drop(struct notify_store *store, const char *name)
{
	for (size_t i = store->n; i-- > 0;)
		if (strcmp(store->kept[i].name, name) == 0) {
			close_fd(store->kept[i].fd);
			memmove(&store->kept[i], &store->kept[i + 1], (--store->n - i) * sizeof(store->kept[0]));
		}
}

/* The descriptor is taken over. */
static void keep(struct notify_store *store, const char *name, int fd)
{
	if (store->n == NOTIFY_STORE_MAX) {
		close_fd(fd);
		return;
	}
	snprintf(store->kept[store->n].name, sizeof(store->kept[0].name), "%s", name);
	store->kept[store->n++].fd = fd;
}

static int take_fd(struct msghdr *message)
{
	struct cmsghdr *control = CMSG_FIRSTHDR(message);
	int fd;

	if (!control || control->cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(&fd, CMSG_DATA(control), sizeof(fd));
	return fd;
}

bool notify_store_read(struct notify_store *store, int fd)
{
	char text[512], name[64], control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { text, sizeof(text) - 1 };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
	};
	ssize_t n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	int passed = n < 0 ? -1 : take_fd(&message);

	text[n < 0 ? 0 : n] = '\0';
	if (strstr(text, "FDSTORE=1") && find_value(text, "FDNAME=", name, sizeof(name)))
		keep(store, name, TAKE_FD(passed));
	else if (strstr(text, "FDSTOREREMOVE=1") && find_value(text, "FDNAME=", name, sizeof(name)))
		drop(store, name);
	/* That of BARRIER=1 is closed to say that all before it is done. */
	close_fd(passed);
	return strstr(text, "READY=1");
}

void notify_store_drain(struct notify_store *store, int fd)
{
	char byte;

	while (recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0)
		notify_store_read(store, fd);
}

void notify_store_pass(const struct notify_store *store)
{
	char names[NOTIFY_STORE_MAX * 64] = "", number[16];
	int moved[NOTIFY_STORE_MAX];

	/* Out of the way of those that come to be 3 and up. */
	for (size_t i = 0; i < store->n; i++)
		moved[i] = fcntl(store->kept[i].fd, F_DUPFD_CLOEXEC, 3 + NOTIFY_STORE_MAX);
	for (size_t i = 0; i < store->n; i++) {
		if (dup2(moved[i], 3 + (int)i) < 0)
			_exit(126);
		snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s", i ? ":" : "",
			 store->kept[i].name);
	}
	snprintf(number, sizeof(number), "%d", (int)getpid());
	setenv("LISTEN_PID", number, 1);
	snprintf(number, sizeof(number), "%zu", store->n);
	setenv("LISTEN_FDS", number, 1);
	setenv("LISTEN_FDNAMES", names, 1);
}

void notify_store_clear(struct notify_store *store)
{
	for (size_t i = 0; i < store->n; i++)
		close_fd(store->kept[i].fd);
	store->n = 0;
}
