/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the helper does for a lease that was granted already: it parks members that came to the group, or to a driver, since.
 * The real program on a fake kernel, with a broker that is the test.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "helper-harness.h"
#include "util/cleanup.h"

#define LATE "0000:00:0a.4" /* joins the group of WANTED */
#define PORT "0000:00:0a.5" /* joins it as well, with an interface that has a bridge upon it */

#define RULE(device, grant) "[Match]\nAddress=" device "\n[Client]\nUser=root\n[Grant]\nAction=allow\n" grant "\n"
#define WHOLE(grant) RULE(WANTED, "GroupScope=whole\n" grant)

static void add_device(struct harness *harness, const char *address, int group, const char *driver,
		       const char *interface)
{
	const struct fuse_sysfs_device device = { .address = address,
						  .vendor = 0x8086,
						  .device = 0x10d3,
						  .class = 0x020000,
						  .group = group,
						  .driver = driver,
						  .interface = interface };

	fuse_sysfs_add_device(harness->sysfs, &device);
}

static void use_policy(struct harness *harness, const char *text)
{
	struct helper_request reload = harness_request(harness, HELPER_RELOAD);

	harness_write_policy(harness, text);
	assert_int_equal(harness_call(harness, &reload, -1).status, HELPER_OK);
	harness_connect_broker(harness);
}

/* With WANTED prepared by this rule. */
static uint64_t start(struct harness *harness, const char *rules)
{
	struct helper_reply reply;

	harness_start(harness);
	use_policy(harness, rules);
	reply = harness_prepare(harness, WANTED);
	assert_int_equal(reply.status, HELPER_OK);
	return reply.transaction;
}

static struct helper_request late_request(struct harness *harness, const char *address, const char *for_address)
{
	struct helper_request request = harness_request(harness, HELPER_PARK);

	strcpy(request.address, address);
	strcpy(request.for_address, for_address);
	memcpy(request.digest, harness->digest, sizeof(request.digest));
	request.flags = HELPER_LATE;
	return request;
}

static struct helper_reply park_late(struct harness *harness, const char *address, const char *for_address)
{
	struct helper_request request = late_request(harness, address, for_address);

	return harness_call(harness, &request, harness->accepted);
}

static void assert_line(struct harness *harness, const char *line)
{
	_cleanup_free_ char *tree = fuse_sysfs_describe(harness->sysfs);

	if (!strstr(tree, line))
		fail_msg("'%s' is not in:\n%s", line, tree);
}

static void refuses(struct harness *harness, const char *address, const char *for_address, enum helper_status status)
{
	_cleanup_free_ char *before = fuse_sysfs_describe(harness->sysfs), *after = NULL;
	struct helper_reply reply = park_late(harness, address, for_address);

	assert_int_equal(reply.status, status);
	assert_int_equal(reply.transaction, 0);
	after = fuse_sysfs_describe(harness->sysfs);
	assert_string_equal(after, before);
}

static void gives_back(struct harness *harness, uint64_t transaction)
{
	assert_int_equal(harness_restore(harness, transaction).status, HELPER_OK);
}

static void parks_an_intruder_and_a_joiner_and_puts_both_back(void **state)
{
	struct harness *harness = *state;
	_cleanup_free_ char *before = NULL, *after = NULL;
	struct helper_reply intruder, joiner;
	uint64_t wanted;

	wanted = start(harness, WHOLE(""));
	gives_back(harness, wanted);
	add_device(harness, LATE, 10, NULL, NULL);
	before = fuse_sysfs_describe(harness->sysfs);
	wanted = harness_prepare(harness, WANTED).transaction;
	intruder = park_late(harness, BYSTANDER, WANTED);
	assert_int_equal(intruder.status, HELPER_OK);
	assert_string_equal(intruder.driver, "nvme");
	joiner = park_late(harness, LATE, WANTED);
	assert_int_equal(joiner.status, HELPER_OK);
	assert_string_equal(joiner.driver, "");
	assert_line(harness, BYSTANDER " driver=pci-stub override=pci-stub\n");
	assert_line(harness, LATE " driver=pci-stub override=pci-stub\n");
	gives_back(harness, wanted);
	gives_back(harness, joiner.transaction);
	gives_back(harness, intruder.transaction);
	after = fuse_sysfs_describe(harness->sysfs);
	assert_string_equal(after, before);
	harness_wait_closed(harness);
}

