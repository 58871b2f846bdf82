/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The order of steps, and every way in which one can fail: on a fake device in memory whose Nth operation fails, with or
 * without having had its effect.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "helper/transition.h"

#define DRIVER_VFIO "vfio-pci"

struct fake {
	struct device_state is;
	bool gone;
	bool no_vfio_pci;
	unsigned int n_operations;
	unsigned int n_writes;
	unsigned int fail_at; /* the operation that fails, from 1; 0: none */
	int error;
	bool takes_effect; /* the failing one does what it should all the same */
	bool stays_broken; /* all later ones fail as well */
	const char *probe_fails; /* bind() of this driver says 0, and leaves the device without one */
	bool asks; /* whether the host uses it */
	int claim; /* what comes of that */
	char trace[512];
	enum helper_step last_step;
};

static bool fails(struct fake *fake)
{
	fake->n_operations++;
	if (!fake->fail_at)
		return false;
	return fake->n_operations == fake->fail_at || (fake->stays_broken && fake->n_operations > fake->fail_at);
}

static void trace(struct fake *fake, const char *what, const char *argument)
{
	size_t length = strlen(fake->trace);

	fake->n_writes++;
	snprintf(fake->trace + length, sizeof(fake->trace) - length, "%s(%s) ", what, argument);
}

static int fake_read(void *userdata, struct device_state *ret)
{
	struct fake *fake = userdata;

	if (fails(fake))
		return -fake->error;
	if (fake->gone)
		return -ENOENT;
	*ret = fake->is;
	return 0;
}

static int fake_has_driver(void *userdata, const char *driver)
{
	struct fake *fake = userdata;

	return fails(fake) ? -fake->error : fake->no_vfio_pci ? -ENOENT : 0;
}

static int fake_set_override(void *userdata, const char *driver)
{
	struct fake *fake = userdata;
	bool failing = fails(fake);

	if (failing && !fake->takes_effect)
		return -fake->error;
	trace(fake, "override", driver);
	strcpy(fake->is.driver_override, driver);
	return failing ? -fake->error : 0;
}

static int fake_unbind(void *userdata, const char *driver)
{
	struct fake *fake = userdata;
	bool failing = fails(fake);

	if (failing && !fake->takes_effect)
		return -fake->error;
	if (strcmp(fake->is.driver, driver) != 0)
		return -ENODEV;
	trace(fake, "unbind", driver);
	fake->is.driver[0] = '\0';
	return failing ? -fake->error : 0;
}

static int fake_bind(void *userdata, const char *driver)
{
	struct fake *fake = userdata;
	bool failing = fails(fake);

	if (failing && !fake->takes_effect)
		return -fake->error;
	if (fake->is.driver[0])
		return -EBUSY;
	if (fake->is.driver_override[0] && strcmp(fake->is.driver_override, driver) != 0)
		return -ENODEV;
	trace(fake, "bind", driver);
	if (!fake->probe_fails || strcmp(fake->probe_fails, driver) != 0)
		strcpy(fake->is.driver, driver);
	return failing ? -fake->error : 0;
}

static const struct device_ops fake_ops = {
	.read = fake_read,
	.has_driver = fake_has_driver,
	.set_override = fake_set_override,
	.unbind = fake_unbind,
	.bind = fake_bind,
};

static void announce(void *userdata, enum helper_step step)
{
	struct fake *fake = userdata;

	fake->last_step = step;
}

static int claim(void *userdata)
{
	struct fake *fake = userdata;

	trace(fake, "claim", fake->is.driver);
	fake->n_writes--;
	return fake->claim;
}

static void release(void *userdata)
{
	struct fake *fake = userdata;

	trace(fake, "release", fake->is.driver);
	fake->n_writes--;
}

static struct fake fake_new(const char *driver, const char *override)
{
	struct fake fake = { 0 };

