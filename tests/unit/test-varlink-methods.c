/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Each method of io.iommud from the client's side: what it replies, and that reply and error are what the interface
 * declares (service-rig.h holds each against its text).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "service-rig.h"
#include "util/cleanup.h"
#include "varlink/methods.h"

#define ALICE 1000
#define BOB 1001
#define RULE(match, user, grant) "[Match]\n" match "\n[Client]\nUser=" user "\n[Grant]\nAction=allow\n" grant "\n"
#define DEVICE(address) "{\"device\":\"" address "\"}"
#define DEVICES(list) "{\"devices\":[\"" list "\"]}"
#define AND "\",\""

static const char policy_text[] = RULE("Address=0000:01:00.0", "1000", "")
	RULE("Address=0000:02:00.0", "1000,1001", "Backend=iommufd\nLabel=green")
		RULE("Address=0000:03:00.*", "1000", "GroupScope=whole\nLabel=red")
			RULE("Address=0000:03:00.*", "1001", "GroupScope=whole\nLabel=blue")
				RULE("Address=0000:03:00.*", "0", "") RULE("Address=0000:00:1c.0", "1000", "")
					RULE("Address=0000:01:00.0", "0",
					     "") "[Match]\nAddress=0000:01:*\n[Client]\nUser=1001\n"
						 "[Grant]\nAction=deny\n";

static struct service_rig rig;
static struct varlink_client alice, bob, root;

static int setup(void **state)
{
	service_rig_start(&rig, policy_text);
	alice = service_rig_connect(&rig, ALICE);
	bob = service_rig_connect(&rig, BOB);
	root = service_rig_connect(&rig, 0);
	return 0;
}

static int teardown(void **state)
{
	varlink_client_close(&alice);
	varlink_client_close(&bob);
	varlink_client_close(&root);
	service_rig_run(&rig);
	assert_true(list_is_empty(broker_leases(rig.rig.broker)));
	service_rig_stop(&rig);
	return 0;
}

static void free_slot(void)
{
	fake_sysfs_set_driver(rig.rig.sysfs, SLOT_NIC, NULL);
	fake_sysfs_set_driver(rig.rig.sysfs, SLOT_NVME, NULL);
	broker_resync(rig.rig.broker);
}

static void set_policy(const char *text)
{
	char refused[512];

	assert_int_equal(broker_set_policy(rig.rig.broker, rig_policy(text), refused, sizeof(refused)), 0);
}

static bool is_null(const struct varlink_reply *reply, const char *key)
{
	json_object *child;

	assert_true(json_object_object_get_ex(reply->parameters, key, &child));
	return !child;
}

/* ---- the table ---- */

static enum json_field_type field_type(const struct idl_type *type)
{
	switch (type->kind) {
	case IDL_STRING:
		return JSON_FIELD_STRING;
	case IDL_INT:
		return JSON_FIELD_U64;
	case IDL_BOOL:
		return JSON_FIELD_BOOL;
	case IDL_LIST:
		assert_int_equal(type->element->kind, IDL_STRING);
		return JSON_FIELD_STRING_LIST;
	case IDL_FLOAT:
	case IDL_ENUM:
	case IDL_STRUCT:
	case IDL_NAMED:
		break;
	}
	fail_msg("no field of the table is of kind %d", type->kind);
	return JSON_FIELD_OBJECT;
}

static void takes_the_parameters_that_are_declared(void **state)
{
	size_t n_declared = 0;

	for (size_t i = 0; i < rig.idl->n_members; i++)
		n_declared += rig.idl->members[i].kind == IDL_METHOD;
	assert_int_equal(iommud_n_methods, n_declared);
	for (size_t i = 0; i < iommud_n_methods; i++) {
		const struct varlink_method *method = &iommud_methods[i];
		const struct idl_member *declared;

		assert_memory_equal(method->name, "io.iommud.", 10);
		declared = idl_find(rig.idl, IDL_METHOD, method->name + 10);
		assert_non_null(declared);
		assert_int_equal(method->n_fields, declared->input.n_fields);
		for (size_t j = 0; j < method->n_fields; j++) {
			const struct idl_field *field = &declared->input.fields[j];

			assert_string_equal(method->fields[j].name, field->name);
			assert_int_equal(method->fields[j].type, field_type(&field->type));
			assert_int_equal(method->fields[j].required, !field->type.nullable);
		}
	}
}

