/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mdevs of one parent: apart by Isolation=own, one group by Isolation=shared; and the parent, which they would go with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "asker.h"
#include "broker-rig.h"
#include "broker/internal.h"
#include "fail-alloc.h"

#define FIRST "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"
#define SECOND "83b8f4f2-509f-382f-3c1e-e6bfe0fa1002"
#define THIRD "83b8f4f2-509f-382f-3c1e-e6bfe0fa1003" /* of another parent */

#define RULE(address, user, grant) \
	"[Match]\nAddress=" address "\n[Client]\nUser=" user "\n[Grant]\nAction=allow\n" grant
#define BOBS RULE(SECOND, "1001", "")
#define SHARED(grant) RULE("83b8f4f2-*", "1000", "Isolation=shared\n" grant) BOBS
#define OWN RULE("83b8f4f2-*", "1000", "") BOBS

static struct rig rig;
static struct peer *alice, *bob;

static void add_mdev(const char *address, const char *parent, int group)
{
	fake_sysfs_add_device(
		rig.sysfs,
		&(struct fake_device){
			.address = address, .bus = "mdev", .parent = parent, .group = group, .driver = "e1000e_mdev" });
	fake_sysfs_set_group_name(rig.sysfs, group, "vfio-noiommu");
}

static void start(const char *policy)
{
	rig_start(&rig, policy);
	add_mdev(FIRST, "pci0000:00/" NIC, 20);
	add_mdev(SECOND, "pci0000:00/" NIC, 21);
	add_mdev(THIRD, "virtual/mtty/mtty", 22);
	assert_int_equal(registry_scan(rig.registry), 0);
	alice = peer_new(rig.broker, &rig.alice, -1);
	bob = peer_new(rig.broker, &rig.bob, -1);
}

static int stop(void **state)
{
	peer_free(alice);
	peer_free(bob);
	rig_settle(&rig);
	rig_stop(&rig);
	return 0;
}

static void acquire(struct peer *peer, const char *devices, const char *consent, enum refusal_kind expected)
{
	rig_acquire(&rig, peer, devices, NULL, consent);
	if (rig.outcome.refusal != expected)
		fail_msg("%s: refusal %d and not %d: %s", devices, rig.outcome.refusal, expected, rig.outcome.message);
}

static void assert_said(const char *part)
{
	if (!strstr(rig.outcome.message, part))
		fail_msg("'%s' is not in: %s", part, rig.outcome.message);
}

static const struct device *device(const char *address)
{
	return registry_find_device(rig.registry, address);
}

static void own_keeps_the_mdevs_of_a_parent_apart(void **state)
{
	start(OWN);
	acquire(alice, FIRST, NULL, REFUSAL_NONE);
	rig_forget(&rig);
	acquire(bob, SECOND, NULL, REFUSAL_NONE);
	assert_string_equal(rig_driver(&rig, NIC), "e1000e");
	assert_false(isolation_joins(rig.broker, device(SECOND), device(FIRST)));
}

static void a_leased_mdev_leaves_its_siblings_to_nobody_else(void **state)
{
	start(SHARED("GroupScope=whole\n"));
	acquire(alice, FIRST, NULL, REFUSAL_CONSENT_REQUIRED);
	acquire(alice, FIRST, strdupa(rig.outcome.token), REFUSAL_NONE);
	rig_forget(&rig);
	/* Bob's rule does not say shared, and need not. */
	acquire(bob, SECOND, NULL, REFUSAL_BUSY);
	assert_said("the mdevs of " NIC " go to one lease");
	assert_said(FIRST " is active, held by another user");
	assert_int_equal(rig.outcome.state, LEASE_ACTIVE);
	assert_true(isolation_joins(rig.broker, device(SECOND), device(FIRST)));
	assert_false(isolation_joins(rig.broker, device(FIRST), device(SECOND)));
	assert_false(isolation_joins(rig.broker, device(THIRD), device(FIRST)));
}

static void one_that_others_have_is_not_joined(void **state)
{
	start(SHARED("GroupScope=whole\n"));
	acquire(bob, SECOND, NULL, REFUSAL_NONE);
	rig_forget(&rig);
	acquire(alice, FIRST, NULL, REFUSAL_BUSY);
	assert_said(SECOND " is active");
}

