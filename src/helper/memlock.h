/* SPDX-License-Identifier: GPL-2.0-or-later */
/* RLIMIT_MEMLOCK of another process, raised. Needs CAP_SYS_RESOURCE. Never blocks. */
#ifndef IOMMUD_HELPER_MEMLOCK_H
#define IOMMUD_HELPER_MEMLOCK_H

#include <stdint.h>
#include <sys/types.h>

/*
 * Raises both limits of the process behind `pidfd`, whose number is `pid`, to `bytes` (UINT64_MAX: none); one that is higher
 * stays. 0; -ESRCH: it has ended; or another negative errno, and nothing was changed.
 */
int memlock_raise(pid_t pid, int pidfd, uint64_t bytes);

#endif
