/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether a device is reset before it is handed out, whether it may be handed out without, and what follows from a reset that
 * failed. Decides and remembers; the helper does it, in the midst of PREPARE, or for a whole bus the opener, before it opens.
 *
 * A device needs a reset unless this very user had it last. Nobody knows who had it before the broker started, so the first
 * user after that gets it reset as well. One whose reset failed is quarantined: whoever asks for it next, it is reset first,
 * and stays refused for as long as that fails.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/internal.h"
#include "topology/mdev.h"
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

const struct opener *reset_opener(const struct broker *broker)
{
	for (const struct opener *const *opener = broker->openers; *opener; opener++)
		if ((*opener)->reset_buses && (*opener)->available(broker->dev_fd))
			return *opener;
	return NULL;
}

/* It comes with the request, or is on a vfio driver and in a group that does, so that nobody else can get it meanwhile. */
static bool comes_along(struct broker *broker, const struct judgement *judgement, const char *address)
{
	const struct device *member = registry_find_device(broker->registry, address);

	if (text_is_listed(judgement->devices, address))
		return true;
	for (const char *const *other = judgement->devices; *other && member; other++)
		if (registry_find_device(broker->registry, *other)->group == member->group)
			return driver_is_vfio(member->driver);
	return false;
}

/* Without a method of the device's own. */
static int plan_bus(struct broker *broker, const struct judgement *judgement, const struct device *device,
		    enum device_reset *ret)
{
	struct reset_set set = { 0 };
	_cleanup_(cleanup_reset_set) struct reset_set *guard = &set;
	bool together = reset_opener(broker) != NULL;
	int r = reset_set_find(registry_devices(broker->registry), device, guard);

	for (size_t i = 0; r == 0 && i < set.n && together; i++)
		together = comes_along(broker, judgement, set.members[i].address);
	*ret = set.n > 0 && together ? DEVICE_RESET_BUS : DEVICE_RESET_IMPOSSIBLE;
	return r;
}

int reset_plan(struct broker *broker, const struct judgement *judgement, const struct device *device,
	       enum policy_reset wanted, enum device_reset *ret)
{
	const struct past_device *past = past_find(&broker->past, &device->id);
	bool quarantined = past && past->quarantined;
	bool same = past && past->had && past->uid == judgement->identity->uid;
	int r = 0;

	*ret = DEVICE_RESET_NOT_NEEDED;
	/* An mdev was made again at the end of the last lease. */
	if (wanted == POLICY_RESET_NO || device_is_mdev(device) || (same && !quarantined))
		return 0;
	*ret = DEVICE_RESET_NEEDED;
	if (scope_of(broker, device) != RESET_SCOPE_FUNCTION)
		r = plan_bus(broker, judgement, device, ret);
	/* The helper finds no method then, and that is said. */
	if (quarantined && *ret == DEVICE_RESET_IMPOSSIBLE)
		*ret = DEVICE_RESET_NEEDED;
	return r;
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
			    "%s can't be reset: it has no method of its own, and is on no bus that could be reset; "
			    "Reset=prefer in %s:%u would grant it as it was left",
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

bool reset_is_certain(const struct lease_device *leased, const struct device *device)
{
	return leased->conduct.reset != POLICY_RESET_NO && !device_is_mdev(device) &&
	       scope_of(leased->lease->broker, device) == RESET_SCOPE_FUNCTION;
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

static void quarantine(struct lease_device *device, struct past_device *past, const char *why)
{
	if (past->quarantined)
		return;
	past->quarantined = true;
	ledger_note_past(device->lease->broker, past);
	event_leased(
		device, LOG_ERR, "deviceQuarantined",
		"%s is quarantined, for its reset failed (%s); it is granted again when a reset succeeds, which the "
		"next Acquire tries",
		device->id.address, why);
}

static void end_quarantine(struct lease_device *device, struct past_device *past)
{
	if (!past->quarantined)
		return;
	past->quarantined = false;
	ledger_note_past(device->lease->broker, past);
	event_leased(device, LOG_NOTICE, "quarantineEnded", "%s was reset and is out of quarantine",
		     device->id.address);
}

/* The refusal is of the step reset; its message is still to be set. False: there is another one already. */
static bool begin_refusal(struct refusal *refusal, const struct lease_device *device, int error)
{
	if (refusal->kind)
		return false;
	memcpy(refusal->device, device->id.address, sizeof(refusal->device));
	snprintf(refusal->word, sizeof(refusal->word), "%s", helper_step_name(HELPER_STEP_RESET));
	refusal->number = error;
	return true;
}

/* It could be reset when it was judged, and could not when its turn came. */
static void miss(struct lease_device *device, const struct past_device *past, int error, struct refusal *refusal)
{
	device->reset = DEVICE_RESET_IMPOSSIBLE;
	if (past->quarantined && begin_refusal(refusal, device, error))
		refusal_set(refusal, REFUSAL_PREPARE_FAILED,
			    "%s is quarantined, for its last reset failed, and has no reset method now that could end "
			    "that; see 'iommuctl describe %s'",
			    device->id.address, device->id.address);
	else if (device->conduct.reset == POLICY_RESET_REQUIRE && begin_refusal(refusal, device, error))
		refusal_set(
			refusal, REFUSAL_PREPARE_FAILED,
			"%s: the kernel does not reset it: %s; Reset=prefer in its rule would grant it as it was left",
			device->id.address, strerror(error));
}

void reset_replied(struct lease_device *device, const struct helper_reply *reply, struct refusal *refusal)
{
	struct past_device *past = past_find(&device->lease->broker->past, &device->id);
	bool endless = reply->status == HELPER_TIMED_OUT;
	/* For want of a method nothing was tried, and so nothing failed. */
	bool failed = reply->status == HELPER_FAULT && reply->error != ENOENT;

	/* Of a device that was removed since nothing is to be said. */
	if (device->reset != DEVICE_RESET_NEEDED || !past)
		return;
	if ((endless || failed) && reply->step == HELPER_STEP_RESET)
		quarantine(device, past, endless ? "it did not come to an end" : strerror(reply->error));
	else if (reply->status == HELPER_OK && reply->reset_done)
		end_quarantine(device, past);
	else if (reply->status == HELPER_OK)
		miss(device, past, ENOTTY, refusal);
}

static void bus_failed(struct lease_device *device, struct past_device *past, int error, struct refusal *refusal)
{
	quarantine(device, past, strerror(error));
	if (begin_refusal(refusal, device, error))
		refusal_set(refusal, REFUSAL_PREPARE_FAILED,
			    "%s could not be reset with its bus (%s), and is quarantined: nobody gets it until a reset "
			    "succeeds, which the next request tries; what was changed is put back",
			    device->id.address, strerror(error));
}

void reset_bus_replied(struct lease *lease, const struct bus_reset *reset, struct refusal *refusal)
{
	for (size_t i = 0; i < lease->n_devices; i++) {
		struct lease_device *device = lease->devices[i];
		struct past_device *past = past_find(&lease->broker->past, &device->id);

		if (device->reset != DEVICE_RESET_BUS || !past)
			continue;
		if (reset->error == 0)
			end_quarantine(device, past);
		else if (bus_reset_is_impossible(reset))
			miss(device, past, reset->error, refusal);
		else
			bus_failed(device, past, reset->error, refusal);
	}
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
				     "%s was handed out as it was left, for it can't be reset on its own",
				     device->id.address);
	}
}
