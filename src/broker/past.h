/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the broker remembers of a device beyond its leases: who had it last, and whether its last reset failed. In memory, and in
 * the ledger; a broker that was restarted without one remembers nothing, and then anybody may have had the device.
 */
#ifndef IOMMUD_BROKER_PAST_H
#define IOMMUD_BROKER_PAST_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "util/device-id.h"

struct past_device {
	struct device_id id; /* another device at the same address has no past */
	bool had; /* `uid` had it last; otherwise it is not known who did */
	uid_t uid;
	bool quarantined; /* a reset was needed and failed; only one that succeeds ends it */
};

struct past {
	struct past_device *list; /* in order of address */
	size_t n;
	size_t capacity;
};

/* Makes room for what will be said of the device, so that this can't fail. -ENOMEM. */
int past_reserve(struct past *past, const struct device_id *id);
/* NULL: nothing is known of it. Borrowed until the next past_reserve() or past_forget(). */
struct past_device *past_find(const struct past *past, const struct device_id *id);
/* The device was removed. One that was not known does no harm. */
void past_forget(struct past *past, const char *address);
void past_clear(struct past *past);

#endif
