/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "varlink/convert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "topology/names.h"
#include "util/cleanup.h"
#include "util/json-build.h"
#include "varlink/convert-rules.h"

static void add_hex(struct json_build *build, const char *key, unsigned int value, int digits)
{
	char text[16];

	snprintf(text, sizeof(text), "0x%0*x", digits, value);
	json_build_text(build, key, text);
}

static json_object *virtual_functions(struct broker *broker, const struct device *device)
{
	struct json_build list = json_build_array();
	const struct device *other;

	list_for_each(other, registry_devices(broker_get_registry(broker)), link)
		if (strcmp(other->physical_function, device->id.address) == 0)
			json_build_text(&list, NULL, other->id.address);
	return json_build_end(&list);
}

static json_object *joined_with(struct broker *broker, const struct device *device)
{
	struct json_build list = json_build_array();
	const struct device *other;

	if (device->parent[0])
		list_for_each(other, registry_devices(broker_get_registry(broker)), link)
			if (isolation_joins(broker, device, other))
				json_build_text(&list, NULL, other->id.address);
	return json_build_end(&list);
}

static json_object *reset_methods(const struct device *device)
{
	struct json_build list = json_build_array();

	for (unsigned int bit = 1; bit <= device->reset_methods; bit <<= 1)
		if (device->reset_methods & bit)
			json_build_text(&list, NULL, reset_method_name(bit));
	return json_build_end(&list);
}

static json_object *pools(struct broker *broker, const struct device *device)
{
	const struct policy_subject subject = broker_policy_subject(broker, device);
	struct json_build list = json_build_array();
	const char *pool;
	size_t cursor = 0;

	while ((pool = policy_next_pool(broker_get_policy(broker), &subject, &cursor)))
		json_build_text(&list, NULL, pool);
	return json_build_end(&list);
}

json_object *convert_reset_set(const struct reset_set *set, bool conflicting)
{
	struct json_build list = json_build_array();

	for (size_t i = 0; i < set->n; i++)
		if (!conflicting || set->members[i].conflicting)
			json_build_text(&list, NULL, set->members[i].address);
	return json_build_end(&list);
}

/* What a reset of it would reset. */
static void add_reset(struct json_build *build, struct broker *broker, const struct device *device)
{
	struct reset_set set = { 0 };

	if (reset_set_find(registry_devices(broker_get_registry(broker)), device, &set) < 0)
		build->failed = true;
	json_build_text(build, "resetScope", reset_scope_name(set.scope));
	json_build_add(build, "resetSet", convert_reset_set(&set, false));
	json_build_bool(build, "quarantined", broker_is_quarantined(broker, device));
	reset_set_clear(&set);
}

static void add_name(struct json_build *build, const char *key, struct device_names *names, const struct device_id *id,
		     bool (*lookup)(struct device_names *, const struct device_id *, char *, size_t))
{
	char name[DEVICE_NAME_MAX];

	json_build_text(build, key, lookup(names, id, name, sizeof(name)) ? name : NULL);
}

/* Who has the device is for its owner and for root. */
static void add_holder(struct json_build *build, struct broker *broker, const struct peer *peer,
		       const struct device *device)
{
	struct lease *holder = broker_group_holder(broker, device->group->id);
	bool mine;

	if (!holder || !lease_find_device(holder, device->id.address)) {
		json_build_null(build, "lease");
		json_build_null(build, "state");
		return;
	}
	mine = peer_is_admin(peer) || holder->peer == peer || holder->uid == peer_get_identity(peer)->uid;
	json_build_number_or_null(build, "lease", mine ? (int64_t)holder->id : -1);
	json_build_text(build, "state", lease_state_name(holder->state));
}

