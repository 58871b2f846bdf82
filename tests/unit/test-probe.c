/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is read of devices and groups, on a tree of plain files laid out like sysfs. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "registry-fixture.h"

static void scan_reads_every_attribute_of_a_device(void **state)
{
	struct registry_fixture *fixture = *state;
	const struct device *device = registry_find_device(fixture->registry, GRAPHICS);

	assert_non_null(device);
	assert_string_equal(device->id.address, GRAPHICS);
	assert_string_equal(device->bus, "pci");
	assert_int_equal(device->id.vendor, 0x10de);
	assert_int_equal(device->id.device, 0x1c82);
	assert_int_equal(device->id.subsystem_vendor, 0x1458);
	assert_int_equal(device->id.subsystem_device, 0x3765);
	assert_int_equal(device->id.class, 0x030000);
	assert_string_equal(device->driver, "nouveau");
	assert_string_equal(device->physical_function, "");
	assert_int_equal(device->numa_node, 1);
	assert_int_equal(device->reset_methods, RESET_FLR | RESET_PM | RESET_BUS);
	assert_false(device->bridge);
	assert_false(device->boot_display);
	assert_int_equal(device->group->id, 1);
}

static void scan_tells_what_is_absent(void **state)
{
	struct registry_fixture *fixture = *state;
	const struct device *device = registry_find_device(fixture->registry, DISK);

	assert_string_equal(device->driver, "");
	assert_int_equal(device->numa_node, -1);
	assert_int_equal(device->reset_methods, 0);
	assert_true(registry_find_device(fixture->registry, PORT)->bridge);
}

static void leaves_out_devices_without_a_group(void **state)
{
	const struct fake_device alone = { .address = "0000:00:1f.0", .group = FAKE_NO_GROUP };
	struct registry_fixture *fixture = *state;

	fake_sysfs_add_device(fixture->fake, &alone);
	assert_int_equal(registry_scan(fixture->registry), 0);
	assert_null(registry_find_device(fixture->registry, alone.address));
	assert_int_equal(registry_refresh(fixture->registry, alone.address), -ENOENT);
	assert_int_equal(fixture->n_reports, 0);
}

static void reads_other_buses_than_pci(void **state)
{
	const struct fake_device ethernet = {
		.address = "fff51000.ethernet", .bus = "platform", .group = 3, .driver = "vfio-platform"
	};
	const struct fake_device mdev = { .address = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001",
					  .bus = "mdev",
					  .parent = "pci0000:00/" PORT,
					  .group = 4,
					  .driver = "vfio_mdev" };
	struct registry_fixture *fixture = *state;

	fake_sysfs_add_device(fixture->fake, &ethernet);
	fake_sysfs_add_device(fixture->fake, &mdev);
	assert_int_equal(registry_scan(fixture->registry), 0);
	assert_string_equal(registry_find_device(fixture->registry, ethernet.address)->bus, "platform");
	assert_string_equal(registry_find_device(fixture->registry, ethernet.address)->driver, "vfio-platform");
	assert_int_equal(registry_find_device(fixture->registry, mdev.address)->group->id, 4);
	fake_sysfs_set_driver(fixture->fake, ethernet.address, NULL);
	assert_int_equal(registry_refresh(fixture->registry, ethernet.address), 0);
	assert_string_equal(registry_find_device(fixture->registry, ethernet.address)->driver, "");
}

static void of_one_address_on_two_buses_the_pci_device_counts(void **state)
{
	const struct fake_device twin = {
		.address = DISK, .bus = "platform", .group = 40, .driver_override = fixture_disk.driver_override
	};
	struct registry_fixture *fixture = *state;

	fake_sysfs_add_device(fixture->fake, &twin);
	assert_int_equal(registry_scan(fixture->registry), 0);
	assert_int_equal(registry_refresh(fixture->registry, DISK), 0);
	assert_int_equal(fixture->n_reports, 0);
	assert_string_equal(registry_find_device(fixture->registry, DISK)->bus, "pci");
}

