/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One signal to the process that connected the client's socket, if the policy wants it. The process is never named by a
 * number, which another may have by now: only by the descriptor that the kernel made when it connected.
 */
#include "helper/signal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "helper/authority.h"
#include "helper/connection.h"
#include "util/cleanup.h"
#include "util/log.h"

static void answer(struct helper *helper, uint64_t connection, const struct helper_request *request,
		   const struct authority_answer *said)
{
	struct helper_reply reply = reply_new(request->serial, said->status);

	reply.transaction = request->transaction;
	reply.error = said->error;
	snprintf(reply.detail, sizeof(reply.detail), "%.*s", HELPER_DETAIL_MAX - 1, said->reason);
	connection_reply(helper, connection, &reply);
}

static struct authority_answer say(enum helper_status status, int error, const char *reason)
{
	struct authority_answer said = { .status = status, .error = error };

	snprintf(said.reason, sizeof(said.reason), "%s", reason);
	return said;
}

static struct authority_answer send_to(int pidfd, int number)
{
	if (syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0) == 0)
		return say(HELPER_OK, 0, "");
	return say(HELPER_FAULT, errno, strerror(errno));
}

static void log_signal(const char *address, const char *name, const struct authority_answer *said)
{
	char device[64];
	const char *const fields[] = { device, NULL };

	snprintf(device, sizeof(device), "IOMMUD_DEVICE=%s", address);
	log_fields(LOG_NOTICE, fields, "%s: %s to the client that keeps it: %s", address, name,
		   said->status == HELPER_OK ? "sent" : said->reason);
}

static struct authority_answer serve(const struct helper *helper, const struct helper_request *request, int client_fd)
{
	const struct authority authority = { .decide = policy_decide,
					     .policy = helper->policy,
					     .client_socket = helper->options.client_socket,
					     .proc = "/proc" };
	const struct transaction *transaction = journal_find(helper->journal, request->transaction);
	bool kill = request->flags & HELPER_KILL;
	struct authority_answer said;
	_cleanup_fd_ int pidfd = -1;

	if (memcmp(policy_digest(helper->policy), request->digest, DIGEST_SIZE) != 0)
		return say(HELPER_POLICY_DIFFERS, 0, "broker and helper have different policies in force; reload both");
	if (!transaction || !transaction->prepared)
		return say(HELPER_NO_SUCH_TRANSACTION, 0, "there is no such transaction");
	authority_judge_signal(&authority, client_fd, &transaction->snapshot, kill, &pidfd, &said);
	if (said.status == HELPER_OK)
		said = send_to(pidfd, kill ? SIGKILL : SIGTERM);
	log_signal(transaction->snapshot.id.address, kill ? "SIGKILL" : "SIGTERM", &said);
	return said;
}

void signal_client(struct helper *helper, uint64_t connection, const struct helper_request *request, int client_fd)
{
	const struct authority_answer said = serve(helper, request, client_fd);

	answer(helper, connection, request, &said);
}
