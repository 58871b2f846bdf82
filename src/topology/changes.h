/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What differs between two states of a device, or of everything. Internal to topology. */
#ifndef IOMMUD_TOPOLOGY_CHANGES_H
#define IOMMUD_TOPOLOGY_CHANGES_H

#include "topology/registry.h"
#include "topology/snapshot.h"

struct change {
	enum registry_change kind;
	bool verdict_input; /* the group's verdict may be another one now */
	struct device *device; /* of the new state; of the old one when it was removed */
	const char *former_driver; /* borrowed from the old state */
};

struct changes {
	struct change *items;
	size_t n;
};

/* Whether both are the same piece of hardware, by bus and ids. Groups are the caller's to compare. */
bool device_is_same(const struct device *left, const struct device *right);

/* Overwrites what can change about a device with what `fresh` says. */
void device_take_state(struct device *device, const struct device *fresh);

/* Fills `ret` but for its device, when the same device's states differ. */
bool change_between(const struct device *former, const struct device *fresh, struct change *ret);

/* All differences, in the order of addresses. -ENOMEM. */
int changes_find(const struct snapshot *former, const struct snapshot *fresh, struct changes *ret);

/* Moves removed devices out of their old groups and lets them point at the new state's group, if it is still there. */
void changes_detach_removed(const struct changes *changes, const struct snapshot *fresh);
void changes_clear(struct changes *changes);

#endif
