/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is wrong with a leased group, and what is done about it: a member is on a driver of the host's, a device was lost,
 * one joined that was not to, the kernel wants one back. The rule that granted the group says what is done: the intruder is
 * parked (late.c), the lease is taken back (revoke.c), or it is only told.
 *
 * Everything but who joined is found by looking at how things are, not at what changed: whatever was missed, the next look
 * finds, and what is seen twice is acted on once. A lease is violated for exactly as long as a look finds a reason.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "broker/internal.h"
#include "util/log.h"

/* What one look at a lease came to. */
struct finding {
	char reason[512]; /* the first reason why it is violated; empty: it is not */
	char why[512]; /* the first why it is taken back; empty: it is not */
	struct event_member member; /* of `reason`; texts are borrowed */
};

__attribute__((format(printf, 3, 4))) static void blame(struct finding *finding, const struct event_member *member,
							const char *format, ...)
{
	va_list args;

	if (finding->reason[0])
		return;
	va_start(args, format);
	vsnprintf(finding->reason, sizeof(finding->reason), format, args);
	va_end(args);
	finding->member = *member;
}

__attribute__((format(printf, 2, 3))) static void take_back(struct finding *finding, const char *format, ...)
{
	va_list args;

	if (finding->why[0])
		return;
	va_start(args, format);
	vsnprintf(finding->why, sizeof(finding->why), format, args);
	va_end(args);
}

static bool is_watched(const struct lease *lease)
{
	return lease->state == LEASE_ACTIVE || lease->state == LEASE_VIOLATED;
}

const struct lease_device *violation_ruler(const struct lease *lease, unsigned int group)
{
	const struct lease_device *lost = NULL;

	for (size_t i = 0; i < lease->n_devices; i++) {
		const struct lease_device *device = lease->devices[i];

		if (device->group == group && !device->lost)
			return device;
		if (device->group == group && !lost)
			lost = device;
	}
	return lost;
}

static struct event_member member_of(const struct device *device)
{
	return (struct event_member){ .address = device->id.address,
				      .group = device->group->id,
				      .driver = device->driver };
}

/* ---- who joined ---- */

void violation_joined(struct lease *lease, const struct device *device)
{
	static const char *const told[] = { [POLICY_LATE_PARK] = "it is to wait on pci-stub",
					    [POLICY_LATE_ALLOW] = "it may, as long as the group stays viable",
					    [POLICY_LATE_VIOLATE] = "which it must not" };
	const struct lease_device *ruler = violation_ruler(lease, device->group->id);
	const struct event_member member = member_of(device);
	struct lease_device *late;

	if (!is_watched(lease) || !ruler)
		return;
	event_member(lease, LOG_NOTICE, "lateJoiner", &member, "%s joined group %u, which lease %llu has; %s",
		     device->id.address, device->group->id, (unsigned long long)lease->id,
		     told[ruler->conduct.late_joiner]);
	if (ruler->conduct.late_joiner == POLICY_LATE_ALLOW)
		return;
	late = late_add(lease, device);
	if (late)
		late->late.joined = true;
}

static bool is_out_of_the_way(const struct device *device)
{
	return driver_is_vfio(device->driver) || strcmp(device->driver, DRIVER_PARKING) == 0;
}

/* One that must not be there, until it is parked or gone. */
static void examine_trespasser(struct lease *lease, const struct lease_device *late, const struct device *device,
			       struct finding *finding)
{
	const struct event_member member = member_of(device);

	blame(finding, &member, "%s joined group %u while it is leased, and the rule has LateJoiner=violate",
	      device->id.address, late->group);
	if (late->conduct.on_violation == POLICY_VIOLATION_REVOKE)
		take_back(finding, "%s joined group %u, and the rule has LateJoiner=violate and OnViolation=revoke",
			  device->id.address, late->group);
	else if (late->conduct.on_violation == POLICY_VIOLATION_UNBIND && !is_out_of_the_way(device))
		late_park(lease, device);
}

