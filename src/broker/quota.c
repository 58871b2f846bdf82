/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/quota.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

static size_t slot_of(const struct quota *quota, uid_t uid)
{
	size_t slot = (uid * 2654435761u) & (quota->size - 1);

	while (quota->entries[slot].count && quota->entries[slot].uid != uid)
		slot = (slot + 1) & (quota->size - 1);
	return slot;
}

unsigned int quota_count(const struct quota *quota, uid_t uid)
{
	return quota->size ? quota->entries[slot_of(quota, uid)].count : 0;
}

/* Moves all entries to a table of `size` slots, which also closes the gaps that removal leaves. */
static int resize(struct quota *quota, size_t size)
{
	struct quota larger = { .entries = calloc(size, sizeof(*larger.entries)), .size = size, .n = quota->n };

	if (!larger.entries)
		return -ENOMEM;
	for (size_t i = 0; i < quota->size; i++)
		if (quota->entries[i].count)
			larger.entries[slot_of(&larger, quota->entries[i].uid)] = quota->entries[i];
	free(quota->entries);
	*quota = larger;
	return 0;
}

int quota_take(struct quota *quota, uid_t uid)
{
	struct quota_entry *entry;

	if (quota->n * 2 >= quota->size) {
		int r = resize(quota, quota->size ? quota->size * 2 : 16);

		if (r < 0)
			return r;
	}
	entry = &quota->entries[slot_of(quota, uid)];
	if (entry->count == 0)
		quota->n++;
	entry->uid = uid;
	entry->count++;
	return 0;
}

/* Entries behind a slot that became empty may have been pushed past it: put each where it belongs now. */
static void close_gap(struct quota *quota, size_t gap)
{
	for (size_t i = (gap + 1) & (quota->size - 1); quota->entries[i].count; i = (i + 1) & (quota->size - 1)) {
		struct quota_entry moved = quota->entries[i];

		quota->entries[i].count = 0;
		quota->entries[slot_of(quota, moved.uid)] = moved;
	}
}

void quota_give(struct quota *quota, uid_t uid)
{
	size_t slot = quota->size ? slot_of(quota, uid) : 0;

	if (!quota->size || quota->entries[slot].count == 0)
		return;
	if (--quota->entries[slot].count > 0)
		return;
	quota->n--;
	close_gap(quota, slot);
}

void quota_clear(struct quota *quota)
{
	free(quota->entries);
	*quota = (struct quota){ 0 };
}
