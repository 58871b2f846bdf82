/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Doubly linked intrusive lists. An unlinked node points at itself, so that unlinking twice does no harm.
 * Say on the node which list it belongs to: `struct list_link link; / * client::leases * /`.
 */
#ifndef IOMMUD_UTIL_LIST_H
#define IOMMUD_UTIL_LIST_H

#include <stdbool.h>

#include "util/cleanup.h"

struct list_link {
	struct list_link *next;
	struct list_link *prev;
};

#define LIST_HEAD_INIT(head)     \
	{                        \
		&(head), &(head) \
	}

static inline void list_init(struct list_link *link)
{
	link->next = link;
	link->prev = link;
}

static inline bool list_is_empty(const struct list_link *head)
{
	return head->next == head;
}

static inline void list_append(struct list_link *head, struct list_link *link)
{
	link->prev = head->prev;
	link->next = head;
	head->prev->next = link;
	head->prev = link;
}

static inline void list_unlink(struct list_link *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	list_init(link);
}

#define list_entry(pointer, type, member) container_of(pointer, type, member)
#define list_first_entry(head, type, member) list_entry((head)->next, type, member)

#define list_for_each(entry, head, member)                                                           \
	for (entry = list_entry((head)->next, __typeof__(*entry), member); &entry->member != (head); \
	     entry = list_entry(entry->member.next, __typeof__(*entry), member))

/* The body may unlink and free `entry`, but no other entry. */
#define list_for_each_safe(entry, following, head, member)                          \
	for (entry = list_entry((head)->next, __typeof__(*entry), member),          \
	    following = list_entry(entry->member.next, __typeof__(*entry), member); \
	     &entry->member != (head);                                              \
	     entry = following, following = list_entry(entry->member.next, __typeof__(*entry), member))

#endif
