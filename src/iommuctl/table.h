/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Aligned output: rows of cells, each column as wide as its widest cell. */
#ifndef IOMMUCTL_TABLE_H
#define IOMMUCTL_TABLE_H

#include <stdio.h>

#include "terminal.h"

struct table;

/* A table with these columns (NULL-terminated, borrowed for the table's life). NULL when out of memory. */
struct table *table_new(const char *const *headings);
/* Accepts NULL, returns NULL. */
struct table *table_free(struct table *table);

/*
 * Adds the next cell; rows fill from left to right. `text` is copied; NULL is "-". When memory runs out, table_print()
 * says so.
 */
void table_add(struct table *table, const char *text);
void table_add_styled(struct table *table, enum style style, const char *text);
/* A number; negative is "-". */
void table_add_number(struct table *table, long long number);

/* Prints the rows, with bold headings first if `legend`. Lines have no blanks at their end. 0 or -ENOMEM. */
int table_print(const struct table *table, FILE *stream, bool legend, bool color);

DEFINE_CLEANUP(table, struct table *, table_free)
#define _cleanup_table_ _cleanup_(cleanup_table)

#endif
