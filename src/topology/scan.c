/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The raw scan: every device with a group, bus by bus, then their groups. What is found is gathered unordered, and
 * sorted before it enters the snapshot, so that indexes and lists only grow at their ends and nothing is quadratic.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "topology/buses.h"
#include "topology/probe.h"
#include "topology/snapshot.h"
#include "util/log.h"

struct found {
	struct device *device; /* owned until the snapshot takes it */
	unsigned int group;
	unsigned int bus; /* place in the table of buses */
};

struct findings {
	struct found *items;
	size_t n;
	size_t capacity;
};

static void findings_clear(struct findings *findings)
{
	for (size_t i = 0; i < findings->n; i++)
		free(findings->items[i].device);
	free(findings->items);
}

static int findings_grow(struct findings *findings)
{
	size_t capacity = findings->capacity ? findings->capacity * 2 : 64;
	struct found *larger;

	if (findings->n < findings->capacity)
		return 0;
	larger = reallocarray(findings->items, capacity, sizeof(*larger));
	if (!larger)
		return -ENOMEM;
	findings->items = larger;
	findings->capacity = capacity;
	return 0;
}

static int find_device(struct probe *probe, int bus_fd, unsigned int bus, const char *address,
		       struct findings *findings)
{
	struct found found = { .bus = bus };
	int r;

	if (!device_address_is_valid(address))
		return 0;
	r = findings_grow(findings);
	if (r < 0)
		return r;
	r = probe_device(probe, bus_fd, topology_buses[bus].name, address, &found.device, &found.group);
	if (r == -ENOENT)
		return 0;
	if (r < 0) {
		log_debug("%s: can't be read: %s", address, strerror(-r));
		return r;
	}
	findings->items[findings->n++] = found;
	return 0;
}

static int scan_folder(struct probe *probe, DIR *folder, unsigned int bus, struct findings *findings)
{
	const struct dirent *entry;
	int r;

	for (;;) {
		errno = 0;
		entry = readdir(folder);
		if (!entry)
			return -errno;
		r = find_device(probe, dirfd(folder), bus, entry->d_name, findings);
		if (r < 0)
			return r;
	}
}

static int scan_bus(struct probe *probe, unsigned int bus, struct findings *findings)
{
	int bus_fd = probe_open_bus(probe, topology_buses[bus].name);
	DIR *folder;
	int r;

	if (bus_fd < 0)
		return probe_is_gone(bus_fd) ? 0 : bus_fd;
	folder = fdopendir(bus_fd);
	if (!folder) {
		close_fd(bus_fd);
		return -ENOMEM;
	}
	r = scan_folder(probe, folder, bus, findings);
	closedir(folder);
	return r;
}

static int by_address(const void *left, const void *right)
{
	const struct found *l = left, *r = right;
	int order = strcmp(l->device->id.address, r->device->id.address);

	return order ? order : (l->bus > r->bus) - (l->bus < r->bus);
}

static int by_group(const void *left, const void *right)
{
	const struct found *l = left, *r = right;

	if (l->group != r->group)
		return l->group > r->group ? 1 : -1;
	return strcmp(l->device->id.address, r->device->id.address);
}

/* An address names one device: of two on different buses the one of the earlier bus stays. */
static void findings_drop_doubles(struct findings *findings)
{
	size_t kept = 0;

	for (size_t i = 0; i < findings->n; i++) {
		struct found *found = &findings->items[i];

		if (kept > 0 && strcmp(findings->items[kept - 1].device->id.address, found->device->id.address) == 0)
			free(found->device);
		else
			findings->items[kept++] = *found;
	}
	findings->n = kept;
}

static int build_group(struct probe *probe, struct snapshot *snapshot, const struct found *found)
{
	_cleanup_(cleanup_group) struct group *group = group_new(found->group);
	int r;

	if (!group)
		return -ENOMEM;
	r = probe_group(probe, found->device, group);
	if (r < 0)
		return r;
	snapshot_add_group(snapshot, TAKE_PTR(group));
	return 0;
}

static int build_groups(struct probe *probe, struct findings *findings, struct snapshot *snapshot)
{
	int r;

	qsort(findings->items, findings->n, sizeof(*findings->items), by_group);
	for (size_t i = 0; i < findings->n; i++) {
		if (i > 0 && findings->items[i - 1].group == findings->items[i].group)
			continue;
		r = build_group(probe, snapshot, &findings->items[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

static void add_devices(struct findings *findings, struct snapshot *snapshot)
{
	qsort(findings->items, findings->n, sizeof(*findings->items), by_address);
	for (size_t i = 0; i < findings->n; i++) {
		struct group *group = snapshot_find_group(snapshot, findings->items[i].group);

		snapshot_add_device(snapshot, findings->items[i].device, group);
	}
	findings->n = 0;
}

static int build(struct probe *probe, struct findings *findings, struct snapshot *snapshot)
{
	int r = snapshot_reserve(snapshot, findings->n, findings->n);

	if (r < 0)
		return r;
	r = build_groups(probe, findings, snapshot);
	if (r < 0)
		return r;
	add_devices(findings, snapshot);
	return 0;
}

static int gather(struct probe *probe, struct findings *findings)
{
	int r;

	for (unsigned int bus = 0; topology_buses[bus].name; bus++) {
		r = scan_bus(probe, bus, findings);
		if (r < 0)
			return r;
	}
	if (findings->n == 0)
		return 0;
	qsort(findings->items, findings->n, sizeof(*findings->items), by_address);
	findings_drop_doubles(findings);
	return 0;
}

int snapshot_scan(int sysfs_fd, const char *udev_data, struct snapshot **ret)
{
	_cleanup_(cleanup_snapshot) struct snapshot *snapshot = snapshot_new();
	_cleanup_(findings_clear) struct findings findings = { 0 };
	struct probe probe = { .sysfs_fd = sysfs_fd, .udev_data = udev_data };
	int r;

	if (!snapshot)
		return -ENOMEM;
	r = gather(&probe, &findings);
	if (r < 0)
		return r;
	if (findings.n > 0) {
		r = build(&probe, &findings, snapshot);
		if (r < 0)
			return r;
	}
	*ret = TAKE_PTR(snapshot);
	return 0;
}