static void describes_itself(void **state)
{
	struct varlink_reply reply;
	struct idl *idl;

	assert_int_equal(varlink_client_call(&bob, "org.varlink.service.GetInterfaceDescription",
					     "{\"interface\":\"io.iommud\"}", NULL, &reply),
			 0);
	assert_null(reply.error);
	idl = idl_parse(varlink_reply_string(&reply, "description"));
	assert_string_equal(idl->name, "io.iommud");
	assert_int_equal(idl->n_members, rig.idl->n_members);
	idl_free(idl);
	varlink_reply_clear(&reply);
}

/* ---- lists ---- */

static json_object *list_all(struct varlink_client *client, const char *method, const char *key)
{
	json_object *list = json_object_new_array();
	struct varlink_reply reply;
	char name[64];
	bool more = true;

	assert_non_null(list);
	snprintf(name, sizeof(name), "io.iommud.%s", method);
	assert_int_equal(varlink_client_send_call(client, name, NULL, "\"more\":true"), 0);
	while (more) {
		assert_int_equal(varlink_client_receive(client, &reply), 0);
		more = reply.continues;
		if (more) {
			const char *wrong = idl_check(rig.idl, IDL_METHOD, method, reply.parameters);

			if (wrong)
				fail_msg("%s", wrong);
			assert_non_null(json_child(reply.parameters, key));
			json_object_array_add(list, json_object_get(json_child(reply.parameters, key)));
		} else {
			/* The last reply ends the list and has nothing in it. */
			assert_null(reply.error);
			assert_int_equal(json_object_object_length(reply.parameters), 0);
		}
		varlink_reply_clear(&reply);
	}
	return list;
}

static void assert_listed(struct varlink_client *client, const char *method, const char *key, const char *name,
			  const char *expected)
{
	json_object *list = list_all(client, method, key);
	char seen[512] = "";

	for (size_t i = 0; i < json_object_array_length(list); i++) {
		json_object *value = json_child(json_object_array_get_idx(list, i), name);
		size_t used = strlen(seen);

		snprintf(seen + used, sizeof(seen) - used, "%s ", json_object_get_string(value));
	}
	json_object_put(list);
	assert_string_equal(seen, expected);
}

static void lists_to_each_what_it_may_have(void **state)
{
	assert_listed(&root, "ListDevices", "device", "address",
		      BRIDGE " " NIC " " EDU " " SLOT_NIC " " SLOT_NVME " " SLOT_EDU " ");
	assert_listed(&bob, "ListDevices", "device", "address", EDU " " SLOT_NIC " " SLOT_NVME " " SLOT_EDU " ");
	assert_listed(&root, "ListGroups", "group", "group", "1 2 3 4 ");
	assert_listed(&bob, "ListGroups", "group", "group", "2 3 ");
	assert_listed(&bob, "ListLeases", "lease", "lease", "");
	set_policy(RULE("Address=*", "7", ""));
	assert_listed(&bob, "ListDevices", "device", "address", "");
}

static struct varlink_reply acquire(struct varlink_client *client, const char *parameters)
{
	return service_call(&rig, client, "Acquire", parameters, NULL);
}

static void says_how_it_is(void **state)
{
	struct varlink_reply reply = service_call(&rig, &bob, "GetStatus", NULL, NULL);
	json_object *module = json_child(reply.parameters, "kernelModule");

	assert_string_equal(json_child_text(module, "use"), "prefer");
	assert_false(json_object_get_boolean(json_child(module, "loaded")));
	assert_null(json_child(module, "abiVersion"));
	assert_int_equal(json_object_array_length(json_child(module, "features")), 0);
	assert_int_equal(json_object_array_length(json_child(reply.parameters, "weaknesses")), 3);
	varlink_reply_clear(&reply);
}

