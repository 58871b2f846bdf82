/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Taking a lease back from its client. First it is asked: by an event on its connection, and by the kernel, for the unbind that
 * begins at once has VFIO raise the device's request interrupt. When the time of the rule is over, the means of the rule follow
 * one after the other, each with the same time: a signal by the helper, which has a policy of its own and finds the process
 * by the client's socket. When there is none left it is reported, with whoever has the devices, and the lease lingers on.
 *
 * Only the one who connected is ever signalled, and only while its connection is there: without it nobody can prove who it was.
 */
#include <stdio.h>

#include "broker/internal.h"
#include "util/log.h"

/* A helper that is away can't signal: tried again after this time. */
#define RETRY_USEC 1000000

/* What follows when the client was asked in vain. */
enum means {
	MEANS_NONE,
	MEANS_TERMINATE,
	MEANS_KILL,
};

static const struct {
	enum means list[3]; /* in order, MEANS_NONE at the end */
	const char *warning;
} measures[] = {
	[POLICY_RELEASE_LEAVE] = { { MEANS_NONE }, "who still has them then is reported" },
	[POLICY_RELEASE_TERMINATE] = { { MEANS_TERMINATE, MEANS_NONE }, "its client gets SIGTERM otherwise" },
	[POLICY_RELEASE_KILL] = { { MEANS_TERMINATE, MEANS_KILL, MEANS_NONE },
				  "its client gets SIGTERM otherwise, and SIGKILL after the same time" },
};

static const char *signal_name(enum means means)
{
	return means == MEANS_KILL ? "SIGKILL" : "SIGTERM";
}

/* The device that the client keeps, by the strictest rule; NULL: all that it had are back, or wait for others only. */
static const struct lease_device *find_kept(const struct lease *lease)
{
	const struct lease_device *kept = NULL;

	for (size_t i = 0; i < lease->n_devices; i++) {
		const struct lease_device *device = lease->devices[i];

		if (device->transaction && !device->parked && !device->deferred &&
		    (!kept || device->conduct.on_release_timeout > kept->conduct.on_release_timeout))
			kept = device;
	}
	return kept;
}

static unsigned int shortest_timeout(const struct lease *lease)
{
	unsigned int timeout = UINT32_MAX;

	for (size_t i = 0; i < lease->n_devices; i++)
		if (lease->devices[i]->conduct.release_timeout_sec < timeout)
			timeout = lease->devices[i]->conduct.release_timeout_sec;
	return timeout;
}

static void wait_until(struct lease *lease, uint64_t usec_from_now)
{
	lease->revocation.due_usec = now_usec() + usec_from_now;
	release_schedule(lease);
}

static void wait_for_client(struct lease *lease)
{
	wait_until(lease, (uint64_t)lease->revocation.timeout_sec * 1000000);
}

/* Nothing more is done. The processes that have the devices now are looked for, and revoke_report() tells. */
static void give_up(struct lease *lease, const char *note)
{
	snprintf(lease->revocation.note, sizeof(lease->revocation.note), "%s", note);
	lease->revocation.reporting = true;
	lease->holders.n = 0;
	if (lease->state == LEASE_RELEASING)
		release_linger(lease);
	else
		holders_tell(lease);
}

bool revoke_report(struct lease *lease, const char *who)
{
	const char *note = lease->revocation.note;

	if (!lease->revocation.reporting)
		return false;
	lease->revocation.reporting = false;
	event_lease(
		lease, LOG_WARNING, "releaseIgnored",
		"lease %llu of uid %d was taken back, but descriptors of its devices are still out%s%s%s; they are free "
		"when the last one is closed",
		(unsigned long long)lease->id, (int)lease->uid, who, *note ? "; " : "", note);
	return true;
}

/* The helper went, and nobody knows whether before or after the signal, which does not matter: once more. */
static void helper_is_lost(struct broker *broker)
{
	struct lease *lease;

	list_for_each(lease, &broker->leases, link) {
		if (!lease->revocation.signalling)
			continue;
		lease->revocation.signalling = false;
		wait_until(lease, RETRY_USEC);
	}
}

