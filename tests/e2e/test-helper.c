/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The helper as it is run: the real program on a fake kernel, spoken to over its socket. What it does right, what it
 * refuses, what it does when a driver hangs, and what is left when it is killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "helper-harness.h"
#include "util/cleanup.h"

static char *describe(struct harness *harness)
{
	return fuse_sysfs_describe(harness->sysfs);
}

static void assert_tree(struct harness *harness, const char *expected)
{
	_cleanup_free_ char *now = describe(harness);

	assert_string_equal(now, expected);
}

static void assert_line(struct harness *harness, const char *line)
{
	_cleanup_free_ char *now = describe(harness);

	if (!strstr(now, line))
		fail_msg("no \"%s\" in\n%s", line, now);
}

static void assert_nothing_happened(struct harness *harness, const char *before)
{
	assert_tree(harness, before);
	assert_int_equal(fuse_sysfs_writes(harness->sysfs), 0);
}

/* ---- the good path ---- */

static void there_and_back(struct harness *harness, const char *address, const char *driver)
{
	_cleanup_free_ char *before = describe(harness);
	struct helper_reply reply = harness_prepare(harness, address);
	char line[128];

	assert_int_equal(reply.status, HELPER_OK);
	assert_int_not_equal(reply.transaction, 0);
	assert_string_equal(reply.driver, driver);
	snprintf(line, sizeof(line), "%s driver=%s", address, strstr(driver, "vfio") ? driver : "vfio-pci");
	assert_line(harness, line);
	reply = harness_restore(harness, reply.transaction);
	assert_int_equal(reply.status, HELPER_OK);
	assert_tree(harness, before);
	assert_int_equal(harness_restore(harness, reply.transaction).status, HELPER_NO_SUCH_TRANSACTION);
}

static void prepares_and_restores_a_device_on_its_driver(void **state)
{
	struct harness *harness = *state;

	harness_start(harness);
	there_and_back(harness, NIC, "e1000e");
	there_and_back(harness, DISK, "nvme");
	there_and_back(harness, NIC, "e1000e");
}

static void leaves_a_driverless_device_driverless_with_its_override(void **state)
{
	struct harness *harness = *state;

	harness_start(harness);
	there_and_back(harness, BARE, "");
}

static void rebinds_vfio_to_vfio(void **state)
{
	struct harness *harness = *state;
	struct helper_reply reply;

	harness_start(harness);
	reply = harness_prepare(harness, IDLE);
	assert_int_equal(reply.status, HELPER_OK);
	assert_int_equal(fuse_sysfs_writes(harness->sysfs), 0);
	assert_int_equal(harness_restore(harness, reply.transaction).status, HELPER_OK);
	assert_line(harness, IDLE " driver=mlx5_vfio_pci override=\n");
	assert_true(fuse_sysfs_writes(harness->sysfs) >= 4);
}

static void restores_a_driver_that_no_longer_matches(void **state)
{
	struct harness *harness = *state;

	harness_start(harness);
	there_and_back(harness, STUB, "pci-stub");
}

static void leaks_no_descriptor(void **state)
{
	struct harness *harness = *state;
	struct helper_request request;
	size_t before;

	harness_start(harness);
	there_and_back(harness, NIC, "e1000e");
	before = harness_count_fds(harness);
	for (int i = 0; i < 5; i++) {
		there_and_back(harness, NIC, "e1000e");
		harness_prepare(harness, FORBIDDEN);
		request = harness_request(harness, HELPER_RELOAD);
		harness_call(harness, &request, -1);
		request = harness_request(harness, 99);
		harness_send(harness, &request, harness->accepted);
		harness_connect_broker(harness);
	}
	assert_int_equal(harness_count_fds(harness), before);
}

/* ---- bystanders ---- */

static void parks_the_bystanders_and_puts_the_group_back(void **state)
{
	struct harness *harness = *state;
	_cleanup_free_ char *before = NULL;
	struct helper_reply bystander, onlooker, wanted, next;
	struct helper_request request;

	harness_start(harness);
	before = describe(harness);
	bystander = harness_park(harness, BYSTANDER, WANTED);
	onlooker = harness_park(harness, ONLOOKER, WANTED);
	wanted = harness_prepare(harness, WANTED);
	assert_int_equal(bystander.status, HELPER_OK);
	assert_string_equal(bystander.driver, "nvme");
	assert_int_equal(onlooker.status, HELPER_OK);
	assert_int_equal(wanted.status, HELPER_OK);
	assert_line(harness, BYSTANDER " driver=pci-stub override=pci-stub\n");
	assert_line(harness, ONLOOKER " driver=pci-stub override=pci-stub\n");
	assert_line(harness, WANTED " driver=vfio-pci override=vfio-pci\n");
	request = harness_request(harness, HELPER_NEXT);
	next = harness_call(harness, &request, -1);
	assert_int_equal(next.transaction, bystander.transaction);
	assert_int_equal(next.parked, 1);
	request = harness_request(harness, HELPER_NEXT);
	request.transaction = onlooker.transaction;
	next = harness_call(harness, &request, -1);
	assert_int_equal(next.transaction, wanted.transaction);
	assert_int_equal(next.parked, 0);
	assert_int_equal(harness_restore(harness, wanted.transaction).status, HELPER_OK);
	assert_int_equal(harness_restore(harness, onlooker.transaction).status, HELPER_OK);
	assert_int_equal(harness_restore(harness, bystander.transaction).status, HELPER_OK);
	assert_tree(harness, before);
	harness_wait_closed(harness);
}

