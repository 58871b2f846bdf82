/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules as data: owns files' names, rules, items and labels of a policy. Knows nothing of files' syntax or of deciding. */
#include "policy/rule.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/index.h"
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
	for (size_t i = 0; i < policy->n_files; i++)
		free(policy->files[i]);
	free(policy->rules);
	free(policy->marks);
	free(policy->files);
	index_free(policy->index);
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

bool policy_asks_process(const struct policy *policy)
{
	return policy->asks_process;
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

static bool asks_process(const struct rule *rule)
{
	static const enum rule_key keys[] = { KEY_UNIT, KEY_SLICE, KEY_EXECUTABLE, KEY_APPARMOR };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (rule->conditions[keys[i]].n > 0)
			return true;
	return false;
}

int policy_add_rule(struct policy *policy, struct rule *rule)
{
	int r = make_room(policy);

	if (r < 0)
		return r;
	policy->asks_process |= asks_process(rule);
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
	free(rule->text);
	*rule = (struct rule){};
}

int rule_add_text(struct rule *rule, const char *name, const char *value)
{
	size_t used = rule->text ? strlen(rule->text) : 0;
	size_t size = used + strlen(name) + strlen(value) + sizeof("=\n");
	char *text = reallocarray(rule->text, size, 1);

	if (!text)
		return -ENOMEM;
	rule->text = text;
	snprintf(text + used, size - used, "%s=%s\n", name, value);
	return 0;
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

/* Whether it names what fits; if not, anything does that it does not exclude. */
static bool has_choice(const struct condition *condition)
{
	for (size_t i = 0; i < condition->n; i++)
		if (!condition->items[i].negated)
			return condition->items[i].kind != ITEM_ANY;
	return false;
}

static bool has_exclusion(const struct condition *condition)
{
	for (size_t i = 0; i < condition->n; i++)
		if (condition->items[i].negated)
			return true;
	return false;
}

static bool has_any(const struct condition *condition)
{
	for (size_t i = 0; i < condition->n; i++)
		if (condition->items[i].kind == ITEM_ANY)
			return true;
	return false;
}

bool condition_is_any(const struct condition *condition)
{
	return !has_choice(condition) && !has_exclusion(condition);
}

static void drop_choice(struct condition *condition)
{
	size_t kept = 0;

	for (size_t i = 0; i < condition->n; i++) {
		if (condition->items[i].negated)
			condition->items[kept++] = condition->items[i];
		else
			item_clear(&condition->items[i]);
	}
	condition->n = kept;
}

int condition_add(struct condition *condition, struct item *item)
{
	struct item *items;

	if (!item->negated && has_any(condition)) {
		item_clear(item);
		return 0;
	}
	items = reallocarray(condition->items, condition->n + 1, sizeof(*items));
	if (!items)
		return -ENOMEM;
	condition->items = items;
	if (item->kind == ITEM_ANY)
		drop_choice(condition);
	items[condition->n++] = *item;
	*item = (struct item){};
	return 0;
}
