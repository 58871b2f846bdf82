/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * prlimit() takes a number, and none of its kind takes a descriptor. The number is the process' own as long as that has not
 * been reaped, which its pidfd tells: so it is asked before, and nothing is changed for one that has ended; and behind, for
 * then the number was its own all the while. One that dies in between, and whose number another has by then, is found by
 * that, and the other gets back what it had.
 */
#include "helper/memlock.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>

_Static_assert(RLIM_INFINITY == UINT64_MAX, "without a limit is the same on both sides");

/* A pidfd becomes readable when its process ends, before that is reaped. */
static bool is_alive(int pidfd)
{
	struct pollfd process = { .fd = pidfd, .events = POLLIN };

	return poll(&process, 1, 0) == 0;
}

static rlim_t larger(rlim_t left, rlim_t right)
{
	return left > right ? left : right;
}

static bool is_lower(const struct rlimit *left, const struct rlimit *right)
{
	return left->rlim_cur < right->rlim_cur || left->rlim_max < right->rlim_max;
}

/* Who died may have left its number to somebody else. */
static int put_back(pid_t pid, const struct rlimit *former)
{
	(void)prlimit(pid, RLIMIT_MEMLOCK, former, NULL);
	return -ESRCH;
}

static struct rlimit at_least(const struct rlimit *limit, rlim_t bytes)
{
	return (struct rlimit){ larger(limit->rlim_cur, bytes), larger(limit->rlim_max, bytes) };
}

int memlock_raise(pid_t pid, int pidfd, uint64_t bytes)
{
	struct rlimit former, wanted;
	bool too_low;

	if (!is_alive(pidfd))
		return -ESRCH;
	if (prlimit(pid, RLIMIT_MEMLOCK, NULL, &former) < 0)
		return -errno;
	wanted = at_least(&former, bytes);
	too_low = is_lower(&former, &wanted);
	while (too_low) {
		if (prlimit(pid, RLIMIT_MEMLOCK, &wanted, &former) < 0)
			return -errno;
		if (!is_alive(pidfd))
			return put_back(pid, &former);
		/* Somebody else may have raised them since they were read. */
		too_low = is_lower(&wanted, &former);
		wanted = at_least(&former, bytes);
	}
	return is_alive(pidfd) ? 0 : -ESRCH;
}
