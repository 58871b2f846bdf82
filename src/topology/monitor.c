/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns libudev's monitor and with it a netlink socket. libudev decodes the events; but it does not tell an event that
 * it ignored from one that it could not read, so every message is looked at before libudev gets it (MSG_PEEK: its first
 * bytes, its size, its sender). What does not come from root on udev's own multicast group is taken off and forgotten.
 * What comes from there and is oversized or no udev message means that something happened that we don't know: lost.
 *
 * Losses need care. The kernel reports ENOBUFS once and then drops everything, silently, until the socket was read
 * empty (NETLINK_S_CONGESTED in net/netlink/af_netlink.c). Scanning at once would miss what is dropped after the scan.
 * So after a loss the socket is first emptied, unread; only then lost() is called, and from then on nothing is missed.
 * That also takes away whatever libudev failed on, so that no message can make a busy loop.
 */
#include "topology/monitor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libudev.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "topology/buses.h"
#include "util/cleanup.h"
#include "util/device-id.h"
#include "util/log.h"

#define UDEV_GROUP 2 /* the multicast group, as a mask, that udevd sends to; 1 is the kernel's */
#define UDEV_MAGIC 0xfeedcafe /* behind the prefix "libudev", in network order */
#define MESSAGE_MAX 65536 /* the kernel's own are 2 KiB at most; udevd adds properties and tags */

struct monitor {
	struct udev_monitor *udev;
	const struct monitor_handler *handler;
	void *userdata;
	bool lost; /* something was lost: empty the socket, then say so */
};

/* What udev calls the nodes that we hand out; a NULL sysname stands for all of the subsystem. */
static const struct {
	const char *subsystem;
	const char *sysname;
} node_table[] = {
	{ "vfio", NULL },
	{ "vfio-dev", NULL },
	{ "misc", "iommu" },
};

DEFINE_CLEANUP(monitor, struct monitor *, monitor_free)

static int add_filters(struct udev_monitor *udev)
{
	for (const struct bus *bus = topology_buses; bus->name; bus++) {
		int r = udev_monitor_filter_add_match_subsystem_devtype(udev, bus->name, NULL);

		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < ARRAY_SIZE(node_table); i++) {
		int r = udev_monitor_filter_add_match_subsystem_devtype(udev, node_table[i].subsystem, NULL);

		if (r < 0)
			return r;
	}
	return 0;
}

/* The kernel doubles what is asked for, and shows that. */
static bool set_buffer_size(struct udev_monitor *udev, size_t size)
{
	int value = 0;
	socklen_t length = sizeof(value);

	if (size == 0)
		return true;
	if (size > INT32_MAX / 2 || udev_monitor_set_receive_buffer_size(udev, size) < 0)
		return false;
	if (getsockopt(udev_monitor_get_fd(udev), SOL_SOCKET, SO_RCVBUF, &value, &length) < 0)
		return false;
	return (size_t)value / 2 >= size;
}

static int open_monitor(struct monitor *monitor)
{
	struct udev *udev = udev_new();

	if (!udev)
		return -ENOMEM;
	errno = 0;
	monitor->udev = udev_monitor_new_from_netlink(udev, "udev");
	udev_unref(udev); /* the monitor keeps its own reference */
	if (!monitor->udev)
		return errno ? -errno : -ENOMEM;
	return add_filters(monitor->udev);
}

int monitor_new(size_t buffer_size, const struct monitor_handler *handler, void *userdata, struct monitor **ret)
{
	_cleanup_(cleanup_monitor) struct monitor *monitor = calloc(1, sizeof(*monitor));
	bool sized;
	int r;

	if (!monitor)
		return -ENOMEM;
	monitor->handler = handler;
	monitor->userdata = userdata;
	r = open_monitor(monitor);
	if (r < 0)
		return r;
	sized = set_buffer_size(monitor->udev, buffer_size);
	r = udev_monitor_enable_receiving(monitor->udev);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(monitor);
	return sized ? 0 : 1;
}

struct monitor *monitor_free(struct monitor *monitor)
{
	if (!monitor)
		return NULL;
	udev_monitor_unref(monitor->udev);
	free(monitor);
	return NULL;
}

int monitor_get_fd(const struct monitor *monitor)
{
	return udev_monitor_get_fd(monitor->udev);
}

/* The beginning of udev's messages. */
struct prefix {
	char text[8];
	uint32_t magic;
};

enum message {
	MESSAGE_GOOD,
	MESSAGE_FOREIGN, /* not from udevd */
	MESSAGE_BROKEN, /* from udevd, or from who has its rights, but nothing that can be read */
};

