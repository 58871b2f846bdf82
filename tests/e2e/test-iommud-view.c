/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the real daemon shows to whom: lists, events, explanations, itself; and that calls of one client are answered one
 * by one, in their order.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "iommud-harness.h"
#include "util/cleanup.h"
#include "util/fileio.h"

/* ---- lists ---- */

/* What a list has at `path` of each element, each followed by a blank (free()). */
static char *list(struct varlink_client *client, const char *method, const char *path)
{
	struct varlink_reply reply;
	char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);
	bool continues;

	assert_non_null(stream);
	assert_int_equal(varlink_client_send_call(client, method, NULL, "\"more\":true"), 0);
	do {
		assert_int_equal(varlink_client_receive(client, &reply), 0);
		if (reply.error)
			fail_msg("%s: %s", method, reply.error);
		continues = reply.continues;
		if (continues)
			fprintf(stream, "%s ", machine_text(&reply, path));
		else
			assert_int_equal(json_object_object_length(reply.parameters), 0);
		varlink_reply_clear(&reply);
	} while (continues);
	assert_int_equal(fclose(stream), 0);
	return text;
}

static void assert_list(struct varlink_client *client, const char *method, const char *path, const char *expected)
{
	_cleanup_free_ char *text = list(client, method, path);

	assert_string_equal(text, expected);
}

static void lists_show_a_user_what_a_rule_allows_and_root_everything(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice, bob, stranger, root;

	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	bob = machine_connect(machine, BOB);
	stranger = machine_connect(machine, 1002);
	root = machine_connect(machine, 0);
	assert_list(&alice, "io.iommud.ListDevices", "device.address",
		    NIC " " DISK " " BARE " " IDLE " " TWIN_A " " TWIN_B " " CROWD_A " ");
	assert_list(&alice, "io.iommud.ListGroups", "group.group", "1 2 3 5 6 7 ");
	assert_list(&bob, "io.iommud.ListDevices", "device.address",
		    NIC " " DISK " " BARE " " SPARE " " IDLE " " TWIN_A " " TWIN_B " ");
	assert_list(&stranger, "io.iommud.ListDevices", "device.address", "");
	assert_list(&stranger, "io.iommud.ListGroups", "group.group", "");
	assert_list(&root, "io.iommud.ListDevices", "device.address",
		    NIC " " DISK " " BARE " " SPARE " " IDLE " " TWIN_A " " TWIN_B " " CROWD_A " " CROWD_B " " FORBIDDEN
			" " UNKNOWN " ");
	assert_list(&root, "io.iommud.ListGroups", "group.viable",
		    "false false true false true false false false false ");
	machine_expect_refusal(&alice, "Describe", OF(SPARE), "NoSuchDevice", NULL);
	machine_expect_refusal(&stranger, "Describe", OF(NIC), "NoSuchDevice", NULL);
	varlink_client_close(&alice);
	varlink_client_close(&bob);
	varlink_client_close(&stranger);
	varlink_client_close(&root);
}

static void leases_are_shown_to_their_user_and_to_root(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice, again, bob, root;
	struct varlink_reply reply;

	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	again = machine_connect(machine, ALICE);
	bob = machine_connect(machine, BOB);
	root = machine_connect(machine, 0);
	machine_take(&alice, ONE(NIC));
	machine_take(&bob, ONE(SPARE));
	assert_list(&again, "io.iommud.ListLeases", "lease.devices.0", NIC " ");
	assert_list(&bob, "io.iommud.ListLeases", "lease.devices.0", SPARE " ");
	assert_list(&root, "io.iommud.ListLeases", "lease.uid", "1000 1001 ");
	assert_list(&root, "io.iommud.ListLeases", "lease.state", "active active ");
	/* That the device is out is no secret, whose lease it is in is. */
	reply = machine_call(&bob, "Describe", OF(NIC));
	assert_string_equal(machine_text(&reply, "device.state"), "active");
	assert_null(machine_get(&reply, "device.lease"));
	varlink_reply_clear(&reply);
	varlink_client_close(&alice);
	varlink_client_close(&again);
	varlink_client_close(&bob);
	varlink_client_close(&root);
}

