/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Aligned output, colours, and control characters that stay out of the terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "iommuctl/sheet.h"
#include "iommuctl/table.h"
#include "util/cleanup.h"

static const char *const headings[] = { "NAME", "N", "REST", NULL };

static void assert_prints(const struct table *table, bool legend, bool color, const char *expected)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);

	assert_non_null(stream);
	assert_int_equal(table_print(table, stream, legend, color), 0);
	fclose(stream);
	assert_string_equal(text, expected);
}

static void columns_are_as_wide_as_their_widest_cell(void **state)
{
	_cleanup_table_ struct table *table = table_new(headings);

	table_add(table, "a");
	table_add_number(table, 1234567);
	table_add(table, "x");
	table_add(table, "longer");
	table_add_number(table, 2);
	table_add(table, "y z");
	assert_prints(table, true, false,
		      "NAME    N        REST\n"
		      "a       1234567  x\n"
		      "longer  2        y z\n");
	assert_prints(table, false, false,
		      "a       1234567  x\n"
		      "longer  2        y z\n");
}

static void headings_count_only_when_they_show(void **state)
{
	_cleanup_table_ struct table *table = table_new(headings);

	table_add(table, "a");
	table_add(table, "b");
	table_add(table, "c");
	assert_prints(table, false, false, "a  b  c\n");
	assert_prints(table, true, false, "NAME  N  REST\na     b  c\n");
}

static void what_is_missing_is_a_dash(void **state)
{
	_cleanup_table_ struct table *table = table_new(headings);

	table_add(table, NULL);
	table_add_number(table, -1);
	table_add_number(table, 0);
	assert_prints(table, false, false, "-  -  0\n");
}

static void lines_have_no_blanks_at_their_end(void **state)
{
	_cleanup_table_ struct table *table = table_new(headings);

	for (int i = 0; i < 2; i++) {
		table_add(table, i == 0 ? "a" : "");
		table_add(table, "");
		table_add(table, i == 0 ? "" : "z");
	}
	assert_prints(table, true, false, "NAME  N  REST\na\n         z\n");
}

static void an_empty_table_has_its_headings(void **state)
{
	_cleanup_table_ struct table *table = table_new(headings);

	assert_prints(table, true, false, "NAME  N  REST\n");
	assert_prints(table, false, false, "");
}

static void a_row_that_is_not_whole_does_not_show(void **state)
{
	_cleanup_table_ struct table *table = table_new(headings);

	table_add(table, "a");
	assert_prints(table, false, false, "");
}

static void many_rows_fit(void **state)
{
	_cleanup_table_ struct table *table = table_new(headings);
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);

	for (int i = 0; i < 3000; i++)
		table_add_number(table, i % 10);
	assert_int_equal(table_print(table, stream, false, false), 0);
	fclose(stream);
	assert_int_equal(size, 1000 * strlen("0  1  2\n"));
}

static void characters_are_counted_not_bytes(void **state)
{
	_cleanup_table_ struct table *table = table_new(headings);

	table_add(table, "\xc3\xa4\xc3\xb6"); /* two letters, four bytes */
	table_add(table, "1");
	table_add(table, "2");
	table_add(table, "abc");
	table_add(table, "1");
	table_add(table, "2");
	assert_prints(table, false, false, "\xc3\xa4\xc3\xb6   1  2\nabc  1  2\n");
}

static void colours_do_not_count(void **state)
{
	_cleanup_table_ struct table *table = table_new(headings);

	table_add_styled(table, STYLE_GOOD, "yes");
	table_add(table, "1");
	table_add_styled(table, STYLE_BAD, "no");
	assert_prints(table, true, true,
		      "\033[1mNAME\033[0m  \033[1mN\033[0m  \033[1mREST\033[0m\n"
		      "\033[32myes\033[0m   1  \033[31mno\033[0m\n");
}

static void control_characters_are_replaced(void **state)
{
	_cleanup_table_ struct table *table = table_new(headings);

	table_add(table, "a\033[31m");
	table_add(table, "\n\t\x7f");
	table_add(table, "\xc2\x9b"
			 "1m\xc2\xa0"); /* the C1 form of ESC [, and a blank that is none of them */
	assert_prints(table, false, false, "a?[31m  ???  ?1m\xc2\xa0\n");
}

static void colour_follows_mode_and_environment(void **state)
{
	/* Standard output is no terminal here. */
	assert_true(terminal_has_color(COLOR_ALWAYS));
	assert_false(terminal_has_color(COLOR_NEVER));
	assert_false(terminal_has_color(COLOR_AUTO));
	setenv("NO_COLOR", "1", 1);
	assert_true(terminal_has_color(COLOR_ALWAYS));
	unsetenv("NO_COLOR");
}

static void a_sheet_is_aligned_at_its_colons(void **state)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	struct sheet sheet = { open_memstream(&text, &size), false };

	sheet_add(&sheet, "Name", STYLE_PLAIN, "a");
	sheet_add(&sheet, "Missing", STYLE_PLAIN, NULL);
	sheet_format(&sheet, "Longer name", STYLE_BAD, "%d\033", 5);
	sheet_add(&sheet, "", STYLE_PLAIN, "more");
	fclose(sheet.stream);
	assert_string_equal(text, "              Name: a\n"
				  "       Longer name: 5?\n"
				  "                    more\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
		cmocka_unit_test(headings_count_only_when_they_show),
		cmocka_unit_test(what_is_missing_is_a_dash),
		cmocka_unit_test(lines_have_no_blanks_at_their_end),
		cmocka_unit_test(an_empty_table_has_its_headings),
		cmocka_unit_test(a_row_that_is_not_whole_does_not_show),
		cmocka_unit_test(many_rows_fit),
		cmocka_unit_test(characters_are_counted_not_bytes),
		cmocka_unit_test(colours_do_not_count),
		cmocka_unit_test(control_characters_are_replaced),
		cmocka_unit_test(colour_follows_mode_and_environment),
		cmocka_unit_test(a_sheet_is_aligned_at_its_colons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
