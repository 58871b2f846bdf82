/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The registry and all that it reads, on a tree of plain files laid out like sysfs. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "fail-alloc.h"
#include "fake-sysfs.h"
#include "topology/registry.h"
#include "util/fileio.h"

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

struct fixture {
	struct fake_sysfs *fake;
	struct registry *registry;
	struct report reports[REPORTS_MAX];
	size_t n_reports;
};

static const struct fake_device port = {
	.address = PORT, .vendor = 0x8086, .device = 0x1901, .class = 0x060400, .group = 1, .driver = "pcieport"
};
static const struct fake_device graphics = { .address = GRAPHICS,
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
static const struct fake_device sound = { .address = SOUND,
					  .parent = "pci0000:00/" PORT,
					  .vendor = 0x10de,
					  .device = 0x0fb9,
					  .class = 0x040300,
					  .group = 1,
					  .driver = "snd_hda_intel" };
static const struct fake_device disk = { .address = DISK,
					 .vendor = 0x144d,
					 .device = 0xa808,
					 .class = 0x010802,
					 .group = 12,
					 .driver_override = "vfio-pci" };

static void note(void *userdata, enum registry_change change, const struct device *device, const char *former)
{
	struct fixture *fixture = userdata;
	struct report *report = &fixture->reports[fixture->n_reports++];
	struct device *member;

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

static int setup_empty(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	fixture->fake = fake_sysfs_new();
	if (registry_new(fake_sysfs_fd(fixture->fake), &fixture->registry) < 0)
		return -1;
	registry_set_listener(fixture->registry, note, fixture);
	*state = fixture;
	return 0;
}

static int setup(void **state)
{
	struct fixture *fixture;

	if (setup_empty(state) < 0)
		return -1;
	fixture = *state;
	fake_sysfs_add_device(fixture->fake, &port);
	fake_sysfs_add_device(fixture->fake, &sound);
	fake_sysfs_add_device(fixture->fake, &graphics);
	fake_sysfs_add_device(fixture->fake, &disk);
	return registry_scan(fixture->registry);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	fixture->registry = registry_free(fixture->registry);
	fixture->fake = fake_sysfs_free(fixture->fake);
	free(fixture);
	return 0;
}

static size_t count_devices(struct registry *registry)
{
	const struct device *device;
	size_t n = 0;

	list_for_each(device, registry_devices(registry), link)
		n++;
	return n;
}

static size_t count_groups(struct registry *registry)
{
	const struct group *group;
	size_t n = 0;

	list_for_each(group, registry_groups(registry), link)
		n++;
	return n;
}

static const struct report *reported(const struct fixture *fixture, size_t i, enum registry_change change,
				     const char *address)
{
	const struct report *report = &fixture->reports[i];

	assert_in_range(i + 1, 1, fixture->n_reports);
	assert_string_equal(report->address, address);
	assert_int_equal(report->change, change);
	assert_int_equal(report->known, change != DEVICE_REMOVED);
	return report;
}

static void scan_reads_every_attribute_of_a_device(void **state)
{
	struct fixture *fixture = *state;
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
	assert_string_equal(device->driver_override, "");
	assert_string_equal(device->physical_function, "");
	assert_int_equal(device->numa_node, 1);
	assert_int_equal(device->reset_methods, RESET_FLR | RESET_PM | RESET_BUS);
	assert_false(device->bridge);
	assert_false(device->boot_display);
	assert_int_equal(device->group->id, 1);
}

static void scan_tells_what_is_absent(void **state)
{
	struct fixture *fixture = *state;
	const struct device *device = registry_find_device(fixture->registry, DISK);

	assert_string_equal(device->driver, "");
	assert_string_equal(device->driver_override, "vfio-pci");
	assert_int_equal(device->numa_node, -1);
	assert_int_equal(device->reset_methods, 0);
	assert_true(registry_find_device(fixture->registry, PORT)->bridge);
}

static void lists_are_in_order_of_address_and_id(void **state)
{
	static const char *const expected[] = { PORT, GRAPHICS, SOUND, DISK };
	struct fixture *fixture = *state;
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
	assert_int_equal(count_groups(fixture->registry), 2);
}

static void finds_nothing_that_is_not_there(void **state)
{
	struct fixture *fixture = *state;

	assert_null(registry_find_device(fixture->registry, "0000:01:00.2"));
	assert_null(registry_find_device(fixture->registry, ""));
	assert_null(registry_find_group(fixture->registry, 2));
	assert_null(registry_find_group(fixture->registry, UINT32_MAX));
}

static void first_scan_fills_and_reports_nothing(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(fixture->n_reports, 0);
	assert_int_equal(count_devices(fixture->registry), 4);
	assert_int_not_equal(registry_generation(fixture->registry), 0);
}

static void an_empty_tree_is_no_error(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(registry_scan(fixture->registry), 0);
	assert_int_equal(count_devices(fixture->registry), 0);
	assert_int_equal(count_groups(fixture->registry), 0);
}

static void a_scan_without_changes_reports_nothing_and_keeps_generations(void **state)
{
	struct fixture *fixture = *state;
	uint64_t generation = registry_generation(fixture->registry);
	uint64_t of_group = registry_find_group(fixture->registry, 1)->generation;

	assert_int_equal(registry_scan(fixture->registry), 0);
	assert_int_equal(fixture->n_reports, 0);
	assert_int_equal(registry_generation(fixture->registry), generation);
	assert_int_equal(registry_find_group(fixture->registry, 1)->generation, of_group);
}

static void leaves_out_devices_without_a_group(void **state)
{
	const struct fake_device alone = { .address = "0000:00:1f.0", .group = FAKE_NO_GROUP };
	struct fixture *fixture = *state;

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
	struct fixture *fixture = *state;

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
		.address = DISK, .bus = "platform", .group = 40, .driver_override = disk.driver_override
	};
	struct fixture *fixture = *state;

	fake_sysfs_add_device(fixture->fake, &twin);
	assert_int_equal(registry_scan(fixture->registry), 0);
	assert_int_equal(registry_refresh(fixture->registry, DISK), 0);
	assert_int_equal(fixture->n_reports, 0);
	assert_string_equal(registry_find_device(fixture->registry, DISK)->bus, "pci");
}

static void reads_a_virtual_function_and_its_parent(void **state)
{
	const struct fake_device function = { .address = "0000:02:00.1", .group = 13, .physfn = DISK };
	struct fixture *fixture = *state;

	fake_sysfs_add_device(fixture->fake, &function);
	assert_int_equal(registry_scan(fixture->registry), 0);
	assert_string_equal(registry_find_device(fixture->registry, function.address)->physical_function, DISK);
}

static void knows_every_reset_method_by_name(void **state)
{
	struct fixture *fixture = *state;
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
	struct fixture *fixture = *state;
	char name[300];
	struct device *device;

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	fake_sysfs_set_attribute(fixture->fake, DISK, "numa_node", "12abc");
	fake_sysfs_set_attribute(fixture->fake, DISK, "driver_override", name);
	fake_sysfs_set_attribute(fixture->fake, DISK, "uevent", "PCI_ID=zz\nDRIVER\nPCI_CLASS=\n=\nPCI_SUBSYS_ID=1\n");
	assert_int_equal(registry_scan(fixture->registry), 0);
	device = registry_find_device(fixture->registry, DISK);
	assert_int_equal(device->numa_node, -1);
	assert_string_equal(device->driver_override, "");
	assert_int_equal(device->id.vendor, 0);
	assert_int_equal(device->id.class, 0);
	assert_string_equal(device->driver, "");
}

static void cuts_a_driver_name_that_is_too_long(void **state)
{
	char name[] = "a_driver_with_a_name_that_nobody_expects_vfio_pci";
	struct fixture *fixture = *state;

	fake_sysfs_set_driver(fixture->fake, DISK, name);
	assert_int_equal(registry_scan(fixture->registry), 0);
	name[DEVICE_DRIVER_MAX - 1] = '\0';
	assert_string_equal(registry_find_device(fixture->registry, DISK)->driver, name);
}

/* ---- groups ---- */

static void reads_reserved_regions(void **state)
{
	struct fixture *fixture = *state;
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
	reported(fixture, 0, DEVICE_CHANGED, DISK);
	assert_int_equal(fixture->n_reports, 1);
}

static void a_region_that_is_not_understood_is_a_fault(void **state)
{
	static const char *const texts[] = { "0x1000 direct\n",         "0x1000 0x1fff\n",
					     "0x1000 0x1fff \n",        "x y z\n",
					     "0x 0x1fff direct\n",      "0x1000 0x11111111111111111 direct\n",
					     "0x1000 0x1fffg direct\n", "0x1000 0x1fff a-type-of-too-many-letters\n" };
	struct fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		fake_sysfs_add_group(fixture->fake, 12, "DMA\n", texts[i]);
		assert_int_equal(registry_scan(fixture->registry), -EBADMSG);
		assert_int_equal(registry_find_group(fixture->registry, 12)->n_regions, 1);
	}
	assert_int_equal(fixture->n_reports, 0);
}