static void refuse_parking(struct harness *harness, const char *address, const char *for_address,
			   enum helper_status status)
{
	_cleanup_free_ char *before = describe(harness);
	struct helper_reply reply = harness_park(harness, address, for_address);

	assert_int_equal(reply.status, status);
	assert_int_equal(reply.transaction, 0);
	assert_nothing_happened(harness, before);
	harness_wait_closed(harness);
}

static void parks_nothing_that_no_rule_says_to(void **state)
{
	struct harness *harness = *state;

	harness_start(harness);
	refuse_parking(harness, ELBOW, WANTED, HELPER_REFUSED); /* a bridge */
	refuse_parking(harness, NIC, WANTED, HELPER_REFUSED); /* of another group */
	refuse_parking(harness, LOOSE, WANTED, HELPER_REFUSED); /* of none */
	refuse_parking(harness, TWIN_B, TWIN_A, HELPER_REFUSED); /* a rule for groups of one */
	refuse_parking(harness, WANTED, BYSTANDER, HELPER_REFUSED); /* no rule gives that one */
	refuse_parking(harness, "0000:ff:1f.7", WANTED, HELPER_NO_SUCH_DEVICE);
	refuse_parking(harness, BYSTANDER, "0000:ff:1f.7", HELPER_NO_SUCH_DEVICE);
	fuse_sysfs_set_driver(harness->sysfs, BYSTANDER, "vfio-pci");
	refuse_parking(harness, BYSTANDER, WANTED, HELPER_REFUSED);
}

static void parks_nothing_without_pci_stub(void **state)
{
	struct harness *harness = *state;
	_cleanup_free_ char *before = NULL;
	struct helper_reply reply;

	harness_start(harness);
	fuse_sysfs_remove_driver(harness->sysfs, "pci-stub");
	before = describe(harness);
	reply = harness_park(harness, BYSTANDER, WANTED);
	assert_int_equal(reply.status, HELPER_FAULT);
	assert_int_equal(reply.step, HELPER_STEP_BIND);
	assert_int_equal(reply.error, ENOENT);
	assert_nothing_happened(harness, before);
	harness_wait_closed(harness);
}

/* ---- what is refused ---- */

static void refuse(struct harness *harness, const char *address, enum helper_status status)
{
	_cleanup_free_ char *before = describe(harness);
	struct helper_reply reply = harness_prepare(harness, address);

	assert_int_equal(reply.status, status);
	assert_int_equal(reply.transaction, 0);
	assert_nothing_happened(harness, before);
	harness_wait_closed(harness);
}

static void refuses_a_device_that_no_rule_allows(void **state)
{
	struct harness *harness = *state;

	harness_start(harness);
	refuse(harness, FORBIDDEN, HELPER_REFUSED);
}

static void refuses_one_of_two_devices_of_a_group_as_singleton(void **state)
{
	struct harness *harness = *state;

	harness_start(harness);
	refuse(harness, TWIN_A, HELPER_REFUSED);
}

static void refuses_bridges_and_devices_without_a_group(void **state)
{
	struct harness *harness = *state;

	harness_start(harness);
	refuse(harness, BRIDGE, HELPER_REFUSED);
	refuse(harness, LOOSE, HELPER_REFUSED);
}

static void says_that_there_is_no_such_device_or_transaction(void **state)
{
	struct harness *harness = *state;

	harness_start(harness);
	refuse(harness, "0000:ff:1f.7", HELPER_NO_SUCH_DEVICE);
	assert_int_equal(harness_restore(harness, 12345).status, HELPER_NO_SUCH_TRANSACTION);
}

static void refuses_another_policy_until_both_are_reloaded(void **state)
{
	struct harness *harness = *state;
	struct helper_request reload;
	struct helper_reply reply;

	harness_start(harness);
	harness->digest[0] ^= 1;
	refuse(harness, NIC, HELPER_POLICY_DIFFERS);
	harness->digest[0] ^= 1;
	harness_write_policy(harness, "[Match]\nAddress=*\n[Client]\nUser=root\n[Grant]\nAction=deny\n");
	reload = harness_request(harness, HELPER_RELOAD);
	reply = harness_call(harness, &reload, -1);
	assert_int_equal(reply.status, HELPER_OK);
	assert_memory_not_equal(reply.digest, harness->digest, DIGEST_SIZE);
	refuse(harness, NIC, HELPER_POLICY_DIFFERS);
	memcpy(harness->digest, reply.digest, DIGEST_SIZE);
	refuse(harness, NIC, HELPER_REFUSED);
}

static void keeps_the_policy_when_the_new_one_has_errors(void **state)
{
	struct harness *harness = *state;
	struct helper_request reload;
	struct helper_reply reply;

	harness_start(harness);
	harness_write_policy(harness, "[Match\nAddress=*\n");
	reload = harness_request(harness, HELPER_RELOAD);
	reply = harness_call(harness, &reload, -1);
	assert_int_equal(reply.status, HELPER_FAULT);
	assert_int_equal(reply.error, EINVAL);
	assert_memory_equal(reply.digest, harness->digest, DIGEST_SIZE);
	there_and_back(harness, NIC, "e1000e");
}

