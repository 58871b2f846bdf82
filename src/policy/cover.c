/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pure. Globs are held against each other as texts, as far as that proves something: one with a set proves nothing. */
#include "policy/cover.h"

#include <string.h>

#include "policy/glob.h"

#define CLASS_DIGITS 6

static bool item_equals(const struct item *left, const struct item *right)
{
	if (left->kind != right->kind || left->number != right->number)
		return false;
	return !left->text || strcmp(left->text, right->text) == 0;
}

/* A '*' of the narrow one may be nothing, or more than one character: no '?' of the wide one covers it. */
static bool glob_covers_glob(const char *wide, const char *narrow)
{
	if (strchr(wide, '[') || strchr(narrow, '[') || (strchr(wide, '?') && strchr(narrow, '*')))
		return false;
	return glob_match(wide, narrow);
}

/* The first digits of a class, as a glob over all of them. */
static bool glob_covers_prefix(const char *wide, const struct item *narrow)
{
	char glob[CLASS_DIGITS + 1];

	if (narrow->number > CLASS_DIGITS)
		return false;
	memset(glob, '?', CLASS_DIGITS);
	memcpy(glob, narrow->text, narrow->number);
	glob[CLASS_DIGITS] = '\0';
	return glob_covers_glob(wide, glob);
}

static bool glob_covers(const char *wide, const struct item *narrow)
{
	if (narrow->kind == ITEM_EXACT)
		return glob_match(wide, narrow->text);
	if (narrow->kind == ITEM_GLOB)
		return glob_covers_glob(wide, narrow->text);
	return narrow->kind == ITEM_PREFIX && glob_covers_prefix(wide, narrow);
}

/* What a prefix has are digits: where the other text has the same, it has no special character. */
static bool prefix_covers(const struct item *wide, const struct item *narrow)
{
	return narrow->text && strncmp(wide->text, narrow->text, wide->number) == 0;
}

bool item_covers(enum rule_key key, const struct item *wide, const struct item *narrow)
{
	if (wide->kind == ITEM_ANY || item_equals(wide, narrow))
		return true;
	/* These are compared by component, not as texts. */
	if (key == KEY_CONTEXT)
		return false;
	if (wide->kind == ITEM_PREFIX)
		return prefix_covers(wide, narrow);
	return wide->kind == ITEM_GLOB && glob_covers(wide->text, narrow);
}

bool condition_has_choice(const struct condition *condition)
{
	for (size_t i = 0; i < condition->n; i++)
		if (!condition->items[i].negated)
			return condition->items[i].kind != ITEM_ANY;
	return false;
}

static bool condition_has(enum rule_key key, const struct condition *condition, const struct item *item)
{
	for (size_t i = 0; i < condition->n; i++)
		if (condition->items[i].negated == item->negated && item_covers(key, &condition->items[i], item))
			return true;
	return false;
}

bool condition_covers(enum rule_key key, const struct condition *wide, const struct condition *narrow)
{
	bool choice = condition_has_choice(wide);

	if (condition_is_any(wide))
		return true;
	if (choice && !condition_has_choice(narrow))
		return false;
	for (size_t i = 0; choice && i < narrow->n; i++)
		if (!narrow->items[i].negated && !condition_has(key, wide, &narrow->items[i]))
			return false;
	for (size_t i = 0; i < wide->n; i++)
		if (wide->items[i].negated && !condition_has(key, narrow, &wide->items[i]))
			return false;
	return true;
}

/* How many characters in front are the text's own. */
static size_t literal_length(const struct item *item)
{
	return item->kind == ITEM_GLOB ? strcspn(item->text, "*?[") : item->number;
}

static bool texts_exclude_each_other(const struct item *left, const struct item *right)
{
	size_t n_left = literal_length(left), n_right = literal_length(right);

	if (left->kind == ITEM_EXACT && right->kind == ITEM_GLOB)
		return !glob_match(right->text, left->text);
	if (left->kind == ITEM_GLOB && right->kind == ITEM_EXACT)
		return !glob_match(left->text, right->text);
	if (left->kind == ITEM_EXACT && right->kind == ITEM_EXACT)
		return strcmp(left->text, right->text) != 0;
	return strncmp(left->text, right->text, n_left < n_right ? n_left : n_right) != 0;
}

static bool items_exclude_each_other(const struct item *left, const struct item *right)
{
	if (left->kind == ITEM_ANY || right->kind == ITEM_ANY)
		return false;
	if (left->text && right->text)
		return texts_exclude_each_other(left, right);
	return left->kind != right->kind || left->number != right->number;
}

bool conditions_exclude_each_other(enum rule_key key, const struct condition *left, const struct condition *right)
{
	if (key == KEY_POOL || !condition_has_choice(left) || !condition_has_choice(right))
		return false;
	for (size_t i = 0; i < left->n; i++)
		for (size_t j = 0; j < right->n; j++)
			if (!left->items[i].negated && !right->items[j].negated &&
			    !items_exclude_each_other(&left->items[i], &right->items[j]))
				return false;
	return true;
}