json_object *convert_device(struct broker *broker, struct device_names *names, const struct peer *peer,
			    const struct device *device)
{
	struct json_build build = json_build_object();

	json_build_text(&build, "address", device->id.address);
	json_build_text(&build, "bus", device->bus);
	json_build_number(&build, "group", device->group->id);
	json_build_text_or_null(&build, "driver", device->driver);
	add_hex(&build, "vendorId", device->id.vendor, 4);
	add_hex(&build, "deviceId", device->id.device, 4);
	add_hex(&build, "subsystemVendorId", device->id.subsystem_vendor, 4);
	add_hex(&build, "subsystemDeviceId", device->id.subsystem_device, 4);
	add_hex(&build, "class", device->id.class, 6);
	add_name(&build, "vendorName", names, &device->id, device_names_vendor);
	add_name(&build, "deviceName", names, &device->id, device_names_device);
	add_name(&build, "className", names, &device->id, device_names_class);
	json_build_number_or_null(&build, "numaNode", device->numa_node);
	json_build_text_or_null(&build, "path", device->path);
	json_build_text_or_null(&build, "serialNumber", broker_policy_subject(broker, device).serial);
	json_build_text_or_null(&build, "physicalFunction", device->physical_function);
	json_build_text_or_null(&build, "parent", device->parent);
	json_build_add(&build, "joinedWith", joined_with(broker, device));
	json_build_add(&build, "virtualFunctions", virtual_functions(broker, device));
	json_build_add(&build, "resetMethods", reset_methods(device));
	add_reset(&build, broker, device);
	json_build_bool(&build, "bootDisplay", device->boot_display);
	json_build_add(&build, "pools", pools(broker, device));
	add_holder(&build, broker, peer, device);
	return json_build_end(&build);
}

static json_object *convert_blocker(const struct blocker *blocker)
{
	struct json_build build = json_build_object();

	json_build_text(&build, "kind", blocker_kind_name(blocker->kind));
	json_build_text_or_null(&build, "device", blocker->device);
	json_build_text_or_null(&build, "driver", blocker->driver);
	json_build_text(&build, "message", blocker->message);
	json_build_text(&build, "remedy", blocker->remedy);
	return json_build_end(&build);
}

json_object *convert_blockers(const struct verdict *verdict)
{
	struct json_build list = json_build_array();

	for (size_t i = 0; i < verdict->n_blockers; i++)
		json_build_add(&list, NULL, convert_blocker(&verdict->blockers[i]));
	return json_build_end(&list);
}

static json_object *convert_bystander(const struct bystander *bystander)
{
	struct json_build build = json_build_object();

	json_build_text(&build, "device", bystander->device);
	json_build_text(&build, "vendorDevice", bystander->ids);
	json_build_text_or_null(&build, "driver", bystander->driver);
	json_build_text(&build, "action", bystander->action);
	return json_build_end(&build);
}

json_object *convert_bystanders(const struct bystanders *bystanders)
{
	struct json_build list = json_build_array();

	for (size_t i = 0; i < bystanders->n; i++)
		json_build_add(&list, NULL, convert_bystander(&bystanders->list[i]));
	return json_build_end(&list);
}

static json_object *convert_region(const struct reserved_region *region)
{
	struct json_build build = json_build_object();
	char text[24];

	snprintf(text, sizeof(text), "0x%016llx", (unsigned long long)region->start);
	json_build_text(&build, "start", text);
	snprintf(text, sizeof(text), "0x%016llx", (unsigned long long)region->end);
	json_build_text(&build, "end", text);
	json_build_text(&build, "type", region->type);
	return json_build_end(&build);
}

static json_object *convert_regions(const struct group *group)
{
	struct json_build list = json_build_array();

	for (size_t i = 0; i < group->n_regions; i++)
		json_build_add(&list, NULL, convert_region(&group->regions[i]));
	return json_build_end(&list);
}

static json_object *convert_members(const struct group *group)
{
	struct json_build list = json_build_array();
	const struct device *device;

	list_for_each(device, &group->devices, group_link)
		json_build_text(&list, NULL, device->id.address);
	return json_build_end(&list);
}

