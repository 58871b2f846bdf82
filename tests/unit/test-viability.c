/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every blocker alone and the combinations that matter. No sysfs here: groups are made by hand. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "fail-alloc.h"
#include "topology/viability.h"

#define MEMBERS 4
#define SOUND "0000:01:00.1"
#define GRAPHICS "0000:01:00.0"

static const struct viability_options strict;

/* A group on the stack with room for a few members, on PCI and without drivers. */
struct scene {
	struct group group;
	struct device devices[MEMBERS];
};

static void scene_begin(struct scene *scene)
{
	memset(scene, 0, sizeof(*scene));
	list_init(&scene->group.devices);
	scene->group.id = 7;
	scene->group.msi = MSI_ISOLATED;
}

static struct device *scene_add(struct scene *scene, const char *address, const char *driver)
{
	struct device *device = &scene->devices[scene->group.n_devices++];

	snprintf(device->id.address, sizeof(device->id.address), "%s", address);
	snprintf(device->bus, sizeof(device->bus), "pci");
	snprintf(device->driver, sizeof(device->driver), "%s", driver);
	device->group = &scene->group;
	list_append(&scene->group.devices, &device->group_link);
	return device;
}

static struct verdict judged(const struct scene *scene, const struct viability_options *options)
{
	struct verdict verdict;

	assert_int_equal(viability_judge(&scene->group, options, &verdict), 0);
	for (size_t i = 0; i < verdict.n_blockers; i++) {
		/* A text that fills its field was cut. */
		assert_in_range(strlen(verdict.blockers[i].message), 1, sizeof(verdict.blockers[i].message) - 2);
		assert_in_range(strlen(verdict.blockers[i].remedy), 1, sizeof(verdict.blockers[i].remedy) - 2);
	}
	return verdict;
}

static void assert_viable(const struct scene *scene, const struct viability_options *options)
{
	struct verdict verdict = judged(scene, options);

	assert_true(verdict_is_viable(&verdict));
	assert_int_equal(verdict.n_blockers, 0);
	verdict_clear(&verdict);
}

static void assert_one(const struct scene *scene, const struct viability_options *options, enum blocker_kind kind,
		       const char *device, const char *message, const char *remedy_part)
{
	struct verdict verdict = judged(scene, options);

	assert_false(verdict_is_viable(&verdict));
	assert_int_equal(verdict.n_blockers, 1);
	assert_int_equal(verdict.blockers[0].kind, kind);
	assert_string_equal(verdict.blockers[0].device, device);
	assert_string_equal(verdict.blockers[0].message, message);
	assert_non_null(strstr(verdict.blockers[0].remedy, remedy_part));
	verdict_clear(&verdict);
}

static void finds_a_driverless_group_viable(void **state)
{
	struct scene scene;

	scene_begin(&scene);
	scene_add(&scene, GRAPHICS, "");
	scene_add(&scene, SOUND, "");
	assert_viable(&scene, &strict);
}

static void finds_vfio_and_allowed_drivers_viable(void **state)
{
	struct scene scene;

	scene_begin(&scene);
	scene_add(&scene, "0000:00:01.0", "pcieport")->bridge = true;
	scene_add(&scene, GRAPHICS, "vfio-pci");
	scene_add(&scene, SOUND, "pci-stub");
	scene_add(&scene, "0000:01:00.2", "mlx5_vfio_pci");
	assert_viable(&scene, &strict);
}

static void names_device_driver_and_remedy_of_a_foreign_driver(void **state)
{
	struct scene scene;
	struct verdict verdict;

	scene_begin(&scene);
	scene_add(&scene, GRAPHICS, "vfio-pci");
	scene_add(&scene, SOUND, "snd_hda_intel");
	verdict = judged(&scene, &strict);
	assert_int_equal(verdict.n_blockers, 1);
	assert_int_equal(verdict.blockers[0].kind, BLOCKER_FOREIGN_DRIVER);
	assert_string_equal(verdict.blockers[0].device, SOUND);
	assert_string_equal(verdict.blockers[0].driver, "snd_hda_intel");
	assert_string_equal(verdict.blockers[0].message, "0000:01:00.1 is bound to snd_hda_intel");
	assert_string_equal(
		verdict.blockers[0].remedy,
		"bind it to vfio-pci, or unbind it: echo 0000:01:00.1 >/sys/bus/pci/drivers/snd_hda_intel/unbind");
	verdict_clear(&verdict);
}

