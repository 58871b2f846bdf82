/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between opening and handing out: what the client may pin. The helper raises its RLIMIT_MEMLOCK, and has the kernel count
 * what is pinned through the new iommufd by process, as far as the rules say so; it derives process, amount and mode itself.
 * What was opened waits here meanwhile. Where one of it can't be done, the client gets nothing: it would fail later, in the
 * midst of setting up its memory, with an error that says nothing of limits.
 *
 * A limit is not lowered again when the lease ends: what is pinned still, by this lease or by another one of the process,
 * counts against it, a lower limit would fail what has nothing to do with the lease, and children have inherited it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/internal.h"

#define STEP_MEMLOCK "memlock"
#define STEP_RLIMIT_MODE "rlimit-mode"

static void limits_done(struct acquire *acquire)
{
	struct opened opened = acquire->opened;

	opened_init(&acquire->opened);
	acquire_limited(acquire, &opened);
}

/* A second reason does not matter. */
static void refuse(struct acquire *acquire, const struct lease_device *device, const char *step, int error,
		   const char *why)
{
	struct refusal *refusal = &acquire->refusal;
	bool memlock = strcmp(step, STEP_MEMLOCK) == 0;

	if (refusal->kind)
		return;
	memcpy(refusal->device, device->id.address, sizeof(refusal->device));
	snprintf(refusal->word, sizeof(refusal->word), "%s", step);
	refusal->number = error;
	if (memlock)
		refusal_set(
			refusal, REFUSAL_PREPARE_FAILED,
			"%s: RLIMIT_MEMLOCK of pid %d could not be raised as MemlockLimit= in %s says: %s; what was changed "
			"has been put back; without that key, the limit is what the client was started with "
			"(LimitMEMLOCK=, 'ulimit -l')",
			device->id.address, (int)acquire->lease->pid, device->rule, why);
	else
		refusal_set(
			refusal, REFUSAL_PREPARE_FAILED,
			"%s: the iommufd could not be set to RlimitMode=mm as %s says: %s; what was changed has been "
			"put back; without that key, the kernel counts by user",
			device->id.address, device->rule, why);
}

static void replied(struct lease_device *device, const char *step, int error, const struct helper_reply *reply)
{
	struct acquire *acquire = device->lease->acquire;
	char why[HELPER_DETAIL_MAX + 80];

	if (error < 0) {
		refuse(acquire, device, step, -error, "iommud-helper went away");
	} else if (reply->status != HELPER_OK) {
		snprintf(why, sizeof(why), "%s%s%s",
			 reply->status == HELPER_FAULT ? "" : helper_status_text(reply->status),
			 reply->status == HELPER_FAULT || !reply->detail[0] ? "" : ": ", reply->detail);
		refuse(acquire, device, step, reply->error, why);
	}
	if (--acquire->n_waiting == 0)
		limits_done(acquire);
}

static void memlock_replied(void *userdata, int error, const struct helper_reply *reply)
{
	replied(userdata, STEP_MEMLOCK, error, reply);
}

static void rlimit_mode_replied(void *userdata, int error, const struct helper_reply *reply)
{
	replied(userdata, STEP_RLIMIT_MODE, error, reply);
}

static void sent(struct acquire *acquire, const struct lease_device *device, const char *step, int r)
{
	char why[128];

	if (r == 0) {
		acquire->n_waiting++;
		return;
	}
	snprintf(why, sizeof(why), "iommud-helper does not take requests (%s)", strerror(-r));
	refuse(acquire, device, step, -r, why);
}

static void set_memlock(struct acquire *acquire, struct lease_device *device)
{
	const struct lease *lease = acquire->lease;

	if (device->limits.memlock != POLICY_MEMLOCK_LEAVE)
		sent(acquire, device, STEP_MEMLOCK,
		     helper_client_memlock(lease->broker->helper, lease->peer->socket_fd, device->transaction,
					   acquire->digest, memlock_replied, device));
}

/* The first rule that says so counts: all devices of a lease share one iommufd. */
static struct lease_device *find_by_process(const struct acquire *acquire)
{
	for (size_t i = 0; i < acquire->lease->n_devices && acquire->opened.iommu_fd >= 0; i++)
		if (acquire->lease->devices[i]->limits.rlimit_mode == POLICY_RLIMIT_MM)
			return acquire->lease->devices[i];
	return NULL;
}

static void set_rlimit_mode(struct acquire *acquire, struct lease_device *device)
{
	const struct lease *lease = acquire->lease;

	sent(acquire, device, STEP_RLIMIT_MODE,
	     helper_client_rlimit_mode(lease->broker->helper, lease->peer->socket_fd, acquire->opened.iommu_fd,
				       device->transaction, acquire->digest, rlimit_mode_replied, device));
}

void limits_begin(struct acquire *acquire, struct opened *opened)
{
	struct lease_device *by_process;

	acquire->opened = *opened;
	opened_init(opened);
	for (size_t i = 0; i < acquire->lease->n_devices; i++)
		set_memlock(acquire, acquire->lease->devices[i]);
	by_process = find_by_process(acquire);
	if (by_process)
		set_rlimit_mode(acquire, by_process);
	if (acquire->n_waiting == 0)
		limits_done(acquire);
}