json_object *convert_group(struct broker *broker, const struct group *group)
{
	const struct lease *holder = broker_group_holder(broker, group->id);
	struct json_build build = json_build_object();
	struct verdict verdict = { 0 };

	if (broker_judge_group(broker, group, &verdict) < 0)
		build.failed = true;
	json_build_number(&build, "group", group->id);
	json_build_number(&build, "generation", (int64_t)group->generation);
	json_build_add(&build, "devices", convert_members(group));
	json_build_bool(&build, "viable", verdict_is_viable(&verdict));
	json_build_add(&build, "blockers", convert_blockers(&verdict));
	json_build_add(&build, "reservedRegions", convert_regions(group));
	json_build_text(&build, "label", holder ? holder->label : NULL);
	verdict_clear(&verdict);
	return json_build_end(&build);
}

static json_object *lease_addresses(const struct lease *lease, bool parked)
{
	struct json_build list = json_build_array();

	for (size_t i = 0; i < lease_n_all(lease); i++)
		if (lease->devices[i]->parked == parked && !lease_device_is_loose(lease->devices[i]))
			json_build_text(&list, NULL, lease->devices[i]->id.address);
	return json_build_end(&list);
}

static bool is_repeated_group(const struct lease *lease, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (lease->devices[j]->group == lease->devices[i]->group)
			return true;
	return false;
}

static json_object *lease_groups(const struct lease *lease)
{
	struct json_build list = json_build_array();

	for (size_t i = 0; i < lease->n_devices; i++)
		if (!is_repeated_group(lease, i))
			json_build_number(&list, NULL, lease->devices[i]->group);
	return json_build_end(&list);
}

static json_object *lease_holders(const struct lease *lease)
{
	struct json_build list = json_build_array();

	for (size_t i = 0; i < lease->holders.n; i++)
		json_build_text(&list, NULL, lease->holders.texts[i]);
	return json_build_end(&list);
}

json_object *convert_lease(const struct lease *lease, const struct peer *peer)
{
	struct json_build build = json_build_object();
	bool unknown = lease->uid == (uid_t)-1;

	json_build_number(&build, "lease", (int64_t)lease->id);
	json_build_text(&build, "state", lease_state_name(lease->state));
	json_build_text(&build, "backend", lease->opener ? lease->opener->name : "unknown");
	json_build_text(&build, "label", lease->label);
	json_build_add(&build, "devices", lease_addresses(lease, false));
	json_build_add(&build, "parked", lease_addresses(lease, true));
	json_build_add(&build, "groups", lease_groups(lease));
	json_build_number(&build, "uid", unknown ? -1 : (int64_t)lease->uid);
	json_build_number_or_null(&build, "pid", unknown || lease->pid == 0 ? -1 : lease->pid);
	json_build_add(&build, "holders", lease_holders(lease));
	json_build_text_or_null(&build, "reason", lease->reason);
	return json_build_end(&build);
}

static json_object *guarantees(const struct explanation *explanation)
{
	struct json_build list = json_build_array();

	for (size_t i = 0; i < explanation->n_guarantees; i++)
		json_build_text(&list, NULL, explanation->guarantees[i]);
	return json_build_end(&list);
}

static json_object *convert_plan(const struct explanation *explanation)
{
	struct json_build list = json_build_array();

	for (size_t i = 0; i < explanation->n_plan; i++)
		json_build_text(&list, NULL, explanation->plan[i]);
	return json_build_end(&list);
}

