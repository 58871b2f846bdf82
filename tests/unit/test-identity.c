/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who is at the other end, from a real socket and from the user database of this machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fail-alloc.h"
#include "open-fds.h"
#include "util/cleanup.h"
#include "util/identity.h"

static void make_pair(int ends[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
}

static void close_pair(int ends[2])
{
	close_fd(ends[0]);
	close_fd(ends[1]);
}

static void assert_empty(const struct identity *identity)
{
	assert_true(identity->uid == (uid_t)-1 && identity->gid == (gid_t)-1);
	assert_int_equal(identity->pidfd, -1);
	assert_null(identity->groups);
	assert_int_equal(identity->n_groups, 0);
	assert_null(identity->label);
}

static bool has_group(const struct identity *identity, gid_t gid)
{
	for (size_t i = 0; i < identity->n_groups; i++)
		if (identity->groups[i] == gid)
			return true;
	return false;
}

static void the_peer_of_a_socket_is_who_made_it(void **state)
{
	struct identity identity = IDENTITY_INIT;
	size_t before;
	int ends[2];

	make_pair(ends);
	before = count_open_fds();
	assert_int_equal(identity_from_socket(ends[0], &identity), 0);
	assert_int_equal(identity.uid, geteuid());
	assert_int_equal(identity.gid, getegid());
	assert_int_equal(identity.pid, getpid());
	/* What the kernel can't tell is absent, never empty or half. */
	assert_int_equal(count_open_fds(), before + (identity.pidfd >= 0));
	assert_true(!identity.label || identity.label[0]);
	identity_clear(&identity);
	assert_empty(&identity);
	identity_clear(&identity);
	assert_int_equal(count_open_fds(), before);
	close_pair(ends);
}

/* Of none, of one and of many: the size is asked for. Needs root. */
static void the_peers_groups_are_those_of_its_time(void **state)
{
	static const size_t sizes[] = { 0, 1, 2, 100, 1000 };
	gid_t own[1024], groups[1000];
	int n_own = getgroups(1024, own);

	assert_true(n_own >= 0);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct identity identity = IDENTITY_INIT;
		int ends[2];

		for (size_t j = 0; j < sizes[i]; j++)
			groups[j] = 5000 + j;
		assert_int_equal(setgroups(sizes[i], groups), 0);
		make_pair(ends);
		assert_int_equal(setgroups(n_own, own), 0); /* too late to count */
		assert_int_equal(identity_from_socket(ends[0], &identity), 0);
		assert_int_equal(identity.n_groups, sizes[i]);
		for (size_t j = 0; j < sizes[i]; j++)
			assert_true(has_group(&identity, 5000 + j));
		identity_clear(&identity);
		close_pair(ends);
	}
}

static void what_is_no_unix_socket_has_no_identity(void **state)
{
	struct identity identity = { .uid = 77 };
	_cleanup_fd_ int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_int_equal(identity_from_socket(fd, &identity), -ENOTSOCK);
	assert_int_equal(identity_from_socket(-1, &identity), -EBADF);
	assert_int_equal(identity.uid, 77);
}

static void without_memory_nothing_is_left_open(void **state)
{
	int ends[2], r = -ENOMEM;
	size_t before;

	make_pair(ends);
	before = count_open_fds();
	for (unsigned int n = 1; r < 0; n++) {
		struct identity identity = { .uid = 77, .pidfd = -1 };

		fail_alloc_begin(n);
		r = identity_from_socket(ends[0], &identity);
		if (!fail_alloc_end()) {
			assert_int_equal(r, 0);
			identity_clear(&identity);
			break;
		}
		assert_int_equal(r, -ENOMEM);
		assert_int_equal(identity.uid, 77);
		assert_int_equal(count_open_fds(), before);
	}
	close_pair(ends);
}

/* ---- what if ---- */

