/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a former broker left. Its leases stand in the ledger, their connections and claims come from the keeper, and who is at
 * the other end of a connection the kernel says anew. A lease goes on when its client is the same and its devices are. All
 * others are left to recover.c, which finds in the helper's journal what is still moved, and has it put back.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/internal.h"
#include "topology/mdev.h"
#include "util/log.h"

int inherit_begin(struct broker *broker)
{
	return ledger_load(broker, &broker->found);
}

bool broker_former_connection(const struct broker *broker, int fd, struct former_connection *ret)
{
	const struct kept_mark *former = broker->kept ? kept_find_former(broker->kept, kept_cookie(fd)) : NULL;

	if (!former)
		return false;
	*ret = (struct former_connection){ .mark = former->mark,
					   .subscribed = former->subscribed > 0,
					   .lease = former->subscribed > 0 ? former->subscribed - 1 : 0 };
	return true;
}

/* Its descriptors were not sent yet, or it is somebody else who sits there now. */
static bool is_his(const struct lease *lease, const struct peer *peer, const struct kept_mark *former)
{
	if (former->granting == lease->id && !former->granted)
		return false;
	if (lease->uid == peer->identity->uid && lease->pid == peer->identity->pid)
		return true;
	log_warning("lease %llu was of user %u, pid %d, and its connection is of user %u, pid %d: it ends",
		    (unsigned long long)lease->id, lease->uid, (int)lease->pid, peer->identity->uid,
		    (int)peer->identity->pid);
	return false;
}

int peer_inherit(struct peer *peer)
{
	struct broker *broker = peer->broker;
	const struct kept_mark *former = kept_find_former(broker->kept, kept_cookie(peer->socket_fd));
	int r = former ? kept_take_peer(peer) : -ENOENT;
	struct lease *lease;

	if (r < 0)
		return r;
	list_for_each(lease, &broker->found.leases, link)
		if (lease->connection == peer->cookie && is_his(lease, peer, former)) {
			lease->peer = peer;
			list_append(&peer->leases, &lease->peer_link);
		}
	return 0;
}

static bool read_claim_name(const char *name, unsigned long long *ret_lease, unsigned int *ret_group)
{
	char rest;

	return sscanf(name, KEPT_CLAIM "%llu-%u%c", ret_lease, ret_group, &rest) == 2;
}

bool broker_inherit_claim(struct broker *broker, const char *name, int fd)
{
	unsigned long long id;
	unsigned int group;
	struct lease *lease;

	if (!read_claim_name(name, &id, &group))
		return false;
	list_for_each(lease, &broker->found.leases, link)
		for (size_t i = 0; lease->id == id && i < lease->n_devices; i++)
			if (lease->devices[i]->group == group && lease_is_first_of_group(lease, i) &&
			    lease->devices[i]->claim < 0) {
				lease->devices[i]->claim = fd;
				lease->devices[i]->claim_kept = true;
				return true;
			}
	return false;
}

/* Another device may sit at its address by now, or somebody took it from VFIO. Of a parked one violation.c finds that. */
static bool is_there(const struct lease *lease, const struct lease_device *leased)
{
	const struct device *device = registry_find_device(lease->broker->registry, leased->id.address);

	return device && device->node == leased->node && device->group->id == leased->group &&
	       memcmp(&device->id, &leased->id, sizeof(device->id)) == 0 && device_is_on_vfio(device);
}

static bool all_are_there(const struct lease *lease)
{
	for (size_t i = 0; i < lease->n_devices; i++)
		if (!is_there(lease, lease->devices[i]))
			return false;
	return true;
}

/* Their nodes are found by the devices' folders, which nobody holds any more. */
static int remember_labels(struct lease *lease)
{
	struct registry *registry = lease->broker->registry;
	int r = 0;

	for (size_t i = 0; r == 0 && i < lease->n_devices; i++) {
		struct lease_device *leased = lease->devices[i];

		leased->sysfs_fd = registry_open_device(registry, registry_find_device(registry, leased->id.address));
		r = leased->sysfs_fd < 0 ? leased->sysfs_fd : 0;
	}
	if (r == 0)
		r = node_labels_remember(lease);
	for (size_t i = 0; i < lease->n_devices; i++)
		lease->devices[i]->sysfs_fd = close_fd(lease->devices[i]->sysfs_fd);
	return r;
}

static int hold(struct lease *lease)
{
	struct broker *broker = lease->broker;
	int r = quota_take(&broker->quota, lease->uid);

	if (r < 0)
		return r;
	r = groups_hold(broker, lease);
	if (r == 0)
		r = remember_labels(lease);
	if (r == 0)
		return 0;
	log_warning("lease %llu can't go on: %s", (unsigned long long)lease->id, strerror(-r));
	groups_let_go(broker, lease);
	quota_give(&broker->quota, lease->uid);
	return r;
}

static void tell_weaker(struct lease *lease)
{
	for (size_t i = 0; i < lease->n_devices; i++)
		if (lease_is_first_of_group(lease, i) && lease->devices[i]->claim < 0 && claims_wanted(lease, i))
			event_leased(
				lease->devices[i], LOG_WARNING, "claimLost",
				"the kernel module's claim for lease %llu was lost with the former iommud: host drivers "
				"of group %u are noticed, not prevented",
				(unsigned long long)lease->id, lease->devices[i]->group);
}

static void go_on(struct lease *lease)
{
	struct broker *broker = lease->broker;

	list_unlink(&lease->link);
	list_append(&broker->leases, &lease->link);
	lease->noted = true;
	lease_set_state(lease, LEASE_PREPARING);
	lease_set_state(lease, LEASE_ACTIVE);
	event_lease(lease, LOG_INFO, "leaseInherited", "lease %llu of uid %u goes on after a restart of iommud",
		    (unsigned long long)lease->id, lease->uid);
	tell_weaker(lease);
}

/* Its claims are closed, and dropped by the keeper, with it. */
static void give_up(struct lease *lease)
{
	for (size_t i = 0; i < lease->n_devices; i++)
		kept_forget_claim(lease->devices[i]);
	lease_free(lease);
}

static void tell(struct broker *broker, unsigned int n_on, unsigned int n_ended)
{
	const struct ledger_found *found = &broker->found;
	char damage[160] = "", message[512];

	if (found->n_damaged > 0)
		snprintf(damage, sizeof(damage), "; %zu lines of the ledger were damaged, the file is kept as %s",
			 found->n_damaged, found->aside);
	snprintf(message, sizeof(message),
		 "after a restart %u leases go on, and %u end, whose clients or devices are gone%s", n_on, n_ended,
		 damage);
	event_publish(
		broker, found->n_damaged > 0 ? LOG_WARNING : LOG_NOTICE,
		(struct broker_event){
			.name = "restarted", .group = -1, .lease = -1, .uid = -1, .viable = -1, .message = message });
}

void broker_inherit_end(struct broker *broker)
{
	unsigned int n_on = 0, n_ended = 0;
	struct lease *lease, *following;
	int r;

	list_for_each_safe(lease, following, &broker->found.leases, link) {
		if (lease->peer && all_are_there(lease) && hold(lease) == 0) {
			go_on(lease);
			n_on++;
		} else {
			give_up(lease);
			n_ended++;
		}
	}
	if (broker->ledger && (n_on || n_ended || broker->found.n_damaged))
		tell(broker, n_on, n_ended);
	r = ledger_rewrite(broker);
	if (r < 0)
		log_error("the ledger can't be written: %s; nothing is granted until it can", strerror(-r));
}
