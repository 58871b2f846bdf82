/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "topology/nodes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "util/cleanup.h"
#include "util/fileio.h"

DEFINE_CLEANUP(directory, DIR *, closedir)

/* Without a number there is no node: a kernel without CONFIG_VFIO_DEVICE_CDEV has the folder, but nothing below /dev. */
static int add_node(struct device_nodes *nodes, int fd, const char *number_path, const char *folder, const char *name)
{
	struct device_node *node = &nodes->list[nodes->n];
	unsigned int node_major, node_minor;
	char text[32];
	int r = read_file_at(fd, number_path, text, sizeof(text));

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (sscanf(text, "%u:%u", &node_major, &node_minor) != 2)
		return -EBADMSG;
	if (snprintf(node->name, sizeof(node->name), "%s/%s", folder, name) >= (int)sizeof(node->name))
		return -ENAMETOOLONG;
	node->number = makedev(node_major, node_minor);
	nodes->n++;
	return 0;
}

static int add_own(struct device_nodes *nodes, int device_fd)
{
	_cleanup_(cleanup_directory) DIR *directory = NULL;
	int fd = open_dir_at(device_fd, "vfio-dev");
	const struct dirent *entry;
	char path[300];

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	directory = fdopendir(fd);
	if (!directory) {
		close_fd(fd);
		return -ENOMEM;
	}
	while ((entry = readdir(directory))) {
		if (strncmp(entry->d_name, "vfio", 4) != 0)
			continue;
		snprintf(path, sizeof(path), "%s/dev", entry->d_name);
		return add_node(nodes, fd, path, "vfio/devices", entry->d_name);
	}
	return 0;
}

static int add_group(struct device_nodes *nodes, int sysfs_fd, int device_fd)
{
	char path[64], group[32];
	int r = read_link_name_at(device_fd, "iommu_group", group, sizeof(group));

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	snprintf(path, sizeof(path), "class/vfio/%s/dev", group);
	return add_node(nodes, sysfs_fd, path, "vfio", group);
}

int device_nodes_read(int sysfs_fd, int device_fd, struct device_nodes *ret)
{
	struct device_nodes nodes = { 0 };
	int r = add_own(&nodes, device_fd);

	if (r == 0)
		r = add_group(&nodes, sysfs_fd, device_fd);
	if (r == 0)
		*ret = nodes;
	return r;
}
