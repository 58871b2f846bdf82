/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which vfio driver is chosen: on tables that the test writes, and by libkmod on modules that it makes, of nothing but
 * their aliases, and that depmod indexes.
 */
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

#include "helper/vfio-driver.h"
#include "helper/vfio-modules.h"
#include "util/cleanup.h"

#define MODALIAS "pci:v000015B3d0000101Esv000015B3sd00000001bc02sc00i00"
#define ALIAS "vfio_pci:v000015B3d0000101Esv000015B3sd00000001bc02sc00i00"

/* ---- tables ---- */

struct table {
	struct vfio_module modules[VFIO_MODULES_MAX];
	int n; /* or a negative errno */
	const char *loaded; /* drivers that are there, each with blanks around */
	const char *loads; /* what load() adds */
	char asked[128]; /* for which modules load() was called */
	unsigned int n_lookups;
};

static int table_look_up(void *userdata, const char *alias, struct vfio_module ret[VFIO_MODULES_MAX])
{
	struct table *table = userdata;

	table->n_lookups++;
	assert_string_equal(alias, ALIAS);
	for (int i = 0; i < table->n; i++)
		ret[i] = table->modules[i];
	return table->n;
}

static bool table_is_loaded(void *userdata, const char *driver)
{
	const struct table *table = userdata;
	char word[DEVICE_DRIVER_MAX + 2];

	snprintf(word, sizeof(word), " %s ", driver);
	return table->loaded && strstr(table->loaded, word);
}

static void table_load(void *userdata, const char *module)
{
	struct table *table = userdata;

	strcat(strcat(table->asked, module), " ");
	if (table->loads)
		table->loaded = table->loads;
}

static const struct vfio_driver_ops table_ops = { .look_up = table_look_up,
						  .is_loaded = table_is_loaded,
						  .load = table_load };

#define GENERIC               \
	{                     \
		"vfio_pci", 7 \
	}

static void expect(struct table *table, const char *modalias, const char *driver)
{
	char chosen[DEVICE_DRIVER_MAX] = "untouched";

	table->asked[0] = '\0';
	vfio_driver_choose(&table_ops, table, "vfio-pci", modalias, chosen);
	assert_string_equal(chosen, driver);
}

static void takes_the_variant_that_is_made_for_the_device(void **state)
{
	struct table table = { .modules = { GENERIC, { "mlx5_vfio_pci", 5 } },
			       .n = 2,
			       .loaded = " vfio-pci mlx5_vfio_pci " };

	expect(&table, MODALIAS, "mlx5_vfio_pci");
	table.modules[1] = table.modules[0];
	table.modules[0] = (struct vfio_module){ "mlx5_vfio_pci", 5 };
	expect(&table, MODALIAS, "mlx5_vfio_pci");
	assert_string_equal(table.asked, "");
}

static void takes_vfio_pci_for_what_has_no_variant(void **state)
{
	struct table table = { .modules = { GENERIC }, .n = 1, .loaded = " vfio-pci mlx5_vfio_pci " };

	expect(&table, MODALIAS, "vfio-pci");
	table.n = 0;
	expect(&table, MODALIAS, "vfio-pci");
	table.n = -ENOENT;
	expect(&table, MODALIAS, "vfio-pci");
	assert_string_equal(table.asked, "");
}

static void of_several_takes_the_most_special_and_of_equals_the_last(void **state)
{
	struct table table = { .modules = { { "a_vfio_pci", 4 }, { "b_vfio_pci", 2 }, GENERIC, { "c_vfio_pci", 3 } },
			       .n = 4,
			       .loaded = " a_vfio_pci b_vfio_pci c_vfio_pci vfio-pci " };

	expect(&table, MODALIAS, "b_vfio_pci");
	table.modules[3].n_wildcards = 2;
	expect(&table, MODALIAS, "c_vfio_pci");
}

static void loads_what_is_missing_once(void **state)
{
	struct table table = { .modules = { GENERIC, { "mlx5_vfio_pci", 5 } },
			       .n = 2,
			       .loaded = " vfio-pci ",
			       .loads = " vfio-pci mlx5_vfio_pci " };

	expect(&table, MODALIAS, "mlx5_vfio_pci");
	assert_string_equal(table.asked, "mlx5_vfio_pci ");
	expect(&table, MODALIAS, "mlx5_vfio_pci");
	assert_string_equal(table.asked, "");
	table = (struct table){ .modules = { GENERIC }, .n = 1, .loads = " vfio-pci " };
	expect(&table, MODALIAS, "vfio-pci");
	assert_string_equal(table.asked, "vfio_pci ");
}

