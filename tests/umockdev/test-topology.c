/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Monitor and registry together, on umockdev's testbed: libudev gets its events from a mocked udevd, and what an event
 * is about stands in the testbed's /sys. Run by umockdev-wrapper.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <umockdev.h>
#include <unistd.h>

#include "fake-sysfs.h"
#include "topology/monitor.h"
#include "topology/registry.h"

#define DISK "0000:02:00.0"
#define DISK_PATH "/sys/devices/pci0000:00/" DISK
#define EVENTS_MAX 32

struct fixture {
	UMockdevTestbed *testbed;
	struct fake_sysfs *fake; /* the testbed's /sys */
	struct registry *registry;
	struct monitor *monitor;
	struct {
		char name[64];
		char action[16];
	} events[EVENTS_MAX];
	size_t n_events;
	char node[64];
	size_t n_nodes;
	size_t n_lost;
	enum registry_change changes[EVENTS_MAX];
	size_t n_changes;
};

static const struct fake_device disk = {
	.address = DISK, .vendor = 0x144d, .device = 0xa808, .class = 0x010802, .group = 12, .driver = "nvme"
};

/* What the daemon does with an event: only its address counts, the truth is read from sysfs. */
static void on_device(void *userdata, const char *address, const char *action)
{
	struct fixture *fixture = userdata;
	int r = registry_refresh(fixture->registry, address);

	assert_true(r == 0 || r == -ENOENT);
	assert_in_range(fixture->n_events, 0, EVENTS_MAX - 1);
	snprintf(fixture->events[fixture->n_events].name, sizeof(fixture->events[0].name), "%s", address);
	snprintf(fixture->events[fixture->n_events].action, sizeof(fixture->events[0].action), "%s", action);
	fixture->n_events++;
}

static void on_node(void *userdata, const char *devnode)
{
	struct fixture *fixture = userdata;

	snprintf(fixture->node, sizeof(fixture->node), "%s", devnode);
	fixture->n_nodes++;
}

static void on_lost(void *userdata)
{
	struct fixture *fixture = userdata;

	fixture->n_lost++;
}

static const struct monitor_handler handler = { .device = on_device, .node = on_node, .lost = on_lost };