static void names_every_foreign_driver_in_order_of_address(void **state)
{
	struct scene scene;
	struct verdict verdict;

	scene_begin(&scene);
	scene_add(&scene, GRAPHICS, "nouveau");
	scene_add(&scene, SOUND, "snd_hda_intel");
	scene_add(&scene, "0000:01:00.2", "vfio-pci");
	scene_add(&scene, "0000:01:00.3", "xhci_hcd");
	verdict = judged(&scene, &strict);
	assert_int_equal(verdict.n_blockers, 3);
	assert_string_equal(verdict.blockers[0].device, GRAPHICS);
	assert_string_equal(verdict.blockers[1].device, SOUND);
	assert_string_equal(verdict.blockers[2].device, "0000:01:00.3");
	verdict_clear(&verdict);
}

static void does_not_count_the_driver_of_a_device_that_moves(void **state)
{
	const char *const moving[] = { SOUND, NULL };
	const struct viability_options options = { .moving = moving };
	struct scene scene;

	scene_begin(&scene);
	scene_add(&scene, GRAPHICS, "vfio-pci");
	scene_add(&scene, SOUND, "snd_hda_intel");
	assert_viable(&scene, &options);
}

static void counts_the_driver_of_the_neighbour_of_a_device_that_moves(void **state)
{
	const char *const moving[] = { SOUND, NULL };
	const struct viability_options options = { .moving = moving };
	struct scene scene;

	scene_begin(&scene);
	scene_add(&scene, GRAPHICS, "nouveau");
	scene_add(&scene, SOUND, "snd_hda_intel");
	assert_one(&scene, &options, BLOCKER_FOREIGN_DRIVER, GRAPHICS, "0000:01:00.0 is bound to nouveau", "unbind");
}

static void accepts_drivers_that_policy_adds(void **state)
{
	const char *const drivers[] = { "my_stub", "other_stub", NULL };
	const struct viability_options options = { .allowed_drivers = drivers };
	struct scene scene;

	scene_begin(&scene);
	scene_add(&scene, SOUND, "other_stub");
	assert_viable(&scene, &options);
	assert_one(&scene, &strict, BLOCKER_FOREIGN_DRIVER, SOUND, "0000:01:00.1 is bound to other_stub", "vfio-pci");
}

static void offers_a_bridge_pci_stub_and_not_vfio(void **state)
{
	struct scene scene;

	scene_begin(&scene);
	scene_add(&scene, "0000:00:01.0", "shpchp")->bridge = true;
	assert_one(&scene, &strict, BLOCKER_FOREIGN_DRIVER, "0000:00:01.0", "0000:00:01.0 is bound to shpchp",
		   "bind it to pci-stub, or unbind it: echo 0000:00:01.0 >/sys/bus/pci/drivers/shpchp/unbind");
}

static void offers_the_vfio_driver_of_the_bus(void **state)
{
	struct scene scene;

	scene_begin(&scene);
	strcpy(scene_add(&scene, "fff51000.ethernet", "xgmac")->bus, "platform");
	assert_one(&scene, &strict, BLOCKER_FOREIGN_DRIVER, "fff51000.ethernet", "fff51000.ethernet is bound to xgmac",
		   "bind it to vfio-platform, or unbind it: "
		   "echo fff51000.ethernet >/sys/bus/platform/drivers/xgmac/unbind");
}

static void finds_a_firmware_mapping_and_names_its_range(void **state)
{
	struct reserved_region regions[] = {
		{ 0xfee00000, 0xfeefffff, "msi" },
		{ 0x7d000000, 0x7f7fffff, "direct" },
	};
	struct scene scene;

	scene_begin(&scene);
	scene_add(&scene, GRAPHICS, "");
	scene.group.regions = regions;
	scene.group.n_regions = ARRAY_SIZE(regions);
	assert_one(&scene, &strict, BLOCKER_FIRMWARE_MAPPING, "",
		   "group 7 must keep 0x000000007d000000-0x000000007f7fffff mapped for the firmware (RMRR)",
		   "firmware's setup");
}

static void accepts_regions_that_the_kernel_gives_up(void **state)
{
	struct reserved_region regions[] = {
		{ 0xfee00000, 0xfeefffff, "msi" },
		{ 0x7d000000, 0x7f7fffff, "direct-relaxable" },
		{ 0x0, 0xfff, "reserved" },
	};
	struct scene scene;

	scene_begin(&scene);
	scene_add(&scene, GRAPHICS, "");
	scene.group.regions = regions;
	scene.group.n_regions = ARRAY_SIZE(regions);
	assert_viable(&scene, &strict);
}

