/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Starting and hearing of children. A child holds no descriptor that it was not given: a connection that stayed open in a
 * blocked child would look alive to the broker after the helper died.
 */
#include "helper/worker.h"

#include <errno.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "util/cleanup.h"

static int compare_fds(const void *left, const void *right)
{
	return *(const int *)left - *(const int *)right;
}

static void close_all_but(int *keep, size_t n_keep)
{
	unsigned int from = 3;

	qsort(keep, n_keep, sizeof(*keep), compare_fds);
	for (size_t i = 0; i < n_keep; i++) {
		if (keep[i] < (int)from)
			continue;
		if (keep[i] > (int)from)
			close_range(from, keep[i] - 1, 0);
		from = keep[i] + 1;
	}
	close_range(from, ~0U, 0);
}

/*
 * A terminal's ^C and systemd's SIGTERM reach the whole group or cgroup: half a transition is worse than a late one.
 */
static void child_signals(void)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE };
	sigset_t none;

	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		signal(ignored[i], SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Nothing is done before the parent can wait for it; one that gave up, or died, closes the channel. */
static bool may_go(int channel)
{
	char go;
	ssize_t n;

	do
		n = recv(channel, &go, 1, 0);
	while (n < 0 && errno == EINTR);
	return n == 1;
}

static __attribute__((noreturn)) void child_main(worker_fn run, void *userdata, int channel, const int *keep,
						 size_t n_keep)
{
	int fds[WORKER_KEEP_MAX + 1];

	prctl(PR_SET_NAME, "iommud-worker");
	child_signals();
	for (size_t i = 0; i < n_keep; i++)
		fds[i] = keep[i];
	fds[n_keep] = channel;
	close_all_but(fds, n_keep + 1);
	if (may_go(channel))
		run(userdata, channel);
	_exit(0);
}

int worker_start(struct worker *worker, worker_fn run, void *userdata, const int *keep, size_t n_keep)
{
	int pair[2];
	pid_t pid;

	if (n_keep > WORKER_KEEP_MAX)
		return -EINVAL;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		child_main(run, userdata, pair[1], keep, n_keep);
	close_fd(pair[1]);
	if (pid < 0) {
		close_fd(pair[0]);
		return -errno;
	}
	worker->pid = pid;
	worker->channel = pair[0];
	worker->pidfd = pidfd_open(pid, 0);
	if (worker->pidfd < 0 || send(worker->channel, "", 1, MSG_NOSIGNAL) != 1) {
		int r = -errno;

		worker->channel = close_fd(worker->channel);
		worker_reap(worker);
		return r;
	}
	return 0;
}

void worker_say(int channel, const struct worker_report *report)
{
	while (send(channel, report, sizeof(*report), MSG_NOSIGNAL) < 0 && errno == EINTR)
		;
}

int worker_listen(struct worker *worker, struct worker_report *ret)
{
	struct worker_report report;
	ssize_t n;

	do
		n = recv(worker->channel, &report, sizeof(report), MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (n != sizeof(report))
		return -ECONNRESET;
	*ret = report;
	return 1;
}

void worker_reap(struct worker *worker)
{
	if (worker->pid > 0) {
		while (waitpid(worker->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	worker_abandon(worker);
}

void worker_abandon(struct worker *worker)
{
	close_fd(worker->pidfd);
	close_fd(worker->channel);
	*worker = (struct worker)WORKER_INIT;
}
