/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verb status: which daemon answers, and the leases. */
#include <stdio.h>
#include <string.h>

#include "errors.h"
#include "reply.h"
#include "table.h"

static void add_lease(struct table *table, json_object *lease, bool with_parked)
{
	const char *state = reply_text(lease, "state");
	_cleanup_free_ char *devices = reply_join(lease, "devices"), *groups = reply_join(lease, "groups");
	_cleanup_free_ char *parked = reply_join(lease, "parked");
	bool bad = state && strcmp(state, "violated") == 0, good = state && strcmp(state, "active") == 0;

	table_add_number(table, reply_number(lease, "lease"));
	table_add_styled(table, bad ? STYLE_BAD : good ? STYLE_GOOD : STYLE_PLAIN, state);
	table_add(table, reply_text(lease, "backend"));
	table_add(table, reply_text(lease, "label"));
	table_add_number(table, reply_number(lease, "uid"));
	table_add_number(table, reply_number(lease, "pid"));
	table_add(table, groups);
	table_add(table, devices);
	if (with_parked)
		table_add(table, parked);
}

static bool any_parked(json_object *leases)
{
	for (size_t i = 0; i < json_object_array_length(leases); i++)
		if (reply_count(json_object_array_get_idx(leases, i), "parked") > 0)
			return true;
	return false;
}

static void print_holders(json_object *lease)
{
	_cleanup_free_ char *holders = reply_join(lease, "holders");

	if (holders && holders[0])
		printf("Lease %lld: descriptors of its devices are with %s.\n", (long long)reply_number(lease, "lease"),
		       holders);
}

static void print_reason(json_object *lease)
{
	const char *reason = reply_text(lease, "reason");

	if (!reason)
		return;
	printf("Lease %lld is violated: ", (long long)reply_number(lease, "lease"));
	terminal_print(stdout, false, STYLE_PLAIN, reason);
	puts("");
}

static int print_leases(const struct options *options, json_object *leases)
{
	bool with_parked = any_parked(leases);
	const char *const headings[] = { "LEASE",  "STATE",   "BACKEND",
					 "LABEL",  "UID",     "PID",
					 "GROUPS", "DEVICES", with_parked ? "PARKED" : NULL,
					 NULL };
	_cleanup_table_ struct table *table = table_new(headings);
	size_t n = json_object_array_length(leases);

	if (n == 0) {
		if (!options->no_legend)
			puts("No leases.");
		return EXIT_DONE;
	}
	for (size_t i = 0; i < n && table; i++)
		add_lease(table, json_object_array_get_idx(leases, i), with_parked);
	if (table && table_print(table, stdout, !options->no_legend, terminal_has_color(options->color)) == 0) {
		for (size_t i = 0; i < n && !options->no_legend; i++) {
			print_holders(json_object_array_get_idx(leases, i));
			print_reason(json_object_array_get_idx(leases, i));
		}
		return EXIT_DONE;
	}
	complain("out of memory");
	return EXIT_FAILED;
}

static void print_daemon(const struct options *options, json_object *info)
{
	const char *product = reply_text(info, "product"), *version = reply_text(info, "version");

	if (options->no_legend)
		return;
	terminal_print(stdout, terminal_has_color(options->color), STYLE_BOLD, product ? product : "iommud");
	fputs(version ? " " : "", stdout);
	terminal_print(stdout, false, STYLE_PLAIN, version ? version : "");
	puts(" answers.");
}

/* What holds without it is in the manual; what does not, an administrator should see. */
static void print_module(const struct options *options, json_object *status)
{
	json_object *module = reply_object(status, "kernelModule");

	if (options->no_legend || !module)
		return;
	printf("Kernel module: %s (KernelModule=", reply_true(module, "loaded") ? "in use" : "not in use");
	terminal_print(stdout, false, STYLE_PLAIN, reply_text(module, "use"));
	puts(")");
	for (size_t i = 0; i < reply_count(status, "weaknesses"); i++) {
		fputs("  ", stdout);
		terminal_print(stdout, false, STYLE_PLAIN, reply_item_text(status, "weaknesses", i));
		puts("");
	}
}

static int print_json(const struct options *options, json_object *info, json_object *status, json_object *leases)
{
	_cleanup_object_ json_object *object = json_object_new_object();

	if (!object) {
		complain("out of memory");
		return EXIT_FAILED;
	}
	json_object_object_add(object, "daemon", json_object_get(info));
	json_object_object_add(object, "status", json_object_get(status));
	json_object_object_add(object, "leases", json_object_get(leases));
	reply_print(options, object);
	return EXIT_DONE;
}

int verb_status(const struct options *options, int n_arguments, char **arguments)
{
	_cleanup_connection_ struct iommud *connection = NULL;
	_cleanup_object_ json_object *info = NULL, *status = NULL, *leases = NULL;
	int code = connect_daemon(options, &connection);

	if (code == EXIT_DONE)
		code = reply_call(connection, "org.varlink.service.GetInfo", NULL, &info);
	if (code == EXIT_DONE)
		code = reply_call(connection, "io.iommud.GetStatus", NULL, &status);
	if (code == EXIT_DONE)
		code = reply_collect(connection, "io.iommud.ListLeases", "lease", &leases);
	if (code != EXIT_DONE)
		return code;
	if (options->json != JSON_OFF)
		return print_json(options, info, status, leases);
	print_daemon(options, info);
	print_module(options, status);
	return print_leases(options, leases);
}
