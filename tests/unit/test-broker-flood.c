/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How many entries each user has, and that a crowd of users has no more than is promised. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/flood.h"

#define BEGIN 5000000u
#define END (BEGIN + FLOOD_INTERVAL_USEC)

static unsigned int admitted(struct flood *flood, int64_t uid, unsigned int n, uint64_t now)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < n; i++)
		count += flood_admits(flood, uid, now);
	return count;
}

static void expect_count(struct flood *flood, uint64_t now, int64_t uid, unsigned int n)
{
	unsigned int dropped;
	int64_t whose;

	assert_true(flood_take_count(flood, now, &whose, &dropped));
	assert_true(whose == uid);
	assert_int_equal(dropped, n);
}

static void expect_no_count(struct flood *flood, uint64_t now)
{
	unsigned int dropped;
	int64_t whose;

	assert_false(flood_take_count(flood, now, &whose, &dropped));
}

static void what_is_beyond_is_counted_once(void **state)
{
	struct flood flood = { 0 };

	assert_int_equal(admitted(&flood, 1000, FLOOD_BURST + 7, BEGIN), FLOOD_BURST);
	assert_true(flood_next_deadline(&flood) == END);
	expect_no_count(&flood, END - 1);
	expect_count(&flood, END, 1000, 7);
	expect_no_count(&flood, END);
	assert_true(flood_next_deadline(&flood) == UINT64_MAX);
}

static void a_new_interval_is_a_new_beginning(void **state)
{
	struct flood flood = { 0 };

	assert_int_equal(admitted(&flood, 0, FLOOD_BURST, BEGIN), FLOOD_BURST);
	assert_true(flood_next_deadline(&flood) == UINT64_MAX);
	assert_int_equal(admitted(&flood, 0, FLOOD_BURST, END), FLOOD_BURST);
	assert_int_equal(admitted(&flood, 0, 1, END + 1), 0);
	expect_count(&flood, END + FLOOD_INTERVAL_USEC, 0, 1);
	assert_int_equal(admitted(&flood, 0, 1, END + FLOOD_INTERVAL_USEC), 1);
}

static void users_do_not_share(void **state)
{
	struct flood flood = { 0 };

	assert_int_equal(admitted(&flood, 1000, 100, BEGIN), FLOOD_BURST);
	assert_int_equal(admitted(&flood, 1001, 100, BEGIN), FLOOD_BURST);
	expect_count(&flood, END, 1000, 100 - FLOOD_BURST);
	expect_count(&flood, END, 1001, 100 - FLOOD_BURST);
}

/* Whoever can be many users, by subordinate uids, has not more for it than all slots. */
static void a_crowd_shares_what_is_left(void **state)
{
	struct flood flood = { 0 };
	unsigned int n = 0;

	for (int64_t uid = 1; uid <= 1000; uid++)
		n += admitted(&flood, uid, FLOOD_BURST, BEGIN);
	assert_int_equal(n, FLOOD_SLOTS * FLOOD_BURST);
	assert_int_equal(admitted(&flood, 5, 1, BEGIN), 0);
	expect_count(&flood, END, 5, 1);
	expect_count(&flood, END, FLOOD_OTHERS, (1000 - FLOOD_SLOTS) * FLOOD_BURST);
	expect_no_count(&flood, END);
	/* Their slots are free for others then. */
	assert_int_equal(admitted(&flood, 2000, FLOOD_BURST + 1, END), FLOOD_BURST);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_beyond_is_counted_once),
		cmocka_unit_test(a_new_interval_is_a_new_beginning),
		cmocka_unit_test(users_do_not_share),
		cmocka_unit_test(a_crowd_shares_what_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
