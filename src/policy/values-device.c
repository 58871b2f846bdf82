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
#include "policy/nearest.h"
#include "policy/report.h"
#include "policy/values.h"
#include "util/cleanup.h"

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

int make_glob_item(const char *text, size_t offset, size_t length, bool fixed, bool lower, struct item *ret,
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

static int check_subsystem_part(const char *part, size_t offset, size_t length, struct complaint *complaint)
{
	char copy[64];

	if (length >= sizeof(copy) || strspn(part, HEX_DIGITS GLOB_CHARACTERS) < length)
		return complain(complaint, offset, "not a hexadecimal digit, nor part of a glob, in '%.*s'",
				quote_length(part), part);
	memcpy(copy, part, length);
	copy[length] = '\0';
	if (glob_is_pattern(copy))
		return check_glob(copy, offset, 4, true, complaint);
	if (length != 4)
		return complain(complaint, offset, "four hexadecimal digits, or a glob over them, not '%s'", copy);
	return 0;
}

int parse_subsystem(const char *text, struct item *ret, struct complaint *complaint)
{
	const char *colon = strchr(text, ':');
	struct item item;
	int r;

	if (strcmp(text, "*") == 0) {
		*ret = (struct item){ .kind = ITEM_ANY };
		return 0;
	}
	if (!colon || strchr(colon + 1, ':'))
		return complain(complaint, 0, "'%.*s' is no subsystem: vendor and device, as in 1028:075b or 1028:*",
				quote_length(text), text);
	r = make_text_item(glob_is_pattern(text) ? ITEM_GLOB : ITEM_EXACT, text, true, &item);
	if (r < 0)
		return r;
	r = check_subsystem_part(item.text, 0, colon - text, complaint);
	if (r == 0)
		r = check_subsystem_part(item.text + (colon - text) + 1, colon - text + 1, strlen(colon + 1),
					 complaint);
	if (r < 0) {
		item_clear(&item);
		return r;
	}
	*ret = item;
	return 0;
}

/* The classes of the PCI code and ID assignment specification that are handed out. */
static const struct {
	const char *name;
	const char *glob;
} class_names[] = {
	{ "storage", "01????" }, { "nvme", "0108??" }, { "network", "02????" },    { "ethernet", "0200??" },
	{ "display", "03????" }, { "vga", "0300??" },  { "multimedia", "04????" }, { "audio", "040[13]??" },
	{ "serial", "0700??" },  { "usb", "0c03??" },  { "crypto", "10????" },     { "accelerator", "12????" },
};

static int complain_class(const char *text, struct complaint *complaint)
{
	struct nearest nearest;
	size_t used = 0;
	char all[160];

	nearest_begin(&nearest, text);
	for (size_t i = 0; i < ARRAY_SIZE(class_names) && used < sizeof(all); i++) {
		used += snprintf(all + used, sizeof(all) - used, "%s%s", used ? ", " : "", class_names[i].name);
		nearest_offer(&nearest, class_names[i].name);
	}
	if (nearest_get(&nearest))
		return complain(complaint, 0, "'%.*s' is no class; did you mean '%s'?", quote_length(text), text,
				nearest_get(&nearest));
	return complain(complaint, 0,
			"'%.*s' is no class: two, four or six hexadecimal digits (03, 0x0300, 030000), a glob over six"
			" (03*), or one of %s",
			quote_length(text), text, all);
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
	for (size_t i = 0; i < ARRAY_SIZE(class_names); i++)
		if (strcmp(class_names[i].name, text) == 0)
			return make_text_item(ITEM_GLOB, class_names[i].glob, false, ret);
	if ((length != 2 && length != 4 && length != 6) || strspn(text + offset, HEX_DIGITS) != length)
		return complain_class(text, complaint);
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

int make_word_item(const char *what, const char *text, size_t length, struct item *ret, struct complaint *complaint)
{
	if (strcmp(text, "*") == 0) {
		*ret = (struct item){ .kind = ITEM_ANY };
		return 0;
	}
	for (size_t i = 0; text[i]; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return complain(complaint, i, "not a character of %s in '%.*s': printable ASCII", what,
					quote_length(text), text);
	if (glob_is_pattern(text))
		return make_glob_item(text, 0, length, false, false, ret, complaint);
	if (strlen(text) > length)
		return complain(complaint, 0, "'%.*s' is too long for %s, %zu characters at most", quote_length(text),
				text, what, length);
	return make_text_item(ITEM_EXACT, text, false, ret);
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
