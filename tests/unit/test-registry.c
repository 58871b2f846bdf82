/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the registry holds and reports while devices come, go and change. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "registry-fixture.h"
#include "util/fileio.h"

static void lists_are_in_order_of_address_and_id(void **state)
{
	static const char *const expected[] = { PORT, GRAPHICS, SOUND, DISK };
	struct registry_fixture *fixture = *state;
	const struct device *device;
	const struct group *group = registry_find_group(fixture->registry, 1);
	size_t i = 0;

	list_for_each(device, registry_devices(fixture->registry), link)
		assert_string_equal(device->id.address, expected[i++]);
	assert_int_equal(i, 4);
	i = 0;
	list_for_each(device, &group->devices, group_link)
		assert_string_equal(device->id.address, expected[i++]);
	assert_int_equal(i, 3);
	assert_int_equal(group->n_devices, 3);
	assert_int_equal(list_entry(registry_groups(fixture->registry)->next, struct group, link)->id, 1);
	assert_int_equal(list_entry(registry_groups(fixture->registry)->prev, struct group, link)->id, 12);
	assert_int_equal(fixture_count_groups(fixture->registry), 2);
}

static void finds_nothing_that_is_not_there(void **state)
{
	struct registry_fixture *fixture = *state;

	assert_null(registry_find_device(fixture->registry, "0000:01:00.2"));
	assert_null(registry_find_device(fixture->registry, ""));
	assert_null(registry_find_group(fixture->registry, 2));
	assert_null(registry_find_group(fixture->registry, UINT32_MAX));
}

static void first_scan_fills_and_reports_nothing(void **state)
{
	struct registry_fixture *fixture = *state;

	assert_int_equal(fixture->n_reports, 0);
	assert_int_equal(fixture_count_devices(fixture->registry), 4);
	assert_int_not_equal(registry_generation(fixture->registry), 0);
}

static void an_empty_tree_is_no_error(void **state)
{
	struct registry_fixture *fixture = *state;

	assert_int_equal(registry_scan(fixture->registry), 0);
	assert_int_equal(fixture_count_devices(fixture->registry), 0);
	assert_int_equal(fixture_count_groups(fixture->registry), 0);
}

static void a_scan_without_changes_reports_nothing_and_keeps_generations(void **state)
{
	struct registry_fixture *fixture = *state;
	uint64_t generation = registry_generation(fixture->registry);
	uint64_t of_group = registry_find_group(fixture->registry, 1)->generation;

	assert_int_equal(registry_scan(fixture->registry), 0);
	assert_int_equal(fixture->n_reports, 0);
	assert_int_equal(registry_generation(fixture->registry), generation);
	assert_int_equal(registry_find_group(fixture->registry, 1)->generation, of_group);
}

static void refresh_and_scan_report_a_bind(void **state)
{
	struct registry_fixture *fixture = *state;
	uint64_t generation = registry_find_group(fixture->registry, 1)->generation;
	uint64_t other = registry_find_group(fixture->registry, 12)->generation;

	fake_sysfs_set_driver(fixture->fake, SOUND, "vfio-pci");
	assert_int_equal(registry_refresh(fixture->registry, SOUND), 0);
	assert_string_equal(fixture_reported(fixture, 0, DEVICE_BOUND, SOUND)->former, "snd_hda_intel");
	assert_string_equal(fixture->reports[0].driver, "vfio-pci");
	assert_true(registry_find_group(fixture->registry, 1)->generation > generation);
	generation = registry_find_group(fixture->registry, 1)->generation;
	fake_sysfs_set_driver(fixture->fake, SOUND, NULL);
	assert_int_equal(registry_scan(fixture->registry), 0);
	assert_string_equal(fixture_reported(fixture, 1, DEVICE_UNBOUND, SOUND)->former, "vfio-pci");
	assert_string_equal(fixture->reports[1].driver, "");
	assert_int_equal(fixture->n_reports, 2);
	assert_true(registry_find_group(fixture->registry, 1)->generation > generation);
	assert_int_equal(registry_find_group(fixture->registry, 12)->generation, other);
}

