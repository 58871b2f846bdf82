/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether a device is reset before it is handed out, whether it may be handed out without, and what follows from a reset that
 * failed. Decides and remembers; the helper does it, in the midst of PREPARE.
 *
 * A device needs a reset unless this very user had it last. Nobody knows who had it before the broker started, so the first
 * user after that gets it reset as well. One whose reset failed is quarantined: whoever asks for it next, it is reset first,
 * and stays refused for as long as that fails.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/internal.h"
#include "util/cleanup.h"
#include "util/log.h"

DEFINE_CLEANUP(reset_set, struct reset_set *, reset_set_clear)

static enum reset_scope scope_of(const struct broker *broker, const struct device *device)
{
	return reset_scope_of(registry_devices(broker->registry), device);
}

bool broker_is_quarantined(const struct broker *broker, const struct device *device)
{
	const struct past_device *past = past_find(&broker->past, &device->id);

	return past && past->quarantined;
}

enum device_reset reset_plan(const struct broker *broker, uid_t uid, const struct device *device,
			     enum policy_reset wanted)
{
	const struct past_device *past = past_find(&broker->past, &device->id);

	if (wanted == POLICY_RESET_NO)
		return DEVICE_RESET_NOT_NEEDED;
	if (past && past->quarantined)
		return DEVICE_RESET_NEEDED;
	if (past && past->had && past->uid == uid)
		return DEVICE_RESET_NOT_NEEDED;
	return scope_of(broker, device) == RESET_SCOPE_FUNCTION ? DEVICE_RESET_NEEDED : DEVICE_RESET_IMPOSSIBLE;
}

/* Its driver may have changed, and the event be late; one that went is not in the way. */
static int refresh_members(struct broker *broker, const struct reset_set *set)
{
	for (size_t i = 0; i < set->n; i++) {
		int r = registry_refresh(broker->registry, set->members[i].address);

		if (r < 0 && r != -ENOENT)
			return r;
	}
	return 0;
}

int reset_refresh(struct broker *broker, const char *address)
{
	const struct device *device = registry_find_device(broker->registry, address);
	struct reset_set set = { 0 };
	_cleanup_(cleanup_reset_set) struct reset_set *guard = &set;
	int r;

	if (!device || scope_of(broker, device) != RESET_SCOPE_BUS)
		return 0;
	r = reset_set_find(registry_devices(broker->registry), device, guard);
	return r < 0 ? r : refresh_members(broker, guard);
}

/* Only what is on a vfio driver and nobody else's can be reset along: that is what the kernel demands as well. */
static bool is_in_the_way(struct broker *broker, const struct judgement *judgement, const char *address)
{
	const struct device *device = registry_find_device(broker->registry, address);
	const struct lease *holder = device ? broker_group_holder(broker, device->group->id) : NULL;

	if (!device || text_is_listed(judgement->devices, address))
		return false;
	return !driver_is_vfio(device->driver) || (holder && holder != judgement->self);
}

static bool mark_conflicts(struct broker *broker, const struct judgement *judgement, struct reset_set *set)
{
	bool conflicts = set->scope == RESET_SCOPE_NONE;

	for (size_t i = 0; i < set->n; i++) {
		set->members[i].conflicting = is_in_the_way(broker, judgement, set->members[i].address);
		conflicts = conflicts || set->members[i].conflicting;
	}
	return conflicts;
}

static void refuse_scope(const struct device *device, const struct group_terms *terms, struct refusal *refusal)
{
	const struct reset_set *set = &refusal->reset_set;
	char others[256] = "";
	size_t used = 0;

	if (set->scope == RESET_SCOPE_NONE) {
		refusal_set(refusal, REFUSAL_RESET_SCOPE,
			    "%s can't be reset: it has no method of its own, and no bridge above it that could reset "
			    "its bus; Reset=prefer in %s:%u would grant it as it was left",
			    device->id.address, terms->file, terms->line);
		return;
	}
	for (size_t i = 0; i < set->n && used < sizeof(others); i++)
		if (set->members[i].conflicting)
			used += snprintf(others + used, sizeof(others) - used, "%s%s", used ? ", " : "",
					 set->members[i].address);
	refusal_set(
		refusal, REFUSAL_RESET_SCOPE,
		"%s can't be reset on its own, and a reset of its bus would hit %s, neither asked for nor idle on a vfio "
		"driver; ask for them together, bind them to vfio-pci, or say Reset=prefer in %s:%u",
		device->id.address, others, terms->file, terms->line);
}

