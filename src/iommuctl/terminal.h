/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What goes to a terminal: colours where wanted, and no control characters from others. */
#ifndef IOMMUCTL_TERMINAL_H
#define IOMMUCTL_TERMINAL_H

#include <stdio.h>

#include "iommuctl.h"

enum style {
	STYLE_PLAIN,
	STYLE_BOLD,
	STYLE_GOOD,
	STYLE_BAD,
};

/* Whether standard output is to be coloured: by mode, or when it is a terminal and NO_COLOR does not forbid. */
bool terminal_has_color(enum color_mode mode);

/* Prints `text`, in colour if `color`, control characters replaced by '?'. */
void terminal_print(FILE *stream, bool color, enum style style, const char *text);

/* Columns that terminal_print() takes: characters of UTF-8, not bytes. */
size_t terminal_width(const char *text);

#endif