static void a_group_without_regions_has_none(void **state)
{
	struct fixture *fixture = *state;

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
	struct fixture *fixture = *state;

	fake_sysfs_add_device(fixture->fake, &mdev);
	fake_sysfs_set_group_name(fixture->fake, 13, "vfio-noiommu");
	fake_sysfs_set_group_name(fixture->fake, 12, "vfio-noiommu");
	fake_sysfs_set_group_name(fixture->fake, 1, "another name");
	assert_int_equal(registry_scan(fixture->registry), 0);
	assert_true(registry_find_group(fixture->registry, 12)->no_iommu);
	assert_false(registry_find_group(fixture->registry, 13)->no_iommu);
	assert_false(registry_find_group(fixture->registry, 1)->no_iommu);
}

static enum msi_isolation isolation_behind(struct fixture *fixture, const char *iommu)
{
	struct fake_device device = { .address = "0000:03:00.0", .group = 30, .iommu = iommu };

	fake_sysfs_remove_device(fixture->fake, device.address);
	fake_sysfs_add_device(fixture->fake, &device);
	assert_int_equal(registry_scan(fixture->registry), 0);
	return registry_find_group(fixture->registry, 30)->msi;
}

static void interrupts_are_isolated_when_every_intel_iommu_can(void **state)
{
	struct fixture *fixture = *state;

	fake_sysfs_add_iommu(fixture->fake, "dmar0", "f020de");
	fake_sysfs_add_iommu(fixture->fake, "dmar1", "8");
	assert_int_equal(isolation_behind(fixture, "dmar0"), MSI_ISOLATED);
}

