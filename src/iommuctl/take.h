/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Acquire, as the verbs acquire and run have it in common. */
#ifndef IOMMUCTL_TAKE_H
#define IOMMUCTL_TAKE_H

#include "iommuctl.h"

/* Whether devices or a pool are named, as belongs together. EXIT_DONE, or EXIT_USAGE after it said what is wrong. */
int check_devices(const struct options *options, const char *verb, size_t n_devices);

/*
 * Acquires the devices, or those of the options' pool, by the options' backend and consent. With --yes, a group with more members is consented to: they are
 * told on standard error, and the daemon is asked once more. *ret is the caller's. Returns an exit code, and has said
 * on standard error what went wrong.
 */
int take_devices(const struct options *options, struct iommud *connection, char **devices, size_t n_devices,
		 struct iommud_lease **ret);

#endif