static void an_attribute_changes_the_registry_but_not_the_group(void **state)
{
	struct registry_fixture *fixture = *state;
	uint64_t generation = registry_generation(fixture->registry);
	uint64_t of_group = registry_find_group(fixture->registry, 1)->generation;

	fake_sysfs_set_attribute(fixture->fake, SOUND, "numa_node", "1");
	assert_int_equal(registry_refresh(fixture->registry, SOUND), 0);
	fixture_reported(fixture, 0, DEVICE_CHANGED, SOUND);
	assert_int_equal(registry_find_device(fixture->registry, SOUND)->numa_node, 1);
	fake_sysfs_set_attribute(fixture->fake, SOUND, "numa_node", "-1");
	assert_int_equal(registry_scan(fixture->registry), 0);
	fixture_reported(fixture, 1, DEVICE_CHANGED, SOUND);
	assert_int_equal(registry_generation(fixture->registry), generation + 2);
	assert_int_equal(registry_find_group(fixture->registry, 1)->generation, of_group);
}

static void refresh_of_an_unchanged_device_reports_nothing(void **state)
{
	struct registry_fixture *fixture = *state;
	uint64_t generation = registry_generation(fixture->registry);

	assert_int_equal(registry_refresh(fixture->registry, SOUND), 0);
	assert_int_equal(fixture->n_reports, 0);
	assert_int_equal(registry_generation(fixture->registry), generation);
}

static void refresh_drops_a_device_that_is_gone(void **state)
{
	struct registry_fixture *fixture = *state;

	fake_sysfs_remove_device(fixture->fake, SOUND);
	assert_int_equal(registry_refresh(fixture->registry, SOUND), -ENOENT);
	assert_string_equal(fixture_reported(fixture, 0, DEVICE_REMOVED, SOUND)->driver, "snd_hda_intel");
	assert_int_equal(fixture->reports[0].members, 2);
	assert_null(registry_find_device(fixture->registry, SOUND));
	assert_int_equal(registry_find_group(fixture->registry, 1)->n_devices, 2);
	assert_int_equal(registry_refresh(fixture->registry, SOUND), -ENOENT);
	assert_int_equal(fixture->n_reports, 1);
}

static void a_group_goes_with_its_last_device(void **state)
{
	struct registry_fixture *fixture = *state;

	fake_sysfs_remove_device(fixture->fake, DISK);
	assert_int_equal(registry_refresh(fixture->registry, DISK), -ENOENT);
	fixture_reported(fixture, 0, DEVICE_REMOVED, DISK);
	assert_int_equal(fixture->reports[0].group, 12);
	assert_int_equal(fixture->reports[0].members, 0);
	assert_null(registry_find_group(fixture->registry, 12));
	assert_int_equal(fixture_count_groups(fixture->registry), 1);
}

static void refresh_adds_a_device_that_is_new(void **state)
{
	const struct fake_device function = { .address = "0000:01:00.2", .group = 1, .driver = "xhci_hcd" };
	const struct fake_device lonely = { .address = "0000:00:00.5", .group = 5 };
	struct registry_fixture *fixture = *state;

	fake_sysfs_add_device(fixture->fake, &function);
	fake_sysfs_add_device(fixture->fake, &lonely);
	assert_int_equal(registry_refresh(fixture->registry, function.address), 0);
	assert_int_equal(registry_refresh(fixture->registry, lonely.address), 0);
	assert_int_equal(fixture_reported(fixture, 0, DEVICE_ADDED, function.address)->members, 4);
	assert_int_equal(fixture_reported(fixture, 1, DEVICE_ADDED, lonely.address)->members, 1);
	assert_int_equal(registry_find_group(fixture->registry, 5)->n_regions, 1);
	assert_string_equal(list_entry(registry_devices(fixture->registry)->next, struct device, link)->id.address,
			    lonely.address);
	assert_int_equal(fixture_count_devices(fixture->registry), 6);
}

static void a_new_member_brings_its_regions_into_the_group(void **state)
{
	const struct fake_device function = { .address = "0000:01:00.2", .group = 1 };
	struct registry_fixture *fixture = *state;

	fake_sysfs_add_device(fixture->fake, &function);
	fake_sysfs_add_group(fixture->fake, 1, "DMA\n", "0x1000 0x1fff direct\n0xfee00000 0xfeefffff msi\n");
	assert_int_equal(registry_refresh(fixture->registry, function.address), 0);
	assert_int_equal(registry_find_group(fixture->registry, 1)->n_regions, 2);
	assert_string_equal(registry_find_group(fixture->registry, 1)->regions[0].type, "direct");
}