static void reads_a_virtual_function_and_its_parent(void **state)
{
	const struct fake_device function = { .address = "0000:02:00.1", .group = 13, .physfn = DISK };
	struct registry_fixture *fixture = *state;

	fake_sysfs_add_device(fixture->fake, &function);
	assert_int_equal(registry_scan(fixture->registry), 0);
	assert_string_equal(registry_find_device(fixture->registry, function.address)->physical_function, DISK);
}

static void assert_max_virtual_functions(struct registry_fixture *fixture, const char *text, unsigned int expected)
{
	fake_sysfs_set_attribute(fixture->fake, DISK, "sriov_totalvfs", text);
	assert_int_equal(registry_refresh(fixture->registry, DISK), 0);
	assert_int_equal(registry_find_device(fixture->registry, DISK)->max_virtual_functions, expected);
}

static void reads_how_many_virtual_functions_there_can_be(void **state)
{
	struct registry_fixture *fixture = *state;

	assert_max_virtual_functions(fixture, NULL, 0);
	assert_int_equal(fixture->n_reports, 0);
	assert_max_virtual_functions(fixture, "8", 8);
	assert_int_equal(fixture->n_reports, 1);
	assert_max_virtual_functions(fixture, "65535", 65535);
	/* What is no number of them is none. */
	assert_max_virtual_functions(fixture, "65536", 0);
	assert_max_virtual_functions(fixture, "8 or so", 0);
	assert_max_virtual_functions(fixture, "", 0);
}

static void knows_every_reset_method_by_name(void **state)
{
	struct registry_fixture *fixture = *state;
	char text[128] = "";
	unsigned int all = 0;

	for (unsigned int bit = RESET_DEVICE_SPECIFIC; bit <= RESET_CXL_BUS; bit <<= 1) {
		assert_non_null(reset_method_name(bit));
		strcat(text, reset_method_name(bit));
		strcat(text, " ");
		all |= bit;
	}
	assert_null(reset_method_name(RESET_CXL_BUS << 1));
	assert_null(reset_method_name(RESET_FLR | RESET_PM));
	strcat(text, "some_future_method");
	fake_sysfs_set_attribute(fixture->fake, DISK, "reset_method", text);
	assert_int_equal(registry_refresh(fixture->registry, DISK), 0);
	assert_int_equal(registry_find_device(fixture->registry, DISK)->reset_methods, all);
}

static void survives_strange_attributes(void **state)
{
	struct registry_fixture *fixture = *state;
	char name[300];
	struct device *device;

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	fake_sysfs_set_attribute(fixture->fake, DISK, "numa_node", "12abc");
	fake_sysfs_set_attribute(fixture->fake, DISK, "reset_method", name);
	assert_int_equal(registry_scan(fixture->registry), 0);
	device = registry_find_device(fixture->registry, DISK);
	assert_int_equal(device->numa_node, -1);
	assert_int_equal(device->reset_methods, 0);
}

static void cuts_a_driver_name_that_is_too_long(void **state)
{
	char name[] = "a_driver_with_a_name_that_nobody_expects_vfio_pci";
	struct registry_fixture *fixture = *state;

	fake_sysfs_set_driver(fixture->fake, DISK, name);
	assert_int_equal(registry_scan(fixture->registry), 0);
	name[DEVICE_DRIVER_MAX - 1] = '\0';
	assert_string_equal(registry_find_device(fixture->registry, DISK)->driver, name);
}

/* ---- groups ---- */

