/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a file of expectations tells of a device, or of a client. Values are parsed as those of rules are, so that they are
 * spelled alike. Owns nothing.
 */
#include "policy/expect-device.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/keys.h"
#include "policy/report.h"

static int take_text(char *target, size_t size, const struct item *item)
{
	if (item->kind != ITEM_EXACT && item->kind != ITEM_ABSENT)
		return -EINVAL;
	snprintf(target, size, "%s", item->kind == ITEM_EXACT ? item->text : "");
	return 0;
}

static int take_hex(uint16_t *target, const struct item *item)
{
	if (item->kind != ITEM_EXACT)
		return -EINVAL;
	*target = (uint16_t)strtoul(item->text, NULL, 16);
	return 0;
}

static int take_vendor(struct expected_device *device, const struct item *item)
{
	return take_hex(&device->id.vendor, item);
}

static int take_device(struct expected_device *device, const struct item *item)
{
	return take_hex(&device->id.device, item);
}

/* Of a class two or four digits may be given; the others are then 0. */
static int take_class(struct expected_device *device, const struct item *item)
{
	if (item->kind != ITEM_PREFIX)
		return -EINVAL;
	device->id.class = (uint32_t)strtoul(item->text, NULL, 16) << (4 * (6 - item->number));
	return 0;
}

static int take_address(struct expected_device *device, const struct item *item)
{
	return take_text(device->id.address, sizeof(device->id.address), item);
}

static int take_driver(struct expected_device *device, const struct item *item)
{
	return take_text(device->driver, sizeof(device->driver), item);
}

static int take_physical_function(struct expected_device *device, const struct item *item)
{
	return take_text(device->physical_function, sizeof(device->physical_function), item);
}

static int take_subsystem(struct expected_device *device, const struct item *item)
{
	if (item->kind != ITEM_EXACT)
		return -EINVAL;
	/* Four digits, a colon and four digits. */
	device->id.subsystem_vendor = (uint16_t)strtoul(item->text, NULL, 16);
	device->id.subsystem_device = (uint16_t)strtoul(item->text + 5, NULL, 16);
	return 0;
}

static int take_path(struct expected_device *device, const struct item *item)
{
	return take_text(device->path, sizeof(device->path), item);
}

static int take_serial(struct expected_device *device, const struct item *item)
{
	return take_text(device->serial, sizeof(device->serial), item);
}

static int take_numa_node(struct expected_device *device, const struct item *item)
{
	if (item->kind != ITEM_NUMBER && item->kind != ITEM_ABSENT)
		return -EINVAL;
	device->numa_node = item->kind == ITEM_NUMBER ? (int)item->number : -1;
	return 0;
}

/* The keys of [Match] that are facts. Each returns -EINVAL for an item that says more than one. */
static int (*const facts[N_MATCH_CONDITIONS])(struct expected_device *device, const struct item *item) = {
	[KEY_VENDOR] = take_vendor,
	[KEY_DEVICE] = take_device,
	[KEY_SUBSYSTEM] = take_subsystem,
	[KEY_CLASS] = take_class,
	[KEY_ADDRESS] = take_address,
	[KEY_DRIVER] = take_driver,
	[KEY_PATH] = take_path,
	[KEY_SERIAL] = take_serial,
	[KEY_PHYSICAL_FUNCTION] = take_physical_function,
	[KEY_NUMA_NODE] = take_numa_node,
};

/* find_key() knows better what was meant, but not of [Device]. */
static int complain_fact(const char *name, struct complaint *complaint)
{
	enum rule_key meant = complaint->meant;
	const char *hint = meant != N_KEYS && rule_keys[meant].section == SECTION_MATCH ? rule_keys[meant].name : NULL;

	return complain(complaint, 0, "[Device] takes the keys of [Match], and '%.*s' is none of them%s%s%s",
			quote_length(name), name, hint ? "; did you mean '" : "", hint ? hint : "", hint ? "'?" : "");
}

int expect_fact(struct expected_device *device, bool *seen, const char *name, const char *value,
		struct complaint *complaint)
{
	enum rule_key key = find_key(SECTION_MATCH, name, complaint);
	struct item item = {};
	int r;

	if (key == N_KEYS)
		return complain_fact(name, complaint);
	if (!facts[key])
		return complain(complaint, 0, "'%s' is no fact of a device but follows from the policy", name);
	if (seen[key])
		return complain(complaint, 0, "repeated key '%s'; a device has one value of each", name);
	seen[key] = true;
	device->described |= key != KEY_ADDRESS;
	r = rule_keys[key].parse_item(value, &item, complaint);
	if (r == 0 && facts[key](device, &item) < 0)
		r = complain(complaint, 0, "'%.*s' says not what %s this device has: one value is wanted, no glob",
			     quote_length(value), value, name);
	item_clear(&item);
	return r;
}

/* Where the fact of a client goes; NULL: the key is none of As= or of these. */
static char *client_text(struct process_facts *client, enum rule_key key, size_t *ret_size)
{
	*ret_size = sizeof(client->unit);
	if (key == KEY_UNIT)
		return client->unit;
	if (key == KEY_SLICE)
		return client->slice;
	if (key == KEY_EXECUTABLE)
		return client->executable;
	return key == KEY_APPARMOR ? client->apparmor : NULL;
}

int expect_client_fact(struct process_facts *client, bool *seen, const char *name, const char *value,
		       struct complaint *complaint)
{
	struct complaint ignored;
	enum rule_key key = find_key(SECTION_CLIENT, name, &ignored);
	struct item item = {};
	size_t size;
	char *target = client_text(client, key, &size);
	int r;

	if (!target)
		return -ENOENT;
	if (seen[key])
		return complain(complaint, 0, "repeated key '%s'; a client has one value of each", name);
	seen[key] = true;
	r = rule_keys[key].parse_item(value, &item, complaint);
	if (r == 0 && take_text(target, size, &item) < 0)
		r = complain(complaint, 0, "'%.*s' says not what %s this client has: one value is wanted, no glob",
			     quote_length(value), value, name);
	item_clear(&item);
	return r;
}

struct policy_subject expected_subject(const struct expected_device *device)
{
	return (struct policy_subject){
		.id = &device->id,
		.driver = device->driver,
		.physical_function = device->physical_function,
		.path = device->path,
		.serial = device->serial,
		.numa_node = device->numa_node,
	};
}
