/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One pass over a text, line by line, in a buffer of one line on the stack: owns nothing, allocates nothing, keeps
 * nothing between calls. Each line gives at most one error, the first thing that is wrong with it; only the line ends of
 * other systems are complained about once for all lines, or they would bury everything else.
 *
 * After a section line that is damaged but can be understood (`[Match`), the section is reported as well, so that its
 * keys are not taken for keys of the section before; after one that can't, its keys are passed over.
 */
#include "util/ini.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum section_state {
	SECTION_NONE, /* no section line yet */
	SECTION_KNOWN,
	SECTION_LOST, /* its line made no sense, and was reported */
};

struct reader {
	const struct ini_handler *handler;
	void *userdata;
	const char *file;
	unsigned int line;
	enum section_state section;
	bool carriage_return_reported;
};

static struct ini_place place_at(const struct reader *reader, size_t offset)
{
	return (struct ini_place){ .file = reader->file, .line = reader->line, .column = (unsigned int)offset + 1 };
}

static void complain(struct reader *reader, size_t offset, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void complain(struct reader *reader, size_t offset, const char *format, ...)
{
	struct ini_place place = place_at(reader, offset);
	char message[160];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	reader->handler->error(reader->userdata, &place, message);
}

/* Not isalnum() and isblank(): what a policy means must not hang on the locale. */
static bool is_name_character(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static size_t span_name(const char *text)
{
	size_t n = 0;

	while (is_name_character(text[n]))
		n++;
	return n;
}

static size_t span_blanks(const char *text)
{
	return strspn(text, " \t");
}

/* Bytes of the character that begins at `text`, 0 if that is no UTF-8: overlong, a surrogate, out of range, cut off. */
static size_t utf8_length(const unsigned char *text, size_t size)
{
	static const struct {
		unsigned char first_min, first_max, second_min, second_max;
		size_t length;
	} forms[] = {
		{ 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};

	if (text[0] < 0x80)
		return 1;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (text[0] < forms[i].first_min || text[0] > forms[i].first_max || size < forms[i].length)
			continue;
		if (text[1] < forms[i].second_min || text[1] > forms[i].second_max)
			return 0;
		for (size_t n = 2; n < forms[i].length; n++)
			if ((text[n] & 0xc0) != 0x80)
				return 0;
		return forms[i].length;
	}
	return 0;
}

/* C0, DEL and C1: they can rewrite what an admin sees on a terminal. */
static bool is_control(const unsigned char *text, size_t length)
{
	if (length == 1)
		return (text[0] < 0x20 && text[0] != '\t') || text[0] == 0x7f;
	return length == 2 && text[0] == 0xc2 && text[1] < 0xa0;
}

static bool check_characters(struct reader *reader, const char *line, size_t size)
{
	const unsigned char *text = (const unsigned char *)line;

	for (size_t i = 0, length; i < size; i += length) {
		length = utf8_length(text + i, size - i);
		if (length == 0) {
			complain(reader, i, "byte 0x%02x is not UTF-8", text[i]);
			return false;
		}
		if (is_control(text + i, length)) {
			complain(reader, i, "control character 0x%02x", text[i + length - 1]);
			return false;
		}
	}
	return true;
}

static void read_section(struct reader *reader, char *line)
{
	struct ini_place place = place_at(reader, 1);
	size_t length = span_name(line + 1), end = length + 1, rest;
	char closing = line[end];

	if (length == 0 || (closing != ']' && closing != '\0')) {
		complain(reader, end,
			 length == 0 && closing == ']' ? "section name missing"
						       : "section names are letters and digits, then ']'");
		reader->section = SECTION_LOST;
		return;
	}
	line[end] = '\0';
	rest = closing == ']' ? end + 1 + span_blanks(line + end + 1) : end;
	if (closing == '\0')
		complain(reader, end, "']' missing after '[%.40s'", line + 1);
	else if (line[rest] != '\0')
		complain(reader, rest, "text after '[%.40s]'; a comment needs a line of its own", line + 1);
	reader->section = SECTION_KNOWN;
	reader->handler->section(reader->userdata, &place, line + 1);
}

static void drop_trailing_blanks(char *text)
{
	size_t length = strlen(text);

	while (length > 0 && (text[length - 1] == ' ' || text[length - 1] == '\t'))
		length--;
	text[length] = '\0';
}

static void read_value(struct reader *reader, char *line)
{
	size_t key_length = span_name(line), equals = key_length + span_blanks(line + key_length);
	struct ini_place key_place = place_at(reader, 0), value_place;
	char *value;

	if (!strchr(line, '=')) {
		complain(reader, 0, "neither a [Section] nor a Key=Value line");
		return;
	}
	if (line[equals] != '=' || key_length == 0) {
		complain(reader, equals,
			 key_length == 0 && line[0] == '=' ? "key missing before '='"
							   : "keys are letters and digits, then '='");
		return;
	}
	line[key_length] = '\0';
	value = line + equals + 1 + span_blanks(line + equals + 1);
	drop_trailing_blanks(value);
	value_place = place_at(reader, value - line);
	if (reader->section == SECTION_NONE)
		complain(reader, 0, "'%.40s' stands before any [Section]", line);
	else if (reader->section == SECTION_KNOWN)
		reader->handler->value(reader->userdata, &key_place, line, &value_place, value);
}

static void read_line(struct reader *reader, char *line, size_t size)
{
	size_t indent;

	/* Made by some editors, invisible in all. */
	if (reader->line == 1 && size >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) {
		complain(reader, 0, "the file begins with a byte order mark; save it as plain UTF-8");
		memmove(line, line + 3, size - 3 + 1);
		size -= 3;
	}
	if (!check_characters(reader, line, size)) {
		if (line[0] == '[')
			reader->section = SECTION_LOST;
		return;
	}
	indent = span_blanks(line);
	if (line[indent] == '\0' || line[indent] == '#' || line[indent] == ';')
		return;
	if (indent > 0) {
		complain(reader, indent, "the line begins with a blank; there are no continuation lines");
		if (line[indent] == '[')
			reader->section = SECTION_LOST;
	} else if (line[0] == '[') {
		read_section(reader, line);
	} else {
		read_value(reader, line);
	}
}

static void read_raw_line(struct reader *reader, const char *text, size_t size, bool ended)
{
	char line[INI_LINE_MAX + 1];

	if (ended && size > 0 && text[size - 1] == '\r') {
		size--;
		if (!reader->carriage_return_reported)
			complain(reader, size, "the line ends in CR LF; lines must end in LF alone");
		reader->carriage_return_reported = true;
	}
	if (size > INI_LINE_MAX) {
		complain(reader, INI_LINE_MAX, "the line is longer than %d bytes", INI_LINE_MAX);
		if (text[0] == '[')
			reader->section = SECTION_LOST;
		return;
	}
	memcpy(line, text, size);
	line[size] = '\0';
	read_line(reader, line, size);
}

void ini_parse(const char *file, const char *text, size_t size, const struct ini_handler *handler, void *userdata)
{
	struct reader reader = { .handler = handler, .userdata = userdata, .file = file };

	while (size > 0) {
		const char *newline = memchr(text, '\n', size);
		size_t length = newline ? (size_t)(newline - text) : size;
		size_t consumed = newline ? length + 1 : length;

		reader.line++;
		read_raw_line(&reader, text, length, newline != NULL);
		text += consumed;
		size -= consumed;
	}
}
