/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What journald gets from the broker, by its own socket: of everything that has a message id one entry with all fields, and no
 * way for anybody's words to become a field of their own.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include <cmocka.h>

#include "broker-rig.h"
#include "broker/internal.h"
#include "broker/message-ids.h"
#include "fail-alloc.h"
#include "fake-journal.h"
#include "util/cleanup.h"

#define RULE(match, user, grant) \
	"[Match]\nAddress=" match "\n[Client]\nUser=" user "\n[Grant]\nAction=allow\n" grant "\n"
#define FLR "0000:04:00.0"

static struct rig rig;
static struct peer *alice, *bob;
static const char *unit_of_alice;

static void start(const char *policy)
{
	rig_start(&rig, policy);
	unit_of_alice = "vm-7.service";
	rig.alice.pid = 4711;
	rig.bob.pid = 4712;
	alice = peer_new(rig.broker, &rig.alice, 2);
	bob = peer_new(rig.broker, &rig.bob, 2);
	assert_non_null(alice);
	assert_non_null(bob);
	fake_journal_begin("iommud", LOG_INFO);
}

/* No rule of these tests asks for a unit: the broker does, of the helper, with the first request. */
static void acquire(struct peer *peer, const char *devices, const char *consent)
{
	strcpy(rig.fake.process.slice, "system.slice");
	strcpy(rig.fake.process.unit, peer == alice ? unit_of_alice : "shell.scope");
	rig_acquire(&rig, peer, devices, NULL, consent);
}

static int stop(void **state)
{
	rig.fake.linger = false;
	fake_helper_release(&rig.fake);
	alice = peer_free(alice);
	bob = peer_free(bob);
	rig_settle(&rig);
	fake_journal_end();
	identity_clear(&rig.alice);
	identity_clear(&rig.bob);
	rig_stop(&rig);
	return 0;
}

static const struct journal_entry *only(const char *event)
{
	const struct message_id *id = message_id_find(event);
	const struct journal_entry *entry;

	assert_non_null(id);
	entry = fake_journal_only(id->id);
	if (!entry)
		fail_msg("none, or more than one, of %s", event);
	assert_string_equal(journal_value(entry, "IOMMUD_EVENT", 0), event);
	return entry;
}

/* The only value of the field. */
static void has(const struct journal_entry *entry, const char *name, const char *value)
{
	const char *found = journal_value(entry, name, 0);

	if (!found || strcmp(found, value) != 0)
		fail_msg("%s is '%s' and not '%s'", name, found ? found : "not there", value);
	if (journal_value(entry, name, 1))
		fail_msg("%s has a second value: %s", name, journal_value(entry, name, 1));
}

static void has_not(const struct journal_entry *entry, const char *name)
{
	if (journal_value(entry, name, 0))
		fail_msg("%s is %s", name, journal_value(entry, name, 0));
}

static void says(const struct journal_entry *entry, const char *part)
{
	const char *message = journal_value(entry, "MESSAGE", 0);

	if (!message || !strstr(message, part))
		fail_msg("no '%s' in '%s'", part, message ? message : "(none)");
}

/* Whose lease 1 of the device it is. */
static void is_of_alice(const struct journal_entry *entry, const char *device, const char *group, const char *rule)
{
	has(entry, "SYSLOG_IDENTIFIER", "iommud");
	has(entry, "IOMMUD_DEVICE", device);
	has(entry, "IOMMUD_GROUP", group);
	has(entry, "IOMMUD_LEASE", "1");
	has(entry, "IOMMUD_UID", "1000");
	has(entry, "IOMMUD_PID", "4711");
	has(entry, "IOMMUD_UNIT", "vm-7.service");
	has(entry, "IOMMUD_RULE", rule);
	has(entry, "IOMMUD_BACKEND", "iommufd");
}

static void grant(const char *devices)
{
	acquire(alice, devices, NULL);
	if (rig.outcome.refusal == REFUSAL_CONSENT_REQUIRED) {
		fake_journal_begin("iommud", LOG_INFO);
		acquire(alice, devices, rig.outcome.token);
	}
	assert_string_equal(rig.outcome.message, "");
}

/* ---- each of them ---- */

static void a_grant(void **state)
{
	const struct journal_entry *entry;

	start(RULE(NIC, "1000", "Label=red"));
	grant(NIC);
	entry = only("leaseGranted");
	is_of_alice(entry, NIC, "1", "t.policy:1");
	has(entry, "IOMMUD_LABEL", "red");
	has(entry, "PRIORITY", "6");
	says(entry, "lease 1 granted to uid 1000 by iommufd");
}

