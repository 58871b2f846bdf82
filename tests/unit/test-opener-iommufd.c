/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The iommufd opener on a /dev of stand-ins (c 1 3 for each node) and folders that look like a device's in sysfs. That the
 * kernel takes what it opens is shown in the VM. Making nodes needs root.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "fake-sysfs.h"
#include "hw/opener.h"
#include "open-fds.h"
#include "util/cleanup.h"

#define N_DEVICES 3
#define NULL_NUMBER makedev(1, 3)
#define ZERO_NUMBER makedev(1, 5)

/* The folders are a fake_sysfs for its way to write files: devices are below sys0, sys1, ..., nodes below dev. */
static struct fake_sysfs *tree;
static int dev_fd;
static struct opener_device devices[N_DEVICES];
static size_t n_fds_before;
static char failed[256];

static void make_node(const char *path, mode_t mode, dev_t number)
{
	char whole[512];

	snprintf(whole, sizeof(whole), "%s/dev/%s", fake_sysfs_path(tree), path);
	unlink(whole);
	if (mknod(whole, mode, number) < 0)
		fail_msg("%s: %s", whole, strerror(errno));
}

static void remove_below(const char *path)
{
	char whole[512];

	snprintf(whole, sizeof(whole), "%s/%s", fake_sysfs_path(tree), path);
	assert_int_equal(remove(whole), 0);
}

static void make_device(unsigned int i)
{
	char path[128];

	snprintf(path, sizeof(path), "sys%u/vfio-dev/vfio%u/dev", i, i);
	fake_sysfs_write(tree, path, "1:3\n");
	snprintf(path, sizeof(path), "%s/sys%u", fake_sysfs_path(tree), i);
	devices[i].sysfs_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(devices[i].sysfs_fd >= 0);
	snprintf(devices[i].address, sizeof(devices[i].address), "0000:0%u:00.0", i);
	snprintf(path, sizeof(path), "vfio/devices/vfio%u", i);
	make_node(path, S_IFCHR | 0600, NULL_NUMBER);
}

static int setup(void **state)
{
	char path[512];

	tree = fake_sysfs_new();
	fake_sysfs_write(tree, "dev/vfio/devices/keep", "");
	snprintf(path, sizeof(path), "%s/dev", fake_sysfs_path(tree));
	dev_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(dev_fd >= 0);
	make_node("iommu", S_IFCHR | 0600, NULL_NUMBER);
	for (unsigned int i = 0; i < N_DEVICES; i++)
		make_device(i);
	n_fds_before = count_open_fds();
	return 0;
}

static int teardown(void **state)
{
	size_t n_fds = count_open_fds();

	for (unsigned int i = 0; i < N_DEVICES; i++)
		devices[i].sysfs_fd = close_fd(devices[i].sysfs_fd);
	dev_fd = close_fd(dev_fd);
	tree = fake_sysfs_free(tree);
	return n_fds == n_fds_before ? 0 : -1;
}

/* Fails like this, says so, leaves no descriptor behind and its output alone. */
static void assert_fails(size_t first, size_t n, int error, const char *said)
{
	struct opened opened = { .iommu_fd = 77, .n_devices = 88 };

	failed[0] = '\0';
	assert_int_equal(opener_iommufd.open(dev_fd, devices + first, n, &opened, failed, sizeof(failed)), error);
	if (!strstr(failed, said))
		fail_msg("'%s' is not in: %s", said, failed);
	assert_int_equal(opened.iommu_fd, 77);
	assert_int_equal(opened.n_devices, 88);
	assert_int_equal(count_open_fds(), n_fds_before);
}

static bool is_cloexec(int fd)
{
	return fcntl(fd, F_GETFD) & FD_CLOEXEC;
}

static void opens_one_iommu_and_each_device(void **state)
{
	for (size_t n = 1; n <= N_DEVICES; n++) {
		struct opened opened;
		struct stat st;

		assert_int_equal(opener_iommufd.open(dev_fd, devices, n, &opened, failed, sizeof(failed)), 0);
		assert_int_equal(count_open_fds(), n_fds_before + n + 1);
		assert_int_equal(opened.n_devices, n);
		assert_int_equal(opened.container_fd, -1);
		assert_true(is_cloexec(opened.iommu_fd));
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(fstat(opened.device_fd[i], &st), 0);
			assert_true(st.st_rdev == NULL_NUMBER);
			assert_true(is_cloexec(opened.device_fd[i]));
			assert_int_equal(opened.group_fd[i], -1);
		}
		opened_clear(&opened);
		assert_int_equal(count_open_fds(), n_fds_before);
	}
}