static void lists_leases_to_their_owner_and_to_root(void **state)
{
	struct varlink_reply first = acquire(&alice, DEVICES(NIC)), second = acquire(&bob, DEVICES(EDU));
	json_object *list = list_all(&alice, "ListLeases", "lease");
	json_object *lease = json_object_array_get_idx(list, 0);

	assert_int_equal(json_object_array_length(list), 1);
	assert_int_equal(json_object_get_int64(json_child(lease, "lease")), varlink_reply_int(&first, "lease"));
	assert_int_equal(json_object_get_int64(json_child(lease, "uid")), ALICE);
	assert_string_equal(json_child_text(lease, "state"), "active");
	assert_null(json_child(lease, "label"));
	json_object_put(list);
	list = list_all(&root, "ListLeases", "lease");
	assert_int_equal(json_object_array_length(list), 2);
	assert_string_equal(json_child_text(json_object_array_get_idx(list, 1), "label"), "green");
	json_object_put(list);
	varlink_reply_clear(&first);
	varlink_reply_clear(&second);
}

static void lists_leases_of_clients_that_are_unknown(void **state)
{
	json_object *list, *lease;

	rig.rig.fake.transactions[0] = (struct fake_transaction){ .open = true, .address = NIC, .driver = "e1000e" };
	rig.rig.fake.n_transactions = 1;
	rig.rig.fake.hold = true;
	assert_int_equal(helper_client_connect(rig.rig.helper), 0);
	broker_helper_connected(rig.rig.broker);
	service_rig_run(&rig);
	list = list_all(&root, "ListLeases", "lease");
	assert_int_equal(json_object_array_length(list), 1);
	lease = json_object_array_get_idx(list, 0);
	assert_int_equal(json_object_get_int64(json_child(lease, "uid")), -1);
	assert_null(json_child(lease, "pid"));
	json_object_put(list);
	assert_listed(&alice, "ListLeases", "lease", "lease", "");
	rig.rig.fake.hold = false;
	fake_helper_release(&rig.rig.fake);
	rig_settle(&rig.rig);
}

static void lists_want_more(void **state)
{
	static const char *const methods[] = { "ListDevices", "ListGroups", "ListLeases", "Subscribe" };

	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		struct varlink_reply reply;
		char name[64];

		snprintf(name, sizeof(name), "io.iommud.%s", methods[i]);
		assert_int_equal(varlink_client_call(&root, name, NULL, NULL, &reply), 0);
		assert_non_null(reply.error);
		assert_string_equal(reply.error, "org.varlink.service.ExpectedMore");
		varlink_reply_clear(&reply);
	}
}

/* ---- Describe ---- */

static void describes_every_device_with_its_group(void **state)
{
	static const char *const addresses[] = { NIC, EDU, SLOT_NIC, SLOT_NVME, SLOT_EDU, BRIDGE };

	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		struct varlink_reply reply;
		char parameters[64];

		snprintf(parameters, sizeof(parameters), "{\"device\":\"%s\"}", addresses[i]);
		reply = service_call(&rig, &root, "Describe", parameters, NULL);
		assert_string_equal(json_child_text(json_child(reply.parameters, "device"), "address"), addresses[i]);
		varlink_reply_clear(&reply);
	}
}

static void assert_holder(struct varlink_client *client, int64_t lease, const char *state)
{
	struct varlink_reply reply = service_call(&rig, client, "Describe", DEVICE(EDU), NULL);
	json_object *device = json_child(reply.parameters, "device");

	assert_int_equal(json_child(device, "lease") ? json_object_get_int64(json_child(device, "lease")) : -1, lease);
	if (state)
		assert_string_equal(json_child_text(device, "state"), state);
	else
		assert_null(json_child(device, "state"));
	varlink_reply_clear(&reply);
}

static void tells_who_has_a_device_to_its_owner_and_to_root(void **state)
{
	struct varlink_reply grant;
	int64_t lease;

	assert_holder(&alice, -1, NULL);
	grant = acquire(&alice, DEVICES(EDU));
	lease = varlink_reply_int(&grant, "lease");
	assert_holder(&alice, lease, "active");
	assert_holder(&root, lease, "active");
	assert_holder(&bob, -1, "active");
	varlink_reply_clear(&grant);
}

