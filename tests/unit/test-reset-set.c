/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a reset of a device would reset: from the methods and the place that sysfs shows, to the list of devices. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fail-alloc.h"
#include "fake-sysfs.h"
#include "topology/registry.h"
#include "topology/reset.h"

#define ROOT "0000:00:05.0" /* on the root bus */
#define PORT "0000:00:08.0" /* a root port */
#define ALONE "0000:01:00.0" /* below it, with methods of its own */
#define SLOT_A "0000:02:00.0" /* below another port, without methods */
#define SLOT_B "0000:02:00.1" /* beside it, with one */
#define SWITCH "0000:03:00.0" /* a bridge below a third port */
#define BESIDE "0000:03:00.1" /* beside the bridge */
#define DEEP "0000:04:00.0" /* below the bridge */
#define DEEPER "0000:05:00.0" /* below a bridge below it */

struct scene {
	struct fake_sysfs *sysfs;
	struct registry *registry;
};

static void add(struct scene *scene, const char *address, const char *parent, const char *methods)
{
	static int group;

	fake_sysfs_add_device(scene->sysfs, &(struct fake_device){ .address = address,
								   .parent = parent,
								   .vendor = 0x1b36,
								   .device = 0x0010,
								   .class = 0x010802,
								   .group = group++,
								   .reset_method = methods });
}

static int setup(void **state)
{
	static struct scene scene;

	scene.sysfs = fake_sysfs_new();
	add(&scene, ROOT, NULL, NULL);
	add(&scene, PORT, NULL, NULL);
	add(&scene, ALONE, "pci0000:00/" PORT, "flr bus");
	add(&scene, SLOT_A, "pci0000:00/0000:00:09.0", NULL);
	add(&scene, SLOT_B, "pci0000:00/0000:00:09.0", "pm");
	add(&scene, SWITCH, "pci0000:00/0000:00:0a.0", NULL);
	add(&scene, BESIDE, "pci0000:00/0000:00:0a.0", NULL);
	add(&scene, DEEP, "pci0000:00/0000:00:0a.0/" SWITCH, NULL);
	add(&scene, "0000:04:01.0", "pci0000:00/0000:00:0a.0/" SWITCH, NULL);
	add(&scene, DEEPER, "pci0000:00/0000:00:0a.0/" SWITCH "/0000:04:01.0", "flr");
	fake_sysfs_add_device(scene.sysfs,
			      &(struct fake_device){ .address = "serial8250", .bus = "platform", .group = 90 });
	assert_int_equal(registry_new(fake_sysfs_fd(scene.sysfs), &scene.registry), 0);
	assert_int_equal(registry_scan(scene.registry), 0);
	*state = &scene;
	return 0;
}

static int teardown(void **state)
{
	struct scene *scene = *state;

	registry_free(scene->registry);
	fake_sysfs_free(scene->sysfs);
	return 0;
}

/* The set as a text, "SCOPE: ADDRESS ADDRESS". */
static const char *set_of(struct scene *scene, const char *address)
{
	static char text[512];
	const struct device *device = registry_find_device(scene->registry, address);
	struct reset_set set;
	const char *scope;
	size_t used;

	assert_non_null(device);
	assert_int_equal(reset_set_find(registry_devices(scene->registry), device, &set), 0);
	scope = reset_scope_name(set.scope);
	used = snprintf(text, sizeof(text), "%s:", scope ? scope : "none");
	for (size_t i = 0; i < set.n; i++) {
		assert_false(set.members[i].conflicting);
		used += snprintf(text + used, sizeof(text) - used, " %s", set.members[i].address);
	}
	reset_set_clear(&set);
	assert_null(set.members);
	return text;
}

static void a_device_with_a_method_of_its_own_is_its_own_set(void **state)
{
	assert_string_equal(set_of(*state, ALONE), "function: " ALONE);
	assert_string_equal(set_of(*state, SLOT_B), "function: " SLOT_B);
}

static void others_of_the_bus_are_in_the_set_whatever_they_can_themselves(void **state)
{
	assert_string_equal(set_of(*state, SLOT_A), "bus: " SLOT_A " " SLOT_B);
}