	strcpy(fake.is.id.address, "0000:00:01.0");
	fake.is.id.vendor = 0x8086;
	fake.is.id.device = 0x10d3;
	fake.is.serial = 77;
	fake.is.node = 1001;
	strcpy(fake.is.driver, driver);
	strcpy(fake.is.driver_override, override);
	/* As a judgement leaves it: of the snapshots that the tests take from here. */
	strcpy(fake.is.moved_to, DRIVER_VFIO);
	return fake;
}

static struct fake fake_bystander(const char *driver, const char *override)
{
	struct fake fake = fake_new(driver, override);

	strcpy(fake.is.moved_to, DRIVER_PARKING);
	return fake;
}

static struct outcome run(struct fake *fake, const struct device_state *saved,
			  void (*move)(const struct transition *, const struct device_state *, struct outcome *))
{
	const struct transition transition = { .ops = &fake_ops,
					       .device = fake,
					       .vfio_driver = "vfio-pci",
					       .announce = announce,
					       .claim = fake->asks ? claim : NULL,
					       .release = fake->asks ? release : NULL,
					       .userdata = fake };
	struct outcome outcome;

	memset(&outcome, 0xff, sizeof(outcome));
	fake->n_operations = 0;
	move(&transition, saved, &outcome);
	return outcome;
}

static struct outcome prepare(struct fake *fake, const struct device_state *saved)
{
	return run(fake, saved, transition_prepare);
}

static struct outcome restore(struct fake *fake, const struct device_state *saved)
{
	return run(fake, saved, transition_restore);
}

static void assert_same(const struct fake *fake, const struct device_state *saved)
{
	assert_string_equal(fake->is.driver, saved->driver);
	assert_string_equal(fake->is.driver_override, saved->driver_override);
}

static void moves_a_bound_device_in_order(void **state)
{
	struct fake fake = fake_new("e1000e", "");
	const struct device_state saved = fake.is;

	assert_int_equal(prepare(&fake, &saved).status, HELPER_OK);
	assert_string_equal(fake.trace, "override(vfio-pci) unbind(e1000e) bind(vfio-pci) ");
	assert_int_equal(fake.last_step, HELPER_STEP_VERIFY);
	fake.trace[0] = '\0';
	assert_int_equal(restore(&fake, &saved).status, HELPER_OK);
	assert_string_equal(fake.trace, "unbind(vfio-pci) override(e1000e) bind(e1000e) override() ");
	assert_same(&fake, &saved);
}

static void moves_a_driverless_device_in_order(void **state)
{
	struct fake fake = fake_new("", "mine");
	const struct device_state saved = fake.is;

	assert_int_equal(prepare(&fake, &saved).status, HELPER_OK);
	assert_string_equal(fake.trace, "override(vfio-pci) bind(vfio-pci) ");
	fake.trace[0] = '\0';
	assert_int_equal(restore(&fake, &saved).status, HELPER_OK);
	assert_string_equal(fake.trace, "unbind(vfio-pci) override(mine) ");
	assert_same(&fake, &saved);
}

static void only_rebinds_what_was_on_vfio(void **state)
{
	struct fake fake = fake_new("mlx5_vfio_pci", "");
	const struct device_state saved = fake.is;

	assert_int_equal(prepare(&fake, &saved).status, HELPER_OK);
	assert_string_equal(fake.trace, "");
	assert_int_equal(restore(&fake, &saved).status, HELPER_OK);
	assert_string_equal(fake.trace,
			    "unbind(mlx5_vfio_pci) override(mlx5_vfio_pci) bind(mlx5_vfio_pci) override() ");
	assert_same(&fake, &saved);
}

static void parks_a_bystander_in_order(void **state)
{
	struct fake fake = fake_bystander("nvme", "mine");
	const struct device_state saved = fake.is;

	assert_int_equal(prepare(&fake, &saved).status, HELPER_OK);
	assert_string_equal(fake.trace, "override(pci-stub) unbind(nvme) bind(pci-stub) ");
	fake.trace[0] = '\0';
	assert_int_equal(restore(&fake, &saved).status, HELPER_OK);
	assert_string_equal(fake.trace, "unbind(pci-stub) override(nvme) bind(nvme) override(mine) ");
	assert_same(&fake, &saved);
}

