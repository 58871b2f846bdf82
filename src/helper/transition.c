/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The order of writes that moves a device, and the way back. Owns nothing. It promises that the way back works from
 * wherever the way there was left, because it goes by what the device is like and not by what was done; so undoing a
 * failed prepare is a restore. It never writes new_id, and never takes a device from a driver that is none of the
 * two that were journalled, its own and the one it was moved to (any of vfio's, if that was); but for one that is to be parked
 * again, which is taken from whatever has it.
 */
#include "helper/transition.h"

#include <errno.h>

#include "topology/viability.h"

static void announce(const struct transition *transition, enum helper_step step)
{
	if (transition->announce)
		transition->announce(transition->userdata, step);
}

static int read_state(const struct transition *transition, struct device_state *ret)
{
	return transition->ops->read(transition->device, ret);
}

static bool is_on(const struct transition *transition, const char *driver)
{
	struct device_state now;

	return read_state(transition, &now) == 0 && strcmp(now.driver, driver) == 0;
}

static int set_override(const struct transition *transition, const char *driver)
{
	announce(transition, HELPER_STEP_OVERRIDE);
	return transition->ops->set_override(transition->device, driver);
}

/* An error of the kernel's does not count when the device is where it should be: someone else was faster. */
static int unbind(const struct transition *transition, const char *driver)
{
	int r;

	announce(transition, HELPER_STEP_UNBIND);
	r = transition->ops->unbind(transition->device, driver);
	return r < 0 && is_on(transition, "") ? 0 : r;
}

static int bind(const struct transition *transition, const char *driver)
{
	int r;

	announce(transition, HELPER_STEP_BIND);
	r = transition->ops->bind(transition->device, driver);
	return r < 0 && is_on(transition, driver) ? 0 : r;
}

/* A bind that the kernel took may still have had a probe that failed. */
static int verify(const struct transition *transition, const char *driver)
{
	struct device_state now;
	int r;

	announce(transition, HELPER_STEP_VERIFY);
	r = read_state(transition, &now);
	if (r < 0)
		return r;
	return strcmp(now.driver, driver) == 0 ? 0 : -ENODEV;
}

/* The device is on no driver. */
static int reset(const struct transition *transition, bool *ret_done)
{
	int r;

	if (transition->reset == TRANSITION_NO_RESET)
		return 0;
	announce(transition, HELPER_STEP_RESET);
	r = transition->ops->reset(transition->device);
	*ret_done = r == 0;
	return r == -ENOENT && transition->reset == TRANSITION_RESET_IF_POSSIBLE ? 0 : r;
}

static int claim(const struct transition *transition)
{
	return transition->claim ? transition->claim(transition->userdata) : 0;
}

static void release(const struct transition *transition)
{
	if (transition->release)
		transition->release(transition->userdata);
}

static struct outcome outcome_ok(void)
{
	return (struct outcome){ .status = HELPER_OK };
}

static struct outcome outcome_fault(enum helper_step step, int r)
{
	return (struct outcome){ .status = HELPER_FAULT, .step = step, .error = -r };
}

/* For a device that goes to user space one vfio driver is as good as another; parked is on the one driver only. */
static bool is_where_it_was_moved(const char *driver, const struct device_state *saved)
{
	return strcmp(driver, saved->moved_to) == 0 || (driver_is_vfio(driver) && driver_is_vfio(saved->moved_to));
}

/* Which of vfio's drivers it is to be is found out late, and not journalled. What is on one comes back to that one. */
static const char *target_of(const struct transition *transition, const struct device_state *saved)
{
	if (is_where_it_was_moved(saved->driver, saved))
		return saved->driver;
	return transition->vfio_driver && driver_is_vfio(saved->moved_to) ? transition->vfio_driver : saved->moved_to;
}

static struct outcome move_away(const struct transition *transition, const struct device_state *saved)
{
	const char *target = target_of(transition, saved);
	bool reset_done = false;
	int r;

	r = set_override(transition, target);
	if (r < 0)
		return outcome_fault(HELPER_STEP_OVERRIDE, r);
	if (saved->driver[0]) {
		r = unbind(transition, saved->driver);
		/* An open disk keeps its name: the driver would have to take another one when it comes back. */
		release(transition);
		if (r < 0)
			return outcome_fault(HELPER_STEP_UNBIND, r);
	}
	r = reset(transition, &reset_done);
	if (r < 0)
		return outcome_fault(HELPER_STEP_RESET, r);
	r = bind(transition, target);
	if (r < 0)
		return outcome_fault(HELPER_STEP_BIND, r);
	r = verify(transition, target);
	if (r < 0)
		return outcome_fault(HELPER_STEP_VERIFY, r);
	return (struct outcome){ .status = HELPER_OK, .reset_done = reset_done };
}

/* Whether nothing happened to the device between its snapshot and now. */
static int check_unchanged(const struct transition *transition, const struct device_state *saved)
{
	struct device_state now;
	int r;

	announce(transition, HELPER_STEP_SNAPSHOT);
	r = read_state(transition, &now);
	if (r < 0)
		return r;
	if (!device_state_is_same_device(&now, saved) || strcmp(now.driver, saved->driver) != 0 ||
	    strcmp(now.driver_override, saved->driver_override) != 0)
		return -EAGAIN;
	return 0;
}

void transition_prepare(const struct transition *transition, const struct device_state *saved, struct outcome *ret)
{
	struct outcome undo;
	bool stays;
	int r;

	r = check_unchanged(transition, saved);
	if (r < 0) {
		*ret = outcome_fault(HELPER_STEP_SNAPSHOT, r);
		ret->undone = true;
		return;
	}
	stays = is_where_it_was_moved(saved->driver, saved);
	if (stays && transition->reset == TRANSITION_NO_RESET) {
		*ret = outcome_ok();
		return;
	}
	r = transition->ops->has_driver(transition->device, target_of(transition, saved));
	if (r < 0) {
		*ret = outcome_fault(HELPER_STEP_BIND, r);
		ret->undone = true;
		return;
	}
	r = saved->driver[0] && !stays ? claim(transition) : 0;
	if (r != 0) {
		*ret = r > 0 ? (struct outcome){ .status = HELPER_IN_USE } : outcome_fault(HELPER_STEP_SNAPSHOT, r);
		ret->undone = true;
		return;
	}
	*ret = move_away(transition, saved);
	release(transition);
	if (ret->status == HELPER_OK)
		return;
	transition_restore(transition, saved, &undo);
	ret->undone = undo.status != HELPER_FAULT;
}

/*
 * The override names the driver while it is bound, whichever it is: vfio drivers match nothing without, and neither does
 * a driver that was bound by an override or a dynamic id since taken back.
 */
static struct outcome bind_former(const struct transition *transition, const struct device_state *saved)
{
	int r;

	r = set_override(transition, saved->driver);
	if (r < 0)
		return outcome_fault(HELPER_STEP_OVERRIDE, r);
	r = bind(transition, saved->driver);
	if (r < 0)
		return outcome_fault(HELPER_STEP_BIND, r);
	r = verify(transition, saved->driver);
	if (r < 0)
		return outcome_fault(HELPER_STEP_VERIFY, r);
	return outcome_ok();
}

static struct outcome put_override_back(const struct transition *transition, const struct device_state *saved)
{
	int r = set_override(transition, saved->driver_override);

	return r < 0 ? outcome_fault(HELPER_STEP_OVERRIDE, r) : outcome_ok();
}

static bool override_is_ours(const struct device_state *now, const struct device_state *saved)
{
	return is_where_it_was_moved(now->driver_override, saved) ||
	       (saved->driver[0] && strcmp(now->driver_override, saved->driver) == 0);
}

/* The device has no driver now. The override is put back whether the former driver takes the device or not. */
static struct outcome restore_unbound(const struct transition *transition, const struct device_state *saved)
{
	struct outcome bound = outcome_ok(), put;

	if (saved->driver[0])
		bound = bind_former(transition, saved);
	put = put_override_back(transition, saved);
	return bound.status == HELPER_OK ? put : bound;
}

static struct outcome restore_same_device(const struct transition *transition, const struct device_state *saved,
					  const struct device_state *now)
{
	int r;

	if (transition->stays && driver_is_vfio(saved->driver) && strcmp(now->driver, saved->driver) == 0)
		return strcmp(now->driver_override, saved->driver_override) == 0 ? outcome_ok()
										 : put_override_back(transition, saved);
	if (is_where_it_was_moved(now->driver, saved)) {
		r = unbind(transition, now->driver);
		if (r < 0)
			return outcome_fault(HELPER_STEP_UNBIND, r);
	} else if (now->driver[0]) {
		/* It is back already, or somebody bound it to a third driver by hand: not ours to undo. */
		if (strcmp(now->driver_override, saved->driver_override) == 0 || !override_is_ours(now, saved))
			return outcome_ok();
		return put_override_back(transition, saved);
	}
	return restore_unbound(transition, saved);
}

static bool is_gone(int r)
{
	return r == -ENOENT || r == -ENODEV;
}

void transition_restore(const struct transition *transition, const struct device_state *saved, struct outcome *ret)
{
	struct device_state now;
	int r;

	announce(transition, HELPER_STEP_SNAPSHOT);
	r = read_state(transition, &now);
	if (is_gone(r) || (r == 0 && !device_state_is_same_device(&now, saved))) {
		*ret = (struct outcome){ .status = HELPER_REPLACED };
		return;
	}
	if (r < 0) {
		*ret = outcome_fault(HELPER_STEP_SNAPSHOT, r);
		return;
	}
	*ret = restore_same_device(transition, saved, &now);
	/* A device that was pulled out in the middle makes every step fail; there is nothing left to restore. */
	if (ret->status == HELPER_FAULT && is_gone(read_state(transition, &now)))
		*ret = (struct outcome){ .status = HELPER_REPLACED };
}

void transition_park_again(const struct transition *transition, const struct device_state *saved, struct outcome *ret)
{
	struct device_state now;
	int r;

	announce(transition, HELPER_STEP_SNAPSHOT);
	r = read_state(transition, &now);
	if (is_gone(r) || (r == 0 && !device_state_is_same_device(&now, saved))) {
		*ret = (struct outcome){ .status = HELPER_REPLACED };
		return;
	}
	/* It went to a vfio driver since it was judged: it is in nobody's way there, and may be somebody's. */
	if (r == 0 && driver_is_vfio(now.driver))
		r = -EAGAIN;
	if (r == 0 && strcmp(now.driver, saved->moved_to) == 0) {
		*ret = outcome_ok();
		return;
	}
	if (r == 0 && now.driver[0])
		r = claim(transition);
	if (r != 0) {
		*ret = r > 0 ? (struct outcome){ .status = HELPER_IN_USE } : outcome_fault(HELPER_STEP_SNAPSHOT, r);
		return;
	}
	strcpy(now.moved_to, saved->moved_to);
	*ret = move_away(transition, &now);
	release(transition);
}
