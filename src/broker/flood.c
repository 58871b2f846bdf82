/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/flood.h"

#include <stddef.h>

static bool is_free(const struct flood_slot *slot, uint64_t now)
{
	/* One whose count is still to be told is kept for that. */
	return slot->until_usec <= now && slot->n_dropped == 0;
}

static struct flood_slot *slot_of(struct flood *flood, int64_t uid, uint64_t now)
{
	struct flood_slot *others = &flood->slots[FLOOD_SLOTS - 1], *found = NULL;

	for (struct flood_slot *slot = flood->slots; slot < others; slot++) {
		if (slot->until_usec && slot->uid == uid)
			return slot;
		if (!found && is_free(slot, now))
			found = slot;
	}
	if (found)
		found->uid = uid;
	else
		others->uid = FLOOD_OTHERS;
	return found ? found : others;
}

bool flood_admits(struct flood *flood, int64_t uid, uint64_t now)
{
	struct flood_slot *slot = slot_of(flood, uid, now);

	if (is_free(slot, now)) {
		slot->until_usec = now + FLOOD_INTERVAL_USEC;
		slot->n_admitted = 0;
	}
	if (slot->n_admitted < FLOOD_BURST) {
		slot->n_admitted++;
		return true;
	}
	slot->n_dropped++;
	return false;
}

uint64_t flood_next_deadline(const struct flood *flood)
{
	uint64_t next = UINT64_MAX;

	for (size_t i = 0; i < FLOOD_SLOTS; i++)
		if (flood->slots[i].n_dropped && flood->slots[i].until_usec < next)
			next = flood->slots[i].until_usec;
	return next;
}

bool flood_take_count(struct flood *flood, uint64_t now, int64_t *ret_uid, unsigned int *ret_dropped)
{
	for (size_t i = 0; i < FLOOD_SLOTS; i++) {
		struct flood_slot *slot = &flood->slots[i];

		if (slot->n_dropped == 0 || slot->until_usec > now)
			continue;
		*ret_uid = slot->uid;
		*ret_dropped = slot->n_dropped;
		*slot = (struct flood_slot){ 0 };
		return true;
	}
	return false;
}