static void what_may_not_be_seen_is_as_what_is_not_there(void **state)
{
	struct varlink_reply hidden = service_refused(&rig, &bob, "Describe", DEVICE(NIC), "NoSuchDevice");
	struct varlink_reply missing = service_refused(&rig, &bob, "Describe", DEVICE("0000:09:00.0"), "NoSuchDevice");
	char expected[256];

	snprintf(expected, sizeof(expected), "no device %s with an IOMMU group; see 'iommuctl list'", NIC);
	assert_string_equal(varlink_reply_string(&hidden, "message"), expected);
	snprintf(expected, sizeof(expected), "no device 0000:09:00.0 with an IOMMU group; see 'iommuctl list'");
	assert_string_equal(varlink_reply_string(&missing, "message"), expected);
	varlink_reply_clear(&hidden);
	varlink_reply_clear(&missing);
}

/* What a client calls a device goes into its error, into the journal and to subscribers: as what can be shown. */
static void assert_shown(const char *method, const char *parameters, const char *error, const char *key,
			 const char *expected)
{
	struct varlink_reply reply = service_refused(&rig, &root, method, parameters, error);

	assert_string_equal(varlink_reply_string(&reply, key), expected);
	assert_null(strpbrk(varlink_reply_string(&reply, "message"), "\n\r\t\x1b"));
	varlink_reply_clear(&reply);
}

static void names_that_can_not_be_shown_are_made_so(void **state)
{
	static const char long_name[] =
		"x\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
		"\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
		"\xc3\xa4";
	static const char shown[] = "x??????????????????????????????????????"; /* 39, what fits */
	char device[256], devices[256], as[256], backend[256];

	snprintf(device, sizeof(device), "{\"device\":\"%s\"}", long_name);
	snprintf(devices, sizeof(devices), "{\"devices\":[\"%s\"]}", long_name);
	snprintf(as, sizeof(as), "{\"device\":\"%s\",\"as\":\"nobody-of-that-name\"}", long_name);
	snprintf(backend, sizeof(backend), "{\"device\":\"" NIC "\",\"backend\":\"%s\"}", long_name);
	assert_shown("Describe", device, "NoSuchDevice", "device", shown);
	assert_shown("Explain", device, "NoSuchDevice", "device", shown);
	assert_shown("Acquire", devices, "NoSuchDevice", "device", shown);
	assert_shown("Explain", as, "DeniedByPolicy", "device", shown);
	assert_shown("Explain", backend, "BackendUnavailable", "backend", "x??????????????????????????????");
	assert_shown("Acquire", "{\"devices\":[\"a\\nb\\u001b[1m\"]}", "NoSuchDevice", "device", "a?b?[1m");
	assert_null(strpbrk(rig.rig.last_event, "\n\x1b"));
}

/* ---- Explain ---- */

static struct varlink_reply explain(struct varlink_client *client, const char *parameters)
{
	return service_call(&rig, client, "Explain", parameters, NULL);
}

static void explains_what_would_be_granted(void **state)
{
	struct varlink_reply reply = explain(&alice, DEVICE(EDU));

	assert_true(varlink_reply_bool(&reply, "allowed") && varlink_reply_bool(&reply, "viable"));
	assert_string_equal(varlink_reply_string(&reply, "backend"), "iommufd");
	assert_string_equal(varlink_reply_string(&reply, "groupScope"), "singleton");
	assert_string_equal(varlink_reply_string(&reply, "label"), "green");
	assert_non_null(strstr(varlink_reply_string(&reply, "file"), "t.policy"));
	assert_int_equal(varlink_reply_int(&reply, "line"), 8);
	assert_true(is_null(&reply, "token"));
	assert_int_equal(rig.rig.fake.n_requests[HELPER_PREPARE], 0);
	varlink_reply_clear(&reply);
}

static void explains_who_denies(void **state)
{
	struct varlink_reply by_rule = explain(&bob, DEVICE(NIC)), by_none = explain(&root, DEVICE(EDU));

	assert_false(varlink_reply_bool(&by_rule, "allowed"));
	assert_false(is_null(&by_rule, "file") || is_null(&by_rule, "line"));
	assert_true(is_null(&by_rule, "groupScope") && is_null(&by_rule, "backend") && is_null(&by_rule, "label"));
	assert_false(varlink_reply_bool(&by_none, "allowed"));
	assert_true(is_null(&by_none, "file") && is_null(&by_none, "line"));
	varlink_reply_clear(&by_rule);
	varlink_reply_clear(&by_none);
}

