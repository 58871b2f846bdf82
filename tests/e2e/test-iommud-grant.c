/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an unprivileged client gets of the real daemons, over the protocol and over libiommud, and that everything is as it
 * was when it is over, however it ends.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "iommud-harness.h"
#include "libiommud.h"
#include "util/cleanup.h"

#define IOMMU_MINOR 3 /* of the stand-in for /dev/iommu; the others are in iommud-harness.c */
#define NIC_MINOR 5
#define DISK_MINOR 7
#define BARE_MINOR 8
#define IDLE_MINOR 9

static void assert_node(int fd, unsigned int minor)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	assert_true(S_ISCHR(st.st_mode));
	assert_int_equal(st.st_rdev, makedev(1, minor));
}

/* The descriptor that a member of the reply is an index of. */
static int fd_of(const struct varlink_reply *reply, const char *path)
{
	json_object *value = machine_get(reply, path);
	size_t index = json_object_is_type(value, json_type_int) ? (size_t)json_object_get_int64(value) : reply->n_fds;

	if (index >= reply->n_fds)
		fail_msg("no descriptor %s in %s", path, json_object_to_json_string(reply->message));
	return reply->fds[index];
}

static char *describe(struct machine *machine)
{
	return fuse_sysfs_describe(machine->sysfs);
}

static void assert_unchanged(struct machine *machine, const char *before)
{
	_cleanup_free_ char *now = describe(machine);

	assert_string_equal(now, before);
}

/* ---- there and back ---- */

static void hands_out_the_very_nodes_of_device_and_iommu(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice;
	struct varlink_reply reply;

	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	reply = machine_acquire(&alice, ONE(NIC));
	assert_int_equal(reply.n_fds, 2);
	assert_string_equal(machine_text(&reply, "backend"), "iommufd");
	assert_string_equal(machine_text(&reply, "devices.0.address"), NIC);
	assert_int_equal(json_object_get_int(machine_get(&reply, "devices.0.group")), 1);
	assert_null(machine_get(&reply, "containerFileDescriptor"));
	assert_null(machine_get(&reply, "devices.0.groupFileDescriptor"));
	assert_node(fd_of(&reply, "iommuFileDescriptor"), IOMMU_MINOR);
	assert_node(fd_of(&reply, "devices.0.deviceFileDescriptor"), NIC_MINOR);
	machine_assert_tree(machine, NIC " driver=vfio-pci ");
	varlink_reply_clear(&reply);
	varlink_client_close(&alice);
}

/* With a driver, without one but with an override, and on a vfio driver already. */
static void puts_driver_and_override_back_after_release(void **state)
{
	static const char *const requests[] = { ONE(NIC), ONE(DISK), ONE(BARE), ONE(IDLE), ONE(NIC) };
	struct machine *machine = *state;
	_cleanup_free_ char *before = NULL;
	struct varlink_client alice;

	machine_start(machine);
	before = describe(machine);
	alice = machine_connect(machine, ALICE);
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		machine_release(&alice, machine_take(&alice, requests[i]));
		machine_expect_event(machine, "leaseReleased");
		assert_unchanged(machine, before);
	}
	varlink_client_close(&alice);
}

static void puts_back_after_the_connection_closed(void **state)
{
	struct machine *machine = *state;
	_cleanup_free_ char *before = NULL;
	struct varlink_client alice;

	machine_start(machine);
	before = describe(machine);
	alice = machine_connect(machine, ALICE);
	machine_take(&alice, ONE(BARE));
	machine_take(&alice, ONE(NIC));
	varlink_client_close(&alice);
	machine_expect_event(machine, "leaseReleased");
	machine_expect_event(machine, "leaseReleased");
	assert_unchanged(machine, before);
}

