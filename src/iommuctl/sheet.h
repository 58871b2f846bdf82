/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A sheet about one thing: lines "   Name: value", the names aligned at their colon. */
#ifndef IOMMUCTL_SHEET_H
#define IOMMUCTL_SHEET_H

#include "terminal.h"

struct sheet {
	FILE *stream;
	bool color;
};

/* One line; NULL `value` prints nothing, an empty `name` continues the former line's value. */
void sheet_add(const struct sheet *sheet, const char *name, enum style style, const char *value);
void sheet_format(const struct sheet *sheet, const char *name, enum style style, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#endif
