/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "util/text.h"

static void assert_copied(const char *text, size_t size, const char *expected)
{
	char buffer[64];

	memset(buffer, 'x', sizeof(buffer));
	text_copy_printable(buffer, size, text);
	assert_string_equal(buffer, expected);
	/* Not a byte beyond what it was given. */
	for (size_t i = size; i < sizeof(buffer); i++)
		assert_int_equal(buffer[i], 'x');
}

static void keeps_what_can_be_shown(void **state)
{
	assert_copied("", 1, "");
	assert_copied("0000:01:00.0", 40, "0000:01:00.0");
	assert_copied(" !~", 4, " !~");
}

static void cuts_what_does_not_fit(void **state)
{
	assert_copied("abc", 1, "");
	assert_copied("abc", 3, "ab");
	assert_copied("\xc3\xa4\xc3\xa4", 4, "???");
}

static void puts_a_mark_for_every_other_byte(void **state)
{
	for (int c = 1; c < 256; c++) {
		char text[] = { 'a', (char)c, 'b', '\0' };
		char expected[] = { 'a', c >= 0x20 && c < 0x7f ? (char)c : '?', 'b', '\0' };

		assert_copied(text, 10, expected);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_what_can_be_shown),
		cmocka_unit_test(cuts_what_does_not_fit),
		cmocka_unit_test(puts_a_mark_for_every_other_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
