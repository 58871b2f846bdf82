/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What counts as used, on a made-up folder of a device: disks by a fake way of opening them, interfaces by a fake network.
 * Real block devices are in tests/e2e/test-helper-in-use.c, real addresses in test-helper-host-net.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

#include "helper/in-use.h"
#include "open-fds.h"
#include "util/cleanup.h"

/* What the fake host says of each disk and interface, by name and index. */
static struct {
	const char *name;
	int error; /* 0: it opens */
} answers[4];
static char opened[512]; /* "NAME=MAJOR:MINOR " of all that were tried */
static const char *address, *route;
static int net_error;
static unsigned int asked_interface;

static char dir[64];

static int fake_open(int dev_fd, const char *name, dev_t number)
{
	size_t length = strlen(opened);

	snprintf(opened + length, sizeof(opened) - length, "%s=%u:%u ", name, major(number), minor(number));
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++)
		if (answers[i].name && strcmp(answers[i].name, name) == 0 && answers[i].error)
			return -answers[i].error;
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static int fake_find(const char *answer, unsigned int interface, char *ret, size_t size)
{
	asked_interface = interface;
	if (net_error)
		return -net_error;
	if (!answer)
		return 0;
	snprintf(ret, size, "%s", answer);
	return 1;
}

static int fake_address(unsigned int interface, char *ret, size_t size)
{
	return fake_find(address, interface, ret, size);
}

static int fake_route(unsigned int interface, char *ret, size_t size)
{
	return fake_find(route, interface, ret, size);
}

static const struct in_use_ops fake_ops = {
	.open_disk = fake_open,
	.find_address = fake_address,
	.find_route = fake_route,
};

/* ---- the folder ---- */

