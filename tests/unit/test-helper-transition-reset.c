/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The reset in the midst of a transition: when it happens, what is done when it fails or is not possible, and that a restore
 * leads back from wherever a prepare with a reset was left. On a fake device in memory, whose Nth write is the last one that
 * happens when the helper is "killed" there.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "helper/transition.h"

struct fake {
	struct device_state is;
	int reset_error; /* ENOENT: there is no reset file */
	unsigned int n_writes;
	unsigned int killed_at; /* from this write on nothing has an effect; 0: not */
	char trace[512];
};

/* Whether the write still happens. */
static bool happens(struct fake *fake, const char *what, const char *argument)
{
	size_t length = strlen(fake->trace);

	fake->n_writes++;
	if (fake->killed_at && fake->n_writes >= fake->killed_at)
		return false;
	snprintf(fake->trace + length, sizeof(fake->trace) - length, "%s(%s) ", what, argument);
	return true;
}

static int fake_read(void *userdata, struct device_state *ret)
{
	struct fake *fake = userdata;

	*ret = fake->is;
	return 0;
}

static int fake_has_driver(void *userdata, const char *driver)
{
	return 0;
}

static int fake_set_override(void *userdata, const char *driver)
{
	struct fake *fake = userdata;

	if (!happens(fake, "override", driver))
		return -EINTR;
	strcpy(fake->is.driver_override, driver);
	return 0;
}

static int fake_unbind(void *userdata, const char *driver)
{
	struct fake *fake = userdata;

	if (strcmp(fake->is.driver, driver) != 0)
		return -ENODEV;
	if (!happens(fake, "unbind", driver))
		return -EINTR;
	fake->is.driver[0] = '\0';
	return 0;
}

static int fake_bind(void *userdata, const char *driver)
{
	struct fake *fake = userdata;

	if (fake->is.driver[0])
		return -EBUSY;
	if (!happens(fake, "bind", driver))
		return -EINTR;
	strcpy(fake->is.driver, driver);
	return 0;
}

/* Who resets a device that is on a driver may hit somebody who has it. */
static int fake_reset(void *userdata)
{
	struct fake *fake = userdata;

	assert_string_equal(fake->is.driver, "");
	if (!happens(fake, "reset", ""))
		return -EINTR;
	return -fake->reset_error;
}

static const struct device_ops fake_ops = {
	.read = fake_read,
	.has_driver = fake_has_driver,
	.set_override = fake_set_override,
	.unbind = fake_unbind,
	.bind = fake_bind,
	.reset = fake_reset,
};

static struct fake fake_new(const char *driver, const char *override)
{
	struct fake fake = { 0 };

	strcpy(fake.is.id.address, "0000:00:01.0");
	fake.is.node = 1001;
	strcpy(fake.is.driver, driver);
	strcpy(fake.is.driver_override, override);
	strcpy(fake.is.moved_to, "vfio-pci");
	return fake;
}

/* The driver that was found for the device, if it is on none of vfio's. */
#define CHOSEN "mlx5_vfio_pci"

static struct transition with_reset(struct fake *fake, enum transition_reset reset)
{
	return (struct transition){ .ops = &fake_ops, .device = fake, .vfio_driver = CHOSEN, .reset = reset };
}

static struct outcome prepare(struct fake *fake, const struct device_state *saved, enum transition_reset reset)
{
	const struct transition transition = with_reset(fake, reset);
	struct outcome outcome;

	transition_prepare(&transition, saved, &outcome);
	return outcome;
}

static struct outcome restore(struct fake *fake, const struct device_state *saved)
{
	const struct transition transition = with_reset(fake, TRANSITION_NO_RESET);
	struct outcome outcome;

	transition_restore(&transition, saved, &outcome);
	return outcome;
}

static void assert_same(const struct fake *fake, const struct device_state *saved)
{
	assert_string_equal(fake->is.driver, saved->driver);
	assert_string_equal(fake->is.driver_override, saved->driver_override);
}

static void resets_between_the_host_driver_and_vfio(void **state)
{
	struct fake fake = fake_new("nvme", "");
	const struct device_state saved = fake.is;
	struct outcome outcome = prepare(&fake, &saved, TRANSITION_RESET);

	assert_int_equal(outcome.status, HELPER_OK);
	assert_true(outcome.reset_done);
	assert_string_equal(fake.trace, "override(" CHOSEN ") unbind(nvme) reset() bind(" CHOSEN ") ");
	assert_int_equal(restore(&fake, &saved).status, HELPER_OK);
	assert_same(&fake, &saved);
}

static void resets_a_device_without_a_driver(void **state)
{
	struct fake fake = fake_new("", "mine");
	const struct device_state saved = fake.is;

	assert_true(prepare(&fake, &saved, TRANSITION_RESET_IF_POSSIBLE).reset_done);
	assert_string_equal(fake.trace, "override(" CHOSEN ") reset() bind(" CHOSEN ") ");
	assert_int_equal(restore(&fake, &saved).status, HELPER_OK);
	assert_same(&fake, &saved);
}