static void explains_blockers_and_bystanders(void **state)
{
	struct varlink_reply reply = explain(&alice, DEVICE(SLOT_EDU));

	assert_false(varlink_reply_bool(&reply, "allowed") || varlink_reply_bool(&reply, "viable"));
	assert_int_equal(json_object_array_length(json_child(reply.parameters, "blockers")), 2);
	assert_int_equal(json_object_array_length(json_child(reply.parameters, "bystanders")), 2);
	varlink_reply_clear(&reply);
	free_slot();
	reply = explain(&alice, DEVICE(SLOT_EDU));
	assert_true(varlink_reply_bool(&reply, "allowed"));
	assert_int_equal(json_object_array_length(json_child(reply.parameters, "blockers")), 0);
	assert_int_equal(strlen(varlink_reply_string(&reply, "token")), DIGEST_HEX_SIZE - 1);
	assert_string_equal(varlink_reply_string(&reply, "groupScope"), "whole");
	varlink_reply_clear(&reply);
}

static void explains_what_no_backend_fits(void **state)
{
	struct varlink_reply reply = explain(&alice, "{\"device\":\"" EDU "\",\"backend\":\"legacy\"}");

	assert_false(varlink_reply_bool(&reply, "allowed"));
	assert_true(is_null(&reply, "backend"));
	varlink_reply_clear(&reply);
}

static void only_root_explains_for_others(void **state)
{
	struct varlink_reply reply = explain(&root, "{\"device\":\"" NIC "\",\"as\":\"nobody\"}");

	assert_false(varlink_reply_bool(&reply, "allowed"));
	varlink_reply_clear(&reply);
	reply = explain(&root, "{\"device\":\"" NIC "\",\"as\":\"0:nogroup\"}");
	assert_true(varlink_reply_bool(&reply, "allowed"));
	varlink_reply_clear(&reply);
	reply = service_refused(&rig, &alice, "Explain", "{\"device\":\"" NIC "\",\"as\":\"root\"}", "DeniedByPolicy");
	assert_non_null(strstr(varlink_reply_string(&reply, "message"), "only root"));
	varlink_reply_clear(&reply);
	reply = service_refused(&rig, &root, "Explain", "{\"device\":\"" NIC "\",\"as\":\"no-such-user\"}",
				"DeniedByPolicy");
	assert_non_null(strstr(varlink_reply_string(&reply, "message"), "names no user"));
	varlink_reply_clear(&reply);
}

/* ---- Acquire and Release ---- */

static ino_t inode_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_ino;
}

static void assert_grants(const struct varlink_reply *reply, size_t n)
{
	json_object *devices = json_child(reply->parameters, "devices");

	assert_int_equal(json_object_array_length(devices), n);
	assert_int_equal(reply->n_fds, n + 1);
	assert_int_equal(varlink_reply_int(reply, "iommuFileDescriptor"), 0);
	for (size_t i = 0; i < n; i++) {
		json_object *device = json_object_array_get_idx(devices, i);

		assert_int_equal(json_object_get_int64(json_child(device, "deviceFileDescriptor")), i + 1);
		assert_true(inode_of(reply->fds[i + 1]) > 0);
	}
}

static void hands_out_one_device(void **state)
{
	struct varlink_reply reply = acquire(&alice, DEVICES(EDU));

	assert_grants(&reply, 1);
	assert_string_equal(varlink_reply_string(&reply, "backend"), "iommufd");
	assert_string_equal(varlink_reply_string(&reply, "label"), "green");
	assert_true(is_null(&reply, "containerFileDescriptor"));
	varlink_reply_clear(&reply);
	reply = acquire(&alice, "{\"devices\":[\"" NIC "\"],\"backend\":\"iommufd\",\"consent\":null}");
	assert_grants(&reply, 1);
	assert_true(is_null(&reply, "label"));
	varlink_reply_clear(&reply);
}

