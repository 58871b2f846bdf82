/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Strict: a line of which one key is unknown, missing or out of range says nothing. What is read was written by us, but a
 * newer or an older one of us, or somebody's hand.
 */
#include "broker/ledger-record.h"

#include <stdlib.h>
#include <string.h>

#define FIELD(name, kind, member, required)                                        \
	{                                                                          \
		name, JSON_FIELD_##kind, offsetof(struct RECORD, member), required \
	}

#define RECORD ledger_begin
static const struct json_field begin_fields[] = {
	FIELD("type", STRING, type, true),
	FIELD("version", U32, version, true),
	FIELD("lastLease", U64, last_lease, true),
};
#undef RECORD

#define RECORD ledger_end
static const struct json_field end_fields[] = {
	FIELD("type", STRING, type, true),
	FIELD("lease", U64, lease, true),
};
#undef RECORD

#define RECORD ledger_past
static const struct json_field past_fields[] = {
	FIELD("type", STRING, type, true),
	FIELD("address", STRING, address, true),
	FIELD("vendor", U32, vendor, true),
	FIELD("device", U32, device, true),
	FIELD("subsystemVendor", U32, subsystem_vendor, true),
	FIELD("subsystemDevice", U32, subsystem_device, true),
	FIELD("class", U32, class, true),
	FIELD("node", U64, node, true),
	FIELD("uid", U32, uid, false),
	FIELD("quarantined", BOOL, quarantined, false),
};
#undef RECORD

#define RECORD ledger_device
static const struct json_field device_fields[] = {
	FIELD("type", STRING, type, true),
	FIELD("lease", U64, lease, true),
	FIELD("address", STRING, address, true),
	FIELD("bus", STRING, bus, true),
	FIELD("vendor", U32, vendor, true),
	FIELD("device", U32, device, true),
	FIELD("subsystemVendor", U32, subsystem_vendor, true),
	FIELD("subsystemDevice", U32, subsystem_device, true),
	FIELD("class", U32, class, true),
	FIELD("node", U64, node, true),
	FIELD("group", U32, group, true),
	FIELD("transaction", U64, transaction, true),
	FIELD("driver", STRING, driver, false),
	FIELD("serial", STRING, serial, false),
	FIELD("rule", STRING, rule, false),
	FIELD("physicalFunction", STRING, physical_function, false),
	FIELD("vfToken", STRING, vf_token, false),
	FIELD("mdev", BOOL, mdev, false),
	FIELD("parked", BOOL, parked, false),
	FIELD("parkedFor", U32, parked_for, false),
	FIELD("late", BOOL, late, false),
	FIELD("joined", BOOL, joined, false),
	FIELD("singleton", BOOL, singleton, false),
	FIELD("onViolation", U32, on_violation, true),
	FIELD("lateJoiner", U32, late_joiner, true),
	FIELD("onReleaseTimeout", U32, on_release_timeout, true),
	FIELD("releaseTimeoutSec", U32, release_timeout_sec, true),
	FIELD("reset", U32, reset, true),
	FIELD("isolation", U32, isolation, true),
	FIELD("maxLeases", U32, max_leases, true),
	FIELD("maxDevices", U32, max_devices, true),
	FIELD("memlock", U32, memlock, true),
	FIELD("memlockBytes", U64, memlock_bytes, false),
	FIELD("rlimitMode", U32, rlimit_mode, true),
	FIELD("maxLeaseSec", U32, max_lease_sec, true),
	FIELD("maxWaitSec", U32, max_wait_sec, true),
};
#undef RECORD

#define RECORD ledger_lease
static const struct json_field lease_fields[] = {
	FIELD("type", STRING, type, true),
	FIELD("lease", U64, lease, true),
	FIELD("connection", U64, connection, true),
	FIELD("uid", U32, uid, true),
	FIELD("pid", U32, pid, true),
	FIELD("backend", STRING, backend, true),
	FIELD("devices", U32, devices, true),
	FIELD("parked", U32, parked, true),
	FIELD("deadlineUsec", U64, deadline_usec, false),
	FIELD("unit", STRING, unit, false),
	FIELD("label", STRING, label, false),
	FIELD("allowedDrivers", STRING_LIST, allowed_drivers, false),
};
#undef RECORD