static void the_policy_must_say_so_in_one_way_or_the_other(void **state)
{
	struct harness *harness = *state;

	start(harness, WHOLE("LateJoiner=allow\nOnViolation=revoke"));
	refuses(harness, BYSTANDER, WANTED, HELPER_REFUSED);
	use_policy(harness, WHOLE("LateJoiner=violate\nOnViolation=log"));
	refuses(harness, BYSTANDER, WANTED, HELPER_REFUSED);
	/* Parking beforehand is another matter. */
	use_policy(harness, WHOLE("Bystanders=park\nLateJoiner=allow\nOnViolation=log"));
	refuses(harness, BYSTANDER, WANTED, HELPER_REFUSED);
	use_policy(harness, RULE(NIC, ""));
	refuses(harness, BYSTANDER, WANTED, HELPER_REFUSED);
	use_policy(harness, WHOLE("LateJoiner=park\nOnViolation=log"));
	assert_int_equal(park_late(harness, BYSTANDER, WANTED).status, HELPER_OK);
	use_policy(harness, WHOLE("LateJoiner=allow\nOnViolation=unbind"));
	assert_int_equal(park_late(harness, ONLOOKER, WANTED).status, HELPER_OK);
}

static void nobody_is_parked_for_what_nobody_has(void **state)
{
	struct harness *harness = *state;
	uint64_t wanted = start(harness, WHOLE("Bystanders=park"));

	gives_back(harness, wanted);
	refuses(harness, BYSTANDER, WANTED, HELPER_REFUSED);
	refuses(harness, BYSTANDER, NIC, HELPER_REFUSED);
	/* One that is parked itself is nobody's. */
	assert_int_equal(harness_park(harness, BYSTANDER, WANTED).status, HELPER_OK);
	refuses(harness, ONLOOKER, BYSTANDER, HELPER_REFUSED);
	refuses(harness, ONLOOKER, WANTED, HELPER_REFUSED);
}

static void nobody_is_parked_for_another_device_at_the_address(void **state)
{
	struct harness *harness = *state;

	start(harness, WHOLE(""));
	fuse_sysfs_remove_device(harness->sysfs, WANTED);
	refuses(harness, BYSTANDER, WANTED, HELPER_NO_SUCH_DEVICE);
	add_device(harness, WANTED, 10, "vfio-pci", NULL);
	refuses(harness, BYSTANDER, WANTED, HELPER_REFUSED);
}

static void only_members_that_are_in_the_way_are_parked(void **state)
{
	struct harness *harness = *state;

	start(harness, WHOLE(""));
	refuses(harness, ELBOW, WANTED, HELPER_REFUSED); /* a bridge */
	refuses(harness, NIC, WANTED, HELPER_REFUSED); /* of another group */
	refuses(harness, LOOSE, WANTED, HELPER_REFUSED); /* of none */
	refuses(harness, "0000:ff:1f.7", WANTED, HELPER_NO_SUCH_DEVICE);
	/* By hand, as in thread 004; it may be somebody's. */
	fuse_sysfs_set_driver(harness->sysfs, BYSTANDER, "vfio-pci");
	refuses(harness, BYSTANDER, WANTED, HELPER_REFUSED);
}

static void a_group_of_one_that_has_grown_counts(void **state)
{
	struct harness *harness = *state;

	harness_start(harness);
	assert_int_equal(harness_prepare(harness, NIC).status, HELPER_OK);
	add_device(harness, LATE, 1, "e1000e", NULL);
	/* Nobody else may have it by this rule now. */
	assert_int_equal(harness_park(harness, LATE, NIC).status, HELPER_REFUSED);
	assert_int_equal(park_late(harness, LATE, NIC).status, HELPER_OK);
	assert_line(harness, LATE " driver=pci-stub override=pci-stub\n");
}

static void rules_go_by_the_driver_that_the_device_had(void **state)
{
	static const char rules[] = "[Match]\nDriver=vfio-pci\n[Client]\nUser=root\n[Grant]\nAction=deny\n"
				    "[Match]\nAddress=" WANTED "\nDriver=e1000e\n[Client]\nUser=root\n[Grant]\n"
				    "Action=allow\nGroupScope=whole\n";
	struct harness *harness = *state;

	start(harness, rules);
	assert_line(harness, WANTED " driver=vfio-pci override=vfio-pci\n");
	assert_int_equal(park_late(harness, BYSTANDER, WANTED).status, HELPER_OK);
}