static int set_up(void **state)
{
	memset(answers, 0, sizeof(answers));
	opened[0] = '\0';
	address = route = NULL;
	net_error = 0;
	asked_interface = 0;
	strcpy(dir, "/tmp/iommud-in-use-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int tear_down(void **state)
{
	return nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void path_of(char path[PATH_MAX], const char *folder, const char *name)
{
	snprintf(path, PATH_MAX, "%s/%s/%s", dir, folder, name);
}

/* With all above it. */
static void make_folder(const char *folder)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s/", dir, folder);
	for (char *p = path + strlen(dir) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
		*p = '/';
	}
}

static void make_file(const char *folder, const char *name, const char *text)
{
	char path[PATH_MAX];
	FILE *file;

	path_of(path, folder, name);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fprintf(file, "%s\n", text) > 0);
	assert_int_equal(fclose(file), 0);
}

static void make_link(const char *folder, const char *name, const char *target)
{
	char path[PATH_MAX];

	path_of(path, folder, name);
	assert_int_equal(symlink(target, path), 0);
}

static void make_disk(const char *folder, const char *number)
{
	make_folder(folder);
	make_link(folder, "subsystem", "../../class/block");
	make_file(folder, "dev", number);
}

static void make_partition(const char *folder, const char *number)
{
	make_disk(folder, number);
	make_file(folder, "partition", "1");
}

static void make_interface(const char *folder, const char *flags)
{
	make_folder(folder);
	make_link(folder, "subsystem", "../../class/net");
	make_file(folder, "ifindex", "7");
	make_file(folder, "flags", flags);
}

static int claim(struct in_use *in_use)
{
	_cleanup_fd_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	*in_use = (struct in_use){ .ops = &fake_ops, .dev_fd = -1 };
	return in_use_claim(in_use, fd);
}

/* And then nothing is held. */
static void assert_used(const char *detail)
{
	size_t fds = count_open_fds();
	struct in_use in_use;

	assert_int_equal(claim(&in_use), 1);
	assert_string_equal(in_use.detail, detail);
	assert_int_equal(in_use.n_disks, 0);
	assert_int_equal(count_open_fds(), fds);
}

static void assert_free(size_t n_disks)
{
	size_t fds = count_open_fds();
	struct in_use in_use;

	assert_int_equal(claim(&in_use), 0);
	assert_int_equal(in_use.n_disks, n_disks);
	assert_int_equal(count_open_fds(), fds + n_disks);
	in_use_release(&in_use);
	assert_int_equal(count_open_fds(), fds);
	in_use_release(&in_use);
}

/* ---- disks ---- */

static void a_device_with_nothing_below_is_free(void **state)
{
	make_folder("power");
	assert_free(0);
	assert_string_equal(opened, "");
}

static void finds_disks_wherever_they_are_and_holds_them(void **state)
{
	make_disk("nvme/nvme0/nvme0n1", "259:0");
	make_file("nvme/nvme0", "dev", "241:0");
	make_link("nvme/nvme0", "subsystem", "../../class/nvme");
	assert_free(1);
	assert_string_equal(opened, "nvme0n1=259:0 ");
	make_disk("ata1/host0/target0:0:0/0:0:0:0/block/sda", "8:0");
	make_disk("usb1/1-1/1-1.1/1-1.1.2/1-1.1.2:1.0/host6/target6:0:0/6:0:0:0/block/sdb", "8:16");
	make_disk("virtio1/block/vda", "254:0");
	assert_free(4);
}

static void a_held_disk_is_used(void **state)
{
	make_disk("nvme/nvme0/nvme0n1", "259:0");
	make_partition("nvme/nvme0/nvme0n1/nvme0n1p1", "259:1");
	answers[0].name = "nvme0n1";
	answers[0].error = EBUSY;
	assert_used("nvme0n1 is mounted, swapped to or otherwise held");
	assert_string_equal(opened, "nvme0n1=259:0 nvme0n1p1=259:1 ");
}

static void names_the_partition_that_is_held(void **state)
{
	make_disk("nvme/nvme0/nvme0n1", "259:0");
	make_partition("nvme/nvme0/nvme0n1/nvme0n1p1", "259:1");
	make_partition("nvme/nvme0/nvme0n1/nvme0n1p2", "259:2");
	answers[0].name = "nvme0n1";
	answers[1].name = "nvme0n1p2";
	answers[0].error = answers[1].error = EBUSY;
	assert_used("nvme0n1p2 is mounted, swapped to or otherwise held");
}

static void names_what_a_disk_is_part_of(void **state)
{
	make_disk("block/vda", "254:0");
	make_folder("block/vda/holders");
	make_link("block/vda/holders", "dm-3", "../../dm-3");
	answers[0].name = "vda";
	answers[0].error = EBUSY;
	assert_used("vda is part of dm-3");
}

static void one_used_disk_lets_go_of_the_others(void **state)
{
	make_disk("host0/block/sda", "8:0");
	make_disk("host1/block/sdb", "8:16");
	make_disk("host2/block/sdc", "8:32");
	for (char disk = 'a'; disk <= 'c'; disk++) {
		const char name[] = { 's', 'd', disk, '\0' };
		char detail[64];

		answers[0].name = name;
		answers[0].error = EBUSY;
		snprintf(detail, sizeof(detail), "%s is mounted, swapped to or otherwise held", name);
		assert_used(detail);
	}
}

static void a_drive_without_a_medium_is_free(void **state)
{
	make_disk("block/sr0", "11:0");
	answers[0].name = "sr0";
	answers[0].error = ENOMEDIUM;
	assert_free(0);
}

/* No node, another one in its place, no right to open it: the host may have it. */
static void a_disk_of_which_nothing_is_known_is_used(void **state)
{
	static const int errors[] = { ENOENT, ESTALE, EACCES, EIO, EMFILE };

	make_disk("block/sda", "8:0");
	answers[0].name = "sda";
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		char detail[128];

		answers[0].error = errors[i];
		snprintf(detail, sizeof(detail), "nothing can be learnt about sda: %s", strerror(errors[i]));
		assert_used(detail);
	}
	answers[0].error = 0;
	make_file("block/sda", "dev", "eight");
	assert_used("nothing can be learnt about sda: Invalid argument");
}

static void a_node_may_be_in_a_folder(void **state)
{
	make_disk("block/cciss!c0d0", "104:0");
	assert_free(1);
	assert_string_equal(opened, "cciss/c0d0=104:0 ");
}

/* Of a multipath namespace the paths are hidden; the head is the disk. */
static void a_hidden_path_stands_for_its_head(void **state)
{
	make_folder("nvme/nvme1/nvme0c1n2");
	make_link("nvme/nvme1/nvme0c1n2", "subsystem", "../../../class/block");
	make_file("nvme/nvme1/nvme0c1n2", "hidden", "1");
	assert_used("nothing can be learnt about nvme0n2: No such file or directory");
	make_folder("class/block");
	make_folder("heads/nvme0n2");
	make_file("heads/nvme0n2", "dev", "259:7");
	make_link("class/block", "nvme0n2", "../../heads/nvme0n2");
	assert_free(1);
	assert_string_equal(opened, "nvme0n2=259:7 ");
	answers[0].name = "nvme0n2";
	answers[0].error = EBUSY;
	assert_used("nvme0n2 is mounted, swapped to or otherwise held");
}

