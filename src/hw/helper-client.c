/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests under way to the helper, and who is to be called back. It owns the connection and that list. It never blocks,
 * never connects by itself, and calls back for every request that was sent, exactly once (a restore: until its end).
 */
#include "hw/helper-client.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "util/cleanup.h"
#include "util/list.h"

struct pending {
	struct list_link link; /* helper_client::pending */
	uint64_t serial;
	bool restore; /* TIMED_OUT is not its end */
	helper_reply_fn reply;
	void *userdata;
};

struct helper_client {
	struct sockaddr_un address;
	int fd;
	uint64_t last_serial;
	struct list_link pending; /* struct pending */
};

static void pending_free(struct pending *pending)
{
	list_unlink(&pending->link);
	free(pending);
}

int helper_client_new(const char *socket_path, struct helper_client **ret)
{
	struct helper_client *client;

	if (strlen(socket_path) >= sizeof(client->address.sun_path))
		return -ENAMETOOLONG;
	client = calloc(1, sizeof(*client));
	if (!client)
		return -ENOMEM;
	client->fd = -1;
	client->address.sun_family = AF_UNIX;
	strcpy(client->address.sun_path, socket_path);
	list_init(&client->pending);
	*ret = client;
	return 0;
}

struct helper_client *helper_client_free(struct helper_client *client)
{
	if (!client)
		return NULL;
	while (!list_is_empty(&client->pending))
		pending_free(list_first_entry(&client->pending, struct pending, link));
	close_fd(client->fd);
	free(client);
	return NULL;
}

int helper_client_connect(struct helper_client *client)
{
	_cleanup_fd_ int fd = -1;

	if (client->fd >= 0)
		return 0;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&client->address, sizeof(client->address)) < 0)
		return -errno;
	client->fd = TAKE_FD(fd);
	return 0;
}

bool helper_client_is_connected(const struct helper_client *client)
{
	return client->fd >= 0;
}

int helper_client_get_fd(const struct helper_client *client)
{
	return client->fd;
}

/* Those that are added meanwhile are of the next connection, and not touched. */
static int disconnect(struct helper_client *client)
{
	struct list_link lost;

	client->fd = close_fd(client->fd);
	list_init(&lost);
	while (!list_is_empty(&client->pending)) {
		struct list_link *link = client->pending.next;

		list_unlink(link);
		list_append(&lost, link);
	}
	while (!list_is_empty(&lost)) {
		struct pending *pending = list_first_entry(&lost, struct pending, link);
		helper_reply_fn reply = pending->reply;
		void *userdata = pending->userdata;

		pending_free(pending);
		reply(userdata, -ECONNRESET, NULL);
	}
	return -ECONNRESET;
}

static struct pending *find_pending(struct helper_client *client, uint64_t serial)
{
	struct pending *pending;

	list_for_each(pending, &client->pending, link) {
		if (pending->serial == serial)
			return pending;
	}
	return NULL;
}

/* A reply that nobody waits for can't be: the helper is not what we think. */
static int deliver(struct helper_client *client, const struct helper_reply *reply)
{
	struct pending *pending = find_pending(client, reply->serial);
	helper_reply_fn call;
	void *userdata;

	if (!pending)
		return -EPROTO;
	call = pending->reply;
	userdata = pending->userdata;
	if (!pending->restore || reply->status != HELPER_TIMED_OUT)
		pending_free(pending);
	call(userdata, 0, reply);
	return 0;
}

static void end_texts(struct process_facts *facts)
{
	facts->unit[UNIT_NAME_MAX] = '\0';
	facts->slice[SLICE_NAME_MAX] = '\0';
	facts->executable[EXECUTABLE_MAX] = '\0';
	facts->apparmor[APPARMOR_NAME_MAX] = '\0';
}

/* 1: one reply delivered; 0: none there; a negative errno: the connection is of no more use. */
static int receive(struct helper_client *client)
{
	struct helper_reply reply;
	ssize_t n;
	int r;

	do
		n = recv(client->fd, &reply, sizeof(reply), MSG_DONTWAIT | MSG_TRUNC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (n != sizeof(reply) || reply.version != HELPER_VERSION)
		return -EPROTO;
	/* Texts of another process: they end where we say. */
	reply.address[sizeof(reply.address) - 1] = '\0';
	reply.driver[sizeof(reply.driver) - 1] = '\0';
	reply.detail[sizeof(reply.detail) - 1] = '\0';
	end_texts(&reply.process);
	for (size_t i = 0; i < HELPER_HOLDERS_MAX; i++)
		reply.holders[i].comm[HELPER_COMM_MAX - 1] = '\0';
	if (reply.n_holders > HELPER_HOLDERS_MAX)
		return -EPROTO;
	r = deliver(client, &reply);
	return r < 0 ? r : 1;
}

int helper_client_dispatch(struct helper_client *client)
{
	int r = 1;

	while (r > 0 && client->fd >= 0)
		r = receive(client);
	return r < 0 ? disconnect(client) : 0;
}

static int send_request(int fd, const struct helper_request *request, int passed_fd)
{
	union {
		struct cmsghdr header;
		char buffer[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)request, sizeof(*request) };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (passed_fd >= 0) {
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &passed_fd, sizeof(int));
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
	}
	do
		n = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return 0;
	/* That it went is told to all by dispatch(). */
	return errno == EPIPE || errno == ECONNRESET ? -ENOTCONN : -errno;
}

