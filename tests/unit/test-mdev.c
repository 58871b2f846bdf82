/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mdevs as topology sees them: where they come from, that they are on vfio, and what their parents' groups have against them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "registry-fixture.h"
#include "topology/mdev.h"

#define MDEV "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"
#define SIBLING "83b8f4f2-509f-382f-3c1e-e6bfe0fa1002"
#define STRANGER "83b8f4f2-509f-382f-3c1e-e6bfe0fa1003"

static void add_mdev(struct registry_fixture *fixture, const char *address, const char *parent, int group)
{
	fake_sysfs_add_device(
		fixture->fake,
		&(struct fake_device){
			.address = address, .bus = "mdev", .parent = parent, .group = group, .driver = "nvidia-vgpu" });
	fake_sysfs_set_group_name(fixture->fake, group, "vfio-noiommu");
}

static void reads_where_an_mdev_comes_from(void **state)
{
	struct registry_fixture *fixture = *state;
	const struct device *mdev, *sibling, *stranger, *disk;

	add_mdev(fixture, MDEV, "pci0000:00/" PORT "/" GRAPHICS, 40);
	add_mdev(fixture, SIBLING, "pci0000:00/" PORT "/" GRAPHICS, 41);
	add_mdev(fixture, STRANGER, "virtual/mtty/mtty", 42);
	assert_int_equal(registry_scan(fixture->registry), 0);
	mdev = registry_find_device(fixture->registry, MDEV);
	sibling = registry_find_device(fixture->registry, SIBLING);
	stranger = registry_find_device(fixture->registry, STRANGER);
	disk = registry_find_device(fixture->registry, DISK);
	assert_string_equal(mdev->parent, GRAPHICS);
	assert_int_equal(mdev->parent_group, 1);
	assert_string_equal(stranger->parent, "mtty");
	assert_int_equal(stranger->parent_group, -1);
	assert_string_equal(disk->parent, "");
	assert_true(device_is_mdev(mdev));
	assert_false(device_is_mdev(disk));
	assert_true(mdev_is_sibling(mdev, sibling));
	assert_false(mdev_is_sibling(mdev, stranger));
	/* What is no mdev has no siblings: two empty names are not the same parent. */
	assert_false(mdev_is_sibling(disk, registry_find_device(fixture->registry, SOUND)));
}

static void an_mdev_is_on_vfio_under_any_name(void **state)
{
	struct device mdev = { .bus = "mdev", .parent = "mtty", .driver = "mtty" };
	struct device device = { .bus = "pci", .driver = "mtty" };

	assert_true(device_is_on_vfio(&mdev));
	mdev.driver[0] = '\0';
	assert_false(device_is_on_vfio(&mdev));
	assert_false(device_is_on_vfio(&device));
	strcpy(device.driver, "vfio-pci");
	assert_true(device_is_on_vfio(&device));
}

static void its_own_group_has_nothing_against_it(void **state)
{
	struct registry_fixture *fixture = *state;
	struct verdict verdict = { 0 };

	add_mdev(fixture, MDEV, "virtual/mtty/mtty", 40);
	assert_int_equal(registry_scan(fixture->registry), 0);
	assert_int_equal(
		viability_judge(registry_find_group(fixture->registry, 40), &(struct viability_options){ 0 }, &verdict),
		0);
	assert_true(verdict_is_viable(&verdict));
	verdict_clear(&verdict);
}

/* ---- the parent's group ---- */

struct family {
	struct group group;
	struct device parent, neighbour, mdev;
	struct mdev_parent of;
};

static void make_family(struct family *family)
{
	memset(family, 0, sizeof(*family));
	list_init(&family->group.devices);
	family->group.id = 7;
	family->parent = (struct device){ .id.address = "0000:01:00.0", .bus = "pci", .driver = "i915" };
	family->neighbour = (struct device){ .id.address = "0000:01:00.1", .bus = "pci", .driver = "snd_hda_intel" };
	family->mdev = (struct device){
		.id.address = MDEV, .bus = "mdev", .parent = "0000:01:00.0", .parent_group = 7, .driver = "i915_mdev"
	};
	family->parent.group = family->neighbour.group = &family->group;
	list_append(&family->group.devices, &family->parent.group_link);
	list_append(&family->group.devices, &family->neighbour.group_link);
	family->group.n_devices = 2;
	family->of.group = &family->group;
}