static void what_streams_wants_more(void **state)
{
	static const char *const methods[] = { "ListDevices", "ListGroups", "ListLeases", "Subscribe" };
	struct machine *machine = *state;
	struct varlink_client alice;

	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		machine_expect_refusal(&alice, methods[i], NULL, "org.varlink.service.ExpectedMore", NULL);
	varlink_client_close(&alice);
}

/* ---- events ---- */

static struct varlink_client subscribe(struct machine *machine, uid_t uid)
{
	struct varlink_client client = machine_connect(machine, uid);
	struct varlink_reply reply;

	assert_int_equal(varlink_client_call(&client, "io.iommud.Subscribe", NULL, "\"more\":true", &reply), 0);
	assert_true(reply.continues);
	assert_string_equal(machine_text(&reply, "event"), "subscribed");
	varlink_reply_clear(&reply);
	return client;
}

static void assert_next_event(struct varlink_client *client, const char *event, const char *device)
{
	struct varlink_reply reply;

	assert_int_equal(varlink_client_receive(client, &reply), 0);
	assert_true(reply.continues);
	assert_string_equal(machine_text(&reply, "event"), event);
	assert_string_equal(machine_text(&reply, "device"), device);
	varlink_reply_clear(&reply);
}

/* What Bob does with a device of his alone is between what Alice does, and she sees none of it. */
static void subscribers_see_their_own_and_root_all(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice, bob, root, watch;

	machine_start(machine);
	watch = subscribe(machine, ALICE);
	root = subscribe(machine, 0);
	alice = machine_connect(machine, ALICE);
	bob = machine_connect(machine, BOB);
	machine_take(&bob, ONE(SPARE));
	machine_expect_refusal(&bob, "Acquire", ONE(UNKNOWN), "DeniedByPolicy", NULL);
	machine_expect_refusal(&alice, "Acquire", ONE(UNKNOWN), "DeniedByPolicy", NULL);
	machine_take(&alice, ONE(BARE));
	assert_next_event(&watch, "leaseDenied", UNKNOWN);
	assert_next_event(&watch, "driverBound", BARE);
	assert_next_event(&watch, "leaseGranted", BARE);
	assert_next_event(&root, "driverBound", SPARE);
	assert_next_event(&root, "verdictChanged", SPARE);
	assert_next_event(&root, "leaseGranted", SPARE);
	assert_next_event(&root, "leaseDenied", UNKNOWN);
	assert_next_event(&root, "leaseDenied", UNKNOWN);
	assert_next_event(&root, "driverBound", BARE);
	assert_next_event(&root, "leaseGranted", BARE);
	varlink_client_close(&watch);
	varlink_client_close(&root);
	varlink_client_close(&alice);
	varlink_client_close(&bob);
}

/* ---- explanations ---- */

