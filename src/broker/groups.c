/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which lease holds which group: a table by group number, since the kernel numbers groups densely from 0. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/internal.h"

#define GROUP_NUMBER_MAX (1u << 20)

struct group_state *group_state_get(struct broker *broker, unsigned int group)
{
	struct group_state *larger;
	size_t n = broker->n_groups ? broker->n_groups : 64;

	if (group < broker->n_groups)
		return &broker->groups[group];
	if (group >= GROUP_NUMBER_MAX)
		return NULL;
	while (n <= group)
		n *= 2;
	larger = reallocarray(broker->groups, n, sizeof(*larger));
	if (!larger)
		return NULL;
	for (size_t i = broker->n_groups; i < n; i++)
		larger[i] = (struct group_state){ .kept = -1 };
	broker->groups = larger;
	broker->n_groups = n;
	return &broker->groups[group];
}

void groups_free(struct broker *broker)
{
	for (size_t i = 0; i < broker->n_groups; i++)
		close_fd(broker->groups[i].kept);
	free(broker->groups);
}

int groups_hold(struct broker *broker, struct lease *lease)
{
	for (size_t i = 0; i < lease->n_devices; i++)
		if (!group_state_get(broker, lease->devices[i]->group))
			return -ENOMEM;
	for (size_t i = 0; i < lease->n_devices; i++)
		broker->groups[lease->devices[i]->group].holder = lease;
	return 0;
}

/* Only leases that recover.c found share a group: the devices of one former lease are one lease each by then. */
static struct lease *find_other_holder(struct broker *broker, const struct lease *lease, unsigned int group)
{
	struct lease *other;

	list_for_each(other, &broker->leases, link)
		if (other != lease && lease_holds_group(other, group))
			return other;
	return NULL;
}

void groups_let_go(struct broker *broker, struct lease *lease)
{
	for (size_t i = 0; i < lease->n_devices; i++) {
		struct group_state *state = group_state_get(broker, lease->devices[i]->group);

		if (state && state->holder == lease)
			state->holder = find_other_holder(broker, lease, lease->devices[i]->group);
	}
}

struct lease *broker_group_holder(const struct broker *broker, unsigned int group)
{
	return group < broker->n_groups ? broker->groups[group].holder : NULL;
}

/* What is remembered of a device that was taken from its driver; NULL: it was not. */
static const struct lease_device *find_taken(const struct broker *broker, const struct device *device)
{
	struct lease *holder = broker ? broker_group_holder(broker, device->group->id) : NULL;
	const struct lease_device *leased = holder ? lease_find_device(holder, device->id.address) : NULL;

	return leased && !lease_device_is_loose(leased) ? leased : NULL;
}

const char *broker_host_driver(const struct broker *broker, const struct device *device)
{
	const struct lease_device *taken = find_taken(broker, device);

	return taken ? taken->driver : device->driver;
}

struct policy_subject broker_policy_subject(const struct broker *broker, const struct device *device)
{
	const struct lease_device *taken = find_taken(broker, device);

	return (struct policy_subject){
		.id = &device->id,
		.driver = taken ? taken->driver : device->driver,
		.physical_function = device->physical_function,
		.path = device->path,
		.serial = taken ? taken->serial : device->serial,
		.numa_node = device->numa_node,
	};
}
