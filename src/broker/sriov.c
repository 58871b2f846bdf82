/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Physical functions and their virtual functions: who may have the one while the other is there. It decides and looks,
 * and changes nothing.
 *
 * A physical function (PF) controls its virtual functions (VFs): it can reset them, and its driver takes them along when it
 * goes. Hence the rules:
 * - A PF that has VFs is not handed out. What unbinds its driver destroys them, or the kernel refuses vfio-pci after that,
 *   and neither could be put back as it was. VFs that are made while the PF is leased go with the lease.
 * - VFs whose PF is on a vfio driver go to the user who has leased the PF, and to nobody else. The kernel asks for a token
 *   that PF and VF share (the VF token) only where the device comes from its group, in /dev/vfio/GROUP; up to Linux 6.16 it
 *   asks for none where it is opened as /dev/vfio/devices/vfioN. So the rule is kept here, for both.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "broker/internal.h"
#include "util/log.h"

static bool is_child(const struct device *device, const struct device *parent)
{
	return strcmp(device->physical_function, parent->id.address) == 0;
}

static size_t count_children(struct broker *broker, const struct device *parent)
{
	const struct device *device;
	size_t n = 0;

	list_for_each(device, registry_devices(broker->registry), link)
		n += is_child(device, parent);
	return n;
}

static bool has_children(struct broker *broker, const struct device *parent)
{
	return parent->max_virtual_functions > 0 && count_children(broker, parent) > 0;
}

/* Addresses of the virtual functions there are, copied: reading one anew may free any of the structures. */
static int copy_children(struct broker *broker, const struct device *parent, char (**ret)[DEVICE_ADDRESS_MAX],
			 size_t *ret_n)
{
	char(*children)[DEVICE_ADDRESS_MAX] = calloc(count_children(broker, parent), sizeof(*children));
	const struct device *device;
	size_t n = 0;

	if (!children)
		return -ENOMEM;
	list_for_each(device, registry_devices(broker->registry), link)
		if (is_child(device, parent))
			memcpy(children[n++], device->id.address, sizeof(*children));
	*ret = children;
	*ret_n = n;
	return 0;
}

int sriov_refresh(struct broker *broker, const char *address)
{
	const struct device *device = registry_find_device(broker->registry, address);
	char(*children)[DEVICE_ADDRESS_MAX];
	size_t n;
	int r;

	if (!device || !has_children(broker, device))
		return 0;
	r = copy_children(broker, device, &children, &n);
	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < n; i++) {
		r = registry_refresh(broker->registry, children[i]);
		if (r == -ENOENT) /* that is what is to be known */
			r = 0;
	}
	free(children);
	return r;
}

/* The lease that the device itself is in, not only its group. */
static struct lease *find_lease(struct broker *broker, const struct device *device)
{
	struct lease *holder = broker_group_holder(broker, device->group->id);

	return holder && lease_find_device(holder, device->id.address) ? holder : NULL;
}

static void refuse_busy(const struct judgement *judgement, const struct lease *holder, struct refusal *refusal)
{
	refusal->state = holder->state;
	judge_describe_holder(judgement->identity, holder, refusal->holder, sizeof(refusal->holder));
}

static void check_children(struct broker *broker, const struct judgement *judgement, const struct device *parent,
			   struct refusal *refusal)
{
	const struct device *device;

	list_for_each(device, registry_devices(broker->registry), link) {
		const struct lease *holder = is_child(device, parent) ? find_lease(broker, device) : NULL;

		if (!holder || holder == judgement->self)
			continue;
		refuse_busy(judgement, holder, refusal);
		refusal_set(refusal, REFUSAL_BUSY,
			    "%s: its virtual function %s is %s, held by %s; it is free again when that client lets go "
			    "and sriov_numvfs of %s is set to 0",
			    parent->id.address, device->id.address, lease_state_name(holder->state), refusal->holder,
			    parent->id.address);
		return;
	}
}

static void refuse_orphan(const struct device *device, const struct device *parent, struct refusal *refusal)
{
	refusal->host_has_it = true;
	snprintf(refusal->holder, sizeof(refusal->holder), "%s is on %s, and leased to nobody", parent->id.address,
		 parent->driver);
	refusal_set(refusal, REFUSAL_BUSY,
		    "%s: its physical function %s is on %s and leased to nobody: whoever opens it controls its virtual "
		    "functions; set its sriov_numvfs to 0, acquire it, and make them again",
		    device->id.address, parent->id.address, parent->driver);
}

static bool is_held_by(const struct lease *holder, const struct identity *identity)
{
	return holder->uid == identity->uid && (holder->state == LEASE_ACTIVE || holder->state == LEASE_VIOLATED);
}

static void check_parent(struct broker *broker, const struct judgement *judgement, const struct device *device,
			 struct refusal *refusal)
{
	const struct device *parent = registry_find_device(broker->registry, device->physical_function);
	const struct lease *holder = parent ? find_lease(broker, parent) : NULL;

	if (!parent || (holder && is_held_by(holder, judgement->identity)))
		return;
	if (!holder) {
		if (driver_is_vfio(parent->driver))
			refuse_orphan(device, parent, refusal);
		return;
	}
	refuse_busy(judgement, holder, refusal);
	refusal_set(
		refusal, REFUSAL_BUSY,
		"%s: its physical function %s is %s, held by %s; the virtual functions of a leased physical function "
		"go to its own user only",
		device->id.address, parent->id.address, lease_state_name(holder->state), refusal->holder);
}

