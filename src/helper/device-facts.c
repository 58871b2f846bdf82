/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads groups, bridges, and what mdevs and their parents have to do with each other. Owns nothing, changes nothing. */
#include "helper/device-facts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

#include "helper/mdev.h"
#include "helper/pci-config.h"
#include "topology/probe.h"
#include "topology/viability.h"
#include "util/cleanup.h"
#include "util/fileio.h"

DEFINE_CLEANUP(directory, DIR *, closedir)

static int open_folder(int fd, const char *path, DIR **ret)
{
	_cleanup_fd_ int folder = open_dir_at(fd, path);

	if (folder < 0)
		return folder;
	*ret = fdopendir(folder);
	if (!*ret)
		return -errno;
	TAKE_FD(folder);
	return 0;
}

/* 1: there is one; 0: that was all; or a negative errno. */
static int next_name(DIR *directory, const char **ret)
{
	for (;;) {
		const struct dirent *entry;

		errno = 0;
		entry = readdir(directory);
		if (!entry)
			return -errno;
		*ret = entry->d_name;
		if (entry->d_name[0] != '.')
			return 1;
	}
}

static int count_group(int fd, size_t *ret)
{
	_cleanup_(cleanup_directory) DIR *directory = NULL;
	int r = open_folder(fd, "iommu_group/devices", &directory);
	const char *name;
	size_t n = 0;

	if (r < 0)
		return r;
	while ((r = next_name(directory, &name)) > 0)
		n++;
	*ret = n;
	return r;
}

/* Of the types that a parent has, the first that has an mdev; `ret` stays empty without. */
static int find_mdev(int fd, char *ret, size_t size)
{
	_cleanup_(cleanup_directory) DIR *types = NULL;
	int r = open_folder(fd, "mdev_supported_types", &types);
	const char *type = NULL, *name = NULL;

	while (r == 0 && (r = next_name(types, &type)) > 0) {
		_cleanup_(cleanup_directory) DIR *devices = NULL;
		char path[NAME_MAX + sizeof("mdev_supported_types//devices")];

		snprintf(path, sizeof(path), "mdev_supported_types/%s/devices", type);
		r = open_folder(fd, path, &devices);
		if (r == 0 && (r = next_name(devices, &name)) > 0) {
			snprintf(ret, size, "%.*s", (int)size - 1, name);
			return 0;
		}
	}
	return r == -ENOENT ? 0 : r;
}

static int find_obstacle_of_parent(int fd, struct device_facts *facts)
{
	char mdev[DEVICE_ADDRESS_MAX] = "";
	int r = find_mdev(fd, mdev, sizeof(mdev));

	if (mdev[0])
		snprintf(facts->obstacle, sizeof(facts->obstacle),
			 "it is the parent of the mdev %s, which would go with its driver", mdev);
	return r;
}

/* Its parent is the folder above. */
static int find_obstacle_of_mdev(const struct bus_device *device, struct device_facts *facts)
{
	char driver[DEVICE_DRIVER_MAX] = "";
	int r = read_link_name_at(device->fd, "../driver", driver, sizeof(driver));

	if (r < 0 && r != -ENOENT)
		return r;
	if (driver_is_vfio(driver)) {
		snprintf(facts->obstacle, sizeof(facts->obstacle), "its parent is on %s, and so user space's", driver);
		return 0;
	}
	r = mdev_can_return(device, facts->obstacle, sizeof(facts->obstacle));
	return r == -EOPNOTSUPP ? 0 : r;
}

static bool is_no_iommu(int fd, const char *file)
{
	char name[64];

	return read_file_at(fd, file, name, sizeof(name)) == 0 && strcmp(name, PROBE_GROUP_NAME) == 0;
}

static int read_pci(const struct bus_device *device, struct device_facts *facts)
{
	struct pci_config config;
	int r = pci_config_read(device->fd, &config);

	if (r == 0)
		facts->bridge = pci_config_is_bridge(&config);
	facts->has_virtual_functions = faccessat(device->fd, "virtfn0", F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	return r;
}

int device_facts_read(const struct bus_device *device, struct device_facts *ret)
{
	bool mdev = bus_device_is_mdev(device);
	struct device_facts facts = { 0 };
	int r = bus_device_is_pci(device) ? read_pci(device, &facts) : 0;

	if (r < 0)
		return r;
	r = read_link_name_at(device->fd, "iommu_group", facts.group, sizeof(facts.group));
	if (r < 0 && r != -ENOENT)
		return r;
	r = count_group(device->fd, &facts.group_size);
	if (r < 0 && r != -ENOENT)
		return r;
	/* vfio gives the groups that it makes for mdevs the same name as those that have no IOMMU. */
	facts.no_iommu = is_no_iommu(device->fd, mdev ? "../iommu_group/name" : "iommu_group/name");
	r = mdev ? find_obstacle_of_mdev(device, &facts) : find_obstacle_of_parent(device->fd, &facts);
	if (r < 0)
		return r;
	*ret = facts;
	return 0;
}
