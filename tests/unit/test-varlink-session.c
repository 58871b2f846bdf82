/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Clients that read as they like: lists are made as they are read, and events that are left out are owned up to. All
 * that is sent is held against the interface.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fail-alloc.h"
#include "service-rig.h"

#define ALICE 1000
#define BOB 1001
#define RULE(match, user) "[Match]\n" match "\n[Client]\nUser=" user "\n[Grant]\nAction=allow\n"
#define N_DEVICES 200 /* more than what is queued at once, in devices and in groups */
#define LIST_QUEUE 65536 /* what is queued of a list, but for its last piece */
#define EVENT_QUEUE 262144
#define PIECE_MAX 4096

static const char policy_text[] =
	RULE("Address=0000:01:00.0", "1000") RULE("Address=0000:02:00.0", "1000,1001") RULE("Address=0000:8*", "1000");

static struct service_rig rig;

static int setup(void **state)
{
	service_rig_start(&rig, policy_text);
	return 0;
}

static int teardown(void **state)
{
	service_rig_run(&rig);
	assert_true(list_is_empty(&rig.service.subscribers));
	service_rig_stop(&rig);
	return 0;
}

/* ---- lists ---- */

static void ask_for_list(struct varlink_client *client, const char *method)
{
	char name[64];

	snprintf(name, sizeof(name), "io.iommud.%s", method);
	assert_int_equal(varlink_client_send_call(client, name, NULL, "\"more\":true"), 0);
	service_rig_run(&rig);
}

/* Reads the list to its end. `check` sees each element; returns how many there were. */
static size_t read_list(struct varlink_client *client, const char *method, const char *key,
			void (*check)(json_object *element))
{
	struct varlink_reply reply;

	for (size_t n = 0;; n++) {
		const char *wrong;

		assert_int_equal(varlink_client_receive(client, &reply), 0);
		assert_null(reply.error);
		if (!reply.continues) {
			assert_int_equal(json_object_object_length(reply.parameters), 0);
			varlink_reply_clear(&reply);
			return n;
		}
		wrong = idl_check(rig.idl, IDL_METHOD, method, reply.parameters);
		if (wrong)
			fail_msg("%s", wrong);
		check(json_child(reply.parameters, key));
		varlink_reply_clear(&reply);
	}
}

static char last_address[DEVICE_ADDRESS_MAX];
static int64_t last_group;

static void comes_after_the_last_device(json_object *device)
{
	const char *address = json_child_text(device, "address");

	assert_true(strcmp(address, last_address) > 0);
	snprintf(last_address, sizeof(last_address), "%s", address);
}

static void comes_after_the_last_group(json_object *group)
{
	int64_t id = json_object_get_int64(json_child(group, "group"));

	assert_true(id > last_group);
	last_group = id;
}

static void assert_queue_is_bounded(size_t bound)
{
	assert_true(rig.max_queued >= bound);
	assert_true(rig.max_queued <= bound + PIECE_MAX);
}

static void a_long_list_is_made_as_it_is_read(void **state)
{
	struct varlink_client client;

	service_rig_add_devices(&rig, N_DEVICES);
	client = service_rig_connect(&rig, 0);
	ask_for_list(&client, "ListDevices");
	last_address[0] = '\0';
	assert_int_equal(read_list(&client, "ListDevices", "device", comes_after_the_last_device), N_DEVICES + 6);
	assert_queue_is_bounded(LIST_QUEUE);
	/* The connection goes on. */
	ask_for_list(&client, "ListGroups");
	last_group = -1;
	assert_int_equal(read_list(&client, "ListGroups", "group", comes_after_the_last_group), N_DEVICES + 4);
	ask_for_list(&client, "ListLeases");
	assert_int_equal(read_list(&client, "ListLeases", "lease", comes_after_the_last_group), 0);
	assert_queue_is_bounded(LIST_QUEUE);
	varlink_client_close(&client);
}

static void a_long_list_has_what_the_client_may_see(void **state)
{
	struct varlink_client alice, bob;

	service_rig_add_devices(&rig, N_DEVICES);
	alice = service_rig_connect(&rig, ALICE);
	bob = service_rig_connect(&rig, BOB);
	ask_for_list(&alice, "ListDevices");
	ask_for_list(&bob, "ListDevices");
	last_address[0] = '\0';
	assert_int_equal(read_list(&alice, "ListDevices", "device", comes_after_the_last_device), N_DEVICES + 2);
	last_address[0] = '\0';
	assert_int_equal(read_list(&bob, "ListDevices", "device", comes_after_the_last_device), 1);
	varlink_client_close(&alice);
	varlink_client_close(&bob);
}

