/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scoped ownership and lists: the two headers that everything else rests on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>

#include "open-fds.h"
#include "util/cleanup.h"
#include "util/list.h"

/* ---- cleanup.h ---- */

static int open_null(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

/* Opens one, gives up early or hands it on. */
static int open_unless(bool early)
{
	_cleanup_fd_ int fd = open_null();

	if (early)
		return -1;
	return TAKE_FD(fd);
}

static void a_descriptor_is_closed_on_every_way_out(void **state)
{
	size_t before = count_open_fds();
	int fd;

	assert_int_equal(open_unless(true), -1);
	assert_int_equal(count_open_fds(), before);
	fd = open_unless(false);
	assert_int_equal(count_open_fds(), before + 1);
	assert_int_equal(close_fd(fd), -1);
	assert_int_equal(count_open_fds(), before);
}

static void closing_keeps_errno_and_takes_what_is_none(void **state)
{
	_cleanup_fd_ int none = -1;

	errno = EXDEV;
	assert_int_equal(close_fd(none), -1);
	assert_int_equal(close_fd(1 << 30), -1); /* EBADF inside */
	assert_int_equal(errno, EXDEV);
}

static void taking_leaves_nothing_behind(void **state)
{
	int fd = 7;
	char *text = (char *)state;
	int *numbers[2] = { &fd, NULL };

	assert_int_equal(TAKE_FD(fd), 7);
	assert_int_equal(fd, -1);
	assert_ptr_equal(TAKE_PTR(text), state);
	assert_null(text);
	/* The expression is looked at once. */
	int **next = numbers;

	assert_ptr_equal(TAKE_PTR(*next++), &fd);
	assert_ptr_equal(next, numbers + 1);
}

static unsigned int n_destroyed;

static void destroy(int *object)
{
	n_destroyed++;
	free(object);
}

DEFINE_CLEANUP(object, int *, destroy)

static int *make_object(bool early)
{
	_cleanup_(cleanup_object) int *object = NULL;

	if (early)
		return NULL;
	object = malloc(sizeof(*object));
	return TAKE_PTR(object);
}

static void a_destructor_runs_for_what_is_there(void **state)
{
	int *object;

	assert_null(make_object(true));
	object = make_object(false);
	assert_int_equal(n_destroyed, 0);
	assert_non_null(object);
	cleanup_object(&object);
	assert_int_equal(n_destroyed, 1);
}

static void memory_is_freed(void **state)
{
	/* The sanitizer would tell. */
	_cleanup_free_ char *text = malloc(10), *none = NULL;

	assert_non_null(text);
	assert_null(none);
}

static void sizes_and_containers(void **state)
{
	struct {
		int first;
		char member[3];
	} object;

	assert_int_equal(ARRAY_SIZE(object.member), 3);
	assert_ptr_equal(container_of(&object.member, __typeof__(object), member), &object);
}

/* ---- list.h ---- */

struct item {
	int value;
	struct list_link link;
};

static struct item *fill(struct list_link *head, struct item *items, int n)
{
	list_init(head);
	for (int i = 0; i < n; i++) {
		items[i].value = i;
		list_append(head, &items[i].link);
	}
	return items;
}

/* The list has these values, read both ways. */
static void assert_list(const struct list_link *head, const int *values, size_t n)
{
	const struct list_link *link = head;
	const struct item *item;
	size_t i = 0;

	list_for_each(item, head, link) {
		assert_true(i < n);
		assert_int_equal(item->value, values[i++]);
	}
	assert_int_equal(i, n);
	while ((link = link->prev) != head)
		assert_int_equal(list_entry(link, const struct item, link)->value, values[--i]);
	assert_int_equal(i, 0);
	assert_int_equal(list_is_empty(head), n == 0);
}

static void items_come_in_order(void **state)
{
	static const int all[] = { 0, 1, 2 };
	struct list_link head = LIST_HEAD_INIT(head);
	struct item items[3];

	assert_list(&head, NULL, 0);
	fill(&head, items, 3);
	assert_list(&head, all, 3);
	assert_ptr_equal(list_first_entry(&head, struct item, link), &items[0]);
}

static void unlinking_takes_one_out_and_twice_does_no_harm(void **state)
{
	static const int first[] = { 1, 2 }, middle[] = { 0, 2 }, last[] = { 0, 1 };
	static const int *const left[] = { first, middle, last };

	for (int i = 0; i < 3; i++) {
		struct list_link head;
		struct item items[3];

		fill(&head, items, 3);
		list_unlink(&items[i].link);
		assert_list(&head, left[i], 2);
		assert_true(list_is_empty(&items[i].link));
		list_unlink(&items[i].link);
		assert_list(&head, left[i], 2);
	}
}

static void what_is_unlinked_can_be_appended_elsewhere(void **state)
{
	static const int rest[] = { 0 }, moved[] = { 1 };
	struct list_link head, other = LIST_HEAD_INIT(other);
	struct item items[2];

	fill(&head, items, 2);
	list_unlink(&items[1].link);
	list_append(&other, &items[1].link);
	assert_list(&head, rest, 1);
	assert_list(&other, moved, 1);
}

static void a_safe_walk_may_free_what_it_stands_on(void **state)
{
	struct list_link head = LIST_HEAD_INIT(head);
	struct item *item, *following;
	int next = 0;

	for (int i = 0; i < 5; i++) {
		item = malloc(sizeof(*item));
		assert_non_null(item);
		item->value = i;
		list_append(&head, &item->link);
	}
	list_for_each_safe(item, following, &head, link) {
		assert_int_equal(item->value, next++);
		list_unlink(&item->link);
		free(item);
	}
	assert_int_equal(next, 5);
	assert_true(list_is_empty(&head));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_descriptor_is_closed_on_every_way_out),
		cmocka_unit_test(closing_keeps_errno_and_takes_what_is_none),
		cmocka_unit_test(taking_leaves_nothing_behind),
		cmocka_unit_test(a_destructor_runs_for_what_is_there),
		cmocka_unit_test(memory_is_freed),
		cmocka_unit_test(sizes_and_containers),
		cmocka_unit_test(items_come_in_order),
		cmocka_unit_test(unlinking_takes_one_out_and_twice_does_no_harm),
		cmocka_unit_test(what_is_unlinked_can_be_appended_elsewhere),
		cmocka_unit_test(a_safe_walk_may_free_what_it_stands_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
