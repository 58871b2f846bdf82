/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One detached thread for each batch: it owns the descriptors and the write end of a pipe, closes the former, then the
 * latter, and so tells who holds the read end. It shares no memory with anybody. Whoever calls bounds the number of
 * threads by holding back the client until its batch is done.
 */
#include "varlink/discard.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "util/cleanup.h"

#define STACK_SIZE (64 * 1024)

struct batch {
	int done_fd; /* write end; closing it tells that the batch is done */
	size_t n_fds;
	int fds[];
};

static void close_all(const int *fds, size_t n_fds)
{
	for (size_t i = 0; i < n_fds; i++)
		close_fd(fds[i]);
}

static void *run_batch(void *argument)
{
	struct batch *batch = argument;
	int done_fd = batch->done_fd;

	close_all(batch->fds, batch->n_fds);
	free(batch);
	close_fd(done_fd);
	return NULL;
}

/* The process's signals are the event loop's business: the thread starts with all of them blocked. */
static int start_thread(struct batch *batch)
{
	sigset_t all, before;
	pthread_attr_t attributes;
	pthread_t thread;
	int r;

	if (pthread_attr_init(&attributes) != 0)
		return -ENOMEM;
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&thread, &attributes, run_batch, batch);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return -r;
}

static int start_batch(const int *fds, size_t n_fds)
{
	_cleanup_free_ struct batch *batch = malloc(sizeof(*batch) + n_fds * sizeof(int));
	int ends[2], r;

	if (!batch)
		return -ENOMEM;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	batch->done_fd = ends[1];
	batch->n_fds = n_fds;
	memcpy(batch->fds, fds, n_fds * sizeof(int));
	r = start_thread(batch);
	if (r < 0) {
		close_fd(ends[0]);
		close_fd(ends[1]);
		return r;
	}
	TAKE_PTR(batch);
	return ends[0];
}

int varlink_discard(const int *fds, size_t n_fds)
{
	int r = start_batch(fds, n_fds);

	if (r < 0)
		close_all(fds, n_fds);
	return r;
}

int varlink_discard_socket(int fd)
{
	int unread = 0, r;

	/* Nothing can be added after this. */
	shutdown(fd, SHUT_RDWR);
	if (ioctl(fd, SIOCINQ, &unread) == 0 && unread == 0) {
		close_fd(fd);
		return -1;
	}
	r = varlink_discard(&fd, 1);
	return r < 0 ? -1 : r;
}
