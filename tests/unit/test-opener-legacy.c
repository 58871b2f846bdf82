/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The legacy opener as far as it goes without VFIO: nodes that are missing, links, and something else in the place of
 * /dev/vfio/vfio; and what it asks a kernel that says yes to all, and no to a token. The rest is shown in the VM. Also what
 * `struct opened` does when it is cleared.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "fake-sysfs.h"
#include "hw/opener.h"
#include "hw/vfio-abi.h"
#include "open-fds.h"
#include "util/cleanup.h"

static struct fake_sysfs *tree;
static int dev_fd;
static size_t n_fds_before;

/* A kernel that has VFIO, for as long as `kernel_answers`. Of a device it answers `kernel_error`, or hands out a file. */
static bool kernel_answers;
static int kernel_error;
static char asked_for[128];

static int get_device_fd(const char *name)
{
	snprintf(asked_for, sizeof(asked_for), "%s", name);
	if (!kernel_error)
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	errno = kernel_error;
	return -1;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *argument;

	va_start(args, request);
	argument = va_arg(args, void *);
	va_end(args);
	if (!kernel_answers) {
		errno = ENOTTY;
		return -1;
	}
	switch (request) {
	case VFIO_GROUP_GET_DEVICE_FD:
		return get_device_fd(argument);
	case VFIO_GROUP_GET_STATUS:
		((struct vfio_group_status *)argument)->flags = VFIO_GROUP_FLAGS_VIABLE;
		return 0;
	case VFIO_CHECK_EXTENSION:
		return 1;
	default: /* the version is 0, too */
		return 0;
	}
}

static int setup(void **state)
{
	char path[512];

	tree = fake_sysfs_new();
	fake_sysfs_write(tree, "dev/vfio/keep", "");
	snprintf(path, sizeof(path), "%s/dev", fake_sysfs_path(tree));
	dev_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	n_fds_before = count_open_fds();
	return dev_fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	dev_fd = close_fd(dev_fd);
	tree = fake_sysfs_free(tree);
	return 0;
}

static const char *container_path(void)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/dev/vfio/vfio", fake_sysfs_path(tree));
	return path;
}

static void assert_fails(int error, const char *said)
{
	struct opener_device devices[] = { { .address = "0000:01:00.0", .group = 1, .sysfs_fd = -1 },
					   { .address = "0000:02:00.0", .group = 2, .sysfs_fd = -1 } };
	struct opened opened = { .container_fd = 77, .n_devices = 88 };
	char failed[256] = "";

	assert_int_equal(opener_legacy.open(dev_fd, devices, 2, &opened, failed, sizeof(failed)), error);
	if (!strstr(failed, said))
		fail_msg("'%s' is not in: %s", said, failed);
	assert_int_equal(opened.container_fd, 77);
	assert_int_equal(opened.n_devices, 88);
	assert_int_equal(count_open_fds(), n_fds_before);
}

static void is_available_where_its_node_is(void **state)
{
	assert_string_equal(opener_legacy.name, "legacy");
	assert_true(opener_legacy.may_block);
	assert_false(opener_legacy.available(dev_fd));
	fake_sysfs_write(tree, "dev/vfio/vfio", "");
	assert_true(opener_legacy.available(dev_fd));
}

static void without_a_container_node(void **state)
{
	assert_fails(-ENOENT, "/dev/vfio/vfio can't be opened");
}

static void a_link_in_place_of_the_container_is_refused(void **state)
{
	assert_int_equal(symlink("/dev/null", container_path()), 0);
	assert_fails(-ELOOP, "/dev/vfio/vfio can't be opened");
}

static void something_that_does_not_speak_vfio(void **state)
{
	if (mknod(container_path(), S_IFCHR | 0600, makedev(1, 3)) < 0)
		fail_msg("%s", strerror(errno));
	assert_fails(-EOPNOTSUPP, "no type1 IOMMU; load vfio_iommu_type1");
	assert_int_equal(unlink(container_path()), 0);
	fake_sysfs_write(tree, "dev/vfio/vfio", "");
	assert_fails(-EOPNOTSUPP, "no type1 IOMMU");
}

