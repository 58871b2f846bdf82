/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a lease that was just made to its descriptors: have the helper bind drivers, wait until udev has made the nodes ours,
 * open, set the client's limits, judge again, hand out. Whatever step fails, what was done before it is undone by release.c, and the
 * client gets one answer. An acquire owns its lease until it is active.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/internal.h"
#include "topology/mdev.h"
#include "util/log.h"

#define CLAIM_RETRY_USEC 10000

struct acquire *acquire_free(struct acquire *acquire)
{
	if (!acquire)
		return NULL;
	refusal_clear(&acquire->refusal);
	opened_clear(&acquire->opened);
	demand_free(acquire->demand);
	free(acquire);
	return NULL;
}

/* The device that was chosen can't be had after all: the client asked for any, so another one is tried. */
static void acquire_turn_elsewhere(struct acquire *acquire)
{
	struct broker *broker = acquire->lease->broker;
	struct lease *lease = acquire->lease;
	struct demand *demand = TAKE_PTR(acquire->demand);

	lease->acquire = NULL;
	acquire_free(acquire);
	release_failed(lease);
	demand_try(broker, demand);
}

/* The way out without a lease: the client is told, the rest is release.c's. */
void acquire_fail(struct acquire *acquire, int error)
{
	struct lease *lease = acquire->lease;
	struct refusal *refusal = &acquire->refusal;

	event_lease(lease, LOG_NOTICE, "leaseFailed", "lease %llu was not granted: %s", (unsigned long long)lease->id,
		    refusal->kind ? refusal->message : strerror(-error));
	if (acquire->done && acquire->elsewhere) {
		acquire_turn_elsewhere(acquire);
		return;
	}
	lease->acquire = NULL;
	if (acquire->done)
		acquire->done(acquire->userdata, refusal->kind ? 0 : error, NULL, NULL, refusal->kind ? refusal : NULL);
	acquire_free(acquire);
	release_failed(lease);
}

/* A driver is being bound to a member, or taken off: nothing tells when that is over. */
void acquire_try_again_soon(struct acquire *acquire)
{
	uint64_t soon = now_usec() + CLAIM_RETRY_USEC;

	acquire->unclaimed = true;
	acquire->lease->deadline_usec = soon < acquire->expires_usec ? soon : acquire->expires_usec;
}

void acquire_limited(struct acquire *acquire, struct opened *opened)
{
	if (acquire->done && !acquire->refusal.kind) {
		grant_lease(acquire, opened);
		return;
	}
	opened_clear(opened);
	acquire_fail(acquire, -ECANCELED);
}

static void acquire_open(struct acquire *acquire);

void acquire_opened(struct acquire *acquire, int result, struct opened *opened, const char *failed)
{
	struct lease *lease = acquire->lease;

	if (!acquire->done || acquire->refusal.kind) { /* nobody waits any more, or it was called off */
		opened_clear(opened);
		acquire_fail(acquire, -ECANCELED);
		return;
	}
	if (result == 0) {
		limits_begin(acquire, opened);
		return;
	}
	if (result == -ENOENT || result == -EACCES) { /* udev is on its way: acquire_retry(), or the deadline */
		if (acquire->overtaken)
			acquire_open(acquire);
		return;
	}
	memcpy(acquire->refusal.device, lease->devices[0]->id.address, sizeof(acquire->refusal.device));
	if (result == -EOPNOTSUPP) {
		refusal_set(&acquire->refusal, REFUSAL_BACKEND_UNAVAILABLE, "%s", failed);
		snprintf(acquire->refusal.word, sizeof(acquire->refusal.word), "%s", lease->opener->name);
	} else {
		refusal_set(&acquire->refusal, REFUSAL_PREPARE_FAILED, "%s: %s", failed, strerror(-result));
		snprintf(acquire->refusal.word, sizeof(acquire->refusal.word), "open");
		acquire->refusal.number = -result;
	}
	acquire_fail(acquire, result);
}

/* The folders of the devices are opened again for each try: a device that was replaced must not be opened. */
static int hold_folders(struct lease *lease)
{
	for (size_t i = 0; i < lease->n_devices; i++) {
		struct lease_device *device = lease->devices[i];
		const struct device *present = registry_find_device(lease->broker->registry, device->id.address);

		device->sysfs_fd = close_fd(device->sysfs_fd);
		device->sysfs_fd = present ? registry_open_device(lease->broker->registry, present) : -1;
		if (device->sysfs_fd < 0)
			return -ENODEV;
	}
	return 0;
}

/* Before it is opened, for that takes the groups' DMA. False: that is for later, or it has failed. */
static bool claim_for_container(struct acquire *acquire)
{
	int r = claims_take(acquire->lease, -1, &acquire->refusal);

	if (r == -EAGAIN)
		acquire_try_again_soon(acquire);
	else if (r < 0)
		acquire_fail(acquire, r);
	return r == 0;
}

