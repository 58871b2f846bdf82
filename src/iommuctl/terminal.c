/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names and messages come from hardware, policy files and other clients. None of them gets to steer the terminal: control
 * characters are replaced before they are printed.
 */
#include "terminal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const codes[] = {
	[STYLE_PLAIN] = "",
	[STYLE_BOLD] = "\033[1m",
	[STYLE_GOOD] = "\033[32m",
	[STYLE_BAD] = "\033[31m",
};

bool terminal_has_color(enum color_mode mode)
{
	const char *no_color = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	switch (mode) {
	case COLOR_ALWAYS:
		return true;
	case COLOR_NEVER:
		return false;
	case COLOR_AUTO:
		break;
	}
	return isatty(STDOUT_FILENO) && !(no_color && *no_color) && term && strcmp(term, "dumb") != 0;
}

/* C0 controls, DEL, and C1 controls as UTF-8 has them (0xc2 0x80 to 0xc2 0x9f). */
static bool is_control(const unsigned char *at)
{
	return *at < 0x20 || *at == 0x7f || (at[0] == 0xc2 && at[1] >= 0x80 && at[1] <= 0x9f);
}

void terminal_print(FILE *stream, bool color, enum style style, const char *text)
{
	bool colored = color && style != STYLE_PLAIN && *text;

	if (colored)
		fputs(codes[style], stream);
	for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
		bool control = is_control(at);

		fputc(control ? '?' : *at, stream);
		if (control && *at == 0xc2)
			at++;
	}
	if (colored)
		fputs("\033[0m", stream);
}

size_t terminal_width(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		if (((unsigned char)*text & 0xc0) != 0x80)
			width++;
	return width;
}
