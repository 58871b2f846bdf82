/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One question, one answer: the first rule that fits decides, and what none fits is denied. Pure. */
#include <stdio.h>
#include <string.h>

#include "policy/keys.h"
#include "policy/match.h"

/* A rule, and what of it is not known; N_CONDITIONS: all is. */
struct found {
	const struct rule *rule; /* NULL: none */
	enum rule_key unknown;
};

/* The rule that decides; and the first before it that might have allowed it, if more was known. */
static struct found find_rule(const struct policy *policy, const struct question *question, struct found *ret_missed)
{
	*ret_missed = (struct found){ NULL, N_CONDITIONS };
	for (size_t i = 0; i < policy->n_rules; i++) {
		struct rule_fit fit = rule_fits(&policy->rules[i], question);
		struct found found = { &policy->rules[i], fit.fit == FIT_UNKNOWN ? fit.key : N_CONDITIONS };

		if (rule_decides(found.rule, fit.fit))
			return found;
		if (fit.fit == FIT_UNKNOWN && !ret_missed->rule)
			*ret_missed = found;
	}
	return (struct found){ NULL, N_CONDITIONS };
}

/* Appends to the reason why the rule did not do what its author may have expected. */
static void say_unknown(const struct policy *policy, const struct found *found, struct policy_decision *decision)
{
	size_t used = strlen(decision->reason);

	if (found->rule && found->unknown != N_CONDITIONS)
		snprintf(decision->reason + used, sizeof(decision->reason) - used,
			 "; what %s= of %s:%u asks for is not known", rule_keys[found->unknown].name,
			 policy->files[found->rule->file], found->rule->line);
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
	decision->label_kind = rule->label_kind;
	decision->label = rule->label_kind == POLICY_LABEL_PEER ? client->label : rule->label;
	snprintf(decision->reason, sizeof(decision->reason), "allowed by %s:%u", decision->file, decision->line);
}

void policy_decide(const struct policy *policy, const struct policy_subject *subject, const struct identity *client,
		   struct policy_decision *ret)
{
	struct found found, missed;
	const struct rule *rule;
	struct question question;

	*ret = (struct policy_decision){ .action = POLICY_DENY };
	question_init(&question, policy, subject, client);
	found = find_rule(policy, &question, &missed);
	rule = found.rule;
	if (!rule) {
		say_no_rule(subject, client, ret);
		say_unknown(policy, &missed, ret);
		return;
	}
	ret->file = policy->files[rule->file];
	ret->line = rule->line;
	if (rule->action == POLICY_DENY) {
		snprintf(ret->reason, sizeof(ret->reason), "denied by %s:%u", ret->file, ret->line);
		say_unknown(policy, &found, ret);
	} else if (rule->label_kind == POLICY_LABEL_PEER && !client->label)
		snprintf(
			ret->reason, sizeof(ret->reason),
			"denied by %s:%u: its Label=peer needs a client with a security context, and this one has none",
			ret->file, ret->line);
	else
		allow(rule, client, ret);
}
