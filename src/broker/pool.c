/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which devices of a pool a client gets: the first that the policy allows it and that could be granted now, in an order that
 * hangs on nothing but the machine. Each is judged like one that was asked for by its address, together with those chosen
 * before it: so labels and backends of several agree. What can't be had is passed over; only when there are too few does
 * it matter why. Changes nothing but the demand.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/internal.h"
#include "util/cleanup.h"
#include "util/text.h"

struct candidate {
	char address[DEVICE_ADDRESS_MAX]; /* copied: to judge one may free any device's structure */
	unsigned int rank; /* lower comes first */
	size_t index; /* in order of address */
};

/* How the choice stands. */
struct choice {
	struct broker *broker;
	struct demand *demand;
	struct judgement *judgement;
	unsigned int *claims; /* groups of what is free, or would be if others gave it back */
	size_t n_claims;
	size_t n_chosen;
	size_t n_allowed; /* by the policy */
	size_t n_leased; /* that others have, or wait for */
	size_t n_set_aside; /* that could not be prepared */
	struct refusal other; /* the first other reason why one can't be had, of those with the most weight */
};

static bool belongs(const struct broker *broker, const char *pool, const struct device *device)
{
	const struct policy_subject subject = broker_policy_subject(broker, device);

	return !device->bridge && policy_pool_contains(broker->policy, pool, &subject);
}

static const struct device *next_of_pool(const struct broker *broker, const char *pool, const struct device *former)
{
	const struct list_link *head = registry_devices(broker->registry);
	const struct list_link *link = former ? former->link.next : head->next;

	for (; link != head; link = link->next) {
		const struct device *device = list_entry(link, struct device, link);

		if (belongs(broker, pool, device))
			return device;
	}
	return NULL;
}

const struct device *demand_next_device(const struct broker *broker, const struct demand *demand, size_t *cursor,
					const struct device *former)
{
	if (demand->pool)
		return next_of_pool(broker, demand->pool, former);
	while (demand->devices[*cursor]) {
		const struct device *device = registry_find_device(broker->registry, demand->devices[(*cursor)++]);

		if (device)
			return device;
	}
	return NULL;
}

bool pool_touches_group(const struct broker *broker, const char *pool, unsigned int group)
{
	const struct group *found = registry_find_group(broker->registry, group);
	const struct device *device;

	if (!found)
		return false;
	list_for_each(device, &found->devices, group_link)
		if (belongs(broker, pool, device))
			return true;
	return false;
}

/* One whose last reset failed may fail again: it comes last. */
static unsigned int rank_of(const struct broker *broker, const struct demand *demand, const struct device *device)
{
	unsigned int last = broker_is_quarantined(broker, device) ? 3 : 0;

	if (demand->numa_node < 0 || device->numa_node == demand->numa_node)
		return last;
	return last + (device->numa_node < 0 ? 1 : 2);
}

static int compare(const void *left, const void *right)
{
	const struct candidate *a = left, *b = right;

	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	return a->index < b->index ? -1 : a->index > b->index;
}

static int collect(struct broker *broker, const struct demand *demand, struct candidate **ret, size_t *ret_n)
{
	const struct device *device;
	struct candidate *candidates;
	size_t n = 0;

	list_for_each(device, registry_devices(broker->registry), link)
		n += belongs(broker, demand->pool, device);
	candidates = calloc(n + 1, sizeof(*candidates));
	if (!candidates)
		return -ENOMEM;
	n = 0;
	list_for_each(device, registry_devices(broker->registry), link) {
		if (!belongs(broker, demand->pool, device))
			continue;
		memcpy(candidates[n].address, device->id.address, sizeof(candidates[n].address));
		candidates[n].rank = rank_of(broker, demand, device);
		candidates[n].index = n;
		n++;
	}
	qsort(candidates, n, sizeof(*candidates), compare);
	*ret = candidates;
	*ret_n = n;
	return 0;
}

static bool is_set_aside(const struct demand *demand, const char *address)
{
	for (size_t i = 0; i < demand->n_set_aside; i++)
		if (strcmp(demand->set_aside[i], address) == 0)
			return true;
	return false;
}

int pool_set_aside(struct demand *demand, const char *address)
{
	char(*larger)[DEVICE_ADDRESS_MAX] = reallocarray(demand->set_aside, demand->n_set_aside + 1, sizeof(*larger));

	if (!larger)
		return -ENOMEM;
	demand->set_aside = larger;
	snprintf(larger[demand->n_set_aside++], sizeof(*larger), "%s", address);
	return 0;
}

static void claim(struct choice *choice, const struct device *device)
{
	choice->claims[choice->n_claims++] = device->group->id;
}

/* What the client can help goes before what it can't. */
static unsigned int weight_of(const struct refusal *refusal)
{
	return refusal->kind == REFUSAL_CONSENT_REQUIRED ? 3 : refusal->kind == REFUSAL_QUOTA ? 2 : refusal->kind != 0;
}

static void keep_reason(struct choice *choice)
{
	struct refusal *refusal = &choice->judgement->refusal;

	if (weight_of(&choice->other) >= weight_of(refusal)) {
		refusal_clear(refusal);
		return;
	}
	refusal_clear(&choice->other);
	choice->other = *refusal;
	*refusal = (struct refusal){ 0 };
}

