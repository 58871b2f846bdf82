/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Drivers of the host's that do not let go: what is known of such a device, who is told its end, and what becomes of the others.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "helper-harness.h"
#include "util/cleanup.h"

static void start(struct harness *harness, const char *max_workers)
{
	harness_start(harness);
	harness_stop_helper(harness);
	harness->timeout = "1";
	harness->max_workers = max_workers;
	harness_start_helper(harness);
	harness_connect_broker(harness);
}

/* A prepare of the device that does not come back. */
static struct helper_reply block(struct harness *harness, const char *address)
{
	struct helper_reply reply;

	fuse_sysfs_hold(harness->sysfs, address);
	reply = harness_prepare(harness, address);
	assert_int_equal(reply.status, HELPER_TIMED_OUT);
	assert_int_equal(reply.step, HELPER_STEP_UNBIND);
	assert_true(reply.transaction > 0);
	return reply;
}

static struct helper_reply ask(struct harness *harness, enum helper_operation operation, uint64_t transaction)
{
	struct helper_request request = harness_request(harness, operation);

	request.transaction = transaction;
	return harness_call(harness, &request, -1);
}

static void expect_end(struct harness *harness, uint64_t serial)
{
	struct helper_reply reply;

	assert_true(harness_receive(harness, &reply));
	assert_int_equal(reply.serial, serial);
	assert_int_equal(reply.status, HELPER_OK);
}

static void assert_there(struct harness *harness, const char *line)
{
	_cleanup_free_ char *now = fuse_sysfs_describe(harness->sysfs);

	assert_non_null(strstr(now, line));
}

#define NIC_BEFORE NIC " driver=e1000e override=\n"

static void who_asks_for_the_restore_is_told_the_end(void **state)
{
	struct harness *harness = *state;
	struct helper_reply reply;
	uint64_t transaction, serial;

	start(harness, NULL);
	transaction = block(harness, NIC).transaction;
	serial = harness_send_restore(harness, transaction);
	assert_true(harness_receive(harness, &reply));
	assert_true(reply.serial == serial && reply.status == HELPER_TIMED_OUT && reply.step == HELPER_STEP_UNBIND);
	/* One is told; a second one that asks is not. */
	assert_int_equal(ask(harness, HELPER_RESTORE, transaction).status, HELPER_BUSY);
	fuse_sysfs_let_go(harness->sysfs, NIC);
	expect_end(harness, serial);
	assert_there(harness, NIC_BEFORE);
	assert_int_equal(ask(harness, HELPER_RESTORE, transaction).status, HELPER_NO_SUCH_TRANSACTION);
	assert_int_equal(harness_prepare(harness, NIC).status, HELPER_OK);
}

/* The driver comes back with an error, and so the prepare is not one to be undone, but one that failed. */
static int fail_unbind(void *userdata, const struct fuse_sysfs_write *write_)
{
	if (write_->file == FUSE_SYSFS_UNBIND && write_->after && strcmp(write_->driver, "e1000e") == 0)
		return -EIO;
	return harness_hook(userdata, write_);
}

static int fail_bind(void *userdata, const struct fuse_sysfs_write *write_)
{
	if (write_->file == FUSE_SYSFS_BIND && !write_->after && strcmp(write_->driver, "vfio-pci") == 0)
		return -EIO;
	return harness_hook(userdata, write_);
}

static void end_of_one_that_fails(struct harness *harness, fuse_sysfs_hook hook)
{
	uint64_t transaction, serial;
	struct helper_reply reply;

	start(harness, NULL);
	fuse_sysfs_set_hook(harness->sysfs, hook, harness);
	transaction = block(harness, NIC).transaction;
	serial = harness_send_restore(harness, transaction);
	assert_true(harness_receive(harness, &reply));
	assert_int_equal(reply.status, HELPER_TIMED_OUT);
	fuse_sysfs_let_go(harness->sysfs, NIC);
	expect_end(harness, serial);
	assert_there(harness, NIC_BEFORE);
}

static void the_end_of_one_whose_unbind_fails_is_a_restore(void **state)
{
	end_of_one_that_fails(*state, fail_unbind);
}

static void the_end_of_one_whose_bind_fails_is_a_restore(void **state)
{
	end_of_one_that_fails(*state, fail_bind);
}

/* Its broker was told nothing of it, and nobody waits. The next one finds it as what has to be put back. */
static void a_restarted_broker_finds_what_blocks(void **state)
{
	struct harness *harness = *state;
	struct helper_reply reply;
	uint64_t serial;

	start(harness, NULL);
	fuse_sysfs_hold(harness->sysfs, NIC);
	serial = harness_send_prepare(harness, NIC);
	assert_true(fuse_sysfs_wait_blocked(harness->sysfs, NIC, HARNESS_WAIT));
	/* As long as somebody waits for it, it is nobody else's. */
	reply = ask(harness, HELPER_NEXT, 0);
	assert_int_equal(reply.status, HELPER_NO_SUCH_TRANSACTION);
	assert_true(harness_receive(harness, &reply));
	assert_true(reply.serial == serial && reply.status == HELPER_TIMED_OUT);
	harness_connect_broker(harness);
	reply = ask(harness, HELPER_NEXT, 0);
	assert_int_equal(reply.status, HELPER_OK);
	assert_string_equal(reply.address, NIC);
	assert_string_equal(reply.driver, "e1000e");
	serial = harness_send_restore(harness, reply.transaction);
	assert_true(harness_receive(harness, &reply));
	assert_int_equal(reply.status, HELPER_TIMED_OUT);
	fuse_sysfs_let_go(harness->sysfs, NIC);
	expect_end(harness, serial);
	assert_there(harness, NIC_BEFORE);
}

