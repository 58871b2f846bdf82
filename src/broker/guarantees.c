/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What holds while a lease lasts, who keeps it, and what is weaker than it could be: for Explain, the log and `iommuctl
 * status`. The kernel module is what makes most of the difference.
 */
#include "broker/internal.h"
#include "topology/mdev.h"

#define WITHOUT "without iommud.ko: "

static const char driver_is_noticed[] = WITHOUT
	"a host driver that is bound to a member by hand is noticed and dealt with as OnViolation= says, not prevented";
static const char joiner_is_noticed[] =
	WITHOUT "a device that joins a leased group may get a driver before it is dealt with as LateJoiner= says";
static const char descriptor_is_usable[] = WITHOUT
	"after a lease, who was passed a descriptor that is not in use yet can use it until the device is unbound";
static const char context_is_open[] =
	"this iommud.ko can't claim a group for an iommufd, for its kernel is built without it: another process that has a "
	"descriptor of the device could use it with an iommufd of its own";

static void add(struct explanation *explanation, const char *text)
{
	if (explanation->n_guarantees < GUARANTEES_MAX)
		explanation->guarantees[explanation->n_guarantees++] = text;
}

static bool can_claim_contexts(const struct broker *broker)
{
	return ownership_can(broker->module, IOMMUD_FEATURE_IOMMUFD);
}

static void add_dma(const struct broker *broker, struct explanation *explanation)
{
	const struct opener *opener = explanation->opener;

	if (opener && opener->has_context && can_claim_contexts(broker))
		add(explanation,
		    "the kernel gives the group's DMA to the iommufd that is handed out, and to nothing else (iommud.ko)");
	else
		add(explanation, "the kernel's VFIO refuses DMA while a member of the group is on a host driver");
	if (opener && opener->has_context && broker->module && !can_claim_contexts(broker))
		add(explanation, context_is_open);
	if (opener && !opener->has_context)
		add(explanation, "the group is in one container, which is the client's alone");
}

static void add_drivers(const struct broker *broker, struct explanation *explanation)
{
	if (!broker->module) {
		add(explanation, driver_is_noticed);
		add(explanation, joiner_is_noticed);
		add(explanation, descriptor_is_usable);
		return;
	}
	add(explanation, "the kernel refuses host drivers for all members, or takes them off at once (iommud.ko)");
	if (explanation->decision.scope == POLICY_SINGLETON)
		add(explanation,
		    "the group stays one device: what joins it, or comes to its slot, gets no driver (iommud.ko)");
	else
		add(explanation, "a device that joins the group gets no host driver (iommud.ko)");
	add(explanation, "after the lease nobody can begin to use a descriptor that is still out (iommud.ko)");
}

static void add_mdev(struct explanation *explanation)
{
	add(explanation, "the driver of the mdev's parent keeps its DMA to what the client maps; no IOMMU sees it");
	add(explanation, "an mdev can't be claimed: a host driver that is bound by hand is noticed and dealt with as "
			 "OnViolation= says, not prevented");
	if (explanation->decision.conduct.isolation == POLICY_ISOLATION_SHARED)
		add(explanation, "Isolation=shared: all mdevs of one parent are one client's at a time");
}

void guarantees_list(const struct broker *broker, const struct device *device, struct explanation *explanation)
{
	if (device_is_mdev(device)) {
		add_mdev(explanation);
		return;
	}
	add_dma(broker, explanation);
	add_drivers(broker, explanation);
}

static bool has_iommufd(const struct broker *broker)
{
	for (const struct opener *const *opener = broker->openers; *opener; opener++)
		if ((*opener)->has_context && (*opener)->available(broker->dev_fd))
			return true;
	return false;
}

size_t broker_weaknesses(const struct broker *broker, const char *ret[GUARANTEES_MAX])
{
	size_t n = 0;

	if (!broker->module) {
		ret[n++] = driver_is_noticed;
		ret[n++] = joiner_is_noticed;
		ret[n++] = descriptor_is_usable;
	} else if (has_iommufd(broker) && !can_claim_contexts(broker)) {
		ret[n++] = context_is_open;
	}
	return n;
}
