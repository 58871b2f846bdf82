/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Devices that go while they are read, and faults at every step: the old state stays and nothing leaks. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fail-alloc.h"
#include "registry-fixture.h"

static void a_device_that_vanishes_while_it_is_read_is_skipped(void **state)
{
	struct registry_fixture *fixture = *state;
	char path[512];

	/* Each is a state that a removal passes through: no folder behind the link, no ids, no link to the group. */
	snprintf(path, sizeof(path), "%s/bus/pci/devices/0000:05:00.0", fake_sysfs_path(fixture->fake));
	assert_int_equal(symlink("../../../devices/pci0000:00/0000:05:00.0", path), 0);
	fake_sysfs_set_attribute(fixture->fake, SOUND, "modalias", NULL);
	fake_sysfs_set_attribute(fixture->fake, DISK, "iommu_group", NULL);
	assert_int_equal(registry_scan(fixture->registry), 0);
	assert_int_equal(fixture_count_devices(fixture->registry), 2);
	assert_int_equal(registry_refresh(fixture->registry, "0000:05:00.0"), -ENOENT);
	assert_int_equal(registry_refresh(fixture->registry, SOUND), -ENOENT);
	assert_int_equal(fixture->n_reports, 2);
}

static void an_unreadable_device_is_a_fault_and_the_old_state_stays(void **state)
{
	struct registry_fixture *fixture = *state;
	char text[8192];

	memset(text, 'x', sizeof(text));
	memcpy(text + sizeof(text) - 2, "\n", 2);
	fake_sysfs_set_attribute(fixture->fake, SOUND, "modalias", text);
	assert_int_equal(registry_scan(fixture->registry), -E2BIG);
	assert_int_equal(registry_refresh(fixture->registry, SOUND), -E2BIG);
	assert_string_equal(registry_find_device(fixture->registry, SOUND)->driver, "snd_hda_intel");
	fake_sysfs_set_attribute(fixture->fake, SOUND, "modalias", "pci:v00008086d0000");
	assert_int_equal(registry_refresh(fixture->registry, SOUND), -EBADMSG);
	assert_int_equal(fixture->n_reports, 0);
}

/* An unbind from vfio holds the lock until the last descriptor is closed; who opens one of these fifos waits as long. */
static void nothing_is_read_that_takes_the_lock_of_the_device(void **state)
{
	static const char *const files[] = { "driver_override", "uevent" };
	struct registry_fixture *fixture = *state;
	char path[512];

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/bus/pci/devices/" SOUND "/%s", fake_sysfs_path(fixture->fake),
			 files[i]);
		unlink(path);
		assert_int_equal(mkfifo(path, 0600), 0);
	}
	alarm(60);
	assert_int_equal(registry_refresh(fixture->registry, SOUND), 0);
	assert_int_equal(registry_scan(fixture->registry), 0);
	alarm(0);
	assert_string_equal(registry_find_device(fixture->registry, SOUND)->driver, "snd_hda_intel");
}

static void a_group_link_that_is_no_number_is_a_fault(void **state)
{
	struct registry_fixture *fixture = *state;
	char path[512];

	snprintf(path, sizeof(path), "%s/bus/pci/devices/" DISK "/iommu_group", fake_sysfs_path(fixture->fake));
	unlink(path);
	assert_int_equal(symlink("../../kernel/iommu_groups/-1", path), 0);
	assert_int_equal(registry_refresh(fixture->registry, DISK), -EBADMSG);
	unlink(path);
	assert_int_equal(symlink("../../kernel/iommu_groups/99999999999", path), 0);
	assert_int_equal(registry_refresh(fixture->registry, DISK), -EBADMSG);
	assert_int_equal(registry_find_device(fixture->registry, DISK)->group->id, 12);
}

static void refresh_takes_no_address_that_leaves_the_folder(void **state)
{
	struct registry_fixture *fixture = *state;

	assert_int_equal(registry_refresh(fixture->registry, "../../../etc"), -EINVAL);
	assert_int_equal(registry_refresh(fixture->registry, ".."), -EINVAL);
	assert_int_equal(registry_refresh(fixture->registry, ""), -EINVAL);
}

static size_t count_open_files(void)
{
	DIR *folder = opendir("/proc/self/fd");
	size_t n = 0;

	while (readdir(folder))
		n++;
	closedir(folder);
	return n;
}

/* With room for k more descriptors, until everything goes through. */
static void running_out_of_descriptors_is_a_fault_that_leaks_nothing(void **state)
{
	struct registry_fixture *fixture = *state;
	size_t before = count_open_files();
	struct rlimit former, limit;
	unsigned int faults = 0;
	int lowest = dup(0), r;

	assert_true(lowest > 0);
	close(lowest);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &former), 0);
	fake_sysfs_set_driver(fixture->fake, SOUND, NULL);
	for (limit = former, limit.rlim_cur = lowest;; limit.rlim_cur++) {
		int refreshed;

		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		refreshed = registry_refresh(fixture->registry, DISK);
		r = registry_scan(fixture->registry);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &former), 0);
		if (r == 0)
			break;
		faults++;
		assert_int_equal(r, -EMFILE);
		assert_true(refreshed == -EMFILE || refreshed == 0);
		assert_int_equal(fixture_count_devices(fixture->registry), 4);
		assert_int_equal(fixture->n_reports, 0);
		assert_int_equal(count_open_files(), before);
	}
	assert_in_range(faults, 2, 10);
	assert_int_equal(count_open_files(), before);
	fixture_reported(fixture, 0, DEVICE_UNBOUND, SOUND);
}

