/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pure: compares, allocates nothing, asks nobody. Texts that sysfs spells in several ways are compared in lower case. */
#include "policy/match.h"

#include <string.h>

#include "policy/glob.h"
#include "policy/keys.h"

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

void question_init(struct question *question, const struct policy_subject *subject, const struct identity *client)
{
	put_hex(question->vendor, 4, subject->id->vendor);
	put_hex(question->device, 4, subject->id->device);
	put_hex(question->class, 6, subject->id->class);
	put_lower(question->address, sizeof(question->address), subject->id->address);
	question->driver = subject->driver ? subject->driver : "";
	put_lower(question->physical_function, sizeof(question->physical_function),
		  subject->physical_function ? subject->physical_function : "");
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

static enum fit condition_fits(const struct condition *condition, enum rule_key key, const struct question *question)
{
	enum fit best = condition->n == 0 ? FIT_YES : FIT_NO;

	for (size_t i = 0; i < condition->n && best != FIT_YES; i++) {
		enum fit fit = rule_keys[key].fits(&condition->items[i], question);

		if (fit != FIT_NO)
			best = fit;
	}
	return best;
}

bool match_fits_device(const struct condition *match, const struct question *question)
{
	for (enum rule_key key = 0; key < N_MATCH_CONDITIONS; key++)
		if (condition_fits(&match[key], key, question) != FIT_YES)
			return false;
	return true;
}

bool rule_fits_device(const struct rule *rule, const struct question *question)
{
	return match_fits_device(rule->conditions, question);
}

enum fit rule_fits_client(const struct rule *rule, const struct question *question)
{
	enum fit worst = FIT_YES;

	for (enum rule_key key = FIRST_CLIENT_CONDITION; key < N_CONDITIONS; key++) {
		enum fit fit = condition_fits(&rule->conditions[key], key, question);

		if (fit == FIT_NO)
			return FIT_NO;
		if (fit == FIT_UNKNOWN)
			worst = FIT_UNKNOWN;
	}
	return worst;
}
