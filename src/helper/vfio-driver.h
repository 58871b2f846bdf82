/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which vfio driver is the best for a device. Variant drivers of vfio-pci (mlx5_vfio_pci and its like) announce what they
 * are made for by aliases "vfio_pci:v0000...", as other drivers do by "pci:v0000...". What the modules say, what is loaded
 * and the loading go through an ops struct: libkmod and sysfs in the worker, tables in the tests.
 */
#ifndef IOMMUD_HELPER_VFIO_DRIVER_H
#define IOMMUD_HELPER_VFIO_DRIVER_H

#include <stdbool.h>
#include <stddef.h>

#include "helper/device-state.h"

#define VFIO_MODULES_MAX 8

/* A module that says it drives the device. */
struct vfio_module {
	char name[DEVICE_DRIVER_MAX]; /* with underscores, as libkmod has it */
	unsigned int n_wildcards; /* in its alias: the fewer, the more it is made for this device */
};

struct vfio_driver_ops {
	/* Those with an alias that matches `alias`, in any order, VFIO_MODULES_MAX at most. The number, or a negative errno. */
	int (*look_up)(void *userdata, const char *alias, struct vfio_module ret[VFIO_MODULES_MAX]);
	bool (*is_loaded)(void *userdata, const char *driver);
	/* Has what matches loaded, and returns soon after `module` is there, or when it does not come. May block. */
	void (*load)(void *userdata, const char *module);
};

/*
 * The driver to bind the device of this modalias ("pci:v0000...") to: of the modules that match the one with the fewest
 * wildcards, of several equal ones the last, loaded if it is not there. One that can't be had is passed over, and
 * `general`, which drives every device of the bus, is what remains, there or not. Only PCI has variants.
 */
void vfio_driver_choose(const struct vfio_driver_ops *ops, void *userdata, const char *general, const char *modalias,
			char ret[DEVICE_DRIVER_MAX]);

/* The driver of this module, as it is spelled in sysfs, if it is loaded: vfio_pci has vfio-pci, mlx5_vfio_pci its own name. */
bool vfio_driver_find(const struct vfio_driver_ops *ops, void *userdata, const char *module,
		      char ret[DEVICE_DRIVER_MAX]);

#endif