/* Somebody has bound it to vfio by hand meanwhile, and may be using it: not where we put it. */
static void leaves_a_bystander_alone_that_somebody_took_to_vfio(void **state)
{
	struct fake fake = fake_bystander("nvme", "");
	const struct device_state saved = fake.is;

	assert_int_equal(prepare(&fake, &saved).status, HELPER_OK);
	strcpy(fake.is.driver, "vfio-pci");
	strcpy(fake.is.driver_override, "vfio-pci");
	fake.trace[0] = '\0';
	assert_int_equal(restore(&fake, &saved).status, HELPER_OK);
	assert_string_equal(fake.trace, "");
	assert_string_equal(fake.is.driver, "vfio-pci");
}

/* And one that was moved to vfio and is found on pci-stub: thread 004's barrier, set by hand, stays. */
static void leaves_a_device_alone_that_somebody_took_to_pci_stub(void **state)
{
	struct fake fake = fake_new("e1000e", "");
	const struct device_state saved = fake.is;

	assert_int_equal(prepare(&fake, &saved).status, HELPER_OK);
	strcpy(fake.is.driver, "pci-stub");
	strcpy(fake.is.driver_override, "");
	fake.trace[0] = '\0';
	assert_int_equal(restore(&fake, &saved).status, HELPER_OK);
	assert_string_equal(fake.trace, "");
}

static void refuses_a_device_that_changed_since_it_was_judged(void **state)
{
	struct fake fake = fake_new("e1000e", "");
	struct device_state saved = fake.is;
	struct outcome outcome;

	strcpy(saved.driver, "");
	outcome = prepare(&fake, &saved);
	assert_int_equal(outcome.status, HELPER_FAULT);
	assert_int_equal(outcome.step, HELPER_STEP_SNAPSHOT);
	assert_int_equal(outcome.error, EAGAIN);
	assert_true(outcome.undone);
	saved = fake.is;
	saved.node++;
	assert_int_equal(prepare(&fake, &saved).step, HELPER_STEP_SNAPSHOT);
	saved = fake.is;
	strcpy(saved.driver_override, "x");
	assert_int_equal(prepare(&fake, &saved).step, HELPER_STEP_SNAPSHOT);
	assert_int_equal(fake.n_writes, 0);
}

static void changes_nothing_when_vfio_pci_is_not_there(void **state)
{
	struct fake fake = fake_new("e1000e", "");
	const struct device_state saved = fake.is;
	struct outcome outcome;

	fake.no_vfio_pci = true;
	outcome = prepare(&fake, &saved);
	assert_int_equal(outcome.status, HELPER_FAULT);
	assert_int_equal(outcome.step, HELPER_STEP_BIND);
	assert_int_equal(outcome.error, ENOENT);
	assert_true(outcome.undone);
	assert_int_equal(fake.n_writes, 0);
}

/* What is held is let go as soon as the driver has: a disk that is open keeps its name from the next one. */
static void holds_what_the_host_could_use_until_the_unbind(void **state)
{
	struct fake fake = fake_new("nvme", "");
	const struct device_state saved = fake.is;

	fake.asks = true;
	assert_int_equal(prepare(&fake, &saved).status, HELPER_OK);
	assert_string_equal(fake.trace, "claim(nvme) override(vfio-pci) unbind(nvme) release() bind(vfio-pci) "
					"release(vfio-pci) ");
	fake.trace[0] = '\0';
	assert_int_equal(restore(&fake, &saved).status, HELPER_OK);
	assert_string_equal(fake.trace, "unbind(vfio-pci) override(nvme) bind(nvme) override() ");
}

