/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How much of the journal one user can fill by asking for what is refused. journald has a limit for each service, and what
 * is beyond it is dropped, grants and violations too: so refusals must stay far below it, whoever asks. Each uid has some
 * entries in each interval; what is beyond is counted, and the count becomes one entry when the interval is over.
 *
 * Promises: a fixed amount of memory; at most FLOOD_SLOTS * FLOOD_BURST entries in FLOOD_INTERVAL_USEC, and a count for each
 * slot. That is 640 in 10 s, where journald's default is 10000 in 30 s.
 */
#ifndef IOMMUD_BROKER_FLOOD_H
#define IOMMUD_BROKER_FLOOD_H

#include <stdbool.h>
#include <stdint.h>

#define FLOOD_SLOTS 32
#define FLOOD_BURST 20
#define FLOOD_INTERVAL_USEC 10000000
#define FLOOD_OTHERS -1 /* whoever comes when all other slots are taken */

struct flood_slot {
	int64_t uid;
	uint64_t until_usec; /* the end of the interval; 0: the slot is free */
	unsigned int n_admitted;
	unsigned int n_dropped;
};

/* All zero: nothing was asked for yet. */
struct flood {
	struct flood_slot slots[FLOOD_SLOTS]; /* the last one is for FLOOD_OTHERS */
};

/* Whether one more entry about this user is written; if not, it is counted. */
bool flood_admits(struct flood *flood, int64_t uid, uint64_t now_usec);
/* When the next count is due; UINT64_MAX: nothing was dropped. */
uint64_t flood_next_deadline(const struct flood *flood);
/* A count that is due; it is forgotten. False: there is none. */
bool flood_take_count(struct flood *flood, uint64_t now_usec, int64_t *ret_uid, unsigned int *ret_dropped);

#endif
