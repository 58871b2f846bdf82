/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files rules by hashes of texts only: two texts of one hash share a drawer, which costs a look and changes no answer. An item
 * is filed under its whole text, or, of a glob or prefix, under the characters in front.
 */
#include "policy/index-internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

/* ---- hashes ---- */

/* FNV-1a. */
uint64_t index_hash_byte(uint64_t hash, unsigned char byte)
{
	return (hash ^ byte) * 0x100000001b3;
}

uint64_t index_hash_key(enum rule_key key)
{
	return index_hash_byte(0xcbf29ce484222325, (unsigned char)key);
}

/* The last bits choose the drawer, and are mixed for that. */
uint64_t index_hash_end(uint64_t hash, bool whole)
{
	hash = index_hash_byte(hash, whole ? 0xff : 0xfe);
	return hash ^ (hash >> 29);
}

uint64_t index_hash_number(enum rule_key key, uint32_t number)
{
	uint64_t hash = index_hash_key(key);

	for (unsigned int i = 0; i < sizeof(number); i++)
		hash = index_hash_byte(hash, (unsigned char)(number >> (8 * i)));
	return index_hash_end(hash, true);
}

uint64_t index_hash_text(enum rule_key key, const char *text, size_t length, bool whole)
{
	uint64_t hash = index_hash_key(key);

	for (size_t i = 0; i < length; i++)
		hash = index_hash_byte(hash, (unsigned char)text[i]);
	return index_hash_end(hash, whole);
}

/* ---- filing ---- */

size_t index_beginning_length(const struct item *item)
{
	size_t length = item->kind == ITEM_PREFIX ? item->number : 0;

	if (item->kind == ITEM_GLOB)
		length = strcspn(item->text, "*?[");
	return length < BEGINNING_MAX ? length : BEGINNING_MAX;
}

/* A context's glob is one over components, a slice is in others, and a pool is the policy's own: not by their texts. */
static bool is_filed_by(enum rule_key key, const struct item *item)
{
	switch (item->kind) {
	case ITEM_ANY:
		return false;
	case ITEM_NUMBER:
		return key == KEY_USER || key == KEY_GROUP;
	case ITEM_ABSENT:
	case ITEM_EXACT:
		return key != KEY_SLICE && key != KEY_POOL && key != KEY_NUMA_NODE;
	case ITEM_PREFIX:
	case ITEM_GLOB:
		return key != KEY_SLICE && key != KEY_POOL && key != KEY_CONTEXT && index_beginning_length(item) > 0;
	}
	return false;
}

uint64_t index_hash_item(enum rule_key key, const struct item *item)
{
	size_t beginning = index_beginning_length(item);

	if (item->kind == ITEM_NUMBER)
		return index_hash_number(key, item->number);
	if (beginning > 0)
		return index_hash_text(key, item->text, beginning, false);
	return item->text ? index_hash_text(key, item->text, item->number, true) : index_hash_text(key, "", 0, true);
}

/* Only if each item that is not negated can be found: a device may fit any of them. */
static bool can_file_by(const struct rule *rule, enum rule_key key)
{
	const struct condition *condition = &rule->conditions[key];
	bool choice = false;

	for (size_t i = 0; i < condition->n; i++) {
		if (condition->items[i].negated)
			continue;
		choice = true;
		if (!is_filed_by(key, &condition->items[i]))
			return false;
	}
	return choice;
}

struct drawer *index_find_drawer(const struct rule_index *index, uint64_t hash)
{
	size_t i = hash & index->mask;

	while (index->drawers[i].n > 0 && index->drawers[i].hash != hash)
		i = (i + 1) & index->mask;
	return &index->drawers[i];
}

static int make_drawers(struct rule_index *index, size_t n_items)
{
	size_t n = 16;

	while (n < 2 * n_items)
		n *= 2;
	index->drawers = reallocarray(NULL, n, sizeof(index->drawers[0]));
	if (!index->drawers)
		return -ENOMEM;
	memset(index->drawers, 0, n * sizeof(index->drawers[0]));
	index->mask = n - 1;
	return 0;
}

/* Calls `each` for all items of the rule that it could be filed by under this key. */
static void for_items(struct rule_index *index, const struct rule *rule, enum rule_key key,
		      void (*each)(struct rule_index *index, uint64_t hash, void *userdata), void *userdata)
{
	const struct condition *condition = &rule->conditions[key];

	for (size_t i = 0; i < condition->n; i++)
		if (!condition->items[i].negated)
			each(index, index_hash_item(key, &condition->items[i]), userdata);
}

static void count_item(struct rule_index *index, uint64_t hash, void *userdata)
{
	struct drawer *drawer = index_find_drawer(index, hash);

	drawer->hash = hash;
	drawer->n++;
}