/* Judges it with those that were chosen, as one request. */
static int judge_candidate(struct choice *choice, const char *address)
{
	struct demand *demand = choice->demand;
	struct refusal *refusal = &choice->judgement->refusal;
	const struct device *device;
	size_t n = choice->n_chosen;
	int r;

	snprintf(demand->chosen[n], sizeof(demand->chosen[n]), "%s", address);
	demand->devices[n] = demand->chosen[n];
	demand->devices[n + 1] = NULL;
	r = judge(choice->broker, choice->judgement);
	device = registry_find_device(choice->broker->registry, address);
	if (r == 0 && device && (!refusal->kind || refusal->passes))
		claim(choice, device);
	if (r == 0 && !refusal->kind) {
		choice->n_chosen++;
		return 0;
	}
	demand->devices[n] = NULL;
	choice->n_leased += r == 0 && refusal->passes;
	if (r < 0 || refusal->passes)
		refusal_clear(refusal);
	else
		keep_reason(choice);
	return r;
}

/* One that somebody has, or waits for: to wait for it helps only who could have it then. */
static void consider_taken(struct choice *choice, const struct device *device, const struct policy_decision *decision)
{
	rule_quota_check(choice->broker, choice->judgement, decision, device, &choice->judgement->refusal);
	if (choice->judgement->refusal.kind) {
		keep_reason(choice);
		return;
	}
	choice->n_leased++;
	claim(choice, device);
}

/* What somebody has, or waits for, needs no look at sysfs. */
static bool is_taken(const struct choice *choice, const struct device *device)
{
	return broker_group_holder(choice->broker, device->group->id) ||
	       wait_claimant(choice->broker, device->group->id, choice->demand);
}

static int consider(struct choice *choice, const char *address)
{
	const struct device *device = registry_find_device(choice->broker->registry, address);
	struct policy_decision decision;

	if (!device)
		return 0;
	judge_decide(choice->broker, device, choice->judgement->identity, &decision);
	if (decision.action != POLICY_ALLOW)
		return 0;
	choice->n_allowed++;
	if (is_set_aside(choice->demand, address)) {
		choice->n_set_aside++;
		return 0;
	}
	if (!is_taken(choice, device))
		return judge_candidate(choice, address);
	consider_taken(choice, device, &decision);
	return 0;
}

static void refuse_unknown(struct judgement *judgement, const char *pool)
{
	struct refusal *refusal = &judgement->refusal;

	text_copy_printable(refusal->pool, sizeof(refusal->pool), pool);
	refusal_set(refusal, REFUSAL_NO_SUCH_POOL, "no policy file names a pool '%s'; see [Pool] in iommud.policy(5)",
		    refusal->pool);
}

static void refuse_exhausted(struct choice *choice, struct refusal *refusal)
{
	const struct demand *demand = choice->demand;
	char others[320] = "", set_aside[80] = "";

	refusal->number = choice->n_chosen;
	refusal->n_wanted = demand->count;
	refusal->passes = choice->n_chosen + choice->n_leased >= demand->count;
	if (choice->n_set_aside)
		snprintf(set_aside, sizeof(set_aside), ", %zu in use by the host or failed to be prepared",
			 choice->n_set_aside);
	if (choice->other.kind)
		snprintf(others, sizeof(others), "; what else there is can't be had: %.280s", choice->other.message);
	refusal_set(refusal, REFUSAL_POOL_EXHAUSTED,
		    "pool %s: %zu asked for, %zu free, %zu leased or waited for%s, of %zu that uid %u may have%s",
		    demand->pool, demand->count, choice->n_chosen, choice->n_leased, set_aside, choice->n_allowed,
		    choice->judgement->identity->uid, others);
}

/* Too few. */
static void refuse_choice(struct choice *choice)
{
	struct refusal *refusal = &choice->judgement->refusal;

	snprintf(refusal->pool, sizeof(refusal->pool), "%s", choice->demand->pool);
	if (choice->n_allowed == 0) {
		refusal_set(refusal, REFUSAL_DENIED,
			    "pool %s has no device now that a rule allows uid %u; see iommud.policy(5)",
			    choice->demand->pool, choice->judgement->identity->uid);
	} else if (choice->other.kind == REFUSAL_CONSENT_REQUIRED ||
		   (choice->other.kind == REFUSAL_QUOTA &&
		    choice->n_chosen + choice->n_leased < choice->demand->count)) {
		*refusal = choice->other;
		choice->other = (struct refusal){ 0 };
	} else {
		refuse_exhausted(choice, refusal);
	}
}

static int choose(struct choice *choice, const struct candidate *candidates, size_t n)
{
	struct demand *demand = choice->demand;
	int r = 0;

	memset(demand->devices, 0, sizeof(demand->devices));
	choice->claims = calloc(n + 1, sizeof(*choice->claims));
	if (!choice->claims)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < n && choice->n_chosen < demand->count; i++)
		r = consider(choice, candidates[i].address);
	if (r == 0 && choice->n_chosen < demand->count) {
		refuse_choice(choice);
		/* Only now all were looked at. What it claimed before it was granted is for wait_leave() to know. */
		wait_claim(choice->broker, demand, TAKE_PTR(choice->claims), choice->n_claims);
	}
	free(choice->claims);
	refusal_clear(&choice->other);
	return r;
}

int pool_choose(struct broker *broker, struct demand *demand, struct judgement *judgement)
{
	struct choice choice = { .broker = broker, .demand = demand, .judgement = judgement };
	_cleanup_free_ struct candidate *candidates = NULL;
	size_t n;
	int r;

	if (!policy_pool_exists(broker->policy, demand->pool)) {
		refuse_unknown(judgement, demand->pool);
		return 0;
	}
	r = collect(broker, demand, &candidates, &n);
	return r < 0 ? r : choose(&choice, candidates, n);
}
