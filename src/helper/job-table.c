/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The jobs there are: their making and end, their workers' starts, and their time. Who waits gets one answer within the
 * time limit, and who asked for a restore its end as well.
 */
#include "helper/job-internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helper/connection.h"
#include "helper/task.h"
#include "util/log.h"

struct job *job_find_address(const struct helper *helper, const char *address)
{
	struct job *job;

	list_for_each(job, &helper->jobs, link) {
		if (job->phase != JOB_LOOKING && strcmp(job->address, address) == 0)
			return job;
	}
	return NULL;
}

bool job_prepares(const struct helper *helper, uint64_t transaction)
{
	const struct job *job;

	list_for_each(job, &helper->jobs, link) {
		if (job->phase != JOB_LOOKING && job->transaction == transaction)
			return job->phase == JOB_PREPARING && !job->asked_restore && job_has_waiter(helper, job);
	}
	return false;
}

struct job *job_free(struct helper *helper, struct job *job)
{
	list_unlink(&job->link);
	helper->n_jobs--;
	close_fd(job->client_fd);
	worker_abandon(&job->worker);
	free(job);
	return NULL;
}

struct job *job_new(struct helper *helper, enum job_phase phase, uint64_t connection, uint64_t serial,
		    const char *address)
{
	struct job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->phase = phase;
	job->connection = connection;
	job->serial = serial;
	job->deadline = helper_now() + helper->options.worker_timeout_usec * 1000;
	job->client_fd = -1;
	job->worker = (struct worker)WORKER_INIT;
	snprintf(job->address, sizeof(job->address), "%s", address);
	list_append(&helper->jobs, &job->link);
	helper->n_jobs++;
	return job;
}

void job_say(struct helper *helper, uint64_t connection, uint64_t serial, enum helper_status status,
	     enum helper_step step, int error)
{
	struct helper_reply reply = reply_new(serial, status);

	reply.step = step;
	reply.error = error;
	connection_reply(helper, connection, &reply);
}

bool job_has_waiter(const struct helper *helper, const struct job *job)
{
	return connection_is_open(helper, job->connection);
}

/* Answers who waits, if the answer is still wanted, and ends the job. */
void job_finish(struct helper *helper, struct job *job, const struct outcome *outcome)
{
	struct helper_reply reply = reply_new(job->serial, outcome->status);

	if (outcome->status == HELPER_FAULT) {
		reply.step = outcome->step;
		reply.error = outcome->error;
		if (journal_find(helper->journal, job->transaction))
			reply.transaction = job->transaction;
	}
	if (outcome->status == HELPER_IN_USE)
		snprintf(reply.detail, sizeof(reply.detail), "%.*s", HELPER_DETAIL_MAX - 1, job->result.reason);
	connection_reply(helper, job->connection, &reply);
	job_free(helper, job);
}

void job_finish_fault(struct helper *helper, struct job *job, enum helper_step step, int r)
{
	const struct outcome outcome = { .status = HELPER_FAULT, .step = step, .error = -r };

	job_finish(helper, job, &outcome);
}

int job_start_worker(struct helper *helper, struct job *job, worker_fn run)
{
	struct task task = {
		.sysfs_fd = helper->sysfs_fd,
		.journal_dir_fd = helper->journal_dir_fd,
		.dev_fd = helper->dev_fd,
		.client_fd = job->client_fd,
		.client_socket = helper->options.client_socket,
		.modules = helper->options.modules,
		.policy = helper->policy,
		.address = job->address,
		.for_address = job->for_address,
		.flags = job->flags,
		.wanted = &job->wanted,
		.snapshot = &job->snapshot,
		.nodes = &job->nodes,
		.force = job->force,
		.reset = job->reset,
		.label = &job->label,
		.transaction = job->transaction,
	};
	bool judging = job->phase == JOB_JUDGING;
	const int keep[] = { helper->sysfs_fd, judging ? job->client_fd : helper->journal_dir_fd, helper->dev_fd };
	int r;

	job->has_result = false;
	job->step = judging ? HELPER_STEP_SNAPSHOT : HELPER_STEP_NONE;
	job->poll_index = 0;
	r = worker_start(&job->worker, run, &task, keep, judging ? 2 : 3);
	if (judging)
		job->client_fd = close_fd(job->client_fd);
	if (r < 0)
		log_error("%s: can't start a worker: %s", job->address, strerror(-r));
	return r;
}

void job_listen(struct job *job)
{
	struct worker_report report;

	while (worker_listen(&job->worker, &report) > 0) {
		job->step = report.outcome.step ? report.outcome.step : job->step;
		if (report.has_nodes)
			job->nodes = report.nodes;
		if (!report.done)
			continue;
		job->has_result = true;
		job->result = report;
	}
}

void job_say_timed_out(struct helper *helper, struct job *job)
{
	struct helper_reply reply = reply_new(job->serial, HELPER_TIMED_OUT);

	reply.step = job->step;
	reply.transaction = job->transaction;
	connection_reply(helper, job->connection, &reply);
	if (!job->asked_restore)
		job->connection = 0;
}

/* For people; the driver is the one that the device was on, or is to be on, before or after us. */
static void report_blocked(const struct job *job)
{
	const char *driver = job->snapshot.driver[0] ? job->snapshot.driver : "none";
	char device[64];
	const char *const fields[] = { device, NULL };

	snprintf(device, sizeof(device), "IOMMUD_DEVICE=%s", job->address);
	log_fields(
		LOG_WARNING, fields,
		"%s: worker %d is blocked: no end of the step \"%s\" yet (%s, driver of the host: %s); a program may hold "
		"the device open",
		job->address, (int)job->worker.pid, helper_step_text(job->step),
		job->phase == JOB_RESTORING ? "restore" : "prepare", driver);
}

static void expire(struct helper *helper, struct job *job)
{
	job_listen(job);
	job->timed_out = true;
	if (job->phase != JOB_LOOKING)
		report_blocked(job);
	job_say_timed_out(helper, job);
}

uint64_t jobs_expire(struct helper *helper, uint64_t now)
{
	uint64_t next = UINT64_MAX;
	struct job *job;

	list_for_each(job, &helper->jobs, link) {
		if (job->timed_out)
			continue;
		if (job->deadline <= now)
			expire(helper, job);
		else if (job->deadline < next)
			next = job->deadline;
	}
	return next;
}

void jobs_abandon(struct helper *helper)
{
	while (!list_is_empty(&helper->jobs))
		job_free(helper, list_first_entry(&helper->jobs, struct job, link));
}
