/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From packets to operations, by a table that says what each operation may carry. A field that an operation has no use for
 * must be zero, so that nothing can be smuggled past a reader of this table. It touches no device.
 */
#include "helper/request.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "helper/authority.h"
#include "helper/job.h"
#include "helper/signal.h"
#include "util/cleanup.h"
#include "util/log.h"

typedef void (*operation_fn)(struct helper *helper, uint64_t connection, struct packet *packet);

struct operation {
	operation_fn run; /* may take the packet's descriptor */
	bool transaction;
	bool address;
	bool for_address;
	bool digest;
	uint32_t flags; /* that it may carry */
	size_t n_fds;
};

static void run_hello(struct helper *helper, uint64_t connection, struct packet *packet);
static void run_prepare(struct helper *helper, uint64_t connection, struct packet *packet);
static void run_restore(struct helper *helper, uint64_t connection, struct packet *packet);
static void run_next(struct helper *helper, uint64_t connection, struct packet *packet);
static void run_reload(struct helper *helper, uint64_t connection, struct packet *packet);
static void run_holders(struct helper *helper, uint64_t connection, struct packet *packet);
static void run_make_vfs(struct helper *helper, uint64_t connection, struct packet *packet);
static void run_signal(struct helper *helper, uint64_t connection, struct packet *packet);
static void run_identify(struct helper *helper, uint64_t connection, struct packet *packet);

static const struct operation operations[] = {
	[HELPER_HELLO] = { .run = run_hello, .digest = true },
	[HELPER_PREPARE] = { .run = run_prepare, .address = true, .digest = true, .flags = HELPER_RESET, .n_fds = 1 },
	[HELPER_RESTORE] = { .run = run_restore, .transaction = true, .flags = HELPER_STAYS },
	[HELPER_NEXT] = { .run = run_next, .transaction = true },
	[HELPER_RELOAD] = { .run = run_reload },
	[HELPER_HOLDERS] = { .run = run_holders, .transaction = true },
	[HELPER_MAKE_VFS] = { .run = run_make_vfs, .address = true, .digest = true },
	/* What differs is only what the job does. */
	[HELPER_PARK] = { .run = run_prepare,
			  .address = true,
			  .for_address = true,
			  .digest = true,
			  .flags = HELPER_LATE,
			  .n_fds = 1 },
	[HELPER_IDENTIFY] = { .run = run_identify, .n_fds = 1 },
	[HELPER_SIGNAL] = { .run = run_signal, .transaction = true, .digest = true, .flags = HELPER_KILL, .n_fds = 1 },
};

static const struct operation *find_operation(uint32_t number)
{
	if (number >= ARRAY_SIZE(operations) || !operations[number].run)
		return NULL;
	return &operations[number];
}

static bool is_zero(const void *data, size_t size)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < size; i++) {
		if (bytes[i])
			return false;
	}
	return true;
}

/* Valid, and nothing behind the NUL that ends it. */
static bool address_is_padded(const char address[DEVICE_ADDRESS_MAX])
{
	size_t length;

	if (!device_address_is_valid(address))
		return false;
	length = strlen(address);
	return is_zero(address + length, DEVICE_ADDRESS_MAX - length);
}

static const char *check_addresses(const struct helper_request *request, const struct operation *operation)
{
	if (!operation->address && !is_zero(request->address, sizeof(request->address)))
		return "an address where there is none";
	if (!operation->for_address && !is_zero(request->for_address, sizeof(request->for_address)))
		return "a second address where there is none";
	if (operation->address && !address_is_padded(request->address))
		return "the address is none";
	if (operation->for_address && !address_is_padded(request->for_address))
		return "the second address is none";
	if (operation->for_address && strcmp(request->address, request->for_address) == 0)
		return "a device is no bystander of itself";
	return NULL;
}

static const char *check_fields(const struct helper_request *request, const struct operation *operation)
{
	if (!is_zero(request->reserved, sizeof(request->reserved)))
		return "a reserved field is not zero";
	if (request->flags & ~operation->flags)
		return "a flag where there is none";
	if (!operation->transaction && request->transaction)
		return "a transaction where there is none";
	if (!operation->digest && !is_zero(request->digest, sizeof(request->digest)))
		return "a digest where there is none";
	return check_addresses(request, operation);
}

const char *request_check(const struct packet *packet)
{
	const struct operation *operation;

	if (packet->size != sizeof(packet->request))
		return "wrong size";
	if (packet->request.version != HELPER_VERSION)
		return "unknown version; helper and broker must be of one build";
	operation = find_operation(packet->request.operation);
	if (!operation)
		return "unknown operation";
	if (packet->n_fds != operation->n_fds)
		return "wrong number of descriptors";
	return check_fields(&packet->request, operation);
}