static void interrupts_are_not_isolated_when_one_intel_iommu_can_not(void **state)
{
	struct fixture *fixture = *state;

	fake_sysfs_add_iommu(fixture->fake, "dmar0", "f020de");
	fake_sysfs_add_iommu(fixture->fake, "dmar1", "f020d6");
	assert_int_equal(isolation_behind(fixture, "dmar0"), MSI_NOT_ISOLATED);
	assert_int_equal(isolation_behind(fixture, "dmar1"), MSI_NOT_ISOLATED);
}

static void isolation_is_unknown_where_sysfs_does_not_tell(void **state)
{
	struct fixture *fixture = *state;

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

static void reads_the_unsafe_interrupts_parameter_of_either_module(void **state)
{
	static const char type1[] = "module/vfio_iommu_type1/parameters/allow_unsafe_interrupts";
	static const char iommufd[] = "module/iommufd/parameters/allow_unsafe_interrupts";
	struct fixture *fixture = *state;

	assert_false(registry_unsafe_interrupts_allowed(fixture->registry));
	fake_sysfs_write(fixture->fake, type1, "N\n");
	assert_false(registry_unsafe_interrupts_allowed(fixture->registry));
	fake_sysfs_write(fixture->fake, iommufd, "Y\n");
	assert_true(registry_unsafe_interrupts_allowed(fixture->registry));
	fake_sysfs_write(fixture->fake, iommufd, "N\n");
	fake_sysfs_write(fixture->fake, type1, "Y\n");
	assert_true(registry_unsafe_interrupts_allowed(fixture->registry));
}

/* ---- the boot display ---- */

static bool display_in_use(struct fixture *fixture)
{
	assert_int_equal(registry_refresh(fixture->registry, GRAPHICS), 0);
	return registry_find_device(fixture->registry, GRAPHICS)->boot_display;
}

static void a_boot_display_is_in_use_when_a_native_driver_shows_something(void **state)
{
	struct fixture *fixture = *state;

	fake_sysfs_set_attribute(fixture->fake, GRAPHICS, "boot_vga", "1");
	assert_false(display_in_use(fixture));
	fake_sysfs_set_attribute(fixture->fake, GRAPHICS, "drm/card0/dev", "226:0");
	assert_true(display_in_use(fixture));
	reported(fixture, 0, DEVICE_CHANGED, GRAPHICS);
	fake_sysfs_set_driver(fixture->fake, GRAPHICS, "vfio-pci");
	assert_false(display_in_use(fixture));
	fake_sysfs_set_driver(fixture->fake, GRAPHICS, NULL);
	assert_false(display_in_use(fixture));
}

static void a_framebuffer_child_counts_as_a_drm_child(void **state)
{
	struct fixture *fixture = *state;

	fake_sysfs_set_attribute(fixture->fake, GRAPHICS, "boot_vga", "1");
	fake_sysfs_set_attribute(fixture->fake, GRAPHICS, "graphics/fb0/dev", "29:0");
	assert_true(display_in_use(fixture));
	fake_sysfs_set_attribute(fixture->fake, GRAPHICS, "boot_vga", "0");
	assert_false(display_in_use(fixture));
}

static void a_boot_display_is_in_use_by_a_bound_firmware_framebuffer(void **state)
{
	struct fake_device framebuffer = { .address = "efi-framebuffer.0", .bus = "platform", .group = FAKE_NO_GROUP };
	struct fixture *fixture = *state;

	fake_sysfs_set_attribute(fixture->fake, GRAPHICS, "boot_vga", "1");
	fake_sysfs_add_device(fixture->fake, &framebuffer);
	assert_false(display_in_use(fixture));
	fake_sysfs_set_driver(fixture->fake, framebuffer.address, "efi-framebuffer");
	assert_true(display_in_use(fixture));
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
	struct fixture *fixture = *state;

	fake_sysfs_add_device(fixture->fake, &framebuffer);
	assert_true(display_in_use(fixture));
	assert_false(registry_find_device(fixture->registry, SOUND)->boot_display);
	fake_sysfs_remove_device(fixture->fake, framebuffer.address);
	assert_false(display_in_use(fixture));
}

/* ---- changes ---- */

static void refresh_and_scan_report_a_bind(void **state)
{
	struct fixture *fixture = *state;
	uint64_t generation = registry_find_group(fixture->registry, 1)->generation;
	uint64_t other = registry_find_group(fixture->registry, 12)->generation;

	fake_sysfs_set_driver(fixture->fake, SOUND, "vfio-pci");
	assert_int_equal(registry_refresh(fixture->registry, SOUND), 0);
	assert_string_equal(reported(fixture, 0, DEVICE_BOUND, SOUND)->former, "snd_hda_intel");
	assert_string_equal(fixture->reports[0].driver, "vfio-pci");
	assert_true(registry_find_group(fixture->registry, 1)->generation > generation);
	generation = registry_find_group(fixture->registry, 1)->generation;
	fake_sysfs_set_driver(fixture->fake, SOUND, NULL);
	assert_int_equal(registry_scan(fixture->registry), 0);
	assert_string_equal(reported(fixture, 1, DEVICE_UNBOUND, SOUND)->former, "vfio-pci");
	assert_string_equal(fixture->reports[1].driver, "");
	assert_int_equal(fixture->n_reports, 2);
	assert_true(registry_find_group(fixture->registry, 1)->generation > generation);
	assert_int_equal(registry_find_group(fixture->registry, 12)->generation, other);
}

static void an_override_changes_the_registry_but_not_the_group(void **state)
{
	struct fixture *fixture = *state;
	uint64_t generation = registry_generation(fixture->registry);
	uint64_t of_group = registry_find_group(fixture->registry, 1)->generation;

	fake_sysfs_set_attribute(fixture->fake, SOUND, "driver_override", "vfio-pci");
	assert_int_equal(registry_refresh(fixture->registry, SOUND), 0);
	reported(fixture, 0, DEVICE_CHANGED, SOUND);
	assert_string_equal(registry_find_device(fixture->registry, SOUND)->driver_override, "vfio-pci");
	fake_sysfs_set_attribute(fixture->fake, SOUND, "driver_override", "(null)");
	assert_int_equal(registry_scan(fixture->registry), 0);
	reported(fixture, 1, DEVICE_CHANGED, SOUND);
	assert_int_equal(registry_generation(fixture->registry), generation + 2);
	assert_int_equal(registry_find_group(fixture->registry, 1)->generation, of_group);
}

static void refresh_of_an_unchanged_device_reports_nothing(void **state)
{
	struct fixture *fixture = *state;
	uint64_t generation = registry_generation(fixture->registry);

	assert_int_equal(registry_refresh(fixture->registry, SOUND), 0);
	assert_int_equal(fixture->n_reports, 0);
	assert_int_equal(registry_generation(fixture->registry), generation);
}

static void refresh_drops_a_device_that_is_gone(void **state)
{
	struct fixture *fixture = *state;

	fake_sysfs_remove_device(fixture->fake, SOUND);
	assert_int_equal(registry_refresh(fixture->registry, SOUND), -ENOENT);
	assert_string_equal(reported(fixture, 0, DEVICE_REMOVED, SOUND)->driver, "snd_hda_intel");
	assert_int_equal(fixture->reports[0].members, 2);
	assert_null(registry_find_device(fixture->registry, SOUND));
	assert_int_equal(registry_find_group(fixture->registry, 1)->n_devices, 2);
	assert_int_equal(registry_refresh(fixture->registry, SOUND), -ENOENT);
	assert_int_equal(fixture->n_reports, 1);
}

static void a_group_goes_with_its_last_device(void **state)
{
	struct fixture *fixture = *state;

	fake_sysfs_remove_device(fixture->fake, DISK);
	assert_int_equal(registry_refresh(fixture->registry, DISK), -ENOENT);
	reported(fixture, 0, DEVICE_REMOVED, DISK);
	assert_int_equal(fixture->reports[0].group, 12);
	assert_int_equal(fixture->reports[0].members, 0);
	assert_null(registry_find_group(fixture->registry, 12));
	assert_int_equal(count_groups(fixture->registry), 1);
}

static void refresh_adds_a_device_that_is_new(void **state)
{
	const struct fake_device function = { .address = "0000:01:00.2", .group = 1, .driver = "xhci_hcd" };
	const struct fake_device lonely = { .address = "0000:00:00.5", .group = 5 };
	struct fixture *fixture = *state;

	fake_sysfs_add_device(fixture->fake, &function);
	fake_sysfs_add_device(fixture->fake, &lonely);
	assert_int_equal(registry_refresh(fixture->registry, function.address), 0);
	assert_int_equal(registry_refresh(fixture->registry, lonely.address), 0);
	assert_int_equal(reported(fixture, 0, DEVICE_ADDED, function.address)->members, 4);
	assert_int_equal(reported(fixture, 1, DEVICE_ADDED, lonely.address)->members, 1);
	assert_int_equal(registry_find_group(fixture->registry, 5)->n_regions, 1);
	assert_string_equal(list_entry(registry_devices(fixture->registry)->next, struct device, link)->id.address,
			    lonely.address);
	assert_int_equal(count_devices(fixture->registry), 6);
}

static void a_new_member_brings_its_regions_into_the_group(void **state)
{
	const struct fake_device function = { .address = "0000:01:00.2", .group = 1 };
	struct fixture *fixture = *state;

	fake_sysfs_add_device(fixture->fake, &function);
	fake_sysfs_add_group(fixture->fake, 1, "DMA\n", "0x1000 0x1fff direct\n0xfee00000 0xfeefffff msi\n");
	assert_int_equal(registry_refresh(fixture->registry, function.address), 0);
	assert_int_equal(registry_find_group(fixture->registry, 1)->n_regions, 2);
	assert_string_equal(registry_find_group(fixture->registry, 1)->regions[0].type, "direct");
}

static void another_device_at_the_same_address_is_removed_and_added(void **state)
{
	struct fake_device other = disk;
	struct fixture *fixture = *state;

	other.device = 0xa80a;
	fake_sysfs_remove_device(fixture->fake, DISK);
	fake_sysfs_add_device(fixture->fake, &other);
	assert_int_equal(registry_refresh(fixture->registry, DISK), 0);
	reported(fixture, 0, DEVICE_REMOVED, DISK);
	reported(fixture, 1, DEVICE_ADDED, DISK);
	assert_int_equal(registry_find_device(fixture->registry, DISK)->id.device, 0xa80a);
	other.device = 0xa80b;
	fake_sysfs_remove_device(fixture->fake, DISK);
	fake_sysfs_add_device(fixture->fake, &other);
	assert_int_equal(registry_scan(fixture->registry), 0);
	reported(fixture, 2, DEVICE_REMOVED, DISK);
	reported(fixture, 3, DEVICE_ADDED, DISK);
	assert_int_equal(fixture->n_reports, 4);
}

static void a_device_in_another_group_is_removed_and_added(void **state)
{
	struct fixture *fixture = *state;

	fake_sysfs_set_group(fixture->fake, SOUND, 12);
	assert_int_equal(registry_refresh(fixture->registry, SOUND), 0);
	assert_int_equal(reported(fixture, 0, DEVICE_REMOVED, SOUND)->group, 1);
	assert_int_equal(fixture->reports[0].members, 2);
	assert_int_equal(reported(fixture, 1, DEVICE_ADDED, SOUND)->group, 12);
	assert_int_equal(fixture->reports[1].members, 2);
	fake_sysfs_set_group(fixture->fake, SOUND, 1);
	assert_int_equal(registry_scan(fixture->registry), 0);
	assert_int_equal(reported(fixture, 2, DEVICE_REMOVED, SOUND)->group, 12);
	assert_int_equal(fixture->reports[2].members, 1);
	assert_int_equal(reported(fixture, 3, DEVICE_ADDED, SOUND)->group, 1);
	assert_int_equal(fixture->reports[3].members, 3);
}

static void a_whole_group_with_a_new_number_leaves_an_empty_one_behind(void **state)
{
	static const char *const members[] = { PORT, GRAPHICS, SOUND };
	struct fixture *fixture = *state;

	for (size_t i = 0; i < 3; i++)
		fake_sysfs_set_group(fixture->fake, members[i], 2);
	assert_int_equal(registry_scan(fixture->registry), 0);
	assert_int_equal(fixture->n_reports, 6);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(reported(fixture, 2 * i, DEVICE_REMOVED, members[i])->members, 0);
		assert_int_equal(reported(fixture, 2 * i + 1, DEVICE_ADDED, members[i])->members, 3);
	}
	assert_null(registry_find_group(fixture->registry, 1));
}

