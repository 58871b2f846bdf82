/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How many connections each uid has. */
#ifndef IOMMUD_VARLINK_UIDS_H
#define IOMMUD_VARLINK_UIDS_H

#include <sys/types.h>

#include "util/list.h"

#define UIDS_BUCKETS 64

struct varlink_uids {
	struct list_link buckets[UIDS_BUCKETS]; /* of struct uid_entry; only uids that have a connection */
};

void varlink_uids_init(struct varlink_uids *uids);
unsigned int varlink_uids_count(const struct varlink_uids *uids, uid_t uid);
/* 0 or -ENOMEM. */
int varlink_uids_add(struct varlink_uids *uids, uid_t uid);
/* Once for each successful varlink_uids_add(); the last one frees the memory. */
void varlink_uids_remove(struct varlink_uids *uids, uid_t uid);

#endif