static void reads_reserved_regions(void **state)
{
	struct registry_fixture *fixture = *state;
	const struct group *group;

	fake_sysfs_add_group(fixture->fake, 12, "DMA\n",
			     "0x000000007d000000 0x000000007f7fffff direct\n"
			     "0x00000000fee00000 0x00000000feefffff msi\n"
			     "0x000000fd00000000 0xffffffffffffffff reserved\n");
	assert_int_equal(registry_scan(fixture->registry), 0);
	group = registry_find_group(fixture->registry, 12);
	assert_int_equal(group->n_regions, 3);
	assert_int_equal(group->regions[0].start, 0x7d000000);
	assert_int_equal(group->regions[0].end, 0x7f7fffff);
	assert_string_equal(group->regions[0].type, "direct");
	assert_string_equal(group->regions[2].type, "reserved");
	assert_true(group->regions[2].end == UINT64_MAX);
	fixture_reported(fixture, 0, DEVICE_CHANGED, DISK);
	assert_int_equal(fixture->n_reports, 1);
}

static void a_region_that_is_not_understood_is_a_fault(void **state)
{
	static const char *const texts[] = { "0x1000 direct\n",         "0x1000 0x1fff\n",
					     "0x1000 0x1fff \n",        "x y z\n",
					     "0x 0x1fff direct\n",      "0x1000 0x11111111111111111 direct\n",
					     "0x1000 0x1fffg direct\n", "0x1000 0x1fff a-type-of-too-many-letters\n" };
	struct registry_fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		fake_sysfs_add_group(fixture->fake, 12, "DMA\n", texts[i]);
		assert_int_equal(registry_scan(fixture->registry), -EBADMSG);
		assert_int_equal(registry_find_group(fixture->registry, 12)->n_regions, 1);
	}
	assert_int_equal(fixture->n_reports, 0);
}

static void a_group_without_regions_has_none(void **state)
{
	struct registry_fixture *fixture = *state;

	fake_sysfs_add_group(fixture->fake, 12, "DMA\n", "");
	assert_int_equal(registry_scan(fixture->registry), 0);
	assert_int_equal(registry_find_group(fixture->registry, 12)->n_regions, 0);
	assert_null(registry_find_group(fixture->registry, 12)->regions);
}

static void tells_no_iommu_groups_from_those_of_mdevs(void **state)
{
	const struct fake_device mdev = { .address = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001",
					  .bus = "mdev",
					  .group = 13 };
	struct registry_fixture *fixture = *state;

	fake_sysfs_add_device(fixture->fake, &mdev);
	fake_sysfs_set_group_name(fixture->fake, 13, "vfio-noiommu");
	fake_sysfs_set_group_name(fixture->fake, 12, "vfio-noiommu");
	fake_sysfs_set_group_name(fixture->fake, 1, "another name");
	assert_int_equal(registry_scan(fixture->registry), 0);
	assert_true(registry_find_group(fixture->registry, 12)->no_iommu);
	assert_false(registry_find_group(fixture->registry, 13)->no_iommu);
	assert_false(registry_find_group(fixture->registry, 1)->no_iommu);
}

static enum msi_isolation isolation_behind(struct registry_fixture *fixture, const char *iommu)
{
	struct fake_device device = { .address = "0000:03:00.0", .group = 30, .iommu = iommu };

	fake_sysfs_remove_device(fixture->fake, device.address);
	fake_sysfs_add_device(fixture->fake, &device);
	assert_int_equal(registry_scan(fixture->registry), 0);
	return registry_find_group(fixture->registry, 30)->msi;
}

static void interrupts_are_isolated_when_every_intel_iommu_can(void **state)
{
	struct registry_fixture *fixture = *state;

	fake_sysfs_add_iommu(fixture->fake, "dmar0", "f020de");
	fake_sysfs_add_iommu(fixture->fake, "dmar1", "8");
	assert_int_equal(isolation_behind(fixture, "dmar0"), MSI_ISOLATED);
}

