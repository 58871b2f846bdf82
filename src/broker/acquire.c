/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a request to the descriptors: judge, take the group, have the helper bind drivers, wait until udev has made the
 * nodes ours, open, judge again, hand out. Whatever step fails, what was done before it is undone by release.c, and the
 * client gets one answer. An acquire owns its lease until it is active.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/internal.h"
#include "util/log.h"

static void free_texts(char **texts)
{
	for (char **text = texts; text && *text; text++)
		free(*text);
	free(texts);
}

static struct acquire *acquire_free(struct acquire *acquire)
{
	if (!acquire)
		return NULL;
	refusal_clear(&acquire->refusal);
	free_texts(acquire->devices);
	free(acquire->consent);
	free(acquire);
	return NULL;
}

/* The way out without a lease: the client is told, the rest is release.c's. */
static void acquire_fail(struct acquire *acquire, int error)
{
	struct lease *lease = acquire->lease;
	struct refusal *refusal = &acquire->refusal;

	event_lease(lease, LOG_NOTICE, "leaseFailed", "lease %llu was not granted: %s", (unsigned long long)lease->id,
		    refusal->kind ? refusal->message : strerror(-error));
	lease->acquire = NULL;
	if (acquire->done)
		acquire->done(acquire->userdata, refusal->kind ? 0 : error, NULL, NULL, refusal->kind ? refusal : NULL);
	acquire_free(acquire);
	release_failed(lease);
}

static bool is_where_it_belongs(const struct lease_device *leased, const struct device *device)
{
	return leased->parked ? strcmp(device->driver, "pci-stub") == 0 : driver_is_vfio(device->driver);
}

/* The devices themselves are those that were judged, and on vfio now; the parked ones are parked. */
static bool lease_devices_are_same(const struct lease *lease, struct broker *broker)
{
	for (size_t i = 0; i < lease_n_all(lease); i++) {
		const struct lease_device *leased = lease->devices[i];
		const struct device *device = registry_find_device(broker->registry, leased->id.address);

		if (!device || device->group->id != leased->group ||
		    memcmp(&device->id, &leased->id, sizeof(device->id)) != 0 || !is_where_it_belongs(leased, device))
			return false;
	}
	return true;
}

/* The world may have changed since the first judgement: devices, members, drivers, policy. 0 when all still holds. */
static int acquire_judge_again(struct acquire *acquire, const struct identity *identity)
{
	struct lease *lease = acquire->lease;
	struct judgement again = {
		.identity = identity,
		.devices = (const char *const *)acquire->devices,
		.consent = acquire->consent,
		.backend = lease->opener->name,
		.self = lease,
	};
	int r = judge(lease->broker, &again);
	bool same_label;

	if (r == 0 && again.refusal.kind) {
		refusal_clear(&acquire->refusal);
		acquire->refusal = again.refusal;
		return -ESTALE;
	}
	if (r < 0) {
		refusal_clear(&again.refusal);
		return r;
	}
	same_label = (!again.label && !lease->label) ||
		     (again.label && lease->label && strcmp(again.label, lease->label) == 0);
	if (same_label && lease_devices_are_same(lease, lease->broker))
		return 0;
	refusal_set(&acquire->refusal, REFUSAL_PREPARE_FAILED,
		    "device, driver or label of lease %llu changed while it was prepared; ask again",
		    (unsigned long long)lease->id);
	snprintf(acquire->refusal.word, sizeof(acquire->refusal.word), "recheck");
	acquire->refusal.number = ESTALE;
	return -ESTALE;
}

static void acquire_grant(struct acquire *acquire, struct opened *opened)
{
	struct lease *lease = acquire->lease;
	int r = acquire_judge_again(acquire, lease->peer->identity);

	if (r < 0) {
		opened_clear(opened);
		acquire_fail(acquire, r);
		return;
	}
	for (size_t i = 0; i < lease->n_devices; i++)
		lease->devices[i]->sysfs_fd = close_fd(lease->devices[i]->sysfs_fd);
	lease->deadline_usec = UINT64_MAX;
	lease->acquire = NULL;
	lease_set_state(lease, LEASE_ACTIVE);
	event_lease(lease, LOG_INFO, "leaseGranted", "lease %llu granted to uid %u by %s",
		    (unsigned long long)lease->id, lease->uid, lease->opener->name);
	acquire->done(acquire->userdata, 0, lease, opened, NULL);
	opened_clear(opened);
	acquire_free(acquire);
}