static void changes_nothing_when_the_host_uses_it(void **state)
{
	struct fake fake = fake_new("nvme", "");
	const struct device_state saved = fake.is;
	struct outcome outcome;

	fake.asks = true;
	fake.claim = 1;
	outcome = prepare(&fake, &saved);
	assert_int_equal(outcome.status, HELPER_IN_USE);
	assert_true(outcome.undone);
	fake.claim = -EIO;
	outcome = prepare(&fake, &saved);
	assert_int_equal(outcome.status, HELPER_FAULT);
	assert_int_equal(outcome.step, HELPER_STEP_SNAPSHOT);
	assert_int_equal(outcome.error, EIO);
	assert_true(outcome.undone);
	assert_int_equal(fake.n_writes, 0);
	assert_same(&fake, &saved);
}

static void asks_only_about_drivers_of_the_host(void **state)
{
	static const char *const drivers[] = { "", "vfio-pci", "mlx5_vfio_pci" };

	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
		struct fake fake = fake_new(drivers[i], "");
		const struct device_state saved = fake.is;

		fake.asks = true;
		fake.claim = 1;
		assert_int_equal(prepare(&fake, &saved).status, HELPER_OK);
		assert_null(strstr(fake.trace, "claim"));
	}
}

/* Before the way back begins, or the disk comes back under another name. */
static void lets_go_whichever_step_fails(void **state)
{
	for (unsigned int step = 3; step <= 6; step++) {
		struct fake fake = fake_new("nvme", "");
		const struct device_state saved = fake.is;
		const char *back;

		fake.asks = true;
		fake.fail_at = step;
		fake.error = EIO;
		assert_int_equal(prepare(&fake, &saved).status, HELPER_FAULT);
		assert_same(&fake, &saved);
		back = strstr(fake.trace, "bind(nvme)");
		assert_non_null(strstr(fake.trace, "release("));
		if (back && strstr(fake.trace, "unbind(nvme)"))
			assert_true(strstr(fake.trace, "release(") < strstr(fake.trace, " bind(nvme)"));
	}
}

static void undoes_a_bind_that_the_driver_did_not_keep(void **state)
{
	struct fake fake = fake_new("e1000e", "");
	const struct device_state saved = fake.is;
	struct outcome outcome;

	fake.probe_fails = "vfio-pci";
	outcome = prepare(&fake, &saved);
	assert_int_equal(outcome.status, HELPER_FAULT);
	assert_int_equal(outcome.step, HELPER_STEP_VERIFY);
	assert_true(outcome.undone);
	assert_same(&fake, &saved);
}

static void says_so_when_the_former_driver_does_not_take_it_back(void **state)
{
	struct fake fake = fake_new("e1000e", "");
	const struct device_state saved = fake.is;
	struct outcome outcome;

	assert_int_equal(prepare(&fake, &saved).status, HELPER_OK);
	fake.probe_fails = "e1000e";
	outcome = restore(&fake, &saved);
	assert_int_equal(outcome.status, HELPER_FAULT);
	assert_int_equal(outcome.step, HELPER_STEP_VERIFY);
	assert_string_equal(fake.is.driver, "");
	assert_string_equal(fake.is.driver_override, "");
	fake.probe_fails = NULL;
	assert_int_equal(restore(&fake, &saved).status, HELPER_OK);
	assert_same(&fake, &saved);
}

/* The devices that the sweeps go over. */
static const struct {
	const char *driver;
	const char *override;
	const char *moved_to;
} kinds[] = { { "e1000e", "", DRIVER_VFIO },  { "e1000e", "e1000e", DRIVER_VFIO },
	      { "", "", DRIVER_VFIO },        { "", "mine", DRIVER_VFIO },
	      { "nvme", "", DRIVER_PARKING }, { "vfio-pci", "vfio-pci", DRIVER_VFIO } };

static struct fake fake_of_kind(size_t kind)
{
	struct fake fake = fake_new(kinds[kind].driver, kinds[kind].override);

	strcpy(fake.is.moved_to, kinds[kind].moved_to);
	return fake;
}

/* How the Nth operation fails. */
static void break_at(struct fake *fake, unsigned int n, bool takes_effect, bool stays_broken)
{
	fake->fail_at = n;
	fake->error = EIO;
	fake->takes_effect = takes_effect;
	fake->stays_broken = stays_broken;
}

static void mend(struct fake *fake)
{
	fake->fail_at = 0;
	fake->stays_broken = false;
}

