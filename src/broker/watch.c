/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Follows the devices: every change of the registry becomes an event, and a new verdict on its group, which is published
 * when it differs from the last one. What it means for who has leased the group is violation.c's.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/internal.h"
#include "util/log.h"

/* FNV-1a over what makes two verdicts differ for a reader. Kept instead of the verdict, which is a hundred times larger. */
static uint64_t fingerprint(const struct verdict *verdict)
{
	uint64_t hash = 14695981039346656037ull;

	for (size_t i = 0; i < verdict->n_blockers; i++)
		for (const char *c = verdict->blockers[i].message; *c; c++)
			hash = (hash ^ (unsigned char)*c) * 1099511628211ull;
	return hash ^ verdict->n_blockers;
}

static void publish_verdict(struct broker *broker, const struct group *group, const struct verdict *verdict)
{
	const struct device *first = list_first_entry(&group->devices, struct device, group_link);
	char message[640];

	if (verdict_is_viable(verdict))
		snprintf(message, sizeof(message), "group %u is viable", group->id);
	else
		snprintf(message, sizeof(message), "group %u is not viable: %s; %s", group->id,
			 verdict->blockers[0].message, verdict->blockers[0].remedy);
	event_publish(broker, LOG_INFO,
		      (struct broker_event){ .name = "verdictChanged",
					     .device = first->id.address,
					     .group = group->id,
					     .lease = -1,
					     .uid = -1,
					     .viable = verdict_is_viable(verdict),
					     .message = message });
}

static void follow_verdict(struct broker *broker, unsigned int id)
{
	const struct group *group = registry_find_group(broker->registry, id);
	struct group_state *state = group_state_get(broker, id);
	struct verdict verdict = { 0 };
	uint64_t found;
	bool changed;

	if (!group || !state || list_is_empty(&group->devices) || broker_judge_group(broker, group, &verdict) < 0)
		return;
	found = fingerprint(&verdict);
	changed = state->known && state->fingerprint != found;
	state->fingerprint = found;
	state->known = true;
	if (changed)
		publish_verdict(broker, group, &verdict);
	verdict_clear(&verdict);
}

void watch_judge_group(struct broker *broker, unsigned int id)
{
	struct lease *holder = broker_group_holder(broker, id);

	follow_verdict(broker, id);
	/* Also when the group went with its last device. */
	if (holder)
		violation_examine(holder);
}

/* What a change is called, and how it reads. */
static void publish_change(struct broker *broker, enum registry_change change, const struct device *device,
			   const char *former_driver)
{
	const char *address = device->id.address;
	unsigned int group = device->group->id;
	char parent[128];

	switch (change) {
	case DEVICE_ADDED:
		event_device(broker, LOG_INFO, "deviceAdded", device, "%s joined group %u%s", address, group,
			     sriov_describe_parent(broker, device, parent, sizeof(parent)));
		break;
	case DEVICE_REMOVED:
		event_device(broker, LOG_INFO, "deviceRemoved", device, "%s left group %u", address, group);
		break;
	case DEVICE_BOUND:
		event_device(broker, LOG_INFO, "driverBound", device, "%s is bound to %s", address, device->driver);
		break;
	case DEVICE_UNBOUND:
		event_device(broker, LOG_INFO, "driverUnbound", device, "%s is no longer bound to %s", address,
			     former_driver);
		break;
	case DEVICE_CHANGED:
		event_device(broker, LOG_DEBUG, "deviceChanged", device, "%s changed", address);
		break;
	}
}

static void registry_changed(void *userdata, enum registry_change change, const struct device *device,
			     const char *former_driver)
{
	struct broker *broker = userdata;
	unsigned int group = device->group->id;
	struct lease *holder = broker_group_holder(broker, group);

	/* Whatever comes to that address next has another past, or one that is not known. */
	if (change == DEVICE_REMOVED)
		past_forget(&broker->past, device->id.address);
	publish_change(broker, change, device, former_driver);
	if (change == DEVICE_ADDED && holder)
		violation_joined(holder, device);
	watch_judge_group(broker, group);
	wait_touch(broker, group);
	sriov_followed(broker, change, device);
}

void watch_begin(struct broker *broker)
{
	const struct group *group;

	list_for_each(group, registry_groups(broker->registry), link)
		watch_judge_group(broker, group->id);
	registry_set_listener(broker->registry, registry_changed, broker);
}

void broker_device_changed(struct broker *broker, const char *address)
{
	const struct device *known = registry_find_device(broker->registry, address);
	char parent[DEVICE_ADDRESS_MAX] = "";
	int r;

	/* The link to it is gone before the device is. */
	if (known)
		memcpy(parent, known->physical_function, sizeof(parent));
	r = registry_refresh(broker->registry, address);
	if (r < 0 && r != -ENOENT)
		log_warning("%s could not be read from sysfs: %s", address, strerror(-r));
	sriov_judge_parent(broker, parent);
}

void broker_resync(struct broker *broker)
{
	int r = registry_scan(broker->registry);

	if (r < 0)
		log_error("sysfs could not be scanned after events were lost: %s", strerror(-r));
	event_publish(broker, LOG_NOTICE,
		      (struct broker_event){ .name = "resynced",
					     .group = -1,
					     .lease = -1,
					     .uid = -1,
					     .viable = -1,
					     .message = "device events were lost; everything was read anew" });
	broker_node_ready(broker);
}

void broker_node_ready(struct broker *broker)
{
	struct lease *lease, *following;

	list_for_each_safe(lease, following, &broker->leases, link)
		if (lease->state == LEASE_PREPARING)
			acquire_retry(lease);
}
