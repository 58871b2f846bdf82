/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hw/ownership.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "util/cleanup.h"

#define NODE_IOMMUD "iommud"

static int call(int fd, unsigned long request, void *argument)
{
	int r = ioctl(fd, request, argument);

	return r < 0 ? -errno : r;
}

static int kernel_open(int dev_fd, int *ret_node)
{
	int fd = openat(dev_fd, NODE_IOMMUD, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW);

	if (fd < 0)
		return -errno;
	*ret_node = fd;
	return 0;
}

static int kernel_info(int node, struct iommud_info *ret)
{
	*ret = (struct iommud_info){ .size = sizeof(*ret) };
	return call(node, IOMMUD_IOC_INFO, ret);
}

static int kernel_events(int node)
{
	struct iommud_events request = { .size = sizeof(request) };
	int fd = call(node, IOMMUD_IOC_EVENTS, &request);
	int r;

	if (fd < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) == 0)
		return fd;
	r = -errno;
	close_fd(fd);
	return r;
}

/* Names one after the other, each with its NUL. -E2BIG: the kernel takes no more. */
static int join_drivers(const char *const *drivers, char ret[IOMMUD_DRIVERS_MAX * IOMMUD_DRIVER_MAX],
			uint32_t *ret_size)
{
	size_t used = 0, n = 0;

	for (; drivers && *drivers; drivers++) {
		size_t size = strlen(*drivers) + 1;

		if (size > IOMMUD_DRIVER_MAX || ++n > IOMMUD_DRIVERS_MAX)
			return -E2BIG;
		memcpy(ret + used, *drivers, size);
		used += size;
	}
	*ret_size = (uint32_t)used;
	return 0;
}

static int kernel_claim(int node, const struct ownership_claim *claim)
{
	char drivers[IOMMUD_DRIVERS_MAX * IOMMUD_DRIVER_MAX];
	struct iommud_claim request = {
		.size = sizeof(request),
		.flags = claim->flags,
		.iommufd = claim->iommufd,
		.label = (uintptr_t)claim->label,
		.label_size = claim->label ? (uint32_t)strlen(claim->label) : 0,
	};
	int r = join_drivers(claim->drivers, drivers, &request.drivers_size);

	if (r < 0)
		return r;
	request.drivers = (uintptr_t)drivers;
	if (strlen(claim->bus) >= sizeof(request.bus) || strlen(claim->device) >= sizeof(request.device))
		return -ENODEV;
	strcpy(request.bus, claim->bus);
	strcpy(request.device, claim->device);
	return call(node, IOMMUD_IOC_CLAIM, &request);
}

static int kernel_query(int node, const char *bus, const char *device, struct iommud_member *ret, size_t room)
{
	struct iommud_query request = { .size = sizeof(request),
					.members = (uintptr_t)ret,
					.n_members = (uint32_t)room };
	int r;

	if (strlen(bus) >= sizeof(request.bus) || strlen(device) >= sizeof(request.device))
		return -ENODEV;
	strcpy(request.bus, bus);
	strcpy(request.device, device);
	r = call(node, IOMMUD_IOC_QUERY, &request);
	return r < 0 ? r : (int)request.n_members;
}

static int kernel_hand_off(int claim)
{
	struct iommud_handoff request = { .size = sizeof(request) };

	return call(claim, IOMMUD_IOC_HANDOFF, &request);
}

static int kernel_give_back(int claim)
{
	struct iommud_give_back request = { .size = sizeof(request) };

	return call(claim, IOMMUD_IOC_GIVE_BACK, &request);
}

const struct ownership_ops ownership_kernel = {
	.open = kernel_open,
	.info = kernel_info,
	.events = kernel_events,
	.claim = kernel_claim,
	.query = kernel_query,
	.hand_off = kernel_hand_off,
	.give_back = kernel_give_back,
};

/* A module with a larger event would be read wrongly; one with more features is one we can use. */
static int ask(struct ownership *ownership)
{
	struct iommud_info info;
	int r = ownership->ops->info(ownership->node, &info);

	if (r < 0)
		return r;
	if (info.abi_version != IOMMUD_ABI_VERSION || info.event_size != sizeof(struct iommud_event))
		return -EPROTO;
	ownership->abi_version = info.abi_version;
	ownership->features = info.features;
	r = ownership->ops->events(ownership->node);
	if (r < 0)
		return r;
	ownership->events = r;
	return 0;
}

int ownership_new(const struct ownership_ops *ops, int dev_fd, struct ownership **ret)
{
	struct ownership *ownership = calloc(1, sizeof(*ownership));
	int r;

	if (!ownership)
		return -ENOMEM;
	ownership->ops = ops;
	ownership->node = ownership->events = -1;
	r = ops->open(dev_fd, &ownership->node);
	if (r == 0)
		r = ask(ownership);
	if (r < 0) {
		ownership_free(ownership);
		return r;
	}
	*ret = ownership;
	return 0;
}

struct ownership *ownership_free(struct ownership *ownership)
{
	if (!ownership)
		return NULL;
	close_fd(ownership->events);
	close_fd(ownership->node);
	free(ownership);
	return NULL;
}

int ownership_next_event(struct ownership *ownership, struct iommud_event *ret)
{
	ssize_t n;

	do {
		n = read(ownership->events, ret, sizeof(*ret));
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	return n == sizeof(*ret) ? 1 : -EIO;
}