/* Sends a PREPARE with these descriptors; it must not be obeyed. */
static void refuse_descriptors(struct harness *harness, const int *fds, size_t n_fds, bool stays_connected)
{
	_cleanup_free_ char *before = describe(harness);
	struct helper_request request = harness_request(harness, HELPER_PREPARE);
	struct helper_reply reply;

	strcpy(request.address, NIC);
	memcpy(request.digest, harness->digest, DIGEST_SIZE);
	harness_send_raw(harness->broker, &request, sizeof(request), fds, n_fds);
	assert_true(harness_receive(harness, &reply));
	assert_int_equal(reply.status, HELPER_BAD_REQUEST);
	assert_nothing_happened(harness, before);
	if (!stays_connected) {
		assert_false(harness_receive(harness, &reply));
		harness_connect_broker(harness);
	}
	there_and_back(harness, DISK, "nvme");
	fuse_sysfs_set_hook(harness->sysfs, harness_hook, harness);
}

/* A stream that somebody else accepted, at another path. */
static int accepted_elsewhere(struct harness *harness, int *ret_client)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd;

	snprintf(name.sun_path, sizeof(name.sun_path), "%s/elsewhere", harness->dir);
	assert_int_equal(bind(listener, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(listen(listener, 1), 0);
	*ret_client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(*ret_client, (struct sockaddr *)&name, sizeof(name)), 0);
	fd = accept(listener, NULL, NULL);
	close(listener);
	return fd;
}

static void refuses_descriptors_that_are_no_client_of_ours(void **state)
{
	struct harness *harness = *state;
	int pair[2], datagrams[2], fd, client, both[2];

	harness_start(harness);
	refuse_descriptors(harness, NULL, 0, false);
	both[0] = both[1] = harness->accepted;
	refuse_descriptors(harness, both, 2, false);
	refuse_descriptors(harness, &harness->client, 1, true); /* the other end has no name */
	refuse_descriptors(harness, &harness->listener, 1, true);
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	refuse_descriptors(harness, &fd, 1, true);
	close(fd);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	refuse_descriptors(harness, &pair[0], 1, true);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, datagrams), 0);
	refuse_descriptors(harness, &datagrams[0], 1, true);
	fd = accepted_elsewhere(harness, &client);
	refuse_descriptors(harness, &fd, 1, true);
	close(fd);
	close(client);
	close(pair[0]);
	close(pair[1]);
	close(datagrams[0]);
	close(datagrams[1]);
}

/* Whatever it is: a refusal, the end of the connection, and nobody else disturbed. */
static void refuse_raw(struct harness *harness, const void *data, size_t size, int fd)
{
	_cleanup_free_ char *before = describe(harness);
	struct helper_reply reply;

	harness_send_raw(harness->broker, data, size, &fd, fd >= 0);
	assert_true(harness_receive(harness, &reply));
	assert_int_equal(reply.status, HELPER_BAD_REQUEST);
	assert_false(harness_receive(harness, &reply));
	assert_nothing_happened(harness, before);
	harness_connect_broker(harness);
}

static void refuses_requests_of_the_wrong_form(void **state)
{
	struct harness *harness = *state;
	struct helper_request next, prepare;
	char longer[sizeof(next) + 1] = { 0 };

	harness_start(harness);
	next = harness_request(harness, HELPER_NEXT);
	refuse_raw(harness, &next, sizeof(next) - 1, -1);
	refuse_raw(harness, &next, 1, -1);
	memcpy(longer, &next, sizeof(next));
	refuse_raw(harness, longer, sizeof(longer), -1);
	refuse_raw(harness, &next, sizeof(next), harness->accepted);
	next.version++;
	refuse_raw(harness, &next, sizeof(next), -1);
	next = harness_request(harness, 0);
	refuse_raw(harness, &next, sizeof(next), -1);
	next = harness_request(harness, HELPER_HOLDERS + 1);
	refuse_raw(harness, &next, sizeof(next), -1);
	next = harness_request(harness, HELPER_NEXT);
	next.reserved[2] = 1;
	refuse_raw(harness, &next, sizeof(next), -1);
	prepare = harness_request(harness, HELPER_PREPARE);
	memcpy(prepare.digest, harness->digest, DIGEST_SIZE);
	strcpy(prepare.address, "../drivers/e1000e");
	refuse_raw(harness, &prepare, sizeof(prepare), harness->accepted);
	strcpy(prepare.address, "..");
	refuse_raw(harness, &prepare, sizeof(prepare), harness->accepted);
	memset(prepare.address, '0', sizeof(prepare.address));
	refuse_raw(harness, &prepare, sizeof(prepare), harness->accepted);
}

static void serves_nobody_but_the_broker(void **state)
{
	struct harness *harness = *state;
	struct helper_request hello;
	char byte;
	int fd;

	harness_start(harness);
	/* An ordinary user does not come in at all; root does, and is shown out. */
	assert_int_equal(harness_connect(harness, 1), -1);
	assert_int_equal(errno, EACCES);
	fd = harness_connect(harness, 0);
	assert_true(fd >= 0);
	hello = harness_request(harness, HELPER_HELLO);
	send(fd, &hello, sizeof(hello), MSG_NOSIGNAL);
	assert_true(recv(fd, &byte, 1, 0) <= 0);
	close(fd);
	/* Even with the file's mode changed, the uid that the kernel recorded decides. */
	assert_int_equal(chmod(harness->socket_path, 0666), 0);
	fd = harness_connect(harness, 1);
	assert_true(fd >= 0);
	send(fd, &hello, sizeof(hello), MSG_NOSIGNAL);
	assert_true(recv(fd, &byte, 1, 0) <= 0);
	close(fd);
	there_and_back(harness, NIC, "e1000e");
}