/* journalctl IOMMUD_DEVICE=... finds the one entry by each of its devices. */
static void a_grant_of_several_devices_has_all_of_them(void **state)
{
	const struct journal_entry *entry;

	start(RULE(NIC, "1000", "") RULE(EDU, "1000", ""));
	grant(EDU " " NIC);
	entry = only("leaseGranted");
	assert_string_equal(journal_value(entry, "IOMMUD_DEVICE", 0), EDU);
	assert_string_equal(journal_value(entry, "IOMMUD_DEVICE", 1), NIC);
	assert_null(journal_value(entry, "IOMMUD_DEVICE", 2));
	assert_string_equal(journal_value(entry, "IOMMUD_GROUP", 0), "2");
	assert_string_equal(journal_value(entry, "IOMMUD_GROUP", 1), "1");
	assert_string_equal(journal_value(entry, "IOMMUD_RULE", 0), "t.policy:8");
	assert_string_equal(journal_value(entry, "IOMMUD_RULE", 1), "t.policy:1");
	assert_null(journal_value(entry, "IOMMUD_RULE", 2));
	has(entry, "IOMMUD_LEASE", "1");
	has_not(entry, "IOMMUD_LABEL");
}

static void a_release(void **state)
{
	start(RULE(NIC, "1000", ""));
	grant(NIC);
	assert_true(broker_release(rig.broker, alice, 1));
	rig_settle(&rig);
	is_of_alice(only("leaseReleased"), NIC, "1", "t.policy:1");
	only("leaseGranted");
}

static void a_denial(void **state)
{
	const struct journal_entry *entry;

	start("[Match]\nAddress=" NIC "\n[Client]\nUser=1001\n[Grant]\nAction=deny\n");
	acquire(bob, NIC, NULL);
	entry = only("leaseDenied");
	has(entry, "PRIORITY", "5");
	has(entry, "IOMMUD_DEVICE", NIC);
	has(entry, "IOMMUD_GROUP", "1");
	has(entry, "IOMMUD_UID", "1001");
	has(entry, "IOMMUD_PID", "4712");
	has(entry, "IOMMUD_UNIT", "shell.scope");
	has(entry, "IOMMUD_RULE", "t.policy:1");
	has_not(entry, "IOMMUD_LEASE");
	assert_int_equal(fake_journal_count(), 1);
	/* Of no rule there is none to be named. */
	acquire(alice, NIC, NULL);
	assert_int_equal(fake_journal_count(), 2);
	has_not(fake_journal_entry(1), "IOMMUD_RULE");
}

static void a_denial_of_a_label(void **state)
{
	const struct journal_entry *entry;

	start(RULE(SLOT_EDU, "1000", "GroupScope=whole\nLabel=red\nBystanders=park")
		      RULE("0000:03:00.*", "1001", "GroupScope=whole\nLabel=blue\nBystanders=park"));
	grant(SLOT_EDU);
	acquire(bob, SLOT_NIC, NULL);
	entry = only("labelRefused");
	has(entry, "IOMMUD_DEVICE", SLOT_NIC);
	has(entry, "IOMMUD_GROUP", "3");
	has(entry, "IOMMUD_LABEL", "blue");
	has(entry, "IOMMUD_GROUP_LABEL", "red");
	has(entry, "IOMMUD_UID", "1001");
	has(entry, "IOMMUD_UNIT", "shell.scope");
	has(entry, "IOMMUD_RULE", "t.policy:10");
}

static void a_step_that_fails(void **state)
{
	const struct journal_entry *entry;

	start(RULE(NIC, "1000", "Label=red"));
	strcpy(rig.fake.fail_address, NIC);
	rig.fake.fail_status = HELPER_FAULT;
	acquire(alice, NIC, NULL);
	assert_int_equal(rig.outcome.refusal, REFUSAL_PREPARE_FAILED);
	entry = only("leaseFailed");
	is_of_alice(entry, NIC, "1", "t.policy:1");
	has(entry, "IOMMUD_LABEL", "red");
}

