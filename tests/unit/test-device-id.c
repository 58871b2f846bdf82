/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which texts may name a file below a bus's devices folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/device-id.h"

static void addresses_of_every_bus_are_valid(void **state)
{
	static const char *const valid[] = { "0000:01:00.0",
					     "10000:e1:00.7",
					     "a",
					     "fff51000.ethernet",
					     "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001",
					     "AMDI0030:00",
					     "dma_0",
					     "a..b",
					     "-",
					     "123456789012345678901234567890123456789" };

	for (size_t i = 0; i < ARRAY_SIZE(valid); i++)
		assert_true(device_address_is_valid(valid[i]));
}

static void what_could_leave_the_folder_is_no_address(void **state)
{
	static const char *const invalid[] = { "",
					       ".",
					       "..",
					       ".hidden",
					       "/",
					       "a/b",
					       "../../etc/passwd",
					       "0000:01:00.0/",
					       "0000:01:00.0\n",
					       " a",
					       "a b",
					       "a\tb",
					       "*",
					       "a\\b",
					       "\xc3\xa4",
					       "1234567890123456789012345678901234567890" };

	for (size_t i = 0; i < ARRAY_SIZE(invalid); i++)
		assert_false(device_address_is_valid(invalid[i]));
}

/* Each byte by itself, against the sentence in the header. */
static void every_character_is_as_the_header_says(void **state)
{
	static const char allowed[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz:._-";

	for (int c = 1; c < 256; c++) {
		char text[] = { 'a', (char)c, '\0' };

		assert_int_equal(device_address_is_valid(text), strchr(allowed, c) != NULL);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_of_every_bus_are_valid),
		cmocka_unit_test(what_could_leave_the_folder_is_no_address),
		cmocka_unit_test(every_character_is_as_the_header_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