static void a_device_whose_group_went_is_dropped(void **state)
{
	struct fixture *fixture = *state;

	fake_sysfs_set_group(fixture->fake, DISK, FAKE_NO_GROUP);
	assert_int_equal(registry_refresh(fixture->registry, DISK), -ENOENT);
	reported(fixture, 0, DEVICE_REMOVED, DISK);
}

static void a_reused_group_number_gets_a_new_generation(void **state)
{
	struct fixture *fixture = *state;
	uint64_t generation = registry_find_group(fixture->registry, 12)->generation;

	fake_sysfs_remove_device(fixture->fake, DISK);
	assert_int_equal(registry_scan(fixture->registry), 0);
	fake_sysfs_add_device(fixture->fake, &disk);
	assert_int_equal(registry_scan(fixture->registry), 0);
	assert_true(registry_find_group(fixture->registry, 12)->generation > generation);
}

static void a_scan_reports_all_differences_at_once(void **state)
{
	const struct fake_device added = { .address = "0000:00:02.0", .group = 20 };
	struct fixture *fixture = *state;

	fake_sysfs_add_device(fixture->fake, &added);
	fake_sysfs_set_driver(fixture->fake, GRAPHICS, "vfio-pci");
	fake_sysfs_set_driver(fixture->fake, PORT, NULL);
	fake_sysfs_set_attribute(fixture->fake, SOUND, "numa_node", "0");
	fake_sysfs_remove_device(fixture->fake, DISK);
	assert_int_equal(registry_scan(fixture->registry), 0);
	assert_int_equal(fixture->n_reports, 5);
	reported(fixture, 0, DEVICE_UNBOUND, PORT);
	reported(fixture, 1, DEVICE_ADDED, added.address);
	reported(fixture, 2, DEVICE_BOUND, GRAPHICS);
	reported(fixture, 3, DEVICE_CHANGED, SOUND);
	reported(fixture, 4, DEVICE_REMOVED, DISK);
}