static void hands_out_a_group_with_consent(void **state)
{
	struct varlink_reply refused, reply;
	char parameters[256];

	free_slot();
	refused = service_refused(&rig, &alice, "Acquire", DEVICES(SLOT_EDU), "ConsentRequired");
	assert_int_equal(json_object_array_length(json_child(refused.parameters, "bystanders")), 2);
	snprintf(parameters, sizeof(parameters), "{\"devices\":[\"" SLOT_EDU "\"],\"consent\":\"%s\"}",
		 varlink_reply_string(&refused, "token"));
	reply = acquire(&alice, parameters);
	assert_grants(&reply, 1);
	varlink_reply_clear(&refused);
	varlink_reply_clear(&reply);
	reply = service_refused(&rig, &bob, "Acquire", DEVICES(SLOT_NIC), "LabelMismatch");
	assert_string_equal(varlink_reply_string(&reply, "label"), "red");
	assert_string_equal(varlink_reply_string(&reply, "otherLabel"), "blue");
	varlink_reply_clear(&reply);
}

static void hands_out_all_members(void **state)
{
	struct varlink_reply reply = acquire(&alice, DEVICES(SLOT_NIC AND SLOT_NVME AND SLOT_EDU));

	assert_grants(&reply, 3);
	varlink_reply_clear(&reply);
}

static void refused(struct varlink_client *client, const char *parameters, const char *error, const char *said)
{
	struct varlink_reply reply = service_refused(&rig, client, "Acquire", parameters, error);

	if (!strstr(varlink_reply_string(&reply, "message"), said))
		fail_msg("'%s' is not in: %s", said, varlink_reply_string(&reply, "message"));
	assert_int_equal(reply.n_fds, 0);
	varlink_reply_clear(&reply);
}

static void refuses_by_named_errors(void **state)
{
	struct varlink_reply mine;

	refused(&alice, DEVICES("0000:09:00.0"), "NoSuchDevice", "0000:09:00.0");
	refused(&bob, DEVICES(NIC), "DeniedByPolicy", "t.policy");
	refused(&root, DEVICES(EDU), "DeniedByPolicy", "no rule");
	refused(&alice, DEVICES(BRIDGE), "DeniedByPolicy", "bridge");
	refused(&alice, DEVICES(SLOT_EDU), "GroupNotViable", "group 3");
	refused(&root, DEVICES(SLOT_EDU), "GroupNotSingleton", "GroupScope=whole");
	refused(&alice, DEVICES(NIC AND EDU), "LabelMismatch", "green");
	refused(&alice, "{\"devices\":[\"" NIC "\"],\"backend\":\"gpu\"}", "BackendUnavailable", "gpu");
	refused(&alice, "{\"devices\":[\"" NIC "\"],\"backend\":\"legacy\"}", "BackendUnavailable", "this kernel");
	refused(&alice, "{\"devices\":[\"" EDU "\"],\"backend\":\"legacy\"}", "BackendUnavailable", "does not admit");
	mine = acquire(&alice, DEVICES(EDU));
	refused(&bob, DEVICES(EDU), "DeviceBusy", "another user");
	refused(&alice, DEVICES(EDU), "DeviceBusy", "uid 1000");
	varlink_reply_clear(&mine);
}

static void refuses_more_leases_than_are_admitted(void **state)
{
	struct varlink_reply first = acquire(&alice, DEVICES(EDU)), second = acquire(&alice, DEVICES(NIC));
	struct varlink_reply reply =
		service_refused(&rig, &alice, "Acquire", DEVICES(SLOT_NIC AND SLOT_NVME AND SLOT_EDU), "QuotaExceeded");

	assert_string_equal(varlink_reply_string(&reply, "quota"), "leases");
	assert_int_equal(varlink_reply_int(&reply, "limit"), 2);
	varlink_reply_clear(&first);
	varlink_reply_clear(&second);
	varlink_reply_clear(&reply);
}

