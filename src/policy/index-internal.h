/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What filing (index.c), finding (index-find.c) and labels.c, which uses the hashes, share. */
#ifndef IOMMUD_POLICY_INDEX_INTERNAL_H
#define IOMMUD_POLICY_INDEX_INTERNAL_H

#include "policy/index.h"

#define BEGINNING_MAX 63 /* of a glob or prefix; one bit each in rule_index::beginnings */
#define N_LISTS (N_CONDITIONS + 1)
#define LIST_REST N_CONDITIONS /* rules that are filed by nothing */

/* One rule, under one hash. In order of hash and rule. */
struct entry {
	uint64_t hash;
	size_t rule;
};

/* All entries of one hash. */
struct drawer {
	uint64_t hash;
	size_t n; /* 0: this place is free */
	size_t first; /* in rule_index::entries */
};

struct list {
	size_t *rules;
	size_t n;
};

struct rule_index {
	struct entry *entries;
	size_t n_entries;
	struct drawer *drawers; /* open addressing, at most half full */
	size_t mask;
	uint64_t beginnings[N_CONDITIONS]; /* the lengths under which globs and prefixes of this key are filed */
	struct list lists[N_LISTS]; /* the rules that are filed by each key, and the rest */
};

/* The hash of what begins under this key; characters follow by index_hash_byte(), then index_hash_end(). */
uint64_t index_hash_key(enum rule_key key);
uint64_t index_hash_byte(uint64_t hash, unsigned char byte);
/* Behind all of a text; a beginning of one is another hash. */
uint64_t index_hash_end(uint64_t hash, bool whole);
uint64_t index_hash_number(enum rule_key key, uint32_t number);
uint64_t index_hash_text(enum rule_key key, const char *text, size_t length, bool whole);
/* That under which the item is filed. */
uint64_t index_hash_item(enum rule_key key, const struct item *item);

/* How many characters of it are in front of the first that is special; of an exact text none. */
size_t index_beginning_length(const struct item *item);

/* The drawer of this hash, or the free place where it would be. */
struct drawer *index_find_drawer(const struct rule_index *index, uint64_t hash);

#endif