static void without_a_listener_changes_are_still_taken_over(void **state)
{
	struct fixture *fixture = *state;

	registry_set_listener(fixture->registry, NULL, NULL);
	fake_sysfs_remove_device(fixture->fake, DISK);
	fake_sysfs_set_driver(fixture->fake, SOUND, NULL);
	assert_int_equal(registry_scan(fixture->registry), 0);
	assert_int_equal(registry_refresh(fixture->registry, DISK), -ENOENT);
	assert_string_equal(registry_find_device(fixture->registry, SOUND)->driver, "");
	assert_int_equal(fixture->n_reports, 0);
}

/* ---- devices that go while they are read, and faults ---- */

static void a_device_that_vanishes_while_it_is_read_is_skipped(void **state)
{
	struct fixture *fixture = *state;
	char path[512];

	/* Each is a state that a removal passes through: no folder behind the link, no uevent, no link to the group. */
	snprintf(path, sizeof(path), "%s/bus/pci/devices/0000:05:00.0", fake_sysfs_path(fixture->fake));
	assert_int_equal(symlink("../../../devices/pci0000:00/0000:05:00.0", path), 0);
	fake_sysfs_set_attribute(fixture->fake, SOUND, "uevent", NULL);
	fake_sysfs_set_attribute(fixture->fake, DISK, "iommu_group", NULL);
	assert_int_equal(registry_scan(fixture->registry), 0);
	assert_int_equal(count_devices(fixture->registry), 2);
	assert_int_equal(registry_refresh(fixture->registry, "0000:05:00.0"), -ENOENT);
	assert_int_equal(registry_refresh(fixture->registry, SOUND), -ENOENT);
	assert_int_equal(fixture->n_reports, 2);
}