static void siblings_go_to_one_lease_together(void **state)
{
	start(SHARED("GroupScope=whole\n"));
	/* All that there are: nobody is taken along unasked. */
	acquire(alice, FIRST " " SECOND, NULL, REFUSAL_NONE);
	assert_int_equal(rig.outcome.n_devices, 2);
	rig_forget(&rig);
	acquire(bob, SECOND, NULL, REFUSAL_BUSY);
}

static void a_second_lease_of_the_same_client_is_another_lease(void **state)
{
	start(SHARED("GroupScope=whole\n"));
	acquire(alice, FIRST, NULL, REFUSAL_CONSENT_REQUIRED);
	acquire(alice, FIRST, strdupa(rig.outcome.token), REFUSAL_NONE);
	rig_forget(&rig);
	acquire(alice, SECOND, NULL, REFUSAL_BUSY);
	assert_said("held by pid 1 of uid 1000");
}

static void they_are_free_again_when_the_lease_has_ended(void **state)
{
	uint64_t lease;

	start(SHARED("GroupScope=whole\n"));
	acquire(alice, FIRST " " SECOND, NULL, REFUSAL_NONE);
	lease = rig.outcome.lease;
	rig_forget(&rig);
	assert_true(broker_release(rig.broker, alice, lease));
	rig_settle(&rig);
	acquire(bob, SECOND, NULL, REFUSAL_NONE);
}

/* Both ways: for one that a lease joins, and for one to be joined with what is leased. */
static void who_waits_for_a_sibling_gets_it(void **state)
{
	struct asker anna = { 0 }, ben = { 0 };

	start(SHARED("GroupScope=whole\n"));
	asker_come(&anna, &rig, 1000);
	asker_come(&ben, &rig, 1001);
	asker_ask(&anna, FIRST " " SECOND, 0);
	asker_ask(&ben, SECOND, 60);
	assert_true(ben.waits);
	asker_give_back(&anna);
	assert_string_equal(ben.devices, SECOND " ");
	asker_ask(&anna, FIRST " " SECOND, 60);
	assert_true(anna.waits);
	asker_give_back(&ben);
	assert_string_equal(anna.devices, FIRST " " SECOND " ");
	asker_go(&anna);
	asker_go(&ben);
}

static void who_waits_for_one_mdev_is_woken_by_another(void **state)
{
	struct asker ben = { 0 };

	start(RULE(FIRST, "1000", "GroupScope=whole\nIsolation=shared\n") BOBS);
	asker_come(&ben, &rig, 1001);
	acquire(alice, FIRST, NULL, REFUSAL_CONSENT_REQUIRED);
	acquire(alice, FIRST, strdupa(rig.outcome.token), REFUSAL_NONE);
	asker_ask(&ben, SECOND, 60);
	assert_true(ben.waits);
	assert_true(broker_release(rig.broker, alice, rig.outcome.lease));
	rig_forget(&rig);
	rig_settle(&rig);
	broker_expire(rig.broker, 0);
	rig_settle(&rig);
	assert_string_equal(ben.devices, SECOND " ");
	asker_go(&ben);
}

static void singleton_admits_no_joined_mdev(void **state)
{
	start(SHARED(""));
	acquire(alice, FIRST, NULL, REFUSAL_NOT_SINGLETON);
	assert_said("shares its parent " NIC " with 1 more");
	assert_said("GroupScope=whole there would admit it");
	/* One that has no siblings is alone. */
	acquire(alice, THIRD, NULL, REFUSAL_NONE);
}

static void siblings_are_named_as_such(void **state)
{
	const char *devices[] = { FIRST, NULL };
	struct group_terms terms = { .devices = devices };
	struct bystanders bystanders;
	char token[DIGEST_HEX_SIZE], other[DIGEST_HEX_SIZE];

	start(OWN);
	terms.registry = rig.registry;
	assert_int_equal(judge_bystanders(device(FIRST)->group, &terms, &bystanders, other), 0);
	assert_int_equal(bystanders.n, 0);
	terms.conduct.isolation = POLICY_ISOLATION_SHARED;
	assert_int_equal(judge_bystanders(device(FIRST)->group, &terms, &bystanders, token), 0);
	assert_int_equal(bystanders.n, 1);
	assert_string_equal(bystanders.list[0].device, SECOND);
	assert_string_equal(bystanders.list[0].action, "is an mdev of " NIC ", too: nobody else gets it meanwhile");
	assert_string_not_equal(token, other);
	bystanders_clear(&bystanders);
}