static void a_violation(void **state)
{
	const struct journal_entry *entry;

	start(RULE("0000:03:00.*", "1000", "GroupScope=whole\nLabel=red\nOnViolation=log\nBystanders=park"));
	grant(SLOT_EDU);
	fake_sysfs_set_driver(rig.sysfs, SLOT_NIC, "e1000");
	broker_device_changed(rig.broker, SLOT_NIC);
	rig_settle(&rig);
	entry = only("violation");
	/* The device is the one that is in the way, the rest is the lease's. */
	is_of_alice(entry, SLOT_NIC, "3", "t.policy:1");
	has(entry, "IOMMUD_LABEL", "red");
	has(entry, "IOMMUD_DRIVER", "e1000");
	has(entry, "PRIORITY", "3");
	fake_sysfs_set_driver(rig.sysfs, SLOT_NIC, "pci-stub");
	broker_device_changed(rig.broker, SLOT_NIC);
	rig_settle(&rig);
	only("violation");
	only("violationEnded");
}

static void a_revocation_says_who_wanted_it(void **state)
{
	const struct journal_entry *entry;

	start(RULE(NIC, "1000", "Label=red\nOnReleaseTimeout=terminate"));
	grant(NIC);
	rig.fake.linger = true;
	assert_true(broker_revoke(rig.broker, 1, 1001, "the card is wanted"));
	rig_settle(&rig);
	entry = only("releaseRequested");
	is_of_alice(entry, NIC, "1", "t.policy:1");
	has(entry, "IOMMUD_LABEL", "red");
	has(entry, "IOMMUD_BY_UID", "1001");
	says(entry, "is taken back: the card is wanted;");
	/* Once more is no second one. */
	assert_true(broker_revoke(rig.broker, 1, 0, "me too"));
	only("releaseRequested");
	broker_expire(rig.broker, broker_next_deadline(rig.broker));
	rig_settle(&rig);
	is_of_alice(only("clientSignalled"), NIC, "1", "t.policy:1");
	broker_expire(rig.broker, broker_next_deadline(rig.broker));
	rig_settle(&rig);
	is_of_alice(only("releaseIgnored"), NIC, "1", "t.policy:1");
}

static void a_revocation_by_iommud_itself_names_nobody(void **state)
{
	const struct journal_entry *entry;

	start(RULE("0000:03:00.*", "1000", "GroupScope=whole\nOnViolation=revoke\nBystanders=park"));
	grant(SLOT_EDU);
	rig.fake.linger = true;
	fake_sysfs_set_driver(rig.sysfs, SLOT_NIC, "e1000");
	broker_device_changed(rig.broker, SLOT_NIC);
	rig_settle(&rig);
	entry = only("releaseRequested");
	has_not(entry, "IOMMUD_BY_UID");
	is_of_alice(entry, SLOT_EDU, "3", "t.policy:1");
}

static void a_quarantine(void **state)
{
	const struct journal_entry *entry;

	start(RULE(FLR, "1000,1001", "Label=red"));
	fake_sysfs_add_device(rig.sysfs, &(struct fake_device){ .address = FLR,
								.parent = "pci0000:00/0000:00:1d.0",
								.vendor = 0x1b36,
								.device = 0x0010,
								.class = 0x010802,
								.group = 10,
								.driver = "nvme",
								.reset_method = "flr" });
	assert_int_equal(registry_refresh(rig.registry, FLR), 0);
	rig.fake.reset_error = ENOTTY;
	acquire(alice, FLR, NULL);
	assert_int_equal(rig.outcome.refusal, REFUSAL_PREPARE_FAILED);
	entry = only("deviceQuarantined");
	is_of_alice(entry, FLR, "10", "t.policy:1");
	has(entry, "IOMMUD_LABEL", "red");
	has(entry, "PRIORITY", "3");
	only("leaseFailed");
	acquire(alice, FLR, NULL);
	only("deviceQuarantined");
	rig.fake.reset_error = 0;
	acquire(alice, FLR, NULL);
	only("quarantineEnded");
	only("leaseGranted");
}

static void a_lingering_lease(void **state)
{
	start(RULE(NIC, "1000", ""));
	grant(NIC);
	rig.fake.linger = true;
	rig.fake.n_holders = 1;
	rig.fake.holders[0] = (struct helper_holder){ .pid = 77, .comm = "qemu" };
	assert_true(broker_release(rig.broker, alice, 1));
	rig_settle(&rig);
	is_of_alice(only("leaseLingering"), NIC, "1", "t.policy:1");
	says(only("leaseLingering"), "qemu");
}