static void another_device_at_the_same_address_is_removed_and_added(void **state)
{
	struct fake_device other = fixture_disk;
	struct registry_fixture *fixture = *state;

	other.device = 0xa80a;
	fake_sysfs_remove_device(fixture->fake, DISK);
	fake_sysfs_add_device(fixture->fake, &other);
	assert_int_equal(registry_refresh(fixture->registry, DISK), 0);
	fixture_reported(fixture, 0, DEVICE_REMOVED, DISK);
	fixture_reported(fixture, 1, DEVICE_ADDED, DISK);
	assert_int_equal(registry_find_device(fixture->registry, DISK)->id.device, 0xa80a);
	other.device = 0xa80b;
	fake_sysfs_remove_device(fixture->fake, DISK);
	fake_sysfs_add_device(fixture->fake, &other);
	assert_int_equal(registry_scan(fixture->registry), 0);
	fixture_reported(fixture, 2, DEVICE_REMOVED, DISK);
	fixture_reported(fixture, 3, DEVICE_ADDED, DISK);
	assert_int_equal(fixture->n_reports, 4);
}

/* The same card, pulled and plugged again between two looks: what was said of it is no longer true. */
static void a_device_that_came_back_is_removed_and_added(void **state)
{
	struct registry_fixture *fixture = *state;

	fake_sysfs_remove_device(fixture->fake, DISK);
	fake_sysfs_add_device(fixture->fake, &fixture_disk);
	assert_int_equal(registry_refresh(fixture->registry, DISK), 0);
	fixture_reported(fixture, 0, DEVICE_REMOVED, DISK);
	fixture_reported(fixture, 1, DEVICE_ADDED, DISK);
	fake_sysfs_remove_device(fixture->fake, DISK);
	fake_sysfs_add_device(fixture->fake, &fixture_disk);
	assert_int_equal(registry_scan(fixture->registry), 0);
	fixture_reported(fixture, 2, DEVICE_REMOVED, DISK);
	fixture_reported(fixture, 3, DEVICE_ADDED, DISK);
	assert_int_equal(fixture->n_reports, 4);
}

static void a_device_in_another_group_is_removed_and_added(void **state)
{
	struct registry_fixture *fixture = *state;

	fake_sysfs_set_group(fixture->fake, SOUND, 12);
	assert_int_equal(registry_refresh(fixture->registry, SOUND), 0);
	assert_int_equal(fixture_reported(fixture, 0, DEVICE_REMOVED, SOUND)->group, 1);
	assert_int_equal(fixture->reports[0].members, 2);
	assert_int_equal(fixture_reported(fixture, 1, DEVICE_ADDED, SOUND)->group, 12);
	assert_int_equal(fixture->reports[1].members, 2);
	fake_sysfs_set_group(fixture->fake, SOUND, 1);
	assert_int_equal(registry_scan(fixture->registry), 0);
	assert_int_equal(fixture_reported(fixture, 2, DEVICE_REMOVED, SOUND)->group, 12);
	assert_int_equal(fixture->reports[2].members, 1);
	assert_int_equal(fixture_reported(fixture, 3, DEVICE_ADDED, SOUND)->group, 1);
	assert_int_equal(fixture->reports[3].members, 3);
}

static void a_whole_group_with_a_new_number_leaves_an_empty_one_behind(void **state)
{
	static const char *const members[] = { PORT, GRAPHICS, SOUND };
	struct registry_fixture *fixture = *state;

	for (size_t i = 0; i < 3; i++)
		fake_sysfs_set_group(fixture->fake, members[i], 2);
	assert_int_equal(registry_scan(fixture->registry), 0);
	assert_int_equal(fixture->n_reports, 6);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(fixture_reported(fixture, 2 * i, DEVICE_REMOVED, members[i])->members, 0);
		assert_int_equal(fixture_reported(fixture, 2 * i + 1, DEVICE_ADDED, members[i])->members, 3);
	}
	assert_null(registry_find_group(fixture->registry, 1));
}

static void a_device_whose_group_went_is_dropped(void **state)
{
	struct registry_fixture *fixture = *state;

	fake_sysfs_set_group(fixture->fake, DISK, FAKE_NO_GROUP);
	assert_int_equal(registry_refresh(fixture->registry, DISK), -ENOENT);
	fixture_reported(fixture, 0, DEVICE_REMOVED, DISK);
}

