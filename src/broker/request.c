/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a request to a lease in the making: copied, held perhaps until it is known whose it is (identify.c), checked, judged,
 * perhaps sent to the queue (wait.c) and judged again from there. What is granted goes on in acquire.c; what is not is
 * answered here. Each demand has one owner: its peer until demand_begin(), then the queue or the acquire.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/internal.h"
#include "util/log.h"

static void free_texts(char **texts)
{
	for (char **text = texts; text && *text; text++)
		free(*text);
	free(texts);
}

struct demand *demand_free(struct demand *demand)
{
	if (!demand)
		return NULL;
	free_texts(demand->named);
	free(demand->pool);
	free(demand->backend);
	free(demand->consent);
	free(demand->claims);
	free(demand->set_aside);
	refusal_clear(&demand->refusal);
	free(demand);
	return NULL;
}

static int copy_text(char **target, const char *text)
{
	*target = text ? strdup(text) : NULL;
	return text && !*target ? -ENOMEM : 0;
}

static int copy_names(struct demand *demand, const struct acquire_request *request)
{
	if (demand->pool)
		return 0;
	demand->named = calloc(request->n_devices + 1, sizeof(*demand->named));
	if (!demand->named)
		return -ENOMEM;
	for (size_t i = 0; i < request->n_devices; i++) {
		demand->named[i] = strdup(request->devices[i]);
		if (!demand->named[i])
			return -ENOMEM;
		/* Too many are refused later. */
		if (i < OPENER_DEVICES_MAX)
			demand->devices[i] = demand->named[i];
	}
	return 0;
}

static struct demand *demand_new(struct peer *peer, const struct acquire_request *request, acquire_done_fn done,
				 void *userdata)
{
	struct demand *demand = calloc(1, sizeof(*demand));

	if (!demand)
		return NULL;
	list_init(&demand->link);
	demand->peer = peer;
	demand->done = done;
	demand->userdata = userdata;
	demand->count = request->pool ? request->count : request->n_devices;
	demand->numa_node = request->numa_node;
	demand->wait_sec = request->wait_sec;
	if (copy_text(&demand->pool, request->pool) < 0 || copy_text(&demand->backend, request->backend) < 0 ||
	    copy_text(&demand->consent, request->consent) < 0 || copy_names(demand, request) < 0)
		return demand_free(demand);
	return demand;
}

/* Who was named may be gone by the next time. Those who are not told names need not be looked for. */
static void look_again(const struct peer *peer, const struct refusal *refusal)
{
	struct lease *holder;

	if (refusal->kind != REFUSAL_BUSY)
		return;
	holder = broker_group_holder(peer->broker, refusal->group);
	if (holder && (peer_is_admin(peer) || holder->uid == peer->identity->uid))
		holders_ask_again(holder);
}

void demand_answer(struct demand *demand, int error, const struct refusal *refusal)
{
	wait_leave(demand);
	if (refusal)
		look_again(demand->peer, refusal);
	if (refusal)
		event_denied(demand->peer->broker, demand->peer->identity, refusal);
	demand->done(demand->userdata, error, NULL, NULL, refusal);
	demand_free(demand);
}

static struct acquire *acquire_new(struct demand *demand, const struct judgement *judgement,
				   const struct policy *policy)
{
	struct acquire *acquire = calloc(1, sizeof(*acquire));

	if (!acquire)
		return NULL;
	opened_init(&acquire->opened);
	acquire->done = demand->done;
	acquire->userdata = demand->userdata;
	acquire->backends = judgement->backends;
	memcpy(acquire->digest, policy_digest(policy), DIGEST_SIZE);
	return acquire;
}

/* Builds privately, publishes last: a lease is in the lists only when nothing can fail any more. */
static int lease_begin(struct broker *broker, struct demand *demand, const struct judgement *judgement,
		       struct acquire **ret)
{
	struct peer *peer = demand->peer;
	struct acquire *acquire = acquire_new(demand, judgement, broker->policy);
	struct lease *lease = lease_make(broker, peer, judgement, demand->count);
	int r = lease && acquire ? 0 : -ENOMEM;