/* Returns false when there is no Nth operation. */
static bool prepare_failing_at(size_t kind, unsigned int n, bool takes_effect)
{
	struct fake fake = fake_of_kind(kind);
	const struct device_state saved = fake.is;
	struct outcome outcome;
	bool reached;

	break_at(&fake, n, takes_effect, false);
	outcome = prepare(&fake, &saved);
	reached = fake.n_operations >= n;
	if (outcome.status == HELPER_OK) {
		mend(&fake);
		assert_int_equal(restore(&fake, &saved).status, HELPER_OK);
	} else {
		assert_int_equal(outcome.status, HELPER_FAULT);
		assert_int_equal(outcome.error, EIO);
		assert_true(outcome.undone);
	}
	assert_same(&fake, &saved);
	return reached;
}

static void undoes_a_prepare_whichever_step_fails(void **state)
{
	for (size_t kind = 0; kind < sizeof(kinds) / sizeof(kinds[0]); kind++) {
		for (int effect = 0; effect < 2; effect++) {
			unsigned int n = 1;

			while (prepare_failing_at(kind, n, effect))
				n++;
			assert_true(n > 1);
		}
	}
}

/* From the Nth operation on all fail: what can't be undone is said, and a restore later brings everything back. */
static bool prepare_broken_from(size_t kind, unsigned int n)
{
	struct fake fake = fake_of_kind(kind);
	const struct device_state saved = fake.is;
	struct outcome outcome;

	break_at(&fake, n, false, true);
	outcome = prepare(&fake, &saved);
	if (outcome.status == HELPER_OK)
		return false;
	assert_int_equal(outcome.status, HELPER_FAULT);
	if (outcome.undone)
		assert_same(&fake, &saved);
	mend(&fake);
	assert_int_equal(restore(&fake, &saved).status, HELPER_OK);
	assert_same(&fake, &saved);
	return true;
}

static void says_when_a_prepare_is_not_undone(void **state)
{
	for (size_t kind = 0; kind < sizeof(kinds) / sizeof(kinds[0]); kind++) {
		unsigned int n = 1;

		while (prepare_broken_from(kind, n))
			n++;
		assert_true(n > 1);
	}
}

static bool restore_failing_at(size_t kind, unsigned int n, bool takes_effect, bool stays_broken)
{
	struct fake fake = fake_of_kind(kind);
	const struct device_state saved = fake.is;
	struct outcome outcome;
	bool reached;

	assert_int_equal(prepare(&fake, &saved).status, HELPER_OK);
	break_at(&fake, n, takes_effect, stays_broken);
	outcome = restore(&fake, &saved);
	reached = fake.n_operations >= n;
	if (outcome.status == HELPER_OK)
		assert_same(&fake, &saved);
	mend(&fake);
	assert_int_equal(restore(&fake, &saved).status, HELPER_OK);
	assert_same(&fake, &saved);
	return reached;
}

static void a_restore_can_be_repeated_whichever_step_failed(void **state)
{
	for (size_t kind = 0; kind < sizeof(kinds) / sizeof(kinds[0]); kind++) {
		for (int how = 0; how < 4; how++) {
			unsigned int n = 1;

			while (restore_failing_at(kind, n, how & 1, how & 2))
				n++;
			assert_true(n > 3);
		}
	}
}

static void restoring_twice_changes_nothing_more(void **state)
{
	struct fake fake = fake_new("e1000e", "");
	const struct device_state saved = fake.is;

	assert_int_equal(restore(&fake, &saved).status, HELPER_OK);
	assert_int_equal(fake.n_writes, 0);
	assert_int_equal(prepare(&fake, &saved).status, HELPER_OK);
	assert_int_equal(restore(&fake, &saved).status, HELPER_OK);
	fake.n_writes = 0;
	assert_int_equal(restore(&fake, &saved).status, HELPER_OK);
	assert_int_equal(fake.n_writes, 0);
}

