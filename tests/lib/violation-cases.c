/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "violation-cases.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static struct said all[16];

static struct said *find(const char *name)
{
	size_t i = 0;

	while (all[i].name && strcmp(all[i].name, name) != 0)
		i++;
	assert_true(i < sizeof(all) / sizeof(all[0]) - 1);
	all[i].name = name;
	return &all[i];
}

static void hear(void *userdata, const struct broker_event *event)
{
	struct said *said = find(event->name);

	said->n++;
	said->lease = event->lease;
	said->group = event->group;
	said->uid = event->uid;
	snprintf(said->device, sizeof(said->device), "%s", event->device ? event->device : "");
	snprintf(said->driver, sizeof(said->driver), "%s", event->driver ? event->driver : "");
	snprintf(said->message, sizeof(said->message), "%s", event->message);
}

struct said said_of(const char *name)
{
	return *find(name);
}

struct peer *bob_with(struct rig *rig, const char *rules, const char *devices)
{
	struct peer *bob = bob_who_parks(rig, rules);

	free_slot(rig);
	rig_acquire(rig, bob, devices, NULL, NULL);
	if (rig->outcome.refusal == REFUSAL_CONSENT_REQUIRED)
		rig_acquire(rig, bob, devices, NULL, rig->outcome.token);
	assert_int_equal(rig->outcome.refusal, REFUSAL_NONE);
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_ACTIVE);
	memset(all, 0, sizeof(all));
	rig->on_event = hear;
	return bob;
}

struct lease *lease_of_slot(struct rig *rig)
{
	struct lease *lease = broker_group_holder(rig->broker, 3);

	assert_non_null(lease);
	return lease;
}

void driver_comes(struct rig *rig, const char *address, const char *driver)
{
	fake_sysfs_set_driver(rig->sysfs, address, driver);
	broker_device_changed(rig->broker, address);
	rig_settle(rig);
}

void device_joins(struct rig *rig, const char *address, const char *driver)
{
	fake_sysfs_add_device(rig->sysfs, &(struct fake_device){ .address = address,
								 .vendor = 0x8086,
								 .device = 0x10d3,
								 .class = 0x020000,
								 .group = 3,
								 .driver = driver });
	broker_device_changed(rig->broker, address);
	rig_settle(rig);
}

void device_leaves(struct rig *rig, const char *address)
{
	fake_sysfs_remove_device(rig->sysfs, address);
	broker_device_changed(rig->broker, address);
	rig_settle(rig);
}

void ends_without_a_trace(struct rig *rig, struct peer *peer)
{
	peer_free(peer);
	rig_settle(rig);
	assert_int_equal(fake_helper_n_open(&rig->fake), 0);
	assert_true(list_is_empty(broker_leases(rig->broker)));
}
