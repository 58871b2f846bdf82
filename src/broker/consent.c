/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bystanders: the members of a group that a client did not ask for and gets within its reach all the same, and the token by
 * which it says that it knows.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/internal.h"
#include "topology/mdev.h"

/* `driver` is the one it has, or had before this very lease parked it. */
static void say_action(struct bystander *bystander, bool parked)
{
	const char *driver = bystander->driver;

	if (parked)
		snprintf(bystander->action, sizeof(bystander->action),
			 "is parked on pci-stub, and put back on %s afterwards", driver);
	else if (driver[0])
		snprintf(bystander->action, sizeof(bystander->action), "stays on %s", driver);
	else
		snprintf(bystander->action, sizeof(bystander->action), "stays without a driver");
}

static int add_bystander(struct bystanders *bystanders, const struct group_terms *terms, const struct device *device)
{
	const struct lease_device *parked = terms->self ? park_find(terms->self, device->id.address) : NULL;
	struct bystander *larger = reallocarray(bystanders->list, bystanders->n + 1, sizeof(*larger));
	struct bystander *bystander;

	if (!larger)
		return -ENOMEM;
	bystanders->list = larger;
	bystander = &larger[bystanders->n++];
	memset(bystander, 0, sizeof(*bystander));
	memcpy(bystander->device, device->id.address, sizeof(bystander->device));
	memcpy(bystander->driver, parked ? parked->driver : device->driver, sizeof(bystander->driver));
	snprintf(bystander->ids, sizeof(bystander->ids), "%04x:%04x", device->id.vendor, device->id.device);
	say_action(bystander, park_is_planned(terms, device));
	return 0;
}

/* By Isolation=shared the other mdevs of a parent are members, too. */
static int add_siblings(struct bystanders *bystanders, const struct group_terms *terms, const struct device *mdev)
{
	const struct device *device;

	if (!isolation_is_shared(terms, mdev))
		return 0;
	list_for_each(device, registry_devices(terms->registry), link) {
		struct bystander *added;

		if (device == mdev || !mdev_is_sibling(mdev, device) ||
		    text_is_listed(terms->devices, device->id.address))
			continue;
		if (add_bystander(bystanders, terms, device) < 0)
			return -ENOMEM;
		added = &bystanders->list[bystanders->n - 1];
		snprintf(added->action, sizeof(added->action), "is an mdev of %s, too: nobody else gets it meanwhile",
			 device->parent);
	}
	return 0;
}

/*
 * The token is a digest of what the client is told, and of the membership: who brings it back has seen the list as it is
 * now. It is knowledge, not authority.
 */
static void make_token(const struct group *group, const struct bystanders *bystanders, char ret[DIGEST_HEX_SIZE])
{
	uint8_t value[DIGEST_SIZE];
	struct digest digest;
	const struct device *device;

	digest_begin(&digest);
	digest_add(&digest, &group->id, sizeof(group->id));
	list_for_each(device, &group->devices, group_link)
		digest_add_text(&digest, device->id.address);
	for (size_t i = 0; i < bystanders->n; i++) {
		digest_add_text(&digest, bystanders->list[i].device);
		digest_add_text(&digest, bystanders->list[i].ids);
		digest_add_text(&digest, bystanders->list[i].action);
	}
	digest_end(&digest, value);
	digest_to_hex(value, ret);
}

int judge_bystanders(const struct group *group, const struct group_terms *terms, struct bystanders *ret,
		     char ret_token[DIGEST_HEX_SIZE])
{
	struct bystanders bystanders = { 0 };
	const struct device *device;

	list_for_each(device, &group->devices, group_link) {
		bool listed = text_is_listed(terms->devices, device->id.address);

		if ((!listed && add_bystander(&bystanders, terms, device) < 0) ||
		    add_siblings(&bystanders, terms, device) < 0) {
			bystanders_clear(&bystanders);
			return -ENOMEM;
		}
	}
	make_token(group, &bystanders, ret_token);
	*ret = bystanders;
	return 0;
}
