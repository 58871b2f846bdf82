/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The broker's structures as JSON: every member that may be null both ways, and every word of an enum, held against the
 * interface. What a client sees of it is in test-varlink-methods.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "broker-rig.h"
#include "open-fds.h"
#include "service-rig.h"
#include "topology/names.h"
#include "varlink/convert.h"
#include "varlink/methods.h"
#include "varlink/server.h"

static struct rig rig;
static struct idl *idl;
static struct device_names *names, *no_names;
static struct peer *root;
static char ids_path[] = "/tmp/iommud-test-ids-XXXXXX";

static const char ids_text[] = "8086  Intel Corporation\n\t10d3  82574L Gigabit Network Connection\n"
			       "C 02  Network controller\n\t00  Ethernet controller\n";

static int setup_all(void **state)
{
	int fd = mkstemp(ids_path);

	if (fd < 0 || write(fd, ids_text, strlen(ids_text)) < 0)
		return -1;
	close(fd);
	idl = idl_parse(iommud_interface.description);
	return device_names_new(ids_path, &names) < 0 || device_names_new("/nonexistent", &no_names) < 0;
}

static int teardown_all(void **state)
{
	unlink(ids_path);
	idl_free(idl);
	device_names_free(names);
	device_names_free(no_names);
	return 0;
}

static int setup(void **state)
{
	rig_start(&rig,
		  "[Match]\nAddress=*\n[Client]\nUser=1000\n[Grant]\nAction=allow\nGroupScope=whole\nLabel=red\n");
	root = peer_new(rig.broker, &rig.root, 2);
	return root ? 0 : -1;
}

static int teardown(void **state)
{
	peer_free(root);
	rig_stop(&rig);
	return 0;
}

/* Takes `value` over unless it is right; returns it. */
static json_object *checked(enum idl_member_kind kind, const char *name, json_object *value)
{
	const char *wrong;

	assert_non_null(value);
	wrong = idl_check(idl, kind, name, value);
	if (wrong)
		fail_msg("%s in %s", wrong, json_object_to_json_string(value));
	return value;
}

static bool is_null(json_object *object, const char *key)
{
	json_object *value;

	assert_true(json_object_object_get_ex(object, key, &value));
	return !value;
}

static void assert_text(json_object *object, const char *key, const char *expected)
{
	assert_non_null(json_child_text(object, key));
	assert_string_equal(json_child_text(object, key), expected);
}

static int64_t number(json_object *object, const char *key)
{
	assert_true(json_object_is_type(json_child(object, key), json_type_int));
	return json_object_get_int64(json_child(object, key));
}

/* ---- devices ---- */

static json_object *convert(const struct device *device, struct device_names *with)
{
	return checked(IDL_TYPE, "Device", convert_device(rig.broker, with, root, device));
}

static void a_device_that_has_everything(void **state)
{
	struct device device = *registry_find_device(rig.registry, NIC);
	json_object *json;

	device.id = (struct device_id){ NIC, 0x8086, 0x10d3, 0x00ff, 0x1, 0x020000 };
	device.numa_node = 1;
	strcpy(device.path, "pci-0000:01:00.0");
	strcpy(device.serial, "S1");
	strcpy(device.physical_function, EDU);
	device.reset_methods = (RESET_CXL_BUS << 1) - 1;
	device.boot_display = DISPLAY_DRIVER;
	json = convert(&device, names);
	assert_text(json, "address", NIC);
	assert_text(json, "bus", "pci");
	assert_text(json, "driver", "e1000e");
	assert_text(json, "vendorId", "0x8086");
	assert_text(json, "deviceId", "0x10d3");
	assert_text(json, "subsystemVendorId", "0x00ff");
	assert_text(json, "subsystemDeviceId", "0x0001");
	assert_text(json, "class", "0x020000");
	assert_text(json, "vendorName", "Intel Corporation");
	assert_text(json, "deviceName", "82574L Gigabit Network Connection");
	assert_text(json, "className", "Ethernet controller");
	assert_text(json, "physicalFunction", EDU);
	assert_int_equal(number(json, "numaNode"), 1);
	assert_text(json, "path", "pci-0000:01:00.0");
	assert_text(json, "serialNumber", "S1");
	assert_int_equal(number(json, "group"), 1);
	assert_int_equal(json_object_array_length(json_child(json, "resetMethods")), 7);
	assert_true(json_object_get_boolean(json_child(json, "bootDisplay")));
	assert_text(json, "resetScope", "function");
	assert_string_equal(json_object_get_string(json_object_array_get_idx(json_child(json, "resetSet"), 0)), NIC);
	json_object_put(json);
}

