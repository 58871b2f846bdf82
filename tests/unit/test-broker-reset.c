/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Resets as the broker sees them: who gets a device reset, what Reset=require refuses, and the life of a quarantine. On the
 * machine of broker-rig.h (whose devices can't be reset), with more: FLR and PM can be reset on their own, LEFT and RIGHT only
 * together, for they share a bus, and so do CARD and SOUND, which share a group as well.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "broker-rig.h"
#include "fail-alloc.h"
#include "util/cleanup.h"

#define FLR "0000:04:00.0" /* on nvme */
#define PM "0000:06:00.0" /* on vfio-pci already */
#define LEFT "0000:05:00.0" /* on nvme, and so is */
#define RIGHT "0000:05:00.1"
#define CARD "0000:07:00.0" /* on nouveau */
#define SOUND "0000:07:00.1" /* on vfio-pci */

#define RULE(match, user, grant) \
	"[Match]\nAddress=" match "\n[Client]\nUser=" user "\n[Grant]\nAction=allow\n" grant "\n"
#define BOTH "1000,1001"

static const char prefers[] = RULE("*", BOTH, "GroupScope=whole");
static const char requires[] = RULE("*", BOTH, "GroupScope=whole\nReset=require");
static const char refrains[] = RULE("*", BOTH, "GroupScope=whole\nReset=no");

static struct rig rig;
static struct peer *alice, *bob;

static void add(const char *address, int group, const char *driver, const char *parent, const char *methods)
{
	fake_sysfs_add_device(rig.sysfs, &(struct fake_device){ .address = address,
								.parent = parent,
								.vendor = 0x1b36,
								.device = 0x0010,
								.class = 0x010802,
								.group = group,
								.driver = driver,
								.reset_method = methods });
	assert_int_equal(registry_refresh(rig.registry, address), 0);
}

static void start(const char *policy)
{
	rig_start(&rig, policy);
	add(FLR, 10, "nvme", "pci0000:00/0000:00:1d.0", "flr bus");
	add(PM, 11, "vfio-pci", NULL, "pm");
	add(LEFT, 12, "nvme", "pci0000:00/0000:00:1e.0", NULL);
	add(RIGHT, 13, "nvme", "pci0000:00/0000:00:1e.0", NULL);
	add(CARD, 14, "nouveau", "pci0000:00/0000:00:1f.0", NULL);
	add(SOUND, 14, "vfio-pci", "pci0000:00/0000:00:1f.0", NULL);
	rig.events[0] = '\0';
	alice = peer_new(rig.broker, &rig.alice, 2);
	bob = peer_new(rig.broker, &rig.bob, 2);
	assert_non_null(alice);
	assert_non_null(bob);
}

static void stop(void)
{
	peer_free(alice);
	peer_free(bob);
	rig_settle(&rig);
	assert_int_equal(fake_helper_n_open(&rig.fake), 0);
	rig_stop(&rig);
}

static void put_in_force(const char *text)
{
	struct policy *policy = rig_policy(text);
	char refused[256];

	memcpy(rig.fake.digest, policy_digest(policy), DIGEST_SIZE);
	assert_int_equal(broker_set_policy(rig.broker, policy, refused, sizeof(refused)), 0);
}

/* A bus is reset on a thread, whose end the broker is told by a descriptor. */
static void await_answer(void)
{
	while (rig.outcome.n == 0) {
		struct pollfd end = { .fd = broker_get_fd(rig.broker), .events = POLLIN };

		assert_int_equal(poll(&end, 1, 20000), 1);
		rig_settle(&rig);
	}
	rig_settle(&rig);
}

/* Whoever has to consent does. */
static void acquire(struct peer *peer, const char *devices)
{
	rig_acquire(&rig, peer, devices, NULL, NULL);
	await_answer();
	if (rig.outcome.refusal != REFUSAL_CONSENT_REQUIRED)
		return;
	rig_acquire(&rig, peer, devices, NULL, rig.outcome.token);
	await_answer();
}

static void forget(void)
{
	rig.fake.trace[0] = '\0';
	rig.events[0] = '\0';
	rig_n_bus_resets = 0;
}

/* Granted, and given back; what the helper did for it is in the trace. */
static void take(struct peer *peer, const char *devices)
{
	forget();
	acquire(peer, devices);
	assert_string_equal(rig.outcome.message, "");
	assert_int_equal(rig.outcome.refusal, REFUSAL_NONE);
	assert_true(broker_release(rig.broker, peer, rig.outcome.lease));
	rig_settle(&rig);
}

static void refuse(struct peer *peer, const char *devices, enum refusal_kind kind, const char *message)
{
	forget();
	acquire(peer, devices);
	assert_int_equal(rig.outcome.refusal, kind);
	if (!strstr(rig.outcome.message, message))
		fail_msg("'%s' is not in: %s", message, rig.outcome.message);
	assert_int_equal(fake_helper_n_open(&rig.fake), 0);
}

static bool is_quarantined(const char *address)
{
	return broker_is_quarantined(rig.broker, registry_find_device(rig.registry, address));
}

static bool was_reset(void)
{
	return strstr(rig.fake.trace, "reset(");
}

/* ---- who gets it reset ---- */

static void another_user_gets_it_reset_and_the_same_one_not(void **state)
{
	start(prefers);
	/* Nobody knows who had it before the broker began. */
	take(alice, FLR);
	assert_string_equal(rig.fake.trace, "reset(" FLR ") prepare(" FLR ") restore(" FLR ") ");
	take(alice, FLR);
	assert_string_equal(rig.fake.trace, "prepare(" FLR ") restore(" FLR ") ");
	take(bob, FLR);
	assert_true(was_reset());
	take(bob, FLR);
	assert_false(was_reset());
	take(alice, FLR);
	assert_true(was_reset());
	assert_false(rig_saw(&rig, "notReset"));
	stop();
}

static void each_device_of_a_lease_goes_by_its_own_past(void **state)
{
	start(prefers);
	take(alice, FLR);
	take(bob, PM);
	take(alice, FLR " " PM);
	assert_null(strstr(rig.fake.trace, "reset(" FLR));
	assert_non_null(strstr(rig.fake.trace, "reset(" PM));
	stop();
}

/* Descriptors did not go out: bob did not have it. */
static void who_was_refused_did_not_have_it(void **state)
{
	start(prefers);
	take(alice, FLR);
	rig_open_result = -EIO;
	acquire(bob, FLR);
	assert_int_equal(rig.outcome.refusal, REFUSAL_PREPARE_FAILED);
	rig_open_result = 0;
	take(alice, FLR);
	assert_false(was_reset());
	stop();
}

static void a_rule_can_do_without(void **state)
{
	start(refrains);
	take(alice, FLR);
	assert_false(was_reset());
	take(bob, FLR);
	assert_false(was_reset());
	take(bob, EDU);
	assert_false(rig_saw(&rig, "notReset"));
	stop();
}

static void what_can_not_be_reset_is_granted_and_said(void **state)
{
	start(prefers);
	take(alice, EDU);
	assert_true(rig_saw(&rig, "notReset"));
	assert_false(was_reset());
	take(alice, EDU);
	assert_false(rig_saw(&rig, "notReset"));
	take(bob, EDU);
	assert_true(rig_saw(&rig, "notReset"));
	take(bob, LEFT);
	assert_true(rig_saw(&rig, "notReset"));
	stop();
}

/* It had a method when it was judged, and none when the helper came to it. */
static void a_method_that_went_is_said_too(void **state)
{
	start(prefers);
	rig.fake.reset_error = ENOENT;
	take(alice, FLR);
	assert_true(rig_saw(&rig, "notReset"));
	assert_false(is_quarantined(FLR));
	stop();
}

static void a_device_that_was_away_is_a_stranger(void **state)
{
	start(prefers);
	take(alice, FLR);
	fake_sysfs_remove_device(rig.sysfs, FLR);
	assert_int_equal(registry_refresh(rig.registry, FLR), -ENOENT);
	add(FLR, 10, "nvme", NULL, "flr");
	take(alice, FLR);
	assert_true(was_reset());
	stop();
}

/* ---- Reset=require ---- */

static void require_wants_a_reset_of_its_own(void **state)
{
	start(requires);
	take(alice, FLR);
	assert_true(was_reset());
	/* Also of somebody who had it last. */
	take(alice, FLR);
	assert_false(was_reset());
	refuse(alice, EDU, REFUSAL_RESET_SCOPE, EDU " can't be reset: it has no method of its own");
	assert_true(rig_saw(&rig, "leaseDenied"));
	assert_int_equal(rig.fake.n_requests[HELPER_PREPARE], 2);
	stop();
}

static void require_is_judged_for_who_had_it_last_as_well(void **state)
{
	start(prefers);
	take(alice, EDU);
	put_in_force(requires);
	refuse(alice, EDU, REFUSAL_RESET_SCOPE, "Reset=prefer in t.policy:1");
	stop();
}

static void require_is_content_with_the_whole_set(void **state)
{
	start(requires);
	refuse(alice, LEFT, REFUSAL_RESET_SCOPE, "a reset of its bus would hit " RIGHT ",");
	take(alice, LEFT " " RIGHT);
	assert_false(was_reset());
	stop();
}

static void require_is_content_with_neighbours_that_are_idle_on_vfio(void **state)
{
	start(requires);
	/* The registry is not told: the judgement looks for itself. */
	fake_sysfs_set_driver(rig.sysfs, RIGHT, NULL);
	refuse(alice, LEFT, REFUSAL_RESET_SCOPE, RIGHT);
	fake_sysfs_set_driver(rig.sysfs, RIGHT, "vfio-pci");
	take(alice, LEFT);
	fake_sysfs_set_driver(rig.sysfs, RIGHT, "nvme");
	refuse(alice, LEFT, REFUSAL_RESET_SCOPE, RIGHT);
	stop();
}

static void require_keeps_off_what_others_have(void **state)
{
	start(prefers);
	fake_sysfs_set_driver(rig.sysfs, RIGHT, "vfio-pci");
	acquire(bob, RIGHT);
	assert_int_equal(rig.outcome.refusal, REFUSAL_NONE);
	put_in_force(requires);
	rig_acquire(&rig, alice, LEFT, NULL, NULL);
	assert_int_equal(rig.outcome.refusal, REFUSAL_RESET_SCOPE);
	assert_non_null(strstr(rig.outcome.message, RIGHT));
	stop();
}

/* ---- whole buses ---- */

static void a_bus_is_reset_when_all_of_it_goes_to_one_lease(void **state)
{
	start(requires);
	take(alice, LEFT " " RIGHT);
	assert_int_equal(rig_n_bus_resets, 1);
	assert_false(was_reset());
	assert_false(rig_saw(&rig, "notReset"));
	take(alice, LEFT " " RIGHT);
	assert_int_equal(rig_n_bus_resets, 0);
	take(bob, LEFT " " RIGHT);
	assert_int_equal(rig_n_bus_resets, 1);
	put_in_force(prefers);
	take(alice, RIGHT " " FLR " " LEFT);
	assert_int_equal(rig_n_bus_resets, 1);
	assert_true(was_reset());
	stop();
}

static void each_bus_is_reset(void **state)
{
	start(prefers);
	take(alice, LEFT " " CARD " " RIGHT " " SOUND);
	assert_int_equal(rig_n_bus_resets, 2);
	stop();
}

/* Its group is the lease's, so nobody gets it meanwhile. */
static void a_neighbour_of_the_group_that_is_idle_on_vfio_is_reset_along(void **state)
{
	start(requires);
	take(alice, CARD);
	assert_int_equal(rig_n_bus_resets, 1);
	assert_false(rig_saw(&rig, "notReset"));
	stop();
}

/* Somebody may get the neighbour at any time. */
static void a_neighbour_of_another_group_is_not_reset_along(void **state)
{
	start(requires);
	fake_sysfs_set_driver(rig.sysfs, RIGHT, "vfio-pci");
	take(alice, LEFT);
	assert_int_equal(rig_n_bus_resets, 0);
	assert_true(rig_saw(&rig, "notReset"));
	stop();
}

static void a_bus_whose_reset_fails_quarantines_what_wanted_it(void **state)
{
	start(prefers);
	take(alice, LEFT);
	rig_bus_reset_error = ENOTTY;
	refuse(alice, LEFT " " RIGHT, REFUSAL_PREPARE_FAILED, RIGHT " could not be reset with its bus (Inappropriate");
	assert_string_equal(rig.outcome.word, "reset");
	assert_true(is_quarantined(RIGHT));
	assert_false(is_quarantined(LEFT)); /* alice had it */
	assert_true(rig_saw(&rig, "deviceQuarantined"));
	assert_string_equal(rig_driver(&rig, LEFT), "nvme");
	/* Alone it can't be reset at all: it has no file for that. */
	rig.fake.reset_error = ENOENT;
	refuse(bob, RIGHT, REFUSAL_PREPARE_FAILED, RIGHT " is quarantined");
	rig_bus_reset_error = 0;
	take(alice, LEFT " " RIGHT);
	assert_int_equal(rig_n_bus_resets, 1);
	assert_true(rig_saw(&rig, "quarantineEnded"));
	assert_false(is_quarantined(RIGHT));
	stop();
}

/* Something of the bus is none of ours, or the kernel has a quirk against it. */
static void a_bus_that_the_kernel_does_not_reset_is_as_one_that_can_not_be(void **state)
{
	start(prefers);
	rig_bus_reset_error = ENODEV;
	take(alice, CARD);
	assert_true(rig_saw(&rig, "notReset"));
	assert_false(is_quarantined(CARD));
	put_in_force(requires);
	refuse(bob, CARD, REFUSAL_PREPARE_FAILED, CARD ": the kernel does not reset it: No such device");
	assert_string_equal(rig.outcome.word, "reset");
	assert_false(is_quarantined(CARD));
	assert_string_equal(rig_driver(&rig, CARD), "nouveau");
	stop();
}

/* ---- quarantine ---- */

static void a_reset_that_fails_quarantines(void **state)
{
	start(prefers);
	take(alice, FLR);
	rig.fake.reset_error = ENOTTY;
	refuse(bob, FLR, REFUSAL_PREPARE_FAILED,
	       FLR " could not be reset (Inappropriate ioctl for device), and is quarantined");
	assert_string_equal(rig.outcome.word, "reset");
	assert_true(is_quarantined(FLR));
	assert_true(rig_saw(&rig, "deviceQuarantined"));
	assert_string_equal(rig_driver(&rig, FLR), "nvme");
	/* Nobody gets it as it is, whoever had it; it is said once. */
	refuse(alice, FLR, REFUSAL_PREPARE_FAILED, "quarantined");
	refuse(bob, FLR, REFUSAL_PREPARE_FAILED, "quarantined");
	assert_true(was_reset());
	assert_false(rig_saw(&rig, "deviceQuarantined"));
	rig.fake.reset_error = 0;
	take(alice, FLR);
	assert_true(was_reset());
	assert_true(rig_saw(&rig, "quarantineEnded"));
	assert_false(is_quarantined(FLR));
	take(alice, FLR);
	assert_false(was_reset());
	stop();
}

static void a_reset_without_an_end_quarantines_as_well(void **state)
{
	start(prefers);
	rig.fake.reset_error = ETIMEDOUT;
	rig.fake.reset_status = HELPER_TIMED_OUT;
	refuse(bob, FLR, REFUSAL_TIMED_OUT, "step reset");
	assert_true(is_quarantined(FLR));
	stop();
}

static void a_method_that_went_does_not(void **state)
{
	start(requires);
	rig.fake.reset_error = ENOENT;
	rig.fake.reset_status = HELPER_FAULT;
	refuse(bob, FLR, REFUSAL_PREPARE_FAILED, FLR " has no reset method any more");
	assert_string_equal(rig.outcome.word, "reset");
	assert_false(is_quarantined(FLR));
	stop();
}

static void another_step_that_fails_does_not(void **state)
{
	start(prefers);
	strcpy(rig.fake.fail_address, FLR);
	rig.fake.fail_status = HELPER_FAULT;
	refuse(bob, FLR, REFUSAL_PREPARE_FAILED, "step unbind failed");
	assert_false(is_quarantined(FLR));
	stop();
}

static void a_quarantine_does_not_end_for_want_of_a_method(void **state)
{
	start(prefers);
	rig.fake.reset_error = EIO;
	refuse(bob, FLR, REFUSAL_PREPARE_FAILED, "quarantined");
	rig.fake.reset_error = ENOENT;
	refuse(bob, FLR, REFUSAL_PREPARE_FAILED, "has no reset method now");
	assert_string_equal(rig.outcome.word, "reset");
	assert_string_equal(rig_driver(&rig, FLR), "nvme");
	fake_sysfs_set_attribute(rig.sysfs, FLR, "reset_method", NULL);
	refuse(bob, FLR, REFUSAL_PREPARE_FAILED, "has no reset method now");
	assert_true(is_quarantined(FLR));
	stop();
}

/* The administrator's word. */
static void a_rule_that_does_without_resets_passes_a_quarantine(void **state)
{
	start(prefers);
	rig.fake.reset_error = EIO;
	refuse(bob, FLR, REFUSAL_PREPARE_FAILED, "quarantined");
	put_in_force(refrains);
	take(bob, FLR);
	assert_false(was_reset());
	assert_true(is_quarantined(FLR));
	stop();
}

static void a_quarantine_ends_with_the_device(void **state)
{
	start(prefers);
	rig.fake.reset_error = EIO;
	refuse(bob, FLR, REFUSAL_PREPARE_FAILED, "quarantined");
	fake_sysfs_remove_device(rig.sysfs, FLR);
	broker_device_changed(rig.broker, FLR);
	add(FLR, 10, "nvme", NULL, "flr");
	assert_false(is_quarantined(FLR));
	rig.fake.reset_error = 0;
	take(bob, FLR);
	assert_false(rig_saw(&rig, "quarantineEnded"));
	stop();
}

/* ---- explain ---- */

static void assert_planned(const struct identity *identity, const char *address, const char *step)
{
	struct explanation explanation;

	assert_int_equal(broker_explain(rig.broker, identity, address, NULL, &explanation), 0);
	for (size_t i = 0; i < explanation.n_plan; i++)
		if (strcmp(explanation.plan[i], step) == 0)
			goto found;
	fail_msg("'%s' is not planned, but: %s; %s; %s", step, explanation.plan[0], explanation.plan[1],
		 explanation.plan[2]);
found:
	explanation_clear(&explanation);
}

static void explain_says_what_is_reset(void **state)
{
	start(prefers);
	assert_planned(&rig.alice, FLR, FLR " is reset before (it is not known who had it)");
	take(alice, FLR);
	assert_planned(&rig.bob, FLR, FLR " is reset before (another user had it)");
	assert_planned(&rig.alice, FLR, FLR " is bound to vfio-pci, or to a variant of it that is made for it");
	assert_planned(&rig.alice, PM, PM " is unbound from vfio-pci");
	assert_planned(&rig.alice, PM, PM " is bound to vfio-pci again");
	take(alice, PM);
	assert_planned(&rig.alice, PM, PM " stays on vfio-pci");
	assert_planned(&rig.alice, LEFT,
		       LEFT
		       " can't be reset on its own: only all of its bus together; it is handed out as another user "
		       "may have left it");
	assert_planned(&rig.alice, CARD, CARD " is reset before, with all of its bus (it is not known who had it)");
	rig.fake.reset_error = EIO;
	refuse(bob, FLR, REFUSAL_PREPARE_FAILED, "quarantined");
	assert_planned(&rig.alice, FLR,
		       FLR " is quarantined: it is reset before, and not handed out if that fails again");
	stop();
}

static void explain_says_what_require_refuses(void **state)
{
	struct explanation explanation;

	start(requires);
	assert_int_equal(broker_explain(rig.broker, &rig.alice, LEFT, NULL, &explanation), 0);
	assert_int_equal(explanation.refusal.kind, REFUSAL_RESET_SCOPE);
	assert_int_equal(explanation.refusal.reset_set.n, 2);
	assert_false(explanation.refusal.reset_set.members[0].conflicting);
	assert_true(explanation.refusal.reset_set.members[1].conflicting);
	explanation_clear(&explanation);
	stop();
}

/* ---- without memory ---- */

struct answer {
	unsigned int n;
	int error;
	enum refusal_kind refusal;
};

static void answered(void *userdata, int error, const struct lease *lease, struct opened *opened,
		     const struct refusal *refusal)
{
	struct answer *answer = userdata;

	answer->n++;
	answer->error = error;
	answer->refusal = refusal ? refusal->kind : REFUSAL_NONE;
}

/* Answers false as long as an allocation was made to fail. */
static bool acquire_without_memory(const char *address, unsigned int n, enum refusal_kind refusal)
{
	const char *devices[] = { address };
	const struct acquire_request request = { .devices = devices, .n_devices = 1 };
	struct answer answer = { 0 };
	struct list_link *leases = broker_leases(rig.broker);
	bool failed;

	fail_alloc_begin(n);
	broker_acquire(rig.broker, alice, &request, answered, &answer);
	failed = fail_alloc_end();
	rig_settle(&rig);
	assert_int_equal(answer.n, 1);
	if (!failed || answer.error == 0)
		assert_int_equal(answer.refusal, refusal);
	else
		assert_int_equal(answer.error, -ENOMEM);
	if (!list_is_empty(leases))
		assert_true(broker_release(rig.broker, alice, list_first_entry(leases, struct lease, link)->id));
	rig_settle(&rig);
	assert_int_equal(fake_helper_n_open(&rig.fake), 0);
	return !failed;
}

static void without_memory_nothing_is_granted_unremembered(void **state)
{
	unsigned int n = 1;

	start(requires);
	assert_int_equal(helper_client_connect(rig.helper), 0);
	broker_helper_connected(rig.broker);
	rig_settle(&rig);
	while (!acquire_without_memory(FLR, n, REFUSAL_NONE))
		n++;
	assert_true(n > 2);
	rig.fake.trace[0] = '\0';
	assert_true(acquire_without_memory(FLR, 1000, REFUSAL_NONE));
	assert_false(was_reset());
	n = 1;
	while (!acquire_without_memory(LEFT, n, REFUSAL_RESET_SCOPE))
		n++;
	assert_true(n > 2);
	stop();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(another_user_gets_it_reset_and_the_same_one_not),
		cmocka_unit_test(each_device_of_a_lease_goes_by_its_own_past),
		cmocka_unit_test(who_was_refused_did_not_have_it),
		cmocka_unit_test(a_rule_can_do_without),
		cmocka_unit_test(what_can_not_be_reset_is_granted_and_said),
		cmocka_unit_test(a_method_that_went_is_said_too),
		cmocka_unit_test(a_device_that_was_away_is_a_stranger),
		cmocka_unit_test(require_wants_a_reset_of_its_own),
		cmocka_unit_test(require_is_judged_for_who_had_it_last_as_well),
		cmocka_unit_test(require_is_content_with_the_whole_set),
		cmocka_unit_test(require_is_content_with_neighbours_that_are_idle_on_vfio),
		cmocka_unit_test(require_keeps_off_what_others_have),
		cmocka_unit_test(a_bus_is_reset_when_all_of_it_goes_to_one_lease),
		cmocka_unit_test(each_bus_is_reset),
		cmocka_unit_test(a_neighbour_of_the_group_that_is_idle_on_vfio_is_reset_along),
		cmocka_unit_test(a_neighbour_of_another_group_is_not_reset_along),
		cmocka_unit_test(a_bus_whose_reset_fails_quarantines_what_wanted_it),
		cmocka_unit_test(a_bus_that_the_kernel_does_not_reset_is_as_one_that_can_not_be),
		cmocka_unit_test(a_reset_that_fails_quarantines),
		cmocka_unit_test(a_reset_without_an_end_quarantines_as_well),
		cmocka_unit_test(a_method_that_went_does_not),
		cmocka_unit_test(another_step_that_fails_does_not),
		cmocka_unit_test(a_quarantine_does_not_end_for_want_of_a_method),
		cmocka_unit_test(a_rule_that_does_without_resets_passes_a_quarantine),
		cmocka_unit_test(a_quarantine_ends_with_the_device),
		cmocka_unit_test(explain_says_what_is_reset),
		cmocka_unit_test(explain_says_what_require_refuses),
		cmocka_unit_test(without_memory_nothing_is_granted_unremembered),
	};

	return cmocka_run_group_tests_name("broker-reset", tests, NULL, NULL);
}