static void the_parent_of_an_mdev_stays_where_it_is(void **state)
{
	start(RULE(NIC, "1000", ""));
	acquire(alice, NIC, NULL, REFUSAL_NOT_VIABLE);
	assert_said(NIC " is the parent of the mdev " FIRST);
	fake_sysfs_remove_device(rig.sysfs, FIRST);
	fake_sysfs_remove_device(rig.sysfs, SECOND);
	assert_int_equal(registry_scan(rig.registry), 0);
	acquire(alice, NIC, NULL, REFUSAL_NONE);
}

/* The mdevs of a leased parent are none that anybody could have. */
static void an_mdev_of_a_leased_parent_is_not_viable(void **state)
{
	start(RULE(NIC, "1000", "") BOBS);
	fake_sysfs_remove_device(rig.sysfs, FIRST);
	fake_sysfs_remove_device(rig.sysfs, SECOND);
	assert_int_equal(registry_scan(rig.registry), 0);
	acquire(alice, NIC, NULL, REFUSAL_NONE);
	rig_forget(&rig);
	add_mdev(SECOND, "pci0000:00/" NIC, 21);
	assert_int_equal(registry_scan(rig.registry), 0);
	acquire(bob, SECOND, NULL, REFUSAL_NOT_VIABLE);
	assert_said(NIC ", the parent of " SECOND ", is in group 1, which is leased");
}

static void explains_how_an_mdev_is_given_back(void **state)
{
	struct explanation explanation;

	start(OWN);
	assert_int_equal(broker_explain(rig.broker, &rig.alice, FIRST, NULL, &explanation), 0);
	assert_int_equal(explanation.refusal.kind, REFUSAL_NONE);
	assert_string_equal(explanation.parent, NIC);
	assert_string_equal(explanation.plan[0], FIRST " stays on e1000e_mdev");
	assert_string_equal(explanation.plan[2], "at the end " FIRST " is removed, which waits for the last "
						 "descriptor, and made again by " NIC);
	explanation_clear(&explanation);
}

static void survives_a_lack_of_memory(void **state)
{
	struct judgement judgement = { .identity = &rig.alice, .devices = (const char *[]){ FIRST, NULL } };
	bool failed = true;
	int r = 0;

	start(SHARED("GroupScope=whole\n"));
	for (unsigned int n = 1; failed; n++) {
		refusal_clear(&judgement.refusal);
		fail_alloc_begin(n);
		r = judge(rig.broker, &judgement);
		failed = fail_alloc_end();
		if (failed && r != -ENOMEM)
			assert_int_equal(judgement.refusal.kind, REFUSAL_CONSENT_REQUIRED);
	}
	assert_int_equal(r, 0);
	assert_int_equal(judgement.refusal.kind, REFUSAL_CONSENT_REQUIRED);
	refusal_clear(&judgement.refusal);
}

#define TEST(name) cmocka_unit_test_teardown(name, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(own_keeps_the_mdevs_of_a_parent_apart),
		TEST(a_leased_mdev_leaves_its_siblings_to_nobody_else),
		TEST(one_that_others_have_is_not_joined),
		TEST(siblings_go_to_one_lease_together),
		TEST(a_second_lease_of_the_same_client_is_another_lease),
		TEST(they_are_free_again_when_the_lease_has_ended),
		TEST(who_waits_for_a_sibling_gets_it),
		TEST(who_waits_for_one_mdev_is_woken_by_another),
		TEST(singleton_admits_no_joined_mdev),
		TEST(siblings_are_named_as_such),
		TEST(the_parent_of_an_mdev_stays_where_it_is),
		TEST(an_mdev_of_a_leased_parent_is_not_viable),
		TEST(explains_how_an_mdev_is_given_back),
		TEST(survives_a_lack_of_memory),
	};

	return cmocka_run_group_tests_name("broker-isolation", tests, NULL, NULL);
}
