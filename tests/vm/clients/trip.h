/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Trips a running program over one of its system calls: the Nth of a set, counted over all of its processes, fails, or is the
 * last that the process begins, or waits until another process was killed. strace's own injection counts in each process by
 * itself, so that one failure there is one in every worker, and also in the one that undoes it.
 */
#ifndef TESTS_VM_TRIP_H
#define TESTS_VM_TRIP_H

#include <stdbool.h>
#include <sys/types.h>

struct trip {
	pid_t target;
	bool workers; /* whose calls count: those of the processes that it starts from now on; or its own */
	const int *calls; /* numbers of system calls, ended by -1 */
	int error; /* that the call fails with; 0: SIGKILL before it has begun */
	pid_t victim; /* who is killed instead, and is gone before the call begins; 0: nobody else */
	unsigned int nth; /* from 1 */
};

/* A tracer under way. */
struct tracer {
	pid_t pid;
	int pipe;
};

/* Attaches to the target; from when it returns on calls count. 0, or -1 with a word on stderr. */
int trip_arm(const struct trip *trip, struct tracer *ret);
/* Lets go of the target. Whether it was tripped; then `where` says over what. */
bool trip_disarm(struct tracer *tracer, char *where, size_t size);

#endif