static void an_unreadable_device_is_a_fault_and_the_old_state_stays(void **state)
{
	struct fixture *fixture = *state;
	char text[8192];

	memset(text, 'x', sizeof(text));
	memcpy(text + sizeof(text) - 2, "\n", 2);
	fake_sysfs_set_attribute(fixture->fake, SOUND, "uevent", text);
	assert_int_equal(registry_scan(fixture->registry), -E2BIG);
	assert_int_equal(registry_refresh(fixture->registry, SOUND), -E2BIG);
	assert_string_equal(registry_find_device(fixture->registry, SOUND)->driver, "snd_hda_intel");
	assert_int_equal(fixture->n_reports, 0);
}

static void a_group_link_that_is_no_number_is_a_fault(void **state)
{
	struct fixture *fixture = *state;
	char path[512];

	snprintf(path, sizeof(path), "%s/bus/pci/devices/" DISK "/iommu_group", fake_sysfs_path(fixture->fake));
	unlink(path);
	assert_int_equal(symlink("../../kernel/iommu_groups/-1", path), 0);
	assert_int_equal(registry_refresh(fixture->registry, DISK), -EBADMSG);
	unlink(path);
	assert_int_equal(symlink("../../kernel/iommu_groups/99999999999", path), 0);
	assert_int_equal(registry_refresh(fixture->registry, DISK), -EBADMSG);
	assert_int_equal(registry_find_device(fixture->registry, DISK)->group->id, 12);
}