/* ---- the kernel says no ---- */

static void changes_nothing_without_vfio_pci(void **state)
{
	struct harness *harness = *state;
	_cleanup_free_ char *before = NULL;
	struct helper_reply reply;

	harness_start(harness);
	fuse_sysfs_remove_driver(harness->sysfs, "vfio-pci");
	before = describe(harness);
	reply = harness_prepare(harness, NIC);
	assert_int_equal(reply.status, HELPER_FAULT);
	assert_int_equal(reply.step, HELPER_STEP_BIND);
	assert_int_equal(reply.error, ENOENT);
	assert_nothing_happened(harness, before);
	harness_wait_closed(harness);
}

struct saboteur {
	struct harness *harness;
	size_t number; /* of the write that fails */
	int error;
};

static int sabotage(void *userdata, const struct fuse_sysfs_write *write)
{
	const struct saboteur *saboteur = userdata;

	if (!write->after && write->number == saboteur->number)
		return -saboteur->error;
	return harness_hook(saboteur->harness, write);
}

static void undoes_a_prepare_whichever_write_fails(void **state)
{
	struct harness *harness = *state;
	struct saboteur saboteur = { .harness = harness, .error = EBUSY };
	static const enum helper_step steps[] = { HELPER_STEP_OVERRIDE, HELPER_STEP_UNBIND, HELPER_STEP_BIND };
	_cleanup_free_ char *before = NULL;

	harness_start(harness);
	before = describe(harness);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		struct helper_reply reply;

		saboteur.number = i + 1;
		fuse_sysfs_set_hook(harness->sysfs, sabotage, &saboteur);
		reply = harness_prepare(harness, NIC);
		assert_int_equal(reply.status, HELPER_FAULT);
		assert_int_equal(reply.step, steps[i]);
		assert_int_equal(reply.error, EBUSY);
		assert_int_equal(reply.transaction, 0);
		assert_tree(harness, before);
		harness_wait_closed(harness);
	}
}

static void keeps_the_transaction_when_a_restore_fails(void **state)
{
	struct harness *harness = *state;
	struct saboteur saboteur = { .harness = harness, .error = EIO };
	_cleanup_free_ char *before = NULL;

	harness_start(harness);
	before = describe(harness);
	for (saboteur.number = 1; saboteur.number <= 4; saboteur.number++) {
		struct helper_reply prepared, reply;

		prepared = harness_prepare(harness, NIC);
		assert_int_equal(prepared.status, HELPER_OK);
		fuse_sysfs_set_hook(harness->sysfs, sabotage, &saboteur);
		reply = harness_restore(harness, prepared.transaction);
		assert_int_equal(reply.status, HELPER_FAULT);
		assert_int_equal(reply.error, EIO);
		assert_int_equal(reply.transaction, prepared.transaction);
		fuse_sysfs_set_hook(harness->sysfs, harness_hook, harness);
		assert_int_equal(harness_restore(harness, prepared.transaction).status, HELPER_OK);
		assert_tree(harness, before);
	}
}

static void a_prepare_first_puts_back_what_could_not_be(void **state)
{
	struct harness *harness = *state;
	_cleanup_free_ char *before = NULL;
	struct helper_reply first, reply;

	harness_start(harness);
	before = describe(harness);
	first = harness_prepare(harness, NIC);
	assert_int_equal(harness_prepare(harness, NIC).status, HELPER_BUSY);
	fuse_sysfs_remove_driver(harness->sysfs, "e1000e");
	reply = harness_restore(harness, first.transaction);
	assert_int_equal(reply.status, HELPER_FAULT);
	assert_int_equal(reply.step, HELPER_STEP_BIND);
	/* Not as long as its driver is away: a device is not handed on from a state that nobody wanted. */
	reply = harness_prepare(harness, NIC);
	assert_int_equal(reply.status, HELPER_FAULT);
	assert_int_equal(reply.transaction, first.transaction);
	fuse_sysfs_add_driver(harness->sysfs, "e1000e", "8086:10d3");
	reply = harness_prepare(harness, NIC);
	assert_int_equal(reply.status, HELPER_OK);
	assert_int_not_equal(reply.transaction, first.transaction);
	assert_string_equal(reply.driver, "e1000e");
	assert_int_equal(harness_restore(harness, first.transaction).status, HELPER_NO_SUCH_TRANSACTION);
	assert_int_equal(harness_restore(harness, reply.transaction).status, HELPER_OK);
	assert_tree(harness, before);
}