json_object *convert_explanation(const struct explanation *explanation, bool all)
{
	const struct policy_decision *decision = &explanation->decision;
	const struct refusal *refusal = &explanation->refusal;
	bool permitted = decision->action == POLICY_ALLOW;
	struct json_build build = json_build_object();

	json_build_bool(&build, "allowed", !refusal->kind);
	json_build_text(&build, "decision", refusal->kind ? refusal->message : decision->reason);
	json_build_text(&build, "file", decision->file);
	json_build_number_or_null(&build, "line", decision->file ? (int64_t)decision->line : -1);
	json_build_text(&build, "groupScope",
			!permitted                        ? NULL
			: decision->scope == POLICY_WHOLE ? "whole"
							  : "singleton");
	json_build_text(&build, "backend", permitted && explanation->opener ? explanation->opener->name : NULL);
	json_build_text(&build, "label",
			permitted && decision->label_kind != POLICY_LABEL_NONE ? decision->label : NULL);
	json_build_number(&build, "group", explanation->group);
	json_build_bool(&build, "viable", verdict_is_viable(&explanation->verdict));
	json_build_add(&build, "blockers", convert_blockers(&explanation->verdict));
	json_build_add(&build, "bystanders", convert_bystanders(&explanation->bystanders));
	json_build_text_or_null(&build, "token", explanation->token);
	json_build_add(&build, "passedRules", convert_passed_rules(explanation, all));
	json_build_number(&build, "morePassedRules", (int64_t)(explanation->n_passed_in_all - explanation->n_passed));
	json_build_text(&build, "resetScope", reset_scope_name(explanation->reset.scope));
	json_build_add(&build, "resetSet", convert_reset_set(&explanation->reset, false));
	json_build_add(&build, "plan", convert_plan(explanation));
	json_build_add(&build, "guarantees", guarantees(explanation));
	return json_build_end(&build);
}

json_object *convert_event(const struct broker_event *event)
{
	struct json_build build = json_build_object();

	json_build_number(&build, "sequence", (int64_t)event->sequence);
	json_build_text(&build, "event", event->name);
	json_build_text(&build, "device", event->device);
	json_build_number_or_null(&build, "group", event->group);
	json_build_number_or_null(&build, "lease", event->lease);
	json_build_number_or_null(&build, "uid", event->uid);
	json_build_text(&build, "driver", event->driver);
	json_build_text(&build, "label", event->label);
	if (event->viable < 0)
		json_build_null(&build, "viable");
	else
		json_build_bool(&build, "viable", event->viable);
	json_build_text(&build, "message", event->message);
	return json_build_end(&build);
}

/* Moves a descriptor to the message; its index goes into the reply. */
static void add_fd(struct json_build *build, const char *key, int *fd, int *fds, size_t *n_fds)
{
	if (*fd < 0) {
		json_build_null(build, key);
		return;
	}
	json_build_number(build, key, (int64_t)*n_fds);
	fds[(*n_fds)++] = TAKE_FD(*fd);
}

json_object *convert_grant(const struct lease *lease, struct opened *opened, int *fds, size_t *n_fds)
{
	struct json_build build = json_build_object();
	struct json_build devices = json_build_array();

	json_build_number(&build, "lease", (int64_t)lease->id);
	json_build_text(&build, "backend", lease->opener->name);
	json_build_text(&build, "label", lease->label);
	add_fd(&build, "iommuFileDescriptor", &opened->iommu_fd, fds, n_fds);
	add_fd(&build, "containerFileDescriptor", &opened->container_fd, fds, n_fds);
	for (size_t i = 0; i < lease->n_devices; i++) {
		struct json_build device = json_build_object();

		json_build_text(&device, "address", lease->devices[i]->id.address);
		json_build_number(&device, "group", lease->devices[i]->group);
		add_fd(&device, "deviceFileDescriptor", &opened->device_fd[i], fds, n_fds);
		add_fd(&device, "groupFileDescriptor", &opened->group_fd[i], fds, n_fds);
		json_build_text_or_null(&device, "vfToken", lease->devices[i]->vf_token);
		json_build_add(&devices, NULL, json_build_end(&device));
	}
	json_build_add(&build, "devices", json_build_end(&devices));
	return json_build_end(&build);
}