static void names_each_firmware_mapping(void **state)
{
	struct reserved_region regions[] = { { 0x1000, 0x1fff, "direct" }, { 0x3000, UINT64_MAX, "direct" } };
	struct scene scene;
	struct verdict verdict;

	scene_begin(&scene);
	scene.group.regions = regions;
	scene.group.n_regions = ARRAY_SIZE(regions);
	verdict = judged(&scene, &strict);
	assert_int_equal(verdict.n_blockers, 2);
	assert_non_null(strstr(verdict.blockers[0].message, "0x0000000000001000-0x0000000000001fff"));
	assert_non_null(strstr(verdict.blockers[1].message, "0x0000000000003000-0xffffffffffffffff"));
	verdict_clear(&verdict);
}

static void never_finds_a_group_without_iommu_viable(void **state)
{
	const char *const moving[] = { SOUND, NULL };
	const struct viability_options options = { .unsafe_interrupts_allowed = true, .moving = moving };
	struct scene scene;

	scene_begin(&scene);
	scene_add(&scene, SOUND, "vfio-pci");
	scene.group.no_iommu = true;
	scene.group.msi = MSI_ISOLATION_UNKNOWN;
	assert_one(&scene, &options, BLOCKER_NO_IOMMU, "",
		   "group 7 has no IOMMU: nothing keeps its devices' DMA from any memory", "intel_iommu=on");
}

static void finds_unsafe_interrupts_and_names_both_ways_out(void **state)
{
	struct scene scene;

	scene_begin(&scene);
	scene_add(&scene, SOUND, "vfio-pci");
	scene.group.msi = MSI_NOT_ISOLATED;
	assert_one(&scene, &strict, BLOCKER_UNSAFE_INTERRUPTS, "",
		   "group 7 can send any interrupt to the host: its IOMMU does not remap interrupts", "intremap=off");
	assert_one(&scene, &strict, BLOCKER_UNSAFE_INTERRUPTS, "",
		   "group 7 can send any interrupt to the host: its IOMMU does not remap interrupts",
		   "allow_unsafe_interrupts=1");
}

static void accepts_unsafe_interrupts_when_the_admin_allowed_them(void **state)
{
	const struct viability_options options = { .unsafe_interrupts_allowed = true };
	struct scene scene;

	scene_begin(&scene);
	scene_add(&scene, SOUND, "vfio-pci");
	scene.group.msi = MSI_NOT_ISOLATED;
	assert_viable(&scene, &options);
}

static void leaves_unknown_interrupt_isolation_to_the_kernel(void **state)
{
	struct scene scene;

	scene_begin(&scene);
	scene_add(&scene, SOUND, "vfio-pci");
	scene.group.msi = MSI_ISOLATION_UNKNOWN;
	assert_viable(&scene, &strict);
}

static void blocks_a_boot_display_in_use_even_when_it_moves(void **state)
{
	const char *const moving[] = { GRAPHICS, NULL };
	const struct viability_options options = { .moving = moving };
	struct scene scene;

	scene_begin(&scene);
	scene_add(&scene, GRAPHICS, "i915")->boot_display = DISPLAY_DRIVER;
	assert_one(&scene, &options, BLOCKER_BOOT_DISPLAY, GRAPHICS,
		   "0000:01:00.0 is the boot display, and in use by its driver, i915 (boot_vga)",
		   "echo 0000:01:00.0 >/sys/bus/pci/drivers/i915/unbind");
}

static void names_the_framebuffer_that_holds_a_boot_display(void **state)
{
	const char *const moving[] = { GRAPHICS, NULL };
	const struct viability_options options = { .moving = moving };
	struct scene scene;

	scene_begin(&scene);
	scene_add(&scene, GRAPHICS, "")->boot_display = DISPLAY_SIMPLE;
	assert_one(&scene, &options, BLOCKER_BOOT_DISPLAY, GRAPHICS,
		   "0000:01:00.0 is the boot display, and in use by the firmware's framebuffer, simple-framebuffer.0",
		   "echo simple-framebuffer.0 >/sys/bus/platform/drivers/simple-framebuffer/unbind");
}

