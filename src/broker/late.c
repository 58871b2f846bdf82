/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Members that have to be out of the way of a lease that was granted already: they joined the group, or a driver of the
 * host's came to them. They are parked like bystanders, put on the lease's list, and so given back with it by release.c, on
 * the driver that they were taken from. It decides nothing: violation.c says who is to be parked.
 *
 * A device that is not parked in a few tries stays where it is, and that is told: something binds it again and again, the
 * host can't do without it, or the helper does not agree.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/internal.h"
#include "util/log.h"

#define LATE_TRIES_MAX 3 /* for a device and a lease */

struct lease_device *late_find(const struct lease *lease, const char *address)
{
	for (size_t i = lease->n_devices; i < lease_n_all(lease); i++)
		if (!lease->devices[i]->lost && strcmp(lease->devices[i]->id.address, address) == 0)
			return lease->devices[i];
	return NULL;
}

bool late_gave_up(const struct lease_device *late)
{
	return !late->late.asked && late->late.n_tries >= LATE_TRIES_MAX;
}

struct lease_device *late_add(struct lease *lease, const struct device *device)
{
	struct lease_device *late = lease_add_parked(lease);

	if (!late) {
		log_error("out of memory: it is not remembered that %s came to group %u", device->id.address,
			  device->group->id);
		recover_retry_later(lease->broker);
		return NULL;
	}
	late->id = device->id;
	late->node = device->node;
	late->group = device->group->id;
	memcpy(late->driver, device->driver, sizeof(late->driver));
	late->conduct = violation_ruler(lease, late->group)->conduct;
	late->late.since = true;
	return late;
}

static struct event_member member_of(const struct lease_device *late, const char *driver)
{
	return (struct event_member){ .address = late->id.address, .group = late->group, .driver = driver };
}

static void tell_parked(const struct lease_device *late)
{
	const struct event_member member = member_of(late, DRIVER_PARKING);

	if (late->driver[0])
		event_member(late->lease, LOG_NOTICE, "memberParked", &member,
			     "%s was taken from %s and waits on pci-stub for the end of lease %llu", late->id.address,
			     late->driver, (unsigned long long)late->lease->id);
	else
		event_member(late->lease, LOG_NOTICE, "memberParked", &member,
			     "%s had no driver and waits on pci-stub for the end of lease %llu", late->id.address,
			     (unsigned long long)late->lease->id);
}

static void tell_not_parked(const struct lease_device *late, const struct helper_reply *reply)
{
	const struct event_member member = member_of(late, late->driver);
	char why[HELPER_DETAIL_MAX + 64];

	if (reply->status == HELPER_IN_USE)
		snprintf(why, sizeof(why), "the host uses it: %s", reply->detail);
	else if (reply->status == HELPER_FAULT)
		snprintf(why, sizeof(why), "step %s: %s", helper_step_name(reply->step), strerror(reply->error));
	else
		snprintf(why, sizeof(why), "%s", helper_status_text(reply->status));
	event_member(late->lease, LOG_ERR, "parkFailed", &member,
		     "%s can't be parked for lease %llu: %s; take it from its driver by hand", late->id.address,
		     (unsigned long long)late->lease->id, why);
}

/* Without it a restart would find the device in the helper's journal only, and put it back in the midst of the lease. */
static void note(struct lease *lease)
{
	int r = lease->noted ? ledger_note_lease(lease) : 0;

	if (r < 0)
		log_error("lease %llu can't be written down anew: %s", (unsigned long long)lease->id, strerror(-r));
}

/* It changed while the helper looked at it: what it is like now is seen in a moment, and tried again. */
static bool was_overtaken(const struct helper_reply *reply)
{
	return reply->status == HELPER_NO_SUCH_DEVICE || reply->status == HELPER_REPLACED ||
	       (reply->status == HELPER_FAULT && reply->step == HELPER_STEP_SNAPSHOT && reply->error == EAGAIN);
}

