/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel module holds for leases: each group by one descriptor, which the group's first device keeps.
 *
 * Before anything goes out the group's DMA is claimed for the iommufd that goes out with it, so that no driver and no other
 * context can slip in; a container takes the DMA itself, so for that only drivers are kept off. When the lease is given back
 * the claim stays until the device was unbound: who has a descriptor still can't begin to use it. A claim is undone by closing it, so
 * nothing can fail on the way back, and a broker that dies leaves nothing.
 *
 * Without the module all of this does nothing, and guarantees.c says what is weaker.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "broker/internal.h"
#include "topology/mdev.h"
#include "util/log.h"

#define MEMBERS_MAX 64 /* of a group, looked at for a message */
#define EVENT_BUDGET 64 /* in one turn, so that clients get theirs */

/* Where the module can claim: it knows no others. */
static bool is_claimable(const struct lease_device *device)
{
	return !device->mdev && (strcmp(device->bus, "pci") == 0 || strcmp(device->bus, "platform") == 0);
}

/* ---- taking ---- */

static const struct {
	int error;
	const char *text;
} reasons[] = {
	{ EBUSY, "a member is on a driver that leaves its DMA to nobody, or came to one just now" },
	{ EPERM, "its DMA belongs to somebody else: a kernel driver, or a process that has it open" },
	{ EXDEV, "another claim of it has another label" },
	{ E2BIG,
	  "AllowedDrivers= names more drivers than the module takes, which is 16, or a name of more than 39 characters" },
	{ EINVAL, "the firmware has mapped memory for it, or its label is too long" },
};

static const char *reason_of(int error)
{
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		if (reasons[i].error == error)
			return reasons[i].text;
	return strerror(error);
}

/* Whether a driver leaves DMA to others only the kernel knows: the judgement went by AllowedDrivers=. */
static bool find_offender(const struct lease_device *device, struct iommud_member *ret)
{
	const struct ownership *module = device->lease->broker->module;
	struct iommud_member members[MEMBERS_MAX];
	int n = module->ops->query(module->node, device->bus, device->id.address, members, MEMBERS_MAX);

	for (int i = 0; i < n && i < MEMBERS_MAX; i++)
		if (members[i].driver[0] && !(members[i].flags & IOMMUD_MEMBER_MANAGES_DMA)) {
			*ret = members[i];
			return true;
		}
	return false;
}

static void refuse(const struct lease_device *device, int error, struct refusal *refusal)
{
	struct iommud_member offender;

	if (error == EBUSY && find_offender(device, &offender))
		refusal_set(
			refusal, REFUSAL_PREPARE_FAILED,
			"the kernel module does not let a lease have group %u: %s is on %s, which uses its DMA itself; "
			"unbind it, or have it parked (Bystanders=park), whatever AllowedDrivers= says",
			device->group, offender.device, offender.driver);
	else
		refusal_set(refusal, REFUSAL_PREPARE_FAILED,
			    "the kernel module does not let a lease have group %u: %s; see 'iommuctl describe %s'",
			    device->group, reason_of(error), device->id.address);
	memcpy(refusal->device, device->id.address, sizeof(refusal->device));
	snprintf(refusal->word, sizeof(refusal->word), "claim");
	refusal->number = error;
}

/* With -1 the DMA of all members is blocked. */
static int claim_for(struct lease_device *device, int iommufd, uint32_t flags)
{
	const struct ownership *module = device->lease->broker->module;
	const struct ownership_claim claim = {
		.bus = device->bus,
		.device = device->id.address,
		.iommufd = iommufd,
		.flags = flags | (device->singleton ? IOMMUD_CLAIM_SINGLETON : 0),
		.label = device->lease->label,
		.drivers = (const char *const *)device->lease->allowed_drivers,
	};
	int fd = module->ops->claim(module->node, &claim);

	if (fd < 0)
		return fd;
	device->claim = fd;
	return 0;
}

static int claim_for_container(struct lease_device *device)
{
	int r = claim_for(device, -1, 0);

	/* A container is to take the DMA; that nobody else had it is known now. */
	if (r == 0)
		r = device->lease->broker->module->ops->hand_off(device->claim);
	if (r < 0)
		device->claim = close_fd(device->claim);
	return r;
}

