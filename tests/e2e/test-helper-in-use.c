/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the helper does with a device that the host uses: the real program, on a fake kernel in which devices have a real
 * loop device as their disk, or an interface with a bridge upon it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

#include "helper-harness.h"
#include "util/cleanup.h"

#define ARRAY "0000:00:0b.0" /* nvme with a disk, group 11 */
#define PORT "0000:00:0c.0" /* e1000e with an interface, group 12 */

#define GUEST "0000:00:0c.1" /* without a driver, in the group of PORT */

#define RULE "[Match]\nAddress=" ARRAY " " PORT "\n[Client]\nUser=root\n[Grant]\nAction=allow\n"

struct fixture {
	struct harness harness;
	char node[32]; /* the loop device; empty: none */
	int loop;
};

static void add_device(struct harness *harness, const char *address, const char *driver, int group, const char *disk,
		       unsigned int minor_number)
{
	const struct fuse_sysfs_device device = {
		.address = address,
		.vendor = 0x8086,
		.device = disk ? 0x5845 : 0x10d3,
		.group = group,
		.driver = driver,
		.disk = disk,
		.disk_minor = minor_number,
		.interface = disk ? NULL : "eth0",
	};

	fuse_sysfs_add_device(harness->sysfs, &device);
}

static void use_policy(struct harness *harness, const char *text)
{
	struct helper_request reload = harness_request(harness, HELPER_RELOAD);

	harness_write_policy(harness, text);
	assert_int_equal(harness_call(harness, &reload, -1).status, HELPER_OK);
	harness_connect_broker(harness);
}

/* Attaches a file to a free loop device: its number, or -1 where there are none. */
static int attach_loop(struct fixture *fixture)
{
	_cleanup_fd_ int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), file = -1;
	char path[96];
	int number;

	number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
	if (number < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/disk", fixture->harness.dir);
	file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(file >= 0);
	assert_int_equal(ftruncate(file, 1 << 20), 0);
	snprintf(fixture->node, sizeof(fixture->node), "/dev/loop%d", number);
	fixture->loop = open(fixture->node, O_RDWR | O_CLOEXEC);
	if (fixture->loop < 0 || ioctl(fixture->loop, LOOP_SET_FD, file) < 0) {
		fixture->node[0] = '\0';
		return -1;
	}
	return number;
}

static void start(struct fixture *fixture)
{
	harness_start(&fixture->harness);
	add_device(&fixture->harness, PORT, "e1000e", 12, NULL, 0);
	use_policy(&fixture->harness, RULE);
}

static void start_with_disk(struct fixture *fixture)
{
	int number;

	start(fixture);
	number = attach_loop(fixture);
	if (number < 0) {
		print_message("no loop device here: %s\n", strerror(errno));
		skip();
	}
	add_device(&fixture->harness, ARRAY, "nvme", 11, fixture->node + strlen("/dev/"), number);
}

static void refuses(struct harness *harness, const char *address, const char *detail)
{
	_cleanup_free_ char *before = fuse_sysfs_describe(harness->sysfs), *after = NULL;
	struct helper_request next = harness_request(harness, HELPER_NEXT);
	size_t writes = fuse_sysfs_writes(harness->sysfs);
	struct helper_reply reply = harness_prepare(harness, address);

	assert_int_equal(reply.status, HELPER_IN_USE);
	assert_string_equal(reply.detail, detail);
	assert_int_equal(reply.transaction, 0);
	after = fuse_sysfs_describe(harness->sysfs);
	assert_string_equal(after, before);
	assert_int_equal(fuse_sysfs_writes(harness->sysfs), writes);
	assert_int_equal(harness_call(harness, &next, -1).status, HELPER_NO_SUCH_TRANSACTION);
}

static void there_and_back(struct harness *harness, const char *address)
{
	_cleanup_free_ char *before = fuse_sysfs_describe(harness->sysfs), *after = NULL;
	struct helper_reply reply = harness_prepare(harness, address);

	assert_int_equal(reply.status, HELPER_OK);
	assert_string_equal(reply.detail, "");
	assert_int_equal(harness_restore(harness, reply.transaction).status, HELPER_OK);
	after = fuse_sysfs_describe(harness->sysfs);
	assert_string_equal(after, before);
}

static void refuses_a_disk_that_somebody_has(void **state)
{
	struct fixture *fixture = *state;
	char detail[128];
	int fd;

	start_with_disk(fixture);
	fd = open(fixture->node, O_RDONLY | O_EXCL | O_CLOEXEC);
	assert_true(fd >= 0);
	snprintf(detail, sizeof(detail), "%s is mounted, swapped to or otherwise held", fixture->node + 5);
	for (int i = 0; i < 3; i++)
		refuses(&fixture->harness, ARRAY, detail);
	close(fd);
	there_and_back(&fixture->harness, ARRAY);
}

