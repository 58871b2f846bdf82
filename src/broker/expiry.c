/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MaxLeaseSec= and MaxWaitSec=. A lease's time begins with its grant, and its end is an ordinary revocation: the client is
 * asked, and then its rule's OnReleaseTimeout= says what is done. Of several devices the shortest time counts. A reload changes
 * neither: a lease keeps the time that it was granted for, and who waits the time that he was told.
 */
#include <stdio.h>

#include "broker/internal.h"

#define SECOND 1000000ull

/* The device whose rule gives the lease the least time; NULL: no rule says anything. */
static const struct lease_device *find_shortest(const struct lease *lease)
{
	const struct lease_device *shortest = NULL;

	for (size_t i = 0; i < lease->n_devices; i++) {
		const struct lease_device *device = lease->devices[i];

		if (device->limits.max_lease_sec &&
		    (!shortest || device->limits.max_lease_sec < shortest->limits.max_lease_sec))
			shortest = device;
	}
	return shortest;
}

void expiry_begin(struct lease *lease)
{
	const struct lease_device *shortest = find_shortest(lease);

	lease->deadline_usec = shortest ? now_usec() + shortest->limits.max_lease_sec * SECOND : UINT64_MAX;
}

void expiry_reached(struct lease *lease)
{
	const struct lease_device *shortest = find_shortest(lease);
	char why[LEASE_RULE_MAX + 64];

	lease->deadline_usec = UINT64_MAX;
	if (!shortest)
		return;
	snprintf(why, sizeof(why), "its time is over, by MaxLeaseSec=%u in %s", shortest->limits.max_lease_sec,
		 shortest->rule);
	revoke_begin(lease, why);
}

int64_t lease_expires_in(const struct lease *lease)
{
	uint64_t now = now_usec();

	if ((lease->state != LEASE_ACTIVE && lease->state != LEASE_VIOLATED) || lease->deadline_usec == UINT64_MAX)
		return -1;
	return lease->deadline_usec <= now ? 0 : (int64_t)((lease->deadline_usec - now + SECOND - 1) / SECOND);
}

unsigned int expiry_wait_sec(struct broker *broker, const struct demand *demand)
{
	const struct device *device = NULL;
	unsigned int least = demand->wait_sec;
	struct policy_decision decision;
	size_t cursor = 0;

	while ((device = demand_next_device(broker, demand, &cursor, device))) {
		judge_decide(broker, device, demand->peer->identity, &decision);
		if (decision.action == POLICY_ALLOW && decision.limits.max_wait_sec < least)
			least = decision.limits.max_wait_sec;
	}
	return least;
}