static void passes_over_a_variant_that_can_not_be_loaded(void **state)
{
	struct table table = { .modules = { GENERIC, { "mlx5_vfio_pci", 5 } }, .n = 2, .loaded = " vfio-pci " };

	expect(&table, MODALIAS, "vfio-pci");
	assert_string_equal(table.asked, "mlx5_vfio_pci ");
	table.loaded = NULL;
	expect(&table, MODALIAS, "vfio-pci");
	assert_string_equal(table.asked, "mlx5_vfio_pci ");
}

/* A restore would leave the device there. */
static void never_takes_a_driver_that_does_not_look_like_one_of_vfios(void **state)
{
	struct table table = { .modules = { { "evil", 0 }, GENERIC }, .n = 2, .loaded = " evil vfio-pci " };

	expect(&table, MODALIAS, "vfio-pci");
}

static void knows_both_spellings_of_a_name(void **state)
{
	struct table table = { .modules = { { "xe_vfio_pci", 1 } }, .n = 1, .loaded = " xe-vfio-pci " };

	expect(&table, MODALIAS, "xe-vfio-pci");
	table.loaded = " xe_vfio_pci ";
	expect(&table, MODALIAS, "xe_vfio_pci");
}

static void asks_nothing_for_a_modalias_that_is_none(void **state)
{
	static const char *const bad[] = { "",           "pci:",        "usb:v0000",        "pci:v*d*", "pci:v00 0",
					   "pci:v00\n1", "vfio_pci:v0", "pci:v[0-9]d0000?", NULL };
	struct table table = { .modules = { { "mlx5_vfio_pci", 5 } }, .n = 1, .loaded = " vfio-pci mlx5_vfio_pci " };
	char large[300];

	for (size_t i = 0; bad[i]; i++)
		expect(&table, bad[i], "vfio-pci");
	memset(large, '0', sizeof(large) - 1);
	memcpy(large, "pci:v", 5);
	large[sizeof(large) - 1] = '\0';
	expect(&table, large, "vfio-pci");
	assert_int_equal(table.n_lookups, 0);
}

/* ---- libkmod ---- */

struct folder {
	char path[64];
	int sysfs_fd;
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

static void make_module(const struct folder *folder, const char *name, const char *alias)
{
	run("cd %s/lib/modules/6.1.0 && printf '%%s\\n' 'static const char a[] "
	    "__attribute__((used, section(\".modinfo\"))) = \"license=GPL\\0alias=%s\";' | "
	    "cc -x c -c -o %s.ko - && echo %s.ko >>modules.order",
	    folder->path, alias, name, name);
}

static int start(void **state)
{
	static struct folder folder;

	strcpy(folder.path, "/tmp/iommud-modules-XXXXXX");
	assert_non_null(mkdtemp(folder.path));
	run("mkdir -p %s/lib/modules/6.1.0 %s/sys/bus/pci/drivers/vfio-pci", folder.path, folder.path);
	run("touch %s/lib/modules/6.1.0/modules.builtin %s/sys/bus/pci/drivers/vfio-pci/bind", folder.path,
	    folder.path);
	make_module(&folder, "vfio-pci", "vfio_pci:v*d*sv*sd*bc*sc*i*");
	make_module(&folder, "mlx5-vfio-pci", "vfio_pci:v000015B3d0000101Esv*sd*bc*sc*i*");
	make_module(&folder, "some-vfio-pci", "vfio_pci:v000015B3d*sv*sd*bc*sc*i*");
	make_module(&folder, "mlx5_core", "pci:v000015B3d0000101Esv*sd*bc*sc*i*");
	run("PATH=$PATH:/sbin:/usr/sbin depmod -b %s 6.1.0", folder.path);
	folder.sysfs_fd = -1;
	*state = &folder;
	return 0;
}

static int stop(void **state)
{
	const struct folder *folder = *state;

	close_fd(folder->sysfs_fd);
	run("rm -rf %s", folder->path);
	return 0;
}

static struct vfio_modules open_modules(struct folder *folder, char path[96])
{
	char sysfs[96];