static void reports_all_blockers_of_a_group_the_groups_own_first(void **state)
{
	static const enum blocker_kind expected[] = {
		BLOCKER_NO_IOMMU,       BLOCKER_UNSAFE_INTERRUPTS, BLOCKER_FIRMWARE_MAPPING,
		BLOCKER_FOREIGN_DRIVER, BLOCKER_BOOT_DISPLAY,      BLOCKER_FOREIGN_DRIVER,
	};
	struct reserved_region region = { 0x1000, 0x1fff, "direct" };
	struct scene scene;
	struct verdict verdict;

	scene_begin(&scene);
	scene_add(&scene, GRAPHICS, "i915")->boot_display = DISPLAY_DRIVER;
	scene_add(&scene, SOUND, "snd_hda_intel");
	scene.group.no_iommu = true;
	scene.group.msi = MSI_NOT_ISOLATED;
	scene.group.regions = &region;
	scene.group.n_regions = 1;
	verdict = judged(&scene, &strict);
	assert_int_equal(verdict.n_blockers, ARRAY_SIZE(expected));
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
		assert_int_equal(verdict.blockers[i].kind, expected[i]);
	verdict_clear(&verdict);
}

static void texts_fit_with_the_longest_names(void **state)
{
	struct scene scene;
	struct device *device;
	struct verdict verdict;

	scene_begin(&scene);
	scene.group.id = UINT32_MAX;
	scene.group.no_iommu = true;
	scene.group.msi = MSI_NOT_ISOLATED;
	device = scene_add(&scene, "", "");
	memset(device->id.address, 'a', sizeof(device->id.address) - 1);
	memset(device->driver, 'd', sizeof(device->driver) - 1);
	strcpy(device->bus, "platformbus");
	device->boot_display = DISPLAY_DRIVER;
	verdict = judged(&scene, &strict);
	assert_int_equal(verdict.n_blockers, 4);
	assert_non_null(strstr(verdict.blockers[2].remedy, "ddd/unbind"));
	verdict_clear(&verdict);
}

static void verdicts_are_equal_only_when_everything_is(void **state)
{
	struct verdict left, right;
	struct scene scene;

	scene_begin(&scene);
	scene_add(&scene, GRAPHICS, "nouveau");
	scene_add(&scene, SOUND, "snd_hda_intel");
	left = judged(&scene, &strict);
	right = judged(&scene, &strict);
	assert_true(verdict_equals(&left, &right));
	for (size_t i = 0; i < sizeof(struct blocker); i++) {
		struct blocker former = right.blockers[1];
		char *byte = (char *)&right.blockers[1] + i;

		/* Only bytes of what is shown count: behind a text's end nothing does. */
		if (i >= sizeof(enum blocker_kind) && *byte == '\0')
			continue;
		*byte ^= 1;
		assert_false(verdict_equals(&left, &right));
		right.blockers[1] = former;
	}
	verdict_clear(&right);
	assert_false(verdict_equals(&left, &right));
	assert_false(verdict_equals(&right, &left));
	verdict_clear(&left);
	assert_true(verdict_equals(&left, &right));
}

static void a_verdict_takes_a_blocker_from_outside(void **state)
{
	const struct blocker conflict = { .kind = BLOCKER_LABEL_CONFLICT, .message = "m", .remedy = "r" };
	struct verdict verdict = { 0 };

	assert_true(verdict_is_viable(&verdict));
	assert_int_equal(verdict_add(&verdict, &conflict), 0);
	assert_false(verdict_is_viable(&verdict));
	assert_memory_equal(&verdict.blockers[0], &conflict, sizeof(conflict));
	verdict_clear(&verdict);
	assert_null(verdict.blockers);
	verdict_clear(&verdict);
}

static void judging_without_memory_leaves_nothing_behind(void **state)
{
	struct reserved_region region = { 0x1000, 0x1fff, "direct" };
	struct verdict verdict = { .n_blockers = 77 };
	struct scene scene;
	unsigned int n = 0;
	int r;

	scene_begin(&scene);
	scene_add(&scene, GRAPHICS, "i915")->boot_display = DISPLAY_DRIVER;
	scene.group.no_iommu = true;
	scene.group.msi = MSI_NOT_ISOLATED;
	scene.group.regions = &region;
	scene.group.n_regions = 1;
	do {
		fail_alloc_begin(++n);
		r = viability_judge(&scene.group, &strict, &verdict);
		if (!fail_alloc_end())
			break;
		assert_int_equal(r, -ENOMEM);
		assert_int_equal(verdict.n_blockers, 77);
	} while (n < 100);
	assert_int_equal(r, 0);
	assert_int_equal(n, 6);
	verdict_clear(&verdict);
}

