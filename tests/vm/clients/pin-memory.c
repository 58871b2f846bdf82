/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pin-memory: how much a client may pin.
 *
 *   pin-memory DEVICE IOMMU MIB
 *
 * DEVICE and IOMMU are numbers of fds, as a client of iommud holds them. Maps so much memory for the device, which pins it,
 * says "pinned MIB MiB", and ends at the end of stdin. Exit status: 0 it worked, 1 it did not, 2 usage.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "client.h"

#define IOVA ((uint64_t)0x10000000)

static void say_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0)
		fprintf(stderr, "RLIMIT_MEMLOCK is %llu, at most %llu\n", (unsigned long long)limit.rlim_cur,
			(unsigned long long)limit.rlim_max);
}

int main(int argc, char **argv)
{
	struct session session = { .device = -1, .iommu = -1, .container = -1, .group = -1 };
	size_t size;
	void *memory;
	char byte;

	if (argc != 4) {
		fputs("pin-memory DEVICE IOMMU MIB\n", stderr);
		return 2;
	}
	session.device = atoi(argv[1]);
	session.iommu = atoi(argv[2]);
	size = strtoul(argv[3], NULL, 10) << 20;
	say_limit();
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	if (session_setup(&session) || session_map(&session, memory, size, IOVA))
		return 1;
	printf("pinned %s MiB\n", argv[3]);
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return 0;
}