static void running_out_of_memory_in_a_scan_keeps_the_old_state(void **state)
{
	struct registry_fixture *fixture = *state;
	size_t before = count_open_files();
	unsigned int n = 0;
	int r;

	fake_sysfs_set_driver(fixture->fake, SOUND, NULL);
	for (;;) {
		fail_alloc_begin(++n);
		r = registry_scan(fixture->registry);
		if (!fail_alloc_end())
			break;
		assert_int_equal(r, -ENOMEM);
		assert_int_equal(fixture->n_reports, 0);
		assert_string_equal(registry_find_device(fixture->registry, SOUND)->driver, "snd_hda_intel");
		assert_int_equal(count_open_files(), before);
	}
	assert_int_equal(r, 0);
	assert_in_range(n, 10, 100);
	assert_int_equal(fixture->n_reports, 1);
}

/* The device that was at this address went and another came: neither half of that may be lost. */
static void running_out_of_memory_in_a_refresh_keeps_the_old_state(void **state)
{
	struct fake_device other = fixture_disk;
	struct registry_fixture *fixture = *state;
	unsigned int n = 0;
	int r;

	other.device = 1;
	other.group = 77;
	fake_sysfs_remove_device(fixture->fake, DISK);
	fake_sysfs_add_device(fixture->fake, &other);
	for (;;) {
		fail_alloc_begin(++n);
		r = registry_refresh(fixture->registry, DISK);
		if (!fail_alloc_end())
			break;
		assert_int_equal(r, -ENOMEM);
		assert_int_equal(fixture->n_reports, 0);
		assert_int_equal(registry_find_device(fixture->registry, DISK)->group->id, 12);
	}
	assert_int_equal(r, 0);
	assert_in_range(n, 4, 20);
	assert_int_equal(fixture->n_reports, 2);
	assert_int_equal(registry_find_device(fixture->registry, DISK)->group->id, 77);
}

static void creating_a_registry_fails_cleanly(void **state)
{
	struct registry *registry = (struct registry *)16;
	int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t before = count_open_files();

	assert_int_equal(registry_new(-1, &registry), -EBADF);
	for (unsigned int n = 1; n <= 2; n++) {
		fail_alloc_begin(n);
		assert_int_equal(registry_new(fd, &registry), -ENOMEM);
		assert_true(fail_alloc_end());
	}
	assert_ptr_equal(registry, (struct registry *)16);
	assert_int_equal(count_open_files(), before);
	assert_null(registry_free(NULL));
	close(fd);
}

struct churn {
	struct fake_sysfs *fake;
	atomic_bool stop;
};

static void *churn_devices(void *userdata)
{
	struct churn *churn = userdata;

	while (!atomic_load(&churn->stop)) {
		fake_sysfs_remove_device(churn->fake, SOUND);
		fake_sysfs_add_device(churn->fake, &fixture_sound);
		fake_sysfs_set_driver(churn->fake, GRAPHICS, NULL);
		fake_sysfs_set_driver(churn->fake, GRAPHICS, "nouveau");
	}
	return NULL;
}

static void scans_while_devices_come_and_go_agree_with_the_end(void **state)
{
	struct registry_fixture *fixture = *state;
	struct churn churn = { .fake = fixture->fake };
	pthread_t thread;

	registry_set_listener(fixture->registry, NULL, NULL);
	assert_int_equal(pthread_create(&thread, NULL, churn_devices, &churn), 0);
	for (int i = 0; i < 500; i++) {
		int r;

		assert_int_equal(registry_scan(fixture->registry), 0);
		r = registry_refresh(fixture->registry, SOUND);
		assert_true(r == 0 || r == -ENOENT);
		assert_in_range(fixture_count_devices(fixture->registry), 3, 4);
	}
	atomic_store(&churn.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(registry_scan(fixture->registry), 0);
	assert_int_equal(fixture_count_devices(fixture->registry), 4);
	assert_string_equal(registry_find_device(fixture->registry, GRAPHICS)->driver, "nouveau");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_TREE(a_device_that_vanishes_while_it_is_read_is_skipped),
		WITH_TREE(an_unreadable_device_is_a_fault_and_the_old_state_stays),
		WITH_TREE(nothing_is_read_that_takes_the_lock_of_the_device),
		WITH_TREE(a_group_link_that_is_no_number_is_a_fault),
		WITH_TREE(refresh_takes_no_address_that_leaves_the_folder),
		WITH_TREE(running_out_of_descriptors_is_a_fault_that_leaks_nothing),
		WITH_TREE(running_out_of_memory_in_a_scan_keeps_the_old_state),
		WITH_TREE(running_out_of_memory_in_a_refresh_keeps_the_old_state),
		cmocka_unit_test(creating_a_registry_fails_cleanly),
		WITH_TREE(scans_while_devices_come_and_go_agree_with_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