static int claim_group(struct lease_device *device, int iommufd)
{
	if (iommufd < 0)
		return claim_for_container(device);
	if (ownership_can(device->lease->broker->module, IOMMUD_FEATURE_IOMMUFD))
		return claim_for(device, iommufd, 0);
	return claim_for(device, -1, IOMMUD_CLAIM_DENY_ONLY);
}

bool claims_wanted(const struct lease *lease, size_t i)
{
	return lease->broker->module && is_claimable(lease->devices[i]) && lease->devices[i]->claim < 0 &&
	       lease_is_first_of_group(lease, i);
}

int claims_take(struct lease *lease, int iommufd, struct refusal *refusal)
{
	for (size_t i = 0; i < lease->n_devices; i++) {
		struct lease_device *device = lease->devices[i];
		int r = 0;

		if (claims_wanted(lease, i)) {
			claims_forget_kept(lease->broker, device->group);
			r = claim_group(device, iommufd);
		}
		if (r == 0)
			continue;
		claims_drop(lease);
		if (r != -EAGAIN)
			refuse(device, -r, refusal);
		return r;
	}
	return 0;
}

/* ---- giving back ---- */

void claims_drop(struct lease *lease)
{
	for (size_t i = 0; i < lease->n_devices; i++)
		lease->devices[i]->claim = close_fd(lease->devices[i]->claim);
}

/*
 * A claim that is given back ends when all that are on VFIO were unbound. One that is not of the lease would never be, and keep the host's
 * drivers from the others.
 */
static bool has_strangers(struct lease *lease, unsigned int id)
{
	const struct group *group = registry_find_group(lease->broker->registry, id);
	const struct device *member;

	if (!group)
		return true;
	list_for_each(member, &group->devices, group_link)
		if (device_is_on_vfio(member) && !lease_find_device(lease, member->id.address))
			return true;
	return false;
}

void claims_give_back(struct lease *lease)
{
	const struct ownership *module = lease->broker->module;

	for (size_t i = 0; i < lease->n_devices; i++) {
		struct lease_device *device = lease->devices[i];
		int r;

		if (device->claim < 0)
			continue;
		r = has_strangers(lease, device->group) ? -EBUSY : module->ops->give_back(device->claim);
		if (r < 0) {
			kept_forget_claim(device);
			device->claim = close_fd(device->claim);
		}
		device->idle = r > 0;
	}
}

/* A kernel driver that needs nothing but the device itself is bound to no other member then. */
static bool is_all_of_its_group(const struct lease *lease, unsigned int id)
{
	const struct group *group = registry_find_group(lease->broker->registry, id);
	const struct device *member;

	if (!group)
		return false;
	list_for_each(member, &group->devices, group_link) {
		const struct lease_device *leased = NULL;

		for (size_t i = 0; i < lease->n_devices && !leased; i++)
			if (strcmp(lease->devices[i]->id.address, member->id.address) == 0)
				leased = lease->devices[i];
		if (!leased)
			return false;
	}
	return true;
}

/*
 * One that came from VFIO goes back to it. Should the broker die, the claim is gone, and with it what is known of who had the
 * device: the next client's device must be one that is reset then, which takes an unbind.
 */
static bool may_stay(const struct lease_device *device)
{
	const struct device *present = registry_find_device(device->lease->broker->registry, device->id.address);

	return device->transaction && !device->lost && present && driver_is_vfio(device->driver) &&
	       strcmp(present->driver, device->driver) == 0 && reset_is_certain(device, present) &&
	       is_all_of_its_group(device->lease, device->group);
}

bool claims_can_stay(const struct lease *lease)
{
	if (lease->n_parked > 0)
		return false;
	for (size_t i = 0; i < lease->n_devices; i++)
		if (!may_stay(lease->devices[i]) || (lease_is_first_of_group(lease, i) && !lease->devices[i]->idle))
			return false;
	return true;
}

void claims_keep(struct lease *lease)
{
	for (size_t i = 0; i < lease->n_devices; i++) {
		struct lease_device *device = lease->devices[i];
		struct group_state *state = group_state_get(lease->broker, device->group);

		if (!state || device->claim < 0)
			continue;
		close_fd(state->kept);
		state->kept = TAKE_FD(device->claim);
	}
}

