/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A small hash of counters. An entry exists exactly while its counter is not zero. */
#include "varlink/uids.h"

#include <errno.h>

struct uid_entry {
	struct list_link link; /* varlink_uids::buckets */
	uid_t uid;
	unsigned int n;
};

static struct uid_entry *uids_find(const struct varlink_uids *uids, uid_t uid)
{
	const struct list_link *bucket = &uids->buckets[uid % UIDS_BUCKETS];
	struct uid_entry *entry;

	list_for_each(entry, bucket, link)
		if (entry->uid == uid)
			return entry;
	return NULL;
}

void varlink_uids_init(struct varlink_uids *uids)
{
	for (size_t i = 0; i < UIDS_BUCKETS; i++)
		list_init(&uids->buckets[i]);
}

unsigned int varlink_uids_count(const struct varlink_uids *uids, uid_t uid)
{
	const struct uid_entry *entry = uids_find(uids, uid);

	return entry ? entry->n : 0;
}

int varlink_uids_add(struct varlink_uids *uids, uid_t uid)
{
	struct uid_entry *entry = uids_find(uids, uid);

	if (!entry) {
		entry = calloc(1, sizeof(*entry));
		if (!entry)
			return -ENOMEM;
		entry->uid = uid;
		list_append(&uids->buckets[uid % UIDS_BUCKETS], &entry->link);
	}
	entry->n++;
	return 0;
}

void varlink_uids_remove(struct varlink_uids *uids, uid_t uid)
{
	struct uid_entry *entry = uids_find(uids, uid);

	if (!entry || --entry->n > 0)
		return;
	list_unlink(&entry->link);
	free(entry);
}