static int open_with_token(const char *token, struct opened *opened, char *failed, size_t size)
{
	struct opener_device device = { .address = "0000:01:00.0", .group = 1, .sysfs_fd = -1 };
	int r;

	snprintf(device.vf_token, sizeof(device.vf_token), "%s", token);
	fake_sysfs_write(tree, "dev/vfio/vfio", "");
	fake_sysfs_write(tree, "dev/vfio/1", "");
	kernel_answers = true;
	r = opener_legacy.open(dev_fd, &device, 1, opened, failed, size);
	kernel_answers = false;
	kernel_error = 0;
	return r;
}

static void the_token_stands_behind_the_address(void **state)
{
	struct opened opened;
	char failed[256] = "";

	assert_int_equal(open_with_token("", &opened, failed, sizeof(failed)), 0);
	assert_string_equal(asked_for, "0000:01:00.0");
	opened_clear(&opened);
	assert_int_equal(open_with_token("f81d4fae-7dec-41d0-a765-00a0c91e6bf6", &opened, failed, sizeof(failed)), 0);
	assert_string_equal(asked_for, "0000:01:00.0 vf_token=f81d4fae-7dec-41d0-a765-00a0c91e6bf6");
	opened_clear(&opened);
	assert_int_equal(count_open_fds(), n_fds_before);
}

/* Not -EACCES: that would have the broker wait for udev. */
static void a_token_that_the_kernel_refuses_is_a_refusal(void **state)
{
	struct opened opened;
	char failed[256] = "";

	kernel_error = EACCES;
	assert_int_equal(open_with_token("f81d4fae-7dec-41d0-a765-00a0c91e6bf6", &opened, failed, sizeof(failed)),
			 -EPERM);
	assert_non_null(strstr(failed, "another VF token for 0000:01:00.0"));
	kernel_error = EIO;
	assert_int_equal(open_with_token("", &opened, failed, sizeof(failed)), -EIO);
	assert_string_equal(failed, "the kernel does not hand out 0000:01:00.0");
	assert_int_equal(count_open_fds(), n_fds_before);
}

static void what_was_never_opened_is_nothing_to_close(void **state)
{
	struct opened opened;

	opened_init(&opened);
	assert_int_equal(opened.iommu_fd, -1);
	assert_int_equal(opened.container_fd, -1);
	assert_int_equal(opened.n_devices, 0);
	for (size_t i = 0; i < OPENER_DEVICES_MAX; i++) {
		assert_int_equal(opened.device_fd[i], -1);
		assert_int_equal(opened.group_fd[i], -1);
	}
	opened_clear(&opened);
	assert_int_equal(count_open_fds(), n_fds_before);
}

static int open_null(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void clearing_closes_what_was_not_taken(void **state)
{
	struct opened opened;
	int taken;

	opened_init(&opened);
	opened.iommu_fd = open_null();
	opened.container_fd = open_null();
	opened.n_devices = OPENER_DEVICES_MAX;
	for (size_t i = 0; i < OPENER_DEVICES_MAX; i++) {
		opened.device_fd[i] = open_null();
		opened.group_fd[i] = i % 2 ? open_null() : -1;
	}
	taken = TAKE_FD(opened.device_fd[3]);
	assert_int_equal(count_open_fds(), n_fds_before + 2 + OPENER_DEVICES_MAX + OPENER_DEVICES_MAX / 2);
	opened_clear(&opened);
	assert_int_equal(count_open_fds(), n_fds_before + 1);
	assert_int_equal(close(taken), 0);
	/* Twice does no harm. */
	opened_clear(&opened);
	assert_int_equal(opened.device_fd[0], -1);
	assert_int_equal(opened.n_devices, 0);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(is_available_where_its_node_is),
		CASE(without_a_container_node),
		CASE(a_link_in_place_of_the_container_is_refused),
		CASE(something_that_does_not_speak_vfio),
		CASE(the_token_stands_behind_the_address),
		CASE(a_token_that_the_kernel_refuses_is_a_refusal),
		CASE(what_was_never_opened_is_nothing_to_close),
		CASE(clearing_closes_what_was_not_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