static void tells_which_step_failed(void **state)
{
	struct varlink_reply reply;

	snprintf(rig.rig.fake.fail_address, sizeof(rig.rig.fake.fail_address), NIC);
	rig.rig.fake.fail_status = HELPER_FAULT;
	reply = service_refused(&rig, &alice, "Acquire", DEVICES(NIC), "PrepareFailed");
	assert_string_equal(varlink_reply_string(&reply, "device"), NIC);
	assert_true(varlink_reply_int(&reply, "errno") > 0);
	varlink_reply_clear(&reply);
	rig.rig.fake.fail_status = HELPER_TIMED_OUT;
	refused(&alice, DEVICES(NIC), "TimedOut", NIC);
	rig.rig.fake.fail_status = HELPER_BUSY;
	refused(&alice, DEVICES(NIC), "DeviceBusy", "try again");
	rig.rig.fake.fail_status = HELPER_REFUSED;
	refused(&alice, DEVICES(NIC), "DeniedByPolicy", "iommud-helper");
	rig.rig.fake.fail_address[0] = '\0';
	rig_open_result = -ENODEV;
	reply = service_refused(&rig, &alice, "Acquire", DEVICES(NIC), "PrepareFailed");
	assert_string_equal(varlink_reply_string(&reply, "step"), "open");
	assert_int_equal(varlink_reply_int(&reply, "errno"), ENODEV);
	varlink_reply_clear(&reply);
	rig_open_result = -EOPNOTSUPP;
	refused(&alice, DEVICES(NIC), "BackendUnavailable", "the test says no");
}

static void tells_what_took_too_long(void **state)
{
	struct varlink_reply reply;
	const char *wrong;

	rig.rig.fake.hold = true;
	assert_int_equal(varlink_client_send_call(&alice, "io.iommud.Acquire", DEVICES(NIC), NULL), 0);
	service_rig_run(&rig);
	broker_expire(rig.rig.broker, UINT64_MAX - 1);
	assert_int_equal(varlink_client_receive(&alice, &reply), 0);
	assert_non_null(reply.error);
	assert_string_equal(reply.error, "io.iommud.TimedOut");
	wrong = idl_check(rig.idl, IDL_ERROR, "TimedOut", reply.parameters);
	if (wrong)
		fail_msg("%s", wrong);
	varlink_reply_clear(&reply);
	rig.rig.fake.hold = false;
	fake_helper_release(&rig.rig.fake);
	rig_settle(&rig.rig);
}

static void a_client_that_goes_while_it_waits_is_forgotten(void **state)
{
	rig.rig.fake.hold = true;
	assert_int_equal(varlink_client_send_call(&alice, "io.iommud.Acquire", DEVICES(NIC), NULL), 0);
	service_rig_run(&rig);
	varlink_client_close(&alice);
	service_rig_run(&rig);
	rig.rig.fake.hold = false;
	fake_helper_release(&rig.rig.fake);
	service_rig_run(&rig);
	assert_string_equal(rig_driver(&rig.rig, NIC), "e1000e");
	assert_int_equal(fake_helper_n_open(&rig.rig.fake), 0);
}

static void nobody_acquires_without_hearing_the_answer(void **state)
{
	assert_int_equal(varlink_client_send_call(&alice, "io.iommud.Acquire", DEVICES(NIC), "\"oneway\":true"), 0);
	assert_int_equal(varlink_client_await_close(&alice), 0);
	assert_int_equal(rig.rig.fake.n_requests[HELPER_PREPARE], 0);
}

static void releases_what_is_the_clients(void **state)
{
	struct varlink_reply grant = acquire(&alice, DEVICES(NIC)), reply;
	long long lease = varlink_reply_int(&grant, "lease");
	char parameters[64];

	snprintf(parameters, sizeof(parameters), "{\"lease\":%lld}", lease);
	reply = service_refused(&rig, &bob, "Release", parameters, "NoSuchLease");
	assert_int_equal(varlink_reply_int(&reply, "lease"), lease);
	varlink_reply_clear(&reply);
	varlink_reply_clear(&grant);
	reply = service_call(&rig, &alice, "Release", parameters, NULL);
	varlink_reply_clear(&reply);
	assert_string_equal(rig_driver(&rig.rig, NIC), "e1000e");
	reply = service_refused(&rig, &alice, "Release", parameters, "NoSuchLease");
	varlink_reply_clear(&reply);
}

