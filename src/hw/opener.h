/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Openers: the last step of a lease, where descriptors come to be. One ops struct, two backends; the same struct is the
 * tests' fake. What is opened belongs to the caller, who sends it and closes it: nothing is kept here.
 *
 * Between judging and opening the world may change. An opener therefore compares: the node's device number must be the
 * one that sysfs shows in the device's folder, whose descriptor was held since before the judging.
 */
#ifndef IOMMUD_HW_OPENER_H
#define IOMMUD_HW_OPENER_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/device-id.h"

#define OPENER_DEVICES_MAX 16
#define VF_TOKEN_SIZE 37 /* a UUID as text, and NUL */

struct opener_device {
	char address[DEVICE_ADDRESS_MAX];
	unsigned int group;
	int sysfs_fd; /* the device's folder in sysfs, borrowed */
	/*
	 * What the legacy backend has to show the kernel: for a physical function with SR-IOV it becomes the token of its
	 * virtual functions, for a virtual function of one that user space has it must be that token. Empty: none.
	 */
	char vf_token[VF_TOKEN_SIZE];
	bool reset_bus; /* for reset_buses(): its bus is to be reset; one device of a bus says so */
};

/* What the kernel said to the first reset that it did not carry out. */
struct bus_reset {
	bool asked; /* it was asked at all */
	int error; /* 0: all were carried out; a positive errno */
};

/* The kernel will not do it, and nothing was reset; any other error is a reset that failed. */
static inline bool bus_reset_is_impossible(const struct bus_reset *reset)
{
	return reset->error == ENODEV || reset->error == EINVAL || reset->error == EPERM;
}

/* What is handed out; -1 where the backend has none. */
struct opened {
	int iommu_fd; /* iommufd: /dev/iommu */
	int container_fd; /* legacy: /dev/vfio/vfio, all groups attached, type1 set */
	int device_fd[OPENER_DEVICES_MAX];
	int group_fd[OPENER_DEVICES_MAX]; /* legacy: one for each device; devices of one group have duplicates of one */
	size_t n_devices;
};

struct opener {
	const char *name; /* "iommufd", "legacy" */
	/* Whether this kernel offers it: looks for the node only. `dev_fd` is a descriptor of /dev. */
	bool (*available)(int dev_fd);
	/*
	 * Opens all devices. 0; -ENOENT or -EACCES: a node is not there or not ours yet, udev may be on its way;
	 * -ESTALE: a node is not the device that was judged; another negative errno: the kernel's. On failure nothing stays
	 * open and `failed` (never NULL) says what it was about, for people.
	 */
	int (*open)(int dev_fd, const struct opener_device *devices, size_t n_devices, struct opened *ret, char *failed,
		    size_t failed_size);
	/*
	 * Resets the buses of the devices that are marked. All devices are to be handed out together, and nobody has one of
	 * them: the kernel resets a bus only for who has all of it. 0: open() may follow, whatever was said of a reset that is
	 * not possible; or a negative errno as from open(), or of a reset that failed. Nothing stays open. Blocks for seconds.
	 * NULL: this backend can't.
	 */
	int (*reset_buses)(int dev_fd, const struct opener_device *devices, size_t n_devices, struct bus_reset *ret,
			   char *failed, size_t failed_size);
	/* Whether open() may block for long (a device reset): then it is to be called from a thread. */
	bool may_block;
	/*
	 * Whether what is handed out has an iommufd, whose context the kernel module can claim the groups for once it is open.
	 * Otherwise open() itself takes the groups' DMA.
	 */
	bool has_context;
};

extern const struct opener opener_iommufd;
extern const struct opener opener_legacy;

void opened_init(struct opened *opened);
/* Closes all. */
void opened_clear(struct opened *opened);

#endif
