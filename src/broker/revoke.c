/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Taking a lease back from its client. */
#include "broker/internal.h"
#include "util/log.h"

void revoke_begin(struct lease *lease, const char *why)
{
	event_lease(lease, LOG_NOTICE, "leaseRevoked", "lease %llu of uid %d is taken back: %s",
		    (unsigned long long)lease->id, (int)lease->uid, why);
	release_begin(lease);
}
