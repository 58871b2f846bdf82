/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Moving one device to a vfio driver or pci-stub, and back. The steps go through an ops struct: sysfs in the worker, a fake
 * in the tests.
 * Both ways look at the state before each step and find work that is done already done: a killed helper repeats them.
 */
#ifndef IOMMUD_HELPER_TRANSITION_H
#define IOMMUD_HELPER_TRANSITION_H

#include "helper/device-state.h"
#include "hw/helper-wire.h"

/* All return 0 or a negative errno; -ENOENT or -ENODEV from read(): the device is gone. All may block. */
struct device_ops {
	int (*read)(void *device, struct device_state *ret);
	int (*has_driver)(void *device, const char *driver); /* -ENOENT: not loaded */
	int (*set_override)(void *device, const char *driver); /* empty: none */
	int (*unbind)(void *device, const char *driver);
	int (*bind)(void *device, const char *driver);
	int (*reset)(void *device); /* -ENOENT: there is no way to reset this function alone */
};

/* What is done while the device is on no driver. */
enum transition_reset {
	TRANSITION_NO_RESET,
	TRANSITION_RESET_IF_POSSIBLE,
	TRANSITION_RESET, /* a device that can't be reset is a FAULT */
};

struct transition {
	const struct device_ops *ops;
	void *device;
	const char *vfio_driver; /* prepare: where to, if it is to vfio; driver_is_vfio() must say so */
	enum transition_reset reset; /* prepare */
	bool stays; /* restore: what was on a vfio driver, and is, is not taken from it in between */
	/* Called before each step, so that somebody can say where a transition is stuck. May be NULL. */
	void (*announce)(void *userdata, enum helper_step step);
	/*
	 * Asked before a device is taken from a driver of the host's, and let go when the driver has gone, or nothing came of
	 * it (also twice). 0: it may be taken; 1: the host uses it; or a negative errno. NULL, both: it may always be taken.
	 */
	int (*claim)(void *userdata);
	void (*release)(void *userdata);
	void *userdata;
};

struct outcome {
	enum helper_status status; /* OK, FAULT, REPLACED or IN_USE */
	enum helper_step step; /* of a FAULT */
	int error; /* of a FAULT: a positive errno */
	bool undone; /* of a FAULT in prepare: the device is as it was */
	bool reset_done; /* of a prepare that is OK */
};

/*
 * Binds the device to `saved->moved_to`, or `vfio_driver` where that is one of vfio's, unless it is there already. One that is
 * to be reset leaves its driver first, whichever that is: then nobody has a descriptor of it. `saved` is what was journalled; a
 * device that is not like that any more is a FAULT in SNAPSHOT. After any fault, what was done is undone; a failed reset is
 * one. IN_USE: it was not touched.
 */
void transition_prepare(const struct transition *transition, const struct device_state *saved, struct outcome *ret);

/*
 * Takes the device from where it was moved and makes it as `saved` says. Waits until the last descriptor of the device is closed.
 * REPLACED: it is gone, or another one is there. A device that somebody has bound to a third driver is left there.
 */
void transition_restore(const struct transition *transition, const struct device_state *saved, struct outcome *ret);

/*
 * Takes a device that was parked, and that somebody has bound to another driver since, to `saved->moved_to` again. Nothing is
 * undone when that fails: a restore works from wherever it was left. IN_USE and REPLACED: it was not touched.
 */
void transition_park_again(const struct transition *transition, const struct device_state *saved, struct outcome *ret);

#endif