void claims_forget_kept(struct broker *broker, unsigned int group)
{
	if (group < broker->n_groups)
		broker->groups[group].kept = close_fd(broker->groups[group].kept);
}

/* ---- events ---- */

static struct lease *holder_of(struct broker *broker, const struct iommud_event *event)
{
	return broker_group_holder(broker, event->group);
}

static void tell_refused(struct broker *broker, const struct iommud_event *event)
{
	const struct event_member member = { .address = event->device, .group = event->group, .driver = event->driver };
	struct lease *holder = holder_of(broker, event);

	if (holder)
		event_member(holder, LOG_WARNING, "driverRefused", &member,
			     "the kernel takes %s from %s, which was bound to it while lease %llu has group %u",
			     event->device, event->driver, (unsigned long long)holder->id, event->group);
}

static void tell_not_claimed(struct broker *broker, const struct iommud_event *event)
{
	const struct event_member member = { .address = event->device, .group = event->group };
	struct lease *holder = holder_of(broker, event);

	if (holder)
		event_member(holder, LOG_WARNING, "joinerNotClaimed", &member,
			     "%s joined group %u, and the kernel could not claim its DMA (%s); drivers are kept off it",
			     event->device, event->group, strerror((int)event->error));
}

/* The event may be of somebody else's claim. */
static bool has_ended(int claim)
{
	struct pollfd poller = { .fd = claim };

	return claim >= 0 && poll(&poller, 1, 0) == 1 && (poller.revents & POLLHUP);
}

/* Nobody can use what the client has without its iommufd; nobody else is to get the group before the lease is over. */
static void hold_abandoned(struct broker *broker, unsigned int group)
{
	struct lease *lease = broker_group_holder(broker, group);

	for (size_t i = 0; lease && i < lease->n_devices; i++) {
		struct lease_device *device = lease->devices[i];

		if (device->group != group || !has_ended(device->claim))
			continue;
		device->claim = close_fd(device->claim);
		if ((lease->state == LEASE_ACTIVE || lease->state == LEASE_VIOLATED) && claim_for(device, -1, 0) < 0)
			event_leased(device, LOG_WARNING, "claimLost",
				     "lease %llu has closed its iommufd, and group %u could not be claimed anew: host "
				     "drivers are noticed, not prevented",
				     (unsigned long long)lease->id, group);
		kept_renew_claim(device);
	}
}

/* A group that stayed on VFIO between leases: its device was unbound, by hand or for the next client. */
static void forget_ended(struct broker *broker, unsigned int group)
{
	if (group < broker->n_groups && has_ended(broker->groups[group].kept))
		claims_forget_kept(broker, group);
}

static void handle(struct broker *broker, const struct iommud_event *event)
{
	switch ((enum iommud_event_type)event->type) {
	case IOMMUD_EVENT_OVERFLOW:
		broker_resync(broker);
		return;
	case IOMMUD_EVENT_REFUSED:
		tell_refused(broker, event);
		break;
	case IOMMUD_EVENT_NOT_CLAIMED:
		tell_not_claimed(broker, event);
		break;
	case IOMMUD_EVENT_CONTEXT_GONE:
		hold_abandoned(broker, event->group);
		return;
	case IOMMUD_EVENT_ADDED:
	case IOMMUD_EVENT_BOUND:
	case IOMMUD_EVENT_UNBOUND:
	case IOMMUD_EVENT_REMOVED:
		break;
	case IOMMUD_EVENT_LET_GO:
		forget_ended(broker, event->group);
		return;
	case IOMMUD_EVENT_LABEL_REFUSED: /* who asked was told */
	case IOMMUD_EVENT_PARKED:
		return;
	}
	/* Before udev tells. What is wrong with the lease, if anything, is found by looking. */
	broker_device_changed(broker, event->device);
}

void broker_module_dispatch(struct broker *broker)
{
	struct iommud_event event;
	int r = 0;

	for (unsigned int i = 0; i < EVENT_BUDGET && (r = ownership_next_event(broker->module, &event)) > 0; i++)
		handle(broker, &event);
	if (r < 0)
		log_error("the kernel module's events can't be read: %s", strerror(-r));
}

const struct ownership *broker_get_module(const struct broker *broker)
{
	return broker->module;
}