/* Everything is bound: open, here or on a thread. */
static void acquire_open(struct acquire *acquire)
{
	struct lease *lease = acquire->lease;
	int r;

	/* A member of the group may turn out to be out still, from a former broker's time. */
	if (lease->broker->sweeping)
		return;
	acquire->unclaimed = false;
	acquire->overtaken = false;
	if (!lease->opener->has_context && !claim_for_container(acquire))
		return;
	r = hold_folders(lease);
	if (r < 0) {
		struct opened nothing;

		opened_init(&nothing);
		acquire_opened(acquire, r, &nothing, "the device is gone from sysfs");
		return;
	}
	r = open_begin(lease, &acquire->opening);
	if (r < 0)
		acquire_fail(acquire, r);
}

void acquire_retry(struct lease *lease)
{
	struct acquire *acquire = lease->acquire;

	if (!acquire || acquire->n_waiting > 0 || acquire->refusal.kind)
		return;
	if (acquire->opening)
		acquire->overtaken = true;
	else
		acquire_open(acquire);
}

/* Only a refusal for the time limit is worth a look for who has the device; its message has to wait for that. */
static bool must_look(const struct acquire *acquire)
{
	return acquire->done && !acquire->elsewhere && acquire->refusal.kind == REFUSAL_TIMED_OUT &&
	       lease_find_blocked(acquire->lease);
}

void acquire_holders_known(struct acquire *acquire)
{
	const struct lease *lease = acquire->lease;
	char step[sizeof(acquire->refusal.word)];

	if (must_look(acquire)) {
		memcpy(step, acquire->refusal.word, sizeof(step));
		refusal_from_timeout(&acquire->refusal, lease_find_blocked(lease), step, &lease->holders);
	}
	acquire_fail(acquire, -ETIMEDOUT);
}

static void send_requests(struct acquire *acquire);

/* All replies are here: go on, or back. */
static void acquire_prepared(struct acquire *acquire)
{
	if (must_look(acquire) && holders_ask(acquire->lease))
		return; /* acquire_holders_known(), or the deadline */
	if (acquire->refusal.kind || !acquire->done) {
		acquire_fail(acquire, -ECANCELED);
		return;
	}
	if (acquire->parking) {
		acquire->parking = false;
		send_requests(acquire);
		return;
	}
	for (size_t i = 0; i < acquire->lease->n_devices; i++)
		registry_refresh(acquire->lease->broker->registry, acquire->lease->devices[i]->id.address);
	acquire_open(acquire);
}

/* Another device may fare better: the host uses this one, or a step failed on it, its reset perhaps. */
static bool is_about_the_device(const struct helper_reply *reply)
{
	/* A busy helper that gives a reason has too many others. */
	return reply->status == HELPER_IN_USE || reply->status == HELPER_FAULT ||
	       (reply->status == HELPER_BUSY && !reply->detail[0]);
}

/* Also names the rule that allowed it, as far as it can be told now. */
static void refuse_unprepared(struct acquire *acquire, const struct lease_device *device,
			      const struct helper_reply *reply)
{
	struct lease *lease = acquire->lease;
	const struct lease_device *ruled = device->parked ? lease->devices[device->parked_for] : device;
	const struct device *present = registry_find_device(lease->broker->registry, ruled->id.address);
	struct policy_decision decision = { .action = POLICY_DENY };

	if (lease->peer && present)
		judge_decide(lease->broker, present, lease->peer->identity, &decision);
	refusal_from_helper(&acquire->refusal, device, reply, &decision);
	if (acquire->demand->pool && is_about_the_device(reply))
		acquire->elsewhere = pool_set_aside(acquire->demand, ruled->id.address) == 0;
}

static void prepare_replied(void *userdata, int error, const struct helper_reply *reply)
{
	struct lease_device *device = userdata;
	struct acquire *acquire = device->lease->acquire;

	if (error < 0) {
		refusal_set(&acquire->refusal, REFUSAL_PREPARE_FAILED,
			    "iommud-helper went away; its journal puts %s back when it is there again",
			    device->id.address);
		memcpy(acquire->refusal.device, device->id.address, sizeof(acquire->refusal.device));
		snprintf(acquire->refusal.word, sizeof(acquire->refusal.word), "helper");
		acquire->refusal.number = -error;
	} else {
		/* Also that of a fault: what the helper could not put back at once is put back as the lease ends. */
		device->transaction = reply->transaction;
		device->blocked = reply->status == HELPER_TIMED_OUT && reply->transaction;
		if (reply->status != HELPER_OK && !acquire->refusal.kind)
			refuse_unprepared(acquire, device, reply);
	}
	if (error == 0)
		reset_replied(device, reply, &acquire->refusal);
	if (--acquire->n_waiting == 0)
		acquire_prepared(acquire);
}

