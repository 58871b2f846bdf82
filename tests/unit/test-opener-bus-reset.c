/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The reset of buses by iommufd, on a /dev of stand-ins: the test is the kernel that answers ioctl(). That the real one does
 * it is shown in the VM. Making nodes needs root.
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
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "fake-sysfs.h"
#include "hw/opener.h"
#include "hw/vfio-abi.h"
#include "open-fds.h"
#include "util/cleanup.h"

#define N_DEVICES 3

static struct fake_sysfs *tree;
static int dev_fd;
static struct opener_device devices[N_DEVICES];
static size_t n_fds_before;
static char failed[256];

/* What the kernel was asked, and what it says. */
static struct {
	unsigned int n_bound;
	unsigned int n_reset;
	int iommu_fd; /* that the first one was bound to */
	dev_t reset[N_DEVICES]; /* the nodes whose buses were reset */
	unsigned int bind_fails_at; /* from 1; 0: at none */
	int bind_error;
	unsigned int reset_fails_at;
	int reset_error;
} kernel;

static int bind_device(const struct vfio_device_bind_iommufd *bind)
{
	assert_int_equal(bind->argsz, sizeof(*bind));
	assert_int_equal(bind->flags, 0);
	if (kernel.n_bound == 0)
		kernel.iommu_fd = bind->iommufd;
	assert_int_equal(bind->iommufd, kernel.iommu_fd);
	kernel.n_bound++;
	errno = kernel.bind_error;
	return kernel.n_bound == kernel.bind_fails_at ? -1 : 0;
}

static int reset_bus(int fd, const struct vfio_pci_hot_reset *reset)
{
	struct stat st;

	assert_int_equal(reset->argsz, sizeof(*reset));
	assert_int_equal(reset->flags, 0);
	assert_int_equal(reset->count, 0);
	/* What is not bound yet could be anybody's. */
	assert_int_equal(kernel.n_bound, N_DEVICES);
	assert_int_equal(fstat(fd, &st), 0);
	kernel.reset[kernel.n_reset++] = st.st_rdev;
	errno = kernel.reset_error;
	return kernel.n_reset == kernel.reset_fails_at ? -1 : 0;
}

/* In place of the C library's. */
int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *argument;

	va_start(args, request);
	argument = va_arg(args, void *);
	va_end(args);
	if (request == VFIO_DEVICE_BIND_IOMMUFD)
		return bind_device(argument);
	assert_int_equal(request, VFIO_DEVICE_PCI_HOT_RESET);
	return reset_bus(fd, argument);
}

static void make_node(const char *path, dev_t number)
{
	char whole[512];

	snprintf(whole, sizeof(whole), "%s/dev/%s", fake_sysfs_path(tree), path);
	if (mknod(whole, S_IFCHR | 0600, number) < 0)
		fail_msg("%s: %s", whole, strerror(errno));
}

/* Memory devices that can be opened anywhere, and that differ: null, zero and full. */
static const unsigned int minors[N_DEVICES] = { 3, 5, 7 };

static void make_device(unsigned int i)
{
	char path[128], number[16];

	snprintf(path, sizeof(path), "sys%u/vfio-dev/vfio%u/dev", i, i);
	snprintf(number, sizeof(number), "1:%u\n", minors[i]);
	fake_sysfs_write(tree, path, number);
	snprintf(path, sizeof(path), "%s/sys%u", fake_sysfs_path(tree), i);
	devices[i] = (struct opener_device){ .sysfs_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) };
	assert_true(devices[i].sysfs_fd >= 0);
	snprintf(devices[i].address, sizeof(devices[i].address), "0000:0%u:00.0", i);
	snprintf(path, sizeof(path), "vfio/devices/vfio%u", i);
	make_node(path, makedev(1, minors[i]));
}

static int setup(void **state)
{
	char path[512];

	tree = fake_sysfs_new();
	fake_sysfs_write(tree, "dev/vfio/devices/keep", "");
	snprintf(path, sizeof(path), "%s/dev", fake_sysfs_path(tree));
	dev_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(dev_fd >= 0);
	make_node("iommu", makedev(1, 3));
	for (unsigned int i = 0; i < N_DEVICES; i++)
		make_device(i);
	memset(&kernel, 0, sizeof(kernel));
	n_fds_before = count_open_fds();
	return 0;
}

