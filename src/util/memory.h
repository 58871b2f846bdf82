/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How much memory the machine has. */
#ifndef IOMMUD_UTIL_MEMORY_H
#define IOMMUD_UTIL_MEMORY_H

#include <stdint.h>
#include <sys/sysinfo.h>

/* Bytes of RAM that the kernel manages, whatever a cgroup allows; the same for everybody. 0 if it can't be told. */
static inline uint64_t memory_of_machine(void)
{
	struct sysinfo info;

	return sysinfo(&info) < 0 ? 0 : (uint64_t)info.totalram * info.mem_unit;
}

#endif