static void knows_vfio_drivers_by_name(void **state)
{
	static const char *const yes[] = { "vfio-pci",    "mlx5_vfio_pci", "hisi_acc_vfio_pci", "qat_vfio_pci",
					   "xe-vfio-pci", "vfio-platform", "vfio-amba",         "vfio-fsl-mc",
					   "vfio-cdx",    "vfio_mdev",     "vfio_ap_mdev" };
	static const char *const no[] = { "",
					  "vfio",
					  "vfio-pci2",
					  "_vfio_pci",
					  "my-vfio-pci-helper",
					  "pcieport",
					  "uio_pci_generic",
					  "snd_hda_intel" };

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		assert_true(driver_is_vfio(yes[i]));
	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		assert_false(driver_is_vfio(no[i]));
}

static void a_driver_name_that_was_cut_is_no_vfio_driver(void **state)
{
	char name[DEVICE_DRIVER_MAX];

	memset(name, 'x', sizeof(name));
	strcpy(name + sizeof(name) - sizeof("_vfio_pci"), "_vfio_pci");
	assert_int_equal(strlen(name), DEVICE_DRIVER_MAX - 1);
	assert_false(driver_is_vfio(name));
	assert_true(driver_is_vfio(name + 1));
}

static void allows_only_drivers_that_do_no_dma(void **state)
{
	assert_true(driver_is_allowed("pcieport"));
	assert_true(driver_is_allowed("pci-stub"));
	assert_false(driver_is_allowed("pci-pf-stub"));
	assert_false(driver_is_allowed("shpchp"));
	assert_false(driver_is_allowed(""));
}

static void every_blocker_has_its_own_name(void **state)
{
	for (int i = 0; i < BLOCKER_KINDS; i++) {
		assert_non_null(blocker_kind_name(i));
		for (int j = 0; j < i; j++)
			assert_string_not_equal(blocker_kind_name(i), blocker_kind_name(j));
	}
	assert_string_equal(blocker_kind_name(BLOCKER_FOREIGN_DRIVER), "foreignDriver");
	assert_null(blocker_kind_name(BLOCKER_KINDS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_a_driverless_group_viable),
		cmocka_unit_test(finds_vfio_and_allowed_drivers_viable),
		cmocka_unit_test(names_device_driver_and_remedy_of_a_foreign_driver),
		cmocka_unit_test(names_every_foreign_driver_in_order_of_address),
		cmocka_unit_test(does_not_count_the_driver_of_a_device_that_moves),
		cmocka_unit_test(counts_the_driver_of_the_neighbour_of_a_device_that_moves),
		cmocka_unit_test(accepts_drivers_that_policy_adds),
		cmocka_unit_test(offers_a_bridge_pci_stub_and_not_vfio),
		cmocka_unit_test(offers_the_vfio_driver_of_the_bus),
		cmocka_unit_test(finds_a_firmware_mapping_and_names_its_range),
		cmocka_unit_test(accepts_regions_that_the_kernel_gives_up),
		cmocka_unit_test(names_each_firmware_mapping),
		cmocka_unit_test(never_finds_a_group_without_iommu_viable),
		cmocka_unit_test(finds_unsafe_interrupts_and_names_both_ways_out),
		cmocka_unit_test(accepts_unsafe_interrupts_when_the_admin_allowed_them),
		cmocka_unit_test(leaves_unknown_interrupt_isolation_to_the_kernel),
		cmocka_unit_test(blocks_a_boot_display_in_use_even_when_it_moves),
		cmocka_unit_test(names_the_framebuffer_that_holds_a_boot_display),
		cmocka_unit_test(reports_all_blockers_of_a_group_the_groups_own_first),
		cmocka_unit_test(texts_fit_with_the_longest_names),
		cmocka_unit_test(verdicts_are_equal_only_when_everything_is),
		cmocka_unit_test(a_verdict_takes_a_blocker_from_outside),
		cmocka_unit_test(judging_without_memory_leaves_nothing_behind),
		cmocka_unit_test(knows_vfio_drivers_by_name),
		cmocka_unit_test(a_driver_name_that_was_cut_is_no_vfio_driver),
		cmocka_unit_test(allows_only_drivers_that_do_no_dma),
		cmocka_unit_test(every_blocker_has_its_own_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