static const struct {
	const char *name;
	const struct json_field *fields;
	size_t n_fields;
} types[] = {
	[LEDGER_BEGIN] = { "begin", begin_fields, ARRAY_SIZE(begin_fields) },
	[LEDGER_DEVICE] = { "device", device_fields, ARRAY_SIZE(device_fields) },
	[LEDGER_LEASE] = { "lease", lease_fields, ARRAY_SIZE(lease_fields) },
	[LEDGER_END] = { "end", end_fields, ARRAY_SIZE(end_fields) },
	[LEDGER_PAST] = { "past", past_fields, ARRAY_SIZE(past_fields) },
};

/* ---- from us ---- */

static void add(struct ledger_lines *lines, enum ledger_type type, const void *record)
{
	json_object *object = json_encode(types[type].fields, types[type].n_fields, record);
	size_t size = 0;
	const char *text = object ? json_object_to_json_string_length(
					    object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &size)
				  : NULL;

	ledger_lines_add(lines, text, size);
	json_object_put(object);
}

void ledger_add_begin(struct ledger_lines *lines, uint64_t last_lease)
{
	const struct ledger_begin record = { .type = "begin", .version = LEDGER_VERSION, .last_lease = last_lease };

	add(lines, LEDGER_BEGIN, &record);
}

void ledger_add_end(struct ledger_lines *lines, uint64_t lease)
{
	const struct ledger_end record = { .type = "end", .lease = lease };

	add(lines, LEDGER_END, &record);
}

void ledger_add_past(struct ledger_lines *lines, const struct past_device *past, uint64_t node)
{
	const struct ledger_past record = {
		.type = "past",
		.address = past->id.address,
		.vendor = past->id.vendor,
		.device = past->id.device,
		.subsystem_vendor = past->id.subsystem_vendor,
		.subsystem_device = past->id.subsystem_device,
		.class = past->id.class,
		.node = node,
		.uid = past->had ? past->uid : UINT32_MAX,
		.quarantined = past->quarantined,
	};

	add(lines, LEDGER_PAST, &record);
}

static const char *text_or_null(const char *text)
{
	return text && text[0] ? text : NULL;
}

static void add_device(struct ledger_lines *lines, const struct lease_device *device)
{
	const struct policy_conduct *conduct = &device->conduct;
	const struct policy_limits *limits = &device->limits;
	const struct ledger_device record = {
		.type = "device",
		.lease = device->lease->id,
		.address = device->id.address,
		.bus = device->bus,
		.vendor = device->id.vendor,
		.device = device->id.device,
		.subsystem_vendor = device->id.subsystem_vendor,
		.subsystem_device = device->id.subsystem_device,
		.class = device->id.class,
		.node = device->node,
		.group = device->group,
		.transaction = device->transaction,
		.driver = text_or_null(device->driver),
		.serial = text_or_null(device->serial),
		.rule = text_or_null(device->rule),
		.physical_function = text_or_null(device->physical_function),
		.vf_token = text_or_null(device->vf_token),
		.mdev = device->mdev,
		.parked = device->parked,
		.parked_for = device->parked ? device->parked_for : UINT32_MAX,
		.late = device->late.since,
		.joined = device->late.joined,
		.singleton = device->singleton,
		.on_violation = conduct->on_violation,
		.late_joiner = conduct->late_joiner,
		.on_release_timeout = conduct->on_release_timeout,
		.release_timeout_sec = conduct->release_timeout_sec,
		.reset = conduct->reset,
		.isolation = conduct->isolation,
		.max_leases = limits->max_leases,
		.max_devices = limits->max_devices,
		.memlock = limits->memlock,
		.memlock_bytes = limits->memlock_bytes,
		.rlimit_mode = limits->rlimit_mode,
		.max_lease_sec = limits->max_lease_sec,
		.max_wait_sec = limits->max_wait_sec,
	};

	add(lines, LEDGER_DEVICE, &record);
}