/* The rule says that the host can do without what the client asks for; nobody said that of who comes later. */
static void force_is_not_for_intruders(void **state)
{
	struct harness *harness = *state;
	struct helper_reply reply;

	start(harness, WHOLE("Force=yes"));
	add_device(harness, PORT, 10, "e1000e", "eth0");
	reply = park_late(harness, PORT, WANTED);
	assert_int_equal(reply.status, HELPER_IN_USE);
	assert_non_null(strstr(reply.detail, "eth0"));
	assert_line(harness, PORT " driver=e1000e override=\n");
}

/* ---- again ---- */

static void what_was_taken_from_pci_stub_goes_back_by_the_same_transaction(void **state)
{
	struct harness *harness = *state;
	uint64_t wanted = start(harness, WHOLE(""));
	struct helper_reply first = park_late(harness, BYSTANDER, WANTED), second;

	fuse_sysfs_set_driver(harness->sysfs, BYSTANDER, "nvme");
	assert_int_equal(harness_park(harness, BYSTANDER, WANTED).status, HELPER_BUSY);
	second = park_late(harness, BYSTANDER, WANTED);
	assert_int_equal(second.status, HELPER_OK);
	assert_int_equal(second.transaction, first.transaction);
	assert_string_equal(second.driver, "nvme");
	assert_line(harness, BYSTANDER " driver=pci-stub override=pci-stub\n");
	/* Also one without a driver, and one that is there. */
	fuse_sysfs_set_driver(harness->sysfs, BYSTANDER, NULL);
	assert_int_equal(park_late(harness, BYSTANDER, WANTED).transaction, first.transaction);
	assert_int_equal(park_late(harness, BYSTANDER, WANTED).transaction, first.transaction);
	assert_line(harness, BYSTANDER " driver=pci-stub override=pci-stub\n");
	gives_back(harness, wanted);
	gives_back(harness, first.transaction);
	assert_line(harness, BYSTANDER " driver=nvme override=\n");
	harness_wait_closed(harness);
}

static void what_is_handed_out_is_not_parked(void **state)
{
	struct harness *harness = *state;

	start(harness, WHOLE("") RULE(BYSTANDER, "GroupScope=whole"));
	assert_int_equal(harness_prepare(harness, BYSTANDER).status, HELPER_OK);
	assert_int_equal(park_late(harness, BYSTANDER, WANTED).status, HELPER_BUSY);
	fuse_sysfs_set_driver(harness->sysfs, BYSTANDER, "nvme");
	assert_int_equal(park_late(harness, BYSTANDER, WANTED).status, HELPER_BUSY);
	assert_line(harness, BYSTANDER " driver=nvme");
}

static void another_device_is_not_parked_for_the_former(void **state)
{
	struct harness *harness = *state;
	struct helper_reply parked, reply;

	start(harness, WHOLE(""));
	add_device(harness, LATE, 10, NULL, NULL);
	parked = park_late(harness, LATE, WANTED);
	fuse_sysfs_remove_device(harness->sysfs, LATE);
	add_device(harness, LATE, 10, "e1000e", NULL);
	reply = park_late(harness, LATE, WANTED);
	assert_int_equal(reply.status, HELPER_REPLACED);
	assert_line(harness, LATE " driver=e1000e override=\n");
	/* Once the former is closed it is parked for itself. */
	assert_int_equal(harness_restore(harness, parked.transaction).status, HELPER_REPLACED);
	reply = park_late(harness, LATE, WANTED);
	assert_int_equal(reply.status, HELPER_OK);
	assert_string_equal(reply.driver, "e1000e");
}

static int fail_bind(void *userdata, const struct fuse_sysfs_write *write)
{
	struct harness *harness = userdata;

	if (write->file == FUSE_SYSFS_BIND && !write->after && strcmp(write->driver, "pci-stub") == 0)
		return -EIO;
	return harness_hook(harness, write);
}