/* At each write, whether somebody else could have taken the disk. */
struct watch {
	const char *node;
	char trace[256];
};

static int watch_disk(void *userdata, const struct fuse_sysfs_write *write)
{
	static const char *const names[] = { "override", "bind", "unbind", "probe", "new_id" };
	struct watch *watch = userdata;
	size_t length = strlen(watch->trace);
	int fd;

	if (write->after)
		return 0;
	fd = open(watch->node, O_RDONLY | O_EXCL | O_CLOEXEC);
	snprintf(watch->trace + length, sizeof(watch->trace) - length, "%s:%s ", names[write->file],
		 fd >= 0          ? "free"
		 : errno == EBUSY ? "held"
				  : strerror(errno));
	close_fd(fd);
	return 0;
}

static void holds_the_disk_until_the_driver_has_let_go(void **state)
{
	struct fixture *fixture = *state;
	struct watch watch = { .node = fixture->node };
	struct helper_reply reply;

	start_with_disk(fixture);
	fuse_sysfs_set_hook(fixture->harness.sysfs, watch_disk, &watch);
	reply = harness_prepare(&fixture->harness, ARRAY);
	assert_int_equal(reply.status, HELPER_OK);
	assert_string_equal(watch.trace, "override:held unbind:held bind:free ");
	watch.trace[0] = '\0';
	assert_int_equal(harness_restore(&fixture->harness, reply.transaction).status, HELPER_OK);
	assert_string_equal(watch.trace, "unbind:free override:free bind:free override:free ");
}

static void refuses_a_disk_that_it_can_not_look_at(void **state)
{
	struct fixture *fixture = *state;

	start(fixture);
	add_device(&fixture->harness, ARRAY, "nvme", 11, "no-such-disk", 0);
	refuses(&fixture->harness, ARRAY, "nothing can be learnt about no-such-disk: No such file or directory");
}

static void refuses_an_interface_with_a_bridge_upon_it(void **state)
{
	struct fixture *fixture = *state;

	start(fixture);
	refuses(&fixture->harness, PORT, "eth0 carries br0");
}

static void force_takes_what_is_used(void **state)
{
	struct fixture *fixture = *state;

	start(fixture);
	add_device(&fixture->harness, ARRAY, "nvme", 11, "no-such-disk", 0);
	use_policy(&fixture->harness, RULE "Force=yes\n");
	there_and_back(&fixture->harness, ARRAY);
	there_and_back(&fixture->harness, PORT);
	use_policy(&fixture->harness, RULE "Force=no\n");
	refuses(&fixture->harness, PORT, "eth0 carries br0");
}

/* A bystander is taken from the host as any other device is: by the word of the rule that has it parked. */
static void parks_no_bystander_that_is_used_without_force(void **state)
{
	static const char rule[] = "[Match]\nAddress=" GUEST "\n[Client]\nUser=root\n"
				   "[Grant]\nAction=allow\nGroupScope=whole\nBystanders=park\n";
	static const struct fuse_sysfs_device guest = { .address = GUEST, .vendor = 0x8086, .device = 7, .group = 12 };
	struct fixture *fixture = *state;
	struct harness *harness = &fixture->harness;
	_cleanup_free_ char *before = NULL, *after = NULL;
	struct helper_reply reply;
	char forced[sizeof(rule) + 16];

	start(fixture);
	fuse_sysfs_add_device(harness->sysfs, &guest);
	use_policy(harness, rule);
	before = fuse_sysfs_describe(harness->sysfs);
	reply = harness_park(harness, PORT, GUEST);
	assert_int_equal(reply.status, HELPER_IN_USE);
	assert_string_equal(reply.detail, "eth0 carries br0");
	assert_int_equal(reply.transaction, 0);
	snprintf(forced, sizeof(forced), "%sForce=yes\n", rule);
	use_policy(harness, forced);
	reply = harness_park(harness, PORT, GUEST);
	assert_int_equal(reply.status, HELPER_OK);
	assert_int_equal(harness_restore(harness, reply.transaction).status, HELPER_OK);
	after = fuse_sysfs_describe(harness->sysfs);
	assert_string_equal(after, before);
}

static int set_up(void **state)
{
	static struct fixture fixture;

	fixture = (struct fixture){ .loop = -1 };
	*state = &fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	if (fixture->node[0])
		ioctl(fixture->loop, LOOP_CLR_FD, 0);
	close_fd(fixture->loop);
	harness_stop(&fixture->harness);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(refuses_a_disk_that_somebody_has),
		TEST(holds_the_disk_until_the_driver_has_let_go),
		TEST(refuses_a_disk_that_it_can_not_look_at),
		TEST(refuses_an_interface_with_a_bridge_upon_it),
		TEST(force_takes_what_is_used),
		TEST(parks_no_bystander_that_is_used_without_force),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
