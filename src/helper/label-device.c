/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a label to a context, and the right moment for it. A string of a rule is a context or it is none. A client's own context
 * is that of a process, which no file can have: what fits a device node is asked of the policy, as login asks it for terminals.
 */
#include "helper/label-device.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "helper/helper.h"
#include "util/cleanup.h"

/* One file for each node that udevd is through with, written after it has set the node's owner, mode and context. */
#define UDEV_DATA "/run/udev/data"
#define UDEV_PATIENCE_NSEC (5 * UINT64_C(1000000000))

const struct node_label_ops node_label_selinux = { .get = selinux_get_context, .set = selinux_set_context };

/* ---- udev ---- */

static bool is_later(const struct statx_timestamp *left, const struct statx_timestamp *right)
{
	return left->tv_sec != right->tv_sec ? left->tv_sec > right->tv_sec : left->tv_nsec > right->tv_nsec;
}

/* Whether udevd's file is younger than the node: one of an earlier node with the same number says nothing. */
static bool udev_is_done(int dev_fd, const struct device_node *node)
{
	struct statx made, done;
	char path[64];

	snprintf(path, sizeof(path), UDEV_DATA "/c%u:%u", major(node->number), minor(node->number));
	if (statx(dev_fd, node->name, AT_SYMLINK_NOFOLLOW, STATX_BTIME, &made) < 0 ||
	    statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_MTIME, &done) < 0)
		return false;
	return !(made.stx_mask & STATX_BTIME) || !is_later(&made.stx_btime, &done.stx_mtime);
}

static bool all_are_done(int dev_fd, const struct device_nodes *nodes)
{
	for (size_t i = 0; i < nodes->n; i++) {
		if (!udev_is_done(dev_fd, &nodes->list[i]))
			return false;
	}
	return true;
}

/* Where there is no udevd, nobody else labels them. */
static void wait_for_udev(struct node_labels *labels, const struct device_nodes *nodes)
{
	_cleanup_fd_ int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	uint64_t end = helper_now() + UDEV_PATIENCE_NSEC, now;
	struct pollfd poller = { .fd = watch, .events = POLLIN };
	char events[4096];

	if (watch < 0 || inotify_add_watch(watch, UDEV_DATA, IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE | IN_ATTRIB) < 0)
		return;
	while (!all_are_done(labels->dev_fd, nodes)) {
		now = helper_now();
		if (now >= end || poll(&poller, 1, (int)((end - now) / 1000000) + 1) < 0) {
			snprintf(labels->note, sizeof(labels->note),
				 "udevd has not come to its nodes in time, and may label them anew");
			return;
		}
		while (read(watch, events, sizeof(events)) > 0)
			;
	}
}

/* ---- which context ---- */

/* 1 and `ret`; 0: none; or a negative errno. */
static int choose_static(struct node_labels *labels, const char *text, char *ret, size_t size)
{
	int r = selinux_check_context(text);

	if (r == -EINVAL) {
		snprintf(
			labels->note, sizeof(labels->note),
			"Label=%.100s is no context of the SELinux policy that is loaded: it is only compared, the nodes "
			"keep theirs",
			text);
		return 0;
	}
	if (r < 0)
		return r;
	return snprintf(ret, size, "%s", text) >= (int)size ? -ERANGE : 1;
}

static int choose_peer(const struct node_labels *labels, const struct device_node *node, const char *client, char *ret,
		       size_t size)
{
	_cleanup_fd_ int fd = openat(labels->dev_fd, node->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	char present[SECURITY_CONTEXT_MAX];
	int r;

	if (fd < 0)
		return -errno;
	r = labels->ops->get(fd, present, sizeof(present));
	if (r == 0)
		r = selinux_compute_relabel(client, present, ret, size);
	return r < 0 ? r : 1;
}

int label_device(struct node_labels *labels, int sysfs_fd, int device_fd, const struct node_label *label)
{
	char context[SECURITY_CONTEXT_MAX];
	struct device_nodes nodes = { 0 };
	int r = device_nodes_read(sysfs_fd, device_fd, &nodes);

	if (r == 0 && nodes.n == 0)
		r = -ENODEV;
	if (r == 0) {
		wait_for_udev(labels, &nodes);
		r = label->kind == POLICY_LABEL_PEER
			    ? choose_peer(labels, &nodes.list[0], label->text, context, sizeof(context))
			    : choose_static(labels, label->text, context, sizeof(context));
	}
	if (r == 1)
		return node_labels_apply(labels, &nodes, context);
	if (r < 0)
		snprintf(labels->note, sizeof(labels->note), "can't tell what context its nodes are to have: %s",
			 strerror(-r));
	return r;
}