static void refresh_takes_no_address_that_leaves_the_folder(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(registry_refresh(fixture->registry, "../../../etc"), -EINVAL);
	assert_int_equal(registry_refresh(fixture->registry, ".."), -EINVAL);
	assert_int_equal(registry_refresh(fixture->registry, ""), -EINVAL);
}

static size_t count_open_files(void)
{
	DIR *folder = opendir("/proc/self/fd");
	size_t n = 0;

	while (readdir(folder))
		n++;
	closedir(folder);
	return n;
}

/* With room for k more descriptors, until everything goes through. */
static void running_out_of_descriptors_is_a_fault_that_leaks_nothing(void **state)
{
	struct fixture *fixture = *state;
	size_t before = count_open_files();
	struct rlimit former, limit;
	unsigned int faults = 0;
	int lowest = dup(0), r;

	assert_true(lowest > 0);
	close(lowest);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &former), 0);
	fake_sysfs_set_driver(fixture->fake, SOUND, NULL);
	for (limit = former, limit.rlim_cur = lowest;; limit.rlim_cur++) {
		int refreshed;

		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		refreshed = registry_refresh(fixture->registry, DISK);
		r = registry_scan(fixture->registry);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &former), 0);
		if (r == 0)
			break;
		faults++;
		assert_int_equal(r, -EMFILE);
		assert_true(refreshed == -EMFILE || refreshed == 0);
		assert_int_equal(count_devices(fixture->registry), 4);
		assert_int_equal(fixture->n_reports, 0);
		assert_int_equal(count_open_files(), before);
	}
	assert_in_range(faults, 2, 10);
	assert_int_equal(count_open_files(), before);
	reported(fixture, 0, DEVICE_UNBOUND, SOUND);
}

static void running_out_of_memory_in_a_scan_keeps_the_old_state(void **state)
{
	struct fixture *fixture = *state;
	size_t before = count_open_files();
	unsigned int n = 0;
	int r;

	fake_sysfs_set_driver(fixture->fake, SOUND, NULL);
	for (;;) {
		fail_alloc_begin(++n);
		r = registry_scan(fixture->registry);
		if (!fail_alloc_end())
			break;
		assert_int_equal(r, -ENOMEM);
		assert_int_equal(fixture->n_reports, 0);
		assert_string_equal(registry_find_device(fixture->registry, SOUND)->driver, "snd_hda_intel");
		assert_int_equal(count_open_files(), before);
	}
	assert_int_equal(r, 0);
	assert_in_range(n, 10, 100);
	assert_int_equal(fixture->n_reports, 1);
}

/* The device that was at this address went and another came: neither half of that may be lost. */
static void running_out_of_memory_in_a_refresh_keeps_the_old_state(void **state)
{
	struct fake_device other = disk;
	struct fixture *fixture = *state;
	unsigned int n = 0;
	int r;

	other.device = 1;
	other.group = 77;
	fake_sysfs_remove_device(fixture->fake, DISK);
	fake_sysfs_add_device(fixture->fake, &other);
	for (;;) {
		fail_alloc_begin(++n);
		r = registry_refresh(fixture->registry, DISK);
		if (!fail_alloc_end())
			break;
		assert_int_equal(r, -ENOMEM);
		assert_int_equal(fixture->n_reports, 0);
		assert_int_equal(registry_find_device(fixture->registry, DISK)->group->id, 12);
	}
	assert_int_equal(r, 0);
	assert_in_range(n, 4, 20);
	assert_int_equal(fixture->n_reports, 2);
	assert_int_equal(registry_find_device(fixture->registry, DISK)->group->id, 77);
}

static void creating_a_registry_fails_cleanly(void **state)
{
	struct registry *registry = (struct registry *)16;
	int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t before = count_open_files();

	assert_int_equal(registry_new(-1, &registry), -EBADF);
	for (unsigned int n = 1; n <= 2; n++) {
		fail_alloc_begin(n);
		assert_int_equal(registry_new(fd, &registry), -ENOMEM);
		assert_true(fail_alloc_end());
	}
	assert_ptr_equal(registry, (struct registry *)16);
	assert_int_equal(count_open_files(), before);
	assert_null(registry_free(NULL));
	close(fd);
}

