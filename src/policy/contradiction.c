/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An error where the rule, as it stands, can do nothing or two things at once: the admin meant something else, and in a deny
 * that would be let through. A warning where only a part says nothing. Only what can be proved.
 */
#include "policy/contradiction.h"

#include <stdio.h>
#include <string.h>

#include "policy/cover.h"
#include "policy/keys.h"
#include "util/cleanup.h"

/* ---- [Grant] ---- */

static bool report_deny(const bool *seen, const struct report_place *places, struct report *report)
{
	bool found = false;

	for (enum rule_key i = KEY_ACTION + 1; i < N_KEYS; i++) {
		if (!seen[i])
			continue;
		found = true;
		report_error(report, &places[i], "'%s' together with Action=deny: a deny grants nothing",
			     rule_keys[i].name);
	}
	return found;
}

/* A group of one has no bystanders: who writes of them has forgotten that groups of more are refused. */
static bool report_bystanders(const bool *seen, const struct report_place *places, struct report *report)
{
	static const enum rule_key keys[] = { KEY_BYSTANDERS, KEY_ALLOWED_DRIVERS };
	bool found = false;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (!seen[keys[i]])
			continue;
		found = true;
		report_error(
			report, &places[keys[i]],
			"'%s' is about groups of several devices, which this rule does not admit; add GroupScope=whole",
			rule_keys[keys[i]].name);
	}
	return found;
}

/* Only where both are said: LateJoiner= alone may stand for what a lease is left with. */
static bool report_joiners(const struct rule *rule, const bool *seen, const struct report_place *places,
			   struct report *report)
{
	if (!seen[KEY_GROUP_SCOPE] || !seen[KEY_LATE_JOINER] || rule->conduct.late_joiner != POLICY_LATE_ALLOW)
		return false;
	report_error(
		report, &places[KEY_LATE_JOINER],
		"LateJoiner=allow contradicts GroupScope=singleton in line %u: a group that others may join is none of "
		"one device; say GroupScope=whole, or LateJoiner=park",
		places[KEY_GROUP_SCOPE].line);
	return true;
}

bool report_grant_contradictions(const struct rule *rule, bool denies, const bool *seen,
				 const struct report_place *places, struct report *report)
{
	bool found;

	if (denies)
		return report_deny(seen, places, report);
	if (rule->scope == POLICY_WHOLE)
		return false;
	found = report_bystanders(seen, places, report);
	return report_joiners(rule, seen, places, report) || found;
}

/* ---- [Match] and [Client] ---- */

static struct report_place item_place(const struct rule *rule, const char *path, const struct item *item)
{
	return (struct report_place){
		.path = path, .order = rule->file + 1, .line = item->line, .column = item->column
	};
}

static void item_text(const struct item *item, char *buffer, size_t size)
{
	if (item->kind == ITEM_NUMBER)
		snprintf(buffer, size, "%u", item->number);
	else
		snprintf(buffer, size, "%.64s", item->text ? item->text : item->kind == ITEM_ABSENT ? "none" : "*");
}

static const struct item *find_excluding(enum rule_key key, const struct condition *condition, const struct item *item)
{
	for (size_t i = 0; i < condition->n; i++)
		if (condition->items[i].negated && item_covers(key, &condition->items[i], item))
			return &condition->items[i];
	return NULL;
}

static bool can_fit(enum rule_key key, const struct condition *condition)
{
	if (!condition_has_choice(condition))
		return true;
	for (size_t i = 0; i < condition->n; i++)
		if (!condition->items[i].negated && !find_excluding(key, condition, &condition->items[i]))
			return true;
	return false;
}

/* Every item that another one excludes. A client is of several groups, a device of several pools: there both may hold. */
static bool report_condition(enum rule_key key, const struct rule *rule, const char *path, struct report *report)
{
	const struct condition *condition = &rule->conditions[key];
	bool never = !can_fit(key, condition);

	for (size_t i = 0; i < condition->n; i++) {
		const struct item *item = &condition->items[i];
		const struct item *other = item->negated ? NULL : find_excluding(key, condition, item);
		struct report_place place = item_place(rule, path, item);
		char text[72], excluding[72];

		if (!other)
			continue;
		item_text(item, text, sizeof(text));
		item_text(other, excluding, sizeof(excluding));
		if (never)
			report_error(report, &place,
				     "%s=%s !%s can never match: the second excludes all that the first fits",
				     rule_keys[key].name, text, excluding);
		else
			report_warning(report, &place, "'%s' says nothing here: '!%s' excludes all that it fits", text,
				       excluding);
	}
	return never;
}

