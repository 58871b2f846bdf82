/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Drift: whether the nodes of a lease with a label still have the security contexts that they had when it was granted. The
 * helper gives them, and puts the former ones back; here they are only looked at, when the kernel says that something about
 * a node changed, and with every other look at the lease. Owns the watches, and what a lease remembers of its nodes.
 *
 * Linux tells of a change of an extended attribute before SELinux knows the new context (fsnotify_xattr() comes before
 * security_inode_post_setxattr()), and it is SELinux that answers who reads it. So there is a second look, a moment later.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "broker/internal.h"
#include "util/cleanup.h"
#include "util/log.h"

#define SECOND_LOOK_USEC 1000000

struct lease_node {
	const struct lease_device *device;
	struct device_node node;
	ino_t inode;
	int watch; /* -1: it is only seen when something else has the lease looked at */
	char context[SECURITY_CONTEXT_MAX];
};

struct lease_nodes {
	size_t n;
	struct lease_node list[];
};

int node_labels_begin(struct broker *broker)
{
	struct epoll_event event = { .events = EPOLLIN };

	if (!broker->node_context)
		return 0;
	broker->label_watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (broker->label_watch < 0 || epoll_ctl(broker->poll_fd, EPOLL_CTL_ADD, broker->label_watch, &event) < 0)
		return -errno;
	return 0;
}

/* -ESTALE: there is another node by that name now. */
static int read_context(const struct broker *broker, const struct lease_node *node, char *ret, size_t size)
{
	_cleanup_fd_ int fd = openat(broker->dev_fd, node->node.name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_rdev != node->node.number || (node->inode && st.st_ino != node->inode))
		return -ESTALE;
	return broker->node_context(fd, ret, size);
}

/* inotify takes no descriptor of a folder to begin from. */
static int watch_node(const struct broker *broker, const struct lease_node *node)
{
	char path[64 + DEVICE_NODE_NAME_MAX];
	int watch;

	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", broker->dev_fd, node->node.name);
	watch = inotify_add_watch(broker->label_watch, path, IN_ATTRIB);
	if (watch < 0)
		log_warning("can't watch /dev/%s for changes of its security context: %s", node->node.name,
			    strerror(errno));
	return watch;
}

static int remember_node(const struct broker *broker, struct lease_node *node)
{
	_cleanup_fd_ int fd = openat(broker->dev_fd, node->node.name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	node->inode = st.st_ino;
	/* Before it is read: what changes in between is then seen. */
	node->watch = watch_node(broker, node);
	return read_context(broker, node, node->context, sizeof(node->context));
}

int node_labels_remember(struct lease *lease)
{
	struct broker *broker = lease->broker;
	struct device_nodes nodes;
	int r = 0;

	if (!broker->node_context || !lease->label)
		return 0;
	lease->nodes =
		calloc(1, sizeof(*lease->nodes) + lease->n_devices * DEVICE_NODES_MAX * sizeof(lease->nodes->list[0]));
	if (!lease->nodes)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < lease->n_devices; i++) {
		r = registry_read_nodes(broker->registry, lease->devices[i]->sysfs_fd, &nodes);
		for (size_t j = 0; r == 0 && j < nodes.n; j++) {
			struct lease_node *node = &lease->nodes->list[lease->nodes->n++];

			*node = (struct lease_node){ .device = lease->devices[i], .node = nodes.list[j], .watch = -1 };
			r = remember_node(broker, node);
		}
	}
	return r;
}

void node_labels_forget(struct lease *lease)
{
	/* Two devices of a group share its node and so its watch: the second removal finds none, as does one of a node that went. */
	for (size_t i = 0; lease->nodes && i < lease->nodes->n; i++)
		if (lease->nodes->list[i].watch >= 0)
			(void)inotify_rm_watch(lease->broker->label_watch, lease->nodes->list[i].watch);
	free(lease->nodes);
	lease->nodes = NULL;
}

/* A node that went, or that can't be read, has no other context: what became of the device is found elsewhere. */
bool node_labels_drifted(const struct lease *lease, struct node_drift *ret)
{
	for (size_t i = 0; lease->nodes && i < lease->nodes->n; i++) {
		const struct lease_node *node = &lease->nodes->list[i];

		if (read_context(lease->broker, node, ret->now, sizeof(ret->now)) < 0 ||
		    strcmp(ret->now, node->context) == 0)
			continue;
		ret->device = node->device;
		ret->node = node->node.name;
		ret->former = node->context;
		return true;
	}
	return false;
}

static void look(struct broker *broker)
{
	struct lease *lease, *following;

	list_for_each_safe(lease, following, &broker->leases, link)
		if (lease->nodes)
			violation_examine(lease);
}

void node_labels_dispatch(struct broker *broker)
{
	char events[4096];
	bool any = false;

	while (broker->label_watch >= 0 && read(broker->label_watch, events, sizeof(events)) > 0)
		any = true;
	if (!any)
		return;
	broker->label_look_usec = now_usec() + SECOND_LOOK_USEC;
	look(broker);
}

void node_labels_expire(struct broker *broker, uint64_t now)
{
	if (broker->label_look_usec > now)
		return;
	broker->label_look_usec = UINT64_MAX;
	look(broker);
}
