/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Prints at once and owns nothing. */
#include "sheet.h"

#include <stdarg.h>
#include <stdio.h>

#define NAME_WIDTH 18

void sheet_add(const struct sheet *sheet, const char *name, enum style style, const char *value)
{
	if (!value)
		return;
	fprintf(sheet->stream, "%*s", NAME_WIDTH - (int)terminal_width(name), "");
	terminal_print(sheet->stream, sheet->color, STYLE_BOLD, name);
	fputs(*name ? ": " : "  ", sheet->stream);
	terminal_print(sheet->stream, sheet->color, style, value);
	fputc('\n', sheet->stream);
}

void sheet_format(const struct sheet *sheet, const char *name, enum style style, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	sheet_add(sheet, name, style, text ? text : "(out of memory)");
}
