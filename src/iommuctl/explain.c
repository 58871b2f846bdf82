/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verbs that tell all about one device: describe (what it is) and explain (who may have it). */
#include <stdio.h>
#include <string.h>

#include "errors.h"
#include "reply.h"
#include "sheet.h"

/* The strings of a list, a line each, the first with the name. */
static void add_lines(const struct sheet *sheet, const char *name, json_object *object, const char *key)
{
	for (size_t i = 0; i < reply_count(object, key); i++)
		sheet_add(sheet, i == 0 ? name : "", STYLE_PLAIN, reply_item_text(object, key, i));
}

static void add_joined(const struct sheet *sheet, const char *name, json_object *object, const char *key)
{
	_cleanup_free_ char *text = reply_join(object, key);

	sheet_add(sheet, name, STYLE_PLAIN, text);
}

/* The verdict of a group, with what blocks it and what would help. */
static void add_verdict(const struct sheet *sheet, json_object *object)
{
	bool viable = reply_true(object, "viable");

	sheet_add(sheet, "Verdict", viable ? STYLE_GOOD : STYLE_BAD, viable ? "viable" : "not viable");
	for (size_t i = 0; i < reply_count(object, "blockers"); i++) {
		json_object *blocker = reply_item(object, "blockers", i);

		sheet_add(sheet, "Blocker", STYLE_BAD, reply_text(blocker, "message"));
		sheet_add(sheet, "Remedy", STYLE_PLAIN, reply_text(blocker, "remedy"));
	}
}

/* "TEXT (DETAIL)", either of which may be missing. */
static void add_pair(const struct sheet *sheet, const char *name, const char *text, const char *detail)
{
	if (text && detail)
		sheet_format(sheet, name, STYLE_PLAIN, "%s (%s)", text, detail);
	else
		sheet_add(sheet, name, STYLE_PLAIN, text ? text : detail);
}

static void add_device(const struct sheet *sheet, json_object *device)
{
	const char *driver = reply_text(device, "driver");

	sheet_add(sheet, "Device", STYLE_BOLD, reply_text(device, "address"));
	add_pair(sheet, "Vendor", reply_text(device, "vendorName"), reply_text(device, "vendorId"));
	add_pair(sheet, "Model", reply_text(device, "deviceName"), reply_text(device, "deviceId"));
	add_pair(sheet, "Class", reply_text(device, "className"), reply_text(device, "class"));
	sheet_add(sheet, "Bus", STYLE_PLAIN, reply_text(device, "bus"));
	sheet_add(sheet, "Driver", STYLE_PLAIN, driver ? driver : "none");
	if (reply_number(device, "numaNode") >= 0)
		sheet_format(sheet, "NUMA node", STYLE_PLAIN, "%lld", (long long)reply_number(device, "numaNode"));
	sheet_add(sheet, "Path", STYLE_PLAIN, reply_text(device, "path"));
	sheet_add(sheet, "Serial number", STYLE_PLAIN, reply_text(device, "serialNumber"));
	sheet_add(sheet, "Parent", STYLE_PLAIN, reply_text(device, "parent"));
	add_joined(sheet, "Joined with", device, "joinedWith");
	sheet_add(sheet, "Physical function", STYLE_PLAIN, reply_text(device, "physicalFunction"));
	add_joined(sheet, "Virtual functions", device, "virtualFunctions");
	add_joined(sheet, "Reset methods", device, "resetMethods");
	add_joined(sheet, "Reset set", device, "resetSet");
	if (!reply_text(device, "resetScope"))
		sheet_add(sheet, "Reset set", STYLE_PLAIN, "none: it can't be reset");
	if (reply_true(device, "quarantined"))
		sheet_add(sheet, "Quarantined", STYLE_BAD, "yes: its last reset failed");
	add_joined(sheet, "Pools", device, "pools");
	if (reply_true(device, "bootDisplay"))
		sheet_add(sheet, "Boot display", STYLE_PLAIN, "yes");
	sheet_add(sheet, "State", STYLE_PLAIN, reply_text(device, "state"));
	if (reply_number(device, "lease") >= 0)
		sheet_format(sheet, "Lease", STYLE_PLAIN, "%lld", (long long)reply_number(device, "lease"));
}

static void add_group(const struct sheet *sheet, json_object *group)
{
	sheet_format(sheet, "Group", STYLE_PLAIN, "%lld", (long long)reply_number(group, "group"));
	add_joined(sheet, "Members", group, "devices");
	sheet_add(sheet, "Label", STYLE_PLAIN, reply_text(group, "label"));
	for (size_t i = 0; i < reply_count(group, "reservedRegions"); i++) {
		json_object *region = reply_item(group, "reservedRegions", i);
		const char *start = reply_text(region, "start"), *end = reply_text(region, "end");
		const char *type = reply_text(region, "type");

		if (start && end && type)
			sheet_format(sheet, i == 0 ? "Reserved" : "", STYLE_PLAIN, "%s-%s %s", start, end, type);
	}
	add_verdict(sheet, group);
}

static void add_bystanders(const struct sheet *sheet, json_object *explanation)
{
	for (size_t i = 0; i < reply_count(explanation, "bystanders"); i++) {
		json_object *bystander = reply_item(explanation, "bystanders", i);
		const char *device = reply_text(bystander, "device"), *ids = reply_text(bystander, "vendorDevice");
		const char *driver = reply_text(bystander, "driver"), *action = reply_text(bystander, "action");

		if (device && ids && action)
			sheet_format(sheet, i == 0 ? "Bystanders" : "", STYLE_PLAIN, "%s (%s, %s%s): %s", device, ids,
				     driver ? "driver " : "no driver", driver ? driver : "", action);
	}
}