static void run_hello(struct helper *helper, uint64_t connection, struct packet *packet)
{
	const uint8_t *digest = policy_digest(helper->policy);
	bool same = memcmp(digest, packet->request.digest, DIGEST_SIZE) == 0;
	struct helper_reply reply = reply_new(packet->request.serial, same ? HELPER_OK : HELPER_POLICY_DIFFERS);

	memcpy(reply.digest, digest, DIGEST_SIZE);
	connection_reply(helper, connection, &reply);
}

/* Answers the request if the broker judged by other rules. */
static bool policy_differs(struct helper *helper, uint64_t connection, const struct packet *packet)
{
	struct helper_reply reply;

	if (memcmp(policy_digest(helper->policy), packet->request.digest, DIGEST_SIZE) == 0)
		return false;
	reply = reply_new(packet->request.serial, HELPER_POLICY_DIFFERS);
	connection_reply(helper, connection, &reply);
	return true;
}

static void run_prepare(struct helper *helper, uint64_t connection, struct packet *packet)
{
	if (!policy_differs(helper, connection, packet))
		job_prepare(helper, connection, &packet->request, TAKE_FD(packet->fd));
}

static void run_make_vfs(struct helper *helper, uint64_t connection, struct packet *packet)
{
	if (!policy_differs(helper, connection, packet))
		job_make_vfs(helper, connection, &packet->request);
}

static void run_restore(struct helper *helper, uint64_t connection, struct packet *packet)
{
	job_restore(helper, connection, &packet->request);
}

static void run_holders(struct helper *helper, uint64_t connection, struct packet *packet)
{
	job_find_holders(helper, connection, &packet->request);
}

static void run_signal(struct helper *helper, uint64_t connection, struct packet *packet)
{
	signal_client(helper, connection, &packet->request, packet->fd);
}

/* By the helper itself, without a worker: nothing that is read waits for a device, or for the process. */
static void run_identify(struct helper *helper, uint64_t connection, struct packet *packet)
{
	const struct authority authority = { .client_socket = helper->options.client_socket, .proc = "/proc" };
	struct helper_reply reply = reply_new(packet->request.serial, HELPER_OK);
	struct authority_answer said;

	if (!authority_read_process(&authority, packet->fd, &reply.process, &said)) {
		reply.status = said.status;
		reply.error = said.error;
		snprintf(reply.detail, sizeof(reply.detail), "%.*s", (int)sizeof(reply.detail) - 1, said.reason);
	}
	connection_reply(helper, connection, &reply);
}

static void run_next(struct helper *helper, uint64_t connection, struct packet *packet)
{
	const struct transaction *transaction = journal_next(helper->journal, packet->request.transaction);
	struct helper_reply reply = reply_new(packet->request.serial, HELPER_OK);

	while (transaction && job_prepares(helper, transaction->number))
		transaction = journal_next(helper->journal, transaction->number);
	if (transaction) {
		reply.transaction = transaction->number;
		memcpy(reply.address, transaction->snapshot.id.address, sizeof(reply.address));
		memcpy(reply.driver, transaction->snapshot.driver, sizeof(reply.driver));
		reply.parked = device_state_is_parked(&transaction->snapshot);
	} else {
		reply.status = HELPER_NO_SUCH_TRANSACTION;
		reply.error = ENOENT;
	}
	connection_reply(helper, connection, &reply);
}

static void run_reload(struct helper *helper, uint64_t connection, struct packet *packet)
{
	int r = helper_load_policy(helper);
	struct helper_reply reply = reply_new(packet->request.serial, r < 0 ? HELPER_FAULT : HELPER_OK);

	reply.error = -r;
	memcpy(reply.digest, policy_digest(helper->policy), DIGEST_SIZE);
	connection_reply(helper, connection, &reply);
}

void request_dispatch(struct helper *helper, struct connection *connection, struct packet *packet)
{
	const char *wrong = request_check(packet);
	struct helper_reply reply;

	if (!wrong) {
		find_operation(packet->request.operation)->run(helper, connection->id, packet);
		packet->fd = close_fd(packet->fd);
		return;
	}
	packet->fd = close_fd(packet->fd);
	log_warning("bad request of the broker's (%s): connection closed", wrong);
	reply = reply_new(packet->size >= sizeof(packet->request) ? packet->request.serial : 0, HELPER_BAD_REQUEST);
	if (connection_reply(helper, connection->id, &reply) == 0)
		connection_close(connection);
}
