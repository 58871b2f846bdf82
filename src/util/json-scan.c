/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A recognizer for RFC 8259 that builds nothing: it reads each byte once, allocates no memory, and its recursion ends at
 * JSON_DEPTH_MAX. It refuses what json-c lets pass (single quotes, NUL in strings, saturating numbers, NaN) and what would
 * make json-c allocate a hundred times the message's size. Duplicate keys it can't see: it counts members for who can.
 */
#include "util/json-scan.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "util/json.h"

#define NUMBER_SIZE_MAX 40 /* longer than any number that 64 bits hold */
#define TWO_TO_64 18446744073709551616.0

struct scanner {
	const char *cursor, *end;
	size_t n_tokens, n_members;
	const char *reason;
};

static bool scan_value(struct scanner *scanner, unsigned int depth);

static bool scan_fail(struct scanner *scanner, const char *reason)
{
	scanner->reason = reason;
	return false;
}

/* The next byte, or -1 at the end. */
static int scan_peek(const struct scanner *scanner)
{
	return scanner->cursor < scanner->end ? (unsigned char)*scanner->cursor : -1;
}

static void scan_space(struct scanner *scanner)
{
	while (scanner->cursor < scanner->end && memchr(" \t\n\r", *scanner->cursor, 4))
		scanner->cursor++;
}

static bool scan_count(struct scanner *scanner)
{
	if (++scanner->n_tokens > JSON_TOKENS_MAX)
		return scan_fail(scanner, "too many values and keys");
	return true;
}

static bool scan_literal(struct scanner *scanner, const char *literal)
{
	size_t length = strlen(literal);

	if ((size_t)(scanner->end - scanner->cursor) < length || memcmp(scanner->cursor, literal, length) != 0)
		return scan_fail(scanner, "no JSON value where one must be");
	scanner->cursor += length;
	return true;
}

static size_t scan_digits(struct scanner *scanner)
{
	const char *begin = scanner->cursor;

	while (scan_peek(scanner) >= '0' && scan_peek(scanner) <= '9')
		scanner->cursor++;
	return scanner->cursor - begin;
}

static bool scan_exponent(struct scanner *scanner)
{
	if (scan_peek(scanner) != 'e' && scan_peek(scanner) != 'E')
		return true;
	scanner->cursor++;
	if (scan_peek(scanner) == '+' || scan_peek(scanner) == '-')
		scanner->cursor++;
	return scan_digits(scanner) > 0;
}

static bool scan_fraction(struct scanner *scanner)
{
	if (scan_peek(scanner) != '.')
		return true;
	scanner->cursor++;
	return scan_digits(scanner) > 0;
}

static bool integer_fits(const char *text)
{
	bool negative = text[0] == '-';
	uint64_t magnitude;

	errno = 0;
	magnitude = strtoull(text + negative, NULL, 10);
	return errno == 0 && (!negative || magnitude <= (uint64_t)INT64_MAX + 1);
}

static bool number_fits(const char *begin, size_t size)
{
	char text[NUMBER_SIZE_MAX + 1];

	if (size > NUMBER_SIZE_MAX)
		return false;
	memcpy(text, begin, size);
	text[size] = '\0';
	if (strpbrk(text, ".eE"))
		return fabs(strtod(text, NULL)) < TWO_TO_64;
	return integer_fits(text);
}

static bool scan_number(struct scanner *scanner)
{
	const char *begin = scanner->cursor;
	const char *digits;
	size_t n_digits;

	if (scan_peek(scanner) == '-')
		scanner->cursor++;
	digits = scanner->cursor;
	n_digits = scan_digits(scanner);
	if (n_digits == 0 || (*digits == '0' && n_digits > 1))
		return scan_fail(scanner, "malformed number");
	if (!scan_fraction(scanner) || !scan_exponent(scanner))
		return scan_fail(scanner, "malformed number");
	if (!number_fits(begin, scanner->cursor - begin))
		return scan_fail(scanner, "number out of range");
	return true;
}

/* Four hexadecimal digits, or -1. */
static int scan_hex4(struct scanner *scanner)
{
	int value = 0;

	for (int i = 0; i < 4; i++) {
		int c = scan_peek(scanner);

		if (c >= '0' && c <= '9')
			c -= '0';
		else if (c >= 'a' && c <= 'f')
			c -= 'a' - 10;
		else if (c >= 'A' && c <= 'F')
			c -= 'A' - 10;
		else
			return -1;
		value = value * 16 + c;
		scanner->cursor++;
	}
	return value;
}

/* After "\u". A high surrogate must be followed by an escaped low one; NUL would end a C string early. */
static bool scan_unicode_escape(struct scanner *scanner)
{
	int unit = scan_hex4(scanner);

	if (unit < 0)
		return scan_fail(scanner, "malformed \\u escape");
	if (unit == 0)
		return scan_fail(scanner, "NUL in a string");
	if (unit < 0xd800 || unit > 0xdfff)
		return true;
	if (unit > 0xdbff || scanner->end - scanner->cursor < 2 || memcmp(scanner->cursor, "\\u", 2) != 0)
		return scan_fail(scanner, "lone surrogate");
	scanner->cursor += 2;
	unit = scan_hex4(scanner);
	if (unit < 0xdc00 || unit > 0xdfff)
		return scan_fail(scanner, "lone surrogate");
	return true;
}

