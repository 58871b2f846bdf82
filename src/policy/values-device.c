/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Values of [Match]. What can be seen to fit no device ever is refused, not kept: in a deny rule it would let through
 * what the admin meant to stop.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/glob.h"
#include "policy/report.h"
#include "policy/values.h"

#define HEX_DIGITS "0123456789abcdefABCDEF"
#define GLOB_CHARACTERS "*?[]!-"

int complain(struct complaint *complaint, size_t offset, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(complaint->message, sizeof(complaint->message), format, args);
	va_end(args);
	complaint->offset = offset;
	return -EINVAL;
}

int make_text_item(enum item_kind kind, const char *text, bool lower, struct item *ret)
{
	size_t length = strlen(text);
	char *copy = strndup(text, length);

	if (!copy)
		return -ENOMEM;
	for (char *c = copy; lower && *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c += 'a' - 'A';
	*ret = (struct item){ .kind = kind, .number = (uint32_t)length, .text = copy };
	return 0;
}

static int check_glob(const char *text, size_t offset, size_t length, bool fixed, struct complaint *complaint)
{
	bool open_ended;
	size_t where, shortest;
	const char *reason = glob_check(text, &where);

	if (reason)
		return complain(complaint, offset + where, "%s", reason);
	shortest = glob_min_length(text, &open_ended);
	if (shortest > length || (fixed && shortest < length && !open_ended))
		return complain(complaint, offset, "the glob '%.*s' can never match %s%zu %s", quote_length(text), text,
				fixed ? "" : "within ", length, fixed ? "digits" : "characters");
	return 0;
}

/*
 * A glob over `length` digits if `fixed`, or over a text of at most `length` characters. `offset` is that of `text` in
 * the value as it was written. Checked in the case in which it is used: [F-a] runs backwards.
 */
static int make_glob_item(const char *text, size_t offset, size_t length, bool fixed, bool lower, struct item *ret,
			  struct complaint *complaint)
{
	struct item item;
	int r = make_text_item(ITEM_GLOB, text, lower, &item);

	if (r < 0)
		return r;
	r = check_glob(item.text, offset, length, fixed, complaint);
	if (r < 0) {
		item_clear(&item);
		return r;
	}
	*ret = item;
	return 0;
}

static size_t skip_0x(const char *text)
{
	return text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 2 : 0;
}

static int parse_hex_glob(const char *text, size_t digits, struct item *ret, struct complaint *complaint)
{
	size_t offset = skip_0x(text), good = strspn(text + offset, HEX_DIGITS GLOB_CHARACTERS);

	if (text[offset + good] != '\0')
		return complain(complaint, offset + good, "not a hexadecimal digit, nor part of a glob, in '%.*s'",
				quote_length(text), text);
	return make_glob_item(text + offset, offset, digits, true, true, ret, complaint);
}

static int parse_id(const char *what, const char *text, struct item *ret, struct complaint *complaint)
{
	size_t offset = skip_0x(text);

	if (strcmp(text, "*") == 0) {
		*ret = (struct item){ .kind = ITEM_ANY };
		return 0;
	}
	if (glob_is_pattern(text))
		return parse_hex_glob(text, 4, ret, complaint);
	if (strlen(text + offset) != 4 || strspn(text + offset, HEX_DIGITS) != 4)
		return complain(
			complaint, 0,
			"'%.*s' is no %s id: four hexadecimal digits (0x8086 or 8086) or a glob over them (80*)",
			quote_length(text), text, what);
	return make_text_item(ITEM_EXACT, text + offset, true, ret);
}

int parse_vendor(const char *text, struct item *ret, struct complaint *complaint)
{
	return parse_id("vendor", text, ret, complaint);
}

int parse_device(const char *text, struct item *ret, struct complaint *complaint)
{
	return parse_id("device", text, ret, complaint);
}

int parse_class(const char *text, struct item *ret, struct complaint *complaint)
{
	size_t offset = skip_0x(text), length = strlen(text + offset);

	if (strcmp(text, "*") == 0) {
		*ret = (struct item){ .kind = ITEM_ANY };
		return 0;
	}
	if (glob_is_pattern(text))
		return parse_hex_glob(text, 6, ret, complaint);
	if ((length != 2 && length != 4 && length != 6) || strspn(text + offset, HEX_DIGITS) != length)
		return complain(complaint, 0,
				"'%.*s' is no class: two, four or six hexadecimal digits (03, 0x0300, 030000) or a glob"
				" over six (03*)",
				quote_length(text), text);
	return make_text_item(ITEM_PREFIX, text + offset, true, ret);
}

/* `01:00.0`, as lspci prints it: sysfs always has the domain, so it would fit nothing. */
static bool lacks_domain(const char *text)
{
	return strlen(text) == 7 && glob_match("[0-9a-fA-F][0-9a-fA-F]:[0-9a-fA-F][0-9a-fA-F].[0-7]", text);
}

int parse_address(const char *text, struct item *ret, struct complaint *complaint)
{
	static const char allowed[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz:._-*?[]!";
	size_t good = strspn(text, allowed);

	if (strcmp(text, "*") == 0) {
		*ret = (struct item){ .kind = ITEM_ANY };
		return 0;
	}
	if (text[good] != '\0')
		return complain(complaint, good, "not a character of an address, nor part of a glob, in '%.*s'",
				quote_length(text), text);
	if (lacks_domain(text))
		return complain(complaint, 0, "'%s' lacks the domain; did you mean '0000:%s'?", text, text);
	if (glob_is_pattern(text))
		return make_glob_item(text, 0, DEVICE_ADDRESS_MAX - 1, false, true, ret, complaint);
	if (!device_address_is_valid(text))
		return complain(complaint, 0, "'%.*s' is no address of a device, as in 0000:01:00.0",
				quote_length(text), text);
	return make_text_item(ITEM_EXACT, text, true, ret);
}

int parse_physical_function(const char *text, struct item *ret, struct complaint *complaint)
{
	if (strcmp(text, "none") != 0)
		return parse_address(text, ret, complaint);
	*ret = (struct item){ .kind = ITEM_ABSENT };
	return 0;
}

int check_driver_name(const char *text, struct complaint *complaint)
{
	for (size_t i = 0; text[i]; i++)
		if (text[i] < '!' || text[i] > '~' || strchr("\\/\"'", text[i]))
			return complain(complaint, i, "not a character of a driver's name in '%.*s'",
					quote_length(text), text);
	if (!glob_is_pattern(text) && strlen(text) >= DEVICE_DRIVER_MAX)
		return complain(complaint, 0, "'%.*s' is too long for a driver's name, %d bytes at most",
				quote_length(text), text, DEVICE_DRIVER_MAX - 1);
	return 0;
}

int parse_driver(const char *text, struct item *ret, struct complaint *complaint)
{
	int r;

	if (strcmp(text, "*") == 0 || strcmp(text, "none") == 0) {
		*ret = (struct item){ .kind = text[0] == '*' ? ITEM_ANY : ITEM_ABSENT };
		return 0;
	}
	r = check_driver_name(text, complaint);
	if (r < 0)
		return r;
	if (glob_is_pattern(text))
		return make_glob_item(text, 0, DEVICE_DRIVER_MAX - 1, false, false, ret, complaint);
	return make_text_item(ITEM_EXACT, text, false, ret);
}
