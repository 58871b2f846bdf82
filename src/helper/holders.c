/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads /proc/PID/fd of all processes. Owns nothing, and changes nothing. It opens no file of theirs, and asks none that
 * could make it wait: names are read, and of what is no socket and the like the kernel's cached attributes.
 */
#include "helper/holders.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "util/cleanup.h"
#include "util/fileio.h"

DEFINE_CLEANUP(directory, DIR *, closedir)

/* What a process has. */
struct found {
	bool device; /* a node of the device */
	bool group; /* the group's node */
	bool nameless; /* a VFIO device, which one is not said */
};

static DIR *open_directory(int dirfd, const char *path)
{
	int fd = open_dir_at(dirfd, path);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);

	if (!directory)
		close_fd(fd);
	return directory;
}

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), tail = strlen(end);

	return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* Opened by its group; or by its node, which is gone from /dev since its unbind began. */
static bool is_nameless(const char *name)
{
	return strcmp(name, "anon_inode:[vfio-device]") == 0 ||
	       (strstr(name, "vfio/devices/vfio") && ends_with(name, " (deleted)"));
}

static bool is_node(const struct holder_nodes *nodes, dev_t number, bool block)
{
	for (size_t i = 0; i < nodes->n; i++) {
		if (nodes->list[i].number == number && nodes->list[i].block == block)
			return true;
	}
	return false;
}

static void look_at_fd(int dirfd, const char *fd, const struct holder_nodes *nodes, struct found *found)
{
	char name[256];
	struct statx st;
	ssize_t n = readlinkat(dirfd, fd, name, sizeof(name) - 1);
	dev_t number;

	if (n < 0)
		return;
	name[n] = '\0';
	if (name[0] != '/') {
		found->nameless |= is_nameless(name);
		return;
	}
	if (statx(dirfd, fd, AT_STATX_DONT_SYNC, STATX_TYPE, &st) < 0 ||
	    (!S_ISCHR(st.stx_mode) && !S_ISBLK(st.stx_mode)))
		return;
	number = makedev(st.stx_rdev_major, st.stx_rdev_minor);
	if (is_node(nodes, number, S_ISBLK(st.stx_mode)))
		found->device = true;
	else if (nodes->group && number == nodes->group && S_ISCHR(st.stx_mode))
		found->group = true;
	else if (!nodes->n)
		found->nameless |= is_nameless(name);
}

static struct found look_at_process(int proc_fd, const char *pid, const struct holder_nodes *nodes)
{
	_cleanup_(cleanup_directory) DIR *directory = NULL;
	struct found found = { 0 };
	const struct dirent *entry;
	char path[300];

	snprintf(path, sizeof(path), "%s/fd", pid);
	directory = open_directory(proc_fd, path);
	while (directory && (entry = readdir(directory))) {
		if (entry->d_name[0] != '.')
			look_at_fd(dirfd(directory), entry->d_name, nodes, &found);
	}
	return found;
}

static void add(struct holders *holders, int proc_fd, const char *pid, bool unsure)
{
	struct helper_holder *holder = &holders->list[holders->n];
	char path[300], comm[64] = "";

	if (holders->n == HELPER_HOLDERS_MAX) {
		holders->more++;
		return;
	}
	snprintf(path, sizeof(path), "%s/comm", pid);
	(void)read_file_at(proc_fd, path, comm, sizeof(comm));
	holder->pid = atoi(pid);
	holder->unsure = unsure;
	snprintf(holder->comm, sizeof(holder->comm), "%.*s", HELPER_COMM_MAX - 1, comm);
	holders->n++;
}

int holders_find(const char *proc, const struct holder_nodes *nodes, struct holders *ret)
{
	_cleanup_(cleanup_directory) DIR *directory = opendir(proc);
	struct holders sure, unsure;
	const struct dirent *entry;

	if (!directory)
		return -errno;
	memset(&sure, 0, sizeof(sure));
	memset(&unsure, 0, sizeof(unsure));
	while ((entry = readdir(directory))) {
		struct found found;

		if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
			continue;
		found = look_at_process(dirfd(directory), entry->d_name, nodes);
		found.nameless &= nodes->vfio;
		if (found.device || (found.group && found.nameless))
			add(&sure, dirfd(directory), entry->d_name, false);
		else if (found.nameless)
			add(&unsure, dirfd(directory), entry->d_name, true);
	}
	*ret = sure.n ? sure : unsure;
	return 0;
}
