/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verb monitor: events as they come, a line each, written out at once so that a pipe sees them, too. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "errors.h"
#include "reply.h"
#include "terminal.h"

/* What is worth a colour: the subscriber missed something, or a promise of the daemon's does not hold. */
static enum style style_of(json_object *event, const char *name)
{
	static const char *const bad[] = { "lost",        "violation",    "restoreFailed", "leaseFailed",
					   "leaseDenied", "labelRefused", "releaseIgnored" };
	json_object *viable = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (strcmp(name, bad[i]) == 0)
			return STYLE_BAD;
	if (!json_object_object_get_ex(event, "viable", &viable) || !viable)
		return STYLE_PLAIN;
	return json_object_get_boolean(viable) ? STYLE_GOOD : STYLE_BAD;
}

/* Blanks after `text` up to `width` columns, one at least. */
static void print_gap(const char *text, size_t width)
{
	size_t used = terminal_width(text);

	printf("%*s", used < width ? (int)(width - used) : 1, "");
}

/* The device, or else the group. */
static void print_subject(json_object *event)
{
	const char *device = reply_text(event, "device");
	char group[32] = "-";

	if (!device && reply_number(event, "group") >= 0)
		snprintf(group, sizeof(group), "group %lld", (long long)reply_number(event, "group"));
	terminal_print(stdout, false, STYLE_PLAIN, device ? device : group);
	print_gap(device ? device : group, 14);
}

static void print_event(const struct options *options, json_object *event)
{
	const char *name = reply_text(event, "event"), *message = reply_text(event, "message");
	time_t now = time(NULL);
	struct tm local;
	char clock[16];

	strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&now, &local));
	printf("%s ", clock);
	name = name ? name : "?";
	terminal_print(stdout, terminal_has_color(options->color), style_of(event, name), name);
	print_gap(name, 16);
	print_subject(event);
	terminal_print(stdout, false, STYLE_PLAIN, message ? message : "");
	putchar('\n');
}

static int handle_event(const char *parameters, void *userdata)
{
	const struct options *options = userdata;
	_cleanup_object_ json_object *event = NULL;

	if (options->json != JSON_OFF) {
		puts(parameters);
	} else {
		event = json_tokener_parse(parameters);
		if (!event)
			return -ENOMEM;
		print_event(options, event);
	}
	/* When nobody reads any more, that is the end. */
	return fflush(stdout) == 0 ? 0 : -errno;
}

int verb_monitor(const struct options *options, int n_arguments, char **arguments)
{
	_cleanup_connection_ struct iommud *connection = NULL;
	int code = connect_daemon(options, &connection), r;

	if (code != EXIT_DONE)
		return code;
	r = iommud_call_more(connection, "io.iommud.Subscribe", "{}", handle_event, (void *)options);
	return r == 0 ? EXIT_DONE : report_result(connection, "monitor", r);
}
