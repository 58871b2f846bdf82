/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One question, one answer: the first rule that fits decides, and what none fits is denied. Pure. */
#include <stdio.h>
#include <string.h>

#include "policy/index.h"
#include "policy/keys.h"
#include "policy/match.h"

/* A rule, and what of it is not known; N_CONDITIONS: all is. */
struct found {
	const struct rule *rule; /* NULL: none */
	enum rule_key unknown;
};

static enum fit fit_of(const struct question *question, size_t rule)
{
	return rule_fits(&question->policy->rules[rule], question).fit;
}

static bool decides(void *userdata, size_t rule)
{
	const struct question *question = userdata;

	return rule_decides(&question->policy->rules[rule], fit_of(question, rule));
}

static bool is_unknown(void *userdata, size_t rule)
{
	return fit_of(userdata, rule) == FIT_UNKNOWN;
}

static struct found find_rule(const struct policy *policy, struct question *question, index_is_fn is)
{
	size_t index = index_find(policy, question, is, question);
	const struct rule *rule = index == NO_RULE ? NULL : &policy->rules[index];
	struct rule_fit fit = rule ? rule_fits(rule, question) : (struct rule_fit){ FIT_NO, N_CONDITIONS };

	return (struct found){ rule, fit.fit == FIT_UNKNOWN ? fit.key : N_CONDITIONS };
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
	struct found found;
	const struct rule *rule;
	struct question question;

	*ret = (struct policy_decision){ .action = POLICY_DENY };
	question_init(&question, policy, subject, client);
	found = find_rule(policy, &question, decides);
	rule = found.rule;
	if (!rule) {
		say_no_rule(subject, client, ret);
		/* The first that might have allowed it, if more was known. */
		found = find_rule(policy, &question, is_unknown);
		say_unknown(policy, &found, ret);
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