static void add_rule(const struct sheet *sheet, json_object *explanation)
{
	const char *file = reply_text(explanation, "file");

	if (file)
		sheet_format(sheet, "Rule", STYLE_PLAIN, "%s:%lld", file, (long long)reply_number(explanation, "line"));
	else
		sheet_add(sheet, "Rule", STYLE_PLAIN, "none fits");
}

/* Why each earlier rule did not fit, below the one that did. */
static void add_passed_rules(const struct sheet *sheet, json_object *explanation)
{
	size_t n = reply_count(explanation, "passedRules");
	int64_t more = reply_number(explanation, "morePassedRules");

	for (size_t i = 0; i < n; i++) {
		json_object *rule = reply_item(explanation, "passedRules", i);
		const char *file = reply_text(rule, "file"), *key = reply_text(rule, "key");
		const char *action = reply_text(rule, "action"), *found = reply_text(rule, "found");
		const char *wanted = reply_text(rule, "wanted");
		const char *name = i == 0 ? "Passed over" : "";

		if (!file || !key || !action || !found)
			continue;
		if (wanted)
			sheet_format(sheet, name, STYLE_PLAIN, "%s:%lld (%s): %s=%s, but it is %s", file,
				     (long long)reply_number(rule, "line"), action, key, wanted, found);
		else
			sheet_format(sheet, name, STYLE_PLAIN, "%s:%lld (%s): another %s than %s", file,
				     (long long)reply_number(rule, "line"), action, key, found);
	}
	if (more > 0)
		sheet_format(sheet, "", STYLE_PLAIN, "and %lld more", (long long)more);
}

static void add_explanation(const struct sheet *sheet, const char *device, json_object *explanation)
{
	bool allowed = reply_true(explanation, "allowed");

	sheet_add(sheet, "Device", STYLE_BOLD, device);
	sheet_add(sheet, "Answer", allowed ? STYLE_GOOD : STYLE_BAD, allowed ? "allowed" : "refused");
	sheet_add(sheet, "Decision", STYLE_PLAIN, reply_text(explanation, "decision"));
	add_rule(sheet, explanation);
	add_passed_rules(sheet, explanation);
	sheet_format(sheet, "Group", STYLE_PLAIN, "%lld", (long long)reply_number(explanation, "group"));
	sheet_add(sheet, "Group scope", STYLE_PLAIN, reply_text(explanation, "groupScope"));
	sheet_add(sheet, "Backend", STYLE_PLAIN, reply_text(explanation, "backend"));
	sheet_add(sheet, "Label", STYLE_PLAIN, reply_text(explanation, "label"));
	add_verdict(sheet, explanation);
	add_bystanders(sheet, explanation);
	sheet_add(sheet, "Consent token", STYLE_PLAIN, reply_text(explanation, "token"));
	add_joined(sheet, "Reset set", explanation, "resetSet");
	if (!reply_text(explanation, "resetScope"))
		sheet_add(sheet, "Reset set", STYLE_PLAIN, "none: it can't be reset");
	add_lines(sheet, "Plan", explanation, "plan");
	add_lines(sheet, "Guarantees", explanation, "guarantees");
}

/* Adds a string unless it is NULL. */
static bool add_string(json_object *object, const char *key, const char *text)
{
	json_object *value = text ? json_object_new_string(text) : NULL;

	if (!text || (value && json_object_object_add(object, key, value) == 0))
		return true;
	json_object_put(value);
	return false;
}

/* Asks `method` about a device; the options that the verb takes go with it. */
static int ask(const struct options *options, const char *method, const char *device, json_object **ret)
{
	_cleanup_connection_ struct iommud *connection = NULL;
	_cleanup_object_ json_object *parameters = json_object_new_object();
	int code;

	if (!parameters || !add_string(parameters, "device", device) || !add_string(parameters, "as", options->as) ||
	    !add_string(parameters, "backend", options->backend)) {
		complain("out of memory");
		return EXIT_FAILED;
	}
	code = connect_daemon(options, &connection);
	if (code != EXIT_DONE)
		return code;
	return reply_call(connection, method, TAKE_PTR(parameters), ret);
}

int verb_describe(const struct options *options, int n_arguments, char **arguments)
{
	const struct sheet sheet = { stdout, terminal_has_color(options->color) };
	_cleanup_object_ json_object *reply = NULL;
	int code = ask(options, "io.iommud.Describe", arguments[0], &reply);

	if (code != EXIT_DONE)
		return code;
	if (options->json != JSON_OFF) {
		reply_print(options, reply);
		return EXIT_DONE;
	}
	add_device(&sheet, reply_object(reply, "device"));
	add_group(&sheet, reply_object(reply, "group"));
	return EXIT_DONE;
}

int verb_explain(const struct options *options, int n_arguments, char **arguments)
{
	const struct sheet sheet = { stdout, terminal_has_color(options->color) };
	_cleanup_object_ json_object *reply = NULL;
	int code = ask(options, "io.iommud.Explain", arguments[0], &reply);

	if (code != EXIT_DONE)
		return code;
	if (options->json != JSON_OFF)
		reply_print(options, reply);
	else
		add_explanation(&sheet, arguments[0], reply);
	return EXIT_DONE;
}
