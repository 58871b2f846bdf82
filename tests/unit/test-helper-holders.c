/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who has a device: on a procfs of links that the test writes, for what can't be had without VFIO, and on the real one, with
 * children that have a stand-in for the node open.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "helper/holders.h"
#include "util/cleanup.h"

/* A device number that nobody else on the machine has open: memory's, without a driver. */
#define MINOR 77
#define NODE makedev(1, 5) /* /dev/zero */
/* Of a device that is on vfio. */
#define ON_VFIO(device) .list = { { .number = (device) } }, .n = 1, .vfio = true

struct place {
	char path[64];
	pid_t child;
	int hold; /* closing it ends the child */
};

static void run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void run(const char *format, ...)
{
	char command[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	assert_int_equal(system(command), 0);
}

static int start(void **state)
{
	static struct place place;

	place = (struct place){ .path = "/tmp/iommud-holders-XXXXXX", .child = -1, .hold = -1 };
	assert_non_null(mkdtemp(place.path));
	*state = &place;
	return 0;
}

static int stop(void **state)
{
	const struct place *place = *state;

	close_fd(place->hold);
	if (place->child > 0)
		waitpid(place->child, NULL, 0);
	run("rm -rf %s", place->path);
	return 0;
}

/* ---- a procfs of links ---- */

static void process(const struct place *place, int pid, const char *comm)
{
	run("mkdir -p %s/%d/fd && printf '%%s\\n' '%s' >%s/%d/comm", place->path, pid, comm, place->path, pid);
}

static void has(const struct place *place, int pid, int fd, const char *target)
{
	run("ln -s '%s' %s/%d/fd/%d", target, place->path, pid, fd);
}

static void a_process_with_the_node_is_named(void **state)
{
	const struct holder_nodes nodes = { ON_VFIO(NODE) };
	const struct place *place = *state;
	struct holders holders;

	process(place, 7, "qemu (x) y");
	has(place, 7, 3, "/dev/zero");
	process(place, 8, "cat");
	has(place, 8, 3, "/dev/null");
	run("mkdir -p %s/self/fd && ln -s /dev/zero %s/self/fd/3", place->path, place->path);
	assert_int_equal(holders_find(place->path, &nodes, &holders), 0);
	assert_int_equal(holders.n, 1);
	assert_int_equal(holders.list[0].pid, 7);
	assert_int_equal(holders.list[0].unsure, 0);
	assert_string_equal(holders.list[0].comm, "qemu (x) y");
	assert_int_equal(holders.more, 0);
}

static void a_device_without_a_name_counts_with_its_group(void **state)
{
	const struct holder_nodes nodes = { ON_VFIO(makedev(1, MINOR)), .group = NODE };
	const struct place *place = *state;
	struct holders holders;

	process(place, 7, "both");
	has(place, 7, 3, "anon_inode:[vfio-device]");
	has(place, 7, 4, "/dev/zero");
	process(place, 8, "only-group");
	has(place, 8, 3, "/dev/zero");
	process(place, 9, "only-device");
	has(place, 9, 3, "anon_inode:[vfio-device]");
	assert_int_equal(holders_find(place->path, &nodes, &holders), 0);
	assert_int_equal(holders.n, 1);
	assert_string_equal(holders.list[0].comm, "both");
	assert_int_equal(holders.list[0].unsure, 0);
}

static void without_a_better_one_a_nameless_device_may_be_it(void **state)
{
	const struct holder_nodes nodes = { ON_VFIO(makedev(1, MINOR)) };
	const struct place *place = *state;
	struct holders holders;

	process(place, 9, "only-device");
	has(place, 9, 3, "anon_inode:[vfio-device]");
	process(place, 10, "nothing");
	has(place, 10, 3, "anon_inode:[eventfd]");
	has(place, 10, 4, "socket:[77]");
	assert_int_equal(holders_find(place->path, &nodes, &holders), 0);
	assert_int_equal(holders.n, 1);
	assert_int_equal(holders.list[0].pid, 9);
	assert_int_equal(holders.list[0].unsure, 1);
}

static void more_than_have_a_place_are_counted(void **state)
{
	const struct holder_nodes nodes = { ON_VFIO(NODE) };
	const struct place *place = *state;
	struct holders holders;

	for (int i = 0; i < HELPER_HOLDERS_MAX + 3; i++) {
		process(place, 100 + i, "many-threads-and-a-long-name");
		has(place, 100 + i, 5, "/dev/zero");
	}
	assert_int_equal(holders_find(place->path, &nodes, &holders), 0);
	assert_int_equal(holders.n, HELPER_HOLDERS_MAX);
	assert_int_equal(holders.more, 3);
	assert_string_equal(holders.list[0].comm, "many-threads-an");
}

static void unknown_numbers_match_nothing(void **state)
{
	const struct holder_nodes nodes = { 0 };
	const struct place *place = *state;
	struct holders holders;

	/* A number of 0 is no character device's; and one that has gone in the middle is passed over. */
	process(place, 7, "cat");
	has(place, 7, 3, "/dev/null");
	has(place, 7, 4, "/nonexistent");
	run("mkdir %s/8", place->path);
	assert_int_equal(holders_find(place->path, &nodes, &holders), 0);
	assert_int_equal(holders.n, 0);
}

static void without_procfs_it_is_a_fault(void **state)
{
	const struct holder_nodes nodes = { 0 };
	struct holders holders = { .n = 99 };

	assert_int_equal(holders_find("/nonexistent", &nodes, &holders), -ENOENT);
	assert_int_equal(holders.n, 99);
}

/* ---- the real one ---- */

static void start_child(struct place *place, const char *node, bool removed)
{
	int pair[2], ready[2];
	char byte;

	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	place->child = fork();
	assert_true(place->child >= 0);
	if (place->child == 0) {
		close(pair[1]);
		prctl(PR_SET_NAME, "keeper");
		if (open(node, O_RDWR) < 0 || (removed && unlink(node) < 0) || write(ready[1], "", 1) != 1)
			_exit(1);
		_exit(read(pair[0], &byte, 1) < 0);
	}
	close(pair[0]);
	close(ready[1]);
	place->hold = pair[1];
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
}

static bool is_named(const struct holders *holders, pid_t pid, bool unsure)
{
	for (size_t i = 0; i < holders->n; i++) {
		const struct helper_holder *holder = &holders->list[i];

		if (holder->pid == pid && (bool)holder->unsure == unsure && strcmp(holder->comm, "keeper") == 0)
			return true;
	}
	return false;
}

static void make_node(struct place *place, char path[128])
{
	run("mkdir -p %s/dev/vfio/devices", place->path);
	snprintf(path, 128, "%s/dev/vfio/devices/vfio3", place->path);
	/* /dev/full: can be opened, and hardly anybody does. */
	if (mknod(path, S_IFCHR | 0600, makedev(1, 7)) < 0)
		skip();
}

static void a_child_with_the_node_is_found_until_it_ends(void **state)
{
	const struct holder_nodes nodes = { ON_VFIO(makedev(1, 7)) };
	struct place *place = *state;
	struct holders holders;
	char path[128];

	make_node(place, path);
	start_child(place, path, false);
	assert_int_equal(holders_find("/proc", &nodes, &holders), 0);
	assert_true(is_named(&holders, place->child, false));
	place->hold = close_fd(place->hold);
	assert_int_equal(waitpid(place->child, NULL, 0), place->child);
	assert_int_equal(holders_find("/proc", &nodes, &holders), 0);
	assert_false(is_named(&holders, place->child, false));
	place->child = -1;
}

/* As when the helper was restarted in the middle: sysfs does not show the number any more, and the node is gone. */
static void a_node_that_was_removed_may_be_it(void **state)
{
	const struct holder_nodes nodes = { .vfio = true }, other = { ON_VFIO(makedev(1, MINOR)) };
	struct place *place = *state;
	struct holders holders;
	char path[128];

	make_node(place, path);
	start_child(place, path, true);
	assert_int_equal(holders_find("/proc", &nodes, &holders), 0);
	assert_true(is_named(&holders, place->child, true));
	/* Where the number is known, it is known not to be it. */
	assert_int_equal(holders_find("/proc", &other, &holders), 0);
	assert_false(is_named(&holders, place->child, true));
}

/* ---- sysfs ---- */

static void reads_the_numbers_from_sysfs(void **state)
{
	const struct place *place = *state;
	struct holder_nodes nodes = { 0 };
	_cleanup_fd_ int sysfs_fd = -1, device_fd = -1;
	char path[128];

	run("cd %s && mkdir -p dev/vfio-dev/vfio3 class/vfio/12 groups/12 && echo 510:3 >dev/vfio-dev/vfio3/dev && "
	    "echo 240:1 >class/vfio/12/dev && ln -s ../groups/12 dev/iommu_group",
	    place->path);
	sysfs_fd = open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(path, sizeof(path), "%s/dev", place->path);
	device_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	holder_nodes_read(sysfs_fd, device_fd, &nodes);
	assert_int_equal(nodes.n, 1);
	assert_true(nodes.list[0].number == makedev(510, 3) && !nodes.list[0].block);
	assert_true(nodes.group == makedev(240, 1));
	/* While it is unbound, what was known stays. */
	run("rm -r %s/dev/vfio-dev", place->path);
	holder_nodes_read(sysfs_fd, device_fd, &nodes);
	assert_int_equal(nodes.n, 1);
	assert_true(nodes.list[0].number == makedev(510, 3));
}

static struct holder_nodes read_nodes(const struct place *place)
{
	struct holder_nodes nodes = { 0 };
	_cleanup_fd_ int sysfs_fd = open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_fd_ int device_fd = openat(sysfs_fd, "dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	holder_nodes_read(sysfs_fd, device_fd, &nodes);
	return nodes;
}

/* A disk has nodes of both kinds, at any depth. What is behind a link belongs to another device. */
static void reads_the_nodes_of_a_driver_of_the_hosts(void **state)
{
	const struct place *place = *state;
	struct holder_nodes nodes;

	run("cd %s && mkdir -p dev/nvme/nvme0/nvme0n1/nvme0n1p1 dev/power other/misc/x class/block class/nvme && "
	    "echo 240:0 >dev/nvme/nvme0/dev && ln -s ../../../class/nvme dev/nvme/nvme0/subsystem && "
	    "echo 259:0 >dev/nvme/nvme0/nvme0n1/dev && ln -s ../../../../class/block dev/nvme/nvme0/nvme0n1/subsystem && "
	    "echo 259:1 >dev/nvme/nvme0/nvme0n1/nvme0n1p1/dev && "
	    "ln -s ../../../../../class/block dev/nvme/nvme0/nvme0n1/nvme0n1p1/subsystem && "
	    "echo 10:9 >other/misc/x/dev && ln -s ../other dev/consumer && echo 10:8 >dev/power/dev",
	    place->path);
	nodes = read_nodes(place);
	assert_int_equal(nodes.n, 3);
	for (size_t i = 0; i < nodes.n; i++)
		assert_true((nodes.list[i].number == makedev(240, 0) && !nodes.list[i].block) ||
			    (major(nodes.list[i].number) == 259 && nodes.list[i].block));
	assert_int_equal(nodes.group, 0);
}

static void the_walk_through_sysfs_has_an_end(void **state)
{
	const struct place *place = *state;

	run("cd %s && mkdir dev && cd dev && for i in $(seq 60); do mkdir n$i && echo 10:$i >n$i/dev; done",
	    place->path);
	assert_int_equal(read_nodes(place).n, HOLDER_NODES_MAX);
	run("cd %s && rm -r dev && mkdir dev && cd dev && for i in $(seq 20); do mkdir d && cd d; done && echo 10:1 >dev",
	    place->path);
	assert_int_equal(read_nodes(place).n, 0);
}

/* Its driver is not vfio: who has VFIO devices has others. */
static void nobody_may_have_a_device_that_is_not_on_vfio(void **state)
{
	const struct holder_nodes nodes = { .group = NODE };
	const struct place *place = *state;
	struct holders holders;

	process(place, 7, "both");
	has(place, 7, 3, "anon_inode:[vfio-device]");
	has(place, 7, 4, "/dev/zero");
	process(place, 8, "only-device");
	has(place, 8, 3, "anon_inode:[vfio-device]");
	assert_int_equal(holders_find(place->path, &nodes, &holders), 0);
	assert_int_equal(holders.n, 0);
}

/* The numbers of block and character devices are counted apart. */
static void a_block_device_is_no_character_device(void **state)
{
	const struct holder_nodes nodes = { .list = { { .number = NODE, .block = true } }, .n = 1 };
	const struct place *place = *state;
	struct holders holders;
	char path[128];

	snprintf(path, sizeof(path), "%s/disk", place->path);
	if (mknod(path, S_IFBLK | 0600, NODE) < 0)
		skip();
	process(place, 7, "zero");
	has(place, 7, 3, "/dev/zero");
	process(place, 8, "disk");
	has(place, 8, 3, path);
	assert_int_equal(holders_find(place->path, &nodes, &holders), 0);
	assert_int_equal(holders.n, 1);
	assert_int_equal(holders.list[0].pid, 8);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_process_with_the_node_is_named),
		TEST(a_device_without_a_name_counts_with_its_group),
		TEST(without_a_better_one_a_nameless_device_may_be_it),
		TEST(more_than_have_a_place_are_counted),
		TEST(unknown_numbers_match_nothing),
		TEST(without_procfs_it_is_a_fault),
		TEST(a_child_with_the_node_is_found_until_it_ends),
		TEST(a_node_that_was_removed_may_be_it),
		TEST(reads_the_numbers_from_sysfs),
		TEST(reads_the_nodes_of_a_driver_of_the_hosts),
		TEST(the_walk_through_sysfs_has_an_end),
		TEST(nobody_may_have_a_device_that_is_not_on_vfio),
		TEST(a_block_device_is_no_character_device),
	};

	return cmocka_run_group_tests_name("helper-holders", tests, NULL, NULL);
}
