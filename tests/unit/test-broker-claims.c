/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the broker has the kernel module hold for leases, and when it lets go; and what it says is weaker without. On the machine
 * of broker-rig.h, with one more: FLR, 0000:04:00.0, on vfio-pci, which can be reset on its own.
 */
#include <errno.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "broker-rig.h"
#include "fail-alloc.h"
#include "fake-module.h"
#include "open-fds.h"
#include "util/cleanup.h"

#define FLR "0000:04:00.0"
#define RULE(match, user, grant) \
	"[Match]\nAddress=" match "\n[Client]\nUser=" user "\n[Grant]\nAction=allow\n" grant "\n"
#define BOTH "1000,1001"

static const char single[] = RULE("*", BOTH, "");
static const char whole[] = RULE("*", BOTH, "GroupScope=whole");

static struct fake_module module;
static struct rig rig;
static struct peer *alice, *bob;

static void start_without(const char *policy)
{
	rig_start(&rig, policy);
	fake_sysfs_add_device(rig.sysfs, &(struct fake_device){ .address = FLR,
								.vendor = 0x1b36,
								.device = 0x0010,
								.class = 0x010802,
								.group = 10,
								.driver = "vfio-pci",
								.reset_method = "flr" });
	assert_int_equal(registry_refresh(rig.registry, FLR), 0);
	rig.events[0] = '\0';
	alice = peer_new(rig.broker, &rig.alice, 2);
	bob = peer_new(rig.broker, &rig.bob, 2);
	assert_non_null(alice);
	assert_non_null(bob);
}

static void start(const char *policy)
{
	fake_module_start(&module);
	rig_module = &module.ownership;
	start_without(policy);
}

/* Claims of groups that stay are the last to go. */
static void stop(void)
{
	bool with = rig_module;

	peer_free(alice);
	peer_free(bob);
	rig_settle(&rig);
	assert_int_equal(fake_helper_n_open(&rig.fake), 0);
	rig_stop(&rig);
	if (!with)
		return;
	assert_int_equal(fake_module_n_open(&module), 0);
	fake_module_stop(&module);
}

static void acquire(struct peer *peer, const char *devices)
{
	rig_acquire(&rig, peer, devices, NULL, NULL);
	if (rig.outcome.refusal == REFUSAL_CONSENT_REQUIRED)
		rig_acquire(&rig, peer, devices, NULL, rig.outcome.token);
}

static void release(struct peer *peer)
{
	assert_string_equal(rig.outcome.message, "");
	assert_true(broker_release(rig.broker, peer, rig.outcome.lease));
	rig_settle(&rig);
}

static void expect_trace(const char *expected)
{
	(void)fake_module_n_open(&module);
	assert_string_equal(module.trace, expected);
	module.trace[0] = '\0';
}

static void a_group_is_claimed_for_the_iommufd_that_goes_out(void **state)
{
	start(RULE("*", BOTH, "Label=green\nGroupScope=whole\nAllowedDrivers=harmless,idle"));
	acquire(alice, EDU);
	assert_int_equal(rig.outcome.refusal, REFUSAL_NONE);
	expect_trace("claim(" EDU " context green +harmless +idle) ");
	assert_true(module.iommufd >= 0);
	assert_int_equal(fake_module_n_open(&module), 1);
	stop();
}

static void each_group_is_claimed_once(void **state)
{
	start(RULE("*", BOTH, "GroupScope=whole\nBystanders=park"));
	acquire(alice, SLOT_EDU " " EDU " " SLOT_NIC);
	assert_int_equal(rig.outcome.refusal, REFUSAL_NONE);
	expect_trace("claim(" SLOT_EDU " context) claim(" EDU " context) ");
	stop();
}

static size_t n_open_while_opening;

static void count_claims(struct rig *unused)
{
	n_open_while_opening = fake_module_n_open(&module);
}

static void wait_opened(void)
{
	while (rig.outcome.n == 0)
		rig_settle(&rig);
}

static void a_container_takes_the_dma_itself_and_drivers_are_kept_off(void **state)
{
	rig_has_iommufd = false;
	start(single);
	rig_while_opening = count_claims;
	acquire(alice, EDU);
	wait_opened();
	assert_int_equal(rig.outcome.refusal, REFUSAL_NONE);
	assert_int_equal(n_open_while_opening, 1);
	expect_trace("claim(" EDU " parked singleton) handoff ");
	stop();
}