static void a_device_that_has_nothing(void **state)
{
	struct device device = *registry_find_device(rig.registry, EDU);
	json_object *json;

	device.numa_node = -1;
	device.reset_methods = 0;
	json = convert(&device, no_names);
	assert_true(is_null(json, "driver") && is_null(json, "vendorName") && is_null(json, "deviceName"));
	assert_true(is_null(json, "path") && is_null(json, "serialNumber"));
	assert_true(is_null(json, "className") && is_null(json, "numaNode") && is_null(json, "physicalFunction"));
	assert_true(is_null(json, "lease") && is_null(json, "state") && is_null(json, "parent"));
	assert_int_equal(json_object_array_length(json_child(json, "virtualFunctions")), 0);
	assert_int_equal(json_object_array_length(json_child(json, "resetMethods")), 0);
	assert_true(is_null(json, "resetScope"));
	assert_int_equal(json_object_array_length(json_child(json, "resetSet")), 0);
	assert_false(json_object_get_boolean(json_child(json, "quarantined")));
	json_object_put(json);
}

/* That a lease joins it with a sibling is in test-broker-isolation. */
static void an_mdev_names_its_parent(void **state)
{
	static const char mdev[] = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001";
	json_object *json;

	fake_sysfs_add_device(
		rig.sysfs,
		&(struct fake_device){
			.address = mdev, .bus = "mdev", .parent = "virtual/mtty/mtty", .group = 9, .driver = "mtty" });
	broker_resync(rig.broker);
	json = convert(registry_find_device(rig.registry, mdev), names);
	assert_text(json, "parent", "mtty");
	assert_int_equal(json_object_array_length(json_child(json, "joinedWith")), 0);
	json_object_put(json);
}

static void a_device_lists_its_virtual_functions(void **state)
{
	json_object *json, *list;

	fake_sysfs_add_device(
		rig.sysfs,
		&(struct fake_device){
			.address = "0000:01:10.0", .vendor = 0x8086, .device = 0x10ed, .group = 9, .physfn = NIC });
	broker_resync(rig.broker);
	json = convert(registry_find_device(rig.registry, NIC), names);
	list = json_child(json, "virtualFunctions");
	assert_int_equal(json_object_array_length(list), 1);
	assert_string_equal(json_object_get_string(json_object_array_get_idx(list, 0)), "0000:01:10.0");
	json_object_put(json);
	json = convert(registry_find_device(rig.registry, "0000:01:10.0"), names);
	assert_text(json, "physicalFunction", NIC);
	json_object_put(json);
}

static void a_device_lists_what_a_reset_would_reset_along(void **state)
{
	static const char *const addresses[] = { "0000:07:00.0", "0000:07:00.1" };
	json_object *json, *list;

	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++)
		fake_sysfs_add_device(rig.sysfs, &(struct fake_device){ .address = addresses[i],
									.parent = "pci0000:00/0000:00:1d.0",
									.vendor = 0x8086,
									.device = 0x10ed,
									.group = 7 });
	broker_resync(rig.broker);
	json = convert(registry_find_device(rig.registry, addresses[1]), names);
	assert_text(json, "resetScope", "bus");
	list = json_child(json, "resetSet");
	assert_int_equal(json_object_array_length(list), ARRAY_SIZE(addresses));
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++)
		assert_string_equal(json_object_get_string(json_object_array_get_idx(list, i)), addresses[i]);
	json_object_put(json);
}

/* ---- groups ---- */

