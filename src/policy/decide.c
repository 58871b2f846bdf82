/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One question, one answer: the first rule that fits decides, and what none fits is denied. Pure. */
#include <stdio.h>
#include <string.h>

#include "policy/match.h"

/* What the kernel did not tell us fits no allow; a deny it does not get around. */
static bool rule_decides(const struct rule *rule, const struct question *question)
{
	if (!rule_fits_device(rule, question))
		return false;
	switch (rule_fits_client(rule, question)) {
	case FIT_NO:
		return false;
	case FIT_YES:
		return true;
	case FIT_UNKNOWN:
		return rule->action == POLICY_DENY;
	}
	return false;
}

static const struct rule *find_rule(const struct policy *policy, const struct question *question)
{
	for (size_t i = 0; i < policy->n_rules; i++)
		if (rule_decides(&policy->rules[i], question))
			return &policy->rules[i];
	return NULL;
}

static void say_no_rule(const struct policy_subject *subject, const struct identity *client,
			struct policy_decision *decision)
{
	const char *driver = subject->driver && subject->driver[0] ? subject->driver : NULL;
	char uid[24] = "an unknown uid";

	if (client->uid != (uid_t)-1)
		snprintf(uid, sizeof(uid), "uid %u", client->uid);
	snprintf(decision->reason, sizeof(decision->reason),
		 "no rule fits %s (%04x:%04x, %s%s) for %s; write one in %s, see iommud.policy(5)",
		 subject->id->address, subject->id->vendor, subject->id->device, driver ? "driver " : "no driver",
		 driver ? driver : "", uid, policy_default_dirs[0]);
}

static void allow(const struct rule *rule, const struct identity *client, struct policy_decision *decision)
{
	decision->action = POLICY_ALLOW;
	decision->scope = rule->scope;
	decision->bystanders = rule->bystanders;
	decision->allowed_drivers = (const char *const *)rule->allowed_drivers;
	decision->backends = rule->backends;
	decision->force = rule->force;
	decision->conduct = rule->conduct;
	decision->limits = rule->limits;
	decision->label_kind = rule->label_kind;
	decision->label = rule->label_kind == POLICY_LABEL_PEER ? client->label : rule->label;
	snprintf(decision->reason, sizeof(decision->reason), "allowed by %s:%u", decision->file, decision->line);
}

void policy_decide(const struct policy *policy, const struct policy_subject *subject, const struct identity *client,
		   struct policy_decision *ret)
{
	const struct rule *rule;
	struct question question;

	*ret = (struct policy_decision){ .action = POLICY_DENY };
	question_init(&question, subject, client);
	rule = find_rule(policy, &question);
	if (!rule) {
		say_no_rule(subject, client, ret);
		return;
	}
	ret->file = policy->files[rule->file];
	ret->line = rule->line;
	if (rule->action == POLICY_DENY)
		snprintf(ret->reason, sizeof(ret->reason), "denied by %s:%u", ret->file, ret->line);
	else if (rule->label_kind == POLICY_LABEL_PEER && !client->label)
		snprintf(
			ret->reason, sizeof(ret->reason),
			"denied by %s:%u: its Label=peer needs a client with a security context, and this one has none",
			ret->file, ret->line);
	else
		allow(rule, client, ret);
}
