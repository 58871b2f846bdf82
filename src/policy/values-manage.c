/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Values of [Manage]. Whom it names is named: `*` would let every user of the machine take devices from others, which is
 * refused rather than granted by a slip of the pen.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/nearest.h"
#include "policy/report.h"
#include "policy/values.h"

static int add_id(uint32_t **ids, size_t *n, uint32_t id)
{
	uint32_t *larger = reallocarray(*ids, *n + 1, sizeof(*larger));

	if (!larger)
		return -ENOMEM;
	larger[(*n)++] = id;
	*ids = larger;
	return 0;
}

/* What [Client] takes as well, as long as it is a name or a number. */
static int parse_id(const char *key, int (*parse)(const char *text, struct item *ret, struct complaint *complaint),
		    const char *text, uint32_t *ret, struct complaint *complaint)
{
	struct item item = {};
	int r = parse(text, &item, complaint);

	if (r == 0 && item.kind == ITEM_NUMBER)
		*ret = item.number;
	else if (r == 0)
		r = complain(complaint, 0, "%s=%.*s in [Manage]: who may manage is named", key, quote_length(text),
			     text);
	item_clear(&item);
	return r;
}

int parse_manage_user(const char *text, struct rule *rule, struct complaint *complaint)
{
	uint32_t uid;
	int r = parse_id("User", parse_user, text, &uid, complaint);

	return r < 0 ? r : add_id(&rule->manager.uids, &rule->manager.n_uids, uid);
}

int parse_manage_group(const char *text, struct rule *rule, struct complaint *complaint)
{
	uint32_t gid;
	int r = parse_id("Group", parse_group, text, &gid, complaint);

	return r < 0 ? r : add_id(&rule->manager.gids, &rule->manager.n_gids, gid);
}

int parse_manage_allow(const char *text, struct rule *rule, struct complaint *complaint)
{
	struct nearest nearest;
	const char *hint;

	nearest_begin(&nearest, text);
	for (enum policy_manage_action i = 0; i < N_POLICY_MANAGE_ACTIONS; i++) {
		nearest_offer(&nearest, policy_manage_action_name(i));
		if (strcmp(policy_manage_action_name(i), text) != 0)
			continue;
		rule->manager.actions |= 1u << i;
		return 0;
	}
	hint = nearest_get(&nearest);
	if (hint)
		return complain(complaint, 0,
				"Allow takes reload, revoke and list-leases, not '%.*s'; did you mean '%s'?",
				quote_length(text), text, hint);
	return complain(complaint, 0, "Allow takes reload, revoke and list-leases, not '%.*s'", quote_length(text),
			text);
}
