/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The walk that the index saves, for those who want to know why. Pure, and as the manual describes deciding. */
#include <stdio.h>
#include <string.h>

#include "policy/keys.h"
#include "policy/match.h"

static const char *or_none(const char *text)
{
	return text && text[0] ? text : "none";
}

static const char *or_unknown(const char *text)
{
	return text && text[0] ? text : "not known";
}

/* Of a text of which empty is known to be none. */
static const char *known(const char *text)
{
	return text ? or_none(text) : "not known";
}

static void say_number(char *buffer, uint32_t number)
{
	if (number == UINT32_MAX)
		snprintf(buffer, POLICY_MISS_TEXT, "not known");
	else
		snprintf(buffer, POLICY_MISS_TEXT, "%u", number);
}

static void say_groups(char *buffer, const struct identity *client)
{
	size_t used;

	say_number(buffer, client->gid);
	used = strlen(buffer);
	for (size_t i = 0; i < client->n_groups && used < POLICY_MISS_TEXT; i++)
		if (client->groups[i] != client->gid)
			used += snprintf(buffer + used, POLICY_MISS_TEXT - used, ", %u", client->groups[i]);
}

static void say_pools(char *buffer, const struct policy *policy, const struct policy_subject *subject)
{
	size_t used = 0, cursor = 0;
	const char *pool;

	snprintf(buffer, POLICY_MISS_TEXT, "none");
	while ((pool = policy_next_pool(policy, subject, &cursor)) && used < POLICY_MISS_TEXT)
		used += snprintf(buffer + used, POLICY_MISS_TEXT - used, "%s%s", used ? ", " : "", pool);
}

/* What the question has for this key, in the words in which rules speak of it. */
static void say_found(char *buffer, const struct question *question, const struct policy_subject *subject,
		      enum rule_key key)
{
	const struct identity *client = question->client;
	const char *const texts[N_CONDITIONS] = {
		[KEY_VENDOR] = question->vendor,
		[KEY_DEVICE] = question->device,
		[KEY_SUBSYSTEM] = question->subsystem,
		[KEY_CLASS] = question->class,
		[KEY_ADDRESS] = question->address,
		[KEY_DRIVER] = or_none(question->driver),
		[KEY_PATH] = or_unknown(question->path),
		[KEY_SERIAL] = or_unknown(question->serial),
		[KEY_PHYSICAL_FUNCTION] = or_none(question->physical_function),
		[KEY_UNIT] = known(client->unit),
		[KEY_SLICE] = or_unknown(client->slice),
		[KEY_EXECUTABLE] = or_unknown(client->executable),
		[KEY_CONTEXT] = or_unknown(client->label),
		[KEY_APPARMOR] = or_unknown(client->apparmor),
	};

	if (texts[key])
		snprintf(buffer, POLICY_MISS_TEXT, "%s", texts[key]);
	else if (key == KEY_USER)
		say_number(buffer, client->uid);
	else if (key == KEY_GROUP)
		say_groups(buffer, client);
	else if (key == KEY_POOL)
		say_pools(buffer, question->policy, subject);
	else if (question->numa_node < 0)
		snprintf(buffer, POLICY_MISS_TEXT, "none");
	else
		snprintf(buffer, POLICY_MISS_TEXT, "%d", question->numa_node);
}

/* The value behind "Key=" in the rule's text. No two conditions have one name. */
static void say_wanted(char *buffer, const struct rule *rule, enum rule_key key)
{
	const char *name = rule_keys[key].name, *line = rule->text;
	size_t length = strlen(name);

	buffer[0] = '\0';
	for (; line && *line; line += strcspn(line, "\n") + 1)
		if (strncmp(line, name, length) == 0 && line[length] == '=') {
			line += length + 1;
			snprintf(buffer, POLICY_MISS_TEXT, "%.*s", (int)strcspn(line, "\n"), line);
			return;
		}
}

void policy_trace(const struct policy *policy, const struct policy_subject *subject, const struct identity *client,
		  void (*tell)(void *userdata, const struct policy_miss *missed), void *userdata)
{
	struct question question;

	question_init(&question, policy, subject, client);
	for (size_t i = 0; i < policy->n_rules; i++) {
		const struct rule *rule = &policy->rules[i];
		struct rule_fit fit = rule_fits(rule, &question);
		struct policy_miss missed = { policy->files[rule->file], rule->line, rule->action, "", "", "" };

		if (rule_decides(rule, fit.fit))
			return;
		missed.key = rule_keys[fit.key].name;
		say_wanted(missed.wanted, rule, fit.key);
		say_found(missed.found, &question, subject, fit.key);
		tell(userdata, &missed);
	}
}
