/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What tells a device from others of its kind: udev's path, the serial number of an NVMe controller. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "registry-fixture.h"
#include "topology/particulars.h"
#include "util/cleanup.h"

static const struct fake_device nvme = {
	.address = "0000:05:00.0", .vendor = 0x1b36, .device = 0x0010, .class = 0x010802, .group = 5, .driver = "nvme"
};

static struct registry_fixture *begin(void **state)
{
	static char udev_data[256];
	struct registry_fixture *fixture = *state;

	/* Any folder will do for udev's, also one in the fake tree. */
	snprintf(udev_data, sizeof(udev_data), "%s/udev", fake_sysfs_path(fixture->fake));
	registry_set_udev_data(fixture->registry, udev_data);
	fake_sysfs_add_device(fixture->fake, &nvme);
	return fixture;
}

static const struct device *refreshed(struct registry_fixture *fixture, const char *address)
{
	assert_int_equal(registry_refresh(fixture->registry, address), 0);
	return registry_find_device(fixture->registry, address);
}

static void the_path_is_udevs(void **state)
{
	static const struct {
		const char *entry, *path;
	} cases[] = {
		{ "I:123\nE:ID_PATH=pci-0000:05:00.0\nE:ID_PATH_TAG=pci-0000_05_00_0\nV:1\n", "pci-0000:05:00.0" },
		{ "E:ID_PATH_TAG=x\nE:ID_PATH=platform-a.pcie-pci-0000:05:00.0", "platform-a.pcie-pci-0000:05:00.0" },
		{ "E:ID_PATH_TAG=x\n", "" },
		{ "S:E:ID_PATH=x\n", "" },
		{ "E:ID_PATH=a\x01z\n", "" },
		{ "", "" },
	};
	struct registry_fixture *fixture = begin(state);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		fake_sysfs_write(fixture->fake, "udev/+pci:0000:05:00.0", cases[i].entry);
		assert_string_equal(refreshed(fixture, nvme.address)->path, cases[i].path);
	}
}

static void udev_may_come_later(void **state)
{
	struct registry_fixture *fixture = begin(state);

	assert_string_equal(refreshed(fixture, nvme.address)->path, "");
	fake_sysfs_write(fixture->fake, "udev/+pci:0000:05:00.0", "E:ID_PATH=pci-0000:05:00.0\n");
	assert_string_equal(refreshed(fixture, nvme.address)->path, "pci-0000:05:00.0");
	/* It is a change, so whoever judges by it judges again. */
	fixture_reported(fixture, 1, DEVICE_CHANGED, nvme.address);
}

static void a_path_that_is_too_long_is_not_known(void **state)
{
	struct registry_fixture *fixture = begin(state);
	char entry[2 * DEVICE_PATH_MAX] = "E:ID_PATH=";
	size_t prefix = strlen(entry);

	memset(entry + prefix, 'x', DEVICE_PATH_MAX);
	fake_sysfs_write(fixture->fake, "udev/+pci:0000:05:00.0", entry);
	assert_string_equal(refreshed(fixture, nvme.address)->path, "");
	entry[prefix + DEVICE_PATH_MAX - 1] = '\0';
	fake_sysfs_write(fixture->fake, "udev/+pci:0000:05:00.0", entry);
	assert_int_equal(strlen(refreshed(fixture, nvme.address)->path), DEVICE_PATH_MAX - 1);
}

static void a_serial_number_has_no_blanks_behind_it(void **state)
{
	static const struct {
		const char *text, *serial;
	} cases[] = {
		{ "IOMMUD-0            ", "IOMMUD-0" },
		{ "A B  ", "A B" },
		{ "                    ", "" },
		{ "", "" },
		{ "x\x01y", "" },
		{ "0123456789012345678901234567890123456789", "" },
	};
	struct registry_fixture *fixture = begin(state);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		fake_sysfs_set_attribute(fixture->fake, nvme.address, "nvme/nvme0/serial", cases[i].text);
		assert_string_equal(refreshed(fixture, nvme.address)->serial, cases[i].serial);
	}
	fake_sysfs_set_attribute(fixture->fake, nvme.address, "nvme/nvme0/serial", NULL);
	assert_string_equal(refreshed(fixture, nvme.address)->serial, "");
}

static void others_have_no_serial_number(void **state)
{
	struct registry_fixture *fixture = begin(state);

	fake_sysfs_set_attribute(fixture->fake, GRAPHICS, "nvme/nvme0/serial", "S1");
	assert_string_equal(refreshed(fixture, GRAPHICS)->serial, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_TREE(the_path_is_udevs),
		WITH_TREE(udev_may_come_later),
		WITH_TREE(a_path_that_is_too_long_is_not_known),
		WITH_TREE(a_serial_number_has_no_blanks_behind_it),
		WITH_TREE(others_have_no_serial_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
