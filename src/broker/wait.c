/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The queue: requests that somebody's lease stands in the way of, in order of arrival. Who waits holds nothing, so nobody can
 * wait in a circle; but he claims the groups that he waits for, and nobody who came later gets a claimed group before him,
 * even where it alone is free already: so who waits for several devices is not overtaken by ever new ones that want one
 * of them. Requests for different groups do not see each other.
 *
 * Who waits is judged again when something that he claims was touched, from broker_expire() and never from within what
 * touched it: a grant may end in calls that free peers and leases.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/internal.h"
#include "util/log.h"

static bool claims_group(const struct demand *demand, unsigned int group)
{
	for (size_t i = 0; i < demand->n_claims; i++)
		if (demand->claims[i] == group)
			return true;
	return false;
}

const struct demand *wait_claimant(const struct broker *broker, unsigned int group, const struct demand *demand)
{
	const struct demand *other;

	list_for_each(other, &broker->waiting, link) {
		if (other == demand)
			break;
		if (claims_group(other, group))
			return other;
	}
	return NULL;
}

void wait_check(const struct broker *broker, const struct judgement *judgement, const struct device *device,
		struct refusal *refusal)
{
	const struct demand *first;
	uid_t uid = judgement->identity->uid;
	char who[64] = "another user";

	first = judgement->self ? NULL : wait_claimant(broker, device->group->id, judgement->demand);
	if (!first)
		return;
	if (uid == 0 || uid == first->peer->identity->uid)
		snprintf(who, sizeof(who), "pid %d of uid %u", (int)first->peer->identity->pid,
			 first->peer->identity->uid);
	refusal->state = LEASE_REQUESTED;
	refusal->passes = true;
	snprintf(refusal->holder, sizeof(refusal->holder), "%s, who waits for it", who);
	refusal_set(refusal, REFUSAL_BUSY,
		    "%s: group %u is promised to %s, who asked first and waits; wait in line (waitSec), or ask later",
		    device->id.address, device->group->id, who);
}

void wait_touch(struct broker *broker, unsigned int group)
{
	struct demand *demand;

	list_for_each(demand, &broker->waiting, link)
		if (claims_group(demand, group) || (demand->pool && pool_touches_group(broker, demand->pool, group)))
			demand->touched = true;
}

void wait_touch_all(struct broker *broker)
{
	struct demand *demand;

	list_for_each(demand, &broker->waiting, link)
		demand->touched = true;
}

void wait_claim(struct broker *broker, struct demand *demand, unsigned int *claims, size_t n)
{
	unsigned int *former = demand->claims;
	size_t n_former = demand->n_claims;

	demand->claims = claims;
	demand->n_claims = n;
	for (size_t i = 0; i < n_former; i++)
		if (!claims_group(demand, former[i]))
			wait_touch(broker, former[i]);
	free(former);
}

/* All of the named devices' groups; pool_choose() has done it for a pool. */
static int claim_named(struct broker *broker, struct demand *demand)
{
	unsigned int *claims;
	size_t n = 0;

	if (demand->pool)
		return 0;
	claims = calloc(OPENER_DEVICES_MAX, sizeof(*claims));
	if (!claims)
		return -ENOMEM;
	for (size_t i = 0; demand->devices[i]; i++) {
		const struct device *device = registry_find_device(broker->registry, demand->devices[i]);

		if (device)
			claims[n++] = device->group->id;
	}
	wait_claim(broker, demand, claims, n);
	return 0;
}

static void publish_waiting(struct broker *broker, const struct demand *demand)
{
	const struct refusal *refusal = &demand->refusal;
	uid_t uid = demand->peer->identity->uid;
	char message[640];

	snprintf(message, sizeof(message), "uid %u waits up to %u s: %.560s", uid, demand->wait_sec, refusal->message);
	event_publish(broker, LOG_INFO,
		      (struct broker_event){ .name = "leaseWaiting",
					     .device = refusal->device[0] ? refusal->device : NULL,
					     .group = refusal->device[0] ? (int64_t)refusal->group : -1,
					     .lease = -1,
					     .uid = (int64_t)uid,
					     .viable = -1,
					     .message = message });
}