static void assert_fine(const struct family *family, bool unsafe)
{
	struct verdict verdict = { 0 };

	assert_int_equal(mdev_judge(&family->mdev, &family->of,
				    &(struct viability_options){ .unsafe_interrupts_allowed = unsafe }, &verdict),
			 0);
	assert_int_equal(verdict.n_blockers, 0);
}

static void assert_blocked(const struct family *family, enum blocker_kind kind, const char *said)
{
	struct verdict verdict = { 0 };

	assert_int_equal(mdev_judge(&family->mdev, &family->of, &(struct viability_options){ 0 }, &verdict), 0);
	assert_int_equal(verdict.n_blockers, 1);
	assert_int_equal(verdict.blockers[0].kind, kind);
	assert_string_equal(verdict.blockers[0].device, "0000:01:00.0");
	assert_non_null(strstr(verdict.blockers[0].message, "0000:01:00.0, the parent of " MDEV));
	if (!strstr(verdict.blockers[0].message, said))
		fail_msg("'%s' is not in: %s", said, verdict.blockers[0].message);
	assert_true(verdict.blockers[0].remedy[0]);
	verdict_clear(&verdict);
}

static void a_parent_that_is_the_hosts_is_fine(void **state)
{
	static struct reserved_region region = { .end = 0xffff, .type = "direct" };
	struct family family;

	make_family(&family);
	assert_fine(&family, false);
	/* The firmware's mapping stays, for the parent stays. */
	family.group.regions = &region;
	family.group.n_regions = 1;
	assert_fine(&family, false);
	/* A parent that is no hardware isolates by software. */
	family.of.group = NULL;
	assert_fine(&family, false);
}

static void a_parent_without_translation_is_a_blocker(void **state)
{
	struct family family;

	make_family(&family);
	family.group.no_iommu = true;
	assert_blocked(&family, BLOCKER_NO_IOMMU, "group 7");
}

static void a_parent_that_can_forge_interrupts_is_a_blocker(void **state)
{
	struct family family;

	make_family(&family);
	family.group.msi = MSI_NOT_ISOLATED;
	assert_blocked(&family, BLOCKER_UNSAFE_INTERRUPTS, "any interrupt");
	assert_fine(&family, true);
}

static void a_parent_that_shares_its_group_with_user_space_is_a_blocker(void **state)
{
	struct family family;

	make_family(&family);
	family.of.leased = true;
	assert_blocked(&family, BLOCKER_MDEV_PARENT, "which is leased");
	family.of.leased = false;
	strcpy(family.neighbour.driver, "vfio-pci");
	assert_blocked(&family, BLOCKER_MDEV_PARENT, "0000:01:00.1 is bound to vfio-pci");
}

static void a_parent_that_moves_loses_its_mdevs(void **state)
{
	struct verdict verdict = { 0 };
	struct family family;

	make_family(&family);
	assert_int_equal(mdev_judge_parent(&family.parent, &family.mdev, &verdict), 0);
	assert_int_equal(verdict.blockers[0].kind, BLOCKER_MDEV_PARENT);
	assert_non_null(strstr(verdict.blockers[0].message, "is the parent of the mdev " MDEV));
	assert_non_null(strstr(verdict.blockers[0].remedy, "/sys/bus/mdev/devices/" MDEV "/remove"));
	assert_string_equal(blocker_kind_name(verdict.blockers[0].kind), "mdevParent");
	verdict_clear(&verdict);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_TREE(reads_where_an_mdev_comes_from),
		WITH_TREE(its_own_group_has_nothing_against_it),
		cmocka_unit_test(an_mdev_is_on_vfio_under_any_name),
		cmocka_unit_test(a_parent_that_is_the_hosts_is_fine),
		cmocka_unit_test(a_parent_without_translation_is_a_blocker),
		cmocka_unit_test(a_parent_that_can_forge_interrupts_is_a_blocker),
		cmocka_unit_test(a_parent_that_shares_its_group_with_user_space_is_a_blocker),
		cmocka_unit_test(a_parent_that_moves_loses_its_mdevs),
	};

	return cmocka_run_group_tests_name("mdev", tests, NULL, NULL);
}