static void a_kernel_without_contexts_keeps_drivers_off(void **state)
{
	const char *weaknesses[GUARANTEES_MAX];

	start(single);
	module.ownership.features &= ~(uint64_t)IOMMUD_FEATURE_IOMMUFD;
	acquire(alice, EDU);
	assert_int_equal(rig.outcome.refusal, REFUSAL_NONE);
	expect_trace("claim(" EDU " denying singleton) ");
	assert_int_equal(broker_weaknesses(rig.broker, weaknesses), 1);
	assert_non_null(strstr(weaknesses[0], "can't claim a group for an iommufd"));
	stop();
}

static void what_the_kernel_refuses_is_refused(void **state)
{
	start(whole);
	for (int error = 1; error < 40; error++) {
		if (error == EAGAIN)
			continue;
		module.claim_error = error;
		acquire(alice, EDU);
		assert_int_equal(rig.outcome.refusal, REFUSAL_PREPARE_FAILED);
		assert_string_equal(rig.outcome.word, "claim");
		assert_non_null(strstr(rig.outcome.message, "group 2"));
		assert_int_equal(fake_helper_n_open(&rig.fake), 0);
		assert_int_equal(fake_module_n_open(&module), 0);
	}
	assert_true(rig_saw(&rig, "leaseFailed"));
	module.claim_error = EPERM;
	acquire(alice, EDU);
	assert_non_null(strstr(rig.outcome.message, "somebody else"));
	module.claim_error = EBUSY;
	module.offender = (struct iommud_member){ .device = SLOT_NIC, .driver = "i801_smbus" };
	acquire(alice, EDU);
	assert_non_null(strstr(rig.outcome.message, SLOT_NIC " is on i801_smbus, which uses its DMA itself"));
	module.offender.flags = IOMMUD_MEMBER_MANAGES_DMA;
	acquire(alice, EDU);
	assert_null(strstr(rig.outcome.message, "i801_smbus"));
	stop();
}

static void take_driver(struct rig *at)
{
	fake_sysfs_set_driver(at->sysfs, EDU, "e1000e");
	module.claim_error = EPERM;
}

static void what_the_judgement_has_against_it_is_said_first(void **state)
{
	start(single);
	rig_while_opening = take_driver;
	acquire(alice, EDU);
	assert_string_not_equal(rig.outcome.word, "claim");
	assert_int_not_equal(rig.outcome.refusal, REFUSAL_NONE);
	assert_int_equal(fake_module_n_open(&module), 0);
	fake_sysfs_set_driver(rig.sysfs, EDU, NULL);
	stop();
}

static void all_groups_or_none(void **state)
{
	start(whole);
	rig_acquire(&rig, alice, EDU " " FLR, NULL, NULL);
	release(alice);
	module.trace[0] = '\0';
	module.claim_error = EBUSY;
	module.n_fine = 1;
	rig_acquire(&rig, alice, EDU " " FLR, NULL, NULL);
	assert_int_equal(module.n_claims, 3);
	assert_string_equal(rig.outcome.word, "claim");
	assert_int_equal(fake_module_n_open(&module), 0);
	stop();
}

static void expire(void)
{
	broker_expire(rig.broker, broker_next_deadline(rig.broker));
	rig_settle(&rig);
}

static void a_driver_on_its_way_is_waited_for(void **state)
{
	start(single);
	module.n_eagain = 2;
	acquire(alice, EDU);
	assert_int_equal(rig.outcome.n, 0);
	expire();
	assert_int_equal(rig.outcome.n, 0);
	expire();
	assert_int_equal(rig.outcome.n, 1);
	assert_int_equal(rig.outcome.refusal, REFUSAL_NONE);
	assert_int_equal(fake_module_n_open(&module), 1);
	stop();
}

static void but_not_for_ever(void **state)
{
	start(single);
	module.n_eagain = 1000;
	acquire(alice, EDU);
	broker_expire(rig.broker, UINT64_MAX - 1);
	rig_settle(&rig);
	assert_int_equal(rig.outcome.refusal, REFUSAL_TIMED_OUT);
	assert_string_equal(rig.outcome.word, "claim");
	assert_int_equal(fake_helper_n_open(&rig.fake), 0);
	stop();
}

static void a_client_that_dies_waits_for_no_driver(void **state)
{
	start(single);
	module.n_eagain = 1;
	acquire(alice, EDU);
	peer_free(alice);
	alice = NULL;
	rig_settle(&rig);
	assert_int_equal(fake_helper_n_open(&rig.fake), 0);
	assert_true(list_is_empty(broker_leases(rig.broker)));
	stop();
}

static void given_back_it_is_held_until_the_device_is_unbound(void **state)
{
	start(single);
	acquire(alice, EDU);
	module.trace[0] = '\0';
	rig.fake.linger = true;
	release(alice);
	expect_trace("giveback ");
	assert_int_equal(fake_module_n_open(&module), 1);
	fake_helper_release(&rig.fake);
	rig_settle(&rig);
	expect_trace("close ");
	stop();
}

