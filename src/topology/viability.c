/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Judges a group. Pure: the same group and options give the same verdict, blockers in the same order (the group's own
 * first, then each member's in order of address), so that two verdicts can be compared to see whether something
 * changed.
 *
 * What it can't see: whether interrupt remapping that the hardware has is really on (topology/probe-group.c), and a
 * driver that is managed-DMA but in no table; for the former the kernel refuses later, the latter policy can allow.
 */
#include "topology/viability.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "topology/buses.h"
#include "topology/mdev.h"

static void __attribute__((format(printf, 3, 4))) say(char *target, size_t size, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(target, size, format, args);
	va_end(args);
}

#define SAY(field, ...) say((field), sizeof(field), __VA_ARGS__)

static bool is_in(const char *text, const char *const *list)
{
	for (; list && *list; list++) {
		if (strcmp(*list, text) == 0)
			return true;
	}
	return false;
}

static int judge_translation(const struct group *group, struct verdict *verdict)
{
	struct blocker blocker = { .kind = BLOCKER_NO_IOMMU };

	if (!group->no_iommu)
		return 0;
	SAY(blocker.message, "group %u has no IOMMU: nothing keeps its devices' DMA from any memory", group->id);
	SAY(blocker.remedy,
	    "turn the IOMMU on in the firmware's setup and on the kernel command line (intel_iommu=on), "
	    "and load vfio without enable_unsafe_noiommu_mode");
	return verdict_add(verdict, &blocker);
}

static int judge_interrupts(const struct group *group, bool allowed, struct verdict *verdict)
{
	struct blocker blocker = { .kind = BLOCKER_UNSAFE_INTERRUPTS };

	if (group->msi != MSI_NOT_ISOLATED || allowed)
		return 0;
	SAY(blocker.message, "group %u can send any interrupt to the host: its IOMMU does not remap interrupts",
	    group->id);
	SAY(blocker.remedy,
	    "turn interrupt remapping on in the firmware's setup (and no intremap=off for the kernel), or "
	    "set allow_unsafe_interrupts=1 for vfio_iommu_type1 and iommufd, as far as they are loaded: then who "
	    "holds a device can forge the host's interrupts");
	return verdict_add(verdict, &blocker);
}

/* The kernel keeps `direct` ranges mapped for the firmware and refuses the group; it gives up `direct-relaxable`. */
static int judge_regions(const struct group *group, struct verdict *verdict)
{
	for (size_t i = 0; i < group->n_regions; i++) {
		const struct reserved_region *region = &group->regions[i];
		struct blocker blocker = { .kind = BLOCKER_FIRMWARE_MAPPING };
		int r;

		if (strcmp(region->type, "direct") != 0)
			continue;
		SAY(blocker.message,
		    "group %u must keep 0x%016" PRIx64 "-0x%016" PRIx64 " mapped for the firmware (RMRR)", group->id,
		    region->start, region->end);
		SAY(blocker.remedy,
		    "turn off in the firmware's setup what uses that memory (USB legacy support, shared "
		    "memory of a management controller), or use a device without such a mapping");
		r = verdict_add(verdict, &blocker);
		if (r < 0)
			return r;
	}
	return 0;
}

static int judge_driver(const struct device *device, const struct viability_options *options, struct verdict *verdict)
{
	struct blocker blocker = { .kind = BLOCKER_FOREIGN_DRIVER };
	const struct bus *bus = bus_find(device->bus);
	const char *address = device->id.address, *driver = device->driver, *instead;

	if (driver[0] == '\0' || device_is_on_vfio(device) || driver_is_allowed(driver))
		return 0;
	if (is_in(driver, options->allowed_drivers) || is_in(address, options->moving))
		return 0;
	/* vfio-pci does not take bridges. */
	instead = device->bridge ? "pci-stub" : bus && bus->vfio_driver ? bus->vfio_driver : "a vfio driver";
	SAY(blocker.device, "%s", address);
	SAY(blocker.driver, "%s", driver);
	SAY(blocker.message, "%s is bound to %s", address, driver);
	SAY(blocker.remedy, "bind it to %s, or unbind it: echo %s >/sys/bus/%s/drivers/%s/unbind", instead, address,
	    device->bus, driver);
	return verdict_add(verdict, &blocker);
}

/* What holds it, and how to have it let go. A framebuffer has the first number, for there is one console. */
static void say_display(const struct device *device, struct blocker *blocker)
{
	const char *address = device->id.address, *framebuffer = display_framebuffer_name(device->boot_display);

	if (framebuffer) {
		SAY(blocker->message, "%s is the boot display, and in use by the firmware's framebuffer, %s.0", address,
		    framebuffer);
		SAY(blocker->remedy,
		    "make another graphics device the firmware's primary one, or give up this machine's screen: "
		    "echo %s.0 >/sys/bus/platform/drivers/%s/unbind, or boot with initcall_blacklist=sysfb_init",
		    framebuffer, framebuffer);
		return;
	}
	SAY(blocker->message, "%s is the boot display, and in use by its driver, %s (boot_vga)", address,
	    device->driver);
	SAY(blocker->remedy,
	    "make another graphics device the firmware's primary one, or give up this machine's screen: "
	    "echo %s >/sys/bus/pci/drivers/%s/unbind, and boot with initcall_blacklist=sysfb_init",
	    address, device->driver);
}

static int judge_display(const struct device *device, struct verdict *verdict)
{
	struct blocker blocker = { .kind = BLOCKER_BOOT_DISPLAY };

	if (!device->boot_display)
		return 0;
	SAY(blocker.device, "%s", device->id.address);
	SAY(blocker.driver, "%s", device->driver);
	say_display(device, &blocker);
	return verdict_add(verdict, &blocker);
}

static int judge_members(const struct group *group, const struct viability_options *options, struct verdict *verdict)
{
	const struct device *device;
	int r;

	list_for_each(device, &group->devices, group_link) {
		r = judge_driver(device, options, verdict);
		if (r < 0)
			return r;
		r = judge_display(device, verdict);
		if (r < 0)
			return r;
	}
	return 0;
}

static int judge(const struct group *group, const struct viability_options *options, struct verdict *verdict)
{
	int r = judge_translation(group, verdict);

	if (r < 0)
		return r;
	r = judge_interrupts(group, options->unsafe_interrupts_allowed, verdict);
	if (r < 0)
		return r;
	r = judge_regions(group, verdict);
	return r < 0 ? r : judge_members(group, options, verdict);
}

int viability_judge(const struct group *group, const struct viability_options *options, struct verdict *ret)
{
	struct verdict verdict = { 0 };
	int r = judge(group, options, &verdict);

	if (r < 0) {
		verdict_clear(&verdict);
		return r;
	}
	*ret = verdict;
	return 0;
}
