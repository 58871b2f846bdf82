/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pure: compares, allocates nothing, asks nobody. Texts that sysfs spells in several ways are compared in lower case. What a
 * key compares is in a function each; lists, negation and what is not known are the same for all, in condition_fits().
 */
#include "policy/match.h"

#include <string.h>

#include "policy/context.h"
#include "policy/glob.h"
#include "policy/keys.h"
#include "util/process-facts.h"

static void put_hex(char *buffer, unsigned int digits, uint32_t value)
{
	buffer[digits] = '\0';
	while (digits > 0) {
		buffer[--digits] = "0123456789abcdef"[value & 0xf];
		value >>= 4;
	}
}

static void put_lower(char *buffer, size_t size, const char *text)
{
	size_t i;

	for (i = 0; text[i] && i + 1 < size; i++)
		buffer[i] = text[i] >= 'A' && text[i] <= 'Z' ? text[i] - 'A' + 'a' : text[i];
	buffer[i] = '\0';
}

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

void question_init(struct question *question, const struct policy *policy, const struct policy_subject *subject,
		   const struct identity *client)
{
	put_hex(question->vendor, 4, subject->id->vendor);
	put_hex(question->device, 4, subject->id->device);
	put_hex(question->class, 6, subject->id->class);
	put_lower(question->address, sizeof(question->address), subject->id->address);
	put_hex(question->subsystem, 4, subject->id->subsystem_vendor);
	question->subsystem[4] = ':';
	put_hex(question->subsystem + 5, 4, subject->id->subsystem_device);
	question->driver = or_empty(subject->driver);
	put_lower(question->physical_function, sizeof(question->physical_function),
		  or_empty(subject->physical_function));
	question->path = or_empty(subject->path);
	question->serial = or_empty(subject->serial);
	question->numa_node = subject->numa_node;
	question->policy = policy;
	question->client = client;
}

static enum fit text_fits(const struct item *item, const char *text)
{
	bool fits = false;

	switch (item->kind) {
	case ITEM_ANY:
		fits = true;
		break;
	case ITEM_ABSENT:
		fits = text[0] == '\0';
		break;
	case ITEM_EXACT:
		fits = strcmp(item->text, text) == 0;
		break;
	case ITEM_PREFIX:
		fits = strncmp(item->text, text, item->number) == 0;
		break;
	case ITEM_GLOB:
		/* A glob is over something: `**` is no other way to say `*` where there is no driver. */
		fits = text[0] != '\0' && glob_match(item->text, text);
		break;
	case ITEM_NUMBER:
		break;
	}
	return fits ? FIT_YES : FIT_NO;
}

enum fit vendor_fits(const struct item *item, const struct question *question)
{
	return text_fits(item, question->vendor);
}

enum fit device_fits(const struct item *item, const struct question *question)
{
	return text_fits(item, question->device);
}

enum fit subsystem_fits(const struct item *item, const struct question *question)
{
	return text_fits(item, question->subsystem);
}

enum fit class_fits(const struct item *item, const struct question *question)
{
	return text_fits(item, question->class);
}

enum fit address_fits(const struct item *item, const struct question *question)
{
	return text_fits(item, question->address);
}

enum fit driver_fits(const struct item *item, const struct question *question)
{
	return text_fits(item, question->driver);
}

enum fit physical_function_fits(const struct item *item, const struct question *question)
{
	return text_fits(item, question->physical_function);
}

enum fit path_fits(const struct item *item, const struct question *question)
{
	return question->path[0] ? text_fits(item, question->path) : FIT_UNKNOWN;
}

enum fit serial_fits(const struct item *item, const struct question *question)
{
	return question->serial[0] ? text_fits(item, question->serial) : FIT_UNKNOWN;
}

enum fit numa_node_fits(const struct item *item, const struct question *question)
{
	int node = question->numa_node;

	if (item->kind == ITEM_ANY)
		return FIT_YES;
	if (item->kind == ITEM_ABSENT)
		return node < 0 ? FIT_YES : FIT_NO;
	return node >= 0 && item->number == (uint32_t)node ? FIT_YES : FIT_NO;
}

/* How surely the device is in one of the pools that fit. A [Match] that names pools makes none, so this ends. */
static enum fit in_pool(const struct item *item, const struct question *question)
{
	const struct policy *policy = question->policy;
	enum fit best = FIT_NO;

	for (size_t i = 0; i < policy->n_marks && best != FIT_YES; i++) {
		const struct mark *mark = &policy->marks[i];
		enum fit fit;

		if (!mark->pool || (item->kind != ITEM_ABSENT && text_fits(item, mark->pool) != FIT_YES))
			continue;
		fit = match_fits_device(mark->match, question).fit;
		if (fit > best)
			best = fit;
	}
	return best;
}

enum fit pool_fits(const struct item *item, const struct question *question)
{
	enum fit in;

