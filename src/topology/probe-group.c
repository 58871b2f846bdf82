/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One group, read from /sys/kernel/iommu_groups/NUMBER.
 *
 * Isolation of interrupts is not in sysfs as such. What the kernel asks (iommu_group_has_isolated_msi()) is whether the
 * interrupts of all members go through remapping. With Intel's IOMMUs that needs bit 3 of the extended capabilities of
 * every unit of the machine: one without it, and the kernel remaps nothing at all. So any unit without the bit means
 * MSI_NOT_ISOLATED, and MSI_ISOLATED is "the hardware can": remapping that was turned off on hardware that has it
 * (intremap=off, nointremap, a firmware's opt-out) is on the kernel command line or in ACPI tables, not in sysfs, and
 * is not seen here. The kernel itself then refuses with EPERM when the device is attached. AMD's and ARM's IOMMUs show
 * nothing of it: MSI_ISOLATION_UNKNOWN.
 */
#include "topology/probe.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "topology/mdev.h"
#include "util/fileio.h"

#define REGIONS_LIMIT 65536 /* the kernel's file is one page */
#define ECAP_INTERRUPT_REMAPPING (1 << 3)

static size_t count_lines(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static bool parse_number(const char *text, uint64_t *ret)
{
	char *end;

	if (!text || strncmp(text, "0x", 2) != 0)
		return false;
	errno = 0;
	*ret = strtoull(text, &end, 16);
	return errno == 0 && *end == '\0' && end > text + 2;
}

static bool parse_region(char *line, struct reserved_region *ret)
{
	const char *start = strsep(&line, " "), *end = strsep(&line, " ");
	struct reserved_region region = { 0 };

	if (!line || !parse_number(start, &region.start) || !parse_number(end, &region.end))
		return false;
	if (*line == '\0' || strlen(line) >= sizeof(region.type))
		return false;
	strcpy(region.type, line);
	*ret = region;
	return true;
}

/* A line that is not understood is a fault: it could be the mapping that forbids to lease the group. */
static int parse_regions(char *text, struct reserved_region **ret, size_t *ret_n)
{
	size_t limit = count_lines(text) + 1, n = 0;
	_cleanup_free_ struct reserved_region *regions = calloc(limit, sizeof(*regions));
	char *line;

	if (!regions)
		return -ENOMEM;
	while ((line = strsep(&text, "\n"))) {
		if (*line == '\0')
			continue;
		if (!parse_region(line, &regions[n]))
			return -EBADMSG;
		n++;
	}
	*ret = n > 0 ? TAKE_PTR(regions) : NULL;
	*ret_n = n;
	return 0;
}

static int read_regions(const struct probe *probe, unsigned int id, struct reserved_region **ret, size_t *ret_n)
{
	_cleanup_free_ char *text = NULL;
	char path[64];
	int r;

	snprintf(path, sizeof(path), "kernel/iommu_groups/%u/reserved_regions", id);
	r = read_whole_file_at(probe->sysfs_fd, path, REGIONS_LIMIT, &text, NULL);
	if (probe_is_gone(r)) {
		*ret = NULL;
		*ret_n = 0;
		return 0;
	}
	return r < 0 ? r : parse_regions(text, ret, ret_n);
}

/*
 * vfio makes groups of its own under one name both for devices without an IOMMU and for mdevs, whose DMA is translated
 * for them by their parent's driver: only the former are no-IOMMU groups.
 */
static int read_no_iommu(const struct probe *probe, unsigned int id, const struct device *member, bool *ret)
{
	char path[64], name[64];
	int r;

	snprintf(path, sizeof(path), "kernel/iommu_groups/%u/name", id);
	r = read_file_at(probe->sysfs_fd, path, name, sizeof(name));
	if (r < 0 && r != -E2BIG && !probe_is_gone(r))
		return r;
	*ret = r == 0 && strcmp(name, PROBE_GROUP_NAME) == 0 && strcmp(member->bus, BUS_MDEV) != 0;
	return 0;
}

static enum msi_isolation read_unit(int class_fd, const char *name)
{
	char path[300], text[32], *end;
	unsigned long long ecap;

	snprintf(path, sizeof(path), "%s/intel-iommu/ecap", name);
	if (read_file_at(class_fd, path, text, sizeof(text)) < 0)
		return MSI_ISOLATION_UNKNOWN;
	ecap = strtoull(text, &end, 16);
	if (*text == '\0' || *end)
		return MSI_ISOLATION_UNKNOWN;
	return ecap & ECAP_INTERRUPT_REMAPPING ? MSI_ISOLATED : MSI_NOT_ISOLATED;
}

/* One unit that can't means that none does; else one that does not say so leaves it open. */
static enum msi_isolation combine(enum msi_isolation left, enum msi_isolation right)
{
	if (left == MSI_NOT_ISOLATED || right == MSI_NOT_ISOLATED)
		return MSI_NOT_ISOLATED;
	return left == MSI_ISOLATED && right == MSI_ISOLATED ? MSI_ISOLATED : MSI_ISOLATION_UNKNOWN;
}

static enum msi_isolation read_units(int class_fd, DIR *folder)
{
	enum msi_isolation all = MSI_ISOLATED;
	const struct dirent *entry;
	size_t n = 0;

	while ((entry = readdir(folder))) {
		if (strncmp(entry->d_name, "dmar", 4) != 0)
			continue;
		all = combine(all, read_unit(class_fd, entry->d_name));
		n++;
	}
	return n > 0 ? all : MSI_ISOLATION_UNKNOWN;
}

static int read_remapping(struct probe *probe)
{
	int class_fd = open_dir_at(probe->sysfs_fd, "class/iommu");
	DIR *folder;

	if (class_fd < 0 && !probe_is_gone(class_fd))
		return class_fd;
	probe->remapping_read = true;
	if (class_fd < 0)
		return 0;
	folder = fdopendir(class_fd);
	if (!folder) {
		close_fd(class_fd);
		return -ENOMEM;
	}
	probe->remapping = read_units(class_fd, folder);
	closedir(folder);
	return 0;
}

static int read_msi(struct probe *probe, const struct device *member, enum msi_isolation *ret)
{
	char path[128], name[64];
	int r;

	snprintf(path, sizeof(path), "bus/%s/devices/%s/iommu", member->bus, member->id.address);
	if (read_link_name_at(probe->sysfs_fd, path, name, sizeof(name)) < 0 || strncmp(name, "dmar", 4) != 0) {
		*ret = MSI_ISOLATION_UNKNOWN;
		return 0;
	}
	r = probe->remapping_read ? 0 : read_remapping(probe);
	if (r < 0)
		return r;
	*ret = probe->remapping;
	return 0;
}

int probe_group(struct probe *probe, const struct device *member, struct group *group)
{
	_cleanup_free_ struct reserved_region *regions = NULL;
	enum msi_isolation msi = MSI_ISOLATION_UNKNOWN;
	bool no_iommu = false;
	size_t n_regions;
	int r = read_regions(probe, group->id, &regions, &n_regions);

	if (r < 0)
		return r;
	r = read_no_iommu(probe, group->id, member, &no_iommu);
	if (r < 0)
		return r;
	r = read_msi(probe, member, &msi);
	if (r < 0)
		return r;
	free(group->regions);
	group->regions = TAKE_PTR(regions);
	group->n_regions = n_regions;
	group->no_iommu = no_iommu;
	group->msi = msi;
	return 0;
}