static void examine_joiners(struct lease *lease, struct finding *finding)
{
	for (size_t i = lease->n_devices; i < lease_n_all(lease); i++) {
		const struct lease_device *late = lease->devices[i];
		const struct device *device = registry_find_device(lease->broker->registry, late->id.address);

		if (!device || late->lost || !late->late.joined || late->transaction)
			continue;
		if (late->conduct.late_joiner == POLICY_LATE_VIOLATE)
			examine_trespasser(lease, late, device, finding);
		else if (!is_out_of_the_way(device))
			late_park(lease, device);
	}
}

/* ---- who is on a driver of the host's ---- */

static bool is_to_be_parked(const struct lease *lease, const struct lease_device *ruler, const struct device *device)
{
	const struct lease_device *late = late_find(lease, device->id.address);
	bool joins = late && late->late.joined && !late->transaction;

	return ruler->conduct.on_violation == POLICY_VIOLATION_UNBIND ||
	       (joins && ruler->conduct.late_joiner == POLICY_LATE_PARK);
}

static void examine_intruder(struct lease *lease, const struct lease_device *ruler, const struct device *device,
			     struct finding *finding)
{
	const struct lease_device *leased = lease_find_device(lease, device->id.address);
	bool handed_out = leased && !leased->parked;

	/* To park what the client has would be to take it from the client: that is done in good order, or not at all. */
	if (!handed_out && is_to_be_parked(lease, ruler, device) && late_park(lease, device))
		return;
	if (handed_out && ruler->conduct.on_violation != POLICY_VIOLATION_LOG)
		take_back(finding, "%s was taken from vfio and is bound to %s", device->id.address, device->driver);
	else if (ruler->conduct.on_violation == POLICY_VIOLATION_REVOKE)
		take_back(finding, "%s is bound to %s, and the rule has OnViolation=revoke", device->id.address,
			  device->driver);
}

static void examine_blocker(struct lease *lease, const struct group *group, const struct blocker *blocker,
			    struct finding *finding)
{
	const struct lease_device *ruler = violation_ruler(lease, group->id);
	const struct device *device = registry_find_device(lease->broker->registry, blocker->device);
	const struct lease_device *late = late_find(lease, blocker->device);
	const struct event_member member = { .address = device ? device->id.address : ruler->id.address,
					     .group = group->id,
					     .driver = device ? device->driver : NULL };

	blame(finding, &member, "group %u is leased and not viable any more: %s; %s%s", group->id, blocker->message,
	      blocker->remedy, late && late_gave_up(late) ? "; iommud has tried to, and does not try again" : "");
	if (blocker->kind == BLOCKER_FOREIGN_DRIVER && device)
		examine_intruder(lease, ruler, device, finding);
	else if (ruler->conduct.on_violation == POLICY_VIOLATION_REVOKE)
		take_back(finding, "%s, and the rule has OnViolation=revoke", blocker->message);
}

/* -ENOMEM: it is not known. */
static int examine_group(struct lease *lease, unsigned int id, struct finding *finding)
{
	const struct group *group = registry_find_group(lease->broker->registry, id);
	struct verdict verdict = { 0 };
	int r = group ? broker_judge_group(lease->broker, group, &verdict) : 0;

	for (size_t i = 0; i < verdict.n_blockers; i++)
		examine_blocker(lease, group, &verdict.blockers[i], finding);
	verdict_clear(&verdict);
	return r;
}

/* ---- what was handed out ---- */

static bool is_gone(const struct lease_device *leased, const struct device *device)
{
	return !device || device->node != leased->node || device->group->id != leased->group;
}

/* What comes to the address of a lost device is another device: a late joiner, if it comes to the group. */
static void find_lost(struct lease *lease)
{
	for (size_t i = 0; i < lease_n_all(lease); i++) {
		struct lease_device *leased = lease->devices[i];
		const struct event_member member = { .address = leased->id.address, .group = leased->group };

		if (leased->lost || !is_gone(leased, registry_find_device(lease->broker->registry, leased->id.address)))
			continue;
		leased->lost = true;
		if (!leased->parked)
			event_member(lease, LOG_ERR, "deviceLost", &member, "%s was removed while lease %llu had it",
				     leased->id.address, (unsigned long long)lease->id);
	}
	late_forget_lost(lease);
}

static enum policy_on_violation rule_of(const struct lease_device *leased)
{
	return violation_ruler(leased->lease, leased->group)->conduct.on_violation;
}

