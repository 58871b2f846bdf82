/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NumVFs=: when the helper is asked to have virtual functions made, and what is told of its answer. The machine:
 * broker-rig.h, and two physical functions, 0000:04:00.0 and 0000:05:00.0 on nvme in groups 10 and 20.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "broker-cases.h"
#include "broker/internal.h"
#include "fail-alloc.h"

#define PF "0000:04:00.0"
#define OTHER_PF "0000:05:00.0"
#define VF "0000:04:00.1"

#define HOST "[Match]\nAddress=" PF "\n[Host]\nNumVFs=4\n"
#define EVERYBODY "[Match]\nAddress=*\n[Client]\nUser=*\n[Grant]\nAction=allow\n"

static void add_physical_function(struct rig *rig, const char *address, int group)
{
	fake_sysfs_add_device(rig->sysfs, &(struct fake_device){ .address = address,
								 .vendor = 0x1b36,
								 .device = 0x0010,
								 .class = 0x010802,
								 .group = group,
								 .driver = "nvme" });
	fake_sysfs_set_attribute(rig->sysfs, address, "sriov_totalvfs", "8");
}

static void add_virtual_function(struct rig *rig)
{
	fake_sysfs_add_device(rig->sysfs, &(struct fake_device){ .address = VF, .group = 11, .physfn = PF });
	broker_device_changed(rig->broker, VF);
}

static struct rig *start(const char *policy)
{
	static struct rig rig;

	rig_start(&rig, policy);
	rig.fake.vfs_made = 4;
	add_physical_function(&rig, PF, 10);
	add_physical_function(&rig, OTHER_PF, 20);
	assert_int_equal(registry_scan(rig.registry), 0);
	return &rig;
}

static void connect_helper(struct rig *rig)
{
	assert_int_equal(helper_client_connect(rig->helper), 0);
	broker_helper_connected(rig->broker);
	rig_settle(rig);
}

static void set_policy(struct rig *rig, const char *policy)
{
	char refused[256];

	assert_int_equal(broker_set_policy(rig->broker, rig_policy(policy), refused, sizeof(refused)), 0);
	memcpy(rig->fake.digest, policy_digest(broker_get_policy(rig->broker)), DIGEST_SIZE);
	broker_policy_shared(rig->broker);
	rig_settle(rig);
}

#define assert_asked(rig, n) assert_int_equal((rig)->fake.n_requests[HELPER_MAKE_VFS], n)

static void they_are_made_at_the_start(void **state)
{
	struct rig *rig = start(HOST);

	/* Not before the helper is there, and nothing of a former broker's is to be put back any more. */
	assert_asked(rig, 0);
	connect_helper(rig);
	assert_asked(rig, 1);
	assert_string_equal(rig->fake.trace, "make-vfs(" PF ") ");
	assert_true(rig_saw(rig, "vfsCreated"));
	assert_string_equal(rig->last_event, PF " has made 4 virtual functions");
	rig_stop(rig);
}

static void they_are_made_when_a_policy_comes_into_force(void **state)
{
	struct rig *rig = start(EVERYBODY);

	connect_helper(rig);
	assert_asked(rig, 0);
	set_policy(rig, HOST);
	assert_asked(rig, 1);
	rig_stop(rig);
}

static void they_are_made_when_the_driver_comes(void **state)
{
	struct rig *rig = start(EVERYBODY);

	fake_sysfs_set_driver(rig->sysfs, PF, NULL);
	broker_device_changed(rig->broker, PF);
	connect_helper(rig);
	set_policy(rig, HOST);
	assert_asked(rig, 0);
	/* These take no device from its driver, and none of them makes virtual functions. */
	fake_sysfs_set_driver(rig->sysfs, PF, "vfio-pci");
	broker_device_changed(rig->broker, PF);
	fake_sysfs_set_driver(rig->sysfs, PF, "pci-stub");
	broker_device_changed(rig->broker, PF);
	rig_settle(rig);
	assert_asked(rig, 0);
	fake_sysfs_set_driver(rig->sysfs, PF, "nvme");
	broker_device_changed(rig->broker, PF);
	rig_settle(rig);
	assert_asked(rig, 1);
	rig_stop(rig);
}

static void they_are_made_when_the_device_appears(void **state)
{
	struct rig *rig = start(HOST);

	fake_sysfs_remove_device(rig->sysfs, PF);
	broker_device_changed(rig->broker, PF);
	connect_helper(rig);
	assert_asked(rig, 0);
	add_physical_function(rig, PF, 10);
	broker_device_changed(rig->broker, PF);
	rig_settle(rig);
	assert_asked(rig, 1);
	rig_stop(rig);
}

static void they_are_made_when_it_comes_back_from_a_lease(void **state)
{
	struct rig *rig = start(EVERYBODY);
	struct peer *alice = peer_of(rig, &rig->alice);

	rig_acquire(rig, alice, PF, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_NONE);
	set_policy(rig, HOST EVERYBODY);
	assert_asked(rig, 0);
	peer_free(alice);
	rig_settle(rig);
	assert_string_equal(rig_driver(rig, PF), "nvme");
	assert_asked(rig, 1);
	rig_stop(rig);
}

/* Not even when the helper was restarted, or its other requests had to be repeated. */
static void who_takes_them_away_is_not_fought(void **state)
{
	struct rig *rig = start(HOST);

	connect_helper(rig);
	assert_asked(rig, 1);
	add_virtual_function(rig);
	fake_sysfs_remove_device(rig->sysfs, VF);
	broker_device_changed(rig->broker, VF);
	broker_device_changed(rig->broker, PF);
	fake_helper_kill(&rig->fake);
	rig_settle(rig);
	connect_helper(rig);
	recover_begin(rig->broker);
	rig_settle(rig);
	assert_asked(rig, 1);
	rig_stop(rig);
}