static void its_transaction_stays_whatever_becomes_of_it(void **state)
{
	struct harness *harness = *state;
	uint64_t wanted = start(harness, WHOLE(""));
	struct helper_reply first = park_late(harness, BYSTANDER, WANTED), reply;
	char command[64];

	fuse_sysfs_set_driver(harness->sysfs, BYSTANDER, "nvme");
	fuse_sysfs_set_hook(harness->sysfs, fail_bind, harness);
	reply = park_late(harness, BYSTANDER, WANTED);
	assert_int_equal(reply.status, HELPER_FAULT);
	assert_int_equal(reply.step, HELPER_STEP_BIND);
	assert_int_equal(reply.transaction, first.transaction);
	fuse_sysfs_set_hook(harness->sysfs, harness_hook, harness);
	/* A worker that dies in the middle. */
	fuse_sysfs_set_driver(harness->sysfs, BYSTANDER, "nvme");
	fuse_sysfs_hold(harness->sysfs, BYSTANDER);
	{
		struct helper_request request = late_request(harness, BYSTANDER, WANTED);

		harness_send(harness, &request, harness->accepted);
	}
	assert_true(fuse_sysfs_wait_blocked(harness->sysfs, BYSTANDER, HARNESS_WAIT));
	snprintf(command, sizeof(command), "pkill -KILL -P %d", harness->helper);
	assert_int_equal(system(command), 0);
	fuse_sysfs_let_go(harness->sysfs, BYSTANDER);
	assert_true(harness_receive(harness, &reply));
	assert_int_equal(reply.status, HELPER_FAULT);
	assert_int_equal(reply.transaction, first.transaction);
	/* And the helper itself. */
	kill(-harness->helper, SIGKILL);
	harness_reap_helper(harness);
	harness_start_helper(harness);
	harness_connect_broker(harness);
	assert_int_equal(park_late(harness, BYSTANDER, WANTED).transaction, first.transaction);
	assert_line(harness, BYSTANDER " driver=pci-stub override=pci-stub\n");
	gives_back(harness, wanted);
	gives_back(harness, first.transaction);
	assert_line(harness, BYSTANDER " driver=nvme override=\n");
}

/* The lease ends while the driver that came again does not let go: what is told is the end of that, not of the parking. */
static void a_lease_that_ends_meanwhile_gets_it_put_back(void **state)
{
	struct harness *harness = *state;
	struct helper_request request;
	struct helper_reply first, reply;
	uint64_t wanted;

	wanted = start(harness, WHOLE(""));
	harness_stop_helper(harness);
	harness->timeout = "1";
	harness_start_helper(harness);
	harness_connect_broker(harness);
	first = park_late(harness, BYSTANDER, WANTED);
	fuse_sysfs_set_driver(harness->sysfs, BYSTANDER, "nvme");
	fuse_sysfs_hold(harness->sysfs, BYSTANDER);
	reply = park_late(harness, BYSTANDER, WANTED);
	assert_int_equal(reply.status, HELPER_TIMED_OUT);
	assert_int_equal(reply.transaction, first.transaction);
	gives_back(harness, wanted);
	request = harness_request(harness, HELPER_RESTORE);
	request.transaction = first.transaction;
	assert_int_equal(harness_call(harness, &request, -1).status, HELPER_TIMED_OUT);
	fuse_sysfs_let_go(harness->sysfs, BYSTANDER);
	assert_true(harness_receive(harness, &reply));
	assert_int_equal(reply.status, HELPER_OK);
	assert_line(harness, BYSTANDER " driver=nvme override=\n");
	harness_wait_closed(harness);
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
		TEST(parks_an_intruder_and_a_joiner_and_puts_both_back),
		TEST(the_policy_must_say_so_in_one_way_or_the_other),
		TEST(nobody_is_parked_for_what_nobody_has),
		TEST(nobody_is_parked_for_another_device_at_the_address),
		TEST(only_members_that_are_in_the_way_are_parked),
		TEST(a_group_of_one_that_has_grown_counts),
		TEST(rules_go_by_the_driver_that_the_device_had),
		TEST(force_is_not_for_intruders),
		TEST(what_was_taken_from_pci_stub_goes_back_by_the_same_transaction),
		TEST(what_is_handed_out_is_not_parked),
		TEST(another_device_is_not_parked_for_the_former),
		TEST(its_transaction_stays_whatever_becomes_of_it),
		TEST(a_lease_that_ends_meanwhile_gets_it_put_back),
	};

	return cmocka_run_group_tests_name("helper-late", tests, NULL, NULL);
}
