/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's modules, as vfio-driver.h asks for them: libkmod finds them, sysfs shows them, udev loads them. */
#ifndef IOMMUD_HELPER_VFIO_MODULES_H
#define IOMMUD_HELPER_VFIO_MODULES_H

#include "helper/vfio-driver.h"

struct vfio_modules {
	int sysfs_fd; /* borrowed */
	int device_fd; /* the device's folder in sysfs, borrowed */
	const char *bus; /* whose drivers are looked at */
	const char *folder; /* of modules.alias.bin and its like; NULL: the running kernel's */
	char note[160]; /* what came of a request to load, for the log; empty: there was none */
};

/* Its userdata is a struct vfio_modules. */
extern const struct vfio_driver_ops vfio_modules_ops;

#endif
