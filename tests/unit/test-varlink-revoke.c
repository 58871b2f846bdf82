/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Taking leases back as clients see it: Revoke and who may call it, and that the client of a lease hears of it on the very
 * connection that holds the lease, whichever comes first.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>
#include <string.h>

#include "fail-alloc.h"
#include "service-rig.h"

#define ALICE 1000
#define BOB 1001
#define RULE(match, user) "[Match]\n" match "\n[Client]\nUser=" user "\n[Grant]\nAction=allow\n"

static const char policy_text[] = RULE("Address=0000:01:00.0", "1000") RULE("Address=0000:02:00.0", "1000,1001");

static struct service_rig rig;
static struct varlink_client alice, bob, root;

static int setup(void **state)
{
	if (geteuid() != 0) {
		print_message("not root: clients of other uids can't be played\n");
		return -1;
	}
	service_rig_start(&rig, policy_text);
	alice = service_rig_connect(&rig, ALICE);
	bob = service_rig_connect(&rig, BOB);
	root = service_rig_connect(&rig, 0);
	return 0;
}

static int teardown(void **state)
{
	rig.rig.fake.linger = false;
	fake_helper_release(&rig.rig.fake);
	varlink_client_close(&alice);
	varlink_client_close(&bob);
	varlink_client_close(&root);
	service_rig_run(&rig);
	assert_true(list_is_empty(broker_leases(rig.rig.broker)));
	service_rig_stop(&rig);
	return 0;
}

static long long take(const char *parameters)
{
	struct varlink_reply reply = service_call(&rig, &alice, "Acquire", parameters, NULL);
	long long lease = varlink_reply_int(&reply, "lease");

	varlink_reply_clear(&reply);
	rig.rig.fake.linger = true;
	return lease;
}

static const char *of_lease(long long lease)
{
	static char parameters[64];

	snprintf(parameters, sizeof(parameters), "{\"lease\":%lld}", lease);
	return parameters;
}

static void take_back(long long lease)
{
	struct varlink_reply reply = service_call(&rig, &root, "Manage.Revoke", of_lease(lease), NULL);

	varlink_reply_clear(&reply);
}

static void subscribe(struct varlink_client *client, const char *parameters)
{
	struct varlink_reply reply = service_call(&rig, client, "Subscribe", parameters, "\"more\":true");

	assert_true(reply.continues);
	assert_string_equal(varlink_reply_string(&reply, "event"), "subscribed");
	varlink_reply_clear(&reply);
}

/* The very next event is this one, of this lease. */
static void expect_event(struct varlink_client *client, const char *name, long long lease, const char *message)
{
	struct varlink_reply reply = service_next(&rig, client, "Subscribe");

	assert_string_equal(varlink_reply_string(&reply, "event"), name);
	assert_int_equal(varlink_reply_int(&reply, "lease"), lease);
	if (message && !strstr(varlink_reply_string(&reply, "message"), message))
		fail_msg("no \"%s\" in \"%s\"", message, varlink_reply_string(&reply, "message"));
	varlink_reply_clear(&reply);
}

static void a_client_hears_it_on_the_connection_of_its_lease(void **state)
{
	long long lease = take("{\"devices\":[\"" NIC "\"]}");

	subscribe(&alice, of_lease(lease));
	take_back(lease);
	expect_event(&alice, "releaseRequested", lease, "root wants it back");
	/* And gives it back by closing it. */
	rig.rig.fake.linger = false;
	fake_helper_release(&rig.rig.fake);
	varlink_client_close(&alice);
	service_rig_run(&rig);
	assert_string_equal(rig_driver(&rig.rig, NIC), "e1000e");
	assert_true(list_is_empty(broker_leases(rig.rig.broker)));
}

static void who_subscribes_to_everything_hears_it_too(void **state)
{
	long long lease = take("{\"devices\":[\"" NIC "\"]}");

	subscribe(&alice, NULL);
	take_back(lease);
	expect_event(&alice, "releaseRequested", lease, NULL);
}

static void who_subscribes_too_late_hears_it_at_once(void **state)
{
	long long lease = take("{\"devices\":[\"" NIC "\"]}");

	take_back(lease);
	subscribe(&alice, of_lease(lease));
	expect_event(&alice, "releaseRequested", lease, "before you subscribed");
}

static void a_lease_that_is_over_can_not_be_subscribed_to(void **state)
{
	long long lease = take("{\"devices\":[\"" NIC "\"]}");
	struct varlink_reply reply;

	rig.rig.fake.linger = false;
	take_back(lease);
	assert_int_equal(varlink_client_call(&alice, "io.iommud.Subscribe", of_lease(lease), "\"more\":true", &reply),
			 0);
	assert_string_equal(reply.error, "io.iommud.NoSuchLease");
	varlink_reply_clear(&reply);
}

static void other_users_can_not_subscribe_to_it(void **state)
{
	long long lease = take("{\"devices\":[\"" EDU "\"]}");
	struct varlink_reply reply;

	assert_int_equal(varlink_client_call(&bob, "io.iommud.Subscribe", of_lease(lease), "\"more\":true", &reply), 0);
	assert_string_equal(reply.error, "io.iommud.NoSuchLease");
	varlink_reply_clear(&reply);
	assert_int_equal(varlink_client_call(&bob, "io.iommud.Subscribe", "{\"lease\":0}", "\"more\":true", &reply), 0);
	assert_string_equal(reply.error, "io.iommud.NoSuchLease");
	varlink_reply_clear(&reply);
	subscribe(&root, of_lease(lease));
}