static void a_bystander_that_blocks_is_told_likewise(void **state)
{
	struct harness *harness = *state;
	struct helper_reply reply;
	uint64_t serial;

	start(harness, NULL);
	fuse_sysfs_hold(harness->sysfs, BYSTANDER);
	reply = harness_park(harness, BYSTANDER, WANTED);
	assert_int_equal(reply.status, HELPER_TIMED_OUT);
	assert_int_equal(ask(harness, HELPER_HOLDERS, reply.transaction).status, HELPER_OK);
	serial = harness_send_restore(harness, reply.transaction);
	assert_true(harness_receive(harness, &reply));
	assert_int_equal(reply.status, HELPER_TIMED_OUT);
	fuse_sysfs_let_go(harness->sysfs, BYSTANDER);
	expect_end(harness, serial);
	assert_there(harness, BYSTANDER " driver=nvme override=\n");
}

/* The worker of the former helper has the device still; the new one's must not touch it before that has ended. */
static void a_new_helper_waits_for_the_worker_of_the_former(void **state)
{
	struct harness *harness = *state;
	struct helper_reply reply;
	uint64_t serial;

	start(harness, NULL);
	block(harness, NIC);
	harness_stop_helper(harness);
	harness_start_helper(harness);
	harness_connect_broker(harness);
	reply = ask(harness, HELPER_NEXT, 0);
	assert_string_equal(reply.address, NIC);
	serial = harness_send_restore(harness, reply.transaction);
	assert_true(harness_receive(harness, &reply));
	assert_true(reply.serial == serial && reply.status == HELPER_TIMED_OUT);
	assert_int_equal(reply.step, HELPER_STEP_LOCK);
	/* Others are served. */
	reply = harness_prepare(harness, DISK);
	assert_int_equal(reply.status, HELPER_OK);
	assert_int_equal(harness_restore(harness, reply.transaction).status, HELPER_OK);
	fuse_sysfs_let_go(harness->sysfs, NIC);
	expect_end(harness, serial);
	assert_there(harness, NIC_BEFORE);
	harness_wait_closed(harness);
}

static void the_limit_is_named_with_the_devices_that_block(void **state)
{
	struct harness *harness = *state;
	struct helper_reply reply, nic, disk;

	start(harness, "2");
	nic = block(harness, NIC);
	/* Another job of the same device is no matter of the limit. */
	reply = harness_prepare(harness, NIC);
	assert_int_equal(reply.status, HELPER_BUSY);
	assert_string_equal(reply.detail, "");
	disk = block(harness, DISK);
	reply = harness_prepare(harness, IDLE);
	assert_int_equal(reply.status, HELPER_BUSY);
	assert_string_equal(reply.detail, "2 of 2 workers blocked: " NIC " at unbind, " DISK " at unbind");
	/* A look needs no place, and puts nothing in anybody's way. */
	assert_int_equal(ask(harness, HELPER_HOLDERS, nic.transaction).status, HELPER_OK);
	assert_int_equal(ask(harness, HELPER_HOLDERS, disk.transaction).status, HELPER_OK);
	fuse_sysfs_let_all_go(harness->sysfs);
	harness_wait_closed(harness);
	reply = harness_prepare(harness, IDLE);
	assert_int_equal(reply.status, HELPER_OK);
}

/* Waits until systemd is told this of what the helper does. */
static void expect_status(struct harness *harness, const char *expected)
{
	struct pollfd slot = { .fd = harness->notify_fd, .events = POLLIN };
	char text[512] = "";
	ssize_t n;

	while (strncmp(text, "STATUS=", 7) != 0 || strcmp(text + 7, expected) != 0) {
		if (poll(&slot, 1, HARNESS_WAIT * 1000) <= 0)
			fail_msg("systemd was not told \"%s\", but \"%s\"", expected, text);
		n = recv(harness->notify_fd, text, sizeof(text) - 1, 0);
		assert_true(n >= 0);
		text[n] = '\0';
	}
}

static void systemd_is_told_what_blocks(void **state)
{
	struct harness *harness = *state;

	start(harness, NULL);
	expect_status(harness, "Serving");
	block(harness, NIC);
	expect_status(harness, "1 worker blocked: " NIC " at unbind");
	block(harness, DISK);
	expect_status(harness, "2 workers blocked: " NIC " at unbind, " DISK " at unbind");
	fuse_sysfs_let_go(harness->sysfs, NIC);
	expect_status(harness, "1 worker blocked: " DISK " at unbind");
	fuse_sysfs_let_go(harness->sysfs, DISK);
	expect_status(harness, "Serving");
}

static int set_up(void **state)
{
	static struct harness harness;

	harness = (struct harness){ 0 };
	*state = &harness;
	return 0;
}

static int tear_down(void **state)
{
	harness_stop(*state);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(who_asks_for_the_restore_is_told_the_end),
		TEST(the_end_of_one_whose_unbind_fails_is_a_restore),
		TEST(the_end_of_one_whose_bind_fails_is_a_restore),
		TEST(a_restarted_broker_finds_what_blocks),
		TEST(a_bystander_that_blocks_is_told_likewise),
		TEST(a_new_helper_waits_for_the_worker_of_the_former),
		TEST(the_limit_is_named_with_the_devices_that_block),
		TEST(systemd_is_told_what_blocks),
	};

	return cmocka_run_group_tests_name("helper-blocked", tests, NULL, NULL);
}