static void a_reused_group_number_gets_a_new_generation(void **state)
{
	struct registry_fixture *fixture = *state;
	uint64_t generation = registry_find_group(fixture->registry, 12)->generation;

	fake_sysfs_remove_device(fixture->fake, DISK);
	assert_int_equal(registry_scan(fixture->registry), 0);
	fake_sysfs_add_device(fixture->fake, &fixture_disk);
	assert_int_equal(registry_scan(fixture->registry), 0);
	assert_true(registry_find_group(fixture->registry, 12)->generation > generation);
}

static void a_scan_reports_all_differences_at_once(void **state)
{
	const struct fake_device added = { .address = "0000:00:02.0", .group = 20 };
	struct registry_fixture *fixture = *state;

	fake_sysfs_add_device(fixture->fake, &added);
	fake_sysfs_set_driver(fixture->fake, GRAPHICS, "vfio-pci");
	fake_sysfs_set_driver(fixture->fake, PORT, NULL);
	fake_sysfs_set_attribute(fixture->fake, SOUND, "numa_node", "0");
	fake_sysfs_remove_device(fixture->fake, DISK);
	assert_int_equal(registry_scan(fixture->registry), 0);
	assert_int_equal(fixture->n_reports, 5);
	fixture_reported(fixture, 0, DEVICE_UNBOUND, PORT);
	fixture_reported(fixture, 1, DEVICE_ADDED, added.address);
	fixture_reported(fixture, 2, DEVICE_BOUND, GRAPHICS);
	fixture_reported(fixture, 3, DEVICE_CHANGED, SOUND);
	fixture_reported(fixture, 4, DEVICE_REMOVED, DISK);
}

static void without_a_listener_changes_are_still_taken_over(void **state)
{
	struct registry_fixture *fixture = *state;

	registry_set_listener(fixture->registry, NULL, NULL);
	fake_sysfs_remove_device(fixture->fake, DISK);
	fake_sysfs_set_driver(fixture->fake, SOUND, NULL);
	assert_int_equal(registry_scan(fixture->registry), 0);
	assert_int_equal(registry_refresh(fixture->registry, DISK), -ENOENT);
	assert_string_equal(registry_find_device(fixture->registry, SOUND)->driver, "");
	assert_int_equal(fixture->n_reports, 0);
}

static void opens_the_folder_of_a_device(void **state)
{
	struct registry_fixture *fixture = *state;
	const struct device *device = registry_find_device(fixture->registry, SOUND);
	int fd = registry_open_device(fixture->registry, device);
	char text[16];

	assert_true(fd >= 0);
	assert_int_equal(read_file_at(fd, "vendor", text, sizeof(text)), 0);
	assert_string_equal(text, "0x10de");
	close(fd);
	fake_sysfs_remove_device(fixture->fake, SOUND);
	assert_int_equal(registry_open_device(fixture->registry, device), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_TREE(lists_are_in_order_of_address_and_id),
		WITH_TREE(finds_nothing_that_is_not_there),
		WITH_TREE(first_scan_fills_and_reports_nothing),
		cmocka_unit_test_setup_teardown(an_empty_tree_is_no_error, fixture_setup_empty, fixture_teardown),
		WITH_TREE(a_scan_without_changes_reports_nothing_and_keeps_generations),
		WITH_TREE(refresh_and_scan_report_a_bind),
		WITH_TREE(an_attribute_changes_the_registry_but_not_the_group),
		WITH_TREE(refresh_of_an_unchanged_device_reports_nothing),
		WITH_TREE(refresh_drops_a_device_that_is_gone),
		WITH_TREE(a_group_goes_with_its_last_device),
		WITH_TREE(refresh_adds_a_device_that_is_new),
		WITH_TREE(a_new_member_brings_its_regions_into_the_group),
		WITH_TREE(another_device_at_the_same_address_is_removed_and_added),
		WITH_TREE(a_device_that_came_back_is_removed_and_added),
		WITH_TREE(a_device_in_another_group_is_removed_and_added),
		WITH_TREE(a_whole_group_with_a_new_number_leaves_an_empty_one_behind),
		WITH_TREE(a_device_whose_group_went_is_dropped),
		WITH_TREE(a_reused_group_number_gets_a_new_generation),
		WITH_TREE(a_scan_reports_all_differences_at_once),
		WITH_TREE(without_a_listener_changes_are_still_taken_over),
		WITH_TREE(opens_the_folder_of_a_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
