/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The lease object and its state table: every pair of states, and what an illegal step does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/lease.h"
#include "fail-alloc.h"
#include "open-fds.h"
#include "util/cleanup.h"

/* Rows: from, columns: to; R requested, P preparing, A active, V violated, E releasing, L lingering, D released, F failed. */
static const char *const table[LEASE_STATES] = {
	/*                     RPAVELDF */
	[LEASE_REQUESTED] = "-x--x--x", [LEASE_PREPARING] = "--x-x--x", [LEASE_ACTIVE] = "---xx---",
	[LEASE_VIOLATED] = "--x-x---",  [LEASE_RELEASING] = "-----xx-", [LEASE_LINGERING] = "------x-",
	[LEASE_RELEASED] = "--------",  [LEASE_FAILED] = "--------",
};

static const char *const names[LEASE_STATES] = {
	[LEASE_REQUESTED] = "requested", [LEASE_PREPARING] = "preparing", [LEASE_ACTIVE] = "active",
	[LEASE_VIOLATED] = "violated",   [LEASE_RELEASING] = "releasing", [LEASE_LINGERING] = "lingering",
	[LEASE_RELEASED] = "released",   [LEASE_FAILED] = "failed",
};

static void every_state_has_its_name(void **state)
{
	for (int i = 0; i < LEASE_STATES; i++)
		assert_string_equal(lease_state_name(i), names[i]);
}

/* The signal that ends a process which makes this step; 0: it does not end by one. */
static int signal_of_step(enum lease_state from, enum lease_state to)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		struct lease *lease = lease_new(NULL, 0, 0);

		/* cmocka would catch it, and the line that is logged is not for the test's output. */
		signal(SIGABRT, SIG_DFL);
		close(2);
		if (!lease)
			_exit(2);
		lease->state = from;
		lease_set_state(lease, to);
		_exit(lease->state == to ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		return WTERMSIG(status);
	assert_int_equal(WEXITSTATUS(status), 0);
	return 0;
}

static void takes_the_steps_of_the_table_and_aborts_at_others(void **state)
{
	for (int from = 0; from < LEASE_STATES; from++)
		for (int to = 0; to < LEASE_STATES; to++) {
			bool allowed = table[from][to] == 'x';

			assert_int_equal(lease_can_become(from, to), allowed);
			assert_int_equal(signal_of_step(from, to), allowed ? 0 : SIGABRT);
		}
}

/* From each state there is a way to an end, and from an end there is none. */
static bool reaches_an_end(enum lease_state from, unsigned int visited)
{
	if (from == LEASE_RELEASED || from == LEASE_FAILED)
		return true;
	for (int to = 0; to < LEASE_STATES; to++)
		if (lease_can_become(from, to) && !(visited & 1u << to) && reaches_an_end(to, visited | 1u << to))
			return true;
	return false;
}

static void every_state_leads_to_an_end(void **state)
{
	for (int from = 0; from < LEASE_STATES; from++)
		assert_true(reaches_an_end(from, 1u << from));
}

static void a_new_lease_is_empty_and_in_no_list(void **state)
{
	struct lease *lease = lease_new((struct broker *)state, 3, 0);

	assert_non_null(lease);
	assert_int_equal(lease->state, LEASE_REQUESTED);
	assert_ptr_equal(lease->broker, state);
	assert_true(list_is_empty(&lease->link) && list_is_empty(&lease->peer_link));
	assert_true(lease->uid == (uid_t)-1);
	assert_true(lease->deadline_usec == UINT64_MAX);
	assert_null(lease->label);
	assert_null(lease->opener);
	assert_int_equal(lease->n_devices, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_ptr_equal(lease->devices[i]->lease, lease);
		assert_int_equal(lease->devices[i]->sysfs_fd, -1);
		assert_int_equal(lease->devices[i]->transaction, 0);
	}
	assert_null(lease_free(lease));
	assert_null(lease_free(NULL));
}

static void freeing_leaves_the_lists_and_closes_folders(void **state)
{
	struct list_link all = LIST_HEAD_INIT(all), of_peer = LIST_HEAD_INIT(of_peer);
	size_t before = count_open_fds();
	struct lease *lease = lease_new(NULL, 2, 0), *other = lease_new(NULL, 0, 0);

	assert_true(lease && other);
	list_append(&all, &other->link);
	list_append(&all, &lease->link);
	list_append(&of_peer, &lease->peer_link);
	lease->label = strdup("red");
	lease->devices[1]->sysfs_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(count_open_fds(), before + 1);
	lease_free(lease);
	assert_int_equal(count_open_fds(), before);
	assert_true(list_is_empty(&of_peer));
	assert_ptr_equal(all.next, &other->link);
	assert_ptr_equal(other->link.next, &all);
	lease_free(other);
}

static void finds_devices_and_groups(void **state)
{
	struct lease *lease = lease_new(NULL, 2, 0);

	assert_non_null(lease);
	strcpy(lease->devices[0]->id.address, "0000:01:00.0");
	strcpy(lease->devices[1]->id.address, "0000:02:00.0");
	lease->devices[0]->group = 4;
	lease->devices[1]->group = 0;
	assert_ptr_equal(lease_find_device(lease, "0000:02:00.0"), lease->devices[1]);
	assert_null(lease_find_device(lease, "0000:02:00"));
	assert_null(lease_find_device(lease, ""));
	assert_true(lease_holds_group(lease, 0) && lease_holds_group(lease, 4));
	assert_false(lease_holds_group(lease, 1));
	lease_free(lease);
	lease = lease_new(NULL, 0, 0);
	assert_false(lease_holds_group(lease, 0));
	lease_free(lease);
}

static void without_memory_there_is_no_lease(void **state)
{
	fail_alloc_begin(1);
	assert_null(lease_new(NULL, 1, 0));
	assert_true(fail_alloc_end());
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_state_has_its_name),
		cmocka_unit_test(takes_the_steps_of_the_table_and_aborts_at_others),
		cmocka_unit_test(every_state_leads_to_an_end),
		cmocka_unit_test(a_new_lease_is_empty_and_in_no_list),
		cmocka_unit_test(freeing_leaves_the_lists_and_closes_folders),
		cmocka_unit_test(finds_devices_and_groups),
		cmocka_unit_test(without_memory_there_is_no_lease),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
