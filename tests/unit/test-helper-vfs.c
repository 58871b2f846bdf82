/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Making virtual functions, on a device's folder of plain files: what is written to sriov_numvfs, and when nothing is. That
 * devices come of it, and what a real driver says, is shown in the VM.
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
#include <sys/syscall.h>
#include <unistd.h>

#include "fake-sysfs.h"
#include "helper/vfs.h"
#include "policy-text.h"
#include "util/cleanup.h"

#define NUM_VFS(n) "[Match]\nVendor=8086\n[Host]\nNumVFs=" n "\n"

static struct fake_sysfs *tree;
static int device_fd;

/* What the kernel's part of a write does, in place of the file. */
static int kernel_error;
static const char *kernel_takes;

ssize_t write(int fd, const void *buffer, size_t size)
{
	if (kernel_error) {
		errno = kernel_error;
		return -1;
	}
	if (!kernel_takes)
		return syscall(SYS_write, fd, buffer, size);
	return syscall(SYS_write, fd, kernel_takes, strlen(kernel_takes)) < 0 ? -1 : (ssize_t)size;
}

static int setup(void **state)
{
	char path[512];

	tree = fake_sysfs_new();
	fake_sysfs_add_device(tree, &(struct fake_device){ .address = test_nic.address, .group = 1, .driver = "igb" });
	fake_sysfs_set_attribute(tree, test_nic.address, "sriov_totalvfs", "8");
	fake_sysfs_set_attribute(tree, test_nic.address, "sriov_numvfs", "0");
	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s", fake_sysfs_path(tree), test_nic.address);
	device_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return device_fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	device_fd = close_fd(device_fd);
	tree = fake_sysfs_free(tree);
	return 0;
}

static void set_number(const char *text)
{
	fake_sysfs_set_attribute(tree, test_nic.address, "sriov_numvfs", text);
}

static void assert_number(const char *expected)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), "bus/pci/devices/%s/sriov_numvfs", test_nic.address);
	fake_sysfs_read(tree, path, text, sizeof(text));
	assert_string_equal(text, expected);
}

static struct vfs_result make(const char *text, const char *driver, const char *physical_function)
{
	const struct policy_subject subject = { .id = &test_nic,
						.driver = driver,
						.physical_function = physical_function };
	struct policy *policy = policy_must_load(text);
	struct vfs_result result;

	vfs_make(device_fd, policy, &subject, &result);
	policy_free(policy);
	return result;
}

static void makes_as_many_as_the_policy_says(void **state)
{
	struct vfs_result result = make(NUM_VFS("8"), "igb", "");

	assert_int_equal(result.outcome.status, HELPER_OK);
	assert_int_equal(result.n_made, 8);
	assert_string_equal(result.detail, "");
	assert_number("8");
}

/* Never less than there are, never others: they may be in use. */
static void leaves_alone_what_has_some(void **state)
{
	struct vfs_result result;

	set_number("4");
	result = make(NUM_VFS("4"), "igb", "");
	assert_int_equal(result.outcome.status, HELPER_OK);
	assert_int_equal(result.n_made, 0);
	assert_string_equal(result.detail, "it has 4 already");
	result = make(NUM_VFS("2"), "igb", "");
	assert_int_equal(result.outcome.status, HELPER_OK);
	assert_int_equal(result.n_made, 0);
	assert_string_equal(result.detail,
			    "it has 4, not NumVFs=2; to change that, write 0 to its sriov_numvfs, and reload");
	assert_number("4");
}

static void names_both_numbers_when_it_is_too_many(void **state)
{
	struct vfs_result result = make(NUM_VFS("9"), "igb", "");

	assert_int_equal(result.outcome.status, HELPER_FAULT);
	assert_int_equal(result.outcome.step, HELPER_STEP_MAKE_VFS);
	assert_int_equal(result.outcome.error, ERANGE);
	assert_string_equal(result.detail, "NumVFs=9 is more than its sriov_totalvfs, 8; see t.policy:1");
	assert_number("0");
}

static void refuses(const char *policy, const char *driver, const char *physical_function, const char *said)
{
	struct vfs_result result = make(policy, driver, physical_function);

	assert_int_equal(result.outcome.status, HELPER_REFUSED);
	assert_int_equal(result.n_made, 0);
	if (!strstr(result.detail, said))
		fail_msg("'%s' is not in: %s", said, result.detail);
	assert_number("0");
}

static void makes_none_that_nobody_wants(void **state)
{
	refuses("[Match]\nVendor=10de\n[Host]\nNumVFs=4\n", "igb", "", "no [Host] section");
	/* A virtual function has none itself. */
	refuses(NUM_VFS("4"), "igbvf", "0000:02:00.0", "no [Host] section");
}

static void makes_none_but_for_the_hosts_drivers(void **state)
{
	refuses(NUM_VFS("4"), "", "", "it is on no driver");
	refuses(NUM_VFS("4"), "vfio-pci", "", "it is on vfio-pci");
	refuses(NUM_VFS("4"), "mlx5_vfio_pci", "", "it is on mlx5_vfio_pci");
	refuses(NUM_VFS("4"), "pci-stub", "", "it is on pci-stub");
}

static void a_device_without_sriov_makes_none(void **state)
{
	struct vfs_result result;

	fake_sysfs_set_attribute(tree, test_nic.address, "sriov_totalvfs", NULL);
	refuses(NUM_VFS("4"), "igb", "", "it has no SR-IOV");
	fake_sysfs_set_attribute(tree, test_nic.address, "sriov_totalvfs", "many");
	result = make(NUM_VFS("4"), "igb", "");
	assert_int_equal(result.outcome.status, HELPER_FAULT);
	assert_non_null(strstr(result.detail, "can't be read"));
}

static void fails(const char *policy, int error, const char *said)
{
	struct vfs_result result = make(policy, "igb", "");

	kernel_error = 0;
	kernel_takes = NULL;
	assert_int_equal(result.outcome.status, HELPER_FAULT);
	assert_int_equal(result.outcome.step, HELPER_STEP_MAKE_VFS);
	assert_int_equal(result.outcome.error, error);
	assert_int_equal(result.n_made, 0);
	assert_string_equal(result.detail, said);
}

static void what_the_kernel_says_is_told(void **state)
{
	kernel_error = ENOMEM;
	fails(NUM_VFS("4"), ENOMEM, "igb could not make 4: Cannot allocate memory; see 'dmesg'");
	kernel_error = ENOENT;
	fails(NUM_VFS("4"), ENOENT, "its driver igb can't make virtual functions");
	/* It may take the number, and make less. */
	kernel_takes = "3";
	fails(NUM_VFS("4"), EIO, "igb made 3 of 4; see 'dmesg'");
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(makes_as_many_as_the_policy_says),       CASE(leaves_alone_what_has_some),
		CASE(names_both_numbers_when_it_is_too_many), CASE(makes_none_that_nobody_wants),
		CASE(makes_none_but_for_the_hosts_drivers),   CASE(a_device_without_sriov_makes_none),
		CASE(what_the_kernel_says_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
