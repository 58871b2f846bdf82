/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who holds which group: the table itself, on a broker that has nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>

#include "broker/internal.h"
#include "fail-alloc.h"

static struct lease *lease_of(unsigned int first, unsigned int second)
{
	struct lease *lease = lease_new(NULL, 2, 0);

	assert_non_null(lease);
	lease->devices[0]->group = first;
	lease->devices[1]->group = second;
	return lease;
}

static void a_group_is_held_until_it_is_let_go(void **state)
{
	struct broker broker = { .leases = LIST_HEAD_INIT(broker.leases) };
	struct lease *lease = lease_of(0, 200);

	assert_null(broker_group_holder(&broker, 0));
	assert_int_equal(groups_hold(&broker, lease), 0);
	assert_ptr_equal(broker_group_holder(&broker, 0), lease);
	assert_ptr_equal(broker_group_holder(&broker, 200), lease);
	assert_null(broker_group_holder(&broker, 1));
	assert_null(broker_group_holder(&broker, UINT32_MAX));
	groups_let_go(&broker, lease);
	assert_null(broker_group_holder(&broker, 0));
	assert_null(broker_group_holder(&broker, 200));
	lease_free(lease);
	free(broker.groups);
}

static void what_another_holds_is_not_let_go(void **state)
{
	struct broker broker = { .leases = LIST_HEAD_INIT(broker.leases) };
	struct lease *old = lease_of(1, 2), *young = lease_of(2, 3);

	assert_int_equal(groups_hold(&broker, old), 0);
	assert_int_equal(groups_hold(&broker, young), 0);
	groups_let_go(&broker, old);
	assert_null(broker_group_holder(&broker, 1));
	assert_ptr_equal(broker_group_holder(&broker, 2), young);
	assert_ptr_equal(broker_group_holder(&broker, 3), young);
	groups_let_go(&broker, young);
	groups_let_go(&broker, young);
	assert_null(broker_group_holder(&broker, 2));
	lease_free(old);
	lease_free(young);
	free(broker.groups);
}

/* After a restart, devices of one group are a lease each. */
static void a_group_of_two_leases_is_held_until_both_are_over(void **state)
{
	struct broker broker = { .leases = LIST_HEAD_INIT(broker.leases) };
	struct lease *first = lease_of(1, 2), *second = lease_of(2, 3);

	list_append(&broker.leases, &first->link);
	list_append(&broker.leases, &second->link);
	assert_int_equal(groups_hold(&broker, first), 0);
	assert_int_equal(groups_hold(&broker, second), 0);
	groups_let_go(&broker, second);
	assert_ptr_equal(broker_group_holder(&broker, 2), first);
	assert_null(broker_group_holder(&broker, 3));
	lease_free(second);
	groups_let_go(&broker, first);
	assert_null(broker_group_holder(&broker, 2));
	lease_free(first);
	free(broker.groups);
}

static void the_table_grows_and_keeps_what_is_in_it(void **state)
{
	struct broker broker = { .leases = LIST_HEAD_INIT(broker.leases) };

	for (unsigned int group = 0; group < 5000; group += 7) {
		struct group_state *entry = group_state_get(&broker, group);

		assert_non_null(entry);
		assert_null(entry->holder);
		assert_false(entry->known);
		entry->fingerprint = group + 1;
	}
	for (unsigned int group = 0; group < 5000; group++)
		assert_int_equal(group_state_get(&broker, group)->fingerprint, group % 7 ? 0 : group + 1);
	free(broker.groups);
}

static void a_number_beyond_reason_is_refused(void **state)
{
	struct broker broker = { .leases = LIST_HEAD_INIT(broker.leases) };
	struct lease *lease = lease_of(1, 1u << 20);

	assert_non_null(group_state_get(&broker, (1u << 20) - 1));
	assert_null(group_state_get(&broker, 1u << 20));
	assert_null(group_state_get(&broker, UINT32_MAX));
	assert_int_equal(groups_hold(&broker, lease), -ENOMEM);
	/* All or nothing. */
	assert_null(broker_group_holder(&broker, 1));
	groups_let_go(&broker, lease);
	lease_free(lease);
	free(broker.groups);
}

static void without_memory_no_group_is_held(void **state)
{
	struct broker broker = { .leases = LIST_HEAD_INIT(broker.leases) };
	struct lease *lease = lease_of(1, 100);

	for (unsigned int n = 1; n <= 2; n++) {
		fail_alloc_begin(n);
		assert_int_equal(groups_hold(&broker, lease), -ENOMEM);
		assert_true(fail_alloc_end());
		assert_null(broker_group_holder(&broker, 1));
		assert_null(broker_group_holder(&broker, 100));
		free(broker.groups);
		broker = (struct broker){ 0 };
	}
	assert_int_equal(groups_hold(&broker, lease), 0);
	lease_free(lease);
	free(broker.groups);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_group_is_held_until_it_is_let_go),
		cmocka_unit_test(what_another_holds_is_not_let_go),
		cmocka_unit_test(a_group_of_two_leases_is_held_until_both_are_over),
		cmocka_unit_test(the_table_grows_and_keeps_what_is_in_it),
		cmocka_unit_test(a_number_beyond_reason_is_refused),
		cmocka_unit_test(without_memory_no_group_is_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