static int teardown(void **state)
{
	assert_int_equal(count_open_fds(), n_fds_before);
	for (unsigned int i = 0; i < N_DEVICES; i++)
		close_fd(devices[i].sysfs_fd);
	close_fd(dev_fd);
	fake_sysfs_free(tree);
	return 0;
}

static int reset_buses(struct bus_reset *ret)
{
	memset(ret, 0xff, sizeof(*ret));
	failed[0] = '\0';
	return opener_iommufd.reset_buses(dev_fd, devices, N_DEVICES, ret, failed, sizeof(failed));
}

static void binds_all_and_resets_what_is_marked(void **state)
{
	struct bus_reset reset;

	devices[0].reset_bus = true;
	devices[2].reset_bus = true;
	assert_int_equal(reset_buses(&reset), 0);
	assert_true(reset.asked);
	assert_int_equal(reset.error, 0);
	assert_int_equal(kernel.n_bound, N_DEVICES);
	assert_int_equal(kernel.n_reset, 2);
	assert_true(kernel.reset[0] == makedev(1, minors[0]));
	assert_true(kernel.reset[1] == makedev(1, minors[2]));
}

static void what_the_kernel_will_not_reset_is_no_failure(void **state)
{
	static const int errors[] = { ENODEV, EINVAL, EPERM };

	devices[1].reset_bus = true;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		struct bus_reset reset;

		memset(&kernel, 0, sizeof(kernel));
		kernel.reset_fails_at = 1;
		kernel.reset_error = errors[i];
		assert_int_equal(reset_buses(&reset), 0);
		assert_true(reset.asked);
		assert_int_equal(reset.error, errors[i]);
		assert_true(bus_reset_is_impossible(&reset));
	}
}

static void a_reset_that_fails_ends_it(void **state)
{
	struct bus_reset reset;

	for (unsigned int i = 0; i < N_DEVICES; i++)
		devices[i].reset_bus = true;
	kernel.reset_fails_at = 2;
	kernel.reset_error = ENOTTY;
	assert_int_equal(reset_buses(&reset), -ENOTTY);
	assert_true(reset.asked);
	assert_int_equal(reset.error, ENOTTY);
	assert_int_equal(kernel.n_reset, 2);
	assert_string_equal(failed, "the bus of 0000:01:00.0 can't be reset");
}

/* Somebody has it: that is no word on the reset. */
static void a_device_that_can_not_be_bound_ends_it_before(void **state)
{
	struct bus_reset reset;

	devices[0].reset_bus = true;
	kernel.bind_fails_at = 2;
	kernel.bind_error = EBUSY;
	assert_int_equal(reset_buses(&reset), -EBUSY);
	assert_false(reset.asked);
	assert_int_equal(kernel.n_reset, 0);
	assert_string_equal(failed, "0000:01:00.0 can't be bound to an iommufd, for a reset of its bus");
	/* Not what would have us wait for udev. */
	kernel.n_bound = 0;
	kernel.bind_error = EACCES;
	assert_int_equal(reset_buses(&reset), -EIO);
}

static void a_node_that_is_not_there_yet_is_waited_for(void **state)
{
	struct bus_reset reset;
	char path[512];

	devices[0].reset_bus = true;
	snprintf(path, sizeof(path), "%s/dev/vfio/devices/vfio1", fake_sysfs_path(tree));
	assert_int_equal(remove(path), 0);
	assert_int_equal(reset_buses(&reset), -ENOENT);
	assert_false(reset.asked);
	assert_int_equal(kernel.n_bound, 0);
}

static void a_kernel_without_character_devices_can_not(void **state)
{
	struct bus_reset reset;
	char path[512];

	devices[0].reset_bus = true;
	snprintf(path, sizeof(path), "%s/sys1/vfio-dev/vfio1/dev", fake_sysfs_path(tree));
	assert_int_equal(remove(path), 0);
	assert_int_equal(reset_buses(&reset), 0);
	assert_true(reset.asked && bus_reset_is_impossible(&reset));
	assert_int_equal(kernel.n_bound, 0);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(binds_all_and_resets_what_is_marked),
		CASE(what_the_kernel_will_not_reset_is_no_failure),
		CASE(a_reset_that_fails_ends_it),
		CASE(a_device_that_can_not_be_bound_ends_it_before),
		CASE(a_node_that_is_not_there_yet_is_waited_for),
		CASE(a_kernel_without_character_devices_can_not),
	};

	return cmocka_run_group_tests_name("opener-bus-reset", tests, NULL, NULL);
}