static void not_if_it_would_be_in_the_way_of_the_host(void **state)
{
	start(whole);
	fake_sysfs_set_driver(rig.sysfs, SLOT_NIC, "vfio-pci");
	fake_sysfs_set_driver(rig.sysfs, SLOT_NVME, NULL);
	registry_scan(rig.registry);
	acquire(alice, SLOT_EDU);
	module.trace[0] = '\0';
	rig.fake.linger = true;
	release(alice);
	expect_trace("close ");
	fake_helper_release(&rig.fake);
	rig_settle(&rig);
	stop();
}

static void what_came_from_vfio_stays_there_and_is_claimed(void **state)
{
	unsigned int fds;

	start(single);
	acquire(alice, FLR);
	rig.fake.trace[0] = module.trace[0] = '\0';
	release(alice);
	assert_string_equal(rig.fake.trace, "stay(" FLR ") ");
	expect_trace("giveback ");
	assert_int_equal(fake_module_n_open(&module), 1);
	/* The next one has it without a reset, if it is the same user. */
	acquire(alice, FLR);
	expect_trace("close claim(" FLR " context singleton) ");
	assert_null(strstr(rig.fake.trace, "reset"));
	release(alice);
	acquire(bob, FLR);
	assert_non_null(strstr(rig.fake.trace, "reset(" FLR ")"));
	release(bob);
	/* Somebody unbinds it by hand: the claim has ended, and is not kept any longer. */
	assert_int_equal(fake_module_n_open(&module), 1);
	fake_module_tell(&module, IOMMUD_EVENT_LET_GO, FLR, 10, NULL, 0);
	rig_settle(&rig);
	assert_int_equal(fake_module_n_open(&module), 1);
	fake_module_end_last(&module);
	fake_module_tell(&module, IOMMUD_EVENT_LET_GO, FLR, 10, NULL, 0);
	fds = count_open_fds();
	rig_settle(&rig);
	assert_int_equal(count_open_fds(), fds - 1);
	stop();
}

static void what_somebody_still_has_does_not(void **state)
{
	start(single);
	acquire(alice, FLR);
	module.busy = true;
	rig.fake.trace[0] = '\0';
	release(alice);
	assert_string_equal(rig.fake.trace, "restore(" FLR ") ");
	assert_int_equal(fake_module_n_open(&module), 0);
	stop();
}

static void what_nobody_would_reset_does_not(void **state)
{
	start(RULE("*", BOTH, "Reset=no"));
	acquire(alice, FLR);
	rig.fake.trace[0] = '\0';
	release(alice);
	assert_string_equal(rig.fake.trace, "restore(" FLR ") ");
	stop();
}

static void without_the_module_nothing_does(void **state)
{
	start_without(single);
	acquire(alice, FLR);
	rig.fake.trace[0] = '\0';
	release(alice);
	assert_string_equal(rig.fake.trace, "restore(" FLR ") ");
	stop();
}

static void what_stays_is_not_told_to_stay_if_the_restore_failed(void **state)
{
	start(single);
	acquire(alice, FLR);
	rig.fake.n_restores_fail = 2;
	release(alice);
	assert_true(rig_saw(&rig, "restoreFailed"));
	assert_int_equal(fake_module_n_open(&module), 0);
	rig.fake.transactions[0].open = false;
	stop();
}

static void a_refused_driver_is_told(void **state)
{
	start(single);
	acquire(alice, EDU);
	fake_module_tell(&module, IOMMUD_EVENT_REFUSED, EDU, 2, "intruder", 0);
	rig_settle(&rig);
	assert_true(rig_saw(&rig, "driverRefused"));
	assert_non_null(strstr(rig.last_event, "intruder"));
	fake_module_tell(&module, IOMMUD_EVENT_NOT_CLAIMED, EDU, 2, NULL, EBUSY);
	rig_settle(&rig);
	assert_true(rig_saw(&rig, "joinerNotClaimed"));
	rig.events[0] = '\0';
	fake_module_tell(&module, IOMMUD_EVENT_REFUSED, NIC, 1, "intruder", 0);
	rig_settle(&rig);
	assert_string_equal(rig.events, "");
	stop();
}

static void what_the_kernel_tells_is_looked_at_before_udev_tells_it(void **state)
{
	start(whole);
	acquire(alice, EDU);
	fake_sysfs_set_driver(rig.sysfs, EDU, "e1000e");
	rig_settle(&rig);
	assert_false(rig_saw(&rig, "violation"));
	fake_module_tell(&module, IOMMUD_EVENT_BOUND, EDU, 2, "e1000e", 0);
	rig_settle(&rig);
	assert_true(rig_saw(&rig, "violation"));
	stop();
}