static void the_helper_may_find_that_there_are_some(void **state)
{
	struct rig *rig = start(HOST);

	rig->fake.vfs_made = 0;
	strcpy(rig->fake.vfs_detail, "it has 4 already");
	connect_helper(rig);
	assert_asked(rig, 1);
	assert_false(rig_saw(rig, "vfsCreated"));
	assert_false(rig_saw(rig, "vfsFailed"));
	rig_stop(rig);
}

static void a_failure_is_told_with_its_reason(void **state)
{
	struct rig *rig = start(HOST);

	rig->fake.vfs_status = HELPER_FAULT;
	strcpy(rig->fake.vfs_detail, "NumVFs=4 is more than its sriov_totalvfs, 2; see t.policy:3");
	connect_helper(rig);
	assert_true(rig_saw(rig, "vfsFailed"));
	assert_false(rig_saw(rig, "vfsCreated"));
	assert_string_equal(rig->last_event, PF ": its virtual functions were not made: NumVFs=4 is more than its "
						"sriov_totalvfs, 2; see t.policy:3");
	/* Once: nothing has changed that would help. */
	broker_device_changed(rig->broker, PF);
	broker_policy_shared(rig->broker);
	rig_settle(rig);
	assert_asked(rig, 1);
	rig->fake.vfs_status = HELPER_TIMED_OUT;
	set_policy(rig, HOST "# again\n");
	assert_asked(rig, 2);
	assert_non_null(strstr(rig->last_event, "its driver has not come back yet"));
	rig_stop(rig);
}

static void a_busy_helper_is_asked_again(void **state)
{
	struct rig *rig = start(HOST);

	rig->fake.vfs_status = HELPER_BUSY;
	connect_helper(rig);
	assert_asked(rig, 1);
	assert_false(rig_saw(rig, "vfsFailed"));
	rig->fake.vfs_status = HELPER_OK;
	assert_int_not_equal(broker_next_deadline(rig->broker), UINT64_MAX);
	broker_expire(rig->broker, broker_next_deadline(rig->broker));
	rig_settle(rig);
	assert_asked(rig, 2);
	assert_true(rig_saw(rig, "vfsCreated"));
	rig_stop(rig);
}

static void a_helper_that_goes_is_asked_again_when_it_is_back(void **state)
{
	struct rig *rig = start(HOST);

	assert_int_equal(helper_client_connect(rig->helper), 0);
	broker_helper_connected(rig->broker);
	while (fake_helper_serve(&rig->fake) > 0 && rig->fake.n_requests[HELPER_MAKE_VFS] == 0)
		helper_client_dispatch(rig->helper);
	fake_helper_kill(&rig->fake);
	rig_settle(rig);
	assert_false(rig_saw(rig, "vfsFailed"));
	connect_helper(rig);
	assert_true(rig_saw(rig, "vfsCreated"));
	rig_stop(rig);
}

static void a_helper_with_another_policy_is_asked_when_it_has_ours(void **state)
{
	struct rig *rig = start(HOST);

	rig->fake.digest[0] ^= 1;
	connect_helper(rig);
	assert_asked(rig, 1);
	assert_false(rig_saw(rig, "vfsFailed"));
	rig->fake.digest[0] ^= 1;
	broker_policy_shared(rig->broker);
	rig_settle(rig);
	assert_asked(rig, 2);
	assert_true(rig_saw(rig, "vfsCreated"));
	rig_stop(rig);
}

static void a_wish_that_has_no_object_any_more_is_dropped(void **state)
{
	struct rig *rig = start(HOST);

	fake_sysfs_remove_device(rig->sysfs, PF);
	broker_device_changed(rig->broker, PF);
	connect_helper(rig);
	assert_asked(rig, 0);
	rig_stop(rig);
}

static void without_memory_it_is_told_that_they_were_not_made(void **state)
{
	struct rig *rig = start(EVERYBODY);
	struct policy *policy = rig_policy(HOST);
	char refused[256];

	connect_helper(rig);
	assert_int_equal(broker_set_policy(rig->broker, policy, refused, sizeof(refused)), 0);
	vfs_forget(rig->broker);
	rig->events[0] = '\0';
	fail_alloc_begin(1);
	vfs_want(rig->broker, registry_find_device(rig->registry, PF));
	assert_true(fail_alloc_end());
	assert_true(rig_saw(rig, "vfsFailed"));
	assert_string_equal(rig->last_event, PF ": its virtual functions were not made: Cannot allocate memory");
	rig_stop(rig);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(they_are_made_at_the_start),
		cmocka_unit_test(they_are_made_when_a_policy_comes_into_force),
		cmocka_unit_test(they_are_made_when_the_driver_comes),
		cmocka_unit_test(they_are_made_when_the_device_appears),
		cmocka_unit_test(they_are_made_when_it_comes_back_from_a_lease),
		cmocka_unit_test(who_takes_them_away_is_not_fought),
		cmocka_unit_test(the_helper_may_find_that_there_are_some),
		cmocka_unit_test(a_failure_is_told_with_its_reason),
		cmocka_unit_test(a_busy_helper_is_asked_again),
		cmocka_unit_test(a_helper_that_goes_is_asked_again_when_it_is_back),
		cmocka_unit_test(a_helper_with_another_policy_is_asked_when_it_has_ours),
		cmocka_unit_test(a_wish_that_has_no_object_any_more_is_dropped),
		cmocka_unit_test(without_memory_it_is_told_that_they_were_not_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