static void interrupts_are_not_isolated_when_one_intel_iommu_can_not(void **state)
{
	struct registry_fixture *fixture = *state;

	fake_sysfs_add_iommu(fixture->fake, "dmar0", "f020de");
	fake_sysfs_add_iommu(fixture->fake, "dmar1", "f020d6");
	assert_int_equal(isolation_behind(fixture, "dmar0"), MSI_NOT_ISOLATED);
	assert_int_equal(isolation_behind(fixture, "dmar1"), MSI_NOT_ISOLATED);
}

static void isolation_is_unknown_where_sysfs_does_not_tell(void **state)
{
	struct registry_fixture *fixture = *state;

	fake_sysfs_add_iommu(fixture->fake, "ivhd0", NULL);
	assert_int_equal(isolation_behind(fixture, "ivhd0"), MSI_ISOLATION_UNKNOWN);
	assert_int_equal(isolation_behind(fixture, NULL), MSI_ISOLATION_UNKNOWN);
	fake_sysfs_add_iommu(fixture->fake, "dmar0", "f020de");
	assert_int_equal(isolation_behind(fixture, "ivhd0"), MSI_ISOLATION_UNKNOWN);
	assert_int_equal(isolation_behind(fixture, NULL), MSI_ISOLATION_UNKNOWN);
	fake_sysfs_add_iommu(fixture->fake, "dmar1", NULL);
	assert_int_equal(isolation_behind(fixture, "dmar0"), MSI_ISOLATION_UNKNOWN);
	fake_sysfs_add_iommu(fixture->fake, "dmar1", "what?");
	assert_int_equal(isolation_behind(fixture, "dmar0"), MSI_ISOLATION_UNKNOWN);
}

static void unsafe_interrupts_are_allowed_when_each_loaded_module_allows_them(void **state)
{
	static const char type1[] = "module/vfio_iommu_type1/parameters/allow_unsafe_interrupts";
	static const char iommufd[] = "module/iommufd/parameters/allow_unsafe_interrupts";
	struct registry_fixture *fixture = *state;

	assert_false(registry_unsafe_interrupts_allowed(fixture->registry));
	fake_sysfs_write(fixture->fake, type1, "N\n");
	assert_false(registry_unsafe_interrupts_allowed(fixture->registry));
	fake_sysfs_write(fixture->fake, type1, "Y\n");
	assert_true(registry_unsafe_interrupts_allowed(fixture->registry));
	fake_sysfs_write(fixture->fake, iommufd, "N\n");
	assert_false(registry_unsafe_interrupts_allowed(fixture->registry));
	fake_sysfs_write(fixture->fake, iommufd, "Y\n");
	assert_true(registry_unsafe_interrupts_allowed(fixture->registry));
	fake_sysfs_write(fixture->fake, type1, "N\n");
	assert_false(registry_unsafe_interrupts_allowed(fixture->registry));
}

/* ---- the boot display ---- */

static enum display_holder display_holder(struct registry_fixture *fixture)
{
	assert_int_equal(registry_refresh(fixture->registry, GRAPHICS), 0);
	return registry_find_device(fixture->registry, GRAPHICS)->boot_display;
}

static bool display_in_use(struct registry_fixture *fixture)
{
	return display_holder(fixture) != DISPLAY_FREE;
}

static void a_boot_display_is_in_use_when_a_native_driver_shows_something(void **state)
{
	struct registry_fixture *fixture = *state;

	fake_sysfs_set_attribute(fixture->fake, GRAPHICS, "boot_vga", "1");
	assert_false(display_in_use(fixture));
	fake_sysfs_set_attribute(fixture->fake, GRAPHICS, "drm/card0/dev", "226:0");
	assert_int_equal(display_holder(fixture), DISPLAY_DRIVER);
	fixture_reported(fixture, 0, DEVICE_CHANGED, GRAPHICS);
	fake_sysfs_set_driver(fixture->fake, GRAPHICS, "vfio-pci");
	assert_false(display_in_use(fixture));
	fake_sysfs_set_driver(fixture->fake, GRAPHICS, NULL);
	assert_false(display_in_use(fixture));
}

