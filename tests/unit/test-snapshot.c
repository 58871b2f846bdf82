/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Order and lookups at the size of a large machine, whatever the order in which devices come and go. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "topology/snapshot.h"

#define DEVICES 10000
#define MEMBERS 4 /* of each group */

static void address_of(size_t i, char ret[DEVICE_ADDRESS_MAX])
{
	snprintf(ret, DEVICE_ADDRESS_MAX, "%04zx:%02zx:%02zx.%zx", i >> 16, i >> 8 & 0xff, i >> 3 & 0x1f, i & 7);
}

/* Each of 0 to DEVICES - 1 once, scattered: the factor has no divisor in common with DEVICES. */
static size_t scattered(size_t i)
{
	return i * 7919 % DEVICES;
}

static void add(struct snapshot *snapshot, size_t i)
{
	struct device *device = calloc(1, sizeof(*device));
	struct group *group = snapshot_find_group(snapshot, i / MEMBERS);

	assert_non_null(device);
	address_of(i, device->id.address);
	assert_int_equal(snapshot_reserve(snapshot, 1, 1), 0);
	if (!group) {
		group = group_new(i / MEMBERS);
		snapshot_add_group(snapshot, group);
	}
	snapshot_add_device(snapshot, device, group);
}

static void take(struct snapshot *snapshot, size_t i)
{
	char address[DEVICE_ADDRESS_MAX];
	struct device *device;
	struct group *group;

	address_of(i, address);
	device = snapshot_find_device(snapshot, address);
	assert_non_null(device);
	group = device->group;
	snapshot_remove_device(snapshot, device);
	assert_null(snapshot_find_device(snapshot, address));
	if (group->n_devices == 0) {
		assert_null(snapshot_find_group(snapshot, group->id));
		group_free(group);
	}
	free(device);
}

static void assert_order(const struct snapshot *snapshot, size_t devices, size_t groups)
{
	const struct device *device;
	const struct group *group;
	const char *former = "";
	size_t n = 0, members = 0;
	int64_t last = -1;

	list_for_each(device, &snapshot->devices, link) {
		assert_true(strcmp(former, device->id.address) < 0);
		former = device->id.address;
		n++;
	}
	assert_int_equal(n, devices);
	n = 0;
	list_for_each(group, &snapshot->groups, link) {
		assert_true(group->id > last);
		last = group->id;
		former = "";
		list_for_each(device, &group->devices, group_link) {
			assert_true(strcmp(former, device->id.address) < 0);
			assert_ptr_equal(device->group, group);
			former = device->id.address;
		}
		members += group->n_devices;
		n++;
	}
	assert_int_equal(n, groups);
	assert_int_equal(members, devices);
}

static void keeps_order_and_finds_all_of_many_devices(void **state)
{
	struct snapshot *snapshot = snapshot_new();
	char address[DEVICE_ADDRESS_MAX];

	for (size_t i = 0; i < DEVICES; i++)
		add(snapshot, scattered(i));
	assert_order(snapshot, DEVICES, DEVICES / MEMBERS);
	for (size_t i = 0; i < DEVICES; i++) {
		const struct device *device;

		address_of(i, address);
		device = snapshot_find_device(snapshot, address);
		assert_non_null(device);
		assert_string_equal(device->id.address, address);
		assert_int_equal(device->group->id, i / MEMBERS);
	}
	snapshot_free(snapshot);
}

static void keeps_order_while_devices_go(void **state)
{
	struct snapshot *snapshot = snapshot_new();

	for (size_t i = 0; i < DEVICES; i++)
		add(snapshot, i);
	for (size_t i = 0; i < DEVICES; i += 2)
		take(snapshot, i);
	assert_order(snapshot, DEVICES / 2, DEVICES / MEMBERS);
	for (size_t i = 1; i < DEVICES; i += 2)
		take(snapshot, scattered(i));
	assert_order(snapshot, 0, 0);
	add(snapshot, 5);
	assert_order(snapshot, 1, 1);
	snapshot_free(snapshot);
}

static void frees_nothing_gladly(void **state)
{
	assert_null(snapshot_free(NULL));
	assert_null(group_free(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_order_and_finds_all_of_many_devices),
		cmocka_unit_test(keeps_order_while_devices_go),
		cmocka_unit_test(frees_nothing_gladly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