static void root_releases_what_is_anybodys(void **state)
{
	struct varlink_reply grant = acquire(&alice, DEVICES(NIC)), reply;
	char parameters[64];

	snprintf(parameters, sizeof(parameters), "{\"lease\":%lld}", varlink_reply_int(&grant, "lease"));
	varlink_reply_clear(&grant);
	reply = service_call(&rig, &root, "Release", parameters, NULL);
	varlink_reply_clear(&reply);
	assert_string_equal(rig_driver(&rig.rig, NIC), "e1000e");
}

static void parameters_that_do_not_fit_are_named(void **state)
{
	static const struct {
		const char *method, *parameters, *parameter;
	} cases[] = {
		{ "Describe", "{}", "device" },
		{ "Describe", "{\"device\":1}", "device" },
		{ "Describe", "{\"device\":null}", "device" },
		{ "Explain", "{\"device\":\"a\",\"has\":\"b\"}", "has" },
		{ "Explain", "{\"device\":\"a\",\"as\":0}", "as" },
		{ "Acquire", "{\"devices\":\"a\"}", "devices" },
		{ "Acquire", "{\"devices\":[1]}", "devices" },
		{ "Acquire", "{\"devices\":[\"a\"],\"consent\":true}", "consent" },
		{ "Acquire", "{}", "devices" },
		{ "Acquire", "{\"devices\":[]}", "devices" },
		{ "Acquire", "{\"devices\":[\"a\"],\"pool\":\"p\"}", "pool" },
		{ "Acquire", "{\"devices\":[\"a\"],\"count\":1}", "count" },
		{ "Acquire", "{\"pool\":\"p\",\"count\":0}", "count" },
		{ "Acquire", "{\"pool\":\"p\",\"count\":17}", "count" },
		{ "Acquire", "{\"devices\":[\"a\"],\"numaNode\":0}", "numaNode" },
		{ "Acquire", "{\"pool\":\"p\",\"numaNode\":-1}", "numaNode" },
		{ "Acquire", "{\"pool\":\"p\",\"numaNode\":2147483648}", "numaNode" },
		{ "Acquire", "{\"devices\":[\"a\"],\"waitSec\":3601}", "waitSec" },
		{ "Release", "{\"lease\":-1}", "lease" },
		{ "Release", "{\"lease\":\"1\"}", "lease" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct varlink_reply reply;
		char name[64];

		snprintf(name, sizeof(name), "io.iommud.%s", cases[i].method);
		assert_int_equal(varlink_client_call(&root, name, cases[i].parameters, NULL, &reply), 0);
		assert_non_null(reply.error);
		assert_string_equal(reply.error, "org.varlink.service.InvalidParameter");
		assert_string_equal(varlink_reply_string(&reply, "parameter"), cases[i].parameter);
		varlink_reply_clear(&reply);
	}
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(takes_the_parameters_that_are_declared),
		CASE(describes_itself),
		CASE(lists_to_each_what_it_may_have),
		CASE(says_how_it_is),
		CASE(lists_leases_to_their_owner_and_to_root),
		CASE(lists_leases_of_clients_that_are_unknown),
		CASE(lists_want_more),
		CASE(describes_every_device_with_its_group),
		CASE(tells_who_has_a_device_to_its_owner_and_to_root),
		CASE(what_may_not_be_seen_is_as_what_is_not_there),
		CASE(names_that_can_not_be_shown_are_made_so),
		CASE(explains_what_would_be_granted),
		CASE(explains_who_denies),
		CASE(explains_blockers_and_bystanders),
		CASE(explains_what_no_backend_fits),
		CASE(only_root_explains_for_others),
		CASE(hands_out_one_device),
		CASE(hands_out_a_group_with_consent),
		CASE(hands_out_all_members),
		CASE(refuses_by_named_errors),
		CASE(refuses_more_leases_than_are_admitted),
		CASE(tells_which_step_failed),
		CASE(tells_what_took_too_long),
		CASE(a_client_that_goes_while_it_waits_is_forgotten),
		CASE(nobody_acquires_without_hearing_the_answer),
		CASE(releases_what_is_the_clients),
		CASE(root_releases_what_is_anybodys),
		CASE(parameters_that_do_not_fit_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