static void a_prepare_follows_an_admin_that_helped(void **state)
{
	struct harness *harness = *state;
	struct helper_reply first, reply;

	harness_start(harness);
	first = harness_prepare(harness, NIC);
	fuse_sysfs_remove_driver(harness->sysfs, "e1000e");
	assert_int_equal(harness_restore(harness, first.transaction).status, HELPER_FAULT);
	fuse_sysfs_set_driver(harness->sysfs, NIC, "pci-stub");
	reply = harness_prepare(harness, NIC);
	assert_int_equal(reply.status, HELPER_OK);
	assert_string_equal(reply.driver, "pci-stub");
	assert_int_equal(harness_restore(harness, reply.transaction).status, HELPER_OK);
	assert_line(harness, NIC " driver=pci-stub override=\n");
}

/* ---- other devices, other hands ---- */

static void leaves_a_replaced_device_alone(void **state)
{
	const struct fuse_sysfs_device other = { .address = NIC,
						 .vendor = 0x8086,
						 .device = 0x10d3,
						 .subsystem_vendor = 0x1af4,
						 .subsystem_device = 0x1100,
						 .class = 0x020000,
						 .group = 1,
						 .driver = "vfio-pci",
						 .driver_override = "vfio-pci" };
	struct harness *harness = *state;
	struct helper_reply reply;

	harness_start(harness);
	reply = harness_prepare(harness, NIC);
	assert_int_equal(reply.status, HELPER_OK);
	fuse_sysfs_remove_device(harness->sysfs, NIC);
	fuse_sysfs_add_device(harness->sysfs, &other);
	fuse_sysfs_set_hook(harness->sysfs, harness_hook, harness);
	assert_int_equal(harness_restore(harness, reply.transaction).status, HELPER_REPLACED);
	assert_int_equal(fuse_sysfs_writes(harness->sysfs), 0);
	assert_int_equal(harness_restore(harness, reply.transaction).status, HELPER_NO_SUCH_TRANSACTION);
}

static void closes_the_transaction_of_a_device_that_was_pulled_out(void **state)
{
	struct harness *harness = *state;
	struct helper_reply reply;
	uint64_t serial;

	harness_start(harness);
	reply = harness_prepare(harness, DISK);
	fuse_sysfs_remove_device(harness->sysfs, DISK);
	assert_int_equal(harness_restore(harness, reply.transaction).status, HELPER_REPLACED);
	/* And in the middle of the restore. */
	reply = harness_prepare(harness, NIC);
	fuse_sysfs_hold(harness->sysfs, NIC);
	serial = harness_send_restore(harness, reply.transaction);
	assert_true(fuse_sysfs_wait_blocked(harness->sysfs, NIC, HARNESS_WAIT));
	fuse_sysfs_remove_device(harness->sysfs, NIC);
	assert_true(harness_receive(harness, &reply));
	assert_int_equal(reply.serial, serial);
	assert_int_equal(reply.status, HELPER_REPLACED);
	harness_wait_closed(harness);
}

static void leaves_a_device_that_the_admin_bound_elsewhere(void **state)
{
	struct harness *harness = *state;
	struct helper_reply reply;

	harness_start(harness);
	reply = harness_prepare(harness, NIC);
	fuse_sysfs_set_driver(harness->sysfs, NIC, "nvme");
	assert_int_equal(harness_restore(harness, reply.transaction).status, HELPER_OK);
	assert_line(harness, NIC " driver=nvme override=\n");
	harness_wait_closed(harness);
}

/* ---- time ---- */

static void restart_with(struct harness *harness, const char *timeout, const char *max_workers)
{
	harness_stop_helper(harness);
	harness->timeout = timeout;
	harness->max_workers = max_workers;
	harness_start_helper(harness);
	harness_connect_broker(harness);
}

static void answers_while_an_unbind_hangs_and_serves_others(void **state)
{
	struct harness *harness = *state;
	_cleanup_free_ char *before = NULL;
	struct helper_reply reply, disk;
	uint64_t serial, transaction;

	harness_start(harness);
	restart_with(harness, "1", NULL);
	before = describe(harness);
	transaction = harness_prepare(harness, NIC).transaction;
	fuse_sysfs_hold(harness->sysfs, NIC);
	serial = harness_send_restore(harness, transaction);
	assert_true(fuse_sysfs_wait_blocked(harness->sysfs, NIC, HARNESS_WAIT));
	/* Before the time is up, and after. */
	there_and_back(harness, IDLE, "mlx5_vfio_pci");
	assert_true(harness_receive(harness, &reply));
	assert_int_equal(reply.serial, serial);
	assert_int_equal(reply.status, HELPER_TIMED_OUT);
	assert_int_equal(reply.step, HELPER_STEP_UNBIND);
	disk = harness_prepare(harness, DISK);
	assert_int_equal(disk.status, HELPER_OK);
	there_and_back(harness, IDLE, "mlx5_vfio_pci");
	assert_int_equal(harness_prepare(harness, NIC).status, HELPER_BUSY);
	assert_int_equal(harness_restore(harness, transaction).status, HELPER_BUSY);
	fuse_sysfs_let_go(harness->sysfs, NIC);
	assert_true(harness_receive(harness, &reply));
	assert_int_equal(reply.serial, serial);
	assert_int_equal(reply.status, HELPER_OK);
	assert_int_equal(harness_restore(harness, disk.transaction).status, HELPER_OK);
	assert_tree(harness, before);
}