/* After the backslash. */
static bool scan_escape(struct scanner *scanner)
{
	int c = scan_peek(scanner);

	if (c < 0 || !memchr("\"\\/bfnrtu", c, 9))
		return scan_fail(scanner, "unknown escape in a string");
	scanner->cursor++;
	return c != 'u' || scan_unicode_escape(scanner);
}

/* One character of several bytes (Unicode 15, table 3-7): no overlong forms, no surrogates, nothing above U+10FFFF. */
static bool scan_utf8(struct scanner *scanner)
{
	int lead = scan_peek(scanner), low = 0x80, high = 0xbf, n;

	if (lead >= 0xc2 && lead <= 0xdf)
		n = 1;
	else if (lead >= 0xe0 && lead <= 0xef)
		n = 2;
	else if (lead >= 0xf0 && lead <= 0xf4)
		n = 3;
	else
		return scan_fail(scanner, "not UTF-8");
	if (lead == 0xe0)
		low = 0xa0;
	if (lead == 0xf0)
		low = 0x90;
	if (lead == 0xed)
		high = 0x9f;
	if (lead == 0xf4)
		high = 0x8f;
	for (scanner->cursor++; n > 0; n--, scanner->cursor++) {
		if (scan_peek(scanner) < low || scan_peek(scanner) > high)
			return scan_fail(scanner, "not UTF-8");
		low = 0x80;
		high = 0xbf;
	}
	return true;
}

/* One character of a string, which is not its closing quote. */
static bool scan_character(struct scanner *scanner)
{
	int c = scan_peek(scanner);

	if (c < 0)
		return scan_fail(scanner, "unterminated string");
	if (c < 0x20)
		return scan_fail(scanner, "control character in a string");
	if (c >= 0x80)
		return scan_utf8(scanner);
	scanner->cursor++;
	return c != '\\' || scan_escape(scanner);
}

static bool scan_string(struct scanner *scanner)
{
	if (scan_peek(scanner) != '"')
		return scan_fail(scanner, "no string in double quotes where one must be");
	scanner->cursor++;
	while (scan_peek(scanner) != '"')
		if (!scan_character(scanner))
			return false;
	scanner->cursor++;
	return true;
}

static bool scan_member(struct scanner *scanner, unsigned int depth)
{
	scanner->n_members++;
	if (!scan_count(scanner) || !scan_string(scanner))
		return false;
	scan_space(scanner);
	if (scan_peek(scanner) != ':')
		return scan_fail(scanner, "no colon after a key");
	scanner->cursor++;
	return scan_value(scanner, depth);
}

/* An object or an array, the cursor on its opening bracket. */
static bool scan_container(struct scanner *scanner, unsigned int depth)
{
	bool is_object = *scanner->cursor == '{';
	int close = is_object ? '}' : ']';

	if (depth > JSON_DEPTH_MAX)
		return scan_fail(scanner, "nested too deep");
	scanner->cursor++;
	scan_space(scanner);
	if (scan_peek(scanner) == close) {
		scanner->cursor++;
		return true;
	}
	for (;;) {
		scan_space(scanner);
		if (!(is_object ? scan_member(scanner, depth) : scan_value(scanner, depth)))
			return false;
		if (scan_peek(scanner) == close)
			break;
		if (scan_peek(scanner) != ',')
			return scan_fail(scanner, "no comma or closing bracket after a value");
		scanner->cursor++;
	}
	scanner->cursor++;
	return true;
}

/* `depth` is that of what contains the value. Leaves the cursor on what follows the white space after it. */
static bool scan_value(struct scanner *scanner, unsigned int depth)
{
	bool good;

	scan_space(scanner);
	if (!scan_count(scanner))
		return false;
	switch (scan_peek(scanner)) {
	case '{':
	case '[':
		good = scan_container(scanner, depth + 1);
		break;
	case '"':
		good = scan_string(scanner);
		break;
	case 't':
		good = scan_literal(scanner, "true");
		break;
	case 'f':
		good = scan_literal(scanner, "false");
		break;
	case 'n':
		good = scan_literal(scanner, "null");
		break;
	case '-':
	case '0' ... '9':
		good = scan_number(scanner);
		break;
	default:
		return scan_fail(scanner, "no JSON value where one must be");
	}
	scan_space(scanner);
	return good;
}

static bool scan_object(struct scanner *scanner)
{
	scan_space(scanner);
	if (scan_peek(scanner) != '{')
		return scan_fail(scanner, "not a JSON object");
	if (!scan_value(scanner, 0))
		return false;
	if (scanner->cursor != scanner->end)
		return scan_fail(scanner, "more than one JSON object");
	return true;
}

bool json_scan(const char *text, size_t size, struct json_scan *ret)
{
	struct scanner scanner = { .cursor = text, .end = text + size };
	size_t end = size;

	if (!scan_object(&scanner)) {
		ret->reason = scanner.reason;
		return false;
	}
	/* The last byte that is no white space is the object's closing bracket, the first its opening one. */
	while (text[end - 1] != '}')
		end--;
	ret->begin = (const char *)memchr(text, '{', size) - text;
	ret->end = end;
	ret->n_members = scanner.n_members;
	return true;
}
