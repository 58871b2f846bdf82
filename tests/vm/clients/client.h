/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the test clients share: two ways to give a device an address space, and
 * the DMA engine of QEMU's edu device.
 *
 * All functions return 0 (or a fd) on success; on failure they say on stderr
 * what failed and return -1. Nothing is undone on failure: the clients exit,
 * and the kernel closes.
 */
#ifndef TESTS_VM_CLIENT_H
#define TESTS_VM_CLIENT_H

#include <stddef.h>
#include <stdint.h>

/* A client's view of one device; unused fds are -1. */
struct session {
	const char *address; /* PCI address, or NULL: only for the legacy backend */
	int device;
	int iommu; /* iommufd backend */
	int container; /* legacy backend */
	int group;
	uint32_t ioas;
};

int say_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Opens the nodes of session->address by their paths, as a program does that
 * knows nothing of a broker. */
int session_open_iommufd(struct session *session);
int session_open_legacy(struct session *session);

/* Makes the device usable: binds it to the iommufd and attaches a new IOAS, or
 * does what is still undone of group, container, IOMMU type and device fd. */
int session_setup(struct session *session);

/* Lets the device reach the memory at its address iova. */
int session_map(struct session *session, void *memory, size_t size, uint64_t iova);

/* Has the device copy one pattern from memory into its own buffer and from
 * there to other memory, and compares. Sets *ret_bytes to how much. */
int edu_dma(struct session *session, size_t *ret_bytes);
/* Again and again until there is something to read from fd, or its end; says "going round" after the first time. */
int edu_dma_until(struct session *session, int fd, unsigned int *ret_rounds);

#endif
