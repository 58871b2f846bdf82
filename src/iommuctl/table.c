/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A table owns its cells, one array for all rows. Widths are computed when it is printed. */
#include "table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

#define GAP 2 /* blanks between columns */

struct cell {
	char *text;
	enum style style;
};

struct table {
	const char *const *headings;
	size_t n_columns;
	struct cell *cells;
	size_t n_cells;
	size_t n_allocated;
	bool failed;
};

struct table *table_new(const char *const *headings)
{
	struct table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->headings = headings;
	while (headings[table->n_columns])
		table->n_columns++;
	return table;
}

struct table *table_free(struct table *table)
{
	if (!table)
		return NULL;
	for (size_t i = 0; i < table->n_cells; i++)
		free(table->cells[i].text);
	free(table->cells);
	free(table);
	return NULL;
}

static bool table_reserve(struct table *table)
{
	size_t n = table->n_allocated ? table->n_allocated * 2 : 64;
	struct cell *cells;

	if (table->n_cells < table->n_allocated)
		return true;
	cells = reallocarray(table->cells, n, sizeof(*cells));
	if (!cells)
		return false;
	table->cells = cells;
	table->n_allocated = n;
	return true;
}

void table_add_styled(struct table *table, enum style style, const char *text)
{
	char *copy = strdup(text ? text : "-");

	if (!copy || !table_reserve(table)) {
		free(copy);
		table->failed = true;
		return;
	}
	table->cells[table->n_cells++] = (struct cell){ copy, style };
}

void table_add(struct table *table, const char *text)
{
	table_add_styled(table, STYLE_PLAIN, text);
}

void table_add_number(struct table *table, long long number)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", number);
	table_add(table, number < 0 ? NULL : text);
}

/* The cells are looked at row by row, so that a column's width is the maximum of every n-th one. */
static void measure(const struct table *table, bool legend, size_t *widths)
{
	for (size_t i = 0; i < table->n_columns; i++)
		widths[i] = legend ? terminal_width(table->headings[i]) : 0;
	for (size_t i = 0; i < table->n_cells; i++) {
		size_t width = terminal_width(table->cells[i].text);

		if (width > widths[i % table->n_columns])
			widths[i % table->n_columns] = width;
	}
}

/* Blanks are owed to a cell and paid by the next one that is not empty. Returns what is still owed. */
static size_t print_cell(FILE *stream, bool color, const struct cell *cell, size_t width, size_t owed)
{
	if (*cell->text) {
		fprintf(stream, "%*s", (int)owed, "");
		terminal_print(stream, color, cell->style, cell->text);
		owed = 0;
	}
	return owed + width - terminal_width(cell->text) + GAP;
}

static void print_row(const struct table *table, FILE *stream, bool color, const struct cell *row, const size_t *widths)
{
	size_t owed = 0;

	for (size_t i = 0; i < table->n_columns; i++)
		owed = print_cell(stream, color, &row[i], widths[i], owed);
	fputc('\n', stream);
}

int table_print(const struct table *table, FILE *stream, bool legend, bool color)
{
	_cleanup_free_ size_t *widths = calloc(table->n_columns, sizeof(*widths));
	_cleanup_free_ struct cell *headings = calloc(table->n_columns, sizeof(*headings));

	if (!widths || !headings || table->failed)
		return -ENOMEM;
	measure(table, legend, widths);
	for (size_t i = 0; i < table->n_columns; i++)
		headings[i] = (struct cell){ (char *)table->headings[i], STYLE_BOLD };
	if (legend)
		print_row(table, stream, color, headings, widths);
	for (size_t i = 0; i + table->n_columns <= table->n_cells; i += table->n_columns)
		print_row(table, stream, color, &table->cells[i], widths);
	return 0;
}
