/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A child process traces, so that who tripped the target may wait for it. */
#include "trip.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"

#define OPTIONS (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE)
#define SYSCALL_STOP (SIGTRAP | 0x80)

struct state {
	const struct trip *trip;
	int pipe;
	unsigned int n; /* calls that counted */
	bool tripped;
	pid_t failing; /* its call was taken away, and is to be given its error; 0: none */
	int victim; /* pidfd; -1: none */
	bool armed;
};

static bool counts(const struct state *state, pid_t pid, uint64_t number)
{
	if (state->tripped || state->trip->workers == (pid == state->trip->target))
		return false;
	for (const int *call = state->trip->calls; *call >= 0; call++)
		if ((uint64_t)*call == number)
			return true;
	return false;
}

/* What the descriptor in the call's first argument is, for people. */
static void say_where(const struct state *state, pid_t pid, const struct __ptrace_syscall_info *info)
{
	char link[64], file[200] = "";
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/%d/fd/%d", (int)pid, (int)info->entry.args[0]);
	n = readlink(link, file, sizeof(file) - 1);
	dprintf(state->pipe, "call %u, number %llu on %s", state->n, (unsigned long long)info->entry.nr,
		n > 0 ? file : "?");
}

/* Nothing of it is left then but its exit status. */
static void kill_victim(const struct state *state)
{
	struct pollfd end = { .fd = state->victim, .events = POLLIN };

	syscall(SYS_pidfd_send_signal, state->victim, SIGKILL, NULL, 0);
	poll(&end, 1, -1);
}

static void at_call(struct state *state, pid_t pid)
{
	struct __ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) < 0)
		return;
	if (info.op == PTRACE_SYSCALL_INFO_EXIT && state->failing == pid) {
		ptrace(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, rax), -(long)state->trip->error);
		state->failing = 0;
	}
	if (info.op != PTRACE_SYSCALL_INFO_ENTRY || !counts(state, pid, info.entry.nr) ||
	    ++state->n != state->trip->nth)
		return;
	state->tripped = true;
	say_where(state, pid, &info);
	if (state->victim >= 0) {
		kill_victim(state);
		return;
	}
	if (state->trip->error == 0) {
		kill(pid, SIGKILL);
		return;
	}
	ptrace(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, orig_rax), -1L);
	state->failing = pid;
}

static void arm(struct state *state)
{
	if (!state->armed && write(state->pipe, "a", 1) != 1)
		_exit(1);
	state->armed = true;
}

static void at_stop(struct state *state, pid_t pid, int status)
{
	int signal = WSTOPSIG(status), event = status >> 16;
	bool onward = state->tripped && !state->failing;

	if (signal == SYSCALL_STOP) {
		at_call(state, pid);
		signal = 0;
	} else if (event == PTRACE_EVENT_STOP && signal != SIGTRAP) {
		ptrace(PTRACE_LISTEN, pid, 0, 0);
		return;
	} else if (event) {
		if (event == PTRACE_EVENT_STOP && pid == state->trip->target)
			arm(state);
		signal = 0;
	}
	ptrace(onward ? PTRACE_CONT : PTRACE_SYSCALL, pid, 0, signal);
}

static __attribute__((noreturn)) void trace(const struct trip *trip, int pipe)
{
	struct state state = { .trip = trip, .pipe = pipe, .victim = -1 };
	int status;
	pid_t pid;

	if (trip->victim && (state.victim = (int)syscall(SYS_pidfd_open, trip->victim, 0)) < 0)
		_exit(say_error("victim %d: %s", (int)trip->victim, strerror(errno)) != 0);
	if (ptrace(PTRACE_SEIZE, trip->target, 0, OPTIONS) < 0 || ptrace(PTRACE_INTERRUPT, trip->target, 0, 0) < 0)
		_exit(say_error("trace %d: %s", (int)trip->target, strerror(errno)) != 0);
	while ((pid = waitpid(-1, &status, __WALL)) > 0)
		if (WIFSTOPPED(status))
			at_stop(&state, pid, status);
	/* Nobody is left to be traced; the end is to be asked for all the same. */
	for (;;)
		pause();
}

int trip_arm(const struct trip *trip, struct tracer *ret)
{
	int ends[2];
	char byte;

	if (pipe(ends) < 0 || (ret->pid = fork()) < 0)
		return say_error("tracer: %s", strerror(errno));
	if (ret->pid == 0) {
		close(ends[0]);
		trace(trip, ends[1]);
	}
	close(ends[1]);
	ret->pipe = ends[0];
	return read(ends[0], &byte, 1) == 1 ? 0 : -1;
}

bool trip_disarm(struct tracer *tracer, char *where, size_t size)
{
	ssize_t n;

	/* The kernel lets go of all that it traced. */
	kill(tracer->pid, SIGKILL);
	waitpid(tracer->pid, NULL, 0);
	n = read(tracer->pipe, where, size - 1);
	close(tracer->pipe);
	where[n > 0 ? n : 0] = '\0';
	return n > 0;
}
