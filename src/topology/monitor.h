/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udev's events for devices on buses that have IOMMU groups, and for vfio's nodes. The monitor listens to udevd, not to
 * the kernel: when an event arrives, the node has its owner. It decides nothing: it says which address changed, and the
 * registry reads the truth from sysfs. Create it before the first scan, so that nothing falls between.
 *
 * Forged events: what is not sent by root on udev's multicast group is dropped; and as only an address is taken from an
 * event, the worst that one could do is a needless read of sysfs.
 */
#ifndef IOMMUD_TOPOLOGY_MONITOR_H
#define IOMMUD_TOPOLOGY_MONITOR_H

#include <stdbool.h>
#include <stddef.h>

struct monitor;

struct monitor_handler {
	/*
	 * A device (of a bus with groups) was added, removed, bound, unbound or changed; or, with the action "node", what vfio
	 * has for it came or went. That goes as soon as the kernel wants the device back, long before it is unbound: an unbind
	 * from vfio waits for the last descriptor. `address` is borrowed.
	 */
	void (*device)(void *userdata, const char *address, const char *action);
	/* A node below /dev/vfio, or /dev/iommu, was made ready by udev, or went: who waits for one may look again. */
	void (*node)(void *userdata, const char *devnode);
	/*
	 * Events were lost (ENOBUFS, or one that can't be read), and those behind them were dropped: scan everything,
	 * and let whoever waits for a node look again. Called when the socket is empty, so that nothing is missed
	 * after.
	 */
	void (*lost)(void *userdata);
};

/*
 * `buffer_size` in bytes: beyond net.core.rmem_max it needs CAP_NET_ADMIN, so create the monitor before capabilities
 * are dropped; a size that is refused is reported by the return value 1, the kernel's own is used then. The handler and
 * userdata must outlive the monitor. 0, 1, or a negative errno.
 */
int monitor_new(size_t buffer_size, const struct monitor_handler *handler, void *userdata, struct monitor **ret);
struct monitor *monitor_free(struct monitor *monitor);

/* The descriptor to poll for reading (borrowed). */
int monitor_get_fd(const struct monitor *monitor);

/*
 * Handles what is there, at most `budget` events, without blocking; then returns the number handled, or a negative
 * errno. An event that can't be decoded or that is too large is taken off the socket and counted as lost; one that does
 * not come from root on udev's group is taken off and forgotten. The handler must not free the monitor.
 */
int monitor_dispatch(struct monitor *monitor, int budget);

#endif
