/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is particular about mdevs. Pure, but for one link that is read. Of what can be said against a group, only what says
 * that the parent's DMA is not translated, or that the parent is not the host's alone, counts for an mdev: a mapping that
 * the firmware keeps, or a host driver on the parent, is as it should be, for the parent stays with the host.
 */
#include "topology/mdev.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int mdev_read_parent(int bus_fd, const char *address, char ret[DEVICE_ADDRESS_MAX])
{
	char target[PATH_MAX], *name, *end;
	ssize_t n = readlinkat(bus_fd, address, target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	/* ".../PARENT/ADDRESS" */
	end = strrchr(target, '/');
	if (!end)
		return -EBADMSG;
	*end = '\0';
	name = strrchr(target, '/');
	name = name ? name + 1 : target;
	snprintf(ret, DEVICE_ADDRESS_MAX, "%.*s", DEVICE_ADDRESS_MAX - 1, name);
	return *name ? 0 : -EBADMSG;
}

bool mdev_is_sibling(const struct device *left, const struct device *right)
{
	return device_is_mdev(left) && strcmp(left->parent, right->parent) == 0;
}

bool device_is_on_vfio(const struct device *device)
{
	return device_is_mdev(device) ? device->driver[0] != '\0' : driver_is_vfio(device->driver);
}

static struct blocker blocker_of(enum blocker_kind kind, const struct device *mdev)
{
	struct blocker blocker = { .kind = kind };

	memcpy(blocker.device, mdev->parent, sizeof(blocker.device));
	return blocker;
}

static int judge_translation(const struct device *mdev, const struct group *group, struct verdict *verdict)
{
	struct blocker blocker = blocker_of(BLOCKER_NO_IOMMU, mdev);

	if (!group->no_iommu)
		return 0;
	snprintf(blocker.message, sizeof(blocker.message),
		 "%s, the parent of %s, is in group %u, which has no IOMMU: nothing keeps its DMA from any memory",
		 mdev->parent, mdev->id.address, group->id);
	snprintf(blocker.remedy, sizeof(blocker.remedy),
		 "turn the IOMMU on in the firmware's setup and on the kernel command line (intel_iommu=on)");
	return verdict_add(verdict, &blocker);
}

static int judge_interrupts(const struct device *mdev, const struct group *group, bool allowed, struct verdict *verdict)
{
	struct blocker blocker = blocker_of(BLOCKER_UNSAFE_INTERRUPTS, mdev);

	if (group->msi != MSI_NOT_ISOLATED || allowed)
		return 0;
	snprintf(blocker.message, sizeof(blocker.message),
		 "%s, the parent of %s, can send any interrupt to the host: the IOMMU of group %u does not remap them",
		 mdev->parent, mdev->id.address, group->id);
	snprintf(blocker.remedy, sizeof(blocker.remedy),
		 "turn interrupt remapping on in the firmware's setup, or set allow_unsafe_interrupts=1 for "
		 "vfio_iommu_type1 and iommufd, as far as they are loaded");
	return verdict_add(verdict, &blocker);
}

static int judge_lease(const struct device *mdev, const struct mdev_parent *parent, struct verdict *verdict)
{
	struct blocker blocker = blocker_of(BLOCKER_MDEV_PARENT, mdev);

	if (!parent->leased)
		return 0;
	snprintf(blocker.message, sizeof(blocker.message),
		 "%s, the parent of %s, is in group %u, which is leased: its DMA is not the host's alone", mdev->parent,
		 mdev->id.address, parent->group->id);
	snprintf(blocker.remedy, sizeof(blocker.remedy), "wait until the lease on group %u has ended",
		 parent->group->id);
	return verdict_add(verdict, &blocker);
}

static int judge_member(const struct device *mdev, const struct device *member, struct verdict *verdict)
{
	struct blocker blocker = blocker_of(BLOCKER_MDEV_PARENT, mdev);

	if (!device_is_on_vfio(member))
		return 0;
	memcpy(blocker.driver, member->driver, sizeof(blocker.driver));
	snprintf(blocker.message, sizeof(blocker.message),
		 "%s, the parent of %s, shares group %u with user space: %s is bound to %s", mdev->parent,
		 mdev->id.address, member->group->id, member->id.address, member->driver);
	snprintf(blocker.remedy, sizeof(blocker.remedy), "unbind it: echo %s >/sys/bus/%s/drivers/%s/unbind",
		 member->id.address, member->bus, member->driver);
	return verdict_add(verdict, &blocker);
}

int mdev_judge(const struct device *mdev, const struct mdev_parent *parent, const struct viability_options *options,
	       struct verdict *verdict)
{
	const struct device *member;
	int r;

	if (!parent->group)
		return 0;
	r = judge_translation(mdev, parent->group, verdict);
	if (r == 0)
		r = judge_interrupts(mdev, parent->group, options->unsafe_interrupts_allowed, verdict);
	if (r == 0)
		r = judge_lease(mdev, parent, verdict);
	list_for_each(member, &parent->group->devices, group_link) {
		if (r < 0)
			break;
		r = judge_member(mdev, member, verdict);
	}
	return r;
}

int mdev_judge_parent(const struct device *parent, const struct device *mdev, struct verdict *verdict)
{
	struct blocker blocker = { .kind = BLOCKER_MDEV_PARENT };

	memcpy(blocker.device, parent->id.address, sizeof(blocker.device));
	memcpy(blocker.driver, parent->driver, sizeof(blocker.driver));
	snprintf(blocker.message, sizeof(blocker.message),
		 "%s is the parent of the mdev %s, which %s has made and would take along", parent->id.address,
		 mdev->id.address, parent->driver);
	snprintf(blocker.remedy, sizeof(blocker.remedy),
		 "remove the mdev first: echo 1 >/sys/bus/mdev/devices/%s/remove", mdev->id.address);
	return verdict_add(verdict, &blocker);
}
