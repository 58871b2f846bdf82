/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices of other buses than PCI, leased from the real daemons: a platform device, which moves as PCI's do, and mdevs, which
 * stay on their driver and are made again at the end. The VM has real mdevs; platform devices behind an IOMMU it has not.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "iommud-harness.h"
#include "util/cleanup.h"

#define DMA "fe200000.dma"
#define MDEV "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"
#define SIBLING "83b8f4f2-509f-382f-3c1e-e6bfe0fa1002"
#define PARENT "pci0000:00"

#define RULE(address, user, grant) \
	"[Match]\nAddress=" address "\n[Client]\nUser=" user "\n[Grant]\nAction=allow\n" grant

static const char rules[] = RULE(DMA, "1000", "") RULE(MDEV, "1000", "") RULE(SIBLING, "1001", "");
static const char shared_rules[] = RULE(MDEV, "1000", "GroupScope=whole\nIsolation=shared\n") RULE(SIBLING, "1001", "");

static void add_device(struct machine *machine, const char *bus, const char *address, int group, const char *driver)
{
	const struct fuse_sysfs_device device = {
		.address = address, .bus = bus, .group = group, .driver = driver, .memory_minor = 8
	};

	fuse_sysfs_add_device(machine->sysfs, &device);
	machine_replace_node(machine, address, 8);
}

static void start(struct machine *machine, const char *policy)
{
	machine->rules = policy;
	machine_start(machine);
	machine_stop_iommud(machine);
	fuse_sysfs_add_bus_driver(machine->sysfs, "platform", "pl330");
	fuse_sysfs_add_bus_driver(machine->sysfs, "platform", "vfio-platform");
	fuse_sysfs_add_bus_driver(machine->sysfs, "mdev", "fake_mdev");
	add_device(machine, "platform", DMA, 30, "pl330");
	add_device(machine, "mdev", MDEV, 31, "fake_mdev");
	add_device(machine, "mdev", SIBLING, 32, "fake_mdev");
	machine_start_iommud(machine);
}

static ino_t inode_of(const struct machine *machine, const char *address)
{
	char path[160];
	struct stat st;

	snprintf(path, sizeof(path), "%s/devices/pci0000:00/%s", fuse_sysfs_path(machine->sysfs), address);
	return stat(path, &st) < 0 ? 0 : st.st_ino;
}

static void a_platform_device_moves_to_vfio_platform_and_back(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice;
	struct varlink_reply reply;

	start(machine, rules);
	alice = machine_connect(machine, ALICE);
	reply = machine_acquire(&alice, ONE(DMA));
	assert_string_equal(machine_text(&reply, "devices.0.address"), DMA);
	machine_assert_tree(machine, DMA " driver=vfio-platform override=vfio-platform\n");
	machine_release(&alice, varlink_reply_int(&reply, "lease"));
	varlink_reply_clear(&reply);
	machine_expect_event(machine, "leaseReleased");
	machine_wait_tree(machine, DMA " driver=pl330 override=\n");
	varlink_client_close(&alice);
}

static void a_killed_helper_puts_a_platform_device_back(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice;

	start(machine, rules);
	alice = machine_connect(machine, ALICE);
	machine_take(&alice, ONE(DMA));
	machine_kill_helper(machine);
	varlink_client_close(&alice);
	machine_start_helper(machine);
	machine_wait_tree(machine, DMA " driver=pl330 override=\n");
}

static void an_mdev_stays_on_its_driver_and_is_made_again(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice;
	struct varlink_reply reply;
	ino_t before;

	start(machine, rules);
	before = inode_of(machine, MDEV);
	alice = machine_connect(machine, ALICE);
	reply = machine_call(&alice, "Describe", OF(MDEV));
	assert_string_equal(machine_text(&reply, "device.parent"), PARENT);
	assert_string_equal(machine_text(&reply, "device.bus"), "mdev");
	varlink_reply_clear(&reply);
	reply = machine_acquire(&alice, ONE(MDEV));
	machine_assert_tree(machine, MDEV " driver=fake_mdev override=\n");
	assert_int_equal(inode_of(machine, MDEV), before);
	machine_release(&alice, varlink_reply_int(&reply, "lease"));
	varlink_reply_clear(&reply);
	machine_expect_event(machine, "leaseReleased");
	machine_assert_tree(machine, MDEV " driver=fake_mdev override=\n");
	assert_int_not_equal(inode_of(machine, MDEV), before);
	/* And once more. */
	machine_replace_node(machine, MDEV, 8);
	machine_take(&alice, ONE(MDEV));
	varlink_client_close(&alice);
	machine_expect_event(machine, "leaseReleased");
}

