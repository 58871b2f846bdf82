/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RLIMIT_MEMLOCK of real processes, by the real prlimit(), but for what happens in the midst of it: the linker puts a
 * function of the test's in front of it, in which a process can die, and its number be another's.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "helper/memlock.h"
#include "util/cleanup.h"

#define K 1024ull

struct process {
	pid_t pid;
	int pidfd;
};

/* What happens in the first prlimit() that sets something. */
static void (*in_the_midst)(struct process *process);
static struct process *of_the_midst;
static pid_t number_is_now_of; /* 0: of the process itself still */
static int refused_with;
static unsigned int n_calls;

int __real_prlimit(pid_t pid, int resource, const struct rlimit *wanted, struct rlimit *former);
int __wrap_prlimit(pid_t pid, int resource, const struct rlimit *wanted, struct rlimit *former);

int __wrap_prlimit(pid_t pid, int resource, const struct rlimit *wanted, struct rlimit *former)
{
	void (*happens)(struct process * process) = wanted ? in_the_midst : NULL;

	n_calls++;
	if (happens) {
		in_the_midst = NULL;
		happens(of_the_midst);
	}
	if (wanted && refused_with) {
		errno = refused_with;
		return -1;
	}
	return __real_prlimit(number_is_now_of ? number_is_now_of : pid, resource, wanted, former);
}

static struct process start(rlim_t soft, rlim_t hard)
{
	const struct rlimit limit = { soft, hard };
	struct process process = { .pid = fork() };

	assert_true(process.pid >= 0);
	if (process.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	process.pidfd = pidfd_open(process.pid, 0);
	assert_true(process.pidfd >= 0);
	assert_int_equal(__real_prlimit(process.pid, RLIMIT_MEMLOCK, &limit, NULL), 0);
	n_calls = 0;
	return process;
}

static void reap(struct process *process)
{
	assert_int_equal(kill(process->pid, SIGKILL), 0);
	assert_int_equal(waitpid(process->pid, NULL, 0), process->pid);
}

static void stop(struct process *process)
{
	reap(process);
	close(process->pidfd);
}

static void assert_limit(const struct process *process, rlim_t soft, rlim_t hard)
{
	struct rlimit limit;

	assert_int_equal(__real_prlimit(process->pid, RLIMIT_MEMLOCK, NULL, &limit), 0);
	assert_int_equal(limit.rlim_cur, soft);
	assert_int_equal(limit.rlim_max, hard);
}

static void raises_what_the_process_may_use(void **state)
{
	struct process process = start(64 * K, 8192 * K);

	assert_int_equal(memlock_raise(process.pid, process.pidfd, 1024 * K), 0);
	assert_limit(&process, 1024 * K, 8192 * K);
	stop(&process);
}

static void raises_what_it_could_use(void **state)
{
	struct process process = start(64 * K, 64 * K);
	int r = memlock_raise(process.pid, process.pidfd, 1024 * K);

	if (r == -EPERM) { /* this takes CAP_SYS_RESOURCE, which containers often lack, root or not */
		assert_limit(&process, 64 * K, 64 * K);
		stop(&process);
		skip();
	}
	assert_int_equal(r, 0);
	assert_limit(&process, 1024 * K, 1024 * K);
	assert_int_equal(memlock_raise(process.pid, process.pidfd, UINT64_MAX), 0);
	assert_limit(&process, RLIM_INFINITY, RLIM_INFINITY);
	stop(&process);
}

static void lowers_none(void **state)
{
	struct process process = start(1024 * K, 8192 * K);

	assert_int_equal(memlock_raise(process.pid, process.pidfd, 64 * K), 0);
	assert_limit(&process, 1024 * K, 8192 * K);
	stop(&process);
}

static void touches_nothing_by_the_number_of_one_that_ended(void **state)
{
	struct process process = start(64 * K, 8192 * K), other = start(64 * K, 8192 * K);

	reap(&process);
	number_is_now_of = other.pid;
	assert_int_equal(memlock_raise(process.pid, process.pidfd, 1024 * K), -ESRCH);
	assert_int_equal(n_calls, 0);
	number_is_now_of = 0;
	assert_limit(&other, 64 * K, 8192 * K);
	close(process.pidfd);
	stop(&other);
}

static pid_t heir;

static void die_and_leave_the_number(struct process *process)
{
	reap(process);
	number_is_now_of = heir;
}

/* Between the look and the call, in which the number comes to be another's. */
static void puts_back_what_it_did_to_another(void **state)
{
	struct process process = start(64 * K, 8192 * K), other = start(64 * K, 8192 * K);

	heir = other.pid;
	of_the_midst = &process;
	in_the_midst = die_and_leave_the_number;
	assert_int_equal(memlock_raise(process.pid, process.pidfd, 1024 * K), -ESRCH);
	assert_null(in_the_midst);
	number_is_now_of = 0;
	assert_limit(&other, 64 * K, 8192 * K);
	close(process.pidfd);
	stop(&other);
}

static void be_raised(struct process *process)
{
	const struct rlimit limit = { 4096 * K, 8192 * K };

	assert_int_equal(__real_prlimit(process->pid, RLIMIT_MEMLOCK, &limit, NULL), 0);
}

static void does_not_undo_who_raised_it_meanwhile(void **state)
{
	struct process process = start(64 * K, 8192 * K);

	of_the_midst = &process;
	in_the_midst = be_raised;
	assert_int_equal(memlock_raise(process.pid, process.pidfd, 1024 * K), 0);
	assert_null(in_the_midst);
	assert_limit(&process, 4096 * K, 8192 * K);
	stop(&process);
}

static void says_what_the_kernel_said(void **state)
{
	struct process process = start(64 * K, 8192 * K);

	refused_with = EPERM;
	assert_int_equal(memlock_raise(process.pid, process.pidfd, 1024 * K), -EPERM);
	refused_with = 0;
	assert_limit(&process, 64 * K, 8192 * K);
	stop(&process);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(raises_what_the_process_may_use),
		cmocka_unit_test(raises_what_it_could_use),
		cmocka_unit_test(lowers_none),
		cmocka_unit_test(touches_nothing_by_the_number_of_one_that_ended),
		cmocka_unit_test(puts_back_what_it_did_to_another),
		cmocka_unit_test(does_not_undo_who_raised_it_meanwhile),
		cmocka_unit_test(says_what_the_kernel_said),
	};

	return cmocka_run_group_tests_name("helper-memlock", tests, NULL, NULL);
}