static int submit(struct helper_client *client, struct helper_request *request, int fd, helper_reply_fn reply,
		  void *userdata)
{
	struct pending *pending;
	int r;

	if (client->fd < 0)
		return -ENOTCONN;
	pending = calloc(1, sizeof(*pending));
	if (!pending)
		return -ENOMEM;
	request->version = HELPER_VERSION;
	request->serial = ++client->last_serial;
	*pending = (struct pending){ .serial = request->serial,
				     .restore = request->operation == HELPER_RESTORE,
				     .reply = reply,
				     .userdata = userdata };
	list_append(&client->pending, &pending->link);
	r = send_request(client->fd, request, fd);
	if (r < 0)
		pending_free(pending);
	return r;
}

int helper_client_hello(struct helper_client *client, const uint8_t digest[DIGEST_SIZE], helper_reply_fn reply,
			void *userdata)
{
	struct helper_request request = { .operation = HELPER_HELLO };

	memcpy(request.digest, digest, DIGEST_SIZE);
	return submit(client, &request, -1, reply, userdata);
}

int helper_client_prepare(struct helper_client *client, int client_fd, const char *address,
			  const uint8_t digest[DIGEST_SIZE], uint32_t flags, helper_reply_fn reply, void *userdata)
{
	struct helper_request request = { .operation = HELPER_PREPARE, .flags = flags };

	if (!device_address_is_valid(address))
		return -EINVAL;
	strcpy(request.address, address);
	memcpy(request.digest, digest, DIGEST_SIZE);
	return submit(client, &request, client_fd, reply, userdata);
}

int helper_client_park(struct helper_client *client, int client_fd, const char *address, const char *for_address,
		       const uint8_t digest[DIGEST_SIZE], uint32_t flags, helper_reply_fn reply, void *userdata)
{
	struct helper_request request = { .operation = HELPER_PARK, .flags = flags };

	if (!device_address_is_valid(address) || !device_address_is_valid(for_address))
		return -EINVAL;
	strcpy(request.address, address);
	strcpy(request.for_address, for_address);
	memcpy(request.digest, digest, DIGEST_SIZE);
	return submit(client, &request, client_fd, reply, userdata);
}

int helper_client_restore(struct helper_client *client, uint64_t transaction, uint32_t flags, helper_reply_fn reply,
			  void *userdata)
{
	struct helper_request request = { .operation = HELPER_RESTORE, .transaction = transaction, .flags = flags };

	return submit(client, &request, -1, reply, userdata);
}

int helper_client_next(struct helper_client *client, uint64_t transaction, helper_reply_fn reply, void *userdata)
{
	struct helper_request request = { .operation = HELPER_NEXT, .transaction = transaction };

	return submit(client, &request, -1, reply, userdata);
}

int helper_client_holders(struct helper_client *client, uint64_t transaction, helper_reply_fn reply, void *userdata)
{
	struct helper_request request = { .operation = HELPER_HOLDERS, .transaction = transaction };

	return submit(client, &request, -1, reply, userdata);
}

int helper_client_make_vfs(struct helper_client *client, const char *address, const uint8_t digest[DIGEST_SIZE],
			   helper_reply_fn reply, void *userdata)
{
	struct helper_request request = { .operation = HELPER_MAKE_VFS };

	if (!device_address_is_valid(address))
		return -EINVAL;
	strcpy(request.address, address);
	memcpy(request.digest, digest, DIGEST_SIZE);
	return submit(client, &request, -1, reply, userdata);
}

int helper_client_signal(struct helper_client *client, int client_fd, uint64_t transaction,
			 const uint8_t digest[DIGEST_SIZE], uint32_t flags, helper_reply_fn reply, void *userdata)
{
	struct helper_request request = { .operation = HELPER_SIGNAL, .transaction = transaction, .flags = flags };

	memcpy(request.digest, digest, DIGEST_SIZE);
	return submit(client, &request, client_fd, reply, userdata);
}

int helper_client_identify(struct helper_client *client, int client_fd, helper_reply_fn reply, void *userdata)
{
	struct helper_request request = { .operation = HELPER_IDENTIFY };

	return submit(client, &request, client_fd, reply, userdata);
}

int helper_client_reload(struct helper_client *client, helper_reply_fn reply, void *userdata)
{
	struct helper_request request = { .operation = HELPER_RELOAD };

	return submit(client, &request, -1, reply, userdata);
}

const char *helper_step_name(uint32_t step)
{
	return helper_step_text(step);
}

const char *helper_status_text(uint32_t status)
{
	static const char *const texts[] = {
		[HELPER_OK] = "done",
		[HELPER_FAULT] = "the kernel refused it",
		[HELPER_REFUSED] = "the helper's policy refuses it",
		[HELPER_POLICY_DIFFERS] = "the helper has another policy in force; reload both",
		[HELPER_BAD_REQUEST] = "the helper does not take the request",
		[HELPER_NO_SUCH_DEVICE] = "there is no such device",
		[HELPER_NO_SUCH_TRANSACTION] = "there is no such transaction",
		[HELPER_BUSY] = "the device is busy, or too many workers are blocked",
		[HELPER_TIMED_OUT] = "the kernel still waits, probably for a descriptor of the device to be closed",
		[HELPER_REPLACED] = "the device was removed or replaced",
		[HELPER_IN_USE] = "the host uses the device",
	};

	return status < ARRAY_SIZE(texts) ? texts[status] : "unknown status";
}
