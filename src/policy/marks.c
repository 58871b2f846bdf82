/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What [Pool] and [Host] say: to which pools a device belongs, and how many virtual functions it is to have. Unlike rules,
 * where the first that fits decides, all marks that fit make a device belong to their pools. They give nobody anything: who
 * may have a device of a pool is for the rules.
 */
#include "policy/marks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/glob.h"
#include "policy/match.h"
#include "policy/nearest.h"

void mark_clear(struct mark *mark)
{
	for (size_t i = 0; i < N_MATCH_CONDITIONS; i++)
		condition_clear(&mark->match[i]);
	free(mark->pool);
	*mark = (struct mark){};
}

static int copy_mark(const struct rule *rule, struct mark *mark)
{
	for (size_t i = 0; i < N_MATCH_CONDITIONS; i++) {
		int r = condition_copy(&rule->conditions[i], &mark->match[i]);

		if (r < 0)
			return r;
	}
	if (rule->pool) {
		mark->pool = strndup(rule->pool, strlen(rule->pool));
		if (!mark->pool)
			return -ENOMEM;
	}
	return 0;
}

/* Room doubles: n is a power of two, or nothing, whenever it is full. */
static int make_room(struct policy *policy)
{
	size_t n = policy->n_marks;
	struct mark *marks;

	if (n & (n - 1))
		return 0;
	marks = reallocarray(policy->marks, n ? 2 * n : 1, sizeof(*marks));
	if (!marks)
		return -ENOMEM;
	policy->marks = marks;
	return 0;
}

int policy_add_mark(struct policy *policy, const struct rule *rule)
{
	struct mark mark = { .file = rule->file, .line = rule->line, .num_vfs = rule->num_vfs };
	int r = copy_mark(rule, &mark);

	if (r == 0)
		r = make_room(policy);
	if (r < 0) {
		mark_clear(&mark);
		return r;
	}
	policy->marks[policy->n_marks++] = mark;
	return 0;
}

/* What is not known puts no device into a pool, and gives it no virtual functions. */
static bool mark_fits(const struct mark *mark, const struct question *question)
{
	return match_fits_device(mark->match, question).fit == FIT_YES;
}

bool policy_pool_exists(const struct policy *policy, const char *pool)
{
	for (size_t i = 0; i < policy->n_marks; i++)
		if (policy->marks[i].pool && strcmp(policy->marks[i].pool, pool) == 0)
			return true;
	return false;
}

bool policy_pool_contains(const struct policy *policy, const char *pool, const struct policy_subject *subject)
{
	struct question question;

	question_init(&question, policy, subject, NULL);
	for (size_t i = 0; i < policy->n_marks; i++) {
		const struct mark *mark = &policy->marks[i];

		if (mark->pool && strcmp(mark->pool, pool) == 0 && mark_fits(mark, &question))
			return true;
	}
	return false;
}

/* Whether a mark before this one has put the device into the same pool. */
static bool is_repeated(const struct policy *policy, size_t index, const struct question *question)
{
	for (size_t i = 0; i < index; i++) {
		const struct mark *mark = &policy->marks[i];

		if (mark->pool && strcmp(mark->pool, policy->marks[index].pool) == 0 && mark_fits(mark, question))
			return true;
	}
	return false;
}

const char *policy_next_pool(const struct policy *policy, const struct policy_subject *subject, size_t *cursor)
{
	struct question question;

	question_init(&question, policy, subject, NULL);
	while (*cursor < policy->n_marks) {
		size_t i = (*cursor)++;
		const struct mark *mark = &policy->marks[i];

		if (mark->pool && mark_fits(mark, &question) && !is_repeated(policy, i, &question))
			return mark->pool;
	}
	return NULL;
}

unsigned int policy_num_vfs(const struct policy *policy, const struct policy_subject *subject, const char **file,
			    unsigned int *line)
{
	struct question question;

	if (subject->physical_function && subject->physical_function[0])
		return 0;
	question_init(&question, policy, subject, NULL);
	for (size_t i = 0; i < policy->n_marks; i++) {
		const struct mark *mark = &policy->marks[i];

		if (mark->num_vfs && mark_fits(mark, &question)) {
			*file = policy->files[mark->file];
			*line = mark->line;
			return mark->num_vfs;
		}
	}
	return 0;
}

/* Whether the item can fit a pool that there is; otherwise the nearest name is looked for. */
static bool names_pool(const struct policy *policy, const struct item *item, struct nearest *nearest)
{
	if (item->kind != ITEM_EXACT && item->kind != ITEM_GLOB)
		return true;
	nearest_begin(nearest, item->text);
	for (size_t i = 0; i < policy->n_marks; i++) {
		const char *pool = policy->marks[i].pool;

		if (!pool)
			continue;
		if (item->kind == ITEM_GLOB ? glob_match(item->text, pool) : strcmp(item->text, pool) == 0)
			return true;
		nearest_offer(nearest, pool);
	}
	return false;
}

static void check_condition(const struct policy *policy, const struct condition *condition, unsigned int file,
			    struct report *report)
{
	for (size_t i = 0; i < condition->n; i++) {
		const struct item *item = &condition->items[i];
		struct report_place place = {
			.path = policy->files[file], .order = file + 1, .line = item->line, .column = item->column
		};
		struct nearest nearest;

		if (names_pool(policy, item, &nearest))
			continue;
		if (nearest_get(&nearest))
			report_error(report, &place, "no [Pool] has the name '%.*s'; did you mean '%s'?",
				     quote_length(item->text), item->text, nearest_get(&nearest));
		else
			report_error(report, &place, "no [Pool] has the name '%.*s'", quote_length(item->text),
				     item->text);
	}
}

/* Whether the mark is of the same run as a rule, which has the same [Match]. */
static bool has_rule(const struct policy *policy, const struct mark *mark)
{
	for (size_t i = 0; i < policy->n_rules; i++)
		if (policy->rules[i].file == mark->file && policy->rules[i].line == mark->line)
			return true;
	return false;
}

void policy_check_pools(const struct policy *policy, struct report *report)
{
	for (size_t i = 0; i < policy->n_rules; i++)
		check_condition(policy, &policy->rules[i].conditions[KEY_POOL], policy->rules[i].file, report);
	for (size_t i = 0; i < policy->n_marks; i++) {
		const struct mark *mark = &policy->marks[i];

		if (mark->match[KEY_POOL].n > 0 && !has_rule(policy, mark))
			check_condition(policy, &mark->match[KEY_POOL], mark->file, report);
	}
}