/* A parked device that the helper was asked for, and has not answered yet, is found in its journal, if need be. */
static bool is_settled(const struct lease_device *device)
{
	return !device->lost && (!device->parked || device->transaction);
}

void ledger_add_lease(struct ledger_lines *lines, const struct lease *lease)
{
	struct ledger_lease record = {
		.type = "lease",
		.lease = lease->id,
		.connection = lease->connection,
		.uid = lease->uid,
		.pid = (uint32_t)lease->pid,
		.backend = lease->opener->name,
		.deadline_usec = lease->deadline_usec,
		.unit = lease->unit,
		.label = lease->label,
	};

	for (size_t i = 0; i < lease_n_all(lease); i++) {
		if (!is_settled(lease->devices[i]))
			continue;
		add_device(lines, lease->devices[i]);
		record.devices += !lease->devices[i]->parked;
		record.parked += lease->devices[i]->parked;
	}
	for (char **driver = lease->allowed_drivers; driver && *driver; driver++)
		if (record.allowed_drivers.n < JSON_LIST_MAX)
			record.allowed_drivers.items[record.allowed_drivers.n++] = *driver;
	add(lines, LEDGER_LEASE, &record);
}

/* ---- to us ---- */

static bool type_of(json_object *object, enum ledger_type *ret)
{
	json_object *value = NULL;
	const char *name;

	if (!json_object_object_get_ex(object, "type", &value) || !json_object_is_type(value, json_type_string))
		return false;
	name = json_object_get_string(value);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (strcmp(types[i].name, name) == 0) {
			*ret = i;
			return true;
		}
	return false;
}

static bool fits(const char *text, size_t size)
{
	return !text || strlen(text) < size;
}

static bool id_is_possible(uint32_t vendor, uint32_t device, uint32_t subsystem_vendor, uint32_t subsystem_device,
			   uint32_t class)
{
	return vendor <= UINT16_MAX && device <= UINT16_MAX && subsystem_vendor <= UINT16_MAX &&
	       subsystem_device <= UINT16_MAX && class <= 0xffffff;
}

static bool device_is_possible(const struct ledger_device *record)
{
	return device_address_is_valid(record->address) && fits(record->bus, DEVICE_BUS_MAX) &&
	       fits(record->driver, DEVICE_DRIVER_MAX) && fits(record->serial, DEVICE_SERIAL_MAX) &&
	       fits(record->physical_function, DEVICE_ADDRESS_MAX) && fits(record->vf_token, VF_TOKEN_SIZE) &&
	       fits(record->rule, LEASE_RULE_MAX) &&
	       id_is_possible(record->vendor, record->device, record->subsystem_vendor, record->subsystem_device,
			      record->class) &&
	       record->on_violation <= POLICY_VIOLATION_LOG && record->late_joiner <= POLICY_LATE_VIOLATE &&
	       record->on_release_timeout <= POLICY_RELEASE_KILL && record->reset <= POLICY_RESET_NO &&
	       record->isolation <= POLICY_ISOLATION_SHARED && record->memlock <= POLICY_MEMLOCK_AUTO &&
	       record->rlimit_mode <= POLICY_RLIMIT_MM && (record->parked || record->parked_for == UINT32_MAX);
}

static bool is_possible(const struct ledger_record *record)
{
	switch (record->type) {
	case LEDGER_BEGIN:
		return record->begin.version == LEDGER_VERSION;
	case LEDGER_DEVICE:
		return device_is_possible(&record->device);
	case LEDGER_LEASE:
		return record->lease.lease > 0 && record->lease.devices > 0 &&
		       record->lease.devices <= OPENER_DEVICES_MAX;
	case LEDGER_END:
		return true;
	case LEDGER_PAST:
		return device_address_is_valid(record->past.address) &&
		       id_is_possible(record->past.vendor, record->past.device, record->past.subsystem_vendor,
				      record->past.subsystem_device, record->past.class);
	}
	return false;
}