/* Nobody has the node of this machine's devices open, so nobody is named; test-iommud-linger.c has one who has. */
static void looks_for_holders_while_the_unbind_hangs(void **state)
{
	struct harness *harness = *state;
	struct helper_request request;
	struct helper_reply reply;
	uint64_t transaction, restore;

	harness_start(harness);
	transaction = harness_prepare(harness, NIC).transaction;
	fuse_sysfs_hold(harness->sysfs, NIC);
	restore = harness_send_restore(harness, transaction);
	assert_true(fuse_sysfs_wait_blocked(harness->sysfs, NIC, HARNESS_WAIT));
	request = harness_request(harness, HELPER_HOLDERS);
	request.transaction = transaction;
	reply = harness_call(harness, &request, -1);
	assert_int_equal(reply.status, HELPER_OK);
	assert_int_equal(reply.transaction, transaction);
	assert_int_equal(reply.n_holders, 0);
	/* It was beside the restore, and not in its way. */
	fuse_sysfs_let_go(harness->sysfs, NIC);
	assert_true(harness_receive(harness, &reply));
	assert_true(reply.serial == restore && reply.status == HELPER_OK);
	request = harness_request(harness, HELPER_HOLDERS);
	request.transaction = transaction;
	reply = harness_call(harness, &request, -1);
	assert_int_equal(reply.status, HELPER_NO_SUCH_TRANSACTION);
	assert_int_equal(reply.transaction, transaction);
}

static void undoes_a_prepare_that_comes_back_too_late(void **state)
{
	struct harness *harness = *state;
	_cleanup_free_ char *before = NULL;
	struct helper_reply reply;

	harness_start(harness);
	restart_with(harness, "1", NULL);
	before = describe(harness);
	fuse_sysfs_hold(harness->sysfs, NIC); /* e1000e's remove() hangs */
	reply = harness_prepare(harness, NIC);
	assert_int_equal(reply.status, HELPER_TIMED_OUT);
	assert_int_equal(reply.step, HELPER_STEP_UNBIND);
	fuse_sysfs_let_go(harness->sysfs, NIC);
	harness_wait_tree(harness, before);
	harness_wait_closed(harness);
	there_and_back(harness, NIC, "e1000e");
}

static void counts_blocked_workers(void **state)
{
	struct harness *harness = *state;
	_cleanup_free_ char *before = NULL;
	struct helper_reply reply;

	harness_start(harness);
	restart_with(harness, "1", "2");
	before = describe(harness);
	fuse_sysfs_hold(harness->sysfs, NIC);
	fuse_sysfs_hold(harness->sysfs, DISK);
	assert_int_equal(harness_prepare(harness, NIC).status, HELPER_TIMED_OUT);
	reply = harness_prepare(harness, DISK);
	assert_int_equal(reply.status, HELPER_TIMED_OUT);
	assert_int_equal(harness_prepare(harness, IDLE).status, HELPER_BUSY);
	assert_int_equal(harness_restore(harness, reply.transaction).status, HELPER_TIMED_OUT);
	fuse_sysfs_let_go(harness->sysfs, DISK);
	assert_true(harness_receive(harness, &reply));
	assert_int_equal(reply.status, HELPER_OK);
	there_and_back(harness, IDLE, "mlx5_vfio_pci");
	fuse_sysfs_let_go(harness->sysfs, NIC);
	harness_wait_tree(harness, before);
	harness_wait_closed(harness);
	there_and_back(harness, NIC, "e1000e");
}

/* ---- the broker goes ---- */

static void a_restarted_broker_finds_its_transactions(void **state)
{
	struct harness *harness = *state;
	_cleanup_free_ char *before = NULL;
	struct helper_request next;
	struct helper_reply reply;
	uint64_t first, second;

	harness_start(harness);
	before = describe(harness);
	first = harness_prepare(harness, NIC).transaction;
	second = harness_prepare(harness, BARE).transaction;
	assert_true(second > first);
	harness_connect_broker(harness);
	next = harness_request(harness, HELPER_NEXT);
	reply = harness_call(harness, &next, -1);
	assert_int_equal(reply.transaction, first);
	assert_string_equal(reply.address, NIC);
	assert_string_equal(reply.driver, "e1000e");
	next = harness_request(harness, HELPER_NEXT);
	next.transaction = first;
	reply = harness_call(harness, &next, -1);
	assert_int_equal(reply.transaction, second);
	assert_string_equal(reply.driver, "");
	assert_int_equal(harness_restore(harness, second).status, HELPER_OK);
	assert_int_equal(harness_restore(harness, first).status, HELPER_OK);
	harness_wait_closed(harness);
	assert_tree(harness, before);
}

static void undoes_a_prepare_whose_broker_went(void **state)
{
	struct harness *harness = *state;
	_cleanup_free_ char *before = NULL;

	harness_start(harness);
	before = describe(harness);
	fuse_sysfs_hold(harness->sysfs, NIC);
	harness_send_prepare(harness, NIC);
	assert_true(fuse_sysfs_wait_blocked(harness->sysfs, NIC, HARNESS_WAIT));
	harness_connect_broker(harness);
	fuse_sysfs_let_go(harness->sysfs, NIC);
	harness_wait_tree(harness, before);
	harness_wait_closed(harness);
}