/* The kernel lists it once, before it finds the others. */
static void the_kernel_s_word_for_the_bus_counts_only_of_who_is_alone_there(void **state)
{
	struct scene *scene = *state;

	fake_sysfs_set_attribute(scene->sysfs, SLOT_A, "reset_method", "bus");
	assert_int_equal(registry_refresh(scene->registry, SLOT_A), 0);
	assert_string_equal(set_of(scene, SLOT_A), "bus: " SLOT_A " " SLOT_B);
	fake_sysfs_remove_device(scene->sysfs, SLOT_B);
	assert_int_equal(registry_refresh(scene->registry, SLOT_B), -ENOENT);
	assert_string_equal(set_of(scene, SLOT_A), "function: " SLOT_A);
}

/* A reset goes through bridges. */
static void all_that_is_below_a_bridge_of_the_bus_is_in_the_set(void **state)
{
	assert_string_equal(set_of(*state, BESIDE), "bus: " SWITCH " " BESIDE " " DEEP " 0000:04:01.0 " DEEPER);
	assert_string_equal(set_of(*state, DEEP), "bus: " DEEP " 0000:04:01.0 " DEEPER);
}

static void a_root_bus_can_not_be_reset(void **state)
{
	assert_string_equal(set_of(*state, ROOT), "none:");
	assert_string_equal(set_of(*state, PORT), "none:");
}

static void what_is_not_on_pci_has_no_reset(void **state)
{
	assert_string_equal(set_of(*state, "serial8250"), "none:");
}

/* An admin may write reset_method. */
static void a_refresh_sees_methods_that_were_taken_away(void **state)
{
	struct scene *scene = *state;

	fake_sysfs_set_attribute(scene->sysfs, ALONE, "reset_method", "");
	assert_int_equal(registry_refresh(scene->registry, ALONE), 0);
	assert_string_equal(set_of(scene, ALONE), "none:");
}

/* Of a domain of its own, as Intel's VMD makes them. */
static void a_root_bus_below_a_device_is_one(void **state)
{
	struct scene *scene = *state;

	add(scene, "10000:e0:06.0", "pci0000:00/0000:00:0e.0/pci10000:e0", NULL);
	add(scene, "10000:e1:00.0", "pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0", NULL);
	add(scene, "10000:e1:00.1", "pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0", NULL);
	assert_int_equal(registry_scan(scene->registry), 0);
	assert_string_equal(set_of(scene, "10000:e0:06.0"), "none:");
	assert_string_equal(set_of(scene, "10000:e1:00.0"), "bus: 10000:e1:00.0 10000:e1:00.1");
}

static void memory_that_runs_out_leaves_nothing_behind(void **state)
{
	struct scene *scene = *state;
	const struct device *device = registry_find_device(scene->registry, BESIDE);
	struct reset_set set;
	bool failed;

	for (unsigned int n = 1;; n++) {
		int r;

		fail_alloc_begin(n);
		r = reset_set_find(registry_devices(scene->registry), device, &set);
		failed = fail_alloc_end();
		assert_int_equal(r, failed ? -ENOMEM : 0);
		if (!failed)
			break;
	}
	assert_int_equal(set.n, 5);
	reset_set_clear(&set);
}

#define WITH_SCENE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SCENE(a_device_with_a_method_of_its_own_is_its_own_set),
		WITH_SCENE(others_of_the_bus_are_in_the_set_whatever_they_can_themselves),
		WITH_SCENE(the_kernel_s_word_for_the_bus_counts_only_of_who_is_alone_there),
		WITH_SCENE(all_that_is_below_a_bridge_of_the_bus_is_in_the_set),
		WITH_SCENE(a_root_bus_can_not_be_reset),
		WITH_SCENE(what_is_not_on_pci_has_no_reset),
		WITH_SCENE(a_refresh_sees_methods_that_were_taken_away),
		WITH_SCENE(a_root_bus_below_a_device_is_one),
		WITH_SCENE(memory_that_runs_out_leaves_nothing_behind),
	};

	return cmocka_run_group_tests_name("reset-set", tests, NULL, NULL);
}