static void a_refusal_to_manage(void **state)
{
	const struct journal_entry *entry;
	char refused[320];

	start("");
	assert_false(peer_check_manager(bob, POLICY_MANAGE_REVOKE, refused, sizeof(refused)));
	entry = only("manageDenied");
	has(entry, "IOMMUD_UID", "1001");
	has(entry, "IOMMUD_PID", "4712");
	has_not(entry, "IOMMUD_UNIT");
	says(entry, "Allow=revoke");
	/* The unit is known from the first request for devices on. */
	acquire(bob, NIC, NULL);
	fake_journal_begin("iommud", LOG_INFO);
	assert_false(peer_check_manager(bob, POLICY_MANAGE_REVOKE, refused, sizeof(refused)));
	has(only("manageDenied"), "IOMMUD_UNIT", "shell.scope");
}

/* The helper is asked for the unit, and hangs: the client is answered all the same, a little later. */
static void a_denial_without_a_unit(void **state)
{
	start("");
	rig.fake.identify_silent = true;
	acquire(bob, NIC, NULL);
	assert_int_equal(fake_journal_count(), 0);
	broker_expire(rig.broker, broker_next_deadline(rig.broker));
	assert_int_equal(rig.outcome.refusal, REFUSAL_DENIED);
	has(only("leaseDenied"), "IOMMUD_PID", "4712");
	has_not(only("leaseDenied"), "IOMMUD_UNIT");
	fake_helper_kill(&rig.fake);
	rig_settle(&rig);
}

static void a_request_for_too_much_is_a_denial_too(void **state)
{
	start("");
	acquire(bob, NIC " " EDU " " NIC, NULL);
	assert_int_equal(rig.outcome.refusal, REFUSAL_QUOTA);
	has(only("leaseDenied"), "IOMMUD_UNIT", "shell.scope");
}

static void another_policy(void **state)
{
	char refused[64];

	start("");
	assert_int_equal(broker_set_policy(rig.broker, rig_policy(RULE(NIC, "1000", "")), refused, sizeof(refused)), 0);
	only("policyLoaded");
}

/* Those that take much to come about: by what tells them. */
static void whatever_else_has_an_id(void **state)
{
	static const char *const events[] = { "deviceLost", "restoreFailed" };
	struct lease *lease;

	start(RULE(NIC, "1000", "Label=red"));
	grant(NIC);
	lease = list_first_entry(broker_leases(rig.broker), struct lease, link);
	for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
		event_lease(lease, LOG_ERR, events[i], "m");
		is_of_alice(only(events[i]), NIC, "1", "t.policy:1");
	}
}

/* ---- words of others ---- */

static void words_of_others_are_values_and_nothing_else(void **state)
{
	static const char evil[] = "red\nMESSAGE_ID=0123456789abcdef0123456789abcdef\nIOMMUD_UID=0\x01\xff";
	static const char shown[] = "red?MESSAGE_ID=0123456789abcdef0123456789abcdef?IOMMUD_UID=0??";
	const struct journal_entry *entry;

	start(RULE(NIC, "1000", "Label=peer"));
	rig.alice.label = strdup(evil);
	unit_of_alice = evil;
	grant(NIC);
	entry = only("leaseGranted");
	has(entry, "IOMMUD_LABEL", shown);
	has(entry, "IOMMUD_UNIT", shown);
	has(entry, "IOMMUD_UID", "1000");
	acquire(bob, "0000:01:00.0\nIOMMUD_UID=0", NULL);
	entry = only("leaseDenied");
	has(entry, "IOMMUD_UID", "1001");
	assert_null(strchr(journal_value(entry, "MESSAGE", 0), '\n'));
}

static void the_reason_of_a_revocation_stays_on_its_line(void **state)
{
	start(RULE(NIC, "1000", ""));
	grant(NIC);
	assert_true(broker_revoke(rig.broker, 1, 0, "smoke\nIOMMUD_UID=7\x1b[31m"));
	says(only("releaseRequested"), "smoke?IOMMUD_UID=7?[31m");
	has(only("releaseRequested"), "IOMMUD_UID", "1000");
}

static void a_long_label_is_cut_and_the_rest_is_there(void **state)
{
	char *label = calloc(1, 70001);
	const struct journal_entry *entry;

	assert_non_null(label);
	memset(label, 'x', 70000);
	start(RULE(NIC, "1000", "Label=peer"));
	rig.alice.label = label; /* its own from here on */
	grant(NIC);
	entry = only("leaseGranted");
	assert_int_equal(strlen(journal_value(entry, "IOMMUD_LABEL", 0)), 1023);
	has(entry, "IOMMUD_UNIT", "vm-7.service");
	has(entry, "IOMMUD_RULE", "t.policy:1");
}

