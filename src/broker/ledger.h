/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the broker would have to know if it were killed now: its leases, and what it remembers of devices. In a folder of its
 * own, one process a folder, held to it by a lock. Not thread-safe. A NULL ledger keeps nothing, and that is no error.
 */
#ifndef IOMMUD_BROKER_LEDGER_H
#define IOMMUD_BROKER_LEDGER_H

#include <stddef.h>
#include <stdint.h>

#include "util/list.h"

struct broker;
struct lease;
struct ledger;
struct past_device;

/* The folder is duplicated. -EBUSY if another process has it. */
int ledger_open(int dir_fd, struct ledger **ret);
/* What is written stays. Accepts NULL, returns NULL. */
struct ledger *ledger_free(struct ledger *ledger);

struct ledger_found {
	struct list_link leases; /* struct lease by `link`, of no peer, group or quota yet; the caller's */
	size_t n_damaged; /* lines that said nothing */
	char aside[64]; /* what the damaged file is called now; empty: it was whole */
};

/*
 * What a former broker left: leases, what it remembered of devices that are still there, and the number of its last lease
 * go to the new one. The file is made anew from that by the first ledger_rewrite(). 0 or a negative errno.
 */
int ledger_load(struct broker *broker, struct ledger_found *ret);
/* Makes the file anew from what the broker knows. 0 or a negative errno; then the former file is there still. */
int ledger_rewrite(struct broker *broker);

/* All of a lease, before it is granted, or when it has changed. A negative errno: it is not written. */
int ledger_note_lease(struct lease *lease);
/* It is on its way back. What can't be written now is with the next line. Nothing happens if it was not noted. */
void ledger_note_end(struct lease *lease);
/* What is remembered of a device has changed. */
void ledger_note_past(struct broker *broker, const struct past_device *past);

#endif