static void on_change(void *userdata, enum registry_change change, const struct device *device, const char *former)
{
	struct fixture *fixture = userdata;

	assert_in_range(fixture->n_changes, 0, EVENTS_MAX - 1);
	fixture->changes[fixture->n_changes++] = change;
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	char *path;
	int sysfs_fd;

	fixture->testbed = umockdev_testbed_new();
	path = umockdev_testbed_get_sys_dir(fixture->testbed);
	fixture->fake = fake_sysfs_new_at(path);
	g_free(path);
	/* As the daemon does it: by the name /sys, which the testbed redirects; the monitor before the scan. */
	sysfs_fd = open("/sys", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(registry_new(sysfs_fd, &fixture->registry), 0);
	close(sysfs_fd);
	registry_set_listener(fixture->registry, on_change, fixture);
	assert_int_equal(monitor_new(0, &handler, fixture, &fixture->monitor), 0);
	fake_sysfs_add_device(fixture->fake, &disk);
	assert_int_equal(registry_scan(fixture->registry), 0);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	fixture->monitor = monitor_free(fixture->monitor);
	fixture->registry = registry_free(fixture->registry);
	fixture->fake = fake_sysfs_free(fixture->fake);
	g_object_unref(fixture->testbed);
	free(fixture);
	return 0;
}

/* Until `n` events were handled; a test that waits for one that does not come fails after ten seconds. */
static void dispatch(struct fixture *fixture, int n)
{
	struct pollfd pollfd = { .fd = monitor_get_fd(fixture->monitor), .events = POLLIN };

	while (n > 0) {
		int r;

		assert_int_equal(poll(&pollfd, 1, 10000), 1);
		r = monitor_dispatch(fixture->monitor, n);
		assert_in_range(r, 1, n);
		n -= r;
	}
}

static void send_event(struct fixture *fixture, const char *action)
{
	umockdev_testbed_uevent(fixture->testbed, DISK_PATH, action);
	dispatch(fixture, 1);
}

static void assert_event(const struct fixture *fixture, size_t i, const char *name, const char *action)
{
	assert_in_range(i + 1, 1, fixture->n_events);
	assert_string_equal(fixture->events[i].name, name);
	assert_string_equal(fixture->events[i].action, action);
}

static void scans_a_mocked_tree(void **state)
{
	struct fixture *fixture = *state;
	const struct device *device = registry_find_device(fixture->registry, DISK);

	assert_non_null(device);
	assert_string_equal(device->driver, "nvme");
	assert_int_equal(device->id.vendor, 0x144d);
	assert_int_equal(device->group->id, 12);
	assert_int_equal(device->group->n_regions, 1);
	assert_int_equal(device->group->n_devices, 1);
}

static void unbind_and_bind_reach_the_registry(void **state)
{
	struct fixture *fixture = *state;

	fake_sysfs_set_driver(fixture->fake, DISK, NULL);
	assert_string_equal(registry_find_device(fixture->registry, DISK)->driver, "nvme");
	send_event(fixture, "unbind");
	assert_event(fixture, 0, DISK, "unbind");
	assert_string_equal(registry_find_device(fixture->registry, DISK)->driver, "");
	fake_sysfs_set_driver(fixture->fake, DISK, "vfio-pci");
	send_event(fixture, "bind");
	assert_event(fixture, 1, DISK, "bind");
	assert_string_equal(registry_find_device(fixture->registry, DISK)->driver, "vfio-pci");
	assert_int_equal(fixture->n_changes, 2);
	assert_int_equal(fixture->changes[0], DEVICE_UNBOUND);
	assert_int_equal(fixture->changes[1], DEVICE_BOUND);
}

static void a_change_reaches_the_registry(void **state)
{
	struct fixture *fixture = *state;

	fake_sysfs_set_attribute(fixture->fake, DISK, "reset_method", "flr");
	send_event(fixture, "change");
	assert_event(fixture, 0, DISK, "change");
	assert_int_equal(registry_find_device(fixture->registry, DISK)->reset_methods, RESET_FLR);
	assert_int_equal(fixture->n_changes, 1);
	assert_int_equal(fixture->changes[0], DEVICE_CHANGED);
}

static void remove_and_add_reach_the_registry(void **state)
{
	struct fixture *fixture = *state;
	gchar *path;

	/* The message of a removal carries what the device was; the testbed reads it from the device. */
	fake_sysfs_set_group(fixture->fake, DISK, FAKE_NO_GROUP);
	send_event(fixture, "remove");
	assert_event(fixture, 0, DISK, "remove");
	assert_null(registry_find_device(fixture->registry, DISK));
	assert_null(registry_find_group(fixture->registry, 12));
	fake_sysfs_remove_device(fixture->fake, DISK);

	path = umockdev_testbed_add_device(fixture->testbed, "pci", DISK, NULL, "modalias",
					   "pci:v0000144Dd0000A808sv0000144Dsd0000A801bc01sc08i02", "PCI_ID",
					   "144D:A808", NULL);
	assert_non_null(path);
	umockdev_testbed_set_attribute_link(fixture->testbed, path, "iommu_group", "../../kernel/iommu_groups/13");
	g_free(path);
	dispatch(fixture, 1);
	assert_event(fixture, 1, DISK, "add");
	assert_int_equal(registry_find_device(fixture->registry, DISK)->group->id, 13);
	assert_int_equal(registry_find_device(fixture->registry, DISK)->id.device, 0xa808);
	assert_int_equal(fixture->changes[0], DEVICE_REMOVED);
	assert_int_equal(fixture->changes[1], DEVICE_ADDED);
}

static void an_event_that_says_nothing_new_changes_nothing(void **state)
{
	struct fixture *fixture = *state;
	uint64_t generation = registry_generation(fixture->registry);

	send_event(fixture, "bind");
	assert_int_equal(fixture->n_events, 1);
	assert_int_equal(fixture->n_changes, 0);
	assert_int_equal(registry_generation(fixture->registry), generation);
}

static void add_node(struct fixture *fixture, const char *subsystem, const char *name, const char *node)
{
	gchar *path = umockdev_testbed_add_device(fixture->testbed, subsystem, name, NULL, NULL, "DEVNAME", node, NULL);

	assert_non_null(path);
	g_free(path);
	dispatch(fixture, 1);
}

static void tells_when_a_node_is_ready(void **state)
{
	struct fixture *fixture = *state;

	add_node(fixture, "vfio", "12", "/dev/vfio/12");
	assert_string_equal(fixture->node, "/dev/vfio/12");
	add_node(fixture, "vfio-dev", "vfio0", "/dev/vfio/devices/vfio0");
	assert_string_equal(fixture->node, "/dev/vfio/devices/vfio0");
	add_node(fixture, "misc", "iommu", "/dev/iommu");
	assert_string_equal(fixture->node, "/dev/iommu");
	assert_int_equal(fixture->n_nodes, 3);
	assert_int_equal(fixture->n_events, 0);
}

static void passes_over_other_misc_devices(void **state)
{
	struct fixture *fixture = *state;

	add_node(fixture, "misc", "rfkill", "/dev/rfkill");
	assert_int_equal(fixture->n_nodes, 0);
	assert_int_equal(fixture->n_lost, 0);
}

static void handles_no_more_than_its_budget(void **state)
{
	struct fixture *fixture = *state;

	for (int i = 0; i < 5; i++)
		umockdev_testbed_uevent(fixture->testbed, DISK_PATH, "change");
	assert_int_equal(monitor_dispatch(fixture->monitor, 2), 2);
	assert_int_equal(fixture->n_events, 2);
	assert_int_equal(monitor_dispatch(fixture->monitor, 0), 0);
	assert_int_equal(monitor_dispatch(fixture->monitor, 100), 3);
	assert_int_equal(monitor_dispatch(fixture->monitor, 100), 0);
	assert_int_equal(fixture->n_events, 5);
	assert_int_equal(fixture->n_lost, 0);
}

#define WITH_TESTBED(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_TESTBED(scans_a_mocked_tree),
		WITH_TESTBED(unbind_and_bind_reach_the_registry),
		WITH_TESTBED(a_change_reaches_the_registry),
		WITH_TESTBED(remove_and_add_reach_the_registry),
		WITH_TESTBED(an_event_that_says_nothing_new_changes_nothing),
		WITH_TESTBED(tells_when_a_node_is_ready),
		WITH_TESTBED(passes_over_other_misc_devices),
		WITH_TESTBED(handles_no_more_than_its_budget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
