/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the ledger's lines say, and how a lease becomes them and comes out of them again. */
#ifndef IOMMUD_BROKER_LEDGER_RECORD_H
#define IOMMUD_BROKER_LEDGER_RECORD_H

#include "broker/internal.h"
#include "broker/ledger-file.h"
#include "util/json.h"

#define LEDGER_VERSION 1

enum ledger_type {
	LEDGER_BEGIN, /* the first line: of what version the others are */
	LEDGER_DEVICE, /* of the lease that follows */
	LEDGER_LEASE, /* it was granted, or has changed: all of it, with the devices before it */
	LEDGER_END, /* a lease is on its way back, or over */
	LEDGER_PAST, /* what is remembered of a device beyond its leases */
};

struct ledger_begin {
	const char *type;
	uint32_t version;
	uint64_t last_lease; /* no later one has this number, or a lower one */
};

struct ledger_end {
	const char *type;
	uint64_t lease;
};

struct ledger_past {
	const char *type, *address;
	uint32_t vendor, device, subsystem_vendor, subsystem_device, class;
	uint64_t node;
	uint32_t uid; /* absent: it is not known who had it */
	bool quarantined;
};

struct ledger_device {
	const char *type, *address, *driver, *serial, *bus, *rule, *physical_function, *vf_token;
	uint64_t lease, transaction, node, memlock_bytes;
	uint32_t vendor, device, subsystem_vendor, subsystem_device, class, group;
	bool mdev, parked, late, joined, singleton;
	uint32_t parked_for;
	uint32_t on_violation, late_joiner, on_release_timeout, release_timeout_sec, reset, isolation;
	uint32_t max_leases, max_devices, memlock, rlimit_mode, max_lease_sec, max_wait_sec;
};

struct ledger_lease {
	const char *type, *unit, *label, *backend;
	struct json_string_list allowed_drivers;
	uint64_t lease, connection, deadline_usec;
	uint32_t uid, pid, devices, parked;
};

/* Each adds lines; memory that is out shows when they are written. */
void ledger_add_begin(struct ledger_lines *lines, uint64_t last_lease);
void ledger_add_lease(struct ledger_lines *lines, const struct lease *lease);
void ledger_add_end(struct ledger_lines *lines, uint64_t lease);
void ledger_add_past(struct ledger_lines *lines, const struct past_device *past, uint64_t node);

/* One line. Texts are borrowed from `object`, which is the caller's. */
struct ledger_record {
	json_object *object;
	enum ledger_type type;
	union {
		struct ledger_begin begin;
		struct ledger_device device;
		struct ledger_lease lease;
		struct ledger_end end;
		struct ledger_past past;
	};
};

/* False: the line is no record, or says what can't be. */
bool ledger_decode(const char *line, struct ledger_record *ret);

/* Into a device of a new lease. False when memory is out. */
bool ledger_fill_device(const struct ledger_device *record, struct lease_device *device);
void ledger_fill_id(struct device_id *id, const char *address, const uint32_t numbers[5]);
/* A lease that has its devices yet: all else. False when memory is out. */
bool ledger_fill_lease(const struct ledger_lease *record, struct lease *lease);

#endif
