/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The last step of an acquire, with everything open: the kernel module claims the groups, everything is judged once more, and
 * only then the descriptors go out. From here on the lease is active; or acquire.c makes an end of it, and what was opened is
 * closed.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/internal.h"
#include "topology/mdev.h"
#include "util/log.h"

static bool is_where_it_belongs(const struct lease_device *leased, const struct device *device)
{
	return leased->parked ? strcmp(device->driver, DRIVER_PARKING) == 0 : device_is_on_vfio(device);
}

/* The devices themselves are those that were judged, and on vfio now; the parked ones are parked. */
static bool lease_devices_are_same(const struct lease *lease, struct broker *broker)
{
	for (size_t i = 0; i < lease_n_all(lease); i++) {
		const struct lease_device *leased = lease->devices[i];
		const struct device *device = registry_find_device(broker->registry, leased->id.address);

		if (!device || device->group->id != leased->group || device->node != leased->node ||
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
		.devices = acquire->demand->devices,
		.consent = acquire->demand->consent,
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

/* What the judgement has against it says more than the kernel's errno. */
static int claim_and_judge(struct acquire *acquire, const struct opened *opened)
{
	struct lease *lease = acquire->lease;
	struct refusal refusal = { 0 };
	int claimed = lease->opener->has_context ? claims_take(lease, opened->iommu_fd, &refusal) : 0;
	int r = claimed == -EAGAIN ? -EAGAIN : acquire_judge_again(acquire, lease->peer->identity);

	if (r == 0 && claimed < 0) {
		acquire->refusal = refusal;
		return claimed;
	}
	refusal_clear(&refusal);
	return r;
}

void grant_lease(struct acquire *acquire, struct opened *opened)
{
	struct lease *lease = acquire->lease;
	int r = claim_and_judge(acquire, opened);

	if (r == -EAGAIN) {
		opened_clear(opened);
		acquire_try_again_soon(acquire);
		return;
	}
	if (r == 0)
		r = node_labels_remember(lease);
	if (r == 0) {
		expiry_begin(lease);
		r = kept_lease(lease, &acquire->refusal);
	}
	if (r < 0) {
		opened_clear(opened);
		acquire_fail(acquire, r);
		return;
	}
	for (size_t i = 0; i < lease->n_devices; i++)
		lease->devices[i]->sysfs_fd = close_fd(lease->devices[i]->sysfs_fd);
	lease->acquire = NULL;
	lease_set_state(lease, LEASE_ACTIVE);
	event_lease(lease, LOG_INFO, "leaseGranted", "lease %llu granted to uid %u by %s",
		    (unsigned long long)lease->id, lease->uid, lease->opener->name);
	reset_granted(lease);
	acquire->done(acquire->userdata, 0, lease, opened, NULL);
	opened_clear(opened);
	acquire_free(acquire);
}
