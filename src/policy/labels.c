/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Static labels of a group must agree. A client is not known when a group is judged, so each distinct [Client] condition
 * stands for one that fits it and what everybody fits. Rules are chained by that kind at load: asking walks two chains in
 * step instead of all rules for each kind, allocates nothing, and where all rules give one label it is over at once.
 */
#include "policy/labels.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/cover.h"
#include "policy/index-internal.h"

#define EVERYBODY 0 /* index in policy::client_kinds */

static bool client_covers(const struct rule *wide, const struct rule *narrow)
{
	for (enum rule_key key = FIRST_CLIENT_CONDITION; key < N_CONDITIONS; key++)
		if (!condition_covers(key, &wide->conditions[key], &narrow->conditions[key]))
			return false;
	return true;
}

static bool is_for_everybody(const struct rule *rule)
{
	static const struct rule anybody = {};

	return client_covers(rule, &anybody);
}

/* The same for all rules that mean the same clients: in whatever order, and however often, the items stand. */
static uint64_t hash_client(const struct rule *rule)
{
	uint64_t hash = 0;

	for (enum rule_key key = FIRST_CLIENT_CONDITION; key < N_CONDITIONS; key++) {
		const struct condition *condition = &rule->conditions[key];
		uint64_t low = UINT64_MAX, high = 0;

		for (size_t i = 0; i < condition->n; i++) {
			uint64_t item = index_hash_item(key, &condition->items[i]);

			low = item < low ? item : low;
			high = item > high ? item : high;
		}
		if (condition_is_any(condition))
			continue;
		hash = (hash ^ low) * 0x100000001b3 + high;
	}
	return hash;
}

/* Kinds by the hash of their rules' [Client]: open addressing, at most half full; EVERYBODY: this place is free. */
struct kind_table {
	size_t *kinds;
	size_t mask;
};

static int kind_table_make(struct kind_table *table, size_t n_rules)
{
	size_t n = 16;

	while (n < 2 * n_rules)
		n *= 2;
	table->kinds = reallocarray(NULL, n, sizeof(table->kinds[0]));
	if (!table->kinds)
		return -ENOMEM;
	memset(table->kinds, 0, n * sizeof(table->kinds[0]));
	table->mask = n - 1;
	return 0;
}

/* The kind that the rule is of, which may be one that is to be added. */
static size_t find_kind(const struct policy *policy, const struct kind_table *table, const struct rule *rule)
{
	size_t i;

	if (is_for_everybody(rule))
		return EVERYBODY;
	for (i = hash_client(rule) & table->mask; table->kinds[i] != EVERYBODY; i = (i + 1) & table->mask) {
		const struct rule *known = &policy->rules[policy->client_kinds[table->kinds[i]].first_rule];

		if (client_covers(known, rule) && client_covers(rule, known))
			return table->kinds[i];
	}
	table->kinds[i] = policy->n_client_kinds;
	return policy->n_client_kinds;
}

static void append_to_kind(struct policy *policy, size_t kind_index, size_t rule)
{
	struct client_kind *kind = &policy->client_kinds[kind_index];

	if (kind_index == policy->n_client_kinds) {
		*kind = (struct client_kind){ .first_rule = NO_RULE, .last_rule = NO_RULE };
		policy->n_client_kinds++;
	}
	if (kind->first_rule == NO_RULE)
		kind->first_rule = rule;
	else
		policy->rules[kind->last_rule].next_of_client = rule;
	kind->last_rule = rule;
	policy->rules[rule].next_of_client = NO_RULE;
}

static bool label_equals(const struct rule *left, const struct rule *right)
{
	if (left->label_kind != right->label_kind)
		return false;
	return left->label_kind != POLICY_LABEL_STATIC || strcmp(left->label, right->label) == 0;
}

static bool find_difference(const struct policy *policy)
{
	const struct rule *first = NULL;

	for (size_t i = 0; i < policy->n_rules; i++) {
		const struct rule *rule = &policy->rules[i];

		if (rule->action == POLICY_DENY)
			continue;
		if (first && !label_equals(first, rule))
			return true;
		first = rule;
	}
	return false;
}

int policy_index_clients(struct policy *policy)
{
	struct kind_table table;

	policy->client_kinds = reallocarray(NULL, policy->n_rules + 1, sizeof(policy->client_kinds[0]));
	if (!policy->client_kinds)
		return -ENOMEM;
	policy->client_kinds[EVERYBODY] = (struct client_kind){ .first_rule = NO_RULE, .last_rule = NO_RULE };
	policy->n_client_kinds = 1;
	if (kind_table_make(&table, policy->n_rules) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < policy->n_rules; i++)
		append_to_kind(policy, find_kind(policy, &table, &policy->rules[i]), i);
	free(table.kinds);
	policy->labels_differ = find_difference(policy);
	return 0;
}

/* The lower one of the two indices, moved on to its successor. NO_RULE is the highest of all. */
static size_t take_lower(const struct policy *policy, size_t *left, size_t *right)
{
	size_t *lower = *left < *right ? left : right;
	size_t rule = *lower;

	if (rule != NO_RULE)
		*lower = policy->rules[rule].next_of_client;
	return rule;
}

/* The allowing rule that decides about this member for a client of this kind; NULL if it is denied. */
static const struct rule *find_allowing(const struct policy *policy, size_t kind, const struct policy_subject *member)
{
	size_t own = kind == EVERYBODY ? NO_RULE : policy->client_kinds[kind].first_rule;
	size_t everybody = policy->client_kinds[EVERYBODY].first_rule;
	struct question question;
	size_t i;

	question_init(&question, policy, member, NULL);
	while ((i = take_lower(policy, &own, &everybody)) != NO_RULE) {
		const struct rule *rule = &policy->rules[i];

		if (rule_decides(rule, rule_fits_device(rule, &question).fit))
			return rule->action == POLICY_ALLOW ? rule : NULL;
	}
	return NULL;
}

static const char *label_text(const struct rule *rule)
{
	switch (rule->label_kind) {
	case POLICY_LABEL_NONE:
		return NULL;
	case POLICY_LABEL_STATIC:
		return rule->label;
	case POLICY_LABEL_PEER:
		return "peer";
	}
	return NULL;
}

static bool find_conflict(const struct policy *policy, size_t kind, const struct policy_subject *members,
			  size_t n_members, struct policy_label_conflict *ret)
{
	const struct rule *first = NULL;
	size_t first_member = 0;

	for (size_t i = 0; i < n_members; i++) {
		const struct rule *rule = find_allowing(policy, kind, &members[i]);

		if (rule && first && !label_equals(first, rule)) {
			*ret = (struct policy_label_conflict){
				.first = first_member,
				.second = i,
				.first_label = label_text(first),
				.second_label = label_text(rule),
				.first_file = policy->files[first->file],
				.first_line = first->line,
				.second_file = policy->files[rule->file],
				.second_line = rule->line,
			};
			return true;
		}
		if (rule && !first) {
			first = rule;
			first_member = i;
		}
	}
	return false;
}

bool policy_find_label_conflict(const struct policy *policy, const struct policy_subject *members, size_t n_members,
				struct policy_label_conflict *ret)
{
	if (!policy->labels_differ || n_members < 2)
		return false;
	for (size_t kind = 0; kind < policy->n_client_kinds; kind++)
		if (find_conflict(policy, kind, members, n_members, ret))
			return true;
	return false;
}