static void take_reply(struct lease_device *late, const struct helper_reply *reply)
{
	/* Where it could not be put back where it was, that is left for the end of the lease. */
	if (reply->status == HELPER_FAULT || reply->status == HELPER_TIMED_OUT)
		late->transaction = reply->transaction;
	if (reply->status == HELPER_OK) {
		/* What RESTORE binds: when it was parked already, what it was on before. */
		memcpy(late->driver, reply->driver, sizeof(late->driver));
		late->transaction = reply->transaction;
		note(late->lease);
		tell_parked(late);
	} else if (!was_overtaken(reply)) {
		/* Nothing is gained by asking again; the rest of the tries is for a driver that comes again. */
		late->late.n_tries = LATE_TRIES_MAX;
		tell_not_parked(late, reply);
	}
}

/* The helper comes back, the device's other job ends, or the helper has loaded the policy as well, first. */
static bool must_come_again(int error, const struct helper_reply *reply)
{
	return error < 0 || reply->status == HELPER_BUSY || reply->status == HELPER_POLICY_DIFFERS;
}

static bool is_ending(const struct lease *lease)
{
	return lease->state == LEASE_RELEASING || lease->state == LEASE_LINGERING;
}

static void replied(void *userdata, int error, const struct helper_reply *reply)
{
	struct lease_device *late = userdata;
	struct lease *lease = late->lease;
	struct broker *broker = lease->broker;
	unsigned int group = late->group;
	char address[DEVICE_ADDRESS_MAX];

	late->late.asked = false;
	memcpy(address, late->id.address, sizeof(address));
	if (must_come_again(error, reply)) {
		late->late.n_tries--;
		recover_retry_later(broker);
	} else {
		take_reply(late, reply);
	}
	if (is_ending(lease)) {
		release_continue(lease);
	} else if (!must_come_again(error, reply)) {
		/* Not -ENOENT alone: whatever goes wrong, the next event reads it again. Both may end the lease. */
		(void)registry_refresh(broker->registry, address);
		watch_judge_group(broker, group);
	}
}

/* What can't be sent now is asked again when the helper is there again. */
static void ask(struct lease_device *late, const struct lease_device *ruler)
{
	struct lease *lease = late->lease;
	struct broker *broker = lease->broker;
	int r = helper_client_park(broker->helper, lease->peer->socket_fd, late->id.address, ruler->id.address,
				   policy_digest(broker->policy), HELPER_LATE, replied, late);

	late->late.asked = r == 0;
	if (r < 0)
		recover_retry_later(broker);
	else
		late->late.n_tries++;
}

bool late_park(struct lease *lease, const struct device *device)
{
	struct lease_device *late = late_find(lease, device->id.address);
	const struct lease_device *ruler = violation_ruler(lease, device->group->id);

	if (late && late->late.asked)
		return true;
	if (!park_is_possible(device) || ruler->lost)
		return false;
	if (!late)
		late = late_add(lease, device);
	if (!late || late->late.n_tries >= LATE_TRIES_MAX)
		return false;
	ask(late, ruler);
	return true;
}

static void forgotten(void *userdata, int error, const struct helper_reply *reply)
{
	struct lease_device *device = userdata;
	struct lease *lease = device->lease;
	struct broker *broker = lease->broker;
	unsigned int group = device->group;

	if (error == 0 && reply->status == HELPER_TIMED_OUT)
		return; /* the last reply is still to come */
	device->restoring = false;
	if (error < 0 || reply->status == HELPER_BUSY) {
		recover_retry_later(broker);
		return;
	}
	device->transaction = 0;
	if (device->parked)
		lease_drop_parked(device);
	if (is_ending(lease))
		release_continue(lease);
	else
		watch_judge_group(broker, group); /* what is at its address now could not be parked before */
}

/* There is nothing to put back: the helper finds that the device is gone, and closes what it has of it. */
static void close_transaction(struct lease_device *device)
{
	if (device->restoring)
		return;
	device->restoring =
		helper_client_restore(device->lease->broker->helper, device->transaction, 0, forgotten, device) == 0;
	if (!device->restoring)
		recover_retry_later(device->lease->broker);
}

void late_forget_lost(struct lease *lease)
{
	for (size_t i = lease_n_all(lease); i-- > 0;) {
		struct lease_device *device = lease->devices[i];

		if (!device->lost || device->late.asked)
			continue;
		if (device->transaction)
			close_transaction(device);
		else if (device->parked)
			lease_drop_parked(device);
	}
}
