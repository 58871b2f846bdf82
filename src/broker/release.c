/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Giving back. A device is free when the helper has put it on its former driver; that waits until the kernel has no
 * descriptor of it left, which may be long after its client is gone: the lease lingers until then, and so does its hold on
 * the groups. Bystanders that were parked follow when all others of their group are back, and so does a device that the
 * kernel denies its host driver because another's descriptors are still out. A helper that goes away in the middle is asked
 * again when it is back: its journal knows the transaction.
 *
 * With the kernel module a device that came from VFIO stays on it without an unbind, if nobody has it open: its group's claim
 * is kept, so that whoever has a descriptor still can't use it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/internal.h"
#include "util/log.h"

#define RESTORE_TRIES 2

/* The lease is over in every respect: its groups are free. It is freed. */
static void lease_end(struct lease *lease, enum lease_state state)
{
	struct broker *broker = lease->broker;
	unsigned int groups[OPENER_DEVICES_MAX];
	size_t n = lease->n_devices;
	bool mdev = false;

	for (size_t i = 0; i < n; i++) {
		groups[i] = lease->devices[i]->group;
		mdev = mdev || lease->devices[i]->mdev;
	}
	kept_forget_lease(lease);
	lease_set_state(lease, state);
	if (lease->stays)
		claims_keep(lease);
	groups_let_go(broker, lease);
	if (lease->uid != (uid_t)-1)
		quota_give(&broker->quota, lease->uid);
	event_lease(lease, LOG_INFO, "leaseReleased", "lease %llu of uid %d ended, its devices are free",
		    (unsigned long long)lease->id, (int)lease->uid);
	lease_free(lease);
	for (size_t i = 0; i < n; i++) {
		watch_judge_group(broker, groups[i]);
		sriov_group_is_back(broker, groups[i]);
	}
	for (size_t i = 0; i < n; i++)
		wait_touch(broker, groups[i]);
	/* Who waits for a sibling waits for another group. */
	if (mdev)
		wait_touch_all(broker);
}

/* Or may have one in a moment. */
static bool has_transactions(const struct lease *lease)
{
	for (size_t i = 0; i < lease_n_all(lease); i++)
		if (lease->devices[i]->transaction || lease->devices[i]->late.asked)
			return true;
	return false;
}

/* Whether anything else of the group is still to come back that waits for nobody. */
static bool group_is_moved(const struct lease_device *device)
{
	const struct lease *lease;

	list_for_each(lease, &device->lease->broker->leases, link)
		for (size_t i = 0; i < lease_n_all(lease); i++) {
			const struct lease_device *other = lease->devices[i];

			if (other != device && other->group == device->group && other->transaction && !other->parked &&
			    !other->deferred)
				return true;
		}
	return false;
}

/*
 * A parked device goes back last: the kernel denies it a host driver as long as somebody has descriptors of its group. What
 * a former broker left can be in several leases, and is not known before the sweep has ended.
 */
static bool must_wait(const struct lease_device *device)
{
	if (device->parked && device->lease->broker->sweeping)
		return true;
	return (device->parked || device->deferred) && group_is_moved(device);
}

void release_resume_all(struct broker *broker)
{
	struct lease *lease, *following;

	list_for_each_safe(lease, following, &broker->leases, link)
		if (lease->state == LEASE_RELEASING || lease->state == LEASE_LINGERING)
			release_resume(lease);
}

void release_schedule(struct lease *lease)
{
	uint64_t due = lease->revocation.due_usec;

	lease->deadline_usec = lease->linger_usec < due ? lease->linger_usec : due;
}

void release_linger(struct lease *lease)
{
	lease->linger_usec = UINT64_MAX;
	release_schedule(lease);
	if (lease->state != LEASE_RELEASING)
		return;
	lease_set_state(lease, LEASE_LINGERING);
	holders_tell(lease);
}

/*
 * The group is user space's as long as another member has descriptors out: then no member gets a host driver. That they are
 * back when the reply comes says nothing of when it was tried.
 */
static bool is_denied_by_group(const struct lease_device *device, const struct helper_reply *reply)
{
	return reply->status == HELPER_FAULT && reply->step == HELPER_STEP_BIND && reply->error == EBUSY &&
	       device->beside;
}

