/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The socket is non-blocking; all waiting is in client_wait(), which pumps the server of the test while it waits. */
#include "varlink-client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "util/cleanup.h"

#define CHUNK 65536

static long long now_msec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static int client_wait(struct varlink_client *client, short events, long long deadline_msec)
{
	for (;;) {
		struct pollfd fds[] = {
			{ .fd = client->fd, .events = events },
			{ .fd = client->pump ? client->pump_fd : -1, .events = POLLIN },
		};
		long long left = deadline_msec - now_msec();
		int n = poll(fds, ARRAY_SIZE(fds), left > 0 ? left : 0);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return -ETIMEDOUT;
		if (n > 0 && fds[1].revents)
			client->pump(client->pump_userdata);
		if (n > 0 && fds[0].revents)
			return 0;
	}
}

int varlink_client_connect(struct varlink_client *client, const char *path)
{
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (fd < 0)
		return -errno;
	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	client->fd = TAKE_FD(fd);
	return 0;
}

static void close_fds(int *fds, size_t *n_fds)
{
	for (size_t i = 0; i < *n_fds; i++)
		fds[i] = close_fd(fds[i]);
	*n_fds = 0;
}

void varlink_client_close(struct varlink_client *client)
{
	client->fd = close_fd(client->fd);
	close_fds(client->fds, &client->n_fds);
	free(client->data);
	client->data = NULL;
	client->size = 0;
}

static ssize_t send_some(int fd, const void *data, size_t size, const int *fds, size_t n_fds)
{
	struct iovec iov = { .iov_base = (void *)data, .iov_len = size };
	union {
		char space[CMSG_SPACE(sizeof(int) * VARLINK_CLIENT_FDS_MAX)];
		struct cmsghdr align;
	} control = { 0 };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (n_fds > 0) {
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(&control.align), fds, sizeof(int) * n_fds);
	}
	n = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	return n < 0 ? -errno : n;
}

int varlink_client_send(struct varlink_client *client, const void *data, size_t size, const int *fds, size_t n_fds)
{
	long long deadline = now_msec() + VARLINK_CLIENT_TIMEOUT_MSEC;
	size_t done = 0;

	while (done < size) {
		ssize_t n = send_some(client->fd, (const char *)data + done, size - done, fds, done ? 0 : n_fds);
		int r = n == -EAGAIN ? client_wait(client, POLLOUT, deadline) : 0;

		if (r < 0)
			return r;
		if (n < 0 && n != -EAGAIN)
			return n;
		done += n > 0 ? n : 0;
	}
	return 0;
}

int varlink_client_send_text(struct varlink_client *client, const char *text)
{
	return varlink_client_send(client, text, strlen(text) + 1, NULL, 0);
}

int varlink_client_send_call(struct varlink_client *client, const char *method, const char *parameters,
			     const char *flags)
{
	_cleanup_free_ char *text = NULL;

	if (asprintf(&text, "{\"method\":\"%s\",\"parameters\":%s%s%s}", method, parameters ? parameters : "{}",
		     flags ? "," : "", flags ? flags : "") < 0)
		return -ENOMEM;
	return varlink_client_send_text(client, text);
}

static void take_fds(struct varlink_client *client, struct msghdr *message)
{
	struct cmsghdr *header;

	for (header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
		size_t n = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
			if (client->n_fds < VARLINK_CLIENT_FDS_MAX)
				client->fds[client->n_fds++] = fd;
			else
				close_fd(fd);
		}
	}
}

/* Bytes received, or a negative errno. */
static ssize_t receive_some(struct varlink_client *client)
{
	union {
		char space[CMSG_SPACE(sizeof(int) * VARLINK_CLIENT_FDS_MAX)];
		struct cmsghdr align;
	} control;
	char *data = realloc(client->data, client->size + CHUNK);
	struct iovec iov = { .iov_len = CHUNK };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n;

	if (!data)
		return -ENOMEM;
	client->data = data;
	iov.iov_base = data + client->size;
	n = recvmsg(client->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	if (n == 0)
		return -EPIPE;
	take_fds(client, &message);
	client->size += n;
	return n;
}

static int await_message(struct varlink_client *client)
{
	long long deadline = now_msec() + VARLINK_CLIENT_TIMEOUT_MSEC;

	while (!client->size || !memchr(client->data, '\0', client->size)) {
		ssize_t n = receive_some(client);
		int r = n == -EAGAIN ? client_wait(client, POLLIN, deadline) : 0;

		if (r < 0)
			return r;
		if (n < 0 && n != -EAGAIN)
			return n;
	}
	return 0;
}

int varlink_client_receive(struct varlink_client *client, struct varlink_reply *ret)
{
	struct varlink_reply reply = { 0 };
	json_object *value = NULL;
	size_t used;
	int r = await_message(client);

	if (r < 0)
		return r;
	reply.message = json_tokener_parse(client->data);
	used = strlen(client->data) + 1;
	client->size -= used;
	memmove(client->data, client->data + used, client->size);
	if (!reply.message)
		return -EBADMSG;
	json_object_object_get_ex(reply.message, "parameters", &reply.parameters);
	if (json_object_object_get_ex(reply.message, "error", &value))
		reply.error = json_object_get_string(value);
	if (json_object_object_get_ex(reply.message, "continues", &value))
		reply.continues = json_object_get_boolean(value);
	memcpy(reply.fds, client->fds, client->n_fds * sizeof(int));
	reply.n_fds = client->n_fds;
	client->n_fds = 0;
	*ret = reply;
	return 0;
}

int varlink_client_call(struct varlink_client *client, const char *method, const char *parameters, const char *flags,
			struct varlink_reply *ret)
{
	int r = varlink_client_send_call(client, method, parameters, flags);

	return r < 0 ? r : varlink_client_receive(client, ret);
}

int varlink_client_await_close(struct varlink_client *client)
{
	int r = await_message(client);

	if (r == 0)
		return -EBUSY;
	return r == -EPIPE ? 0 : r;
}

const char *varlink_reply_string(const struct varlink_reply *reply, const char *key)
{
	json_object *value = NULL;

	json_object_object_get_ex(reply->parameters, key, &value);
	return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : NULL;
}

long long varlink_reply_int(const struct varlink_reply *reply, const char *key)
{
	json_object *value = NULL;

	json_object_object_get_ex(reply->parameters, key, &value);
	return json_object_is_type(value, json_type_int) ? json_object_get_int64(value) : -1;
}

bool varlink_reply_bool(const struct varlink_reply *reply, const char *key)
{
	json_object *value = NULL;

	json_object_object_get_ex(reply->parameters, key, &value);
	return json_object_is_type(value, json_type_boolean) && json_object_get_boolean(value);
}

void varlink_reply_clear(struct varlink_reply *reply)
{
	json_object_put(reply->message);
	close_fds(reply->fds, &reply->n_fds);
	*reply = (struct varlink_reply){ 0 };
}