static void a_restarted_broker_takes_over_a_restore_under_way(void **state)
{
	struct harness *harness = *state;
	struct helper_reply reply;
	uint64_t transaction, serial;

	harness_start(harness);
	restart_with(harness, "1", NULL);
	transaction = harness_prepare(harness, NIC).transaction;
	fuse_sysfs_hold(harness->sysfs, NIC);
	harness_send_restore(harness, transaction);
	assert_true(fuse_sysfs_wait_blocked(harness->sysfs, NIC, HARNESS_WAIT));
	harness_connect_broker(harness);
	serial = harness_send_restore(harness, transaction);
	assert_true(harness_receive(harness, &reply));
	assert_int_equal(reply.serial, serial);
	assert_int_equal(reply.status, HELPER_TIMED_OUT);
	fuse_sysfs_let_go(harness->sysfs, NIC);
	assert_true(harness_receive(harness, &reply));
	assert_int_equal(reply.serial, serial);
	assert_int_equal(reply.status, HELPER_OK);
	harness_wait_closed(harness);
}

/* ---- the helper goes ---- */

static void ends_at_once_and_leaves_its_workers_to_finish(void **state)
{
	struct harness *harness = *state;
	_cleanup_free_ char *before = NULL;
	struct helper_reply reply;

	harness_start(harness);
	before = describe(harness);
	reply = harness_prepare(harness, NIC);
	fuse_sysfs_hold(harness->sysfs, NIC);
	harness_send_restore(harness, reply.transaction);
	assert_true(fuse_sysfs_wait_blocked(harness->sysfs, NIC, HARNESS_WAIT));
	harness_stop_helper(harness);
	assert_false(harness_receive(harness, &reply));
	harness_start_helper(harness);
	harness_connect_broker(harness);
	fuse_sysfs_let_go(harness->sysfs, NIC);
	harness_wait_tree(harness, before);
}

/* Of lease_one(). */
static const char *leased_address;

struct killer {
	struct harness *harness;
	size_t number; /* of the write at which the helper dies */
	bool after; /* it has taken effect */
	bool workers; /* they die as well */
	bool struck;
};

static int kill_helper(void *userdata, const struct fuse_sysfs_write *write)
{
	struct killer *killer = userdata;

	if (write->number == killer->number && write->after == killer->after) {
		killer->struck = true;
		kill(killer->workers ? -killer->harness->helper : killer->harness->helper, SIGKILL);
		if (killer->workers && !killer->after)
			return -EINTR;
	}
	return harness_hook(killer->harness, write);
}

static void restore_those(struct harness *harness, bool parked)
{
	uint64_t last = 0;

	for (;;) {
		struct helper_request next = harness_request(harness, HELPER_NEXT);
		struct helper_reply reply;

		next.transaction = last;
		reply = harness_call(harness, &next, -1);
		if (reply.status == HELPER_NO_SUCH_TRANSACTION)
			return;
		last = reply.transaction;
		if (reply.parked == parked)
			assert_int_equal(harness_restore(harness, reply.transaction).status, HELPER_OK);
	}
}

/* All that a new broker can do for a new helper. */
static void restore_all(struct harness *harness)
{
	restore_those(harness, false);
	restore_those(harness, true);
}

/* With its workers, where they were killed; those that were not may still be at work when the next helper starts. */
static void reap_killed(struct harness *harness, const struct killer *killer)
{
	if (killer->workers) {
		harness_reap_helper(harness);
		return;
	}
	assert_int_equal(waitpid(harness->helper, NULL, 0), harness->helper);
	harness->helper = -1;
}

static bool sent_and_done(struct harness *harness, uint64_t *ret_transaction)
{
	struct helper_reply reply;

	if (!harness_receive(harness, &reply))
		return false;
	assert_int_equal(reply.status, HELPER_OK);
	if (ret_transaction)
		*ret_transaction = reply.transaction;
	return true;
}

/* One device there and back, until the helper is gone. */
static void lease_one(struct harness *harness)
{
	uint64_t transaction;

	harness_send_prepare(harness, leased_address);
	if (!sent_and_done(harness, &transaction))
		return;
	harness_send_restore(harness, transaction);
	sent_and_done(harness, NULL);
}

/* A group with two bystanders to park there and back, until the helper is gone. */
static void lease_group(struct harness *harness)
{
	uint64_t transactions[3];

	harness_send_park(harness, BYSTANDER, WANTED);
	if (!sent_and_done(harness, &transactions[0]))
		return;
	harness_send_park(harness, ONLOOKER, WANTED);
	if (!sent_and_done(harness, &transactions[1]))
		return;
	harness_send_prepare(harness, WANTED);
	if (!sent_and_done(harness, &transactions[2]))
		return;
	for (size_t i = ARRAY_SIZE(transactions); i-- > 0;) {
		harness_send_restore(harness, transactions[i]);
		if (!sent_and_done(harness, NULL))
			return;
	}
}

/* False: the write at which to die never came, so all have been tried. */
static bool die_once(struct harness *harness, void (*lease)(struct harness *harness), const struct killer *how)
{
	_cleanup_free_ char *before = describe(harness);
	struct killer killer = *how;

	fuse_sysfs_set_hook(harness->sysfs, kill_helper, &killer);
	lease(harness);
	fuse_sysfs_set_hook(harness->sysfs, harness_hook, harness);
	if (!killer.struck)
		return false;
	reap_killed(harness, &killer);
	harness_start_helper(harness);
	harness_connect_broker(harness);
	restore_all(harness);
	assert_tree(harness, before);
	return true;
}