/* Only a completed unbind says that nobody has a descriptor of it. It comes back to the driver that it was on. */
static void takes_a_device_off_vfio_for_its_reset(void **state)
{
	struct fake fake = fake_new("vfio-pci", "vfio-pci");
	const struct device_state saved = fake.is;

	assert_true(prepare(&fake, &saved, TRANSITION_RESET).reset_done);
	assert_string_equal(fake.trace, "override(vfio-pci) unbind(vfio-pci) reset() bind(vfio-pci) ");
	assert_same(&fake, &saved);
	assert_int_equal(restore(&fake, &saved).status, HELPER_OK);
	assert_same(&fake, &saved);
}

static void resets_nothing_unasked(void **state)
{
	struct fake bound = fake_new("nvme", ""), ready = fake_new("vfio-pci", "");
	const struct device_state saved_bound = bound.is, saved_ready = ready.is;

	assert_false(prepare(&bound, &saved_bound, TRANSITION_NO_RESET).reset_done);
	assert_null(strstr(bound.trace, "reset"));
	assert_int_equal(prepare(&ready, &saved_ready, TRANSITION_NO_RESET).status, HELPER_OK);
	assert_string_equal(ready.trace, "");
}

static void goes_on_without_a_reset_that_is_not_possible(void **state)
{
	struct fake fake = fake_new("nvme", "");
	const struct device_state saved = fake.is;
	struct outcome outcome;

	fake.reset_error = ENOENT;
	outcome = prepare(&fake, &saved, TRANSITION_RESET_IF_POSSIBLE);
	assert_int_equal(outcome.status, HELPER_OK);
	assert_false(outcome.reset_done);
	assert_string_equal(fake.is.driver, CHOSEN);
}

static void a_reset_that_is_required_and_not_possible_is_a_fault(void **state)
{
	struct fake fake = fake_new("nvme", "mine");
	const struct device_state saved = fake.is;
	struct outcome outcome;

	fake.reset_error = ENOENT;
	outcome = prepare(&fake, &saved, TRANSITION_RESET);
	assert_int_equal(outcome.status, HELPER_FAULT);
	assert_int_equal(outcome.step, HELPER_STEP_RESET);
	assert_int_equal(outcome.error, ENOENT);
	assert_true(outcome.undone);
	assert_same(&fake, &saved);
}

static void undoes_everything_when_a_reset_fails(void **state)
{
	static const struct {
		const char *driver;
		const char *override;
	} devices[] = { { "nvme", "" }, { "", "mine" }, { "vfio-pci", "vfio-pci" }, { "vfio-pci", "" } };

	for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
		for (int wanted = TRANSITION_RESET_IF_POSSIBLE; wanted <= TRANSITION_RESET; wanted++) {
			struct fake fake = fake_new(devices[i].driver, devices[i].override);
			const struct device_state saved = fake.is;
			struct outcome outcome;

			fake.reset_error = ENOTTY;
			outcome = prepare(&fake, &saved, wanted);
			assert_int_equal(outcome.status, HELPER_FAULT);
			assert_int_equal(outcome.step, HELPER_STEP_RESET);
			assert_int_equal(outcome.error, ENOTTY);
			assert_true(outcome.undone);
			assert_false(outcome.reset_done);
			assert_same(&fake, &saved);
		}
	}
}

/* The helper and its worker die there; the next helper restores by what it finds. False: it was not reached. */
static bool die_at(unsigned int write, const char *driver, const char *override)
{
	struct fake fake = fake_new(driver, override);
	const struct device_state saved = fake.is;

	fake.killed_at = write;
	prepare(&fake, &saved, TRANSITION_RESET);
	if (fake.n_writes < write)
		return false;
	fake.killed_at = 0;
	assert_int_equal(restore(&fake, &saved).status, HELPER_OK);
	assert_same(&fake, &saved);
	return true;
}

static void leads_back_from_every_write(void **state)
{
	unsigned int bound = 1, bare = 1, ready = 1;

	while (die_at(bound, "nvme", ""))
		bound++;
	while (die_at(bare, "", "mine"))
		bare++;
	while (die_at(ready, "vfio-pci", ""))
		ready++;
	assert_int_equal(bound, 5);
	assert_int_equal(bare, 4);
	assert_int_equal(ready, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(resets_between_the_host_driver_and_vfio),
		cmocka_unit_test(resets_a_device_without_a_driver),
		cmocka_unit_test(takes_a_device_off_vfio_for_its_reset),
		cmocka_unit_test(resets_nothing_unasked),
		cmocka_unit_test(goes_on_without_a_reset_that_is_not_possible),
		cmocka_unit_test(a_reset_that_is_required_and_not_possible_is_a_fault),
		cmocka_unit_test(undoes_everything_when_a_reset_fails),
		cmocka_unit_test(leads_back_from_every_write),
	};

	return cmocka_run_group_tests_name("helper-transition-reset", tests, NULL, NULL);
}
