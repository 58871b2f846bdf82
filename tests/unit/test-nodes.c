/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which nodes below /dev a device has, by what sysfs shows. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

#include "topology/nodes.h"
#include "util/cleanup.h"

static char tree[64];
static int sysfs_fd, device_fd;

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

static int set_up(void **state)
{
	strcpy(tree, "/tmp/iommud-nodes-XXXXXX");
	if (!mkdtemp(tree))
		return -1;
	run("mkdir -p device kernel/iommu_groups/12 class/vfio/12 && ln -s ../kernel/iommu_groups/12 device/iommu_group && "
	    "echo 242:7 >class/vfio/12/dev");
	sysfs_fd = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	device_fd = openat(sysfs_fd, "device", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return device_fd < 0;
}

static int tear_down(void **state)
{
	close_fd(device_fd);
	close_fd(sysfs_fd);
	run("rm -rf %s", tree);
	return 0;
}

static void its_own_and_its_groups(void **state)
{
	struct device_nodes nodes;

	run("mkdir -p device/vfio-dev/vfio3 && echo 241:3 >device/vfio-dev/vfio3/dev");
	assert_int_equal(device_nodes_read(sysfs_fd, device_fd, &nodes), 0);
	assert_int_equal(nodes.n, 2);
	assert_string_equal(nodes.list[0].name, "vfio/devices/vfio3");
	assert_true(nodes.list[0].number == makedev(241, 3));
	assert_string_equal(nodes.list[1].name, "vfio/12");
	assert_true(nodes.list[1].number == makedev(242, 7));
}

static void a_kernel_without_cdev_has_the_groups_only(void **state)
{
	struct device_nodes nodes;

	run("mkdir -p device/vfio-dev/vfio3");
	assert_int_equal(device_nodes_read(sysfs_fd, device_fd, &nodes), 0);
	assert_int_equal(nodes.n, 1);
	assert_string_equal(nodes.list[0].name, "vfio/12");
}

static void a_device_that_is_not_on_vfio_has_none(void **state)
{
	struct device_nodes nodes;

	run("rm -r class/vfio");
	assert_int_equal(device_nodes_read(sysfs_fd, device_fd, &nodes), 0);
	assert_int_equal(nodes.n, 0);
	run("rm device/iommu_group");
	assert_int_equal(device_nodes_read(sysfs_fd, device_fd, &nodes), 0);
	assert_int_equal(nodes.n, 0);
}

static void what_is_no_number_is_a_fault(void **state)
{
	struct device_nodes nodes = { .n = 9 };

	run("echo nonsense >class/vfio/12/dev");
	assert_int_equal(device_nodes_read(sysfs_fd, device_fd, &nodes), -EBADMSG);
	assert_int_equal(nodes.n, 9);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest cases[] = {
		CASE(its_own_and_its_groups),
		CASE(a_kernel_without_cdev_has_the_groups_only),
		CASE(a_device_that_is_not_on_vfio_has_none),
		CASE(what_is_no_number_is_a_fault),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