struct churn {
	struct fake_sysfs *fake;
	atomic_bool stop;
};

static void *churn_devices(void *userdata)
{
	struct churn *churn = userdata;

	while (!atomic_load(&churn->stop)) {
		fake_sysfs_remove_device(churn->fake, SOUND);
		fake_sysfs_add_device(churn->fake, &sound);
		fake_sysfs_set_driver(churn->fake, GRAPHICS, NULL);
		fake_sysfs_set_driver(churn->fake, GRAPHICS, "nouveau");
	}
	return NULL;
}

static void scans_while_devices_come_and_go_agree_with_the_end(void **state)
{
	struct fixture *fixture = *state;
	struct churn churn = { .fake = fixture->fake };
	pthread_t thread;

	registry_set_listener(fixture->registry, NULL, NULL);
	assert_int_equal(pthread_create(&thread, NULL, churn_devices, &churn), 0);
	for (int i = 0; i < 500; i++) {
		int r;

		assert_int_equal(registry_scan(fixture->registry), 0);
		r = registry_refresh(fixture->registry, SOUND);
		assert_true(r == 0 || r == -ENOENT);
		assert_in_range(count_devices(fixture->registry), 3, 4);
	}
	atomic_store(&churn.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(registry_scan(fixture->registry), 0);
	assert_int_equal(count_devices(fixture->registry), 4);
	assert_string_equal(registry_find_device(fixture->registry, GRAPHICS)->driver, "nouveau");
}

static void opens_the_folder_of_a_device(void **state)
{
	struct fixture *fixture = *state;
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

#define WITH_TREE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_empty_tree_is_no_error, setup_empty, teardown),
		cmocka_unit_test(creating_a_registry_fails_cleanly),
		WITH_TREE(scan_reads_every_attribute_of_a_device),
		WITH_TREE(scan_tells_what_is_absent),
		WITH_TREE(lists_are_in_order_of_address_and_id),
		WITH_TREE(finds_nothing_that_is_not_there),
		WITH_TREE(first_scan_fills_and_reports_nothing),
		WITH_TREE(a_scan_without_changes_reports_nothing_and_keeps_generations),
		WITH_TREE(leaves_out_devices_without_a_group),
		WITH_TREE(reads_other_buses_than_pci),
		WITH_TREE(of_one_address_on_two_buses_the_pci_device_counts),
		WITH_TREE(reads_a_virtual_function_and_its_parent),
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
		WITH_TREE(reads_the_unsafe_interrupts_parameter_of_either_module),
		WITH_TREE(a_boot_display_is_in_use_when_a_native_driver_shows_something),
		WITH_TREE(a_framebuffer_child_counts_as_a_drm_child),
		WITH_TREE(a_boot_display_is_in_use_by_a_bound_firmware_framebuffer),
		WITH_TREE(a_firmware_framebuffer_below_a_display_is_its_own),
		WITH_TREE(refresh_and_scan_report_a_bind),
		WITH_TREE(an_override_changes_the_registry_but_not_the_group),
		WITH_TREE(refresh_of_an_unchanged_device_reports_nothing),
		WITH_TREE(refresh_drops_a_device_that_is_gone),
		WITH_TREE(a_group_goes_with_its_last_device),
		WITH_TREE(refresh_adds_a_device_that_is_new),
		WITH_TREE(a_new_member_brings_its_regions_into_the_group),
		WITH_TREE(another_device_at_the_same_address_is_removed_and_added),
		WITH_TREE(a_device_in_another_group_is_removed_and_added),
		WITH_TREE(a_whole_group_with_a_new_number_leaves_an_empty_one_behind),
		WITH_TREE(a_device_whose_group_went_is_dropped),
		WITH_TREE(a_reused_group_number_gets_a_new_generation),
		WITH_TREE(a_scan_reports_all_differences_at_once),
		WITH_TREE(without_a_listener_changes_are_still_taken_over),
		WITH_TREE(a_device_that_vanishes_while_it_is_read_is_skipped),
		WITH_TREE(an_unreadable_device_is_a_fault_and_the_old_state_stays),
		WITH_TREE(a_group_link_that_is_no_number_is_a_fault),
		WITH_TREE(refresh_takes_no_address_that_leaves_the_folder),
		WITH_TREE(running_out_of_descriptors_is_a_fault_that_leaks_nothing),
		WITH_TREE(running_out_of_memory_in_a_scan_keeps_the_old_state),
		WITH_TREE(running_out_of_memory_in_a_refresh_keeps_the_old_state),
		WITH_TREE(scans_while_devices_come_and_go_agree_with_the_end),
		WITH_TREE(opens_the_folder_of_a_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