static void a_list_goes_on_when_what_was_sent_last_is_gone(void **state)
{
	struct varlink_client client;

	service_rig_add_devices(&rig, N_DEVICES);
	client = service_rig_connect(&rig, 0);
	ask_for_list(&client, "ListDevices");
	for (unsigned int i = 0; i < N_DEVICES - 1; i++) {
		char address[DEVICE_ADDRESS_MAX];

		snprintf(address, sizeof(address), "0000:%02x:%02x.%u", 0x80 + i / 256, i / 8 % 32, i % 8);
		fake_sysfs_remove_device(rig.rig.sysfs, address);
		broker_device_changed(rig.rig.broker, address);
	}
	last_address[0] = '\0';
	assert_true(read_list(&client, "ListDevices", "device", comes_after_the_last_device) < N_DEVICES);
	assert_string_equal(last_address, "0000:80:18.7"); /* the last one stayed */
	varlink_client_close(&client);
}

static void a_client_may_go_in_the_midst_of_a_list(void **state)
{
	struct varlink_client client;

	service_rig_add_devices(&rig, N_DEVICES);
	client = service_rig_connect(&rig, 0);
	ask_for_list(&client, "ListDevices");
	varlink_client_close(&client);
	service_rig_run(&rig);
	assert_int_equal(varlink_server_n_connections(rig.server), 0);
}

/* ---- events ---- */

static struct varlink_client subscribe(uid_t uid)
{
	struct varlink_client client = service_rig_connect(&rig, uid);
	struct varlink_reply reply = service_call(&rig, &client, "Subscribe", NULL, "\"more\":true");

	assert_true(reply.continues);
	assert_string_equal(varlink_reply_string(&reply, "event"), "subscribed");
	varlink_reply_clear(&reply);
	return client;
}

static long long next_event(struct varlink_client *client, const char *name)
{
	struct varlink_reply reply = service_next(&rig, client, "Subscribe");
	long long sequence = varlink_reply_int(&reply, "sequence");

	assert_true(reply.continues);
	assert_string_equal(varlink_reply_string(&reply, "event"), name);
	varlink_reply_clear(&reply);
	return sequence;
}

static void publish(uint64_t sequence, const char *name, int64_t uid)
{
	struct broker_event event = { .sequence = sequence,
				      .name = name,
				      .group = -1,
				      .lease = -1,
				      .uid = uid,
				      .viable = -1,
				      .message = "a message of about the usual length, as events have them" };

	session_publish(&rig.service, &event);
}

static void tells_what_happens_in_order(void **state)
{
	struct varlink_client client = subscribe(0);
	long long first, second;

	fake_sysfs_set_driver(rig.rig.sysfs, SLOT_NIC, NULL);
	broker_device_changed(rig.rig.broker, SLOT_NIC);
	first = next_event(&client, "driverUnbound");
	second = next_event(&client, "verdictChanged");
	assert_true(second > first);
	varlink_client_close(&client);
}

/* Reads up to that event. Returns whether one of the other name was among those before it. */
static bool saw_before(struct varlink_client *client, const char *other, const char *name)
{
	bool seen = false, end = false;

	while (!end) {
		struct varlink_reply reply = service_next(&rig, client, "Subscribe");
		const char *event = varlink_reply_string(&reply, "event");

		seen |= strcmp(event, other) == 0;
		end = strcmp(event, name) == 0;
		varlink_reply_clear(&reply);
	}
	return seen;
}

static void events_of_a_lease_are_for_its_owner_and_root(void **state)
{
	struct varlink_client alice = subscribe(ALICE), bob = subscribe(BOB), root = subscribe(0);
	struct varlink_client client = service_rig_connect(&rig, ALICE);
	struct varlink_reply reply = service_call(&rig, &client, "Acquire", "{\"devices\":[\"" EDU "\"]}", NULL);

	publish(1000, "forBob", BOB);
	publish(1001, "forAll", -1);
	assert_true(saw_before(&alice, "leaseGranted", "forAll"));
	assert_true(saw_before(&root, "leaseGranted", "forBob"));
	assert_false(saw_before(&bob, "leaseGranted", "forBob"));
	next_event(&bob, "forAll");
	next_event(&root, "forAll");
	varlink_reply_clear(&reply);
	varlink_client_close(&client);
	varlink_client_close(&alice);
	varlink_client_close(&bob);
	varlink_client_close(&root);
}

