/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one table of what rules can say: each key with its section, its parser and, for conditions, its matcher. A new key
 * is a row here and a member of enum rule_key.
 */
#ifndef IOMMUD_POLICY_KEYS_H
#define IOMMUD_POLICY_KEYS_H

#include "policy/match.h"
#include "policy/values.h"

/* In the order in which they stand. */
enum rule_section { SECTION_MATCH, SECTION_POOL, SECTION_HOST, SECTION_CLIENT, SECTION_GRANT, N_SECTIONS };

struct key {
	enum rule_section section;
	const char *name;
	bool list; /* items separated by blanks or commas, parsed one by one; of a condition each may be negated by `!` */
	bool commas; /* a list whose items may have commas in them: only blanks separate */
	bool may_be_unknown; /* of a condition: there are devices or clients of which nobody tells */
	/* One of the two. */
	int (*parse_item)(const char *text, struct item *ret, struct complaint *complaint);
	int (*parse_value)(const char *text, struct rule *rule, struct complaint *complaint);
	/* With parse_item. */
	enum fit (*fits)(const struct item *item, const struct question *question);
};

extern const struct key rule_keys[N_KEYS];
extern const char *const rule_sections[N_SECTIONS];

/* The section of this name, or N_SECTIONS with a complaint that has the nearest name. */
enum rule_section find_section(const char *name, struct complaint *complaint);

/* The key without which the section says nothing, N_KEYS: any will do. */
enum rule_key section_needs(enum rule_section section);

/* One item of a condition, of all keys alike: `!` before it excludes what fits it. As the functions of values.h. */
int key_parse_item(enum rule_key key, const char *text, struct item *ret, struct complaint *complaint);

/* The key of this name in the section, or N_KEYS with a complaint that has the nearest name, or the right section. */
enum rule_key find_key(enum rule_section section, const char *name, struct complaint *complaint);

#endif
