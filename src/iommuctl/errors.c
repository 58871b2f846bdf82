/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Refusals for people: the daemon's own sentence first, then, indented, what stands in the way and what would help. All of
 * it comes from the error's parameters; nothing is guessed here.
 */
#include "errors.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "terminal.h"

enum exit_code exit_code_of(enum iommud_error error)
{
	switch (error) {
	/* A rule or a limit says no: to wait does not help. */
	case IOMMUD_ERROR_DENIED:
	case IOMMUD_ERROR_CONSENT_REQUIRED:
	case IOMMUD_ERROR_NOT_SINGLETON:
	case IOMMUD_ERROR_QUOTA_EXCEEDED:
	case IOMMUD_ERROR_RESET_SCOPE_CONFLICT:
		return EXIT_DENIED;
	/* Somebody has it: to wait may help. */
	case IOMMUD_ERROR_BUSY:
	case IOMMUD_ERROR_LABEL_MISMATCH:
	case IOMMUD_ERROR_POOL_EXHAUSTED:
		return EXIT_BUSY;
	case IOMMUD_ERROR_NOT_VIABLE:
		return EXIT_NOT_VIABLE;
	case IOMMUD_ERROR_TIMED_OUT:
		return EXIT_TIMED_OUT;
	case IOMMUD_ERROR_NONE:
	case IOMMUD_ERROR_OTHER:
	case IOMMUD_ERROR_NO_SUCH_DEVICE:
	case IOMMUD_ERROR_NO_SUCH_LEASE:
	case IOMMUD_ERROR_BACKEND_UNAVAILABLE:
	case IOMMUD_ERROR_PREPARE_FAILED:
	case IOMMUD_ERROR_INVALID_CALL:
	case IOMMUD_ERROR_NO_SUCH_POOL:
	case IOMMUD_ERROR_POLICY_INVALID:
	case IOMMUD_ERROR_INTERRUPTED:
		break;
	}
	return EXIT_FAILED;
}

__attribute__((format(printf, 1, 0))) static void complain_va(const char *format, va_list args)
{
	_cleanup_free_ char *text = NULL;

	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	fputs("iommuctl: ", stderr);
	terminal_print(stderr, false, STYLE_PLAIN, text ? text : "out of memory");
	fputc('\n', stderr);
}

void complain(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain_va(format, args);
	va_end(args);
}

int complain_usage(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain_va(format, args);
	va_end(args);
	fputs("Try 'iommuctl --help'.\n", stderr);
	return EXIT_USAGE;
}

/* An indented line: "  FIRST SECOND", the first with its punctuation. */
static void print_detail(const char *first, const char *second)
{
	fputs("  ", stderr);
	terminal_print(stderr, false, STYLE_PLAIN, first);
	terminal_print(stderr, false, STYLE_PLAIN, second);
	fputc('\n', stderr);
}

static void print_blockers(json_object *parameters)
{
	for (size_t i = 0; i < reply_count(parameters, "blockers"); i++) {
		json_object *blocker = reply_item(parameters, "blockers", i);
		const char *message = reply_text(blocker, "message");
		const char *remedy = reply_text(blocker, "remedy");

		if (message)
			print_detail("", message);
		if (remedy)
			print_detail("  remedy: ", remedy);
	}
}

void report_bystanders(json_object *parameters)
{
	for (size_t i = 0; i < reply_count(parameters, "bystanders"); i++) {
		json_object *bystander = reply_item(parameters, "bystanders", i);
		const char *device = reply_text(bystander, "device");
		const char *driver = reply_text(bystander, "driver");
		const char *action = reply_text(bystander, "action");
		_cleanup_free_ char *line = NULL;

		if (asprintf(&line, "%s (%s%s): %s", device ? device : "?", driver ? "driver " : "no driver",
			     driver ? driver : "", action ? action : "?") < 0)
			return;
		print_detail("", line);
	}
}

static void print_consent(json_object *parameters)
{
	const char *token = reply_text(parameters, "token");

	report_bystanders(parameters);
	if (token)
		print_detail("remedy: --yes, or --consent=", token);
}

/* The rule that denied, unless the sentence names it already. */
static void print_rule(json_object *parameters, const char *message)
{
	const char *file = reply_text(parameters, "file");
	_cleanup_free_ char *rule = NULL;

	if (!file || asprintf(&rule, "%s:%lld", file, (long long)reply_number(parameters, "line")) < 0)
		return;
	if (!strstr(message, rule))
		print_detail("rule: ", rule);
}

/* Unless the sentence says it already. */
static void print_list(json_object *parameters, const char *key, const char *heading, const char *message)
{
	_cleanup_free_ char *text = reply_join(parameters, key);

	if (text && !strstr(message, text))
		print_detail(heading, text);
}

/* Of a policy that was not loaded, all that is wrong with it. */
static void print_messages(json_object *parameters)
{
	for (size_t i = 0; i < reply_count(parameters, "messages"); i++) {
		const char *line = reply_item_text(parameters, "messages", i);

		if (line)
			print_detail("", line);
	}
}

static int report_refusal(struct iommud *connection)
{
	const char *message = iommud_error_message(connection);
	_cleanup_object_ json_object *parameters = json_tokener_parse(iommud_error_parameters(connection));

	complain("%s", message);
	print_rule(parameters, message);
	print_blockers(parameters);
	print_messages(parameters);
	print_list(parameters, "holders", "held by: ", message);
	print_list(parameters, "devices", "members: ", message);
	print_list(parameters, "conflicting", "in the way of a reset: ", message);
	if (iommud_error(connection) == IOMMUD_ERROR_CONSENT_REQUIRED)
		print_consent(parameters);
	return exit_code_of(iommud_error(connection));
}

int report_result(struct iommud *connection, const char *what, int result)
{
	if (result == IOMMUD_REFUSED)
		return report_refusal(connection);
	if (result == -ECONNRESET)
		complain("%s: iommud closed the connection", what);
	else if (result == -EMFILE)
		complain("%s: not all descriptors could be received: raise the limit of open files (ulimit -n), or ask "
			 "the security module's log",
			 what);
	else if (result == -EPROTO)
		complain("%s: iommud's answer can't be understood; are the versions of both the same?", what);
	else
		complain("%s: %s", what, strerror(-result));
	return EXIT_FAILED;
}
