/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kmod-nodes ADDRESS NODE...: claims the group of a PCI device for nobody, and has the module compare the security contexts of
 * the nodes (paths below /dev). Prints "claimed", or what the kernel says: "refused: EXDEV". Exit status: 0 either way, 2 when
 * it could not ask.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kmod.h"

static int open_nodes(char *const *paths, size_t n, __s32 fds[IOMMUD_NODES_MAX])
{
	for (size_t i = 0; i < n; i++) {
		fds[i] = open(paths[i], O_RDWR | O_CLOEXEC);
		if (fds[i] < 0) {
			perror(paths[i]);
			return -1;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct iommud_claim claim = { .size = sizeof(claim), .iommufd = -1, .bus = "pci" };
	__s32 fds[IOMMUD_NODES_MAX];
	int node, fd;

	if (argc < 3 || argc - 2 > IOMMUD_NODES_MAX) {
		fputs("kmod-nodes ADDRESS NODE...\n", stderr);
		return 2;
	}
	node = kmod_open();
	if (node < 0 || open_nodes(argv + 2, argc - 2, fds) < 0) {
		fputs("kmod-nodes: can't open what is to be compared\n", stderr);
		return 2;
	}
	strncpy(claim.device, argv[1], sizeof(claim.device) - 1);
	claim.nodes = (uintptr_t)fds;
	claim.n_nodes = argc - 2;
	fd = ioctl(node, IOMMUD_IOC_CLAIM, &claim);
	if (fd < 0)
		printf("refused: %s\n", strerrorname_np(errno));
	else
		puts("claimed");
	return 0;
}
