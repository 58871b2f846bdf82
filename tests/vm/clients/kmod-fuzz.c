/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kmod-fuzz: calls of /dev/iommud without sense.
 *
 *   kmod-fuzz SEED CALLS DEVICE...
 *
 * Random calls with random sizes, flags, descriptors and addresses, on the devices named, while descriptors are read, polled
 * and closed at random. There is nothing to compare: the kernel is to stay whole, and whoever looks afterwards finds no claim.
 * Prints how many calls were taken, so that one can see that it was not all noise.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kmod.h"

#define FDS 16

static int node;
static int fds[FDS];
static uint64_t state;
static char **devices;
static int n_devices;

/* xorshift: the same calls for the same seed, on any machine */
static uint32_t pick(uint32_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 32) % n;
}

static uint32_t odd_number(void)
{
	static const uint32_t numbers[] = {
		0, 0, 0, 1, 2, 3, 7, 40, 255, 256, 4096, 0x7fffffff, 0x80000000, 0xffffffff
	};

	return numbers[pick(sizeof(numbers) / sizeof(numbers[0]))];
}

static uint64_t odd_address(void *good)
{
	switch (pick(8)) {
	case 0:
		return 0;
	case 1:
		return 0xffff888000000000;
	case 2:
		return (uint64_t)-1;
	default:
		return (uintptr_t)good;
	}
}

static uint32_t size_of(size_t right)
{
	return pick(4) ? right : pick(8192);
}

static void keep(int fd)
{
	int *place = &fds[pick(FDS)];

	if (fd < 0)
		return;
	if (*place >= 0)
		close(*place);
	*place = fd;
}

static int fuzz_claim(void *page)
{
	struct iommud_claim *claim = page;

	claim->size = size_of(sizeof(*claim));
	claim->flags = pick(4) ? pick(4) : odd_number();
	claim->iommufd = pick(3) ? -1 : fds[pick(FDS)];
	claim->n_nodes = pick(4) ? 0 : odd_number();
	claim->nodes = odd_address(fds);
	claim->drivers = odd_address((char *)page + 512);
	claim->drivers_size = pick(2) ? 0 : odd_number();
	claim->label = odd_address((char *)page + 1024);
	claim->label_size = pick(2) ? pick(3) : odd_number();
	strcpy(claim->bus, pick(8) ? "pci" : "platform");
	strcpy(claim->device, devices[pick(n_devices)]);
	return ioctl(node, IOMMUD_IOC_CLAIM, page);
}

static int fuzz_query(void *page)
{
	struct iommud_query *query = page;

	query->size = size_of(sizeof(*query));
	query->flags = pick(8) ? 0 : odd_number();
	query->members = odd_address((char *)page + 512);
	query->n_members = pick(2) ? pick(5) : odd_number();
	strcpy(query->bus, "pci");
	strcpy(query->device, devices[pick(n_devices)]);
	return ioctl(node, IOMMUD_IOC_QUERY, page);
}

static int one_call(char page[8192])
{
	struct pollfd poller = { .fd = fds[pick(FDS)], .events = POLLIN };

	memset(page, pick(8) ? 0 : pick(256), 8192);
	switch (pick(9)) {
	case 0:
	case 1:
		keep(fuzz_claim(page));
		return errno;
	case 2:
		return fuzz_query(page);
	case 3:
		*(uint32_t *)(void *)page = size_of(sizeof(struct iommud_info));
		return ioctl(node, IOMMUD_IOC_INFO, page);
	case 4:
		*(uint32_t *)(void *)page = size_of(sizeof(struct iommud_events));
		keep(ioctl(node, IOMMUD_IOC_EVENTS, page));
		return errno;
	case 5:
		*(uint32_t *)(void *)page = size_of(sizeof(struct iommud_handoff));
		return ioctl(fds[pick(FDS)], pick(2) ? IOMMUD_IOC_HANDOFF : IOMMUD_IOC_GIVE_BACK, page);
	case 6:
		return ioctl(pick(2) ? node : fds[pick(FDS)], odd_number() | pick(1 << 16), (void *)odd_address(page));
	case 7:
		fcntl(fds[pick(FDS)], F_SETFL, O_NONBLOCK);
		if (poll(&poller, 1, 0) > 0 && (fcntl(poller.fd, F_GETFL) & O_NONBLOCK))
			return (int)read(poller.fd, (void *)odd_address(page), pick(8192));
		return -1;
	default:
		if (pick(4) == 0)
			keep(open("/dev/iommu", O_RDWR | O_CLOEXEC));
		return 0;
	}
}

int main(int argc, char **argv)
{
	static char page[8192];
	unsigned long calls, taken = 0;

	if (argc < 4)
		return 2;
	state = strtoull(argv[1], NULL, 0) * 0x9e3779b97f4a7c15 + 1;
	calls = strtoul(argv[2], NULL, 0);
	devices = argv + 3;
	n_devices = argc - 3;
	node = kmod_open();
	if (node < 0) {
		fprintf(stderr, "/dev/iommud: %s\n", strerror(-node));
		return 1;
	}
	memset(fds, -1, sizeof(fds));
	for (unsigned long i = 0; i < calls; i++) {
		errno = 0;
		one_call(page);
		taken += errno == 0;
	}
	printf("%lu of %lu calls taken\n", taken, calls);
	return taken * 20 > calls ? 0 : 1;
}
