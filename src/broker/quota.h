/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Counts leases against uids, so that one user can't grow without limit. Open addressing; a uid with none is forgotten. */
#ifndef IOMMUD_BROKER_QUOTA_H
#define IOMMUD_BROKER_QUOTA_H

#include <stddef.h>
#include <sys/types.h>

struct quota_entry {
	uid_t uid;
	unsigned int count; /* 0: the slot is empty */
};

struct quota {
	struct quota_entry *entries;
	size_t size; /* a power of two, or 0 */
	size_t n;
};

unsigned int quota_count(const struct quota *quota, uid_t uid);
/* 0 or -ENOMEM. */
int quota_take(struct quota *quota, uid_t uid);
/* Gives back one that was taken. */
void quota_give(struct quota *quota, uid_t uid);
void quota_clear(struct quota *quota);

#endif