/* Of users that the user database knows, for it says which groups they are in: daemon and bin are everywhere. */
static void explains_to_root_what_others_would_get(void **state)
{
	static const char rules[] =
		"[Match]\nAddress=" NIC "\n[Client]\nUser=daemon\n[Grant]\nAction=allow\n"
		"[Match]\nAddress=" DISK "\n[Client]\nGroup=bin\n[Grant]\nAction=allow\n"
		"[Match]\nAddress=" CROWD_A "\n[Client]\nUser=daemon\n[Grant]\nAction=allow\nGroupScope=whole\n";
	static const char *const questions[][2] = {
		{ "{\"device\":\"" NIC "\",\"as\":\"daemon\"}", "true" },
		{ "{\"device\":\"" NIC "\",\"as\":\"1\"}", "true" },
		{ "{\"device\":\"" NIC "\",\"as\":\"bin\"}", "false" },
		{ "{\"device\":\"" DISK "\",\"as\":\"bin\"}", "true" },
		{ "{\"device\":\"" DISK "\",\"as\":\"daemon\"}", "false" },
		{ "{\"device\":\"" DISK "\",\"as\":\"daemon:bin\"}", "true" },
		{ "{\"device\":\"" CROWD_A "\",\"as\":\"daemon\"}", "false" },
	};
	struct machine *machine = *state;
	struct varlink_client root;
	struct varlink_reply reply;

	machine->rules = rules;
	machine_start(machine);
	root = machine_connect(machine, 0);
	for (size_t i = 0; i < ARRAY_SIZE(questions); i++) {
		reply = machine_call(&root, "Explain", questions[i][0]);
		if (strcmp(machine_text(&reply, "allowed"), questions[i][1]) != 0)
			fail_msg("%s: %s", questions[i][0], json_object_to_json_string(reply.message));
		varlink_reply_clear(&reply);
	}
	reply = machine_call(&root, "Explain", questions[0][0]);
	assert_string_equal(machine_text(&reply, "line"), "1");
	assert_string_equal(machine_text(&reply, "backend"), "iommufd");
	assert_string_equal(machine_text(&reply, "plan.0"), NIC " is unbound from e1000e");
	varlink_reply_clear(&reply);
	reply = machine_call(&root, "Explain", questions[ARRAY_SIZE(questions) - 1][0]);
	assert_string_equal(machine_text(&reply, "line"), "13");
	assert_string_equal(machine_text(&reply, "viable"), "false");
	assert_string_equal(machine_text(&reply, "blockers.0.device"), CROWD_B);
	varlink_reply_clear(&reply);
	machine_expect_refusal(&root, "Explain", "{\"device\":\"" NIC "\",\"as\":\"no-such-user\"}", "DeniedByPolicy",
			       "names no user");
	assert_int_equal(fuse_sysfs_writes(machine->sysfs), 0);
	varlink_client_close(&root);
}

static void explains_to_a_user_only_what_is_theirs(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice;
	struct varlink_reply reply;

	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	machine_expect_refusal(&alice, "Explain", "{\"device\":\"" NIC "\",\"as\":\"1001\"}", "DeniedByPolicy",
			       "only root");
	machine_expect_refusal(&alice, "Explain", "{\"device\":\"" NIC "\",\"as\":\"1000\"}", "DeniedByPolicy",
			       "only root");
	reply = machine_call(&alice, "Explain", OF(NIC));
	assert_string_equal(machine_text(&reply, "allowed"), "true");
	varlink_reply_clear(&reply);
	varlink_client_close(&alice);
}

/* ---- the service itself ---- */

static void describes_itself_by_the_very_text_of_the_idl_file(void **state)
{
	struct machine *machine = *state;
	_cleanup_free_ char *idl = NULL;
	struct varlink_client alice;
	struct varlink_reply reply;
	size_t size;

	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	reply = machine_call(&alice, "org.varlink.service.GetInfo", NULL);
	assert_string_equal(machine_text(&reply, "product"), "iommud");
	assert_string_equal(machine_text(&reply, "version"), IOMMUD_VERSION);
	assert_string_equal(machine_text(&reply, "interfaces.0"), "org.varlink.service");
	assert_string_equal(machine_text(&reply, "interfaces.1"), "io.iommud");
	varlink_reply_clear(&reply);
	reply = machine_call(&alice, "org.varlink.service.GetInterfaceDescription", "{\"interface\":\"io.iommud\"}");
	assert_int_equal(read_whole_file_at(AT_FDCWD, "src/varlink/io.iommud.varlink", 1 << 20, &idl, &size), 0);
	assert_int_equal(strlen(machine_text(&reply, "description")), size);
	assert_memory_equal(machine_text(&reply, "description"), idl, size);
	varlink_reply_clear(&reply);
	machine_expect_refusal(&alice, "org.varlink.service.GetInterfaceDescription", "{\"interface\":\"io.other\"}",
			       "org.varlink.service.InterfaceNotFound", NULL);
	varlink_client_close(&alice);
}