static void does_not_follow_links(void **state)
{
	make_disk("block/sda", "8:0");
	make_link(".", "virtfn0", "block");
	make_link(".", "self", ".");
	assert_free(1);
}

static void what_is_too_much_is_refused(void **state)
{
	char folder[PATH_MAX] = "";

	for (int i = 0; i <= IN_USE_DISKS_MAX; i++) {
		snprintf(folder, sizeof(folder), "block/sd%d", i);
		make_disk(folder, "8:0");
	}
	assert_used("it has more than 256 disks");
}

static void what_is_too_deep_is_a_fault(void **state)
{
	struct in_use in_use;
	char folder[PATH_MAX] = "";

	for (int i = 0; i < 40; i++)
		strcat(folder, "d/");
	make_folder(folder);
	assert_int_equal(claim(&in_use), -ELOOP);
	assert_int_equal(in_use.n_disks, 0);
}

/* ---- interfaces ---- */

static void an_interface_that_is_down_or_bare_is_free(void **state)
{
	make_interface("net/eth0", "0x1003");
	assert_free(0);
	assert_int_equal(asked_interface, 7);
	make_file("net/eth0", "flags", "0x1002");
	address = "192.0.2.1";
	assert_free(0);
}

static void an_address_is_use(void **state)
{
	make_interface("virtio0/net/eth0", "0x1003");
	address = "192.0.2.1";
	assert_used("eth0 has the address 192.0.2.1");
}

static void names_are_shown_as_ascii(void **state)
{
	make_interface("net/\xfcp\"0\n", "0x1003");
	route = "default";
	assert_used("?p\"0? has a route (default)");
}

static void a_route_is_use(void **state)
{
	make_interface("net/eth0", "0x1003");
	route = "default";
	assert_used("eth0 has a route (default)");
}

static void what_stands_upon_an_interface_is_use(void **state)
{
	make_interface("net/eth0", "0x1002");
	make_link("net/eth0", "upper_eth0.5", "../../eth0.5");
	assert_used("eth0 carries eth0.5");
	make_link("net/eth0", "master", "../../br0");
	assert_used("eth0 is part of br0");
}

static void a_network_that_can_not_be_asked_is_a_fault(void **state)
{
	struct in_use in_use;

	make_interface("net/eth0", "0x1003");
	make_disk("block/sda", "8:0");
	net_error = EAFNOSUPPORT;
	assert_int_equal(claim(&in_use), -EAFNOSUPPORT);
	assert_int_equal(in_use.n_disks, 0);
}

/* The real way of opening: only block devices of the right number are opened at all. */
static void only_the_right_node_is_opened(void **state)
{
	_cleanup_fd_ int dev = open("/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t fds = count_open_fds();

	assert_int_equal(in_use_host_ops.open_disk(dev, "null", makedev(1, 3)), -ESTALE);
	assert_int_equal(in_use_host_ops.open_disk(dev, "no-such-disk", makedev(8, 0)), -ENOENT);
	assert_int_equal(count_open_fds(), fds);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_device_with_nothing_below_is_free),
		TEST(finds_disks_wherever_they_are_and_holds_them),
		TEST(a_held_disk_is_used),
		TEST(names_the_partition_that_is_held),
		TEST(names_what_a_disk_is_part_of),
		TEST(one_used_disk_lets_go_of_the_others),
		TEST(a_drive_without_a_medium_is_free),
		TEST(a_disk_of_which_nothing_is_known_is_used),
		TEST(a_node_may_be_in_a_folder),
		TEST(a_hidden_path_stands_for_its_head),
		TEST(does_not_follow_links),
		TEST(what_is_too_much_is_refused),
		TEST(what_is_too_deep_is_a_fault),
		TEST(an_interface_that_is_down_or_bare_is_free),
		TEST(an_address_is_use),
		TEST(a_route_is_use),
		TEST(names_are_shown_as_ascii),
		TEST(what_stands_upon_an_interface_is_use),
		TEST(a_network_that_can_not_be_asked_is_a_fault),
		TEST(only_the_right_node_is_opened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
