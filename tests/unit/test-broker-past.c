/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is remembered of devices: found again by address and ids, forgotten when told, kept in order however it comes in. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "broker/past.h"
#include "fail-alloc.h"

#define N_DEVICES 100

static struct device_id id_of(unsigned int number)
{
	struct device_id id = { .vendor = 0x8086, .device = 0x10d3 };

	snprintf(id.address, sizeof(id.address), "0000:%02x:00.0", number);
	return id;
}

static void nothing_is_known_at_first(void **state)
{
	struct past past = { 0 };
	struct device_id id = id_of(1);

	assert_null(past_find(&past, &id));
	past_forget(&past, id.address);
	assert_int_equal(past_reserve(&past, &id), 0);
	assert_false(past_find(&past, &id)->had);
	assert_false(past_find(&past, &id)->quarantined);
	past_clear(&past);
}

static void remembers_each_of_many(void **state)
{
	struct past past = { 0 };

	/* 37 and 100 have no common divisor: each once, in no order. */
	for (unsigned int i = 0; i < N_DEVICES; i++) {
		struct device_id id = id_of(i * 37 % N_DEVICES);

		assert_int_equal(past_reserve(&past, &id), 0);
		past_find(&past, &id)->uid = i * 37 % N_DEVICES;
	}
	for (unsigned int i = 0; i < N_DEVICES; i += 2)
		past_forget(&past, id_of(i).address);
	assert_int_equal(past.n, N_DEVICES / 2);
	for (unsigned int i = 0; i < N_DEVICES; i++) {
		struct device_id id = id_of(i);

		if (i % 2)
			assert_int_equal(past_find(&past, &id)->uid, i);
		else
			assert_null(past_find(&past, &id));
	}
	past_clear(&past);
}

static void what_is_said_of_a_device_stays_when_room_is_made_again(void **state)
{
	struct past past = { 0 };
	struct device_id id = id_of(1);

	assert_int_equal(past_reserve(&past, &id), 0);
	past_find(&past, &id)->quarantined = true;
	assert_int_equal(past_reserve(&past, &id), 0);
	assert_true(past_find(&past, &id)->quarantined);
	past_clear(&past);
}

static void another_device_at_the_address_has_no_past(void **state)
{
	struct past past = { 0 };
	struct device_id id = id_of(1), other = id;

	assert_int_equal(past_reserve(&past, &id), 0);
	past_find(&past, &id)->quarantined = true;
	other.subsystem_device = 1;
	assert_null(past_find(&past, &other));
	assert_int_equal(past_reserve(&past, &other), 0);
	assert_false(past_find(&past, &other)->quarantined);
	assert_null(past_find(&past, &id));
	assert_int_equal(past.n, 1);
	past_clear(&past);
}

static void without_memory_the_rest_stays(void **state)
{
	struct past past = { 0 };
	struct device_id id = id_of(0);
	bool failed = false;

	for (unsigned int i = 0; i < N_DEVICES && !failed; i++) {
		id = id_of(i);
		fail_alloc_begin(i == 0 ? 2 : 1);
		failed = past_reserve(&past, &id) < 0;
		assert_int_equal(fail_alloc_end(), failed);
	}
	assert_true(failed);
	assert_true(past.n > 0);
	assert_null(past_find(&past, &id));
	id = id_of(0);
	assert_non_null(past_find(&past, &id));
	past_clear(&past);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_known_at_first),
		cmocka_unit_test(remembers_each_of_many),
		cmocka_unit_test(what_is_said_of_a_device_stays_when_room_is_made_again),
		cmocka_unit_test(another_device_at_the_address_has_no_past),
		cmocka_unit_test(without_memory_the_rest_stays),
	};

	return cmocka_run_group_tests_name("broker-past", tests, NULL, NULL);
}