static void a_group_with_and_without_everything(void **state)
{
	struct reserved_region regions[] = { { 0, 0xffff, "direct" }, { 0xfee00000, UINT64_MAX, "msi" } };
	const struct device *nic = registry_find_device(rig.registry, SLOT_NIC);
	struct group group = { .id = 77, .generation = 5 };
	json_object *json, *list;

	list_init(&group.devices);
	json = checked(IDL_TYPE, "Group", convert_group(rig.broker, &group));
	assert_true(is_null(json, "label"));
	assert_int_equal(number(json, "generation"), 5);
	json_object_put(json);
	nic->group->regions = realloc(nic->group->regions, sizeof(regions));
	assert_non_null(nic->group->regions);
	memcpy(nic->group->regions, regions, sizeof(regions));
	nic->group->n_regions = 2;
	json = checked(IDL_TYPE, "Group", convert_group(rig.broker, nic->group));
	list = json_child(json, "reservedRegions");
	assert_text(json_object_array_get_idx(list, 1), "start", "0x00000000fee00000");
	assert_text(json_object_array_get_idx(list, 1), "end", "0xffffffffffffffff");
	assert_false(json_object_get_boolean(json_child(json, "viable")));
	assert_true(json_object_array_length(json_child(json, "blockers")) >= 2);
	assert_int_equal(json_object_array_length(json_child(json, "devices")), 3);
	json_object_put(json);
}

static void a_group_shows_the_label_of_its_lease(void **state)
{
	struct peer *alice = peer_new(rig.broker, &rig.alice, 2);
	json_object *json;

	rig_acquire(&rig, alice, NIC, NULL, NULL);
	assert_int_equal(rig.outcome.refusal, REFUSAL_NONE);
	json = checked(IDL_TYPE, "Group", convert_group(rig.broker, registry_find_device(rig.registry, NIC)->group));
	assert_text(json, "label", "red");
	json_object_put(json);
	json = convert(registry_find_device(rig.registry, NIC), names);
	assert_int_equal(number(json, "lease"), rig.outcome.lease);
	assert_text(json, "state", "active");
	json_object_put(json);
	peer_free(alice);
	rig_settle(&rig);
}

static void blockers_of_every_kind(void **state)
{
	const struct idl_type *kind = &idl_find(idl, IDL_TYPE, "Blocker")->type.fields[0].type;

	assert_int_equal(kind->n_fields, BLOCKER_KINDS);
	for (int i = 0; i < BLOCKER_KINDS; i++)
		assert_string_equal(blocker_kind_name(i), kind->fields[i].name);
}

/* ---- leases ---- */

static struct lease *make_lease(size_t n)
{
	struct lease *lease = lease_new(rig.broker, n, 0);

	assert_non_null(lease);
	lease->id = 3;
	lease->uid = 1000;
	lease->pid = 17;
	lease->opener = &opener_iommufd;
	for (size_t i = 0; i < n; i++) {
		snprintf(lease->devices[i]->id.address, sizeof(lease->devices[i]->id.address), "0000:0%zu:00.0", i);
		lease->devices[i]->group = i / 2;
	}
	return lease;
}

static void a_lease_in_every_state(void **state)
{
	const struct idl_type *states = &idl_find(idl, IDL_TYPE, "LeaseState")->type;
	struct lease *lease = make_lease(1);

	assert_int_equal(states->n_fields, LEASE_STATES);
	for (int i = 0; i < LEASE_STATES; i++) {
		json_object *json;

		lease->state = i;
		json = checked(IDL_TYPE, "Lease", convert_lease(lease, root));
		assert_text(json, "state", states->fields[i].name);
		json_object_put(json);
	}
	lease_free(lease);
}

static void a_lease_with_and_without_everything(void **state)
{
	struct lease *lease = make_lease(4);
	json_object *json;

	lease->label = strdup("red");
	lease->holders = (struct lease_holders){ .n = 2, .texts = { "pid 7 (qemu)", "maybe pid 8 (x)" } };
	json = checked(IDL_TYPE, "Lease", convert_lease(lease, root));
	assert_text(json, "label", "red");
	assert_text(json, "backend", "iommufd");
	assert_int_equal(number(json, "pid"), 17);
	assert_int_equal(json_object_array_length(json_child(json, "holders")), 2);
	assert_string_equal(json_object_get_string(json_object_array_get_idx(json_child(json, "holders"), 1)),
			    "maybe pid 8 (x)");
	assert_int_equal(json_object_array_length(json_child(json, "devices")), 4);
	assert_int_equal(json_object_array_length(json_child(json, "groups")), 2);
	json_object_put(json);
	lease_free(lease);
	lease = make_lease(0);
	lease->uid = (uid_t)-1;
	lease->opener = NULL;
	json = checked(IDL_TYPE, "Lease", convert_lease(lease, root));
	assert_true(is_null(json, "label") && is_null(json, "pid"));
	assert_int_equal(number(json, "uid"), -1);
	json_object_put(json);
	lease_free(lease);
}