/* A device that is its own physical function. */
static bool report_own_function(const struct rule *rule, const char *path, struct report *report)
{
	const struct condition *address = &rule->conditions[KEY_ADDRESS];
	const struct condition *function = &rule->conditions[KEY_PHYSICAL_FUNCTION];
	struct report_place place;

	if (address->n != 1 || function->n != 1 || address->items[0].kind != ITEM_EXACT ||
	    function->items[0].kind != ITEM_EXACT || address->items[0].negated || function->items[0].negated ||
	    strcmp(address->items[0].text, function->items[0].text) != 0)
		return false;
	place = item_place(rule, path, &function->items[0]);
	report_error(
		report, &place,
		"this can never match: %s is not a virtual function of itself; to fit its virtual functions, leave "
		"Address= away",
		address->items[0].text);
	return true;
}

static bool names_virtual_functions_only(const struct condition *function)
{
	for (size_t i = 0; i < function->n; i++)
		if (!function->items[i].negated &&
		    (function->items[i].kind == ITEM_ABSENT || function->items[i].kind == ITEM_ANY))
			return false;
	return condition_has_choice(function);
}

/* Virtual functions make none. */
static bool report_host(const struct rule *rule, const char *path, struct report *report)
{
	const struct condition *function = &rule->conditions[KEY_PHYSICAL_FUNCTION];
	struct report_place place;

	if (rule->num_vfs == 0 || !names_virtual_functions_only(function))
		return false;
	place = item_place(rule, path, &function->items[0]);
	report_error(report, &place,
		     "NumVFs= can do nothing here: this [Match] fits virtual functions only, which make none; name the "
		     "physical function by Address=");
	return true;
}

bool report_match_contradictions(const struct rule *rule, const char *path, struct report *report)
{
	bool found = report_own_function(rule, path, report);

	found |= report_host(rule, path, report);
	for (enum rule_key key = 0; key < N_CONDITIONS; key++)
		found |= report_condition(key, rule, path, report);
	return found;
}

/* ---- pools, which are a second [Match] ---- */

/* The key by which no device can fit both; N_KEYS: some may. */
static enum rule_key find_excluding_key(const struct rule *rule, const struct mark *mark)
{
	for (enum rule_key key = 0; key < N_MATCH_CONDITIONS; key++)
		if (conditions_exclude_each_other(key, &rule->conditions[key], &mark->match[key]))
			return key;
	return N_KEYS;
}

static bool names_pool(const struct condition *pools, const char *name)
{
	const struct item pool = { .kind = ITEM_EXACT, .number = (uint32_t)strlen(name), .text = (char *)name };

	for (size_t i = 0; i < pools->n; i++)
		if (!pools->items[i].negated && item_covers(KEY_POOL, &pools->items[i], &pool))
			return true;
	return false;
}

static void report_pool(const struct policy *policy, const struct rule *rule, struct report *report)
{
	const struct condition *pools = &rule->conditions[KEY_POOL];
	struct report_place place = item_place(rule, policy->files[rule->file], &pools->items[0]);
	const struct mark *last = NULL;
	enum rule_key key = N_KEYS;

	for (size_t i = 0; i < policy->n_marks; i++) {
		const struct mark *mark = &policy->marks[i];

		if (!mark->pool || !names_pool(pools, mark->pool))
			continue;
		key = find_excluding_key(rule, mark);
		if (key == N_KEYS)
			return;
		last = mark;
	}
	if (last)
		report_error(report, &place, "this can never match: no device of pool '%s' has such a %s, says %s:%u",
			     last->pool, rule_keys[key].name, policy->files[last->file], last->line);
}

/* `none` is a choice as well: what is in no pool. */
static bool names_pools_only(const struct condition *pools)
{
	for (size_t i = 0; i < pools->n; i++)
		if (!pools->items[i].negated && pools->items[i].kind == ITEM_ABSENT)
			return false;
	return condition_has_choice(pools);
}

void report_empty_pools(const struct policy *policy, struct report *report)
{
	for (size_t i = 0; i < policy->n_rules; i++)
		if (names_pools_only(&policy->rules[i].conditions[KEY_POOL]))
			report_pool(policy, &policy->rules[i], report);
}
