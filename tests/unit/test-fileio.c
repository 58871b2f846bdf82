/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Small files below a folder: bounds, ends of lines, and outputs that stay alone on failure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "fail-alloc.h"
#include "fake-sysfs.h"
#include "open-fds.h"
#include "util/cleanup.h"
#include "util/fileio.h"

static struct fake_sysfs *tree; /* for its folder and its way to write files */
static size_t n_fds_before;

static int setup(void **state)
{
	tree = fake_sysfs_new();
	n_fds_before = count_open_fds();
	return 0;
}

static int teardown(void **state)
{
	size_t n = count_open_fds();

	tree = fake_sysfs_free(tree);
	return n == n_fds_before ? 0 : -1;
}

static int dir_fd(void)
{
	return fake_sysfs_fd(tree);
}

static void assert_read(const char *text, size_t size, int result, const char *expected)
{
	char buffer[64];

	memset(buffer, '#', sizeof(buffer));
	fake_sysfs_write(tree, "file", text);
	assert_int_equal(read_file_at(dir_fd(), "file", buffer, size), result);
	if (result == 0)
		assert_string_equal(buffer, expected);
	for (size_t i = size; i < sizeof(buffer); i++)
		assert_int_equal(buffer[i], '#');
}

static void reads_a_file_and_cuts_newlines_at_its_end(void **state)
{
	assert_read("text\n", 64, 0, "text");
	assert_read("text", 64, 0, "text");
	assert_read("a\nb\n\n\n", 64, 0, "a\nb");
	assert_read("", 64, 0, "");
	assert_read("\n", 64, 0, "");
	assert_read("  text \n", 64, 0, "  text ");
}

static void reads_what_fits_with_its_end(void **state)
{
	assert_read("1234567", 8, 0, "1234567");
	assert_read("12345678", 8, -E2BIG, NULL);
	assert_read("1234567\n", 8, -E2BIG, NULL); /* bounded before anything is cut */
	assert_read("", 1, 0, "");
	assert_read("x", 1, -E2BIG, NULL);
}

static void what_is_not_there_is_said(void **state)
{
	char buffer[8] = "as is";
	char *text = buffer;
	uint64_t value = 7;
	size_t size = 7;

	assert_int_equal(read_file_at(dir_fd(), "missing", buffer, sizeof(buffer)), -ENOENT);
	assert_int_equal(read_file_at(dir_fd(), ".", buffer, sizeof(buffer)), -EISDIR);
	assert_int_equal(read_whole_file_at(dir_fd(), "missing", 10, &text, &size), -ENOENT);
	assert_int_equal(read_whole_file_at(dir_fd(), ".", 10, &text, &size), -EISDIR);
	assert_int_equal(read_link_name_at(dir_fd(), "missing", buffer, sizeof(buffer)), -ENOENT);
	assert_int_equal(read_link_name_at(dir_fd(), ".", buffer, sizeof(buffer)), -EINVAL);
	assert_int_equal(read_u64_at(dir_fd(), "missing", &value), -ENOENT);
	assert_int_equal(write_file_at(dir_fd(), "missing", "x"), -ENOENT);
	assert_int_equal(open_dir_at(dir_fd(), "missing"), -ENOENT);
	assert_string_equal(buffer, "as is");
	assert_ptr_equal(text, buffer);
	assert_int_equal(value, 7);
	assert_int_equal(size, 7);
}

static void reads_a_whole_file_up_to_its_limit(void **state)
{
	char *text = NULL;
	size_t size = 0;

	fake_sysfs_write(tree, "file", "12345\n\n");
	assert_int_equal(read_whole_file_at(dir_fd(), "file", 7, &text, &size), 0);
	assert_string_equal(text, "12345\n\n"); /* nothing is cut here */
	assert_int_equal(size, 7);
	free(text);
	assert_int_equal(read_whole_file_at(dir_fd(), "file", 6, &text, &size), -E2BIG);
	assert_int_equal(read_whole_file_at(dir_fd(), "file", 100, &text, NULL), 0);
	assert_int_equal(strlen(text), 7);
	free(text);
	fail_alloc_begin(1);
	assert_int_equal(read_whole_file_at(dir_fd(), "file", 100, &text, NULL), -ENOMEM);
	assert_true(fail_alloc_end());
}

static void a_whole_file_may_hold_nul(void **state)
{
	char *text = NULL;
	size_t size = 0;

	assert_int_equal(read_whole_file_at(AT_FDCWD, "/proc/self/cmdline", 65536, &text, &size), 0);
	assert_true(size > strlen(text));
	assert_int_equal(text[size], '\0');
	free(text);
}

