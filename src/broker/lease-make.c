/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a judgement that granted to the lease in the making: what it hands out, whom it parks, and by which terms. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/internal.h"
#include "topology/mdev.h"
#include "util/cleanup.h"

static void fill_device(struct lease_device *leased, const struct device *device)
{
	leased->id = device->id;
	leased->node = device->node;
	leased->group = device->group->id;
	leased->mdev = device_is_mdev(device);
	memcpy(leased->driver, device->driver, sizeof(device->driver));
	memcpy(leased->serial, device->serial, sizeof(device->serial));
	memcpy(leased->bus, device->bus, sizeof(device->bus));
}

static void fill_parked(struct lease_device *leased, const struct parking *parking)
{
	fill_device(leased, parking->device);
	leased->parked_for = parking->for_device;
}

/* Of all its devices' rules together. */
static int fill_allowed_drivers(struct lease *lease, const struct judgement *judgement)
{
	size_t n = 0;

	for (size_t i = 0; i < lease->n_devices; i++)
		for (const char *const *driver = judgement->terms[i].allowed_drivers; driver && *driver; driver++)
			n++;
	if (n == 0)
		return 0;
	lease->allowed_drivers = calloc(n + 1, sizeof(*lease->allowed_drivers));
	n = 0;
	for (size_t i = 0; lease->allowed_drivers && i < lease->n_devices; i++)
		for (const char *const *driver = judgement->terms[i].allowed_drivers; driver && *driver; driver++) {
			lease->allowed_drivers[n] = strdup(*driver);
			if (!lease->allowed_drivers[n++])
				return -ENOMEM;
		}
	return lease->allowed_drivers ? 0 : -ENOMEM;
}

static void fill_conduct(struct lease *lease, const struct judgement *judgement)
{
	for (size_t i = 0; i < lease_n_all(lease); i++) {
		struct lease_device *device = lease->devices[i];

		device->conduct = judgement->terms[device->parked ? device->parked_for : i].conduct;
	}
}

/* Whether none of the devices before it has the same bus reset. */
static bool is_first_of_bus(const struct lease *lease, size_t i, const struct device *device)
{
	for (size_t j = 0; j < i; j++) {
		const struct lease_device *other = lease->devices[j];

		if (other->reset == DEVICE_RESET_BUS &&
		    strcmp(registry_find_device(lease->broker->registry, other->id.address)->upstream,
			   device->upstream) == 0)
			return false;
	}
	return true;
}

static int fill_reset(struct lease *lease, const struct judgement *judgement)
{
	for (size_t i = 0; i < lease->n_devices; i++) {
		struct lease_device *leased = lease->devices[i];
		const struct device *device = registry_find_device(lease->broker->registry, leased->id.address);
		int r = reset_plan(lease->broker, judgement, device, leased->conduct.reset, &leased->reset);

		if (r < 0)
			return r;
		leased->resets_bus = leased->reset == DEVICE_RESET_BUS && is_first_of_bus(lease, i, device);
	}
	return 0;
}

static int lease_fill(struct lease *lease, struct peer *peer, const struct judgement *judgement,
		      const struct parking *parkings)
{
	lease->peer = peer;
	lease->uid = peer->identity->uid;
	lease->pid = peer->identity->pid;
	lease->opener = judgement->opener;
	lease->label = judgement->label ? strdup(judgement->label) : NULL;
	for (size_t i = 0; i < lease->n_devices; i++) {
		const struct device *device = registry_find_device(lease->broker->registry, judgement->devices[i]);

		fill_device(lease->devices[i], device);
		lease->devices[i]->singleton = judgement->terms[i].scope == POLICY_SINGLETON;
		if (sriov_fill(lease->broker, device, lease->devices[i]) < 0)
			return -EIO;
	}
	for (size_t i = 0; i < lease->n_parked; i++)
		fill_parked(lease->devices[lease->n_devices + i], &parkings[i]);
	fill_conduct(lease, judgement);
	if (fill_reset(lease, judgement) < 0 || (judgement->label && !lease->label))
		return -ENOMEM;
	return fill_allowed_drivers(lease, judgement);
}

struct lease *lease_make(struct broker *broker, struct peer *peer, const struct judgement *judgement, size_t n_devices)
{
	_cleanup_free_ struct parking *parkings = NULL;
	struct lease *lease = NULL;
	size_t n_parked = 0;

	if (park_plan(broker, judgement, &parkings, &n_parked) == 0)
		lease = lease_new(broker, n_devices, n_parked);
	if (lease && lease_fill(lease, peer, judgement, parkings) < 0)
		lease = lease_free(lease);
	return lease;
}
