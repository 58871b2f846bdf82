/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who may manage the daemon and others' leases: root, and whom the policy names. A no is told like any other refusal. */
#include <stdio.h>

#include "broker/internal.h"
#include "util/log.h"

bool peer_check_manager(const struct peer *peer, enum policy_manage_action action, char *refused, size_t size)
{
	const char *name = policy_manage_action_name(action);

	if (peer_is_admin(peer) || policy_may_manage(peer->broker->policy, peer->identity, action))
		return true;
	snprintf(refused, size,
		 "uid %u may not %s: that is for root, and for users whom a [Manage] section of the policy names with "
		 "Allow=%s; see iommud.policy(5)",
		 peer->identity->uid, action == POLICY_MANAGE_LIST_LEASES ? "list the leases of others" : name, name);
	event_client(peer->broker, LOG_NOTICE, "manageDenied", peer->identity, refused);
	return false;
}
