/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What MemlockLimit= comes to on a machine. Pure. */
#include "policy/policy.h"

/*
 * By process, all that one can have in memory is enough. By user, what all processes of the user have pinned is compared with
 * the limit of the one that pins more, and the same memory counts once for each lease that it is mapped for.
 */
static uint64_t automatic(const struct policy_limits *limits, uint64_t memory)
{
	uint64_t n = limits->rlimit_mode == POLICY_RLIMIT_USER && limits->max_leases ? limits->max_leases : 1;

	return memory > POLICY_MEMLOCK_INFINITY / n ? POLICY_MEMLOCK_INFINITY : memory * n;
}

uint64_t policy_memlock_bytes(const struct policy_limits *limits, uint64_t memory)
{
	switch (limits->memlock) {
	case POLICY_MEMLOCK_LEAVE:
		return 0;
	case POLICY_MEMLOCK_BYTES:
		return limits->memlock_bytes;
	case POLICY_MEMLOCK_AUTO:
		return automatic(limits, memory);
	}
	return 0;
}