/* A process of its own, with nothing of root's, that says when it has the device, and waits to be killed. */
static __attribute__((noreturn)) void be_client(struct machine *machine, int told)
{
	struct varlink_client client = VARLINK_CLIENT_INIT;
	struct varlink_reply reply = { 0 };

	machine_become(ALICE);
	if (setresuid(ALICE, ALICE, ALICE) < 0 || varlink_client_connect(&client, machine->socket) < 0 ||
	    varlink_client_call(&client, "io.iommud.Acquire", ONE(NIC), NULL, &reply) < 0 || reply.n_fds != 2 ||
	    write(told, "", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static void puts_back_after_the_client_was_killed(void **state)
{
	struct machine *machine = *state;
	_cleanup_free_ char *before = NULL;
	int told[2];
	pid_t pid;
	char byte;

	machine_start(machine);
	before = describe(machine);
	assert_int_equal(pipe(told), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		be_client(machine, told[1]);
	close(told[1]);
	assert_int_equal(read(told[0], &byte, 1), 1);
	close(told[0]);
	machine_assert_tree(machine, NIC " driver=vfio-pci ");
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	machine_expect_event(machine, "leaseReleased");
	assert_unchanged(machine, before);
	machine_serves(machine, BOB, NIC);
}

static void one_lease_holds_several_devices_behind_one_iommu(void **state)
{
	struct machine *machine = *state;
	_cleanup_free_ char *before = NULL;
	struct varlink_client alice;
	struct varlink_reply reply;

	machine_start(machine);
	before = describe(machine);
	alice = machine_connect(machine, ALICE);
	reply = machine_acquire(&alice, "{\"devices\":[\"" BARE "\",\"" NIC "\",\"" DISK "\"]}");
	assert_int_equal(reply.n_fds, 4);
	assert_node(fd_of(&reply, "iommuFileDescriptor"), IOMMU_MINOR);
	assert_node(fd_of(&reply, "devices.0.deviceFileDescriptor"), BARE_MINOR);
	assert_node(fd_of(&reply, "devices.1.deviceFileDescriptor"), NIC_MINOR);
	assert_node(fd_of(&reply, "devices.2.deviceFileDescriptor"), DISK_MINOR);
	machine_release(&alice, varlink_reply_int(&reply, "lease"));
	machine_expect_event(machine, "leaseReleased");
	assert_unchanged(machine, before);
	varlink_reply_clear(&reply);
	varlink_client_close(&alice);
}

static void libiommud_takes_and_gives_back(void **state)
{
	static const char *const devices[] = { NIC, IDLE };
	struct iommud_request request = { .size = sizeof(request), .devices = devices, .n_devices = 2 };
	struct machine *machine = *state;
	_cleanup_free_ char *before = NULL;
	struct iommud *connection;
	struct iommud_lease *lease;

	machine_start(machine);
	before = describe(machine);
	machine_become(ALICE);
	assert_int_equal(iommud_open(machine->socket, &connection), 0);
	machine_become(0);
	assert_int_equal(iommud_acquire(connection, &request, &lease), 0);
	assert_string_equal(iommud_lease_backend(lease), "iommufd");
	assert_node(iommud_lease_iommu_fd(lease), IOMMU_MINOR);
	assert_node(iommud_lease_device_fd(lease, 0), NIC_MINOR);
	assert_node(iommud_lease_device_fd(lease, 1), IDLE_MINOR);
	assert_int_equal(iommud_lease_device_group(lease, 1), 5);
	assert_int_equal(iommud_acquire(connection, &request, &lease), IOMMUD_REFUSED);
	assert_int_equal(iommud_error(connection), IOMMUD_ERROR_BUSY);
	assert_int_equal(iommud_release(connection, iommud_lease_id(lease)), 0);
	machine_expect_event(machine, "leaseReleased");
	assert_unchanged(machine, before);
	assert_int_equal(iommud_release(connection, iommud_lease_id(lease)), IOMMUD_REFUSED);
	assert_int_equal(iommud_error(connection), IOMMUD_ERROR_NO_SUCH_LEASE);
	iommud_lease_free(lease);
	iommud_close(connection);
}

static void takes_no_privileges_along(void **state)
{
	static const char *const lines[] = { "\nUid:\t65534\t65534\t65534\t65534\n",
					     "\nGid:\t65534\t65534\t65534\t65534\n",
					     "\nCapInh:\t0000000000000000\n",
					     "\nCapPrm:\t0000000000000000\n",
					     "\nCapEff:\t0000000000000000\n",
					     "\nCapAmb:\t0000000000000000\n",
					     "\nNoNewPrivs:\t1\n" };
	struct machine *machine = *state;
	char path[64], text[4096] = "";
	FILE *file;

	machine_start(machine);
	snprintf(path, sizeof(path), "/proc/%d/status", machine->iommud);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_true(fread(text, 1, sizeof(text) - 1, file) > 0);
	fclose(file);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		if (!strstr(text, lines[i]))
			fail_msg("no \"%s\" in\n%s", lines[i] + 1, text);
}

/* ---- steps that fail ---- */

static void a_node_that_does_not_appear_is_said_and_undone(void **state)
{
	struct machine *machine = *state;
	_cleanup_free_ char *before = NULL;
	struct varlink_client alice;

	machine->config = "[Timeouts]\nPrepareTimeoutSec=1\n";
	machine_start(machine);
	before = describe(machine);
	machine_replace_node(machine, NIC, 0);
	alice = machine_connect(machine, ALICE);
	machine_expect_refusal(&alice, "Acquire", ONE(NIC), "TimedOut", "is systemd-udevd running");
	machine_expect_event(machine, "leaseReleased");
	assert_unchanged(machine, before);
	machine_replace_node(machine, NIC, NIC_MINOR);
	machine_take(&alice, ONE(NIC));
	varlink_client_close(&alice);
}

static void a_node_of_another_device_is_not_handed_out(void **state)
{
	struct machine *machine = *state;
	_cleanup_free_ char *before = NULL;
	struct varlink_client alice;

	machine_start(machine);
	before = describe(machine);
	machine_replace_node(machine, NIC, DISK_MINOR);
	alice = machine_connect(machine, ALICE);
	machine_expect_refusal(&alice, "Acquire", ONE(NIC), "PrepareFailed", "is not the node of " NIC);
	machine_expect_event(machine, "leaseReleased");
	assert_unchanged(machine, before);
	varlink_client_close(&alice);
}

/* How many writes there were; the one with this number fails. */
static int fail_write(void *userdata, const struct fuse_sysfs_write *write)
{
	return !write->after && write->number == *(const size_t *)userdata ? -EIO : 0;
}

static void whichever_write_fails_the_client_is_told_and_all_is_undone(void **state)
{
	struct machine *machine = *state;
	_cleanup_free_ char *before = NULL;
	struct varlink_client alice;
	struct varlink_reply reply;

	machine_start(machine);
	before = describe(machine);
	alice = machine_connect(machine, ALICE);
	for (size_t number = 1; number <= 3; number++) { /* override, unbind, bind */
		fuse_sysfs_set_hook(machine->sysfs, fail_write, &number);
		reply = machine_refused(&alice, "Acquire", ONE(NIC), "PrepareFailed", "Input/output error");
		assert_string_equal(machine_text(&reply, "device"), NIC);
		assert_int_equal(varlink_reply_int(&reply, "errno"), EIO);
		varlink_reply_clear(&reply);
		machine_expect_event(machine, "leaseReleased");
		assert_unchanged(machine, before);
	}
	fuse_sysfs_set_hook(machine->sysfs, NULL, NULL);
	machine_take(&alice, ONE(NIC));
	varlink_client_close(&alice);
}

static int set_up(void **state)
{
	static struct machine machine;

	machine = (struct machine){ 0 };
	*state = &machine;
	return 0;
}

static int tear_down(void **state)
{
	machine_stop(*state);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(hands_out_the_very_nodes_of_device_and_iommu),
		TEST(puts_driver_and_override_back_after_release),
		TEST(puts_back_after_the_connection_closed),
		TEST(puts_back_after_the_client_was_killed),
		TEST(one_lease_holds_several_devices_behind_one_iommu),
		TEST(libiommud_takes_and_gives_back),
		TEST(takes_no_privileges_along),
		TEST(a_node_that_does_not_appear_is_said_and_undone),
		TEST(a_node_of_another_device_is_not_handed_out),
		TEST(whichever_write_fails_the_client_is_told_and_all_is_undone),
	};

	return cmocka_run_group_tests_name("iommud-grant", tests, NULL, NULL);
}
