/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/ini.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "util/cleanup.h"

/* Everything that the handler hears, a line each, as "LINE:COLUMN ..." */
struct heard {
	char text[8192];
	size_t used;
	size_t n_errors;
};

static void hear(struct heard *heard, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void hear(struct heard *heard, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	heard->used += vsnprintf(heard->text + heard->used, sizeof(heard->text) - heard->used, format, args);
	va_end(args);
	assert_true(heard->used < sizeof(heard->text));
}

static void on_section(void *userdata, const struct ini_place *place, const char *section)
{
	assert_string_equal(place->file, "a.ini");
	hear(userdata, "%u:%u [%s]\n", place->line, place->column, section);
}

static void on_value(void *userdata, const struct ini_place *key_place, const char *key,
		     const struct ini_place *value_place, const char *value)
{
	assert_int_equal(key_place->line, value_place->line);
	hear(userdata, "%u:%u %s, %u <%s>\n", key_place->line, key_place->column, key, value_place->column, value);
}

static void on_error(void *userdata, const struct ini_place *place, const char *message)
{
	struct heard *heard = userdata;

	heard->n_errors++;
	hear(heard, "%u:%u error: %s\n", place->line, place->column, message);
}

static const struct ini_handler handler = { on_section, on_value, on_error };

static void expect_bytes(const char *text, size_t size, const char *expected)
{
	struct heard heard = {};

	ini_parse("a.ini", text, size, &handler, &heard);
	assert_string_equal(heard.text, expected);
}

static void expect(const char *text, const char *expected)
{
	/* Of exactly its size, so that ASan sees a byte read beyond it. */
	size_t size = strlen(text);
	_cleanup_free_ char *copy = malloc(size ? size : 1);

	memcpy(copy, text, size);
	expect_bytes(copy, size, expected);
}

static void reads_sections_and_values(void **state)
{
	expect("[Match]\nVendor=8086\n\n[Grant]\nAction=allow\n",
	       "1:2 [Match]\n2:1 Vendor, 8 <8086>\n4:2 [Grant]\n5:1 Action, 8 <allow>\n");
	expect("", "");
	expect("\n\n", "");
}

static void needs_no_newline_at_the_end(void **state)
{
	expect("[A]\nb=c", "1:2 [A]\n2:1 b, 3 <c>\n");
	expect("[A]", "1:2 [A]\n");
}

static void passes_over_comments_and_blank_lines(void **state)
{
	expect("# one\n; two\n  # three\n\t; four\n \t \n[A]\n#[B]\n", "6:2 [A]\n");
}

static void drops_blanks_around_key_and_value(void **state)
{
	expect("[A] \t\nkey \t=\t some words \t\n", "1:2 [A]\n2:1 key, 9 <some words>\n");
}

static void keeps_values_as_they_are(void **state)
{
	expect("[A]\na=b=c\nd=\"e\" # no comment\nf=\\n\ng=\xc3\xa9\tx\n",
	       "1:2 [A]\n2:1 a, 3 <b=c>\n3:1 d, 3 <\"e\" # no comment>\n4:1 f, 3 <\\n>\n5:1 g, 3 <\xc3\xa9\tx>\n");
}

static void gives_empty_values_their_place(void **state)
{
	expect("[A]\nkey=\nkey = \t\n", "1:2 [A]\n2:1 key, 5 <>\n3:1 key, 8 <>\n");
}

static void refuses_keys_before_any_section(void **state)
{
	expect("a=b\n[A]\n", "1:1 error: 'a' stands before any [Section]\n2:2 [A]\n");
}

static void refuses_what_looks_like_a_continuation(void **state)
{
	expect("[A]\nUser=alice\n Group=bob\n\tcarol\n",
	       "1:2 [A]\n2:1 User, 6 <alice>\n"
	       "3:2 error: the line begins with a blank; there are no continuation lines\n"
	       "4:2 error: the line begins with a blank; there are no continuation lines\n");
}

static void passes_over_the_keys_of_an_indented_section(void **state)
{
	expect("[A]\n [B]\nc=d\n[E]\nf=g\n",
	       "1:2 [A]\n2:2 error: the line begins with a blank; there are no continuation lines\n4:2 [E]\n5:1 f, 3 <g>\n");
}

static void refuses_lines_that_are_neither(void **state)
{
	expect("[A]\nhello\n]\n\xc3\xa9\n", "1:2 [A]\n2:1 error: neither a [Section] nor a Key=Value line\n"
					    "3:1 error: neither a [Section] nor a Key=Value line\n"
					    "4:1 error: neither a [Section] nor a Key=Value line\n");
}

static void refuses_odd_keys_at_the_odd_character(void **state)
{
	expect("[A]\nven-dor=1\nven dor=1\n=1\n-=1\n",
	       "1:2 [A]\n2:4 error: keys are letters and digits, then '='\n"
	       "3:5 error: keys are letters and digits, then '='\n4:1 error: key missing before '='\n"
	       "5:1 error: keys are letters and digits, then '='\n");
}

static void goes_on_in_a_section_whose_line_is_damaged(void **state)
{
	expect("[A\nb=c\n[D] # e\nf=g\n[H]]\n",
	       "1:3 error: ']' missing after '[A'\n1:2 [A]\n2:1 b, 3 <c>\n"
	       "3:5 error: text after '[D]'; a comment needs a line of its own\n3:2 [D]\n4:1 f, 3 <g>\n"
	       "5:4 error: text after '[H]'; a comment needs a line of its own\n5:2 [H]\n");
}

static void passes_over_the_keys_of_a_section_without_a_name(void **state)
{
	expect("[A]\n[]\nb=c\n[d e]\nf=g\n[\nh=i\n[ B]\nc=d\n[B\x01]\nj=k\n",
	       "1:2 [A]\n2:2 error: section name missing\n4:3 error: section names are letters and digits, then ']'\n"
	       "6:2 error: section names are letters and digits, then ']'\n"
	       "8:2 error: section names are letters and digits, then ']'\n10:3 error: control character 0x01\n");
}

static void still_reads_broken_lines_of_a_lost_section(void **state)
{
	expect("[]\nnonsense\n",
	       "1:2 error: section name missing\n2:1 error: neither a [Section] nor a Key=Value line\n");
}

static void refuses_control_characters(void **state)
{
	expect("[A]\nb=c\x1b[0m\nd=\x7f\ne=\xc2\x85\nf=a\rb\n#\x08\n",
	       "1:2 [A]\n2:4 error: control character 0x1b\n3:3 error: control character 0x7f\n"
	       "4:3 error: control character 0x85\n5:4 error: control character 0x0d\n6:2 error: control character 0x08\n");
}

static void refuses_nul_at_its_place(void **state)
{
	expect_bytes("[A]\nb=c\0d\ne=f\n", 13, "1:2 [A]\n2:4 error: control character 0x00\n3:1 e, 3 <f>\n");
	expect_bytes("\0", 1, "1:1 error: control character 0x00\n");
}

static void complains_of_cr_lf_once_and_reads_on(void **state)
{
	expect("[A]\r\nb=c\r\nd=e\r\n",
	       "1:4 error: the line ends in CR LF; lines must end in LF alone\n1:2 [A]\n2:1 b, 3 <c>\n3:1 d, 3 <e>\n");
}

static void refuses_a_cr_without_lf_at_the_end(void **state)
{
	expect("[A]\nb=c\r", "1:2 [A]\n2:4 error: control character 0x0d\n");
}

static void refuses_what_is_not_utf8(void **state)
{
	static const char *const bad[] = {
		"\x80",
		"\xff",
		"\xc3",
		"\xc3(",
		"\xc0\xaf",
		"\xc1\xbf",
		"\xe0\x80\xaf",
		"\xe2\x82",
		"\xe2(\xac",
		"\xe2\x82(",
		"\xed\xa0\x80",
		"\xf0\x80\x80\xaf",
		"\xf0\x9f\x98",
		"\xf4\x90\x80\x80",
		"\xf5\x80\x80\x80",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char text[32], expected[80];

		snprintf(text, sizeof(text), "[A]\nb=x%s", bad[i]);
		snprintf(expected, sizeof(expected), "1:2 [A]\n2:4 error: byte 0x%02x is not UTF-8\n",
			 (unsigned char)bad[i][0]);
		expect(text, expected);
	}
}

static void takes_all_of_utf8(void **state)
{
	expect("[A]\nb=\xc2\xa0 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf \xef\xbf\xbd \xf0\x90\x80\x80 \xf4\x8f\xbf\xbf\n",
	       "1:2 [A]\n2:1 b, 3 <\xc2\xa0 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf \xef\xbf\xbd \xf0\x90\x80\x80 "
	       "\xf4\x8f\xbf\xbf>\n");
}

static void names_a_byte_order_mark_and_reads_on(void **state)
{
	expect("\xef\xbb\xbf[A]\nb=c\n",
	       "1:1 error: the file begins with a byte order mark; save it as plain UTF-8\n1:2 [A]\n2:1 b, 3 <c>\n");
}

static void limits_lines(void **state)
{
	char text[INI_LINE_MAX + 64];
	struct heard heard = {};
	int n = snprintf(text, sizeof(text), "[A]\nb=");

	memset(text + n, 'x', INI_LINE_MAX - 2);
	text[n + INI_LINE_MAX - 2] = '\n';
	ini_parse("a.ini", text, n + INI_LINE_MAX - 1, &handler, &heard);
	assert_int_equal(heard.n_errors, 0);
	assert_true(heard.used > INI_LINE_MAX - 2);

	memcpy(text + n + INI_LINE_MAX - 2, "x\n[C]\n", 6);
	expect_bytes(text, n + INI_LINE_MAX + 4,
		     "1:2 [A]\n2:4097 error: the line is longer than 4096 bytes\n3:2 [C]\n");
}

static void loses_the_section_of_an_overlong_section_line(void **state)
{
	char text[INI_LINE_MAX + 64] = "[A]\n[";

	memset(text + 5, 'x', INI_LINE_MAX);
	memcpy(text + 5 + INI_LINE_MAX, "]\nb=c\n", 6);
	expect_bytes(text, 5 + INI_LINE_MAX + 6, "1:2 [A]\n2:4097 error: the line is longer than 4096 bytes\n");
}

static void reports_every_bad_line_of_a_file(void **state)
{
	struct heard heard = {};
	const char *text = "x\n[A]\n y\n=\n[\nok=1\n[B]\nb=\x01\n";

	ini_parse("a.ini", text, strlen(text), &handler, &heard);
	assert_int_equal(heard.n_errors, 5);
}

/* Cutting a text anywhere must neither crash nor read beyond its end, and never make another value of a whole line. */
static void survives_every_truncation(void **state)
{
	const char *text = "# c\n[Match]\nVendor = 8086\n\xc3\xa9=\xf0\x9f\x98\x80\n[x\n k=v\r\n[Grant]\nAction=deny\n";

	for (size_t size = 0; size <= strlen(text); size++) {
		_cleanup_free_ char *copy = malloc(size ? size : 1);
		struct heard heard = {};

		memcpy(copy, text, size);
		ini_parse("a.ini", copy, size, &handler, &heard);
		assert_int_equal(strstr(heard.text, "Vendor, 10 <8086>") != NULL, size >= 25);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_sections_and_values),
		cmocka_unit_test(needs_no_newline_at_the_end),
		cmocka_unit_test(passes_over_comments_and_blank_lines),
		cmocka_unit_test(drops_blanks_around_key_and_value),
		cmocka_unit_test(keeps_values_as_they_are),
		cmocka_unit_test(gives_empty_values_their_place),
		cmocka_unit_test(refuses_keys_before_any_section),
		cmocka_unit_test(refuses_what_looks_like_a_continuation),
		cmocka_unit_test(passes_over_the_keys_of_an_indented_section),
		cmocka_unit_test(refuses_lines_that_are_neither),
		cmocka_unit_test(refuses_odd_keys_at_the_odd_character),
		cmocka_unit_test(goes_on_in_a_section_whose_line_is_damaged),
		cmocka_unit_test(passes_over_the_keys_of_a_section_without_a_name),
		cmocka_unit_test(still_reads_broken_lines_of_a_lost_section),
		cmocka_unit_test(refuses_control_characters),
		cmocka_unit_test(refuses_nul_at_its_place),
		cmocka_unit_test(complains_of_cr_lf_once_and_reads_on),
		cmocka_unit_test(refuses_a_cr_without_lf_at_the_end),
		cmocka_unit_test(refuses_what_is_not_utf8),
		cmocka_unit_test(takes_all_of_utf8),
		cmocka_unit_test(names_a_byte_order_mark_and_reads_on),
		cmocka_unit_test(limits_lines),
		cmocka_unit_test(loses_the_section_of_an_overlong_section_line),
		cmocka_unit_test(reports_every_bad_line_of_a_file),
		cmocka_unit_test(survives_every_truncation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