static int take_place(struct broker *broker, struct demand *demand)
{
	int r = quota_take(&broker->quota, demand->peer->identity->uid);

	if (r < 0)
		return r;
	demand->waits = true;
	demand->deadline_usec = now_usec() + demand->wait_sec * 1000000ull;
	demand->peer->waiting = demand;
	list_append(&broker->waiting, &demand->link);
	return 0;
}

int wait_join(struct broker *broker, struct demand *demand, struct refusal *refusal)
{
	bool waited = demand->waits;
	int r = claim_named(broker, demand);

	if (r == 0 && !waited)
		r = take_place(broker, demand);
	if (r < 0)
		return r;
	refusal_clear(&demand->refusal);
	demand->refusal = *refusal;
	*refusal = (struct refusal){ 0 };
	if (!waited)
		publish_waiting(broker, demand);
	return 0;
}

void wait_leave(struct demand *demand)
{
	struct broker *broker = demand->peer->broker;

	if (!demand->waits)
		return;
	list_unlink(&demand->link);
	demand->waits = false;
	demand->peer->waiting = NULL;
	quota_give(&broker->quota, demand->peer->identity->uid);
	for (size_t i = 0; i < demand->n_claims; i++)
		wait_touch(broker, demand->claims[i]);
}

void wait_abandon(struct demand *demand)
{
	const struct identity *identity = demand->peer->identity;
	char message[640];

	snprintf(message, sizeof(message), "uid %u went away while it waited: %.560s", identity->uid,
		 demand->refusal.message);
	event_publish(demand->peer->broker, LOG_INFO,
		      (struct broker_event){ .name = "waitAbandoned",
					     .group = -1,
					     .lease = -1,
					     .uid = (int64_t)identity->uid,
					     .viable = -1,
					     .message = message });
	wait_leave(demand);
	demand_free(demand);
}

uint64_t wait_next_deadline(const struct broker *broker)
{
	uint64_t next = UINT64_MAX;
	const struct demand *demand;

	list_for_each(demand, &broker->waiting, link) {
		if (demand->touched)
			return 0;
		if (demand->deadline_usec < next)
			next = demand->deadline_usec;
	}
	return next;
}

static struct demand *find_touched(struct broker *broker)
{
	struct demand *demand;

	list_for_each(demand, &broker->waiting, link)
		if (demand->touched)
			return demand;
	return NULL;
}

static struct demand *find_late(struct broker *broker, uint64_t now)
{
	struct demand *demand;

	list_for_each(demand, &broker->waiting, link)
		if (demand->deadline_usec <= now)
			return demand;
	return NULL;
}

static void time_out(struct demand *demand)
{
	struct refusal refusal = { 0 };

	snprintf(refusal.word, sizeof(refusal.word), "wait");
	refusal_set(&refusal, REFUSAL_TIMED_OUT, "waited %u s in vain: %.700s", demand->wait_sec,
		    demand->refusal.message);
	demand_answer(demand, 0, &refusal);
}

/* From the front each time: an answer may end anybody's waiting. Ends, for each turn takes one mark or one demand away. */
static void judge_touched(struct broker *broker)
{
	struct demand *demand;

	while ((demand = find_touched(broker))) {
		demand->touched = false;
		/* Of a policy that came into force meanwhile; it is touched again by the answer. */
		if (peer_identify(demand->peer))
			demand_try(broker, demand);
	}
}

void wait_expire(struct broker *broker, uint64_t now)
{
	struct demand *demand;

	/* What came free in time is granted, even if we look late. */
	judge_touched(broker);
	while ((demand = find_late(broker, now)))
		time_out(demand);
	judge_touched(broker);
}