int reset_check(struct broker *broker, const struct judgement *judgement, const struct group_terms *terms,
		const struct device *device, struct refusal *refusal)
{
	int r;

	if (terms->conduct.reset != POLICY_RESET_REQUIRE || scope_of(broker, device) == RESET_SCOPE_FUNCTION)
		return 0;
	r = reset_set_find(registry_devices(broker->registry), device, &refusal->reset_set);
	if (r < 0)
		return r;
	if (mark_conflicts(broker, judgement, &refusal->reset_set))
		refuse_scope(device, terms, refusal);
	else
		reset_set_clear(&refusal->reset_set);
	return 0;
}

int reset_reserve(struct broker *broker, const struct lease *lease)
{
	for (size_t i = 0; i < lease->n_devices; i++)
		if (past_reserve(&broker->past, &lease->devices[i]->id) < 0)
			return -ENOMEM;
	return 0;
}

uint32_t reset_flags(const struct lease_device *device)
{
	return device->reset == DEVICE_RESET_NEEDED ? HELPER_RESET : 0;
}

static void quarantine(struct lease_device *device, struct past_device *past, const struct helper_reply *reply)
{
	if (past->quarantined)
		return;
	past->quarantined = true;
	event_leased(
		device, LOG_ERR, "deviceQuarantined",
		"%s is quarantined: its reset %s%s; it is granted again when a reset succeeds, which the next Acquire "
		"tries",
		device->id.address, reply->status == HELPER_TIMED_OUT ? "did not come to an end" : "failed: ",
		reply->status == HELPER_TIMED_OUT ? "" : strerror(reply->error));
}

static void end_quarantine(struct lease_device *device, struct past_device *past)
{
	if (!past->quarantined)
		return;
	past->quarantined = false;
	event_leased(device, LOG_NOTICE, "quarantineEnded", "%s was reset and is out of quarantine",
		     device->id.address);
}

/* It had a method when it was judged, and had none when its turn came. */
static void miss(struct lease_device *device, const struct past_device *past, struct refusal *refusal)
{
	device->reset = DEVICE_RESET_IMPOSSIBLE;
	if (!past->quarantined || refusal->kind)
		return;
	memcpy(refusal->device, device->id.address, sizeof(refusal->device));
	snprintf(refusal->word, sizeof(refusal->word), "%s", helper_step_name(HELPER_STEP_RESET));
	refusal->number = ENOTTY;
	refusal_set(
		refusal, REFUSAL_PREPARE_FAILED,
		"%s is quarantined, for its last reset failed, and has no reset method now that could end that; see "
		"'iommuctl describe %s'",
		device->id.address, device->id.address);
}

void reset_replied(struct lease_device *device, const struct helper_reply *reply, struct refusal *refusal)
{
	struct past_device *past = past_find(&device->lease->broker->past, &device->id);
	bool failed = reply->status == HELPER_FAULT || reply->status == HELPER_TIMED_OUT;

	/* Of a device that was removed since nothing is to be said. */
	if (device->reset != DEVICE_RESET_NEEDED || !past)
		return;
	if (failed && reply->step == HELPER_STEP_RESET)
		quarantine(device, past, reply);
	else if (reply->status == HELPER_OK && reply->reset_done)
		end_quarantine(device, past);
	else if (reply->status == HELPER_OK)
		miss(device, past, refusal);
}

void reset_granted(struct lease *lease)
{
	for (size_t i = 0; i < lease->n_devices; i++) {
		struct lease_device *device = lease->devices[i];
		struct past_device *past = past_find(&lease->broker->past, &device->id);

		if (past) {
			past->had = true;
			past->uid = lease->uid;
		}
		if (device->reset == DEVICE_RESET_IMPOSSIBLE)
			event_leased(device, LOG_NOTICE, "notReset",
				     "%s was handed out as it was left: it can't be reset on its own; Reset=require in "
				     "its rule would refuse that",
				     device->id.address);
	}
}
