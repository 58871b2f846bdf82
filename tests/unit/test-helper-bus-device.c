/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is read of a device: a tree of plain files, complete, incomplete and odd. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "helper/bus-device.h"
#include "helper/device-facts.h"
#include "helper/pci-config.h"
#include "util/cleanup.h"
#include "util/fileio.h"

#define ADDRESS "0000:00:01.0"
#define DEVICE "bus/pci/devices/" ADDRESS

struct tree {
	char path[64];
	int fd;
};

static void put(const struct tree *tree, const char *name, const void *data, size_t size)
{
	_cleanup_fd_ int fd = openat(tree->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_int_equal(write(fd, data, size), size);
}

static void put_text(const struct tree *tree, const char *name, const char *text)
{
	put(tree, name, text, strlen(text));
}

static void make_dirs(const struct tree *tree)
{
	static const char *const dirs[] = { "bus",    "bus/pci",         "bus/pci/devices",
					    DEVICE,   "bus/pci/drivers", "bus/pci/drivers/e1000e",
					    "groups", "groups/1",        "groups/1/devices" };

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		assert_int_equal(mkdirat(tree->fd, dirs[i], 0755), 0);
}

static void make_device(const struct tree *tree)
{
	uint8_t config[256] = { 0 };

	config[0x0e] = 0x80;
	put_text(tree, DEVICE "/vendor", "0x8086\n");
	put_text(tree, DEVICE "/device", "0x10d3\n");
	put_text(tree, DEVICE "/subsystem_vendor", "0x1af4\n");
	put_text(tree, DEVICE "/subsystem_device", "0x1100\n");
	put_text(tree, DEVICE "/class", "0x020000\n");
	put_text(tree, DEVICE "/driver_override", "(null)\n");
	put(tree, DEVICE "/config", config, sizeof(config));
	put_text(tree, "bus/pci/drivers/e1000e/bind", "");
	put_text(tree, "bus/pci/drivers/e1000e/unbind", "");
	put_text(tree, "groups/1/devices/" ADDRESS, "");
	assert_int_equal(symlinkat("../../drivers/e1000e", tree->fd, DEVICE "/driver"), 0);
	assert_int_equal(symlinkat("../../../../groups/1", tree->fd, DEVICE "/iommu_group"), 0);
}

static int set_up(void **state)
{
	struct tree *tree = calloc(1, sizeof(*tree));

	strcpy(tree->path, "/tmp/iommud-pci-XXXXXX");
	if (!mkdtemp(tree->path))
		return -1;
	tree->fd = open(tree->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	make_dirs(tree);
	make_device(tree);
	*state = tree;
	return 0;
}

static int tear_down(void **state)
{
	struct tree *tree = *state;
	char command[128];

	close(tree->fd);
	snprintf(command, sizeof(command), "rm -rf %s", tree->path);
	free(tree);
	return system(command);
}

static int read_state(const struct tree *tree, struct device_state *ret)
{
	struct bus_device device;
	int r = bus_device_open(tree->fd, ADDRESS, &device);

	if (r < 0)
		return r;
	r = bus_device_read_snapshot(&device, ret);
	bus_device_close(&device);
	return r;
}

static int read_facts(const struct tree *tree, struct device_facts *ret)
{
	struct bus_device device;
	int r;

	assert_int_equal(bus_device_open(tree->fd, ADDRESS, &device), 0);
	r = device_facts_read(&device, ret);
	bus_device_close(&device);
	return r;
}

static void reads_what_a_device_is(void **state)
{
	struct device_state is;
	struct stat st;
	const struct tree *tree = *state;

	assert_int_equal(read_state(tree, &is), 0);
	assert_string_equal(is.id.address, ADDRESS);
	assert_int_equal(is.id.vendor, 0x8086);
	assert_int_equal(is.id.device, 0x10d3);
	assert_int_equal(is.id.subsystem_vendor, 0x1af4);
	assert_int_equal(is.id.subsystem_device, 0x1100);
	assert_int_equal(is.id.class, 0x020000);
	assert_string_equal(is.driver, "e1000e");
	assert_string_equal(is.driver_override, "");
	assert_int_equal(is.serial, 0);
	assert_int_equal(fstatat(tree->fd, DEVICE, &st, 0), 0);
	assert_int_equal(is.node, st.st_ino);
}

static void reads_a_driverless_device_with_an_override(void **state)
{
	const struct tree *tree = *state;
	struct device_state is;

	unlinkat(tree->fd, DEVICE "/driver", 0);
	put_text(tree, DEVICE "/driver_override", "vfio-pci\n");
	assert_int_equal(read_state(tree, &is), 0);
	assert_string_equal(is.driver, "");
	assert_string_equal(is.driver_override, "vfio-pci");
}

/* Each file but config and driver is needed: without it the device is going. */
static void a_missing_file_is_a_device_that_goes(void **state)
{
	static const char *const files[] = { "vendor",           "device", "subsystem_vendor",
					     "subsystem_device", "class",  "driver_override" };
	const struct tree *tree = *state;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		struct device_state is = { .serial = 5 };
		char from[64];

		snprintf(from, sizeof(from), DEVICE "/%s", files[i]);
		assert_int_equal(renameat(tree->fd, from, tree->fd, "away"), 0);
		assert_int_equal(read_state(tree, &is), -ENOENT);
		assert_int_equal(is.serial, 5);
		assert_int_equal(renameat(tree->fd, "away", tree->fd, from), 0);
	}
}

static void refuses_values_out_of_range_and_names_too_long(void **state)
{
	const struct tree *tree = *state;
	struct device_state is;

	put_text(tree, DEVICE "/vendor", "0x18086\n");
	assert_int_equal(read_state(tree, &is), -ERANGE);
	put_text(tree, DEVICE "/vendor", "rubbish\n");
	assert_int_equal(read_state(tree, &is), -EINVAL);
	put_text(tree, DEVICE "/vendor", "0x8086\n");
	put_text(tree, DEVICE "/driver_override", "a-name-that-is-longer-than-any-driver-has-ever-had\n");
	assert_int_equal(read_state(tree, &is), -E2BIG);
}

static void says_that_there_is_no_device(void **state)
{
	const struct tree *tree = *state;
	struct bus_device device;

	assert_int_equal(bus_device_open(tree->fd, "0000:00:02.0", &device), -ENOENT);
}

static void counts_the_devices_of_the_group(void **state)
{
	const struct tree *tree = *state;
	struct device_facts facts;

	assert_int_equal(read_facts(tree, &facts), 0);
	assert_int_equal(facts.group_size, 1);
	assert_string_equal(facts.group, "1");
	assert_false(facts.bridge);
	assert_false(facts.no_iommu);
	put_text(tree, "groups/1/devices/0000:00:01.1", "");
	put_text(tree, "groups/1/name", "vfio-noiommu\n");
	assert_int_equal(read_facts(tree, &facts), 0);
	assert_int_equal(facts.group_size, 2);
	assert_true(facts.no_iommu);
	unlinkat(tree->fd, DEVICE "/iommu_group", 0);
	assert_int_equal(read_facts(tree, &facts), 0);
	assert_int_equal(facts.group_size, 0);
	assert_string_equal(facts.group, "");
}

static void knows_what_a_virtual_function_is_of(void **state)
{
	const struct tree *tree = *state;
	struct device_state snapshot;

	assert_int_equal(read_state(tree, &snapshot), 0);
	assert_string_equal(snapshot.physical_function, "");
	assert_int_equal(symlinkat("../0000:00:01.1", tree->fd, DEVICE "/physfn"), 0);
	assert_int_equal(read_state(tree, &snapshot), 0);
	assert_string_equal(snapshot.physical_function, "0000:00:01.1");
}

static void knows_what_has_virtual_functions(void **state)
{
	const struct tree *tree = *state;
	struct device_facts facts;

	assert_int_equal(read_facts(tree, &facts), 0);
	assert_false(facts.has_virtual_functions);
	/* The link leads nowhere here, which is all the same. */
	assert_int_equal(symlinkat("../0000:00:01.1", tree->fd, DEVICE "/virtfn0"), 0);
	assert_int_equal(read_facts(tree, &facts), 0);
	assert_true(facts.has_virtual_functions);
}

static void takes_for_a_bridge_what_is_none_for_sure(void **state)
{
	const struct tree *tree = *state;
	uint8_t config[64] = { 0 };
	struct device_facts facts;

	config[0x0e] = 0x81;
	put(tree, DEVICE "/config", config, sizeof(config));
	assert_int_equal(read_facts(tree, &facts), 0);
	assert_true(facts.bridge);
	put(tree, DEVICE "/config", config, 4); /* too short to say */
	assert_int_equal(read_facts(tree, &facts), 0);
	assert_true(facts.bridge);
	unlinkat(tree->fd, DEVICE "/config", 0);
	assert_int_equal(read_facts(tree, &facts), -ENOENT);
}

static void put_u32(uint8_t *config, size_t offset, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		config[offset + i] = value >> 8 * i;
}

static void finds_the_serial_number_wherever_it_is(void **state)
{
	const struct tree *tree = *state;
	struct pci_config parsed = { .size = PCI_CONFIG_SIZE };
	uint8_t *config = parsed.bytes;
	struct device_state is;

	assert_int_equal(pci_config_serial(&parsed), 0);
	put_u32(config, 0x100, 0x0001 | 1 << 16 | 0x200 << 20);
	put_u32(config, 0x200, 0x0003 | 1 << 16);
	put_u32(config, 0x204, 0x89abcdef);
	put_u32(config, 0x208, 0x01234567);
	assert_true(pci_config_serial(&parsed) == 0x0123456789abcdef);
	parsed.size = 256;
	assert_int_equal(pci_config_serial(&parsed), 0);
	parsed.size = 0x20b;
	assert_int_equal(pci_config_serial(&parsed), 0);
	parsed.size = 0;
	assert_int_equal(pci_config_serial(&parsed), 0);
	put(tree, DEVICE "/config", config, PCI_CONFIG_SIZE);
	assert_int_equal(read_state(tree, &is), 0);
	assert_true(is.serial == 0x0123456789abcdef);
}

static void ends_on_any_list_of_capabilities(void **state)
{
	struct pci_config parsed = { .size = PCI_CONFIG_SIZE };
	uint8_t *config = parsed.bytes;

	put_u32(config, 0x100, 0x0001 | 1 << 16 | 0x100 << 20); /* points at itself */
	assert_int_equal(pci_config_serial(&parsed), 0);
	put_u32(config, 0x100, 0x0001 | 1 << 16 | 0x040 << 20); /* points out of the extended space */
	assert_int_equal(pci_config_serial(&parsed), 0);
	put_u32(config, 0x100, 0x0001 | 1 << 16 | 0xffcU << 20); /* points at the end */
	assert_int_equal(pci_config_serial(&parsed), 0);
	memset(config, 0xff, PCI_CONFIG_SIZE); /* a device that does not answer */
	assert_int_equal(pci_config_serial(&parsed), 0);
}

static void assert_file(const struct tree *tree, const char *name, const char *text)
{
	char buffer[64] = { 0 };
	_cleanup_fd_ int fd = openat(tree->fd, name, O_RDONLY | O_CLOEXEC);

	assert_true(read(fd, buffer, sizeof(buffer) - 1) >= 0);
	assert_string_equal(buffer, text);
}

static void writes_to_the_right_files(void **state)
{
	const struct tree *tree = *state;
	struct bus_device device;

	assert_int_equal(bus_device_open(tree->fd, ADDRESS, &device), 0);
	put_text(tree, DEVICE "/driver_override", "");
	assert_int_equal(bus_device_ops.set_override(&device, "vfio-pci"), 0);
	assert_file(tree, DEVICE "/driver_override", "vfio-pci");
	put_text(tree, DEVICE "/driver_override", "");
	assert_int_equal(bus_device_ops.set_override(&device, ""), 0);
	assert_file(tree, DEVICE "/driver_override", "\n");
	assert_int_equal(bus_device_ops.unbind(&device, "e1000e"), 0);
	assert_file(tree, "bus/pci/drivers/e1000e/unbind", ADDRESS);
	assert_int_equal(bus_device_ops.bind(&device, "e1000e"), 0);
	assert_file(tree, "bus/pci/drivers/e1000e/bind", ADDRESS);
	assert_int_equal(bus_device_ops.bind(&device, "vfio-pci"), -ENOENT);
	assert_int_equal(bus_device_ops.has_driver(&device, "vfio-pci"), -ENOENT);
	assert_int_equal(bus_device_ops.has_driver(&device, "e1000e"), 0);
	bus_device_close(&device);
}

static void make_platform_device(const struct tree *tree, const char *address)
{
	char path[128];

	mkdirat(tree->fd, "bus/platform", 0755);
	mkdirat(tree->fd, "bus/platform/devices", 0755);
	snprintf(path, sizeof(path), "bus/platform/devices/%s", address);
	assert_int_equal(mkdirat(tree->fd, path, 0755), 0);
	snprintf(path, sizeof(path), "bus/platform/devices/%s/driver_override", address);
	put_text(tree, path, "(null)\n");
}

static void finds_the_bus_of_an_address(void **state)
{
	const struct tree *tree = *state;
	struct bus_device device;
	struct device_facts facts;
	struct device_state is;

	make_platform_device(tree, "fe200000.dma");
	assert_int_equal(bus_device_open(tree->fd, "fe200000.dma", &device), 0);
	assert_string_equal(device.bus->name, "platform");
	assert_int_equal(bus_device_read_snapshot(&device, &is), 0);
	assert_string_equal(is.bus, "platform");
	assert_string_equal(is.id.address, "fe200000.dma");
	assert_int_equal(is.id.vendor, 0);
	assert_int_equal(device_facts_read(&device, &facts), 0);
	assert_false(facts.bridge);
	bus_device_close(&device);
	assert_int_equal(bus_device_open_on(tree->fd, bus_find("pci"), "fe200000.dma", &device), -ENOENT);
}

static void an_address_on_two_buses_is_none(void **state)
{
	const struct tree *tree = *state;
	struct bus_device device;

	make_platform_device(tree, ADDRESS);
	assert_int_equal(bus_device_open(tree->fd, ADDRESS, &device), -ENOTUNIQ);
	assert_int_equal(bus_device_open_on(tree->fd, bus_find("pci"), ADDRESS, &device), 0);
	bus_device_close(&device);
}

static void writes_to_the_drivers_of_its_bus(void **state)
{
	const struct tree *tree = *state;
	struct bus_device device;

	make_platform_device(tree, "fe200000.dma");
	mkdirat(tree->fd, "bus/platform/drivers", 0755);
	mkdirat(tree->fd, "bus/platform/drivers/e1000e", 0755);
	put_text(tree, "bus/platform/drivers/e1000e/bind", "");
	assert_int_equal(bus_device_open(tree->fd, "fe200000.dma", &device), 0);
	assert_int_equal(bus_device_ops.bind(&device, "e1000e"), 0);
	assert_file(tree, "bus/platform/drivers/e1000e/bind", "fe200000.dma");
	assert_file(tree, "bus/pci/drivers/e1000e/bind", "");
	bus_device_close(&device);
}

/* On kernels whose driver_override waits for nobody. */
static void waits_for_who_unbinds_a_device_that_shows_no_driver(void **state)
{
	const struct tree *tree = *state;
	struct device_state is;
	char text[16];

	assert_int_equal(mkdirat(tree->fd, DEVICE "/power", 0755), 0);
	put_text(tree, DEVICE "/power/control", "");
	assert_int_equal(read_state(tree, &is), 0);
	assert_int_equal(read_file_at(tree->fd, DEVICE "/power/control", text, sizeof(text)), 0);
	assert_string_equal(text, "");
	assert_int_equal(unlinkat(tree->fd, DEVICE "/driver", 0), 0);
	assert_int_equal(read_state(tree, &is), 0);
	assert_string_equal(is.driver, "");
	assert_int_equal(read_file_at(tree->fd, DEVICE "/power/control", text, sizeof(text)), 0);
	/* No word that the kernel knows: it would be taken. */
	assert_string_equal(text, "wait");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(waits_for_who_unbinds_a_device_that_shows_no_driver),
		TEST(reads_what_a_device_is),
		TEST(reads_a_driverless_device_with_an_override),
		TEST(a_missing_file_is_a_device_that_goes),
		TEST(refuses_values_out_of_range_and_names_too_long),
		TEST(says_that_there_is_no_device),
		TEST(counts_the_devices_of_the_group),
		TEST(knows_what_a_virtual_function_is_of),
		TEST(knows_what_has_virtual_functions),
		TEST(takes_for_a_bridge_what_is_none_for_sure),
		TEST(finds_the_serial_number_wherever_it_is),
		TEST(ends_on_any_list_of_capabilities),
		TEST(writes_to_the_right_files),
		TEST(finds_the_bus_of_an_address),
		TEST(an_address_on_two_buses_is_none),
		TEST(writes_to_the_drivers_of_its_bus),
	};

	return cmocka_run_group_tests_name("helper-bus-device", tests, NULL, NULL);
}
