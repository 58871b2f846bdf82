/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Descriptor numbers for names in braces. Pure: reads nothing but its arguments. */
#ifndef IOMMUCTL_SUBSTITUTE_H
#define IOMMUCTL_SUBSTITUTE_H

#include <stddef.h>

/* The descriptors that there are; -1 where there is none. */
struct descriptors {
	int iommu_fd;
	int container_fd;
	const int *device_fds; /* n_devices */
	const int *group_fds; /* n_devices */
	size_t n_devices;
};

enum substitute_outcome {
	SUBSTITUTE_DONE,
	SUBSTITUTE_AMBIGUOUS, /* {device} or {group} without a number, and there are several devices */
	SUBSTITUTE_NO_DEVICE, /* a number beyond the last device */
	SUBSTITUTE_NO_DESCRIPTOR, /* the backend of the lease has none of these */
	SUBSTITUTE_NO_MEMORY,
};

/*
 * Copies `text` with {device}, {device:N}, {group}, {group:N}, {iommu} and {container} replaced by the decimal number of
 * the descriptor, and each "{{" by "{". Everything else, other braces included, stays as it is. *ret is the caller's,
 * free(). On another outcome than SUBSTITUTE_DONE, *ret is untouched, and *ret_name (for all but NO_MEMORY) points to
 * the name in braces in `text`, *ret_length bytes with the braces.
 */
enum substitute_outcome substitute(const char *text, const struct descriptors *descriptors, char **ret,
				   const char **ret_name, size_t *ret_length);

#endif
