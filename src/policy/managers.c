/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What [Manage] says: who besides root may do what to the daemon and to others' leases. It has nothing to do with devices:
 * no device is granted by it, and iommud-helper, which reads the same files, never asks. All sections that fit add up, and
 * what none allows is refused.
 */
#include "policy/managers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/policy.h"
#include "util/cleanup.h"

static const char *const action_names[N_POLICY_MANAGE_ACTIONS] = {
	[POLICY_MANAGE_RELOAD] = "reload",
	[POLICY_MANAGE_REVOKE] = "revoke",
	[POLICY_MANAGE_LIST_LEASES] = "list-leases",
};

const char *policy_manage_action_name(enum policy_manage_action action)
{
	return action_names[action];
}

void manager_rule_clear(struct manager_rule *manager)
{
	free(manager->uids);
	free(manager->gids);
	*manager = (struct manager_rule){};
}

int policy_add_manager(struct policy *policy, struct manager_rule *manager)
{
	struct manager_rule *managers =
		reallocarray(policy->managers, policy->n_managers + 1, sizeof(*policy->managers));

	if (!managers)
		return -ENOMEM;
	policy->managers = managers;
	managers[policy->n_managers++] = *manager;
	*manager = (struct manager_rule){};
	return 0;
}

static bool has_uid(const struct manager_rule *manager, const struct identity *client)
{
	for (size_t i = 0; i < manager->n_uids; i++)
		if (client->uid != (uid_t)-1 && manager->uids[i] == client->uid)
			return true;
	return manager->n_uids == 0;
}

static bool is_in_group(const struct identity *client, gid_t gid)
{
	for (size_t i = 0; i < client->n_groups; i++)
		if (client->groups[i] == gid)
			return true;
	return client->gid != (gid_t)-1 && client->gid == gid;
}

static bool has_group(const struct manager_rule *manager, const struct identity *client)
{
	for (size_t i = 0; i < manager->n_gids; i++)
		if (is_in_group(client, manager->gids[i]))
			return true;
	return manager->n_gids == 0;
}

bool policy_may_manage(const struct policy *policy, const struct identity *client, enum policy_manage_action action)
{
	for (size_t i = 0; i < policy->n_managers; i++) {
		const struct manager_rule *manager = &policy->managers[i];

		if ((manager->actions & (1u << action)) && has_uid(manager, client) && has_group(manager, client))
			return true;
	}
	return false;
}