static void examine_lost(const struct lease_device *leased, struct finding *finding)
{
	const struct event_member member = { .address = leased->id.address, .group = leased->group };

	blame(finding, &member, "%s was removed", leased->id.address);
	if (rule_of(leased) != POLICY_VIOLATION_LOG)
		take_back(finding, "%s was removed", leased->id.address);
}

/*
 * The kernel takes a device's driver away before it waits for the last descriptor: a leased device without a driver is one
 * that is asked for. Nobody but the client can help, so OnViolation=unbind can't mean anything but to ask it.
 */
static void examine_request(struct lease_device *leased, const struct device *device, struct finding *finding)
{
	const struct event_member member = member_of(device);
	bool wanted = device->driver[0] == '\0';

	if (wanted && !leased->wanted)
		event_member(leased->lease, LOG_NOTICE, "deviceRequested", &member,
			     "the kernel asks lease %llu for %s: it is being unplugged, or was unbound by hand",
			     (unsigned long long)leased->lease->id, leased->id.address);
	leased->wanted = wanted;
	if (wanted && rule_of(leased) != POLICY_VIOLATION_LOG)
		take_back(finding, "the kernel asks for %s: it is being unplugged, or was unbound by hand",
			  leased->id.address);
}

static void examine_leased(struct lease *lease, struct finding *finding)
{
	for (size_t i = 0; i < lease->n_devices; i++) {
		struct lease_device *leased = lease->devices[i];
		const struct device *device = registry_find_device(lease->broker->registry, leased->id.address);

		if (leased->lost)
			examine_lost(leased, finding);
		else if (device && !leased->restoring)
			examine_request(leased, device, finding);
	}
}

/* A node is labelled by whoever may: nobody but who did it, or an administrator, can say which context is meant. */
static void examine_nodes(const struct lease *lease, struct finding *finding)
{
	struct node_drift drift;
	struct event_member member;

	if (!node_labels_drifted(lease, &drift))
		return;
	member = (struct event_member){ .address = drift.device->id.address, .group = drift.device->group };
	blame(finding, &member,
	      "/dev/%s has the security context %.160s, and had %.160s when it was leased; chcon puts it right",
	      drift.node, drift.now, drift.former);
	if (rule_of(drift.device) == POLICY_VIOLATION_REVOKE)
		take_back(finding, "the security context of /dev/%s changed, and the rule has OnViolation=revoke",
			  drift.node);
}

/* ---- all of it ---- */

static void tell(struct lease *lease, const struct finding *finding)
{
	if (finding->reason[0] && lease->state == LEASE_ACTIVE)
		lease_set_state(lease, LEASE_VIOLATED);
	if (finding->reason[0] && strcmp(finding->reason, lease->reason) != 0) {
		memcpy(lease->reason, finding->reason, sizeof(lease->reason));
		event_member(lease, LOG_ERR, "violation", &finding->member, "%s", finding->reason);
	} else if (!finding->reason[0] && lease->state == LEASE_VIOLATED) {
		lease->reason[0] = '\0';
		lease_set_state(lease, LEASE_ACTIVE);
		event_lease(lease, LOG_NOTICE, "violationEnded", "nothing is wrong any more with what lease %llu has",
			    (unsigned long long)lease->id);
	}
}

void violation_examine(struct lease *lease)
{
	struct finding finding = { .reason = "" };
	int r = 0;

	if (!is_watched(lease))
		return;
	find_lost(lease);
	for (size_t i = 0; r == 0 && i < lease->n_devices; i++)
		if (lease_is_first_of_group(lease, i))
			r = examine_group(lease, lease->devices[i]->group, &finding);
	/* Out of memory: it is as it was, until the next look. */
	if (r < 0) {
		recover_retry_later(lease->broker);
		return;
	}
	examine_leased(lease, &finding);
	examine_joiners(lease, &finding);
	examine_nodes(lease, &finding);
	tell(lease, &finding);
	if (finding.why[0])
		revoke_begin(lease, finding.why);
}

void violation_examine_all(struct broker *broker)
{
	struct lease *lease, *following;

	list_for_each_safe(lease, following, &broker->leases, link)
		violation_examine(lease);
}
