/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An array of pointers kept in order, searched by halving. It borrows what it points at. */
#ifndef IOMMUD_TOPOLOGY_SORTED_H
#define IOMMUD_TOPOLOGY_SORTED_H

#include <stdbool.h>
#include <stddef.h>

struct sorted {
	void **items;
	size_t n;
	size_t capacity;
};

/* Below, at or above 0: how `key` compares with the item's own key. */
typedef int (*sorted_compare_fn)(const void *key, const void *item);

/* The place of the item with this key, or, with *ret_found false, where it would have to be inserted. */
size_t sorted_search(const struct sorted *sorted, const void *key, sorted_compare_fn compare, bool *ret_found);

/* Makes room for `more` items, so that as many sorted_insert() can't fail. -ENOMEM. */
int sorted_reserve(struct sorted *sorted, size_t more);

/* `place` is what sorted_search() said; room must have been reserved. */
void sorted_insert(struct sorted *sorted, size_t place, void *item);
void sorted_remove(struct sorted *sorted, size_t place);
void sorted_clear(struct sorted *sorted);

#endif
