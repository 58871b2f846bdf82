/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The quota table against a naive model, with random operations on uids that collide and on many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "broker/quota.h"
#include "fail-alloc.h"

#define MODEL_SIZE 512
#define STEPS 200000

/* A count for each of MODEL_SIZE uids, which `uid_of` spreads. */
struct model {
	unsigned int counts[MODEL_SIZE];
	uid_t (*uid_of)(unsigned int i);
};

static uid_t dense(unsigned int i)
{
	return i;
}

/* All of them fall into few slots, whatever the size of the table. */
static uid_t colliding(unsigned int i)
{
	return i << 20;
}

static uid_t high(unsigned int i)
{
	return UINT32_MAX - i;
}

/* xorshift: the same numbers in each run. */
static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static void compare(const struct quota *quota, const struct model *model)
{
	size_t n = 0;

	for (unsigned int i = 0; i < MODEL_SIZE; i++) {
		assert_int_equal(quota_count(quota, model->uid_of(i)), model->counts[i]);
		n += model->counts[i] > 0;
	}
	assert_int_equal(quota->n, n);
	assert_true(quota->size >= n * 2 || n == 0);
	assert_int_equal(quota->size & (quota->size - 1), 0);
}

static void run(uid_t (*uid_of)(unsigned int i), unsigned int n_uids, uint32_t seed)
{
	struct model model = { .uid_of = uid_of };
	struct quota quota = { 0 };

	for (unsigned int step = 0; step < STEPS; step++) {
		uint32_t random = next_random(&seed);
		unsigned int i = (random >> 8) % n_uids;
		/* Phases of growth and of decline. */
		bool take = (random & 0xff) < (step / 5000 % 2 ? 96 : 160);

		if (take) {
			assert_int_equal(quota_take(&quota, uid_of(i)), 0);
			model.counts[i]++;
		} else {
			quota_give(&quota, uid_of(i)); /* of one that has none: nothing happens */
			model.counts[i] -= model.counts[i] > 0;
		}
		assert_int_equal(quota_count(&quota, uid_of(i)), model.counts[i]);
		if (step % 1000 == 0)
			compare(&quota, &model);
	}
	compare(&quota, &model);
	for (unsigned int i = 0; i < n_uids; i++)
		for (; model.counts[i]; model.counts[i]--)
			quota_give(&quota, uid_of(i));
	compare(&quota, &model);
	quota_clear(&quota);
	assert_null(quota.entries);
}

static void counts_as_the_model_does(void **state)
{
	run(dense, 12, 1);
	run(dense, MODEL_SIZE, 2);
	run(high, MODEL_SIZE, 3);
}

static void counts_when_uids_collide(void **state)
{
	run(colliding, 7, 4);
	run(colliding, 40, 5);
	run(colliding, MODEL_SIZE, 6);
}

static void an_empty_table_counts_nothing(void **state)
{
	struct quota quota = { 0 };

	assert_int_equal(quota_count(&quota, 0), 0);
	quota_give(&quota, 0);
	assert_int_equal(quota_count(&quota, 0), 0);
	quota_clear(&quota);
	quota_clear(&quota);
}

static void one_uid_does_not_make_the_table_grow(void **state)
{
	struct quota quota = { 0 };

	for (int i = 0; i < 10000; i++)
		assert_int_equal(quota_take(&quota, 7), 0);
	assert_int_equal(quota_count(&quota, 7), 10000);
	assert_int_equal(quota.n, 1);
	assert_true(quota.size <= 16);
	quota_clear(&quota);
}

static void without_memory_nothing_is_counted_and_nothing_lost(void **state)
{
	struct quota quota = { 0 };
	uid_t uid = 0;

	fail_alloc_begin(1);
	assert_int_equal(quota_take(&quota, 0), -ENOMEM);
	assert_true(fail_alloc_end());
	assert_int_equal(quota_count(&quota, 0), 0);
	/* Fill it up to where it must grow. */
	for (; quota.size == 0 || quota.n * 2 < quota.size; uid++)
		assert_int_equal(quota_take(&quota, uid), 0);
	fail_alloc_begin(1);
	assert_int_equal(quota_take(&quota, uid), -ENOMEM);
	assert_true(fail_alloc_end());
	assert_int_equal(quota_count(&quota, uid), 0);
	for (uid_t other = 0; other < uid; other++)
		assert_int_equal(quota_count(&quota, other), 1);
	assert_int_equal(quota_take(&quota, uid), 0);
	assert_int_equal(quota_count(&quota, uid), 1);
	quota_clear(&quota);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_as_the_model_does),
		cmocka_unit_test(counts_when_uids_collide),
		cmocka_unit_test(an_empty_table_counts_nothing),
		cmocka_unit_test(one_uid_does_not_make_the_table_grow),
		cmocka_unit_test(without_memory_nothing_is_counted_and_nothing_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
