/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The lease object and its state table. What happens in a state is in acquire.c and release.c. */
#include "broker/lease.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker/internal.h"
#include "util/cleanup.h"
#include "util/log.h"

#define TO(state) (1u << LEASE_##state)

/* Which state may follow which. A lease that came out of the helper's journal begins at requested, too. */
static const struct {
	const char *name;
	unsigned int next;
} lease_states[LEASE_STATES] = {
	[LEASE_REQUESTED] = { "requested", TO(PREPARING) | TO(RELEASING) | TO(FAILED) },
	[LEASE_PREPARING] = { "preparing", TO(ACTIVE) | TO(RELEASING) | TO(FAILED) },
	[LEASE_ACTIVE] = { "active", TO(VIOLATED) | TO(RELEASING) },
	[LEASE_VIOLATED] = { "violated", TO(ACTIVE) | TO(RELEASING) },
	[LEASE_RELEASING] = { "releasing", TO(LINGERING) | TO(RELEASED) },
	[LEASE_LINGERING] = { "lingering", TO(RELEASED) },
	[LEASE_RELEASED] = { "released", 0 },
	[LEASE_FAILED] = { "failed", 0 },
};

static struct lease_device *add_device(struct lease *lease, bool parked)
{
	struct lease_device *device = calloc(1, sizeof(*device));
	struct lease_device **larger = reallocarray(lease->devices, lease_n_all(lease) + 1, sizeof(*larger));

	if (larger)
		lease->devices = larger;
	if (!larger || !device) {
		free(device);
		return NULL;
	}
	device->lease = lease;
	device->parked = parked;
	device->sysfs_fd = -1;
	device->claim = -1;
	lease->devices[lease_n_all(lease)] = device;
	if (parked)
		lease->n_parked++;
	else
		lease->n_devices++;
	return device;
}

static void free_device(struct lease_device *device)
{
	close_fd(device->sysfs_fd);
	close_fd(device->claim);
	free(device->rule);
	free(device);
}

struct lease_device *lease_add_parked(struct lease *lease)
{
	return add_device(lease, true);
}

void lease_drop_parked(struct lease_device *device)
{
	struct lease *lease = device->lease;
	size_t n = lease_n_all(lease), i = 0;

	while (lease->devices[i] != device)
		i++;
	memmove(&lease->devices[i], &lease->devices[i + 1], (n - i - 1) * sizeof(lease->devices[0]));
	lease->n_parked--;
	free_device(device);
}

struct lease *lease_new(struct broker *broker, size_t n_devices, size_t n_parked)
{
	struct lease *lease = calloc(1, sizeof(*lease));

	if (!lease)
		return NULL;
	list_init(&lease->link);
	list_init(&lease->peer_link);
	lease->broker = broker;
	lease->uid = (uid_t)-1;
	lease->deadline_usec = UINT64_MAX;
	lease->linger_usec = UINT64_MAX;
	lease->revocation.due_usec = UINT64_MAX;
	for (size_t i = 0; i < n_devices + n_parked; i++)
		if (!add_device(lease, i >= n_devices))
			return lease_free(lease);
	return lease;
}

struct lease *lease_free(struct lease *lease)
{
	if (!lease)
		return NULL;
	list_unlink(&lease->link);
	list_unlink(&lease->peer_link);
	for (size_t i = 0; i < lease_n_all(lease); i++)
		free_device(lease->devices[i]);
	free(lease->devices);
	for (char **driver = lease->allowed_drivers; driver && *driver; driver++)
		free(*driver);
	free(lease->allowed_drivers);
	free(lease->unit);
	node_labels_forget(lease);
	free(lease->label);
	free(lease);
	return NULL;
}

void lease_holders_text(const struct lease_holders *holders, char ret[LEASE_HOLDERS_TEXT])
{
	_Static_assert(sizeof(holders->texts[0]) + 2 <= LEASE_HOLDERS_TEXT / HELPER_HOLDERS_MAX,
		       "a text and a comma fit");

	ret[0] = '\0';
	for (size_t i = 0; i < holders->n; i++)
		strcat(strcat(ret, i ? ", " : ""), holders->texts[i]);
}

bool lease_can_become(enum lease_state from, enum lease_state to)
{
	return lease_states[from].next & (1u << to);
}

void lease_set_state(struct lease *lease, enum lease_state state)
{
	if (!lease_can_become(lease->state, state)) {
		log_line(LOG_CRIT, "lease %llu can't go from %s to %s: this is a bug", (unsigned long long)lease->id,
			 lease_state_name(lease->state), lease_state_name(state));
		abort();
	}
	lease->state = state;
}

bool lease_holds_group(const struct lease *lease, unsigned int group)
{
	for (size_t i = 0; i < lease->n_devices; i++)
		if (lease->devices[i]->group == group)
			return true;
	return false;
}

bool lease_is_first_of_group(const struct lease *lease, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (lease->devices[j]->group == lease->devices[i]->group)
			return false;
	return true;
}

const struct lease_device *lease_find_blocked(const struct lease *lease)
{
	for (size_t i = 0; i < lease_n_all(lease); i++)
		if (lease->devices[i]->blocked)
			return lease->devices[i];
	return NULL;
}

struct lease_device *lease_find_device(struct lease *lease, const char *address)
{
	for (size_t i = 0; i < lease_n_all(lease); i++)
		if (!lease->devices[i]->lost && strcmp(lease->devices[i]->id.address, address) == 0)
			return lease->devices[i];
	return NULL;
}

const char *lease_state_name(enum lease_state state)
{
	return lease_states[state].name;
}