	snprintf(path, 96, "%s/lib/modules/6.1.0", folder->path);
	snprintf(sysfs, sizeof(sysfs), "%s/sys", folder->path);
	folder->sysfs_fd = open(sysfs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(folder->sysfs_fd >= 0);
	return (struct vfio_modules){ .sysfs_fd = folder->sysfs_fd, .device_fd = -1, .bus = "pci", .folder = path };
}

static unsigned int wildcards_of(const struct vfio_module *modules, int n, const char *name)
{
	for (int i = 0; i < n; i++) {
		if (strcmp(modules[i].name, name) == 0)
			return modules[i].n_wildcards;
	}
	fail_msg("no module %s", name);
	return 0;
}

static void libkmod_finds_the_modules_of_a_device_with_their_wildcards(void **state)
{
	struct folder *folder = *state;
	struct vfio_module found[VFIO_MODULES_MAX];
	char path[96];
	struct vfio_modules modules = open_modules(folder, path);
	int n = vfio_modules_ops.look_up(&modules, ALIAS, found);

	assert_int_equal(n, 3);
	assert_int_equal(wildcards_of(found, n, "vfio_pci"), 7);
	assert_int_equal(wildcards_of(found, n, "some_vfio_pci"), 6);
	assert_int_equal(wildcards_of(found, n, "mlx5_vfio_pci"), 5);
	n = vfio_modules_ops.look_up(&modules, "vfio_pci:v00008086d000010D3sv0sd0bc02sc00i00", found);
	assert_int_equal(n, 1);
	assert_string_equal(found[0].name, "vfio_pci");
}

static void without_modules_none_is_found(void **state)
{
	struct vfio_module found[VFIO_MODULES_MAX];
	struct vfio_modules modules = { .sysfs_fd = -1, .device_fd = -1, .bus = "pci", .folder = "/nonexistent" };

	assert_true(vfio_modules_ops.look_up(&modules, ALIAS, found) <= 0);
}

static void chooses_by_what_is_in_sysfs(void **state)
{
	struct folder *folder = *state;
	char path[96], chosen[DEVICE_DRIVER_MAX];
	struct vfio_modules modules = open_modules(folder, path);

	/* The device's folder is none: udev can't be asked. */
	vfio_driver_choose(&vfio_modules_ops, &modules, "vfio-pci", MODALIAS, chosen);
	assert_string_equal(chosen, "vfio-pci");
	run("mkdir %s/sys/bus/pci/drivers/mlx5_vfio_pci", folder->path);
	run("touch %s/sys/bus/pci/drivers/mlx5_vfio_pci/bind", folder->path);
	vfio_driver_choose(&vfio_modules_ops, &modules, "vfio-pci", MODALIAS, chosen);
	assert_string_equal(chosen, "mlx5_vfio_pci");
	vfio_driver_choose(&vfio_modules_ops, &modules, "vfio-pci", "pci:v00008086d000010D3sv0sd0bc02sc00i00", chosen);
	assert_string_equal(chosen, "vfio-pci");
}

/* A udevd of the test's own: a reader of a fifo, which loads when it gets the event. */
static void asks_udev_by_an_event_of_the_device_and_waits(void **state)
{
	struct folder *folder = *state;
	char path[96], device[96], chosen[DEVICE_DRIVER_MAX];
	struct vfio_modules modules = open_modules(folder, path);

	run("mkfifo %s/uevent", folder->path);
	run("cd %s && { line=$(cat); case $line in 'change '*' IOMMUDVFIO=1') "
	    "mkdir sys/bus/pci/drivers/mlx5_vfio_pci && touch sys/bus/pci/drivers/mlx5_vfio_pci/bind;; esac; } <uevent &",
	    folder->path);
	snprintf(device, sizeof(device), "%s", folder->path);
	modules.device_fd = open(device, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	vfio_driver_choose(&vfio_modules_ops, &modules, "vfio-pci", MODALIAS, chosen);
	assert_string_equal(chosen, "mlx5_vfio_pci");
	assert_string_equal(modules.note, "module mlx5_vfio_pci was loaded, with the driver mlx5_vfio_pci");
	close_fd(modules.device_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_the_variant_that_is_made_for_the_device),
		cmocka_unit_test(takes_vfio_pci_for_what_has_no_variant),
		cmocka_unit_test(of_several_takes_the_most_special_and_of_equals_the_last),
		cmocka_unit_test(loads_what_is_missing_once),
		cmocka_unit_test(passes_over_a_variant_that_can_not_be_loaded),
		cmocka_unit_test(never_takes_a_driver_that_does_not_look_like_one_of_vfios),
		cmocka_unit_test(knows_both_spellings_of_a_name),
		cmocka_unit_test(asks_nothing_for_a_modalias_that_is_none),
		cmocka_unit_test_setup_teardown(libkmod_finds_the_modules_of_a_device_with_their_wildcards, start,
						stop),
		cmocka_unit_test_setup_teardown(chooses_by_what_is_in_sysfs, start, stop),
		cmocka_unit_test_setup_teardown(asks_udev_by_an_event_of_the_device_and_waits, start, stop),
		cmocka_unit_test(without_modules_none_is_found),
	};

	return cmocka_run_group_tests_name("helper-vfio-driver", tests, NULL, NULL);
}
