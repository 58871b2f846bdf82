/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verbs that list: devices and groups. */
#include <stdio.h>
#include <string.h>

#include "errors.h"
#include "reply.h"
#include "table.h"

/* "VENDOR:DEVICE" from "0x8086" and "0x10d3", as lspci prints it. */
static const char *short_ids(json_object *device, char *buffer, size_t size)
{
	const char *vendor = reply_text(device, "vendorId"), *id = reply_text(device, "deviceId");

	if (!vendor || !id || strncmp(vendor, "0x", 2) != 0 || strncmp(id, "0x", 2) != 0)
		return NULL;
	snprintf(buffer, size, "%s:%s", vendor + 2, id + 2);
	return buffer;
}

/* Of a device that nobody has, whether somebody could. */
static const char *state_word(json_object *device)
{
	const char *state = reply_text(device, "state");

	return !state && reply_true(device, "quarantined") ? "quarantined" : state;
}

static bool is_bad(const char *state)
{
	return state && (strcmp(state, "violated") == 0 || strcmp(state, "quarantined") == 0);
}

static void add_device(struct table *table, json_object *device)
{
	const char *vendor = reply_text(device, "vendorName"), *name = reply_text(device, "deviceName");
	const char *state = state_word(device);
	char ids[32], full_name[256];

	snprintf(full_name, sizeof(full_name), "%s%s%s", vendor ? vendor : "", vendor && name ? " " : "",
		 name ? name : "");
	table_add(table, reply_text(device, "address"));
	table_add_number(table, reply_number(device, "group"));
	table_add(table, reply_text(device, "driver"));
	table_add_styled(table, is_bad(state) ? STYLE_BAD : STYLE_PLAIN, state);
	table_add_number(table, reply_number(device, "lease"));
	table_add(table, short_ids(device, ids, sizeof(ids)));
	table_add(table, *full_name ? full_name : NULL);
}

/* A line for each member or blocker, whichever are more; what is said once is said in the first. */
static void add_group(struct table *table, json_object *group)
{
	size_t n_devices = reply_count(group, "devices"), n_blockers = reply_count(group, "blockers");
	size_t n = n_devices > n_blockers ? n_devices : n_blockers;

	for (size_t i = 0; i < n || i == 0; i++) {
		const char *device = reply_item_text(group, "devices", i);
		const char *blocker = reply_text(reply_item(group, "blockers", i), "message");
		bool viable = reply_true(group, "viable");

		if (i == 0)
			table_add_number(table, reply_number(group, "group"));
		else
			table_add(table, "");
		table_add_styled(table, viable ? STYLE_GOOD : STYLE_BAD, i > 0 ? "" : viable ? "yes" : "no");
		table_add(table, i > 0 ? "" : reply_text(group, "label"));
		table_add(table, device ? device : "");
		table_add(table, blocker ? blocker : "");
	}
}

/* What is listed: which call, which member of its replies, which columns. */
struct listing {
	const char *method;
	const char *key;
	const char *const *headings;
	void (*add)(struct table *table, json_object *item);
};

static int print_listing(const struct options *options, const struct listing *listing, json_object *array)
{
	_cleanup_table_ struct table *table = NULL;
	size_t n = json_object_array_length(array);

	if (options->json != JSON_OFF) {
		reply_print(options, array);
		return EXIT_DONE;
	}
	table = table_new(listing->headings);
	for (size_t i = 0; i < n && table; i++)
		listing->add(table, json_object_array_get_idx(array, i));
	if (!table || table_print(table, stdout, !options->no_legend, terminal_has_color(options->color)) < 0) {
		complain("out of memory");
		return EXIT_FAILED;
	}
	return EXIT_DONE;
}

static int list(const struct options *options, const struct listing *listing)
{
	_cleanup_connection_ struct iommud *connection = NULL;
	_cleanup_object_ json_object *array = NULL;
	int code = connect_daemon(options, &connection);

	if (code == EXIT_DONE)
		code = reply_collect(connection, listing->method, listing->key, &array);
	if (code != EXIT_DONE)
		return code;
	return print_listing(options, listing, array);
}

int verb_list(const struct options *options, int n_arguments, char **arguments)
{
	static const char *const headings[] = { "ADDRESS", "GROUP", "DRIVER", "STATE", "LEASE", "ID", "NAME", NULL };
	static const struct listing devices = { "io.iommud.ListDevices", "device", headings, add_device };

	return list(options, &devices);
}

int verb_groups(const struct options *options, int n_arguments, char **arguments)
{
	static const char *const headings[] = { "GROUP", "VIABLE", "LABEL", "DEVICES", "BLOCKED BY", NULL };
	static const struct listing groups = { "io.iommud.ListGroups", "group", headings, add_group };

	return list(options, &groups);
}