static void a_file_that_comes_in_pieces_is_read_whole(void **state)
{
	char path[64], buffer[64] = "";
	int ends[2];

	/* A pipe gives what is in it at the time; the rest comes with the next read. */
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_DIRECT), 0);
	assert_int_equal(write(ends[1], "one ", 4), 4);
	assert_int_equal(write(ends[1], "two\n", 4), 4);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", ends[0]);
	close_fd(ends[1]);
	assert_int_equal(read_file_at(AT_FDCWD, path, buffer, sizeof(buffer)), 0);
	assert_string_equal(buffer, "one two");
	close_fd(ends[0]);
}

static void writes_with_one_write_and_makes_no_file(void **state)
{
	char text[32];

	fake_sysfs_write(tree, "file", "");
	assert_int_equal(write_file_at(dir_fd(), "file", "0000:01:00.0"), 0);
	fake_sysfs_read(tree, "file", text, sizeof(text));
	assert_string_equal(text, "0000:01:00.0");
	/* As sysfs does: what is there is not cut off. */
	assert_int_equal(write_file_at(dir_fd(), "file", "1111"), 0);
	fake_sysfs_read(tree, "file", text, sizeof(text));
	assert_string_equal(text, "1111:01:00.0");
	assert_int_equal(write_file_at(AT_FDCWD, "/dev/full", "x"), -ENOSPC);
}

static void assert_link(const char *target, size_t size, int result, const char *expected)
{
	char buffer[32] = "as is";

	unlinkat(dir_fd(), "link", 0);
	assert_int_equal(symlinkat(target, dir_fd(), "link"), 0);
	assert_int_equal(read_link_name_at(dir_fd(), "link", buffer, size), result);
	assert_string_equal(buffer, expected);
}

static void reads_the_last_part_of_a_link(void **state)
{
	assert_link("../../bus/pci/drivers/e1000e", 32, 0, "e1000e");
	assert_link("e1000e", 32, 0, "e1000e");
	assert_link("e1000e", 7, 0, "e1000e");
	assert_link("../e1000e", 6, -ENAMETOOLONG, "as is");
	assert_link("ends/", 32, 0, "");
}

static void assert_number(const char *text, int result, uint64_t expected)
{
	uint64_t value = 77;

	fake_sysfs_write(tree, "file", text);
	assert_int_equal(read_u64_at(dir_fd(), "file", &value), result);
	assert_true(value == (result == 0 ? expected : 77));
}

static void reads_numbers_as_the_kernel_prints_them(void **state)
{
	assert_number("0\n", 0, 0);
	assert_number("42", 0, 42);
	assert_number("0x8086\n", 0, 0x8086);
	assert_number("0xFFFFFFFFFFFFFFFF\n", 0, UINT64_MAX);
	assert_number("18446744073709551615\n", 0, UINT64_MAX);
}

static void what_is_no_number_is_refused(void **state)
{
	static const char *const texts[] = { "",
					     "\n",
					     "-1\n",
					     "+1\n",
					     " 1\n",
					     "1 \n",
					     "1\n2\n",
					     "x\n",
					     "0x\n",
					     "0xg\n",
					     "12a\n",
					     "18446744073709551616\n",
					     "0x10000000000000000\n" };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_number(texts[i], -EINVAL, 0);
	assert_number("1111111111111111111111111111111111111111111111111111111111111111111111\n", -E2BIG, 0);
}

static void opens_folders_only(void **state)
{
	int fd;

	fake_sysfs_write(tree, "folder/file", "");
	fd = open_dir_at(dir_fd(), "folder");
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(faccessat(fd, "file", F_OK, 0), 0);
	close_fd(fd);
	assert_int_equal(open_dir_at(dir_fd(), "folder/file"), -ENOTDIR);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(reads_a_file_and_cuts_newlines_at_its_end),
		CASE(reads_what_fits_with_its_end),
		CASE(what_is_not_there_is_said),
		CASE(reads_a_whole_file_up_to_its_limit),
		CASE(a_whole_file_may_hold_nul),
		CASE(a_file_that_comes_in_pieces_is_read_whole),
		CASE(writes_with_one_write_and_makes_no_file),
		CASE(reads_the_last_part_of_a_link),
		CASE(reads_numbers_as_the_kernel_prints_them),
		CASE(what_is_no_number_is_refused),
		CASE(opens_folders_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