static void an_mdev_lingers_until_its_last_descriptor_is_closed(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice;
	ino_t before;

	start(machine, rules);
	before = inode_of(machine, MDEV);
	alice = machine_connect(machine, ALICE);
	machine_take(&alice, ONE(MDEV));
	fuse_sysfs_hold(machine->sysfs, MDEV);
	varlink_client_close(&alice);
	assert_true(fuse_sysfs_wait_blocked(machine->sysfs, MDEV, MACHINE_WAIT));
	assert_int_equal(inode_of(machine, MDEV), before);
	alice = machine_connect(machine, ALICE);
	machine_expect_refusal(&alice, "Acquire", ONE(MDEV), "DeviceBusy", NULL);
	fuse_sysfs_let_go(machine->sysfs, MDEV);
	machine_expect_event(machine, "leaseReleased");
	assert_int_not_equal(inode_of(machine, MDEV), before);
	varlink_client_close(&alice);
}

static int kill_before_create(void *userdata, const struct fuse_sysfs_write *write)
{
	const struct machine *machine = userdata;

	if (write->file == FUSE_SYSFS_CREATE) {
		kill(-machine->helper, SIGKILL);
		return -EINTR;
	}
	return machine_hook(userdata, write);
}

static void a_helper_killed_in_between_makes_the_mdev_again(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice;
	siginfo_t info;

	start(machine, rules);
	alice = machine_connect(machine, ALICE);
	machine_take(&alice, ONE(MDEV));
	fuse_sysfs_set_hook(machine->sysfs, kill_before_create, machine);
	varlink_client_close(&alice);
	assert_int_equal(waitid(P_PID, machine->helper, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(inode_of(machine, MDEV), 0);
	fuse_sysfs_set_hook(machine->sysfs, machine_hook, machine);
	machine_kill_helper(machine);
	machine_start_helper(machine);
	machine_wait_tree(machine, MDEV " driver=fake_mdev override=\n");
	machine_expect_event(machine, "leaseReleased");
}

static void an_mdev_that_somebody_removed_is_not_made_again(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice;

	start(machine, rules);
	alice = machine_connect(machine, ALICE);
	machine_take(&alice, ONE(MDEV));
	fuse_sysfs_remove_device(machine->sysfs, MDEV);
	varlink_client_close(&alice);
	machine_expect_event(machine, "leaseReleased");
	assert_int_equal(inode_of(machine, MDEV), 0);
}

static void shared_mdevs_go_to_one_lease(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice, bob;
	struct varlink_reply reply;
	char request[160];

	start(machine, shared_rules);
	alice = machine_connect(machine, ALICE);
	bob = machine_connect(machine, BOB);
	reply = machine_refused(&alice, "Acquire", ONE(MDEV), "ConsentRequired", NULL);
	assert_string_equal(machine_text(&reply, "bystanders.0.device"), SIBLING);
	assert_string_equal(machine_text(&reply, "bystanders.0.action"),
			    "is an mdev of " PARENT ", too: nobody else gets it meanwhile");
	snprintf(request, sizeof(request), "{\"devices\":[\"" MDEV "\"],\"consent\":\"%s\"}",
		 machine_text(&reply, "token"));
	varlink_reply_clear(&reply);
	machine_take(&alice, request);
	machine_expect_refusal(&bob, "Acquire", ONE(SIBLING), "DeviceBusy", "the mdevs of " PARENT " go to one lease");
	reply = machine_call(&bob, "Describe", OF(SIBLING));
	assert_string_equal(machine_text(&reply, "device.joinedWith.0"), MDEV);
	varlink_reply_clear(&reply);
	varlink_client_close(&alice);
	machine_expect_event(machine, "leaseReleased");
	machine_take(&bob, ONE(SIBLING));
	varlink_client_close(&bob);
}

static int set_up(void **state)
{
	static struct machine machine;

	memset(&machine, 0, sizeof(machine));
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
		TEST(a_platform_device_moves_to_vfio_platform_and_back),
		TEST(a_killed_helper_puts_a_platform_device_back),
		TEST(an_mdev_stays_on_its_driver_and_is_made_again),
		TEST(an_mdev_lingers_until_its_last_descriptor_is_closed),
		TEST(a_helper_killed_in_between_makes_the_mdev_again),
		TEST(an_mdev_that_somebody_removed_is_not_made_again),
		TEST(shared_mdevs_go_to_one_lease),
	};

	return cmocka_run_group_tests_name("iommud-buses", tests, NULL, NULL);
}