/* ---- floods ---- */

static unsigned int count(const char *event)
{
	const struct message_id *id = message_id_find(event);
	size_t n = fake_journal_count();
	unsigned int found = 0;

	for (size_t i = 0; i < n; i++) {
		const char *value = journal_value(fake_journal_entry(i), "MESSAGE_ID", 0);

		found += value && strcmp(value, id->id) == 0;
	}
	return found;
}

static void ask_in_vain(struct peer *peer, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		acquire(peer, NIC, NULL);
}

static void a_flood_of_refusals_is_summed_up(void **state)
{
	const struct journal_entry *entry;

	start("");
	ask_in_vain(bob, FLOOD_BURST + 30);
	assert_int_equal(count("leaseDenied"), FLOOD_BURST);
	assert_int_equal(count("refusalsSuppressed"), 0);
	/* Who else is refused has entries of his own. */
	ask_in_vain(alice, 3);
	assert_int_equal(count("leaseDenied"), FLOOD_BURST + 3);
	/* When the time is over it is said, though nobody asks. */
	assert_true(broker_next_deadline(rig.broker) < UINT64_MAX);
	broker_expire(rig.broker, broker_next_deadline(rig.broker));
	entry = only("refusalsSuppressed");
	has(entry, "IOMMUD_UID", "1001");
	has(entry, "IOMMUD_SUPPRESSED", "30");
	says(entry, "30 more messages about requests of uid 1001 in 10 s were left out");
	assert_true(broker_next_deadline(rig.broker) == UINT64_MAX);
}

static void a_flood_hides_nothing_else(void **state)
{
	start(RULE(NIC, "1000", ""));
	ask_in_vain(bob, 100);
	grant(NIC);
	only("leaseGranted");
	/* And subscribers are told each. */
	assert_true(rig_saw(&rig, "leaseDenied"));
}

/* ---- memory ---- */

/* The lease is granted with its rule and unit, or not at all. Returns whether an allocation failed. */
static bool survives_the_failure_of(unsigned int n)
{
	bool failed;

	fake_journal_begin("iommud", LOG_INFO);
	fail_alloc_begin(n);
	acquire(alice, NIC, NULL);
	failed = fail_alloc_end();
	if (rig.outcome.lease) {
		has(only("leaseGranted"), "IOMMUD_RULE", "t.policy:1");
		has(only("leaseGranted"), "IOMMUD_UNIT", "vm-7.service");
		assert_true(broker_release(rig.broker, alice, rig.outcome.lease));
		rig_settle(&rig);
	}
	return failed;
}

static void a_lease_is_not_granted_without_its_facts(void **state)
{
	unsigned int n = 2; /* the first is the rig's own */

	start(RULE(NIC, "1000", ""));
	/* Of whom the helper has told. */
	acquire(alice, EDU, NULL);
	while (survives_the_failure_of(n))
		n++;
	assert_true(rig.outcome.lease);
	assert_true(n > 7);
}

static int have_journal(void **state)
{
	if (fake_journal_start())
		return 0;
	print_message("no mount namespace: journald's socket can't be played\n");
	return -1;
}

#define CASE(function) cmocka_unit_test_teardown(function, stop)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(a_grant),
		CASE(a_grant_of_several_devices_has_all_of_them),
		CASE(a_release),
		CASE(a_denial),
		CASE(a_denial_of_a_label),
		CASE(a_step_that_fails),
		CASE(a_violation),
		CASE(a_revocation_says_who_wanted_it),
		CASE(a_revocation_by_iommud_itself_names_nobody),
		CASE(a_quarantine),
		CASE(a_lingering_lease),
		CASE(a_refusal_to_manage),
		CASE(a_denial_without_a_unit),
		CASE(a_request_for_too_much_is_a_denial_too),
		CASE(another_policy),
		CASE(whatever_else_has_an_id),
		CASE(words_of_others_are_values_and_nothing_else),
		CASE(the_reason_of_a_revocation_stays_on_its_line),
		CASE(a_long_label_is_cut_and_the_rest_is_there),
		CASE(a_flood_of_refusals_is_summed_up),
		CASE(a_flood_hides_nothing_else),
		CASE(a_lease_is_not_granted_without_its_facts),
	};

	return cmocka_run_group_tests(tests, have_journal, NULL);
}
