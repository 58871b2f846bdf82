/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The message ids of the journal: the one table. An id belongs to what happened, and never changes; who watches the journal
 * goes by it (journalctl MESSAGE_ID=...). src/daemon/iommud.catalog has a text, and iommud(8) a line, for each.
 */
#ifndef IOMMUD_BROKER_MESSAGE_IDS_H
#define IOMMUD_BROKER_MESSAGE_IDS_H

#include <stdbool.h>
#include <stddef.h>

struct message_id {
	const char *event; /* as in broker_event::name, or the name of what only the journal is told */
	const char *id; /* 32 hexadecimal digits */
	bool at_will; /* clients can have it happen as often as they like: see flood.h */
};

extern const struct message_id message_ids[];
extern const size_t n_message_ids;

/* NULL: events of this name have no id. */
const struct message_id *message_id_find(const char *event);

#endif
