/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names from a small pci.ids of our own, from a broken one, and from none. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fail-alloc.h"
#include "fake-sysfs.h"
#include "topology/names.h"

static const char ids[] = "8086  Intel Corporation\n"
			  "\t1901  6th-10th Gen Core Processor PCIe Controller (x16)\n"
			  "\t\t8086 2222  A board that is not asked for\n"
			  "10de  NVIDIA Corporation\n"
			  "C 03  Display controller\n"
			  "\t00  VGA compatible controller\n"
			  "\t\t00  VGA controller\n";

static const struct device_id port = { .vendor = 0x8086, .device = 0x1901, .class = 0x030000 };
static const struct device_id unknown = { .vendor = 0x1234, .device = 0x11e8, .class = 0xff0000 };

struct fixture {
	struct fake_sysfs *folder;
	struct device_names *names;
	char text[DEVICE_NAME_MAX];
};

static void begin(struct fixture *fixture, const char *content)
{
	char path[512];

	fixture->folder = fake_sysfs_new();
	strcpy(fixture->text, "untouched");
	snprintf(path, sizeof(path), "%s/pci.ids", fake_sysfs_path(fixture->folder));
	if (content)
		fake_sysfs_write(fixture->folder, "pci.ids", content);
	assert_int_equal(device_names_new(path, &fixture->names), 0);
}

static void end(struct fixture *fixture)
{
	fixture->names = device_names_free(fixture->names);
	fixture->folder = fake_sysfs_free(fixture->folder);
}

static void names_vendor_device_and_class(void **state)
{
	struct fixture fixture;

	begin(&fixture, ids);
	assert_true(device_names_vendor(fixture.names, &port, fixture.text, sizeof(fixture.text)));
	assert_string_equal(fixture.text, "Intel Corporation");
	assert_true(device_names_device(fixture.names, &port, fixture.text, sizeof(fixture.text)));
	assert_string_equal(fixture.text, "6th-10th Gen Core Processor PCIe Controller (x16)");
	assert_true(device_names_class(fixture.names, &port, fixture.text, sizeof(fixture.text)));
	assert_string_equal(fixture.text, "VGA compatible controller");
	end(&fixture);
}

static void has_no_name_for_what_is_unknown(void **state)
{
	const struct device_id other = { .vendor = 0x10de, .device = 0x1901 };
	struct fixture fixture;

	begin(&fixture, ids);
	assert_false(device_names_vendor(fixture.names, &unknown, fixture.text, sizeof(fixture.text)));
	assert_false(device_names_device(fixture.names, &unknown, fixture.text, sizeof(fixture.text)));
	assert_false(device_names_class(fixture.names, &unknown, fixture.text, sizeof(fixture.text)));
	assert_false(device_names_device(fixture.names, &other, fixture.text, sizeof(fixture.text)));
	assert_string_equal(fixture.text, "untouched");
	end(&fixture);
}

static void names_an_unknown_subclass_by_its_class(void **state)
{
	const struct device_id id = { .class = 0x03aa00 };
	struct fixture fixture;

	begin(&fixture, ids);
	assert_true(device_names_class(fixture.names, &id, fixture.text, sizeof(fixture.text)));
	assert_non_null(strstr(fixture.text, "Display controller"));
	end(&fixture);
}

static void cuts_a_name_to_its_buffer(void **state)
{
	struct fixture fixture;

	begin(&fixture, ids);
	assert_true(device_names_vendor(fixture.names, &port, fixture.text, 6));
	assert_string_equal(fixture.text, "Intel");
	end(&fixture);
}

static void without_a_file_nothing_has_a_name(void **state)
{
	struct fixture fixture;

	begin(&fixture, NULL);
	assert_false(device_names_vendor(fixture.names, &port, fixture.text, sizeof(fixture.text)));
	assert_false(device_names_class(fixture.names, &port, fixture.text, sizeof(fixture.text)));
	assert_string_equal(fixture.text, "untouched");
	end(&fixture);
}

/* libpci itself would end the process. */
static void a_broken_file_is_survived(void **state)
{
	struct fixture fixture;

	begin(&fixture, "8086  Intel Corporation\n\t\t\t\tzz what is this\nGARBAGE\n");
	assert_false(device_names_vendor(fixture.names, &port, fixture.text, sizeof(fixture.text)));
	assert_false(device_names_device(fixture.names, &port, fixture.text, sizeof(fixture.text)));
	assert_string_equal(fixture.text, "untouched");
	end(&fixture);
}

static void the_systems_file_is_used_when_none_is_named(void **state)
{
	struct device_names *names = NULL;
	char text[DEVICE_NAME_MAX];

	assert_int_equal(device_names_new(NULL, &names), 0);
	/* The system may have no pci.ids; where it has one, this vendor is in it. */
	if (device_names_vendor(names, &port, text, sizeof(text)))
		assert_non_null(strstr(text, "Intel"));
	else
		assert_false(device_names_class(names, &port, text, sizeof(text)));
	device_names_free(names);
}

static void creating_names_fails_cleanly(void **state)
{
	struct device_names *names = (struct device_names *)16;

	for (unsigned int n = 1; n <= 2; n++) {
		fail_alloc_begin(n);
		assert_int_equal(device_names_new("/nowhere", &names), -ENOMEM);
		assert_true(fail_alloc_end());
	}
	assert_ptr_equal(names, (struct device_names *)16);
	assert_null(device_names_free(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_vendor_device_and_class),
		cmocka_unit_test(has_no_name_for_what_is_unknown),
		cmocka_unit_test(names_an_unknown_subclass_by_its_class),
		cmocka_unit_test(cuts_a_name_to_its_buffer),
		cmocka_unit_test(without_a_file_nothing_has_a_name),
		cmocka_unit_test(a_broken_file_is_survived),
		cmocka_unit_test(the_systems_file_is_used_when_none_is_named),
		cmocka_unit_test(creating_names_fails_cleanly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