	if (item->kind == ITEM_ANY)
		return FIT_YES;
	in = in_pool(item, question);
	if (item->kind != ITEM_ABSENT || in == FIT_UNKNOWN)
		return in;
	return in == FIT_YES ? FIT_NO : FIT_YES;
}

enum fit user_fits(const struct item *item, const struct question *question)
{
	uid_t uid = question->client->uid;

	if (uid == (uid_t)-1)
		return FIT_UNKNOWN;
	return item->kind == ITEM_ANY || item->number == uid ? FIT_YES : FIT_NO;
}

enum fit group_fits(const struct item *item, const struct question *question)
{
	const struct identity *client = question->client;

	if (item->kind == ITEM_NUMBER)
		for (size_t i = 0; i < client->n_groups; i++)
			if (client->groups[i] == item->number)
				return FIT_YES;
	if (client->gid == (gid_t)-1)
		return FIT_UNKNOWN;
	return item->kind == ITEM_ANY || item->number == client->gid ? FIT_YES : FIT_NO;
}

/* NULL: not known. An empty text is known: there is none. */
static enum fit client_text_fits(const struct item *item, const char *text)
{
	return text ? text_fits(item, text) : FIT_UNKNOWN;
}

enum fit unit_fits(const struct item *item, const struct question *question)
{
	return client_text_fits(item, question->client->unit);
}

/* "user-1000.slice" is in "user.slice", and that in "-.slice". False: it is the last. */
static bool go_to_parent_slice(char *name)
{
	char *dash = strrchr(name, '-');

	if (strcmp(name, "-.slice") == 0)
		return false;
	strcpy(dash ? dash : name, dash ? ".slice" : "-.slice");
	return true;
}

enum fit slice_fits(const struct item *item, const struct question *question)
{
	const char *slice = question->client->slice;
	char name[SLICE_NAME_MAX + 1];

	if (!slice || strlen(slice) > SLICE_NAME_MAX)
		return FIT_UNKNOWN;
	strcpy(name, slice);
	do
		if (text_fits(item, name) == FIT_YES)
			return FIT_YES;
	while (go_to_parent_slice(name));
	return FIT_NO;
}

enum fit executable_fits(const struct item *item, const struct question *question)
{
	return client_text_fits(item, question->client->executable);
}

/* A glob is over one component each: none reaches over a colon. */
enum fit context_fits(const struct item *item, const struct question *question)
{
	const char *label = question->client->label;

	if (item->kind != ITEM_GLOB || !label)
		return client_text_fits(item, label);
	return context_match(item->text, label) ? FIT_YES : FIT_NO;
}

enum fit apparmor_fits(const struct item *item, const struct question *question)
{
	return client_text_fits(item, question->client->apparmor);
}

static enum fit condition_fits(const struct condition *condition, enum rule_key key, const struct question *question)
{
	enum fit chosen = FIT_NO, spared = FIT_YES;
	bool has_choice = false;

	for (size_t i = 0; i < condition->n; i++) {
		const struct item *item = &condition->items[i];
		enum fit fit;

		if (!item->negated && chosen == FIT_YES)
			continue;
		fit = rule_keys[key].fits(item, question);
		if (item->negated && fit == FIT_YES)
			return FIT_NO;
		if (item->negated && fit == FIT_UNKNOWN)
			spared = FIT_UNKNOWN;
		has_choice |= !item->negated;
		if (!item->negated && fit > chosen)
			chosen = fit;
	}
	if (!has_choice)
		return spared;
	return chosen < spared ? chosen : spared;
}

static struct rule_fit conditions_fit(const struct condition *conditions, enum rule_key first, enum rule_key end,
				      const struct question *question)
{
	struct rule_fit worst = { FIT_YES, N_CONDITIONS };

	for (enum rule_key key = first; key < end && worst.fit != FIT_NO; key++) {
		enum fit fit = condition_fits(&conditions[key], key, question);

		if (fit < worst.fit)
			worst = (struct rule_fit){ fit, key };
	}
	return worst;
}

struct rule_fit match_fits_device(const struct condition *match, const struct question *question)
{
	return conditions_fit(match, 0, N_MATCH_CONDITIONS, question);
}

struct rule_fit rule_fits_device(const struct rule *rule, const struct question *question)
{
	return match_fits_device(rule->conditions, question);
}

struct rule_fit rule_fits_client(const struct rule *rule, const struct question *question)
{
	return conditions_fit(rule->conditions, FIRST_CLIENT_CONDITION, N_CONDITIONS, question);
}

struct rule_fit rule_fits(const struct rule *rule, const struct question *question)
{
	return conditions_fit(rule->conditions, 0, N_CONDITIONS, question);
}

bool rule_decides(const struct rule *rule, enum fit fit)
{
	return fit == FIT_YES || (fit == FIT_UNKNOWN && rule->action == POLICY_DENY);
}
