/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * After the helper was away, or a former broker died: the helper's journal says which devices are still moved. Those that no
 * lease of ours accounts for are taken up as leases without a client and released. Whoever still has descriptors of them
 * makes them linger, like any other.
 */
#include <errno.h>
#include <string.h>

#include "broker/internal.h"
#include "topology/mdev.h"
#include "util/log.h"

#define RETRY_USEC 1000000

void recover_retry_later(struct broker *broker)
{
	if (broker->retry_usec == UINT64_MAX)
		broker->retry_usec = now_usec() + RETRY_USEC;
}

static bool is_accounted_for(struct broker *broker, const struct helper_reply *reply)
{
	const struct lease *lease;

	list_for_each(lease, &broker->leases, link)
		for (size_t i = 0; i < lease_n_all(lease); i++)
			if (lease->devices[i]->transaction == reply->transaction)
				return true;
	return false;
}

/* A prepare is under way, whose reply may name this very transaction: who knows when it is there. */
static bool is_being_prepared(struct broker *broker, const char *address)
{
	struct lease *lease;

	list_for_each(lease, &broker->leases, link) {
		const struct lease_device *device = lease_find_device(lease, address);

		if (device && ((lease->acquire && lease->acquire->n_waiting > 0) || device->late.asked))
			return true;
	}
	return false;
}

static void adopt(struct broker *broker, const struct helper_reply *reply)
{
	struct lease *lease = lease_new(broker, 1, 0);
	const struct device *device = registry_find_device(broker->registry, reply->address);

	if (!lease) {
		recover_retry_later(broker);
		return;
	}
	lease->id = ++broker->last_lease;
	memcpy(lease->devices[0]->id.address, reply->address, sizeof(reply->address));
	lease->devices[0]->transaction = reply->transaction;
	lease->devices[0]->parked = reply->parked;
	lease->devices[0]->group = device ? device->group->id : 0;
	lease->devices[0]->mdev = device && device_is_mdev(device);
	memcpy(lease->devices[0]->driver, reply->driver, sizeof(reply->driver));
	if (device && groups_hold(broker, lease) < 0) {
		lease_free(lease);
		recover_retry_later(broker);
		return;
	}
	list_append(&broker->leases, &lease->link);
	event_lease(lease, LOG_NOTICE, "leaseRecovered", "%s was moved for a client of a former iommud: it is put back",
		    reply->address);
	release_begin(lease);
}

static void sweep(struct broker *broker);

static void swept(void *userdata, int error, const struct helper_reply *reply)
{
	struct broker *broker = userdata;

	if (error < 0)
		return;
	if (reply->status != HELPER_OK) {
		/* That was all: now it is known which of the parked devices must wait for others, and what is still out. */
		broker->sweeping = false;
		release_resume_all(broker);
		violation_examine_all(broker);
		broker_node_ready(broker);
		vfs_resume(broker);
		return;
	}
	broker->sweep_transaction = reply->transaction;
	if (is_being_prepared(broker, reply->address))
		recover_retry_later(broker);
	else if (!is_accounted_for(broker, reply))
		adopt(broker, reply);
	sweep(broker);
}

static void sweep(struct broker *broker)
{
	if (helper_client_next(broker->helper, broker->sweep_transaction, swept, broker) < 0)
		recover_retry_later(broker);
}

static void greeted(void *userdata, int error, const struct helper_reply *reply)
{
	struct broker *broker = userdata;

	if (error == 0 && reply->status != HELPER_OK && reply->status != HELPER_POLICY_DIFFERS)
		log_error("iommud-helper does not understand us: %s; are both of one version?",
			  helper_status_text(reply->status));
	if (error == 0 && memcmp(reply->digest, policy_digest(broker->policy), DIGEST_SIZE) != 0)
		log_warning(
			"iommud-helper has another policy in force; it will refuse what it does not know: reload both");
}

void recover_begin(struct broker *broker)
{
	broker->retry_usec = UINT64_MAX;
	broker->sweep_transaction = 0;
	broker->sweeping = true;
	if (helper_client_hello(broker->helper, policy_digest(broker->policy), greeted, broker) < 0) {
		recover_retry_later(broker);
		return;
	}
	release_resume_all(broker);
	sweep(broker);
}

bool broker_reach_helper(struct broker *broker)
{
	if (helper_client_is_connected(broker->helper))
		return true;
	if (helper_client_connect(broker->helper) < 0)
		return false;
	broker_helper_connected(broker);
	return true;
}

void broker_helper_connected(struct broker *broker)
{
	recover_begin(broker);
}

void broker_helper_lost(struct broker *broker)
{
	log_warning("iommud-helper is gone; leases stay as they are, new ones wait for it");
	recover_retry_later(broker);
}