/*
 * A restore goes by what the device is like, so it can be tried again from wherever it failed; and what it failed for, a worker
 * that was killed or a moment without memory, may have passed. Whoever helps by hand instead is asked after that.
 */
static bool is_tried_again(struct lease_device *device, const struct helper_reply *reply)
{
	return reply->status == HELPER_FAULT && !is_denied_by_group(device, reply) &&
	       ++device->n_failed < RESTORE_TRIES;
}

static void restore_done(struct lease *lease, struct lease_device *device, const struct helper_reply *reply)
{
	struct broker *broker = lease->broker;
	bool recovered = lease->uid == (uid_t)-1;

	device->restoring = false;
	if (is_denied_by_group(device, reply)) {
		device->deferred = true;
		release_resume(lease); /* at once, if it waits for nobody */
		return;
	}
	device->transaction = 0;
	device->blocked = false;
	if (reply->status != HELPER_OK)
		lease->stays = false;
	/* Not -ENOENT alone: whatever goes wrong, the next event or judgement reads it again. */
	(void)registry_refresh(lease->broker->registry, device->id.address);
	if (reply->status == HELPER_FAULT)
		event_lease(lease, LOG_ERR, "restoreFailed",
			    "%s could not be put back on its driver: step %s: %s; bind it by hand", device->id.address,
			    helper_step_name(reply->step), strerror(reply->error));
	else if (reply->status == HELPER_REPLACED)
		event_lease(lease, LOG_NOTICE, "deviceReplaced",
			    "%s is another device now, or gone: nothing was put back", device->id.address);
	release_continue(lease);
	if (recovered)
		release_resume_all(broker);
}

static void restore_replied(void *userdata, int error, const struct helper_reply *reply)
{
	struct lease_device *device = userdata;
	struct lease *lease = device->lease;

	if (error == 0 && reply->status == HELPER_TIMED_OUT) {
		release_linger(lease);
		return; /* the last reply is still to come */
	}
	if (error == 0 && is_tried_again(device, reply)) {
		device->restoring = false;
		release_resume(lease);
	} else if (error < 0 || reply->status == HELPER_BUSY) {
		/* The helper comes back, or the device's other job ends, first. */
		device->restoring = false;
		recover_retry_later(lease->broker);
	} else {
		restore_done(lease, device, reply);
	}
}

void release_resume(struct lease *lease)
{
	for (size_t i = 0; i < lease_n_all(lease); i++) {
		struct lease_device *device = lease->devices[i];

		if (!device->transaction || device->restoring || must_wait(device))
			continue;
		device->beside = group_is_moved(device);
		device->restoring =
			helper_client_restore(lease->broker->helper, device->transaction,
					      lease->stays ? HELPER_STAYS : 0, restore_replied, device) == 0;
		if (!device->restoring)
			recover_retry_later(lease->broker);
	}
}

void release_continue(struct lease *lease)
{
	if (has_transactions(lease))
		release_resume(lease);
	else
		lease_end(lease, LEASE_RELEASED);
}

void release_begin(struct lease *lease)
{
	lease_set_state(lease, LEASE_RELEASING);
	claims_give_back(lease);
	kept_forget_lease(lease);
	lease->stays = claims_can_stay(lease);
	lease->linger_usec = now_usec() + lease->broker->limits.linger_after_usec;
	release_schedule(lease);
	release_continue(lease);
}

void release_failed(struct lease *lease)
{
	if (has_transactions(lease))
		release_begin(lease);
	else
		lease_end(lease, LEASE_FAILED);
}

void release_expire(struct lease *lease, uint64_t now)
{
	if (lease->linger_usec <= now)
		release_linger(lease);
	if (lease->revocation.due_usec <= now)
		revoke_expire(lease);
}

bool broker_release(struct broker *broker, struct peer *peer, uint64_t id)
{
	struct lease *lease;

	list_for_each(lease, &broker->leases, link) {
		if (lease->id != id || (lease->peer != peer && !peer_is_admin(peer)))
			continue;
		/* A client that was asked for it and gives it back does what it should. */
		if (lease->state != LEASE_ACTIVE && lease->state != LEASE_VIOLATED)
			return lease->revocation.begun;
		release_begin(lease);
		return true;
	}
	return false;
}