void sriov_check(struct broker *broker, const struct judgement *judgement, const struct device *device,
		 struct refusal *refusal)
{
	if (device->physical_function[0])
		check_parent(broker, judgement, device, refusal);
	else if (device->max_virtual_functions > 0)
		check_children(broker, judgement, device, refusal);
}

/* Of a group that is only looked at, those are blocked that somebody might want to unbind. */
static bool is_to_move(const struct device *device, const struct group_terms *terms)
{
	if (!terms)
		return device->driver[0] && !driver_is_vfio(device->driver) && !driver_is_allowed(device->driver);
	return text_is_listed(terms->devices, device->id.address) || park_is_planned(terms, device);
}

int sriov_add_blockers(struct broker *broker, const struct group *group, const struct group_terms *terms,
		       struct verdict *verdict)
{
	const struct device *device;
	int r = 0;

	list_for_each(device, &group->devices, group_link) {
		struct blocker blocker = { .kind = BLOCKER_HAS_VIRTUAL_FUNCTIONS };

		if (r < 0 || !has_children(broker, device) || !is_to_move(device, terms))
			continue;
		memcpy(blocker.device, device->id.address, sizeof(blocker.device));
		memcpy(blocker.driver, device->driver, sizeof(blocker.driver));
		snprintf(blocker.message, sizeof(blocker.message),
			 "%s has %zu virtual functions, which would be lost with its driver", device->id.address,
			 count_children(broker, device));
		snprintf(blocker.remedy, sizeof(blocker.remedy),
			 "set sriov_numvfs of %s to 0 first: echo 0 >/sys/bus/%s/devices/%s/sriov_numvfs",
			 device->id.address, device->bus, device->id.address);
		r = verdict_add(verdict, &blocker);
	}
	return r;
}

/* A random UUID, as text: version 4 of RFC 9562, though the kernel takes any. */
static int make_token(char ret[VF_TOKEN_SIZE])
{
	uint8_t bytes[16];
	size_t n = 0;

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return -EIO;
	bytes[6] = (bytes[6] & 0x0f) | 0x40;
	bytes[8] = (bytes[8] & 0x3f) | 0x80;
	for (size_t i = 0; i < sizeof(bytes); i++)
		n += sprintf(ret + n, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", bytes[i]);
	return 0;
}

int sriov_fill(struct broker *broker, const struct device *device, struct lease_device *leased)
{
	const struct device *parent = registry_find_device(broker->registry, device->physical_function);
	struct lease *holder = parent ? find_lease(broker, parent) : NULL;

	memcpy(leased->physical_function, device->physical_function, sizeof(leased->physical_function));
	if (device->max_virtual_functions > 0)
		return make_token(leased->vf_token);
	if (holder)
		strcpy(leased->vf_token, lease_find_device(holder, parent->id.address)->vf_token);
	return 0;
}

const char *sriov_describe_parent(struct broker *broker, const struct device *device, char *text, size_t size)
{
	const struct device *parent = registry_find_device(broker->registry, device->physical_function);
	const struct lease *holder = parent ? find_lease(broker, parent) : NULL;

	text[0] = '\0';
	if (device->physical_function[0])
		snprintf(text, size, ", as a virtual function of %s", device->physical_function);
	if (holder)
		snprintf(text + strlen(text), size - strlen(text), ", which is leased: only its user can have it");
	return text;
}

void sriov_judge_parent(struct broker *broker, const char *address)
{
	const struct device *parent = registry_find_device(broker->registry, address);

	if (parent)
		watch_judge_group(broker, parent->group->id);
}

/* The link to the physical function goes first, and then the kernel waits for the descriptors. */
static void tell_taken_back(struct broker *broker, const struct device *device)
{
	struct lease *holder = find_lease(broker, device);
	struct lease_device *leased = holder ? lease_find_device(holder, device->id.address) : NULL;

	if (!leased || !leased->physical_function[0] || device->physical_function[0])
		return;
	event_leased(leased, LOG_WARNING, "vfTakenBack",
		     "%s is taken away with all virtual functions of %s: its sriov_numvfs was set to 0, or its driver "
		     "goes; the kernel waits until lease %llu has closed its descriptors",
		     device->id.address, leased->physical_function, (unsigned long long)holder->id);
	leased->physical_function[0] = '\0';
}

void sriov_followed(struct broker *broker, enum registry_change change, const struct device *device)
{
	sriov_judge_parent(broker, device->physical_function);
	if (change != DEVICE_ADDED && change != DEVICE_REMOVED)
		tell_taken_back(broker, device);
	if (change != DEVICE_ADDED && change != DEVICE_BOUND)
		return;
	vfs_want(broker, device);
	vfs_resume(broker);
}

void sriov_group_is_back(struct broker *broker, unsigned int id)
{
	const struct group *group = registry_find_group(broker->registry, id);
	const struct device *device;

	if (!group)
		return;
	list_for_each(device, &group->devices, group_link)
		vfs_want(broker, device);
	vfs_resume(broker);
}