static void is_available_where_its_node_is(void **state)
{
	assert_string_equal(opener_iommufd.name, "iommufd");
	assert_false(opener_iommufd.may_block);
	assert_true(opener_iommufd.available(dev_fd));
	remove_below("dev/iommu");
	assert_false(opener_iommufd.available(dev_fd));
	assert_fails(0, 1, -ENOENT, "/dev/iommu can't be opened");
}

static void another_device_at_the_node_is_stale(void **state)
{
	make_node("vfio/devices/vfio0", S_IFCHR | 0600, ZERO_NUMBER);
	assert_fails(0, 1, -ESTALE, "/dev/vfio/devices/vfio0 is not the node of 0000:00:00.0: sysfs has 1:3");
}

static void a_node_of_another_kind_is_stale(void **state)
{
	make_node("vfio/devices/vfio0", S_IFREG | 0600, 0);
	assert_fails(0, 1, -ESTALE, "is not the node");
	make_node("vfio/devices/vfio0", S_IFIFO | 0600, 0);
	assert_fails(0, 1, -ESTALE, "is not the node");
}

static void a_link_in_place_of_the_node_is_refused(void **state)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/dev/vfio/devices/vfio0", fake_sysfs_path(tree));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("vfio1", path), 0);
	assert_fails(0, 1, -ELOOP, "/dev/vfio/devices/vfio0 of 0000:00:00.0 can't be opened");
}

static void a_node_that_is_not_there_yet(void **state)
{
	remove_below("dev/vfio/devices/vfio0");
	assert_fails(0, 1, -ENOENT, "/dev/vfio/devices/vfio0 of 0000:00:00.0 can't be opened");
}

static void a_device_on_no_vfio_driver(void **state)
{
	remove_below("sys0/vfio-dev/vfio0/dev");
	remove_below("sys0/vfio-dev/vfio0");
	assert_fails(0, 1, -ENODEV, "0000:00:00.0 has no vfio-dev entry");
	remove_below("sys0/vfio-dev");
	assert_fails(0, 1, -ENODEV, "0000:00:00.0 has no vfio-dev entry");
}

static void a_kernel_without_character_devices(void **state)
{
	remove_below("sys0/vfio-dev/vfio0/dev");
	assert_fails(0, 1, -EOPNOTSUPP, "CONFIG_VFIO_DEVICE_CDEV");
}

static void a_device_number_that_is_none(void **state)
{
	static const char *const texts[] = { "", "\n", "vfio\n", "1\n", ":3\n" };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		fake_sysfs_write(tree, "sys0/vfio-dev/vfio0/dev", texts[i]);
		assert_fails(0, 1, -EIO, "0000:00:00.0");
	}
}

static void what_is_no_vfio_entry_is_passed_over(void **state)
{
	struct opened opened;

	fake_sysfs_write(tree, "sys0/vfio-dev/power/dev", "1:5\n");
	fake_sysfs_write(tree, "sys0/vfio-dev/vfio0123456789012345678901234567890/dev", "1:5\n");
	assert_int_equal(opener_iommufd.open(dev_fd, devices, 1, &opened, failed, sizeof(failed)), 0);
	opened_clear(&opened);
}

/* Whichever device of several fails, those before it are closed again. */
static void the_failure_of_one_closes_the_others(void **state)
{
	for (unsigned int i = 0; i < N_DEVICES; i++) {
		char path[128], address[32];

		snprintf(path, sizeof(path), "vfio/devices/vfio%u", i);
		snprintf(address, sizeof(address), "0000:0%u:00.0", i);
		make_node(path, S_IFCHR | 0600, ZERO_NUMBER);
		assert_fails(0, N_DEVICES, -ESTALE, address);
		make_node(path, S_IFCHR | 0600, NULL_NUMBER);
	}
	remove_below("sys1/vfio-dev/vfio1/dev");
	assert_fails(0, N_DEVICES, -EOPNOTSUPP, "0000:01:00.0");
	remove_below("dev/vfio/devices/vfio0");
	assert_fails(0, N_DEVICES, -ENOENT, "0000:00:00.0");
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(opens_one_iommu_and_each_device),
		CASE(is_available_where_its_node_is),
		CASE(another_device_at_the_node_is_stale),
		CASE(a_node_of_another_kind_is_stale),
		CASE(a_link_in_place_of_the_node_is_refused),
		CASE(a_node_that_is_not_there_yet),
		CASE(a_device_on_no_vfio_driver),
		CASE(a_kernel_without_character_devices),
		CASE(a_device_number_that_is_none),
		CASE(what_is_no_vfio_entry_is_passed_over),
		CASE(the_failure_of_one_closes_the_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