static void events_lost_are_made_up_for(void **state)
{
	start(single);
	fake_module_tell(&module, IOMMUD_EVENT_OVERFLOW, "", 0, NULL, 0);
	rig_settle(&rig);
	assert_true(rig_saw(&rig, "resynced"));
	stop();
}

static void a_group_whose_iommufd_is_gone_is_nobodys(void **state)
{
	start(single);
	acquire(alice, EDU);
	module.trace[0] = '\0';
	/* Somebody else's claim. */
	fake_module_tell(&module, IOMMUD_EVENT_CONTEXT_GONE, EDU, 2, NULL, 0);
	rig_settle(&rig);
	expect_trace("");
	fake_module_end_last(&module);
	fake_module_tell(&module, IOMMUD_EVENT_CONTEXT_GONE, EDU, 2, NULL, 0);
	rig_settle(&rig);
	expect_trace("claim(" EDU " parked singleton) ");
	assert_int_equal(fake_module_n_open(&module), 1);
	fake_module_end_last(&module);
	module.claim_error = EPERM;
	fake_module_tell(&module, IOMMUD_EVENT_CONTEXT_GONE, EDU, 2, NULL, 0);
	rig_settle(&rig);
	assert_true(rig_saw(&rig, "claimLost"));
	stop();
}

static bool guarantees(const char *address, const char *text)
{
	struct explanation explanation;
	bool found = false;

	assert_int_equal(broker_explain(rig.broker, &rig.alice, address, NULL, &explanation), 0);
	for (size_t i = 0; i < explanation.n_guarantees; i++)
		found = found || strstr(explanation.guarantees[i], text);
	explanation_clear(&explanation);
	return found;
}

static void explain_says_what_the_kernel_keeps(void **state)
{
	const char *weaknesses[GUARANTEES_MAX];

	start(single);
	assert_int_equal(broker_weaknesses(rig.broker, weaknesses), 0);
	assert_true(guarantees(EDU, "to the iommufd that is handed out, and to nothing else"));
	assert_true(guarantees(EDU, "the group stays one device"));
	assert_false(guarantees(EDU, "without iommud.ko"));
	stop();
	start(whole);
	assert_true(guarantees(SLOT_EDU, "a device that joins the group gets no host driver"));
	stop();
	rig_has_iommufd = false;
	start(single);
	assert_true(guarantees(EDU, "in one container"));
	assert_false(guarantees(EDU, "to the iommufd"));
	stop();
}

static void and_what_is_weaker_without(void **state)
{
	const char *weaknesses[GUARANTEES_MAX];

	start_without(single);
	assert_int_equal(broker_weaknesses(rig.broker, weaknesses), 3);
	for (size_t i = 0; i < 3; i++)
		assert_true(guarantees(EDU, weaknesses[i]));
	assert_false(guarantees(EDU, "(iommud.ko)"));
	stop();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_group_is_claimed_for_the_iommufd_that_goes_out),
		cmocka_unit_test(each_group_is_claimed_once),
		cmocka_unit_test(a_container_takes_the_dma_itself_and_drivers_are_kept_off),
		cmocka_unit_test(a_kernel_without_contexts_keeps_drivers_off),
		cmocka_unit_test(what_the_kernel_refuses_is_refused),
		cmocka_unit_test(what_the_judgement_has_against_it_is_said_first),
		cmocka_unit_test(all_groups_or_none),
		cmocka_unit_test(a_driver_on_its_way_is_waited_for),
		cmocka_unit_test(but_not_for_ever),
		cmocka_unit_test(a_client_that_dies_waits_for_no_driver),
		cmocka_unit_test(given_back_it_is_held_until_the_device_is_unbound),
		cmocka_unit_test(not_if_it_would_be_in_the_way_of_the_host),
		cmocka_unit_test(what_came_from_vfio_stays_there_and_is_claimed),
		cmocka_unit_test(what_somebody_still_has_does_not),
		cmocka_unit_test(what_nobody_would_reset_does_not),
		cmocka_unit_test(without_the_module_nothing_does),
		cmocka_unit_test(what_stays_is_not_told_to_stay_if_the_restore_failed),
		cmocka_unit_test(a_refused_driver_is_told),
		cmocka_unit_test(what_the_kernel_tells_is_looked_at_before_udev_tells_it),
		cmocka_unit_test(events_lost_are_made_up_for),
		cmocka_unit_test(a_group_whose_iommufd_is_gone_is_nobodys),
		cmocka_unit_test(explain_says_what_the_kernel_keeps),
		cmocka_unit_test(and_what_is_weaker_without),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