void acquire_opened(struct acquire *acquire, int result, struct opened *opened, const char *failed)
{
	struct lease *lease = acquire->lease;

	if (!acquire->done || acquire->refusal.kind) { /* nobody waits any more, or it was called off */
		opened_clear(opened);
		acquire_fail(acquire, -ECANCELED);
		return;
	}
	if (result == 0) {
		acquire_grant(acquire, opened);
		return;
	}
	if (result == -ENOENT || result == -EACCES) /* udev is on its way: acquire_retry(), or the deadline */
		return;
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

/* Everything is bound: open, here or on a thread. */
static void acquire_open(struct acquire *acquire)
{
	struct lease *lease = acquire->lease;
	int r;

	/* A member of the group may turn out to be out still, from a former broker's time. */
	if (lease->broker->sweeping)
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

	if (acquire && acquire->n_waiting == 0 && !acquire->opening)
		acquire_open(acquire);
}

static void send_requests(struct acquire *acquire);

/* All replies are here: go on, or back. */
static void acquire_prepared(struct acquire *acquire)
{
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
	} else if (reply->status == HELPER_OK) {
		device->transaction = reply->transaction;
	} else if (!acquire->refusal.kind) {
		refuse_unprepared(acquire, device, reply);
	}
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
	return helper_client_prepare(helper, lease->peer->socket_fd, device->id.address, acquire->digest, 0,
				     prepare_replied, device);
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

static void acquire_prepare(struct acquire *acquire)
{
	struct lease *lease = acquire->lease;

	lease_set_state(lease, LEASE_PREPARING);
	lease->deadline_usec = now_usec() + lease->broker->limits.prepare_timeout_usec;
	if (!helper_client_is_connected(lease->broker->helper) && helper_client_connect(lease->broker->helper) == 0)
		broker_helper_connected(lease->broker);
	acquire->parking = lease->n_parked > 0;
	send_requests(acquire);
}

void acquire_expire(struct lease *lease)
{
	struct acquire *acquire = lease->acquire;

	lease->deadline_usec = UINT64_MAX;
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
	refusal_set(
		&acquire->refusal, REFUSAL_TIMED_OUT,
		"the nodes of lease %llu below /dev did not become accessible in time; is systemd-udevd running, and is "
		"the rule 70-iommud.rules installed?",
		(unsigned long long)lease->id);
	snprintf(acquire->refusal.word, sizeof(acquire->refusal.word), "node");
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
	if (acquire->n_waiting == 0 && !acquire->opening)
		acquire_fail(acquire, -ECANCELED);
}

static char **copy_texts(const char *const *texts, size_t n)
{
	char **copy = calloc(n + 1, sizeof(*copy));

	for (size_t i = 0; copy && i < n; i++) {
		copy[i] = strdup(texts[i]);
		if (!copy[i]) {
			free_texts(copy);
			return NULL;
		}
	}
	return copy;
}

static struct acquire *acquire_new(const struct acquire_request *request, const struct judgement *judgement,
				   const struct policy *policy)
{
	struct acquire *acquire = calloc(1, sizeof(*acquire));

	if (!acquire)
		return NULL;
	acquire->devices = copy_texts(request->devices, request->n_devices);
	acquire->consent = request->consent ? strdup(request->consent) : NULL;
	acquire->backends = judgement->backends;
	memcpy(acquire->digest, policy_digest(policy), DIGEST_SIZE);
	if (!acquire->devices || (request->consent && !acquire->consent))
		return acquire_free(acquire);
	return acquire;
}

/* Builds privately, publishes last: a lease is in the lists only when nothing can fail any more. */
static int lease_begin(struct broker *broker, struct peer *peer, const struct acquire_request *request,
		       const struct judgement *judgement, struct acquire **ret)
{
	struct lease *lease = lease_make(broker, peer, judgement, request->n_devices);
	struct acquire *acquire = acquire_new(request, judgement, broker->policy);
	int r = lease && acquire ? 0 : -ENOMEM;

	if (r == 0)
		r = quota_take(&broker->quota, peer->identity->uid);
	if (r == 0) {
		r = groups_hold(broker, lease);
		if (r < 0)
			quota_give(&broker->quota, peer->identity->uid);
	}
	if (r < 0) {
		lease_free(lease);
		acquire_free(acquire);
		return r;
	}
	lease->id = ++broker->last_lease;
	lease->acquire = acquire;
	acquire->lease = lease;
	list_append(&broker->leases, &lease->link);
	list_append(&peer->leases, &lease->peer_link);
	*ret = acquire;
	return 0;
}

static bool is_repeated(const struct acquire_request *request)
{
	for (size_t i = 0; i < request->n_devices; i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp(request->devices[i], request->devices[j]) == 0)
				return true;
	return false;
}

static void check_request(struct broker *broker, struct peer *peer, const struct acquire_request *request,
			  struct refusal *refusal)
{
	if (request->n_devices == 0 || request->n_devices > OPENER_DEVICES_MAX || is_repeated(request)) {
		snprintf(refusal->word, sizeof(refusal->word), "devices");
		refusal->number = OPENER_DEVICES_MAX;
		refusal_set(refusal, REFUSAL_QUOTA, "a request names 1 to %d different devices", OPENER_DEVICES_MAX);
	} else if (quota_count(&broker->quota, peer->identity->uid) >= broker->limits.leases_per_uid) {
		snprintf(refusal->word, sizeof(refusal->word), "leases");
		refusal->number = broker->limits.leases_per_uid;
		refusal_set(refusal, REFUSAL_QUOTA,
			    "uid %u has %u leases, as many as MaxLeasesPerUser= in iommud.conf admits; release one",
			    peer->identity->uid, broker->limits.leases_per_uid);
	}
}

void broker_acquire(struct broker *broker, struct peer *peer, const struct acquire_request *request,
		    acquire_done_fn done, void *userdata)
{
	const char *devices[OPENER_DEVICES_MAX + 1] = { NULL };
	struct judgement judgement = {
		.identity = peer->identity,
		.devices = devices,
		.backend = request->backend,
		.consent = request->consent,
	};
	struct acquire *acquire = NULL;
	int r = 0;

	check_request(broker, peer, request, &judgement.refusal);
	if (!judgement.refusal.kind) {
		memcpy(devices, request->devices, request->n_devices * sizeof(*devices));
		r = judge(broker, &judgement);
	}
	if (r == 0 && !judgement.refusal.kind)
		r = lease_begin(broker, peer, request, &judgement, &acquire);
	if (r < 0 || judgement.refusal.kind) {
		if (r == 0)
			event_denied(broker, peer->identity, &judgement.refusal);
		done(userdata, r, NULL, NULL, r < 0 ? NULL : &judgement.refusal);
		refusal_clear(&judgement.refusal);
		return;
	}
	acquire->done = done;
	acquire->userdata = userdata;
	acquire_prepare(acquire);
}
