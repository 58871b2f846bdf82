/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A registry on a fake sysfs with a root port, a graphics card of two functions behind it (group 1) and a disk without
 * a driver (group 12), and what the registry's listener was told.
 */
#ifndef IOMMUD_TESTS_REGISTRY_FIXTURE_H
#define IOMMUD_TESTS_REGISTRY_FIXTURE_H

#include "fake-sysfs.h"
#include "topology/registry.h"

#define PORT "0000:00:01.0"
#define GRAPHICS "0000:01:00.0"
#define SOUND "0000:01:00.1"
#define DISK "0000:02:00.0"
#define REPORTS_MAX 64

struct report {
	enum registry_change change;
	char address[DEVICE_ADDRESS_MAX];
	char driver[DEVICE_DRIVER_MAX];
	char former[DEVICE_DRIVER_MAX];
	unsigned int group;
	size_t members; /* of the group, as the listener saw it */
	bool known; /* the registry had this very device when it was reported */
};

struct registry_fixture {
	struct fake_sysfs *fake;
	struct registry *registry;
	struct report reports[REPORTS_MAX];
	size_t n_reports;
};

extern const struct fake_device fixture_port, fixture_graphics, fixture_sound, fixture_disk;

/* For cmocka: an empty tree; the tree above, scanned once; the end of either. */
int fixture_setup_empty(void **state);
int fixture_setup(void **state);
int fixture_teardown(void **state);

#define WITH_TREE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

size_t fixture_count_devices(struct registry *registry);
size_t fixture_count_groups(struct registry *registry);

/* The i-th report, which must be this one. */
const struct report *fixture_reported(const struct registry_fixture *fixture, size_t i, enum registry_change change,
				      const char *address);

#endif
