/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which members of a group are parked: taken from the host's driver for as long as others of the group are out. Decides
 * only; acquire.c has it done before anything is prepared, and release.c has it undone after everything else is back, for
 * the kernel denies a host driver to any member as long as the group is user space's.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/internal.h"

bool text_is_listed(const char *const *list, const char *text)
{
	for (; list && *list; list++)
		if (strcmp(*list, text) == 0)
			return true;
	return false;
}

/* pci-stub takes PCI devices; a bridge carries others, and a screen that is looked at stays. */
static bool can_be_parked(const struct device *device)
{
	return strcmp(device->bus, "pci") == 0 && !device->bridge && !device->boot_display;
}

static bool is_in_the_way(const struct group_terms *terms, const struct device *device)
{
	const char *driver = device->driver;

	return driver[0] && !driver_is_vfio(driver) && !driver_is_allowed(driver) &&
	       !text_is_listed(terms->allowed_drivers, driver);
}

const struct lease_device *park_find(const struct lease *lease, const char *address)
{
	for (size_t i = 0; i < lease_n_all(lease); i++)
		if (lease->devices[i]->parked && strcmp(lease->devices[i]->id.address, address) == 0)
			return lease->devices[i];
	return NULL;
}

/* Whether the one rule that the terms are of has it parked. */
static bool rule_parks(const struct group_terms *terms, const struct device *device)
{
	if (terms->bystanders != POLICY_PARK)
		return false;
	/* One that came since is not parked, and will not be: it is in the way. */
	if (terms->self)
		return park_find(terms->self, device->id.address);
	return can_be_parked(device) && is_in_the_way(terms, device);
}

/* What one rule has parked is parked for all devices of the request, also for those whose rules would have it stay. */
bool park_is_planned(const struct group_terms *terms, const struct device *device)
{
	const struct judgement *request = terms->request;

	if (text_is_listed(terms->devices, device->id.address))
		return false;
	if (rule_parks(terms, device))
		return true;
	for (size_t i = 0; request && request->devices[i]; i++)
		if (request->terms[i].group == terms->group && rule_parks(&request->terms[i], device))
			return true;
	return false;
}

static void add_remedy(struct blocker *blocker, const struct group_terms *terms)
{
	char others[sizeof(blocker->remedy)];

	/* In front, for the others end in a command to copy. */
	memcpy(others, blocker->remedy, sizeof(others));
	if (snprintf(blocker->remedy, sizeof(blocker->remedy), "allow parking with Bystanders=park in %s:%u, or %s",
		     terms->file, terms->line, others) >= (int)sizeof(blocker->remedy))
		memcpy(blocker->remedy, others, sizeof(others));
}

void park_add_remedies(const struct group *group, const struct group_terms *terms, struct verdict *verdict)
{
	const struct device *device;

	if (terms->scope != POLICY_WHOLE || terms->bystanders == POLICY_PARK || !terms->file)
		return;
	for (size_t i = 0; i < verdict->n_blockers; i++) {
		struct blocker *blocker = &verdict->blockers[i];

		if (blocker->kind != BLOCKER_FOREIGN_DRIVER)
			continue;
		list_for_each(device, &group->devices, group_link)
			if (strcmp(device->id.address, blocker->device) == 0 && can_be_parked(device))
				add_remedy(blocker, terms);
	}
}

static bool is_collected(const struct parking *parkings, size_t n, const struct device *device)
{
	for (size_t i = 0; i < n; i++)
		if (parkings[i].device == device)
			return true;
	return false;
}

static int collect(struct parking **parkings, size_t *n, const struct device *device, size_t for_device)
{
	struct parking *larger = reallocarray(*parkings, *n + 1, sizeof(*larger));

	if (!larger)
		return -ENOMEM;
	*parkings = larger;
	larger[(*n)++] = (struct parking){ .device = device, .for_device = for_device };
	return 0;
}

int park_plan(struct broker *broker, const struct judgement *judgement, struct parking **ret, size_t *ret_n)
{
	struct parking *parkings = NULL;
	const struct device *member;
	size_t n = 0;

	for (size_t i = 0; judgement->devices[i]; i++) {
		const struct device *device = registry_find_device(broker->registry, judgement->devices[i]);
		const struct group_terms *terms = &judgement->terms[i];

		list_for_each(member, &device->group->devices, group_link) {
			if (!park_is_planned(terms, member) || !rule_parks(terms, member) ||
			    is_collected(parkings, n, member))
				continue;
			if (collect(&parkings, &n, member, i) < 0) {
				free(parkings);
				return -ENOMEM;
			}
		}
	}
	*ret = parkings;
	*ret_n = n;
	return 0;
}