static void nothing_else_is_told_to_who_subscribes_to_a_lease(void **state)
{
	long long lease = take("{\"devices\":[\"" NIC "\"]}");

	subscribe(&alice, of_lease(lease));
	fake_sysfs_set_driver(rig.rig.sysfs, EDU, "vfio-pci");
	broker_device_changed(rig.rig.broker, EDU);
	take_back(lease);
	expect_event(&alice, "releaseRequested", lease, NULL);
}

static void the_reason_is_told(void **state)
{
	long long lease = take("{\"devices\":[\"" NIC "\"]}");
	struct varlink_reply reply;
	char parameters[96];

	subscribe(&alice, of_lease(lease));
	snprintf(parameters, sizeof(parameters), "{\"lease\":%lld,\"reason\":\"smoke,\\n \\u00fcberall\"}", lease);
	reply = service_call(&rig, &root, "Manage.Revoke", parameters, NULL);
	varlink_reply_clear(&reply);
	expect_event(&alice, "releaseRequested", lease, "is taken back: smoke,? ??berall; ");
}

static void only_root_revokes(void **state)
{
	long long lease = take("{\"devices\":[\"" EDU "\"]}");
	struct varlink_reply reply =
		service_refused(&rig, &alice, "Manage.Revoke", of_lease(lease), "Manage.NotAllowed");

	varlink_reply_clear(&reply);
	reply = service_refused(&rig, &bob, "Manage.Revoke", of_lease(lease), "Manage.NotAllowed");
	varlink_reply_clear(&reply);
	reply = service_refused(&rig, &bob, "Manage.Revoke", of_lease(99), "Manage.NotAllowed");
	varlink_reply_clear(&reply);
	reply = service_refused(&rig, &root, "Manage.Revoke", of_lease(99), "Manage.NoSuchLease");
	assert_int_equal(varlink_reply_int(&reply, "lease"), 99);
	varlink_reply_clear(&reply);
	assert_int_equal(rig_state(&rig.rig, lease), LEASE_ACTIVE);
}

/* It goes on as before: the lease is listed, released by its owner without an error, and its connection serves. */
static void the_connection_of_a_revoked_lease_goes_on(void **state)
{
	long long lease = take("{\"devices\":[\"" NIC "\"]}");
	struct varlink_reply reply;

	take_back(lease);
	reply = service_call(&rig, &alice, "ListLeases", NULL, "\"more\":true");
	assert_string_equal(json_child_text(json_child(reply.parameters, "lease"), "state"), "lingering");
	varlink_reply_clear(&reply);
	assert_int_equal(varlink_client_receive(&alice, &reply), 0);
	assert_false(reply.continues);
	varlink_reply_clear(&reply);
	reply = service_call(&rig, &alice, "Release", of_lease(lease), NULL);
	varlink_reply_clear(&reply);
	reply = service_refused(&rig, &bob, "Release", of_lease(lease), "NoSuchLease");
	varlink_reply_clear(&reply);
	reply = service_call(&rig, &alice, "Describe", "{\"device\":\"" NIC "\"}", NULL);
	varlink_reply_clear(&reply);
}

/* Fails the Nth allocation of a Revoke that a subscriber is told of: the lease comes back all the same. */
static bool survives_the_failure_of(unsigned int n)
{
	long long lease = take("{\"devices\":[\"" NIC "\"]}");
	bool failed;

	subscribe(&alice, of_lease(lease));
	assert_int_equal(varlink_client_send_call(&root, "io.iommud.Manage.Revoke", of_lease(lease), NULL), 0);
	fail_alloc_begin(n);
	service_rig_run(&rig);
	failed = fail_alloc_end();
	varlink_client_close(&alice);
	varlink_client_close(&root);
	rig.rig.fake.linger = false;
	fake_helper_release(&rig.rig.fake);
	for (int i = 0; i < 4 && broker_next_deadline(rig.rig.broker) != UINT64_MAX; i++) {
		service_rig_run(&rig);
		broker_expire(rig.rig.broker, broker_next_deadline(rig.rig.broker));
	}
	service_rig_run(&rig);
	assert_true(list_is_empty(broker_leases(rig.rig.broker)));
	alice = service_rig_connect(&rig, ALICE);
	root = service_rig_connect(&rig, 0);
	return failed;
}

static void whichever_allocation_fails_the_lease_comes_back(void **state)
{
	unsigned int n = 1;

	while (survives_the_failure_of(n))
		n++;
	assert_true(n > 5);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(a_client_hears_it_on_the_connection_of_its_lease),
		CASE(who_subscribes_to_everything_hears_it_too),
		CASE(who_subscribes_too_late_hears_it_at_once),
		CASE(a_lease_that_is_over_can_not_be_subscribed_to),
		CASE(other_users_can_not_subscribe_to_it),
		CASE(nothing_else_is_told_to_who_subscribes_to_a_lease),
		CASE(the_reason_is_told),
		CASE(only_root_revokes),
		CASE(the_connection_of_a_revoked_lease_goes_on),
		CASE(whichever_allocation_fails_the_lease_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