bool ledger_decode(const char *line, struct ledger_record *ret)
{
	const char *why;

	if (json_parse_object(line, strlen(line), &ret->object, &why) < 0)
		return false;
	/* All members of the union are at its beginning. */
	if (type_of(ret->object, &ret->type) &&
	    json_decode(ret->object, types[ret->type].fields, types[ret->type].n_fields, &ret->begin, &why) == 0 &&
	    is_possible(ret))
		return true;
	json_object_put(ret->object);
	return false;
}

static void copy(char *target, size_t size, const char *text)
{
	strncpy(target, text ? text : "", size - 1);
	target[size - 1] = '\0';
}

/* NULL stays NULL. False when memory is out. */
static bool duplicate(char **target, const char *text)
{
	*target = text ? strdup(text) : NULL;
	return *target || !text;
}

void ledger_fill_id(struct device_id *id, const char *address, const uint32_t numbers[5])
{
	*id = (struct device_id){ .vendor = numbers[0],
				  .device = numbers[1],
				  .subsystem_vendor = numbers[2],
				  .subsystem_device = numbers[3],
				  .class = numbers[4] };
	copy(id->address, sizeof(id->address), address);
}

bool ledger_fill_device(const struct ledger_device *record, struct lease_device *device)
{
	const uint32_t numbers[5] = { record->vendor, record->device, record->subsystem_vendor,
				      record->subsystem_device, record->class };

	ledger_fill_id(&device->id, record->address, numbers);
	copy(device->bus, sizeof(device->bus), record->bus);
	copy(device->driver, sizeof(device->driver), record->driver);
	copy(device->serial, sizeof(device->serial), record->serial);
	copy(device->physical_function, sizeof(device->physical_function), record->physical_function);
	copy(device->vf_token, sizeof(device->vf_token), record->vf_token);
	device->node = record->node;
	device->group = record->group;
	device->transaction = record->transaction;
	device->mdev = record->mdev;
	device->parked_for = record->parked && record->parked_for != UINT32_MAX ? record->parked_for : 0;
	device->late.since = record->late;
	device->late.joined = record->joined;
	device->singleton = record->singleton;
	device->conduct = (struct policy_conduct){ .on_violation = record->on_violation,
						   .late_joiner = record->late_joiner,
						   .on_release_timeout = record->on_release_timeout,
						   .release_timeout_sec = record->release_timeout_sec,
						   .reset = record->reset,
						   .isolation = record->isolation };
	device->limits = (struct policy_limits){ .max_leases = record->max_leases,
						 .max_devices = record->max_devices,
						 .memlock = record->memlock,
						 .memlock_bytes = record->memlock_bytes,
						 .rlimit_mode = record->rlimit_mode,
						 .max_lease_sec = record->max_lease_sec,
						 .max_wait_sec = record->max_wait_sec };
	return duplicate(&device->rule, record->rule);
}

static bool fill_allowed_drivers(const struct json_string_list *list, struct lease *lease)
{
	if (list->n == 0)
		return true;
	lease->allowed_drivers = calloc(list->n + 1, sizeof(*lease->allowed_drivers));
	for (size_t i = 0; lease->allowed_drivers && i < list->n; i++)
		if (!duplicate(&lease->allowed_drivers[i], list->items[i]))
			return false;
	return lease->allowed_drivers;
}

bool ledger_fill_lease(const struct ledger_lease *record, struct lease *lease)
{
	lease->id = record->lease;
	lease->connection = record->connection;
	lease->uid = record->uid;
	lease->pid = (pid_t)record->pid;
	lease->deadline_usec = record->deadline_usec;
	return duplicate(&lease->unit, record->unit) && duplicate(&lease->label, record->label) &&
	       fill_allowed_drivers(&record->allowed_drivers, lease);
}
