/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Insertion moves pointers, which for the 10,000 devices of a large machine is 80 KB at worst; a scan fills its arrays
 * in order and moves nothing.
 */
#include "topology/sorted.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

size_t sorted_search(const struct sorted *sorted, const void *key, sorted_compare_fn compare, bool *ret_found)
{
	size_t low = 0, high = sorted->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = compare(key, sorted->items[middle]);

		if (order == 0) {
			*ret_found = true;
			return middle;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	*ret_found = false;
	return low;
}

int sorted_reserve(struct sorted *sorted, size_t more)
{
	size_t wanted = sorted->n + more;
	void **larger;

	if (wanted <= sorted->capacity)
		return 0;
	if (wanted < sorted->capacity * 2)
		wanted = sorted->capacity * 2;
	larger = reallocarray(sorted->items, wanted, sizeof(*larger));
	if (!larger)
		return -ENOMEM;
	sorted->items = larger;
	sorted->capacity = wanted;
	return 0;
}

void sorted_insert(struct sorted *sorted, size_t place, void *item)
{
	memmove(sorted->items + place + 1, sorted->items + place, (sorted->n - place) * sizeof(*sorted->items));
	sorted->items[place] = item;
	sorted->n++;
}

void sorted_remove(struct sorted *sorted, size_t place)
{
	sorted->n--;
	memmove(sorted->items + place, sorted->items + place + 1, (sorted->n - place) * sizeof(*sorted->items));
}

void sorted_clear(struct sorted *sorted)
{
	free(sorted->items);
	*sorted = (struct sorted){ 0 };
}