static void die_everywhere(struct harness *harness, void (*lease)(struct harness *harness), size_t n_writes)
{
	for (int variant = 0; variant < 4; variant++) {
		struct killer killer = { .harness = harness, .after = variant & 1, .workers = variant & 2 };

		do
			killer.number++;
		while (die_once(harness, lease, &killer));
		assert_int_equal(killer.number, n_writes + 1);
	}
}

static void puts_everything_back_after_being_killed_at_any_write(void **state)
{
	struct harness *harness = *state;

	harness_start(harness);
	leased_address = NIC;
	die_everywhere(harness, lease_one, 7); /* override, unbind, bind; unbind, override, bind, override */
}

static void puts_a_driverless_device_back_after_being_killed_at_any_write(void **state)
{
	struct harness *harness = *state;

	harness_start(harness);
	leased_address = BARE;
	die_everywhere(harness, lease_one, 4); /* override, bind; unbind, override */
}

static void puts_a_parked_group_back_after_being_killed_at_any_write(void **state)
{
	struct harness *harness = *state;

	harness_start(harness);
	die_everywhere(harness, lease_group, 3 * 7);
}

static void survives_a_worker_that_is_killed(void **state)
{
	struct harness *harness = *state;
	_cleanup_free_ char *before = NULL;
	char command[64];
	struct helper_reply reply;

	harness_start(harness);
	before = describe(harness);
	fuse_sysfs_hold(harness->sysfs, NIC);
	harness_send_prepare(harness, NIC);
	assert_true(fuse_sysfs_wait_blocked(harness->sysfs, NIC, HARNESS_WAIT));
	snprintf(command, sizeof(command), "pkill -KILL -P %d", harness->helper);
	assert_int_equal(system(command), 0);
	fuse_sysfs_let_go(harness->sysfs, NIC);
	assert_true(harness_receive(harness, &reply));
	assert_int_equal(reply.status, HELPER_FAULT);
	assert_int_equal(reply.transaction, 0);
	assert_tree(harness, before);
	harness_wait_closed(harness);
}

static void a_second_helper_does_not_start(void **state)
{
	struct harness *harness = *state;
	char command[512];

	harness_start(harness);
	snprintf(command, sizeof(command),
		 "%s/iommud-helper --socket %s/other --broker-user nobody --journal %s/journal --sysfs %s 2>%s/log",
		 getenv("IOMMUD_BUILD") ? getenv("IOMMUD_BUILD") : "build", harness->dir, harness->dir,
		 fuse_sysfs_path(harness->sysfs), harness->dir);
	assert_int_not_equal(system(command), 0);
	snprintf(command, sizeof(command), "grep -q 'another helper has the journal' %s/log", harness->dir);
	assert_int_equal(system(command), 0);
	there_and_back(harness, NIC, "e1000e");
}

static int set_up(void **state)
{
	static struct harness harness;

	memset(&harness, 0, sizeof(harness));
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
		TEST(prepares_and_restores_a_device_on_its_driver),
		TEST(leaves_a_driverless_device_driverless_with_its_override),
		TEST(rebinds_vfio_to_vfio),
		TEST(restores_a_driver_that_no_longer_matches),
		TEST(leaks_no_descriptor),
		TEST(parks_the_bystanders_and_puts_the_group_back),
		TEST(parks_nothing_that_no_rule_says_to),
		TEST(parks_nothing_without_pci_stub),
		TEST(refuses_a_device_that_no_rule_allows),
		TEST(refuses_one_of_two_devices_of_a_group_as_singleton),
		TEST(refuses_bridges_and_devices_without_a_group),
		TEST(says_that_there_is_no_such_device_or_transaction),
		TEST(refuses_another_policy_until_both_are_reloaded),
		TEST(keeps_the_policy_when_the_new_one_has_errors),
		TEST(refuses_descriptors_that_are_no_client_of_ours),
		TEST(refuses_requests_of_the_wrong_form),
		TEST(serves_nobody_but_the_broker),
		TEST(changes_nothing_without_vfio_pci),
		TEST(undoes_a_prepare_whichever_write_fails),
		TEST(keeps_the_transaction_when_a_restore_fails),
		TEST(a_prepare_first_puts_back_what_could_not_be),
		TEST(a_prepare_follows_an_admin_that_helped),
		TEST(leaves_a_replaced_device_alone),
		TEST(closes_the_transaction_of_a_device_that_was_pulled_out),
		TEST(leaves_a_device_that_the_admin_bound_elsewhere),
		TEST(answers_while_an_unbind_hangs_and_serves_others),
		TEST(looks_for_holders_while_the_unbind_hangs),
		TEST(undoes_a_prepare_that_comes_back_too_late),
		TEST(counts_blocked_workers),
		TEST(a_restarted_broker_finds_its_transactions),
		TEST(undoes_a_prepare_whose_broker_went),
		TEST(a_restarted_broker_takes_over_a_restore_under_way),
		TEST(ends_at_once_and_leaves_its_workers_to_finish),
		TEST(puts_everything_back_after_being_killed_at_any_write),
		TEST(puts_a_driverless_device_back_after_being_killed_at_any_write),
		TEST(puts_a_parked_group_back_after_being_killed_at_any_write),
		TEST(survives_a_worker_that_is_killed),
		TEST(a_second_helper_does_not_start),
	};

	return cmocka_run_group_tests_name("helper", tests, NULL, NULL);
}
