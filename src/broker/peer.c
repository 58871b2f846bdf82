/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A connected client: who it is, its leases, and what it may see. */
#include <stdlib.h>
#include <string.h>

#include "broker/internal.h"

struct peer *peer_new(struct broker *broker, struct identity *identity, int socket_fd)
{
	struct peer *peer = calloc(1, sizeof(*peer));

	if (!peer)
		return NULL;
	peer->broker = broker;
	peer->identity = identity;
	peer->socket_fd = socket_fd;
	list_init(&peer->leases);
	return peer;
}

/*
 * The client is gone, and its leases know no peer from here on. One that is on its way back already goes on so; another's end
 * may be immediate and free it.
 */
static void lose_client(struct lease *lease)
{
	if (lease->acquire) {
		acquire_abandon(lease->acquire);
		return;
	}
	lease->peer = NULL;
	list_unlink(&lease->peer_link);
	if (lease->state == LEASE_ACTIVE || lease->state == LEASE_VIOLATED)
		release_begin(lease);
}

struct peer *peer_free(struct peer *peer)
{
	struct lease *lease, *following;

	if (!peer)
		return NULL;
	peer_forget_question(peer);
	if (peer->waiting)
		wait_abandon(peer->waiting);
	list_for_each_safe(lease, following, &peer->leases, peer_link)
		lose_client(lease);
	kept_forget_peer(peer);
	free(peer);
	return NULL;
}

const struct identity *peer_get_identity(const struct peer *peer)
{
	return peer->identity;
}

bool peer_is_admin(const struct peer *peer)
{
	return peer->identity->uid == 0;
}

bool peer_may_see(const struct peer *peer, const struct device *device)
{
	struct policy_decision decision;

	if (peer_is_admin(peer))
		return true;
	judge_decide(peer->broker, device, peer->identity, &decision);
	return decision.action == POLICY_ALLOW;
}

bool peer_may_see_event(const struct peer *peer, const struct broker_event *event)
{
	const struct device *device;

	if (peer_is_admin(peer) || event->uid == (int64_t)peer->identity->uid)
		return true;
	if (event->uid >= 0 || event->lease >= 0)
		return false;
	if (!event->device)
		return true;
	device = registry_find_device(peer->broker->registry, event->device);
	return device && peer_may_see(peer, device);
}