static int send_request(struct acquire *acquire, struct lease_device *device)
{
	struct lease *lease = acquire->lease;
	struct helper_client *helper = lease->broker->helper;

	if (device->parked)
		return helper_client_park(helper, lease->peer->socket_fd, device->id.address,
					  lease->devices[device->parked_for]->id.address, acquire->digest, 0,
					  prepare_replied, device);
	return helper_client_prepare(helper, lease->peer->socket_fd, device->id.address, acquire->digest,
				     reset_flags(device), prepare_replied, device);
}

/*
 * One job for each device, all bystanders at once, then all others at once: these would not be user space's alone as long as
 * one of those is on its driver. The first that can't be sent ends it, after the others came back.
 */
static void send_requests(struct acquire *acquire)
{
	struct lease *lease = acquire->lease;
	int r = 0;

	for (size_t i = 0; r == 0 && i < lease_n_all(lease); i++) {
		if (lease->devices[i]->parked != acquire->parking)
			continue;
		r = send_request(acquire, lease->devices[i]);
		if (r == 0)
			acquire->n_waiting++;
	}
	if (r == 0)
		return;
	refusal_set(&acquire->refusal, REFUSAL_PREPARE_FAILED,
		    "iommud-helper does not take requests (%s); see 'systemctl status iommud-helper.socket'",
		    strerror(-r));
	memcpy(acquire->refusal.device, lease->devices[0]->id.address, sizeof(acquire->refusal.device));
	snprintf(acquire->refusal.word, sizeof(acquire->refusal.word), "helper");
	acquire->refusal.number = -r;
	if (acquire->n_waiting == 0)
		acquire_fail(acquire, r);
}

void acquire_prepare(struct acquire *acquire)
{
	struct lease *lease = acquire->lease;

	lease_set_state(lease, LEASE_PREPARING);
	acquire->expires_usec = now_usec() + lease->broker->limits.prepare_timeout_usec;
	lease->deadline_usec = acquire->expires_usec;
	(void)broker_reach_helper(lease->broker);
	acquire->parking = lease->n_parked > 0;
	send_requests(acquire);
}

/* Nothing was left but to claim, or to open. */
static void refuse_late(struct acquire *acquire)
{
	const struct lease *lease = acquire->lease;

	if (acquire->unclaimed)
		refusal_set(&acquire->refusal, REFUSAL_TIMED_OUT,
			    "a member of a group of lease %llu was on its way to or from a driver all the time, so the "
			    "kernel module could not claim it; see 'iommuctl describe %s'",
			    (unsigned long long)lease->id, lease->devices[0]->id.address);
	else
		refusal_set(&acquire->refusal, REFUSAL_TIMED_OUT,
			    "the nodes of lease %llu below /dev did not become accessible in time; is systemd-udevd "
			    "running, and is the rule 70-iommud.rules installed?",
			    (unsigned long long)lease->id);
	snprintf(acquire->refusal.word, sizeof(acquire->refusal.word), acquire->unclaimed ? "claim" : "node");
}

void acquire_expire(struct lease *lease, uint64_t now)
{
	struct acquire *acquire = lease->acquire;

	if (now < acquire->expires_usec) {
		lease->deadline_usec = acquire->expires_usec;
		acquire_retry(lease);
		return;
	}
	lease->deadline_usec = UINT64_MAX;
	if (acquire->refusal.kind && acquire->n_waiting == 0 && !acquire->opening) {
		acquire_holders_known(acquire); /* as far as it is */
		return;
	}
	if (acquire->n_waiting > 0 || acquire->opening) {
		/* The helper has a limit of its own, and a thread can't be called back: answer now, undo when they return. */
		refusal_set(
			&acquire->refusal, REFUSAL_TIMED_OUT,
			"lease %llu was not ready in time; what was changed is put back as soon as the kernel lets go",
			(unsigned long long)lease->id);
		snprintf(acquire->refusal.word, sizeof(acquire->refusal.word), "prepare");
		if (acquire->done)
			acquire->done(acquire->userdata, 0, NULL, NULL, &acquire->refusal);
		acquire->done = NULL;
		return;
	}
	refuse_late(acquire);
	acquire_fail(acquire, -ETIMEDOUT);
}

void acquire_abandon(struct acquire *acquire)
{
	acquire->done = NULL;
	acquire->lease->peer = NULL;
	list_unlink(&acquire->lease->peer_link);
	if (acquire->n_waiting == 0 && !acquire->opening)
		acquire_fail(acquire, -ECANCELED);
}

void acquire_call_off(struct acquire *acquire, const char *why)
{
	struct lease *lease = acquire->lease;

	refusal_set(&acquire->refusal, REFUSAL_PREPARE_FAILED, "lease %llu was called off before it was granted: %s",
		    (unsigned long long)lease->id, why);
	memcpy(acquire->refusal.device, lease->devices[0]->id.address, sizeof(acquire->refusal.device));
	snprintf(acquire->refusal.word, sizeof(acquire->refusal.word), "revoked");
	acquire->refusal.number = ECANCELED;
	acquire->elsewhere = false;
	if (acquire->n_waiting == 0 && !acquire->opening)
		acquire_fail(acquire, -ECANCELED);
}