static void take_larger(struct rule_index *index, uint64_t hash, void *userdata)
{
	size_t *largest = userdata, n = index_find_drawer(index, hash)->n;

	if (n > *largest)
		*largest = n;
}

/* The key by which fewest other rules could be filed together with this one; LIST_REST: it can't be filed. */
static enum rule_key choose_key(struct rule_index *index, const struct rule *rule)
{
	enum rule_key best = LIST_REST;
	size_t best_n = SIZE_MAX;

	for (enum rule_key key = 0; key < N_CONDITIONS; key++) {
		size_t n = 0;

		if (!can_file_by(rule, key))
			continue;
		for_items(index, rule, key, take_larger, &n);
		if (n < best_n) {
			best_n = n;
			best = key;
		}
	}
	return best;
}

static void file_item(struct rule_index *index, uint64_t hash, void *userdata)
{
	index->entries[index->n_entries++] = (struct entry){ hash, *(const size_t *)userdata };
}

static void note_beginnings(struct rule_index *index, const struct rule *rule, enum rule_key key)
{
	const struct condition *condition = &rule->conditions[key];

	for (size_t i = 0; i < condition->n; i++)
		if (!condition->items[i].negated && index_beginning_length(&condition->items[i]) > 0)
			index->beginnings[key] |= 1ull << index_beginning_length(&condition->items[i]);
}

static int compare_entries(const void *left_pointer, const void *right_pointer)
{
	const struct entry *left = left_pointer, *right = right_pointer;

	if (left->hash != right->hash)
		return left->hash < right->hash ? -1 : 1;
	return (left->rule > right->rule) - (left->rule < right->rule);
}

/* From the entries, in their order. Drawers that were only counted are emptied. */
static void fill_drawers(struct rule_index *index)
{
	memset(index->drawers, 0, (index->mask + 1) * sizeof(index->drawers[0]));
	qsort(index->entries, index->n_entries, sizeof(index->entries[0]), compare_entries);
	for (size_t i = 0; i < index->n_entries; i++) {
		struct drawer *drawer = index_find_drawer(index, index->entries[i].hash);

		if (drawer->n++ == 0)
			*drawer = (struct drawer){ .hash = index->entries[i].hash, .n = 1, .first = i };
	}
}

static size_t count_items(const struct policy *policy)
{
	size_t n = 0;

	for (size_t i = 0; i < policy->n_rules; i++)
		for (enum rule_key key = 0; key < N_CONDITIONS; key++)
			n += policy->rules[i].conditions[key].n;
	return n;
}

static int make_lists(const struct policy *policy, struct rule_index *index, const enum rule_key *chosen)
{
	for (size_t i = 0; i < policy->n_rules; i++)
		index->lists[chosen[i]].n++;
	for (size_t i = 0; i < N_LISTS; i++) {
		struct list *list = &index->lists[i];

		list->rules = list->n ? reallocarray(NULL, list->n, sizeof(list->rules[0])) : NULL;
		if (list->n && !list->rules)
			return -ENOMEM;
		list->n = 0;
	}
	for (size_t i = 0; i < policy->n_rules; i++) {
		struct list *list = &index->lists[chosen[i]];

		list->rules[list->n++] = i;
	}
	return 0;
}

static void file_rules(const struct policy *policy, struct rule_index *index, enum rule_key *chosen)
{
	for (size_t i = 0; i < policy->n_rules; i++)
		for (enum rule_key key = 0; key < N_CONDITIONS; key++)
			if (can_file_by(&policy->rules[i], key))
				for_items(index, &policy->rules[i], key, count_item, NULL);
	for (size_t i = 0; i < policy->n_rules; i++) {
		chosen[i] = choose_key(index, &policy->rules[i]);
		if (chosen[i] == LIST_REST)
			continue;
		for_items(index, &policy->rules[i], chosen[i], file_item, &i);
		note_beginnings(index, &policy->rules[i], chosen[i]);
	}
	fill_drawers(index);
}

int policy_index_rules(struct policy *policy)
{
	size_t n_items = count_items(policy);
	_cleanup_free_ enum rule_key *chosen = reallocarray(NULL, policy->n_rules + 1, sizeof(*chosen));
	struct rule_index *index = reallocarray(NULL, 1, sizeof(*index));

	if (!chosen || !index) {
		free(index);
		return -ENOMEM;
	}
	*index = (struct rule_index){};
	policy->index = index;
	index->entries = reallocarray(NULL, n_items + 1, sizeof(index->entries[0]));
	if (!index->entries || make_drawers(index, n_items) < 0)
		return -ENOMEM;
	file_rules(policy, index, chosen);
	return make_lists(policy, index, chosen);
}

void index_free(struct rule_index *index)
{
	if (!index)
		return;
	for (size_t i = 0; i < N_LISTS; i++)
		free(index->lists[i].rules);
	free(index->entries);
	free(index->drawers);
	free(index);
}