static void puts_our_override_back_on_a_device_that_is_bound_already(void **state)
{
	struct fake fake = fake_new("e1000e", "");
	const struct device_state saved = fake.is;

	strcpy(fake.is.driver_override, "vfio-pci");
	assert_int_equal(restore(&fake, &saved).status, HELPER_OK);
	assert_string_equal(fake.trace, "override() ");
}

static void leaves_a_third_driver_and_its_override_alone(void **state)
{
	struct fake fake = fake_new("e1000e", "");
	const struct device_state saved = fake.is;

	strcpy(fake.is.driver, "uio_pci_generic");
	strcpy(fake.is.driver_override, "uio_pci_generic");
	assert_int_equal(restore(&fake, &saved).status, HELPER_OK);
	assert_int_equal(fake.n_writes, 0);
	strcpy(fake.is.driver_override, "vfio-pci");
	assert_int_equal(restore(&fake, &saved).status, HELPER_OK);
	assert_string_equal(fake.trace, "override() ");
	assert_string_equal(fake.is.driver, "uio_pci_generic");
}

static void touches_no_other_device_at_the_address(void **state)
{
	struct fake fake = fake_new("vfio-pci", "vfio-pci");
	struct device_state saved = fake.is;

	strcpy(saved.driver, "e1000e");
	saved.serial++;
	assert_int_equal(restore(&fake, &saved).status, HELPER_REPLACED);
	saved.serial = fake.is.serial;
	saved.node++;
	assert_int_equal(restore(&fake, &saved).status, HELPER_REPLACED);
	saved.node = fake.is.node;
	saved.id.subsystem_device++;
	assert_int_equal(restore(&fake, &saved).status, HELPER_REPLACED);
	fake.gone = true;
	assert_int_equal(restore(&fake, &saved).status, HELPER_REPLACED);
	assert_int_equal(fake.n_writes, 0);
}

static void a_serial_that_can_not_be_read_now_proves_nothing(void **state)
{
	struct fake fake = fake_new("e1000e", "");
	const struct device_state saved = fake.is;

	assert_int_equal(prepare(&fake, &saved).status, HELPER_OK);
	fake.is.serial = 0;
	assert_int_equal(restore(&fake, &saved).status, HELPER_OK);
	assert_same(&fake, &saved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moves_a_bound_device_in_order),
		cmocka_unit_test(moves_a_driverless_device_in_order),
		cmocka_unit_test(only_rebinds_what_was_on_vfio),
		cmocka_unit_test(parks_a_bystander_in_order),
		cmocka_unit_test(leaves_a_bystander_alone_that_somebody_took_to_vfio),
		cmocka_unit_test(leaves_a_device_alone_that_somebody_took_to_pci_stub),
		cmocka_unit_test(refuses_a_device_that_changed_since_it_was_judged),
		cmocka_unit_test(changes_nothing_when_vfio_pci_is_not_there),
		cmocka_unit_test(holds_what_the_host_could_use_until_the_unbind),
		cmocka_unit_test(changes_nothing_when_the_host_uses_it),
		cmocka_unit_test(asks_only_about_drivers_of_the_host),
		cmocka_unit_test(lets_go_whichever_step_fails),
		cmocka_unit_test(undoes_a_bind_that_the_driver_did_not_keep),
		cmocka_unit_test(says_so_when_the_former_driver_does_not_take_it_back),
		cmocka_unit_test(undoes_a_prepare_whichever_step_fails),
		cmocka_unit_test(says_when_a_prepare_is_not_undone),
		cmocka_unit_test(a_restore_can_be_repeated_whichever_step_failed),
		cmocka_unit_test(restoring_twice_changes_nothing_more),
		cmocka_unit_test(puts_our_override_back_on_a_device_that_is_bound_already),
		cmocka_unit_test(leaves_a_third_driver_and_its_override_alone),
		cmocka_unit_test(touches_no_other_device_at_the_address),
		cmocka_unit_test(a_serial_that_can_not_be_read_now_proves_nothing),
	};

	return cmocka_run_group_tests_name("helper-transition", tests, NULL, NULL);
}
