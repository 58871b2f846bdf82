/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Notes every report together with what the registry looked like from inside of it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "registry-fixture.h"

const struct fake_device fixture_port = {
	.address = PORT, .vendor = 0x8086, .device = 0x1901, .class = 0x060400, .group = 1, .driver = "pcieport"
};
const struct fake_device fixture_graphics = { .address = GRAPHICS,
					      .parent = "pci0000:00/" PORT,
					      .vendor = 0x10de,
					      .device = 0x1c82,
					      .subsystem_vendor = 0x1458,
					      .subsystem_device = 0x3765,
					      .class = 0x030000,
					      .group = 1,
					      .driver = "nouveau",
					      .numa_node = "1",
					      .reset_method = "flr pm bus",
					      .boot_vga = "0" };
const struct fake_device fixture_sound = { .address = SOUND,
					   .parent = "pci0000:00/" PORT,
					   .vendor = 0x10de,
					   .device = 0x0fb9,
					   .class = 0x040300,
					   .group = 1,
					   .driver = "snd_hda_intel" };
const struct fake_device fixture_disk = { .address = DISK,
					  .vendor = 0x144d,
					  .device = 0xa808,
					  .class = 0x010802,
					  .group = 12,
					  .driver_override = "vfio-pci" };

static void note(void *userdata, enum registry_change change, const struct device *device, const char *former)
{
	struct registry_fixture *fixture = userdata;
	struct report *report = &fixture->reports[fixture->n_reports++];
	const struct group *current = registry_find_group(fixture->registry, device->group->id);
	struct device *member;

	/* Whoever judges device->group judges what there is now. */
	assert_true(!current || current == device->group);
	assert_in_range(fixture->n_reports, 1, REPORTS_MAX - 1);
	assert_non_null(former);
	report->change = change;
	strcpy(report->address, device->id.address);
	strcpy(report->driver, device->driver);
	snprintf(report->former, sizeof(report->former), "%s", former);
	report->group = device->group->id;
	report->known = registry_find_device(fixture->registry, device->id.address) == device;
	list_for_each(member, &device->group->devices, group_link)
		report->members++;
	assert_int_equal(report->members, device->group->n_devices);
}

int fixture_setup_empty(void **state)
{
	struct registry_fixture *fixture = calloc(1, sizeof(*fixture));

	fixture->fake = fake_sysfs_new();
	if (registry_new(fake_sysfs_fd(fixture->fake), &fixture->registry) < 0)
		return -1;
	registry_set_listener(fixture->registry, note, fixture);
	*state = fixture;
	return 0;
}

int fixture_setup(void **state)
{
	struct registry_fixture *fixture;

	if (fixture_setup_empty(state) < 0)
		return -1;
	fixture = *state;
	fake_sysfs_add_device(fixture->fake, &fixture_port);
	fake_sysfs_add_device(fixture->fake, &fixture_sound);
	fake_sysfs_add_device(fixture->fake, &fixture_graphics);
	fake_sysfs_add_device(fixture->fake, &fixture_disk);
	return registry_scan(fixture->registry);
}

int fixture_teardown(void **state)
{
	struct registry_fixture *fixture = *state;

	fixture->registry = registry_free(fixture->registry);
	fixture->fake = fake_sysfs_free(fixture->fake);
	free(fixture);
	return 0;
}

size_t fixture_count_devices(struct registry *registry)
{
	const struct device *device;
	size_t n = 0;

	list_for_each(device, registry_devices(registry), link)
		n++;
	return n;
}

size_t fixture_count_groups(struct registry *registry)
{
	const struct group *group;
	size_t n = 0;

	list_for_each(group, registry_groups(registry), link)
		n++;
	return n;
}

const struct report *fixture_reported(const struct registry_fixture *fixture, size_t i, enum registry_change change,
				      const char *address)
{
	const struct report *report = &fixture->reports[i];

	assert_in_range(i + 1, 1, fixture->n_reports);
	assert_string_equal(report->address, address);
	assert_int_equal(report->change, change);
	assert_int_equal(report->known, change != DEVICE_REMOVED);
	return report;
}