/* ---- what is handed out ---- */

static int open_null(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void fill(struct opened *opened, size_t n, bool legacy)
{
	opened_init(opened);
	*(legacy ? &opened->container_fd : &opened->iommu_fd) = open_null();
	opened->n_devices = n;
	for (size_t i = 0; i < n; i++) {
		opened->device_fd[i] = open_null();
		if (legacy)
			opened->group_fd[i] = open_null();
	}
}

/* The index that the reply gives is that of the descriptor that was opened for it. */
static void assert_index(json_object *object, const char *key, int fd, const int *fds, size_t n_fds, bool *used)
{
	int64_t index = number(object, key);

	assert_true(index >= 0 && index < (int64_t)n_fds);
	assert_int_equal(fds[index], fd);
	assert_false(used[index]);
	used[index] = true;
}

static void assert_granted(size_t n, bool legacy)
{
	struct lease *lease = make_lease(n);
	bool used[VARLINK_FDS_MAX] = { false };
	struct opened opened, before;
	int fds[VARLINK_FDS_MAX];
	size_t n_fds = 0;
	json_object *json;

	lease->opener = legacy ? &opener_legacy : &opener_iommufd;
	fill(&opened, n, legacy);
	before = opened;
	for (size_t i = 1; i < n; i += 2)
		strcpy(lease->devices[i]->vf_token, "f81d4fae-7dec-41d0-a765-00a0c91e6bf6");
	json = checked(IDL_METHOD, "Acquire", convert_grant(lease, &opened, fds, &n_fds));
	assert_int_equal(n_fds, legacy ? 2 * n + 1 : n + 1);
	assert_true(is_null(json, legacy ? "iommuFileDescriptor" : "containerFileDescriptor"));
	assert_index(json, legacy ? "containerFileDescriptor" : "iommuFileDescriptor",
		     legacy ? before.container_fd : before.iommu_fd, fds, n_fds, used);
	for (size_t i = 0; i < n; i++) {
		json_object *device = json_object_array_get_idx(json_child(json, "devices"), i);

		assert_text(device, "address", lease->devices[i]->id.address);
		if (i % 2)
			assert_text(device, "vfToken", "f81d4fae-7dec-41d0-a765-00a0c91e6bf6");
		else
			assert_true(is_null(device, "vfToken"));
		assert_index(device, "deviceFileDescriptor", before.device_fd[i], fds, n_fds, used);
		if (legacy)
			assert_index(device, "groupFileDescriptor", before.group_fd[i], fds, n_fds, used);
		else
			assert_true(is_null(device, "groupFileDescriptor"));
	}
	/* All of it is the message's now: nothing would be closed twice. */
	opened_clear(&opened);
	for (size_t i = 0; i < n_fds; i++)
		assert_int_equal(close(fds[i]), 0);
	json_object_put(json);
	lease_free(lease);
}

static void descriptors_are_at_their_indexes(void **state)
{
	size_t before = count_open_fds();

	for (size_t n = 1; n <= OPENER_DEVICES_MAX; n++) {
		assert_granted(n, false);
		assert_granted(n, true);
	}
	assert_int_equal(count_open_fds(), before);
}

/* ---- explanations and events ---- */

static void explanations_with_and_without_everything(void **state)
{
	struct policy_miss missed[] = { { "f", 1, POLICY_DENY, "User", "bob", "1000" } };
	struct reset_member self = { .address = "0000:01:00.0" };
	struct explanation explanation = { .group = 3 };
	json_object *json, *rule;

	explanation.refusal.kind = REFUSAL_DENIED;
	strcpy(explanation.refusal.message, "no rule");
	json = checked(IDL_METHOD, "Explain", convert_explanation(&explanation, false));
	assert_false(json_object_get_boolean(json_child(json, "allowed")));
	assert_text(json, "decision", "no rule");
	assert_true(is_null(json, "file") && is_null(json, "line") && is_null(json, "groupScope"));
	assert_true(is_null(json, "backend") && is_null(json, "label") && is_null(json, "token"));
	json_object_put(json);
	explanation = (struct explanation){
		.decision = { .action = POLICY_ALLOW,
			      .file = "f",
			      .line = 4,
			      .scope = POLICY_WHOLE,
			      .label_kind = POLICY_LABEL_PEER,
			      .label = "context",
			      .reason = "because" },
		.token = "t",
		.opener = &opener_legacy,
		.plan = { "one", "two" },
		.n_plan = 2,
		.guarantees = { "first", "second", "third" },
		.n_guarantees = 3,
	};
	explanation.passed = missed;
	explanation.n_passed = 1;
	explanation.n_passed_in_all = 3;
	explanation.reset = (struct reset_set){ RESET_SCOPE_FUNCTION, &self, 1 };
	json = checked(IDL_METHOD, "Explain", convert_explanation(&explanation, true));
	assert_int_equal(number(json, "morePassedRules"), 2);
	assert_text(json, "resetScope", "function");
	assert_int_equal(json_object_array_length(json_child(json, "resetSet")), 1);
	rule = json_object_array_get_idx(json_child(json, "passedRules"), 0);
	assert_text(rule, "action", "deny");
	assert_text(rule, "key", "User");
	assert_text(rule, "wanted", "bob");
	assert_text(rule, "found", "1000");
	assert_true(json_object_get_boolean(json_child(json, "allowed")));
	assert_text(json, "decision", "because");
	assert_int_equal(number(json, "line"), 4);
	assert_text(json, "groupScope", "whole");
	assert_text(json, "backend", "legacy");
	assert_text(json, "label", "context");
	assert_text(json, "token", "t");
	assert_int_equal(json_object_array_length(json_child(json, "plan")), 2);
	assert_int_equal(json_object_array_length(json_child(json, "guarantees")), 3);
	json_object_put(json);
	/* What rules say of others is for root. */
	json = checked(IDL_METHOD, "Explain", convert_explanation(&explanation, false));
	rule = json_object_array_get_idx(json_child(json, "passedRules"), 0);
	assert_true(is_null(rule, "wanted"));
	assert_text(rule, "found", "1000");
	json_object_put(json);
}

static void events_with_and_without_everything(void **state)
{
	struct broker_event event = { .name = "n", .group = -1, .lease = -1, .uid = -1, .viable = -1, .message = "m" };
	json_object *json = checked(IDL_METHOD, "Subscribe", convert_event(&event));

	assert_true(is_null(json, "device") && is_null(json, "group") && is_null(json, "lease"));
	assert_true(is_null(json, "uid") && is_null(json, "driver") && is_null(json, "label"));
	assert_true(is_null(json, "viable"));
	json_object_put(json);
	for (int viable = 0; viable < 2; viable++) {
		event = (struct broker_event){ 9, "n", "d", 0, 0, 0, "driver", "label", viable, "m" };
		json = checked(IDL_METHOD, "Subscribe", convert_event(&event));
		assert_int_equal(number(json, "sequence"), 9);
		assert_int_equal(number(json, "group"), 0);
		assert_int_equal(number(json, "uid"), 0);
		assert_false(is_null(json, "viable"));
		assert_int_equal(json_object_get_boolean(json_child(json, "viable")), viable);
		json_object_put(json);
	}
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(a_device_that_has_everything),
		CASE(a_device_that_has_nothing),
		CASE(a_device_lists_its_virtual_functions),
		CASE(an_mdev_names_its_parent),
		CASE(a_device_lists_what_a_reset_would_reset_along),
		CASE(a_group_with_and_without_everything),
		CASE(a_group_shows_the_label_of_its_lease),
		CASE(blockers_of_every_kind),
		CASE(a_lease_in_every_state),
		CASE(a_lease_with_and_without_everything),
		CASE(descriptors_are_at_their_indexes),
		CASE(explanations_with_and_without_everything),
		CASE(events_with_and_without_everything),
	};

	return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