	if (r == 0)
		r = reset_reserve(broker, lease);
	if (r == 0)
		r = quota_take(&broker->quota, peer->identity->uid);
	if (r == 0) {
		r = groups_hold(broker, lease);
		if (r < 0)
			quota_give(&broker->quota, peer->identity->uid);
	}
	if (r < 0) {
		lease_free(lease);
		acquire_free(acquire);
		return r;
	}
	lease->id = ++broker->last_lease;
	lease->acquire = acquire;
	acquire->lease = lease;
	acquire->demand = demand;
	list_append(&broker->leases, &lease->link);
	list_append(&peer->leases, &lease->peer_link);
	*ret = acquire;
	return 0;
}

static int demand_grant(struct broker *broker, struct demand *demand, const struct judgement *judgement)
{
	struct acquire *acquire = NULL;
	int r = lease_begin(broker, demand, judgement, &acquire);

	if (r < 0)
		return r;
	wait_leave(demand);
	acquire_prepare(acquire);
	return 0;
}

/* Whether it may wait, and for how long, is settled when it first would. */
static bool may_wait(struct broker *broker, struct demand *demand)
{
	unsigned int wait_sec = demand->waits ? demand->wait_sec : expiry_wait_sec(broker, demand);

	demand->wait_cut = demand->wait_cut || wait_sec < demand->wait_sec;
	demand->wait_sec = wait_sec;
	return wait_sec > 0;
}

void demand_try(struct broker *broker, struct demand *demand)
{
	struct judgement judgement = {
		.identity = demand->peer->identity,
		.devices = demand->devices,
		.backend = demand->backend,
		.consent = demand->consent,
		.demand = demand,
	};
	struct refusal *refusal = &judgement.refusal;
	int r = demand->pool ? pool_choose(broker, demand, &judgement) : judge(broker, &judgement);

	if (r == 0 && !refusal->kind)
		r = demand_grant(broker, demand, &judgement);
	else if (r == 0 && refusal->passes && may_wait(broker, demand))
		r = wait_join(broker, demand, refusal);
	else if (r == 0)
		demand_answer(demand, 0, refusal);
	if (r < 0)
		demand_answer(demand, r, NULL);
	refusal_clear(refusal);
}

static bool is_repeated(const struct demand *demand)
{
	for (size_t i = 0; i < demand->count; i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp(demand->named[i], demand->named[j]) == 0)
				return true;
	return false;
}

static bool has_good_number(const struct demand *demand)
{
	return demand->count > 0 && demand->count <= OPENER_DEVICES_MAX && (demand->pool || !is_repeated(demand));
}

static void check_demand(const struct broker *broker, const struct demand *demand, struct refusal *refusal)
{
	uid_t uid = demand->peer->identity->uid;

	if (!has_good_number(demand)) {
		snprintf(refusal->word, sizeof(refusal->word), "devices");
		refusal->number = OPENER_DEVICES_MAX;
		refusal_set(refusal, REFUSAL_QUOTA, "a request names 1 to %d different devices", OPENER_DEVICES_MAX);
	} else if (quota_count(&broker->quota, uid) >= broker->limits.leases_per_uid) {
		snprintf(refusal->word, sizeof(refusal->word), "leases");
		refusal->number = broker->limits.leases_per_uid;
		refusal_set(
			refusal, REFUSAL_QUOTA,
			"uid %u has %u leases, or waits for them, as many as MaxLeasesPerUser= in iommud.conf admits; "
			"release one",
			uid, broker->limits.leases_per_uid);
	}
}

void demand_begin(struct broker *broker, struct demand *demand)
{
	struct refusal refusal = { 0 };

	check_demand(broker, demand, &refusal);
	if (refusal.kind)
		demand_answer(demand, 0, &refusal);
	else
		demand_try(broker, demand);
}

void broker_acquire(struct broker *broker, struct peer *peer, const struct acquire_request *request,
		    acquire_done_fn done, void *userdata)
{
	struct demand *demand = demand_new(peer, request, done, userdata);

	if (!demand)
		done(userdata, -ENOMEM, NULL, NULL, NULL);
	else if (!identify_first(demand))
		demand_begin(broker, demand);
}
