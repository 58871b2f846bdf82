/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Looks values up: whole, and by their beginnings of all lengths that are in use. What is not known about a device or client
 * is looked up as everything that is filed by that key, for a deny fits it. Allocates nothing.
 */
#include "policy/index-internal.h"

#include <string.h>

/* The lowest rule so far that is the one, and how to know. */
struct finding {
	const struct rule_index *index;
	index_is_fn is;
	void *userdata;
	size_t best;
};

static void look_through(struct finding *finding, const struct list *list)
{
	for (size_t i = 0; i < list->n && list->rules[i] < finding->best; i++)
		if (finding->is(finding->userdata, list->rules[i]))
			finding->best = list->rules[i];
}

static void look_into(struct finding *finding, uint64_t hash)
{
	const struct drawer *drawer = index_find_drawer(finding->index, hash);
	const struct entry *entries = &finding->index->entries[drawer->first];

	for (size_t i = 0; i < drawer->n && entries[i].rule < finding->best; i++)
		if (finding->is(finding->userdata, entries[i].rule))
			finding->best = entries[i].rule;
}

/* Under the first `length` characters of a text, if anything is filed so, and under all shorter beginnings. */
static void look_up_beginnings(struct finding *finding, enum rule_key key, const char *text, size_t length)
{
	uint64_t lengths = finding->index->beginnings[key], hash = index_hash_key(key);

	for (size_t i = 0; i < length && i < BEGINNING_MAX && lengths >> (i + 1); i++) {
		hash = index_hash_byte(hash, (unsigned char)text[i]);
		if (lengths >> (i + 1) & 1)
			look_into(finding, index_hash_end(hash, false));
	}
}

static void look_up_text(struct finding *finding, enum rule_key key, const char *text)
{
	size_t length = strlen(text);

	look_into(finding, index_hash_text(key, text, length, true));
	if (finding->index->beginnings[key])
		look_up_beginnings(finding, key, text, length);
}

/* What is asked, by key. NULL: not known, or a number, or nothing is filed by it. */
struct texts {
	const char *of[N_CONDITIONS];
};

static struct texts texts_of(const struct question *question)
{
	const struct identity *client = question->client;

	return (struct texts){ {
		[KEY_VENDOR] = question->vendor,
		[KEY_DEVICE] = question->device,
		[KEY_SUBSYSTEM] = question->subsystem,
		[KEY_CLASS] = question->class,
		[KEY_ADDRESS] = question->address,
		[KEY_DRIVER] = question->driver,
		[KEY_PATH] = question->path[0] ? question->path : NULL,
		[KEY_SERIAL] = question->serial[0] ? question->serial : NULL,
		[KEY_PHYSICAL_FUNCTION] = question->physical_function,
		[KEY_UNIT] = client->unit,
		[KEY_EXECUTABLE] = client->executable,
		[KEY_CONTEXT] = client->label,
		[KEY_APPARMOR] = client->apparmor,
	} };
}

/* What is said of the client's groups by number; without the one that it runs by, all may be meant. */
static void look_up_groups(struct finding *finding, const struct identity *client)
{
	if (client->gid == (gid_t)-1) {
		look_through(finding, &finding->index->lists[KEY_GROUP]);
		return;
	}
	look_into(finding, index_hash_number(KEY_GROUP, client->gid));
	for (size_t i = 0; i < client->n_groups; i++)
		look_into(finding, index_hash_number(KEY_GROUP, client->groups[i]));
}

static void look_up_key(struct finding *finding, const struct texts *texts, const struct identity *client,
			enum rule_key key)
{
	if (texts->of[key])
		look_up_text(finding, key, texts->of[key]);
	else if (key == KEY_USER && client->uid != (uid_t)-1)
		look_into(finding, index_hash_number(KEY_USER, client->uid));
	else if (key == KEY_GROUP)
		look_up_groups(finding, client);
	else
		look_through(finding, &finding->index->lists[key]);
}

size_t index_find(const struct policy *policy, const struct question *question, index_is_fn is, void *userdata)
{
	struct finding finding = { policy->index, is, userdata, NO_RULE };
	const struct texts texts = texts_of(question);

	if (!policy->index)
		return NO_RULE;
	for (enum rule_key key = 0; key < N_CONDITIONS; key++)
		if (policy->index->lists[key].n > 0)
			look_up_key(&finding, &texts, question->client, key);
	look_through(&finding, &policy->index->lists[LIST_REST]);
	return finding.best;
}

/* What covers a condition covers its first item, and so is filed under that, or under a beginning of it. */
static void look_up_condition(struct finding *finding, enum rule_key key, const struct condition *condition)
{
	size_t i = 0;

	while (i < condition->n && condition->items[i].negated)
		i++;
	if (i == condition->n || condition->items[i].kind == ITEM_ANY)
		return;
	look_into(finding, index_hash_item(key, &condition->items[i]));
	if (condition->items[i].kind == ITEM_EXACT)
		look_up_text(finding, key, condition->items[i].text);
	else if (condition->items[i].text)
		look_up_beginnings(finding, key, condition->items[i].text,
				   index_beginning_length(&condition->items[i]));
}

size_t index_find_covering(const struct policy *policy, size_t narrow, index_is_fn is, void *userdata)
{
	struct finding finding = { policy->index, is, userdata, narrow };

	for (enum rule_key key = 0; key < N_CONDITIONS; key++)
		if (policy->index->lists[key].n > 0)
			look_up_condition(&finding, key, &policy->rules[narrow].conditions[key]);
	look_through(&finding, &policy->index->lists[LIST_REST]);
	return finding.best == narrow ? NO_RULE : finding.best;
}