static bool sender_is_udevd(struct msghdr *header, const struct sockaddr_nl *sender)
{
	struct cmsghdr *control = CMSG_FIRSTHDR(header);
	struct ucred credentials;

	if (sender->nl_family != AF_NETLINK || sender->nl_groups != UDEV_GROUP)
		return false;
	if (!control || control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_CREDENTIALS)
		return false;
	memcpy(&credentials, CMSG_DATA(control), sizeof(credentials));
	return credentials.uid == 0;
}

/* Looks at the next message without taking it. 0, -EAGAIN when there is none, -ENOBUFS when some were lost. */
static int peek(int fd, enum message *ret)
{
	union {
		char buffer[CMSG_SPACE(sizeof(struct ucred))];
		struct cmsghdr alignment;
	} control = { 0 };
	struct prefix prefix = { 0 };
	struct sockaddr_nl sender = { 0 };
	struct iovec iov = { &prefix, sizeof(prefix) };
	struct msghdr header = { .msg_name = &sender,
				 .msg_namelen = sizeof(sender),
				 .msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control) };
	ssize_t size = recvmsg(fd, &header, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);

	if (size < 0)
		return -errno;
	if (!sender_is_udevd(&header, &sender))
		*ret = MESSAGE_FOREIGN;
	else if (size > MESSAGE_MAX || strncmp(prefix.text, "libudev", 8) != 0 || prefix.magic != htonl(UDEV_MAGIC))
		*ret = MESSAGE_BROKEN;
	else
		*ret = MESSAGE_GOOD;
	return 0;
}

static void discard(int fd)
{
	char byte;

	/* A datagram that is larger than the buffer goes as a whole. A failure is seen by the next peek. */
	if (recv(fd, &byte, sizeof(byte), MSG_DONTWAIT) < 0)
		log_debug("udev monitor: %m");
}

static bool is_node(const char *subsystem, const char *sysname)
{
	for (size_t i = 0; i < ARRAY_SIZE(node_table); i++) {
		if (strcmp(node_table[i].subsystem, subsystem) == 0)
			return !node_table[i].sysname || strcmp(node_table[i].sysname, sysname) == 0;
	}
	return false;
}

/* ".../0000:03:00.0/vfio-dev/vfio0": whose it is. It may have gone, so its path is all that there is. */
static bool find_parent(const char *devpath, char ret[DEVICE_ADDRESS_MAX])
{
	const char *end = strstr(devpath, "/vfio-dev/"), *begin = end;
	size_t length;

	while (begin && begin > devpath && begin[-1] != '/')
		begin--;
	length = end - begin;
	if (!end || length >= DEVICE_ADDRESS_MAX)
		return false;
	memcpy(ret, begin, length);
	ret[length] = '\0';
	return device_address_is_valid(ret);
}

static void pass_on(const struct monitor *monitor, struct udev_device *device)
{
	const char *subsystem = udev_device_get_subsystem(device);
	const char *sysname = udev_device_get_sysname(device);
	const char *action = udev_device_get_action(device);
	const char *node = udev_device_get_devnode(device);
	const char *devpath = udev_device_get_devpath(device);
	char parent[DEVICE_ADDRESS_MAX];

	if (!subsystem || !sysname || !action)
		return;
	if (strcmp(subsystem, "vfio-dev") == 0 && devpath && find_parent(devpath, parent))
		monitor->handler->device(monitor->userdata, parent, "node");
	if (bus_find(subsystem) && device_address_is_valid(sysname))
		monitor->handler->device(monitor->userdata, sysname, action);
	else if (node && is_node(subsystem, sysname))
		monitor->handler->node(monitor->userdata, node);
}

static void receive(struct monitor *monitor)
{
	struct udev_device *device;

	errno = 0;
	device = udev_monitor_receive_device(monitor->udev);
	if (device)
		pass_on(monitor, device);
	else if (errno != EAGAIN && errno != EINTR) /* EAGAIN: read and found to be of no interest */
		monitor->lost = true;
	udev_device_unref(device);
}

static void handle(struct monitor *monitor, enum message message)
{
	if (message == MESSAGE_BROKEN)
		monitor->lost = true;
	if (monitor->lost || message == MESSAGE_FOREIGN)
		discard(monitor_get_fd(monitor));
	else
		receive(monitor);
}

int monitor_dispatch(struct monitor *monitor, int budget)
{
	int handled = 0;

	for (;;) {
		enum message message = MESSAGE_FOREIGN;
		int r = peek(monitor_get_fd(monitor), &message);

		if (r == -EAGAIN)
			break;
		if (r == -ENOBUFS)
			monitor->lost = true;
		if (r == -ENOBUFS || r == -EINTR)
			continue;
		if (r < 0)
			return r;
		if (handled >= budget)
			return handled;
		handle(monitor, message);
		handled++;
	}
	if (monitor->lost) {
		monitor->lost = false;
		monitor->handler->lost(monitor->userdata);
	}
	return handled;
}