static void a_user_has_the_groups_of_the_database(void **state)
{
	struct identity identity = IDENTITY_INIT;

	assert_int_equal(identity_from_user(0, (gid_t)-1, &identity), 0);
	assert_int_equal(identity.uid, 0);
	assert_int_equal(identity.gid, 0);
	assert_int_equal(identity.pidfd, -1);
	assert_null(identity.label);
	assert_true(has_group(&identity, 0));
	identity_clear(&identity);
	assert_int_equal(identity_from_user(0, 12345, &identity), 0);
	assert_int_equal(identity.gid, 12345);
	assert_true(has_group(&identity, 12345));
	identity_clear(&identity);
	assert_int_equal(identity_from_user(4000000000u, (gid_t)-1, &identity), -ENOENT);
	assert_empty(&identity);
}

static void assert_text(const char *text, int result, uid_t uid, gid_t gid)
{
	struct identity identity = IDENTITY_INIT;

	assert_int_equal(identity_from_text(text, &identity), result);
	if (result == 0) {
		assert_int_equal(identity.uid, uid);
		assert_int_equal(identity.gid, gid);
		identity_clear(&identity);
	}
	assert_empty(&identity);
}

static void users_and_groups_by_name_and_number(void **state)
{
	const struct group *group = getgrnam("daemon");
	gid_t daemon = group ? group->gr_gid : 1;

	assert_text("root", 0, 0, 0);
	assert_text("0", 0, 0, 0);
	assert_text("root:daemon", 0, 0, daemon);
	assert_text("0:54321", 0, 0, 54321); /* a group need not be in the database, */
	assert_text("54321:7", 0, 54321, 7); /* nor a user */
	assert_text("54321", 0, 54321, (gid_t)-1);
}

static void what_names_nobody_is_refused(void **state)
{
	static const char *const texts[] = {
		"",   ":",  "root:", ":root",      "no-such-user", "root:no-such-group",   "root:0:0",     "-1",  "+0",
		" 0", "0 ", "0x0",   "4294967295", "4294967296",   "99999999999999999999", "0:4294967295", "0:-1"
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_text(texts[i], -ENOENT, 0, 0);
}

static void without_memory_there_is_no_answer(void **state)
{
	unsigned int n = 0;
	bool failed = true;

	while (failed) {
		struct identity identity = IDENTITY_INIT;
		int r;

		fail_alloc_begin(++n);
		r = identity_from_text("root:daemon@x", &identity);
		failed = fail_alloc_end();
		assert_int_equal(r, failed ? -ENOMEM : 0);
		identity_clear(&identity);
	}
	assert_true(n > 2);
}

static void a_context_stands_behind_an_at_sign(void **state)
{
	struct identity identity = IDENTITY_INIT;

	assert_int_equal(identity_from_text("4242:5@system_u:system_r:svirt_t:s0:c1,c2", &identity), 0);
	assert_int_equal(identity.uid, 4242);
	assert_int_equal(identity.gid, 5);
	assert_string_equal(identity.label, "system_u:system_r:svirt_t:s0:c1,c2");
	identity_clear(&identity);
	assert_int_equal(identity_from_text("root@x", &identity), 0);
	assert_string_equal(identity.label, "x");
	identity_clear(&identity);
	assert_text("root@", -ENOENT, 0, 0);
	assert_text("@x", -ENOENT, 0, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_peer_of_a_socket_is_who_made_it),
		cmocka_unit_test(a_context_stands_behind_an_at_sign),
		cmocka_unit_test(the_peers_groups_are_those_of_its_time),
		cmocka_unit_test(what_is_no_unix_socket_has_no_identity),
		cmocka_unit_test(without_memory_nothing_is_left_open),
		cmocka_unit_test(a_user_has_the_groups_of_the_database),
		cmocka_unit_test(users_and_groups_by_name_and_number),
		cmocka_unit_test(what_names_nobody_is_refused),
		cmocka_unit_test(without_memory_there_is_no_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
