/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kmod.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE 20000 /* ms */

static int call(int fd, unsigned long command, void *argument)
{
	int r = ioctl(fd, command, argument);

	return r < 0 ? -errno : r;
}

int kmod_open(void)
{
	int fd = open("/dev/iommud", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int kmod_info(int node, struct iommud_info *ret)
{
	*ret = (struct iommud_info){ .size = sizeof(*ret) };
	return call(node, IOMMUD_IOC_INFO, ret);
}

static int64_t now_msec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Whoever reads a device in sysfs, udevd most of all, may hold its lock for a moment: asked again, as the header says. */
static int call_again(int fd, unsigned long command, void *argument)
{
	int64_t until = now_msec() + PATIENCE;
	int r;

	while ((r = call(fd, command, argument)) == -EAGAIN && now_msec() < until)
		sched_yield();
	return r;
}

int kmod_claim(int node, const char *device, int iommufd, unsigned int flags, const char *label, const char *driver)
{
	struct iommud_claim claim = { .size = sizeof(claim), .flags = flags, .iommufd = iommufd, .bus = "pci" };

	strncpy(claim.device, device, sizeof(claim.device) - 1);
	if (label) {
		claim.label = (uintptr_t)label;
		claim.label_size = strlen(label);
	}
	if (driver) {
		claim.drivers = (uintptr_t)driver;
		claim.drivers_size = strlen(driver) + 1;
	}
	return call_again(node, IOMMUD_IOC_CLAIM, &claim);
}

int kmod_handoff(int claim)
{
	struct iommud_handoff handoff = { .size = sizeof(handoff) };

	return call(claim, IOMMUD_IOC_HANDOFF, &handoff);
}

int kmod_give_back(int claim)
{
	struct iommud_give_back request = { .size = sizeof(request) };

	return call(claim, IOMMUD_IOC_GIVE_BACK, &request);
}

int kmod_query(int node, const char *device, struct iommud_query *ret, struct iommud_member *members, unsigned int room)
{
	*ret = (struct iommud_query){
		.size = sizeof(*ret), .members = (uintptr_t)members, .n_members = room, .bus = "pci"
	};
	strncpy(ret->device, device, sizeof(ret->device) - 1);
	return call(node, IOMMUD_IOC_QUERY, ret);
}

int kmod_events(int node)
{
	struct iommud_events events = { .size = sizeof(events) };

	return call(node, IOMMUD_IOC_EVENTS, &events);
}

int kmod_wait_event(int fd, unsigned int type, struct iommud_event *ret)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };

	while (poll(&poller, 1, PATIENCE) > 0) {
		ssize_t n = read(fd, ret, sizeof(*ret));

		if (n < 0)
			return -errno;
		if (n != sizeof(*ret))
			return -EIO;
		if (ret->type == type)
			return 0;
	}
	return -ETIME;
}

int kmod_wait_hangup(int fd)
{
	struct pollfd poller = { .fd = fd, .events = 0 };

	return poll(&poller, 1, PATIENCE) > 0 && (poller.revents & POLLHUP) ? 0 : -ETIME;
}