static enum means next_means(const struct lease *lease, const struct lease_device *kept)
{
	return measures[kept->conduct.on_release_timeout].list[lease->revocation.n_means];
}

static void signalled(struct lease *lease, const struct lease_device *kept)
{
	event_lease(
		lease, LOG_WARNING, "clientSignalled",
		"pid %d of uid %d was sent %s, for it was asked to give %s of lease %llu back and did not within %u s",
		(int)lease->pid, (int)lease->uid, signal_name(next_means(lease, kept)), kept->id.address,
		(unsigned long long)lease->id, lease->revocation.timeout_sec);
	lease->revocation.n_means++;
	wait_for_client(lease);
}

/* `detail` is the helper's own sentence where it has one. */
static void not_signalled(struct lease *lease, const struct lease_device *kept, const struct helper_reply *reply)
{
	char note[sizeof(lease->revocation.note)];

	snprintf(note, sizeof(note), "no %s: %s", signal_name(next_means(lease, kept)),
		 reply->detail[0] ? reply->detail : helper_status_text(reply->status));
	give_up(lease, note);
}

static void signal_replied(void *userdata, int error, const struct helper_reply *reply)
{
	struct broker *broker = userdata;
	const struct lease_device *kept;
	struct lease *lease;

	if (error < 0) {
		helper_is_lost(broker);
		return;
	}
	lease = lease_of_transaction(broker, reply->transaction);
	if (!lease)
		return; /* it has come to its end meanwhile */
	lease->revocation.signalling = false;
	kept = find_kept(lease);
	if (!kept)
		return;
	if (reply->status == HELPER_OK)
		signalled(lease, kept);
	else
		not_signalled(lease, kept, reply);
}

static void send_signal(struct lease *lease, const struct lease_device *kept, enum means means)
{
	struct broker *broker = lease->broker;
	int r = helper_client_signal(broker->helper, lease->peer->socket_fd, kept->transaction,
				     policy_digest(broker->policy), means == MEANS_KILL ? HELPER_KILL : 0,
				     signal_replied, broker);

	lease->revocation.signalling = r == 0;
	if (r == 0)
		return;
	recover_retry_later(broker);
	wait_until(lease, RETRY_USEC);
}

void revoke_expire(struct lease *lease)
{
	const struct lease_device *kept = find_kept(lease);
	enum means means;

	lease->revocation.due_usec = UINT64_MAX;
	release_schedule(lease);
	if (!kept)
		return;
	means = next_means(lease, kept);
	if (means == MEANS_NONE)
		give_up(lease, "");
	else if (!lease->peer)
		give_up(lease, "the client that had them is gone, so nobody is signalled");
	else
		send_signal(lease, kept, means);
}

static void ask_client(struct lease *lease, const char *why)
{
	enum policy_on_release_timeout strictest = POLICY_RELEASE_LEAVE;

	for (size_t i = 0; i < lease->n_devices; i++)
		if (lease->devices[i]->conduct.on_release_timeout > strictest)
			strictest = lease->devices[i]->conduct.on_release_timeout;
	event_lease(
		lease, LOG_NOTICE, "releaseRequested",
		"lease %llu of uid %d is taken back: %s; the descriptors of its devices are to be closed within %u s, %s",
		(unsigned long long)lease->id, (int)lease->uid, why, lease->revocation.timeout_sec,
		measures[strictest].warning);
}

void revoke_begin(struct lease *lease, const char *why)
{
	if (lease->acquire) {
		acquire_call_off(lease->acquire, why);
		return;
	}
	if (lease->revocation.begun)
		return;
	lease->revocation.begun = true;
	lease->revocation.timeout_sec = shortest_timeout(lease);
	wait_for_client(lease);
	ask_client(lease, why);
	if (lease->state == LEASE_ACTIVE || lease->state == LEASE_VIOLATED)
		release_begin(lease);
}

bool broker_revoke(struct broker *broker, uint64_t id, uid_t by, const char *why)
{
	struct lease *lease = lease_by_number(broker, id);

	if (!lease)
		return false;
	if (!lease->revocation.begun) {
		lease->revocation.by_somebody = true;
		lease->revocation.by = by;
	}
	revoke_begin(lease, why);
	return true;
}
