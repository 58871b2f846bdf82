/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Calls the opener: here when it is quick, on a thread of its own when it may wait for a device's reset, or is to reset buses first. A thread sees its
 * job and nothing else; the job comes back through the broker's pipe. A lease that ended in the meantime gets nothing: what
 * was opened for it is closed.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "broker/internal.h"

struct open_job {
	const struct opener *opener;
	const struct opener *resetter; /* resets buses first; NULL: there are none to reset */
	struct bus_reset bus_reset;
	int completion_fd; /* borrowed */
	uint64_t lease;
	int dev_fd;
	struct opener_device devices[OPENER_DEVICES_MAX];
	size_t n_devices;
	struct opened opened;
	int result;
	char failed[256];
};

static void reset_and_open(struct open_job *job)
{
	if (job->resetter)
		job->result = job->resetter->reset_buses(job->dev_fd, job->devices, job->n_devices, &job->bus_reset,
							 job->failed, sizeof(job->failed));
	if (job->result == 0)
		job->result = job->opener->open(job->dev_fd, job->devices, job->n_devices, &job->opened, job->failed,
						sizeof(job->failed));
}

static void *open_job_run(void *userdata)
{
	struct open_job *job = userdata;

	reset_and_open(job);
	/* A pointer is written whole or not at all; the pipe's other end lives as long as the process. */
	while (write(job->completion_fd, &job, sizeof(job)) < 0 && errno == EINTR)
		;
	return NULL;
}

static struct open_job *open_job_free(struct open_job *job)
{
	for (size_t i = 0; i < job->n_devices; i++)
		close_fd(job->devices[i].sysfs_fd);
	close_fd(job->dev_fd);
	free(job);
	return NULL;
}

static struct open_job *open_job_new(struct lease *lease)
{
	struct open_job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	opened_init(&job->opened);
	job->opener = lease->opener;
	job->lease = lease->id;
	job->completion_fd = lease->broker->completion_fd[1];
	job->dev_fd = fcntl(lease->broker->dev_fd, F_DUPFD_CLOEXEC, 3);
	for (; job->n_devices < lease->n_devices; job->n_devices++) {
		const struct lease_device *device = lease->devices[job->n_devices];
		struct opener_device *target = &job->devices[job->n_devices];

		memcpy(target->address, device->id.address, sizeof(target->address));
		memcpy(target->vf_token, device->vf_token, sizeof(target->vf_token));
		target->group = device->group;
		target->sysfs_fd = fcntl(device->sysfs_fd, F_DUPFD_CLOEXEC, 3);
		target->reset_bus = device->resets_bus;
		if (device->resets_bus)
			job->resetter = reset_opener(lease->broker);
	}
	return job;
}

static int open_job_start(struct open_job *job)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int r;

	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	r = pthread_create(&thread, &attributes, open_job_run, job);
	pthread_attr_destroy(&attributes);
	return -r;
}

/* The job has ended, and somebody is interested. */
static void report(struct open_job *job, struct acquire *acquire)
{
	if (job->bus_reset.asked)
		reset_bus_replied(acquire->lease, &job->bus_reset, &acquire->refusal);
	acquire_opened(acquire, job->result, &job->opened, job->failed);
}

static void run_here(struct open_job *job, struct acquire *acquire)
{
	reset_and_open(job);
	report(job, acquire);
	open_job_free(job);
}

int open_begin(struct lease *lease, bool *ret_later)
{
	struct open_job *job = open_job_new(lease);

	if (!job)
		return -ENOMEM;
	if ((job->opener->may_block || job->resetter) && open_job_start(job) == 0)
		*ret_later = true;
	else
		run_here(job, lease->acquire);
	return 0;
}

void open_dispatch_completions(struct broker *broker)
{
	struct open_job *job;

	while (read(broker->completion_fd[0], &job, sizeof(job)) == sizeof(job)) {
		struct lease *lease = lease_by_number(broker, job->lease);

		if (lease && lease->acquire) {
			lease->acquire->opening = false;
			report(job, lease->acquire);
		} else {
			opened_clear(&job->opened);
		}
		open_job_free(job);
	}
}