static void a_framebuffer_child_counts_as_a_drm_child(void **state)
{
	struct registry_fixture *fixture = *state;

	fake_sysfs_set_attribute(fixture->fake, GRAPHICS, "boot_vga", "1");
	fake_sysfs_set_attribute(fixture->fake, GRAPHICS, "graphics/fb0/dev", "29:0");
	assert_true(display_in_use(fixture));
	fake_sysfs_set_attribute(fixture->fake, GRAPHICS, "boot_vga", "0");
	assert_false(display_in_use(fixture));
}

static void a_boot_display_is_in_use_by_a_bound_firmware_framebuffer(void **state)
{
	struct fake_device framebuffer = { .address = "efi-framebuffer.0", .bus = "platform", .group = FAKE_NO_GROUP };
	struct registry_fixture *fixture = *state;

	fake_sysfs_set_attribute(fixture->fake, GRAPHICS, "boot_vga", "1");
	fake_sysfs_add_device(fixture->fake, &framebuffer);
	assert_false(display_in_use(fixture));
	fake_sysfs_set_driver(fixture->fake, framebuffer.address, "efi-framebuffer");
	assert_int_equal(display_holder(fixture), DISPLAY_EFI);
	fake_sysfs_set_driver(fixture->fake, GRAPHICS, "vfio-pci");
	assert_true(display_in_use(fixture));
	fake_sysfs_set_attribute(fixture->fake, GRAPHICS, "boot_vga", "0");
	assert_false(display_in_use(fixture));
}

static void a_firmware_framebuffer_below_a_display_is_its_own(void **state)
{
	struct fake_device framebuffer = { .address = "simple-framebuffer.0",
					   .bus = "platform",
					   .parent = "pci0000:00/" PORT "/" GRAPHICS,
					   .group = FAKE_NO_GROUP,
					   .driver = "simple-framebuffer" };
	struct registry_fixture *fixture = *state;

	fake_sysfs_add_device(fixture->fake, &framebuffer);
	assert_int_equal(display_holder(fixture), DISPLAY_SIMPLE);
	assert_false(registry_find_device(fixture->registry, SOUND)->boot_display);
	fake_sysfs_remove_device(fixture->fake, framebuffer.address);
	assert_false(display_in_use(fixture));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_TREE(scan_reads_every_attribute_of_a_device),
		WITH_TREE(scan_tells_what_is_absent),
		WITH_TREE(leaves_out_devices_without_a_group),
		WITH_TREE(reads_other_buses_than_pci),
		WITH_TREE(of_one_address_on_two_buses_the_pci_device_counts),
		WITH_TREE(reads_a_virtual_function_and_its_parent),
		WITH_TREE(reads_how_many_virtual_functions_there_can_be),
		WITH_TREE(knows_every_reset_method_by_name),
		WITH_TREE(survives_strange_attributes),
		WITH_TREE(cuts_a_driver_name_that_is_too_long),
		WITH_TREE(reads_reserved_regions),
		WITH_TREE(a_region_that_is_not_understood_is_a_fault),
		WITH_TREE(a_group_without_regions_has_none),
		WITH_TREE(tells_no_iommu_groups_from_those_of_mdevs),
		WITH_TREE(interrupts_are_isolated_when_every_intel_iommu_can),
		WITH_TREE(interrupts_are_not_isolated_when_one_intel_iommu_can_not),
		WITH_TREE(isolation_is_unknown_where_sysfs_does_not_tell),
		WITH_TREE(unsafe_interrupts_are_allowed_when_each_loaded_module_allows_them),
		WITH_TREE(a_boot_display_is_in_use_when_a_native_driver_shows_something),
		WITH_TREE(a_framebuffer_child_counts_as_a_drm_child),
		WITH_TREE(a_boot_display_is_in_use_by_a_bound_firmware_framebuffer),
		WITH_TREE(a_firmware_framebuffer_below_a_display_is_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
