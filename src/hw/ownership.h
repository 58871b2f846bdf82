/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The client of the kernel module (iommud(4)): claims, each a descriptor that undoes itself when it is closed. One ops struct; the same
 * struct is the tests' fake. It keeps nothing but the node and its events: a claim belongs to the caller. No call blocks.
 */
#ifndef IOMMUD_HW_OWNERSHIP_H
#define IOMMUD_HW_OWNERSHIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "uapi/linux/iommud.h"

/* What a claim is for; texts are borrowed. */
struct ownership_claim {
	const char *bus;
	const char *device; /* any member of the group */
	int iommufd; /* whose context owns the group's DMA; -1: nobody, it is blocked */
	uint32_t flags; /* enum iommud_claim_flag */
	const char *label; /* NULL: none */
	const char *const *drivers; /* that members may be on as well; NULL-terminated, may be NULL */
};

struct ownership_ops {
	/* 0 with a descriptor of the node, or a negative errno: -ENOENT, it is not loaded; -EACCES, udev is on its way. */
	int (*open)(int dev_fd, int *ret_node);
	int (*info)(int node, struct iommud_info *ret);
	/* Descriptors, or a negative errno as the header of the module says. */
	int (*events)(int node);
	int (*claim)(int node, const struct ownership_claim *claim);
	/* The members of the device's group, as many as there is room for; returns how many there are. */
	int (*query)(int node, const char *bus, const char *device, struct iommud_member *ret, size_t room);
	/* Gives the group's DMA up and keeps drivers off still. */
	int (*hand_off)(int claim);
	/* The group is on its way back to the host: 1, nobody can get its DMA from now on; 0, somebody has it still. */
	int (*give_back)(int claim);
};

extern const struct ownership_ops ownership_kernel;

struct ownership {
	const struct ownership_ops *ops;
	int node;
	int events; /* of all claims, not blocking: whole records of struct iommud_event */
	unsigned int abi_version;
	uint64_t features; /* enum iommud_feature */
};

/*
 * 0; -ENOENT or -EACCES as above; -EPROTO: the module speaks another ABI; or another negative errno. `dev_fd` is a
 * descriptor of /dev, `ops` is borrowed.
 */
int ownership_new(const struct ownership_ops *ops, int dev_fd, struct ownership **ret);
/* Claims stay as they are. Accepts NULL, returns NULL. */
struct ownership *ownership_free(struct ownership *ownership);

static inline bool ownership_can(const struct ownership *ownership, enum iommud_feature feature)
{
	return ownership && (ownership->features & feature);
}

/* The next event. 1 with one, 0: there is none now, or a negative errno. */
int ownership_next_event(struct ownership *ownership, struct iommud_event *ret);

#endif
