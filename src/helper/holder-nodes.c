/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The numbers of a device's nodes, from its folder in sysfs, and only from there: it reads, follows no link, and waits for no
 * lock of the device. The walk is bounded, for what a driver puts below its device has no end that we know.
 */
#include "helper/holders.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "util/cleanup.h"
#include "util/fileio.h"

/* A disk of a USB controller is 12 folders below it. */
#define DEPTH_MAX 16
#define ENTRIES_MAX 8192

DEFINE_CLEANUP(directory, DIR *, closedir)

struct walk {
	struct holder_nodes *nodes;
	unsigned int n_entries;
};

static bool read_number(int fd, const char *path, dev_t *ret)
{
	unsigned int major_number, minor_number;
	char text[32];

	if (read_file_at(fd, path, text, sizeof(text)) < 0 || sscanf(text, "%u:%u", &major_number, &minor_number) != 2)
		return false;
	*ret = makedev(major_number, minor_number);
	return true;
}

/* Block and character devices have numbers of their own; the subsystem says which this is. */
static void add_node(int fd, struct holder_nodes *nodes)
{
	struct holder_node node = { 0 };
	char subsystem[32] = "";

	if (!read_number(fd, "dev", &node.number))
		return;
	(void)read_link_name_at(fd, "subsystem", subsystem, sizeof(subsystem));
	node.block = strcmp(subsystem, "block") == 0;
	for (size_t i = 0; i < nodes->n; i++) {
		if (nodes->list[i].number == node.number && nodes->list[i].block == node.block)
			return;
	}
	if (nodes->n < HOLDER_NODES_MAX)
		nodes->list[nodes->n++] = node;
}

/* Folders in which there can't be a node, and which can be many. */
static bool is_barren(const char *name)
{
	static const char *const names[] = { ".", "..", "power", "net", "msi_irqs", "queues", "statistics" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return false;
}

static void walk_folder(struct walk *walk, int parent_fd, const char *name, unsigned int depth)
{
	int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_(cleanup_directory) DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (!directory) {
		close_fd(fd);
		return;
	}
	while (walk->n_entries < ENTRIES_MAX && (entry = readdir(directory))) {
		walk->n_entries++;
		if (strcmp(entry->d_name, "dev") == 0)
			add_node(fd, walk->nodes);
		else if ((entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN) && depth < DEPTH_MAX &&
			 !is_barren(entry->d_name))
			walk_folder(walk, fd, entry->d_name, depth + 1);
	}
}

void holder_nodes_read(int sysfs_fd, int device_fd, struct holder_nodes *nodes)
{
	struct walk walk = { .nodes = nodes };
	char path[300], group[32];

	walk_folder(&walk, device_fd, ".", 0);
	if (read_link_name_at(device_fd, "iommu_group", group, sizeof(group)) < 0)
		return;
	snprintf(path, sizeof(path), "class/vfio/%s/dev", group);
	(void)read_number(sysfs_fd, path, &nodes->group);
}
