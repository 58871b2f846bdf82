/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What cases about leased groups begin with (tests/unit/test-broker-violation.c, -late.c): bob has the third of the slot on
 * the machine of broker-rig.h, by a rule of the test's own; the other two have no driver. And what was said of it.
 */
#ifndef IOMMUD_TESTS_VIOLATION_CASES_H
#define IOMMUD_TESTS_VIOLATION_CASES_H

#include "broker-cases.h"

#define SLOT_LATE "0000:03:00.3" /* joins the slot's group */

/* bob's rule for all of the slot, with these lines of [Grant]. */
#define SLOT_RULE(grant) RULE("Address=0000:03:00.*", "1001", "GroupScope=whole\n" grant)

/* What was last said under one name. */
struct said {
	const char *name; /* for said_of() */
	unsigned int n;
	char device[DEVICE_ADDRESS_MAX];
	char driver[DEVICE_DRIVER_MAX];
	char message[512];
	int64_t lease;
	int64_t group;
	int64_t uid;
};

/* bob, who was granted `devices` by these rules. Events are remembered from then on. */
struct peer *bob_with(struct rig *rig, const char *rules, const char *devices);
/* The lease that bob_with() got. */
struct lease *lease_of_slot(struct rig *rig);
/* n is 0 for what was not said. */
struct said said_of(const char *name);
/* What udev would tell: the driver (NULL: none) changed. Then all is settled. */
void driver_comes(struct rig *rig, const char *address, const char *driver);
/* A device joins the slot's group, on this driver. Then all is settled. */
void device_joins(struct rig *rig, const char *address, const char *driver);
/* A device is removed. Then all is settled. */
void device_leaves(struct rig *rig, const char *address);
/* Everybody is gone, nothing is open, and no lease is left. */
void ends_without_a_trace(struct rig *rig, struct peer *peer);

#endif
