/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MaxLeases= and MaxDevices=: what one uid may have by one rule. Nothing is kept: what a uid has by a rule is counted when a
 * rule with such a limit is asked, by the policy that is in force then, so that a reload that moves or changes rules can't
 * leave a count behind. Only of a lease whose client is gone, which can't be asked about any more, the rule that granted it
 * counts. As for MaxLeasesPerUser= of iommud.conf, a lease counts from its request until its devices are back, and who waits
 * counts as if he had what he waits for; for a pool, by every rule that could give him one of it.
 */
#include <stdio.h>
#include <string.h>

#include "broker/internal.h"

struct usage {
	unsigned int leases;
	unsigned int devices;
};

static void format_rule(const struct policy_decision *rule, char *ret, size_t size)
{
	snprintf(ret, size, "%s:%u", rule->file ? rule->file : "", rule->line);
}

/* Both are of the policy in force. */
static bool is_same_rule(const struct policy_decision *left, const struct policy_decision *right)
{
	return left->action == POLICY_ALLOW && right->action == POLICY_ALLOW && left->file == right->file &&
	       left->line == right->line;
}

static bool gives(struct broker *broker, const struct identity *identity, const struct device *device,
		  const struct policy_decision *rule)
{
	struct policy_decision decision;

	judge_decide(broker, device, identity, &decision);
	return is_same_rule(&decision, rule);
}

static bool is_leased_by(struct broker *broker, const struct lease_device *leased, const struct policy_decision *rule)
{
	const struct peer *peer = leased->lease->peer;
	const struct device *device = registry_find_device(broker->registry, leased->id.address);
	char text[LEASE_RULE_MAX];

	if (peer && device && !leased->lost)
		return gives(broker, peer->identity, device, rule);
	format_rule(rule, text, sizeof(text));
	return leased->rule && strcmp(leased->rule, text) == 0;
}

static void add_leases(struct broker *broker, uid_t uid, const struct policy_decision *rule, const struct lease *self,
		       struct usage *usage)
{
	const struct lease *lease;

	list_for_each(lease, &broker->leases, link) {
		unsigned int n = 0;

		if (lease->uid != uid || lease == self)
			continue;
		for (size_t i = 0; i < lease->n_devices; i++)
			n += is_leased_by(broker, lease->devices[i], rule);
		usage->devices += n;
		usage->leases += n > 0;
	}
}

/* Of a pool all that is asked for, if the rule could give one of it. */
static unsigned int count_demanded(struct broker *broker, const struct demand *demand,
				   const struct policy_decision *rule)
{
	const struct device *device = NULL;
	unsigned int n = 0;
	size_t cursor = 0;

	while ((device = demand_next_device(broker, demand, &cursor, device))) {
		if (!gives(broker, demand->peer->identity, device, rule))
			continue;
		if (demand->pool)
			return (unsigned int)demand->count;
		n++;
	}
	return n;
}

static void add_waiting(struct broker *broker, uid_t uid, const struct policy_decision *rule, const struct demand *self,
			struct usage *usage)
{
	const struct demand *demand;

	list_for_each(demand, &broker->waiting, link) {
		unsigned int n;

		if (demand->peer->identity->uid != uid || demand == self)
			continue;
		n = count_demanded(broker, demand, rule);
		usage->devices += n;
		usage->leases += n > 0;
	}
}

static struct usage count(struct broker *broker, const struct judgement *judgement, const struct policy_decision *rule)
{
	uid_t uid = judgement->identity->uid;
	struct usage usage = { 0 };

	add_leases(broker, uid, rule, judgement->self, &usage);
	add_waiting(broker, uid, rule, judgement->demand, &usage);
	return usage;
}

/* Devices of the request itself that the rule gives, `device` among them. */
static unsigned int count_requested(struct broker *broker, const struct judgement *judgement,
				    const struct policy_decision *rule, const struct device *device)
{
	unsigned int n = 0;
	bool named = false;

	for (size_t i = 0; judgement->devices[i]; i++) {
		const struct device *other = registry_find_device(broker->registry, judgement->devices[i]);

		named = named || other == device;
		n += other && gives(broker, judgement->identity, other, rule);
	}
	return n + !named;
}

static void refuse(struct refusal *refusal, const struct judgement *judgement, const struct policy_decision *rule,
		   const struct usage *usage, unsigned int wanted)
{
	bool leases = rule->limits.max_leases && usage->leases + 1 > rule->limits.max_leases;
	unsigned int limit = leases ? rule->limits.max_leases : rule->limits.max_devices;
	char asked[48] = "";

	snprintf(refusal->word, sizeof(refusal->word), leases ? "ruleLeases" : "ruleDevices");
	refusal->number = limit;
	if (!leases)
		snprintf(asked, sizeof(asked), " and asks for %u", wanted);
	refusal_set(
		refusal, REFUSAL_QUOTA,
		"uid %u has %u %s by the rule at %s:%u, or waits for them%s, and Max%s=%u there admits no more; release "
		"some, or have the administrator raise it",
		judgement->identity->uid, leases ? usage->leases : usage->devices, leases ? "leases" : "devices",
		rule->file ? rule->file : "?", rule->line, asked, leases ? "Leases" : "Devices", limit);
}

void rule_quota_check(struct broker *broker, const struct judgement *judgement, const struct policy_decision *rule,
		      const struct device *device, struct refusal *refusal)
{
	const struct policy_limits *limits = &rule->limits;
	struct usage usage;
	unsigned int wanted;

	if (!limits->max_leases && !limits->max_devices)
		return;
	usage = count(broker, judgement, rule);
	wanted = count_requested(broker, judgement, rule, device);
	if ((limits->max_leases && usage.leases + 1 > limits->max_leases) ||
	    (limits->max_devices && usage.devices + wanted > limits->max_devices))
		refuse(refusal, judgement, rule, &usage, wanted);
}

void rule_quota_count(struct broker *broker, const struct judgement *judgement, const struct policy_decision *rule,
		      unsigned int *ret_leases, unsigned int *ret_devices)
{
	struct usage usage = count(broker, judgement, rule);

	*ret_leases = usage.leases;
	*ret_devices = usage.devices;
}
