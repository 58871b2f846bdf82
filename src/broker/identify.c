/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is known of a client's process beyond its socket: asked of the helper, which alone may read it of other users, when a
 * policy first has use for it, or else for the journal, when the connection first asks for devices. Until it is there the
 * client's calls wait, and nothing else does; what only the journal is asked for does not wait long. The helper reads it
 * once more before it moves a device, so a broker that was told a lie gains nothing by it.
 */
#include <stdlib.h>

#include "broker/internal.h"
#include "util/log.h"
#include "util/process-facts.h"

/* A helper that is alive answers at once: this is for one that hangs, or has to be started and can't. */
#define FIRST_WAIT_USEC 5000000

/* A question under way. It outlives its peer: the helper's answer comes back to it. */
struct peer_question {
	struct peer *peer; /* NULL: gone */
};

/* What could not be told is not known, and fits no rule that allows. */
static void take_answer(struct peer *peer, int error, const struct helper_reply *reply)
{
	if (error < 0) {
		/* The helper went away: the call goes on without, and the next one asks its successor. */
		peer->process = peer->unidentified ? PEER_PROCESS_UNASKED : PEER_PROCESS_MISSED;
		return;
	}
	peer->process = PEER_PROCESS_KNOWN;
	if (reply->status != HELPER_OK)
		log_debug("pid %d of uid %u: the helper can't tell its unit: %s", (int)peer->identity->pid,
			  peer->identity->uid, helper_status_text(reply->status));
	else if (process_facts_store(&reply->process, peer->identity) < 0)
		log_error("out of memory: the unit of pid %d is not known", (int)peer->identity->pid);
}

/* Nothing may be done with the peer afterwards. */
static void go_on(struct peer *peer)
{
	struct demand *demand = TAKE_PTR(peer->unidentified);

	list_unlink(&demand->link);
	demand_begin(peer->broker, demand);
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
	if (peer->unidentified)
		go_on(peer);
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

/* Whether there is nothing to wait for. */
static bool learn(struct peer *peer)
{
	if (peer->process == PEER_PROCESS_KNOWN)
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

bool peer_identify(struct peer *peer)
{
	return !policy_asks_process(peer->broker->policy) || learn(peer);
}

bool identify_first(struct demand *demand)
{
	struct peer *peer = demand->peer;

	/* Of one that was not answered in time no other request waits. */
	if (peer->question || learn(peer))
		return false;
	demand->deadline_usec = now_usec() + FIRST_WAIT_USEC;
	list_append(&peer->broker->unidentified, &demand->link);
	peer->unidentified = demand;
	return true;
}

/* All wait equally long. NULL: there is none. */
static struct demand *find_next(const struct broker *broker)
{
	if (list_is_empty(&broker->unidentified))
		return NULL;
	return list_first_entry(&broker->unidentified, struct demand, link);
}

uint64_t identify_next_deadline(const struct broker *broker)
{
	const struct demand *next = find_next(broker);

	return next ? next->deadline_usec : UINT64_MAX;
}

void identify_expire(struct broker *broker, uint64_t now)
{
	struct demand *next;

	while ((next = find_next(broker)) && next->deadline_usec <= now)
		go_on(next->peer);
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
	if (peer->unidentified)
		list_unlink(&peer->unidentified->link);
	peer->unidentified = demand_free(peer->unidentified);
}
