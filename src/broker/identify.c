/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What rules ask of a client's process beyond its socket: asked of the helper, which alone may read it of other users, when
 * a policy first has use for it. Until it is there the client's calls wait, and nothing else does. The helper reads it once
 * more before it moves a device, so a broker that was told a lie gains nothing by it.
 */
#include <stdlib.h>

#include "broker/internal.h"
#include "util/log.h"
#include "util/process-facts.h"

/* A question under way. It outlives its peer: the helper's answer comes back to it. */
struct peer_question {
	struct peer *peer; /* NULL: gone */
};

/* What could not be told is not known, and fits no rule that allows. */
static void take_answer(struct peer *peer, int error, const struct helper_reply *reply)
{
	if (error < 0) {
		/* The helper went away: the next call asks its successor. */
		peer->process = PEER_PROCESS_MISSED;
		return;
	}
	peer->process = PEER_PROCESS_KNOWN;
	if (reply->status != HELPER_OK)
		log_debug("pid %d of uid %u: the helper can't tell its unit: %s", (int)peer->identity->pid,
			  peer->identity->uid, helper_status_text(reply->status));
	else if (process_facts_store(&reply->process, peer->identity) < 0)
		log_error("out of memory: the unit of pid %d is not known", (int)peer->identity->pid);
}

static void answered(void *userdata, int error, const struct helper_reply *reply)
{
	struct peer_question *question = userdata;
	struct peer *peer = question->peer;

	free(question);
	if (!peer)
		return;
	peer->question = NULL;
	take_answer(peer, error, reply);
	if (peer->waiting)
		peer->waiting->touched = true;
	if (peer->identified)
		peer->identified(peer->identified_userdata);
}

static bool ask(struct peer *peer)
{
	struct broker *broker = peer->broker;
	struct peer_question *question;

	if (!broker_reach_helper(broker))
		return false;
	question = calloc(1, sizeof(*question));
	if (!question)
		return false;
	question->peer = peer;
	if (helper_client_identify(broker->helper, peer->socket_fd, answered, question) < 0) {
		free(question);
		return false;
	}
	peer->question = question;
	return true;
}

bool peer_identify(struct peer *peer)
{
	if (peer->process == PEER_PROCESS_KNOWN || !policy_asks_process(peer->broker->policy))
		return true;
	if (peer->question)
		return false;
	if (peer->process == PEER_PROCESS_MISSED) {
		/* Once, so that a helper that dies of the question does not keep the client for ever. */
		peer->process = PEER_PROCESS_UNASKED;
		return true;
	}
	return !ask(peer);
}

void peer_set_identified(struct peer *peer, void (*identified)(void *userdata), void *userdata)
{
	peer->identified = identified;
	peer->identified_userdata = userdata;
}

void peer_forget_question(struct peer *peer)
{
	if (peer->question)
		peer->question->peer = NULL;
	peer->question = NULL;
}
