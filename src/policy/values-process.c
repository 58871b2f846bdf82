/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Values of [Client] that name what is known of the process. None is looked up: a unit may be started, and a profile
 * loaded, long after the policy. What can be seen to fit nothing ever is refused.
 */
#include <errno.h>
#include <string.h>

#include "policy/context.h"
#include "policy/glob.h"
#include "policy/report.h"
#include "policy/values.h"
#include "util/cleanup.h"
#include "util/process-facts.h"

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), end_length = strlen(end);

	return length > end_length && strcmp(text + length - end_length, end) == 0;
}

/* A glob may leave open how the name ends. */
static bool is_open_ended(const char *text)
{
	return ends_with(text, "*") || strcmp(text, "*") == 0;
}

static int check_unit_name(const char *text, struct complaint *complaint)
{
	static const char allowed[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz:-_.\\@*?[]!";
	size_t good = strspn(text, allowed);

	if (text[good])
		return complain(complaint, good, "not a character of a unit's name, nor part of a glob, in '%.*s'",
				quote_length(text), text);
	return 0;
}

int parse_unit(const char *text, struct item *ret, struct complaint *complaint)
{
	int r = check_unit_name(text, complaint);

	if (r < 0)
		return r;
	if (strcmp(text, "none") == 0) {
		*ret = (struct item){ .kind = ITEM_ABSENT };
		return 0;
	}
	if (ends_with(text, ".slice"))
		return complain(complaint, 0, "'%.*s' is a slice, and no process is right in one; say Slice=%.*s",
				quote_length(text), text, quote_length(text), text);
	if (!is_open_ended(text) && !process_unit_is_valid(text))
		return complain(complaint, 0, "'%.*s' is no unit that has processes; did you mean '%.*s.service'?",
				quote_length(text), text, quote_length(text), text);
	return make_word_item("a unit's name", text, UNIT_NAME_MAX, ret, complaint);
}

int parse_slice(const char *text, struct item *ret, struct complaint *complaint)
{
	int r = check_unit_name(text, complaint);

	if (r < 0)
		return r;
	if (!is_open_ended(text) && !ends_with(text, ".slice"))
		return complain(complaint, 0, "'%.*s' is no slice; did you mean '%.*s.slice'?", quote_length(text),
				text, quote_length(text), text);
	return make_word_item("a slice's name", text, SLICE_NAME_MAX, ret, complaint);
}

int parse_executable(const char *text, struct item *ret, struct complaint *complaint)
{
	static const char *const never[] = { "//", "/./", "/../" };

	if (text[0] != '/' && text[0] != '*')
		return complain(complaint, 0, "'%.*s' is no absolute path of a program", quote_length(text), text);
	for (size_t i = 0; i < ARRAY_SIZE(never); i++)
		if (strstr(text, never[i]))
			return complain(complaint, strstr(text, never[i]) - text,
					"the kernel's path of a program has no '%s': this can never match", never[i]);
	if (ends_with(text, "/") || strcmp(text, "/") == 0)
		return complain(complaint, 0, "'%.*s' is a folder; for all that is in it say '%.*s*'",
				quote_length(text), text, quote_length(text), text);
	return make_word_item("a path", text, EXECUTABLE_MAX, ret, complaint);
}

int parse_context(const char *text, struct item *ret, struct complaint *complaint)
{
	size_t offset = 0;
	const char *reason = context_check(text, &offset);

	if (reason)
		return complain(complaint, offset, "%s", reason);
	return make_word_item("a security context", text, CONTEXT_PATTERN_MAX, ret, complaint);
}

int parse_apparmor(const char *text, struct item *ret, struct complaint *complaint)
{
	return make_word_item("an AppArmor profile's name", text, APPARMOR_NAME_MAX, ret, complaint);
}
