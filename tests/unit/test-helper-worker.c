/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Children: what they say, how they die, and what they hold. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "helper/worker.h"
#include "util/cleanup.h"

static void wait_end(const struct worker *worker)
{
	struct pollfd slot = { .fd = worker->pidfd, .events = POLLIN };

	assert_int_equal(poll(&slot, 1, 20000), 1);
}

static void say_step(int channel, enum helper_step step)
{
	struct worker_report report = { .outcome = { .step = step } };

	worker_say(channel, &report);
}

static void say_done(int channel, int error)
{
	struct worker_report report = { .done = true, .outcome = { .status = HELPER_FAULT, .error = error } };

	worker_say(channel, &report);
}

static void run_steps(void *userdata, int channel)
{
	say_step(channel, HELPER_STEP_OVERRIDE);
	say_step(channel, HELPER_STEP_BIND);
	say_done(channel, EBUSY);
}

static void hears_steps_and_then_the_result(void **state)
{
	struct worker worker = WORKER_INIT;
	struct worker_report report;

	assert_int_equal(worker_start(&worker, run_steps, NULL, NULL, 0), 0);
	wait_end(&worker);
	assert_int_equal(worker_listen(&worker, &report), 1);
	assert_false(report.done);
	assert_int_equal(report.outcome.step, HELPER_STEP_OVERRIDE);
	assert_int_equal(worker_listen(&worker, &report), 1);
	assert_int_equal(report.outcome.step, HELPER_STEP_BIND);
	assert_int_equal(worker_listen(&worker, &report), 1);
	assert_true(report.done);
	assert_int_equal(report.outcome.error, EBUSY);
	assert_true(worker_listen(&worker, &report) < 0);
	worker_reap(&worker);
	assert_int_equal(worker.pid, -1);
	assert_int_equal(worker.pidfd, -1);
	assert_int_equal(worker.channel, -1);
}

static void run_until_told(void *userdata, int channel)
{
	const int *gate = userdata;
	char byte;

	say_step(channel, HELPER_STEP_UNBIND);
	while (read(*gate, &byte, 1) < 0)
		;
	say_done(channel, 0);
}

static void does_not_wait_for_a_child_that_is_busy(void **state)
{
	struct worker worker = WORKER_INIT;
	struct worker_report report;
	struct pollfd said;
	int gate[2];

	assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
	assert_int_equal(worker_start(&worker, run_until_told, &gate[0], gate, 1), 0);
	said = (struct pollfd){ .fd = worker.channel, .events = POLLIN };
	assert_int_equal(poll(&said, 1, 20000), 1);
	assert_int_equal(worker_listen(&worker, &report), 1);
	assert_int_equal(worker_listen(&worker, &report), 0);
	/* What would end its parent does not end it. */
	assert_int_equal(kill(worker.pid, SIGTERM), 0);
	assert_int_equal(kill(worker.pid, SIGINT), 0);
	assert_int_equal(kill(worker.pid, SIGHUP), 0);
	assert_int_equal(write(gate[1], "", 1), 1);
	wait_end(&worker);
	assert_int_equal(worker_listen(&worker, &report), 1);
	assert_true(report.done);
	worker_reap(&worker);
	close(gate[0]);
	close(gate[1]);
}

static void run_and_die(void *userdata, int channel)
{
	say_step(channel, HELPER_STEP_BIND);
	raise(SIGKILL);
}

static void tells_a_death_from_a_result(void **state)
{
	struct worker worker = WORKER_INIT;
	struct worker_report report;

	assert_int_equal(worker_start(&worker, run_and_die, NULL, NULL, 0), 0);
	wait_end(&worker);
	assert_int_equal(worker_listen(&worker, &report), 1);
	assert_false(report.done);
	assert_true(worker_listen(&worker, &report) < 0);
	worker_reap(&worker);
}

/* Reports the open descriptors as a bit set in `error`. */
static void run_count_fds(void *userdata, int channel)
{
	int open_fds = 0;

	for (int fd = 3; fd < 30; fd++)
		open_fds |= fd != channel && fcntl(fd, F_GETFD) >= 0 ? 1 << fd : 0;
	say_done(channel, open_fds);
}

static int child_fds(const int *keep, size_t n_keep)
{
	struct worker worker = WORKER_INIT;
	struct worker_report report;

	assert_int_equal(worker_start(&worker, run_count_fds, NULL, keep, n_keep), 0);
	wait_end(&worker);
	assert_int_equal(worker_listen(&worker, &report), 1);
	worker_reap(&worker);
	return report.outcome.error;
}

static void keeps_no_descriptor_but_those_it_was_given(void **state)
{
	int fds[6], keep[3];

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_true(fds[5] < 28);
	assert_int_equal(child_fds(NULL, 0), 0);
	keep[0] = fds[4];
	keep[1] = fds[1];
	keep[2] = fds[1];
	assert_int_equal(child_fds(keep, 2), 1 << fds[1] | 1 << fds[4]);
	assert_int_equal(child_fds(keep, 3), 1 << fds[1] | 1 << fds[4]);
	assert_int_equal(child_fds(&fds[0], 1), 1 << fds[0]);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
}

static void run_write(void *userdata, int channel)
{
	const int *out = userdata;

	if (write(*out, "x", 1) == 1)
		say_done(channel, 0);
}

static void goes_on_when_nobody_listens(void **state)
{
	struct worker worker = WORKER_INIT;
	int out[2];
	char byte;

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(worker_start(&worker, run_write, &out[1], &out[1], 1), 0);
	worker_abandon(&worker);
	close(out[1]);
	assert_int_equal(read(out[0], &byte, 1), 1);
	assert_int_equal(read(out[0], &byte, 1), 0); /* it has ended */
	close(out[0]);
}

static void leaks_nothing_when_it_can_not_start(void **state)
{
	struct worker worker = WORKER_INIT;
	const int keep[WORKER_KEEP_MAX + 1] = { 0 };
	int before = dup(0), after;

	close(before);
	assert_int_equal(worker_start(&worker, run_steps, NULL, keep, WORKER_KEEP_MAX + 1), -EINVAL);
	after = dup(0);
	close(after);
	assert_int_equal(before, after);
	assert_int_equal(worker.pid, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hears_steps_and_then_the_result),
		cmocka_unit_test(does_not_wait_for_a_child_that_is_busy),
		cmocka_unit_test(tells_a_death_from_a_result),
		cmocka_unit_test(keeps_no_descriptor_but_those_it_was_given),
		cmocka_unit_test(goes_on_when_nobody_listens),
		cmocka_unit_test(leaks_nothing_when_it_can_not_start),
	};

	return cmocka_run_group_tests_name("helper-worker", tests, NULL, NULL);
}