/* ---- order ---- */

/* All in one write; the third needs the first two, and the second waits for a driver. */
static void pipelined_calls_are_answered_in_their_order(void **state)
{
	static const char calls[] = "{\"method\":\"io.iommud.Describe\",\"parameters\":" OF(
		NIC) "}\0"
		     "{\"method\":\"io.iommud.Acquire\",\"parameters\":" ONE(
			     NIC) "}\0"
				  "{\"method\":\"io.iommud.Release\",\"parameters\":{\"lease\":1}}\0"
				  "{\"method\":\"io.iommud.Release\",\"parameters\":{\"lease\":1}}\0"
				  "{\"method\":\"org.varlink.service.GetInfo\"}";
	static const char *const members[] = { "device.driver", "lease", "", "message", "product" };
	static const char *const values[] = { "e1000e", "1", "",
					      "no lease 1 is yours to release; see 'iommuctl status'", "iommud" };
	struct machine *machine = *state;
	struct varlink_client alice;
	struct varlink_reply reply;

	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	assert_int_equal(varlink_client_send(&alice, calls, sizeof(calls), NULL, 0), 0);
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		assert_int_equal(varlink_client_receive(&alice, &reply), 0);
		assert_string_equal(machine_text(&reply, members[i]), values[i]);
		varlink_reply_clear(&reply);
	}
	varlink_client_close(&alice);
}

static void a_oneway_release_is_done_and_not_answered(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice;
	struct varlink_reply reply;

	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	assert_int_equal(machine_take(&alice, ONE(NIC)), 1);
	assert_int_equal(varlink_client_send_call(&alice, "io.iommud.Release", "{\"lease\":1}", "\"oneway\":true"), 0);
	assert_int_equal(varlink_client_send_call(&alice, "io.iommud.Release", "{\"lease\":99}", "\"oneway\":true"), 0);
	reply = machine_call(&alice, "org.varlink.service.GetInfo", NULL);
	assert_string_equal(machine_text(&reply, "product"), "iommud");
	varlink_reply_clear(&reply);
	machine_expect_event(machine, "leaseReleased");
	machine_assert_tree(machine, NIC " driver=e1000e override=\n");
	varlink_client_close(&alice);
}

/* Its descriptors could not be handed over. */
static void a_oneway_acquire_ends_the_connection(void **state)
{
	struct machine *machine = *state;
	struct varlink_client alice;

	machine_start(machine);
	alice = machine_connect(machine, ALICE);
	machine_take(&alice, ONE(DISK));
	assert_int_equal(varlink_client_send_call(&alice, "io.iommud.Acquire", ONE(NIC), "\"oneway\":true"), 0);
	assert_int_equal(varlink_client_await_close(&alice), 0);
	machine_expect_event(machine, "leaseReleased");
	machine_assert_tree(machine, NIC " driver=e1000e override=\n" DISK " driver=nvme override=\n");
	varlink_client_close(&alice);
}

static int set_up(void **state)
{
	static struct machine machine;

	machine = (struct machine){ 0 };
	*state = &machine;
	return 0;
}

static int tear_down(void **state)
{
	machine_stop(*state);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lists_show_a_user_what_a_rule_allows_and_root_everything),
		TEST(leases_are_shown_to_their_user_and_to_root),
		TEST(what_streams_wants_more),
		TEST(subscribers_see_their_own_and_root_all),
		TEST(explains_to_root_what_others_would_get),
		TEST(explains_to_a_user_only_what_is_theirs),
		TEST(describes_itself_by_the_very_text_of_the_idl_file),
		TEST(pipelined_calls_are_answered_in_their_order),
		TEST(a_oneway_release_is_done_and_not_answered),
		TEST(a_oneway_acquire_ends_the_connection),
	};

	return cmocka_run_group_tests_name("iommud-view", tests, NULL, NULL);
}