static void a_subscriber_that_does_not_read_is_told_that_it_lost_events(void **state)
{
	struct varlink_client client = subscribe(0);
	uint64_t published = 0;
	long long seen = 0;

	for (; published < 20000; published++)
		publish(published + 1, "something", -1);
	/* Without anything more happening: what came first, and that the rest is lost. */
	for (;;) {
		struct varlink_reply reply = service_next(&rig, &client, "Subscribe");
		bool lost = strcmp(varlink_reply_string(&reply, "event"), "lost") == 0;
		long long sequence = varlink_reply_int(&reply, "sequence");

		varlink_reply_clear(&reply);
		if (lost) {
			assert_int_equal(sequence, published);
			break;
		}
		assert_int_equal(sequence, ++seen);
	}
	assert_true(seen > 0 && seen < (long long)published);
	/* Once, and then as ever. */
	publish(published + 1, "after", -1);
	assert_int_equal(next_event(&client, "after"), published + 1);
	varlink_client_close(&client);
}

static void what_is_queued_for_a_subscriber_is_bounded(void **state)
{
	struct varlink_client client = subscribe(0);

	for (uint64_t i = 1; i < 5000; i++)
		publish(i, "something", -1);
	rig.max_queued = varlink_connection_queued(rig.last);
	assert_queue_is_bounded(EVENT_QUEUE);
	varlink_client_close(&client);
}

static void the_end_of_a_connection_ends_its_subscription(void **state)
{
	struct varlink_client client = subscribe(0), other = subscribe(0);

	varlink_client_close(&client);
	publish(1, "whileItGoes", -1);
	service_rig_run(&rig);
	publish(2, "after", -1);
	next_event(&other, "whileItGoes");
	next_event(&other, "after");
	varlink_client_close(&other);
}

static void a_subscriber_that_holds_a_lease_may_go(void **state)
{
	struct varlink_client client = service_rig_connect(&rig, ALICE);
	struct varlink_reply reply = service_call(&rig, &client, "Acquire", "{\"devices\":[\"" NIC "\"]}", NULL);

	varlink_reply_clear(&reply);
	reply = service_call(&rig, &client, "Subscribe", NULL, "\"more\":true");
	varlink_reply_clear(&reply);
	varlink_client_close(&client);
	service_rig_run(&rig);
	assert_true(list_is_empty(broker_leases(rig.rig.broker)));
	assert_string_equal(rig_driver(&rig.rig, NIC), "e1000e");
}

/* ---- no memory ---- */

/* Fails the Nth allocation from the connection to the first reply: the next client is served as if nothing had been. */
static bool survives_the_failure_of(unsigned int n)
{
	struct varlink_client client = VARLINK_CLIENT_INIT, next;
	struct varlink_reply reply;
	bool failed;

	assert_int_equal(varlink_client_connect(&client, rig.path), 0);
	assert_int_equal(varlink_client_send_call(&client, "io.iommud.Describe", "{\"device\":\"" NIC "\"}", NULL), 0);
	fail_alloc_begin(n);
	service_rig_run(&rig);
	failed = fail_alloc_end();
	varlink_client_close(&client);
	service_rig_run(&rig);
	assert_int_equal(varlink_server_n_connections(rig.server), 0);
	next = service_rig_connect(&rig, 0);
	reply = service_call(&rig, &next, "Describe", "{\"device\":\"" NIC "\"}", NULL);
	varlink_reply_clear(&reply);
	varlink_client_close(&next);
	service_rig_run(&rig);
	return failed;
}

static void whichever_allocation_fails_the_next_client_is_served(void **state)
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
		CASE(a_long_list_is_made_as_it_is_read),
		CASE(a_long_list_has_what_the_client_may_see),
		CASE(a_list_goes_on_when_what_was_sent_last_is_gone),
		CASE(a_client_may_go_in_the_midst_of_a_list),
		CASE(tells_what_happens_in_order),
		CASE(events_of_a_lease_are_for_its_owner_and_root),
		CASE(a_subscriber_that_does_not_read_is_told_that_it_lost_events),
		CASE(what_is_queued_for_a_subscriber_is_bounded),
		CASE(the_end_of_a_connection_ends_its_subscription),
		CASE(a_subscriber_that_holds_a_lease_may_go),
		CASE(whichever_allocation_fails_the_next_client_is_served),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
