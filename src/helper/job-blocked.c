/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The workers that did not come back within the time limit: who they are, in words, and whether there is room for more. */
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "helper/job-internal.h"

/* A look for holders reads /proc, and does not block; so many can be beside the others. */
#define LOOKS_MAX 16

static bool is_blocked(const struct job *job)
{
	return job->timed_out && job->phase != JOB_LOOKING;
}

static unsigned int count_moves(const struct helper *helper)
{
	unsigned int n = 0;
	const struct job *job;

	list_for_each(job, &helper->jobs, link)
		n += job->phase != JOB_LOOKING;
	return n;
}

bool job_has_place(const struct helper *helper, enum job_phase phase)
{
	unsigned int n = count_moves(helper);

	return phase == JOB_LOOKING ? helper->n_jobs - n < LOOKS_MAX : n < helper->options.max_workers;
}

static unsigned int count_blocked(const struct helper *helper)
{
	unsigned int n = 0;
	const struct job *job;

	list_for_each(job, &helper->jobs, link)
		n += is_blocked(job);
	return n;
}

/* "0000:00:06.0 at unbind, 0000:01:00.0 at bind", and how many more there are when they do not fit. */
static void list_blocked(const struct helper *helper, unsigned int n, char *text, size_t size)
{
	const struct job *job;
	size_t length = 0;

	list_for_each(job, &helper->jobs, link) {
		char one[64];

		if (!is_blocked(job))
			continue;
		snprintf(one, sizeof(one), "%s%s at %s", length ? ", " : "", job->address, helper_step_text(job->step));
		if (length + strlen(one) + sizeof(" and 1234 more") > size) {
			snprintf(text + length, size - length, " and %u more", n);
			return;
		}
		length += snprintf(text + length, size - length, "%s", one);
		n--;
	}
}

void job_describe_limit(const struct helper *helper, char *text, size_t size)
{
	unsigned int n = count_blocked(helper);
	int length;

	if (n == 0) {
		snprintf(text, size, "%u workers are under way", count_moves(helper));
		return;
	}
	length = snprintf(text, size, "%u of %u workers blocked: ", n, count_moves(helper));
	list_blocked(helper, n, text + length, size - length);
}

void jobs_tell_status(struct helper *helper)
{
	unsigned int n = count_blocked(helper);
	char status[sizeof(helper->status)] = "STATUS=Serving", devices[200] = "";

	if (n > 0) {
		list_blocked(helper, n, devices, sizeof(devices));
		snprintf(status, sizeof(status), "STATUS=%u worker%s blocked: %s", n, n == 1 ? "" : "s", devices);
	}
	if (strcmp(status, helper->status) == 0)
		return;
	strcpy(helper->status, status);
	sd_notify(0, status);
}
