/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules as data: owns files' names, rules, items and labels of a policy. Knows nothing of files' syntax or of deciding. */
#include "policy/rule.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/managers.h"
#include "policy/marks.h"
#include "util/cleanup.h"

int policy_new_empty(struct policy **ret)
{
	struct policy *policy = reallocarray(NULL, 1, sizeof(*policy));
	struct digest digest;

	if (!policy)
		return -ENOMEM;
	*policy = (struct policy){};
	digest_begin(&digest);
	digest_end(&digest, policy->digest);
	*ret = policy;
	return 0;
}

struct policy *policy_free(struct policy *policy)
{
	if (!policy)
		return NULL;
	for (size_t i = 0; i < policy->n_rules; i++)
		rule_clear(&policy->rules[i]);
	for (size_t i = 0; i < policy->n_marks; i++)
		mark_clear(&policy->marks[i]);
	for (size_t i = 0; i < policy->n_managers; i++)
		manager_rule_clear(&policy->managers[i]);
	for (size_t i = 0; i < policy->n_files; i++)
		free(policy->files[i]);
	free(policy->rules);
	free(policy->marks);
	free(policy->managers);
	free(policy->files);
	free(policy->client_kinds);
	free(policy);
	return NULL;
}

const uint8_t *policy_digest(const struct policy *policy)
{
	return policy->digest;
}

size_t policy_n_rules(const struct policy *policy)
{
	return policy->n_rules;
}

int policy_add_file(struct policy *policy, const char *path)
{
	_cleanup_free_ char *copy = strndup(path, strlen(path));
	char **files;

	if (!copy)
		return -ENOMEM;
	files = reallocarray(policy->files, policy->n_files + 1, sizeof(*files));
	if (!files)
		return -ENOMEM;
	policy->files = files;
	files[policy->n_files] = TAKE_PTR(copy);
	return (int)policy->n_files++;
}

/* Room doubles: n is a power of two, or nothing, whenever it is full. */
static int make_room(struct policy *policy)
{
	size_t n = policy->n_rules;
	struct rule *rules;

	if (n & (n - 1))
		return 0;
	rules = reallocarray(policy->rules, n ? 2 * n : 1, sizeof(*rules));
	if (!rules)
		return -ENOMEM;
	policy->rules = rules;
	return 0;
}

int policy_add_rule(struct policy *policy, struct rule *rule)
{
	int r = make_room(policy);

	if (r < 0)
		return r;
	policy->rules[policy->n_rules++] = *rule;
	*rule = (struct rule){};
	return 0;
}

void item_clear(struct item *item)
{
	free(item->text);
	*item = (struct item){};
}

void condition_clear(struct condition *condition)
{
	for (size_t i = 0; i < condition->n; i++)
		item_clear(&condition->items[i]);
	free(condition->items);
	*condition = (struct condition){};
}

void rule_clear(struct rule *rule)
{
	for (size_t i = 0; i < N_CONDITIONS; i++)
		condition_clear(&rule->conditions[i]);
	for (char **driver = rule->allowed_drivers; driver && *driver; driver++)
		free(*driver);
	free(rule->allowed_drivers);
	free(rule->label);
	free(rule->pool);
	manager_rule_clear(&rule->manager);
	*rule = (struct rule){};
}

static int item_copy(const struct item *item, struct item *ret)
{
	*ret = *item;
	if (!item->text)
		return 0;
	ret->text = strndup(item->text, item->number);
	return ret->text ? 0 : -ENOMEM;
}

int condition_copy(const struct condition *condition, struct condition *ret)
{
	struct condition copy = {};

	for (size_t i = 0; i < condition->n; i++) {
		struct item item;
		int r = item_copy(&condition->items[i], &item);

		if (r == 0)
			r = condition_add(&copy, &item);
		if (r < 0) {
			item_clear(&item);
			condition_clear(&copy);
			return r;
		}
	}
	*ret = copy;
	return 0;
}

bool condition_is_any(const struct condition *condition)
{
	return condition->n == 0 || condition->items[0].kind == ITEM_ANY;
}

int condition_add(struct condition *condition, struct item *item)
{
	struct item *items;

	if (condition->n > 0 && condition_is_any(condition)) {
		item_clear(item);
		return 0;
	}
	items = reallocarray(condition->items, condition->n + 1, sizeof(*items));
	if (!items)
		return -ENOMEM;
	condition->items = items;
	if (item->kind == ITEM_ANY)
		while (condition->n > 0)
			item_clear(&items[--condition->n]);
	items[condition->n++] = *item;
	*item = (struct item){};
	return 0;
}

static bool item_equals(const struct item *left, const struct item *right)
{
	if (left->kind != right->kind || left->number != right->number)
		return false;
	return !left->text || strcmp(left->text, right->text) == 0;
}

static bool condition_has(const struct condition *condition, const struct item *item)
{
	for (size_t i = 0; i < condition->n; i++)
		if (item_equals(&condition->items[i], item))
			return true;
	return false;
}

bool condition_covers(const struct condition *wide, const struct condition *narrow)
{
	if (condition_is_any(wide))
		return true;
	if (condition_is_any(narrow))
		return false;
	for (size_t i = 0; i < narrow->n; i++)
		if (!condition_has(wide, &narrow->items[i]))
			return false;
	return true;
}
