/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How an mdev is given back: removed and made again, and never left without a way back. A tree of plain files, in which
 * `remove` and `create` keep what was written.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "helper/device-facts.h"
#include "helper/mdev.h"
#include "util/cleanup.h"

#define ADDRESS "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"
#define PARENT "devices/virtual/mtty/mtty"
#define DEVICE PARENT "/" ADDRESS
#define TYPE PARENT "/mdev_supported_types/mtty-1"
#define NOTE "run/mdev-" ADDRESS

static char tree[64];
static int tree_fd, journal_fd;
static struct device_state saved;

__attribute__((format(printf, 1, 2))) static void run(const char *format, ...)
{
	char command[512];
	size_t used = snprintf(command, sizeof(command), "cd %s && ", tree);
	va_list args;

	va_start(args, format);
	vsnprintf(command + used, sizeof(command) - used, format, args);
	va_end(args);
	assert_int_equal(system(command), 0);
}

static void assert_text(const char *file, const char *expected)
{
	char text[128] = "";
	_cleanup_fd_ int fd = openat(tree_fd, file, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_true(read(fd, text, sizeof(text) - 1) >= 0);
	assert_string_equal(text, expected);
}

static bool is_there(const char *file)
{
	return faccessat(tree_fd, file, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int set_up(void **state)
{
	struct bus_device device;

	strcpy(tree, "/tmp/iommud-mdev-XXXXXX");
	if (!mkdtemp(tree))
		return -1;
	run("mkdir -p run bus/mdev/devices bus/mdev/drivers/mtty class/mdev_bus kernel/iommu_groups/9/devices "
	    "%s/devices %s",
	    TYPE, DEVICE);
	run("ln -s ../../%s class/mdev_bus/mtty && ln -s ../../../%s bus/mdev/devices/" ADDRESS, PARENT, DEVICE);
	run("touch %s/create %s/remove %s/uevent", TYPE, DEVICE, DEVICE);
	run("ln -s ../../../../../bus/mdev/drivers/mtty %s/driver && ln -s ../mdev_supported_types/mtty-1 "
	    "%s/mdev_type",
	    DEVICE, DEVICE);
	run("ln -s ../../../../../kernel/iommu_groups/9 %s/iommu_group && touch kernel/iommu_groups/9/devices/" ADDRESS,
	    DEVICE);
	run("echo vfio-noiommu >kernel/iommu_groups/9/name");
	tree_fd = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	journal_fd = openat(tree_fd, "run", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(bus_device_open(tree_fd, ADDRESS, &device), 0);
	assert_int_equal(bus_device_read_snapshot(&device, &saved), 0);
	bus_device_close(&device);
	return 0;
}

static int tear_down(void **state)
{
	close(journal_fd);
	close(tree_fd);
	run("rm -rf %s", tree);
	return 0;
}

static struct device_facts facts(void)
{
	struct device_facts facts;
	struct bus_device device;

	assert_int_equal(bus_device_open(tree_fd, ADDRESS, &device), 0);
	assert_int_equal(device_facts_read(&device, &facts), 0);
	bus_device_close(&device);
	return facts;
}

static void an_mdev_has_no_override_and_no_ids(void **state)
{
	assert_string_equal(saved.bus, "mdev");
	assert_string_equal(saved.driver, "mtty");
	assert_string_equal(saved.driver_override, "");
	assert_int_equal(saved.id.vendor, 0);
	assert_string_equal(saved.id.address, ADDRESS);
}

static void its_group_is_no_no_iommu_group(void **state)
{
	assert_false(facts().no_iommu);
	assert_int_equal(facts().group_size, 1);
	assert_string_equal(facts().group, "9");
	assert_string_equal(facts().obstacle, "");
	/* What counts is its parent's. */
	run("mkdir kernel/iommu_groups/3 && echo vfio-noiommu >kernel/iommu_groups/3/name && ln -s "
	    "../../../../kernel/iommu_groups/3 %s/iommu_group",
	    PARENT);
	assert_true(facts().no_iommu);
}

static void one_that_could_not_be_made_again_is_not_handed_out(void **state)
{
	/* vfio_ap's: what is assigned to it ends with it. */
	run("touch %s/assign_adapter", DEVICE);
	assert_non_null(strstr(facts().obstacle, "setting assign_adapter would be lost"));
	run("chmod 0444 %s/assign_adapter", DEVICE);
	assert_string_equal(facts().obstacle, "");
	run("mv class/mdev_bus/mtty class/mdev_bus/other");
	assert_non_null(strstr(facts().obstacle, "could not be made again"));
}

static void one_whose_parent_is_user_spaces_is_not_handed_out(void **state)
{
	run("mkdir -p bus/pci/drivers/vfio-pci && ln -s ../../../../bus/pci/drivers/vfio-pci %s/driver", PARENT);
	assert_non_null(strstr(facts().obstacle, "its parent is on vfio-pci"));
}

static void a_parent_with_an_mdev_is_not_moved(void **state)
{
	struct device_facts facts;
	struct bus_device device;

	run("mkdir -p bus/platform/devices && ln -s ../../../%s bus/platform/devices/mtty", PARENT);
	assert_int_equal(bus_device_open(tree_fd, "mtty", &device), 0);
	assert_int_equal(device_facts_read(&device, &facts), 0);
	assert_string_equal(facts.obstacle, "");
	run("ln -s ../../../%s %s/devices/" ADDRESS, ADDRESS, TYPE);
	assert_int_equal(device_facts_read(&device, &facts), 0);
	assert_non_null(strstr(facts.obstacle, "parent of the mdev " ADDRESS));
	bus_device_close(&device);
}

static void is_removed_and_made_again(void **state)
{
	struct device_state now;
	struct mdev mdev;

	assert_int_equal(mdev_open(tree_fd, journal_fd, &saved, &mdev), 0);
	assert_int_equal(mdev_ops.has_driver(&mdev, "mtty"), 0);
	assert_int_equal(mdev_ops.set_override(&mdev, "mtty"), 0);
	assert_int_equal(mdev_ops.unbind(&mdev, "mtty"), 0);
	assert_text(DEVICE "/remove", "1");
	assert_text(NOTE, "mtty mtty-1\n");
	/* It is the same still, but for its driver: a transition goes on. */
	assert_int_equal(mdev_ops.read(&mdev, &now), 0);
	assert_true(device_state_is_same_device(&now, &saved));
	assert_string_equal(now.driver, "");
	assert_int_equal(mdev_ops.bind(&mdev, "mtty"), 0);
	assert_text(TYPE "/create", ADDRESS);
	assert_false(is_there(NOTE));
	assert_int_equal(mdev_ops.read(&mdev, &now), 0);
	assert_string_equal(now.driver, "mtty");
	mdev_close(&mdev);
}

/* As a helper finds it whose predecessor died in between. */
static void is_made_again_by_the_note(void **state)
{
	struct outcome outcome;
	struct mdev mdev;
	struct transition transition = { .ops = &mdev_ops, .device = &mdev };

	strcpy(saved.moved_to, saved.driver);
	run("mv bus/mdev/devices/" ADDRESS " gone && echo 'mtty mtty-1' >" NOTE);
	assert_int_equal(mdev_open(tree_fd, journal_fd, &saved, &mdev), 0);
	assert_true(mdev.removed);
	/* The parent does not make it here: that is a fault, and the way back stays known. */
	transition_restore(&transition, &saved, &outcome);
	assert_int_equal(outcome.status, HELPER_FAULT);
	assert_int_equal(outcome.step, HELPER_STEP_BIND);
	assert_text(TYPE "/create", ADDRESS);
	assert_true(is_there(NOTE));
	run("mv gone bus/mdev/devices/" ADDRESS);
	transition_restore(&transition, &saved, &outcome);
	assert_int_equal(outcome.status, HELPER_OK);
	assert_false(is_there(NOTE));
	mdev_close(&mdev);
}

static void one_that_somebody_removed_stays_removed(void **state)
{
	struct mdev mdev;

	run("rm bus/mdev/devices/" ADDRESS);
	assert_int_equal(mdev_open(tree_fd, journal_fd, &saved, &mdev), -ENOENT);
}

static void a_note_that_names_a_path_is_none(void **state)
{
	static const char *const notes[] = { "../../etc mtty-1", "mtty ../../x", "mtty", "", "mtty a/b", ".. x" };
	struct mdev mdev;

	run("rm bus/mdev/devices/" ADDRESS);
	for (size_t i = 0; i < ARRAY_SIZE(notes); i++) {
		run("echo '%s' >" NOTE, notes[i]);
		assert_int_equal(mdev_open(tree_fd, journal_fd, &saved, &mdev), -ENOENT);
	}
}

static void a_note_on_an_mdev_that_is_there_is_dropped(void **state)
{
	struct mdev mdev;

	run("echo 'mtty mtty-1' >" NOTE);
	assert_int_equal(mdev_open(tree_fd, journal_fd, &saved, &mdev), 0);
	assert_false(mdev.removed);
	assert_false(is_there(NOTE));
	mdev_close(&mdev);
}

/* Without a parent that could make it again it is not even removed. */
static void is_not_removed_without_a_way_back(void **state)
{
	struct mdev mdev;

	assert_int_equal(mdev_open(tree_fd, journal_fd, &saved, &mdev), 0);
	run("rm %s/create", TYPE);
	assert_int_equal(mdev_ops.unbind(&mdev, "mtty"), -ENOENT);
	assert_text(DEVICE "/remove", "");
	assert_false(is_there(NOTE));
	mdev_close(&mdev);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_mdev_has_no_override_and_no_ids),
		TEST(its_group_is_no_no_iommu_group),
		TEST(one_that_could_not_be_made_again_is_not_handed_out),
		TEST(one_whose_parent_is_user_spaces_is_not_handed_out),
		TEST(a_parent_with_an_mdev_is_not_moved),
		TEST(is_removed_and_made_again),
		TEST(is_made_again_by_the_note),
		TEST(one_that_somebody_removed_stays_removed),
		TEST(a_note_that_names_a_path_is_none),
		TEST(a_note_on_an_mdev_that_is_there_is_dropped),
		TEST(is_not_removed_without_a_way_back),
	};

	return cmocka_run_group_tests_name("helper-mdev", tests, NULL, NULL);
}
