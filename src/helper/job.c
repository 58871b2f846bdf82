/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The life of a job. It promises: nothing is touched before the journal says so; who asked gets one answer within the
 * time limit (and a restore its end as well); and a prepare of which nobody can be told is undone. A job goes on when its
 * connection closes. A transaction whose restore fails stays open, to be tried again.
 */
#include "helper/job.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helper/connection.h"
#include "helper/task.h"
#include "util/log.h"

static struct job *find_address(const struct helper *helper, const char *address)
{
	struct job *job;

	list_for_each(job, &helper->jobs, link) {
		if (strcmp(job->address, address) == 0)
			return job;
	}
	return NULL;
}

bool job_prepares(const struct helper *helper, uint64_t transaction)
{
	const struct job *job;

	list_for_each(job, &helper->jobs, link) {
		if (job->transaction == transaction)
			return job->phase == JOB_PREPARING;
	}
	return false;
}

static struct job *job_free(struct helper *helper, struct job *job)
{
	list_unlink(&job->link);
	helper->n_jobs--;
	close_fd(job->client_fd);
	worker_abandon(&job->worker);
	free(job);
	return NULL;
}

static struct job *job_new(struct helper *helper, enum job_phase phase, uint64_t connection, uint64_t serial,
			   const char *address)
{
	struct job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->phase = phase;
	job->connection = connection;
	job->serial = serial;
	job->deadline = helper_now() + (uint64_t)helper->options.worker_timeout * 1000000000;
	job->client_fd = -1;
	job->worker = (struct worker)WORKER_INIT;
	snprintf(job->address, sizeof(job->address), "%s", address);
	list_append(&helper->jobs, &job->link);
	helper->n_jobs++;
	return job;
}

static void say(struct helper *helper, uint64_t connection, uint64_t serial, enum helper_status status,
		enum helper_step step, int error)
{
	struct helper_reply reply = reply_new(serial, status);

	reply.step = step;
	reply.error = error;
	connection_reply(helper, connection, &reply);
}

static void refuse(struct helper *helper, uint64_t connection, const struct helper_request *request,
		   enum helper_status status)
{
	say(helper, connection, request->serial, status, HELPER_STEP_NONE, 0);
}

static bool has_waiter(const struct helper *helper, const struct job *job)
{
	return connection_is_open(helper, job->connection);
}

/* Answers who waits, if the answer is still wanted, and ends the job. */
static void finish(struct helper *helper, struct job *job, const struct outcome *outcome)
{
	struct helper_reply reply = reply_new(job->serial, outcome->status);

	if (outcome->status == HELPER_FAULT) {
		reply.step = outcome->step;
		reply.error = outcome->error;
		if (journal_find(helper->journal, job->transaction))
			reply.transaction = job->transaction;
	}
	connection_reply(helper, job->connection, &reply);
	job_free(helper, job);
}

static void finish_fault(struct helper *helper, struct job *job, enum helper_step step, int r)
{
	const struct outcome outcome = { .status = HELPER_FAULT, .step = step, .error = -r };

	finish(helper, job, &outcome);
}

static int start_worker(struct helper *helper, struct job *job, worker_fn run)
{
	struct task task = {
		.sysfs_fd = helper->sysfs_fd,
		.journal_dir_fd = helper->journal_dir_fd,
		.client_fd = job->client_fd,
		.client_socket = helper->options.client_socket,
		.policy = helper->policy,
		.address = job->address,
		.snapshot = &job->snapshot,
	};
	const int keep[] = { helper->sysfs_fd, helper->journal_dir_fd, job->client_fd };
	int r;

	job->has_result = false;
	job->step = HELPER_STEP_NONE;
	job->poll_index = 0;
	r = worker_start(&job->worker, run, &task, keep, job->client_fd < 0 ? 2 : 3);
	job->client_fd = close_fd(job->client_fd);
	if (r < 0)
		log_error("%s: can't start a worker: %s", job->address, strerror(-r));
	return r;
}

static void log_outcome(const struct job *job, const char *what, const struct outcome *outcome)
{
	char device[64];
	const char *const fields[] = { device, NULL };

	snprintf(device, sizeof(device), "IOMMUD_DEVICE=%s", job->address);
	if (outcome->status == HELPER_FAULT)
		log_fields(LOG_WARNING, fields, "%s: %s failed at %s: %s", job->address, what,
			   helper_step_text(outcome->step), strerror(outcome->error));
	else if (outcome->status == HELPER_REPLACED)
		log_fields(LOG_NOTICE, fields, "%s: removed or replaced since it was prepared; left alone",
			   job->address);
	else
		log_fields(LOG_INFO, fields, "%s: %s done (driver %s)", job->address, what,
			   job->snapshot.driver[0] ? job->snapshot.driver : "none");
}

static void close_transaction(struct helper *helper, struct job *job)
{
	int r = journal_close(helper->journal, job->transaction);

	if (r < 0)
		log_error("journal: can't write the end of a transaction of %s: %s", job->address, strerror(-r));
}

/* The prepare can't stand: takes it back. `fault` is what who waits is told then. */
static void undo(struct helper *helper, struct job *job, const struct outcome *fault)
{
	int r;

	job->phase = JOB_RESTORING;
	job->fault = *fault;
	r = start_worker(helper, job, task_restore);
	if (r == 0)
		return;
	log_error("%s: stays as it is until a RESTORE or the next start", job->address);
	finish_fault(helper, job, HELPER_STEP_NONE, r);
}

static void begin_prepare(struct helper *helper, struct job *job)
{
	const struct transaction *transaction;
	int r;

	job->snapshot = job->result.snapshot;
	r = journal_begin(helper->journal, &job->snapshot, &transaction);
	if (r < 0) {
		log_error("journal: can't write: %s", strerror(-r));
		finish_fault(helper, job, HELPER_STEP_JOURNAL, r);
		return;
	}
	job->transaction = transaction->number;
	job->phase = JOB_PREPARING;
	r = start_worker(helper, job, task_prepare);
	if (r < 0) {
		close_transaction(helper, job);
		finish_fault(helper, job, HELPER_STEP_NONE, r);
	}
}

static void advance_judged(struct helper *helper, struct job *job)
{
	const struct worker_report *result = &job->result;

	if (result->outcome.status != HELPER_OK) {
		log_warning("prepare refused: %s", result->reason);
		finish(helper, job, &result->outcome);
	} else if (job->timed_out || !has_waiter(helper, job)) {
		job_free(helper, job);
	} else {
		begin_prepare(helper, job);
	}
}

static int tell_prepared(struct helper *helper, struct job *job)
{
	struct helper_reply reply = reply_new(job->serial, HELPER_OK);

	reply.transaction = job->transaction;
	memcpy(reply.driver, job->snapshot.driver, sizeof(reply.driver));
	return connection_reply(helper, job->connection, &reply);
}

static void complete_prepare(struct helper *helper, struct job *job)
{
	struct outcome fault = { .status = HELPER_OK };
	int r;

	if (job->timed_out || !has_waiter(helper, job)) {
		log_notice("%s: prepared too late, or for nobody; putting it back", job->address);
		undo(helper, job, &fault);
		return;
	}
	r = journal_mark_prepared(helper->journal, job->transaction);
	if (r < 0) {
		log_error("journal: can't write: %s", strerror(-r));
		fault = (struct outcome){ .status = HELPER_FAULT, .step = HELPER_STEP_JOURNAL, .error = -r };
		undo(helper, job, &fault);
		return;
	}
	log_outcome(job, "prepare", &job->result.outcome);
	if (tell_prepared(helper, job) < 0)
		undo(helper, job, &fault);
	else
		job_free(helper, job);
}

static void advance_prepared(struct helper *helper, struct job *job)
{
	const struct outcome *outcome = &job->result.outcome;

	if (outcome->status == HELPER_OK) {
		complete_prepare(helper, job);
		return;
	}
	log_outcome(job, "prepare", outcome);
	if (outcome->undone)
		close_transaction(helper, job);
	else
		log_error("%s: could not be put back; its transaction stays open", job->address);
	finish(helper, job, outcome);
}

static void advance_restored(struct helper *helper, struct job *job)
{
	const struct outcome *outcome = &job->result.outcome;

	log_outcome(job, "restore", outcome);
	if (outcome->status != HELPER_FAULT)
		close_transaction(helper, job);
	finish(helper, job, job->fault.status == HELPER_OK ? outcome : &job->fault);
}

/* Killed, or out of memory: where it was is the last step it announced. */
static void advance_without_result(struct helper *helper, struct job *job)
{
	const struct outcome fault = { .status = HELPER_FAULT, .step = job->step, .error = EIO };

	log_error("%s: a worker died at %s", job->address, helper_step_text(job->step));
	if (job->phase == JOB_PREPARING)
		undo(helper, job, &fault);
	else
		finish(helper, job, &fault);
}

static void listen_to_worker(struct job *job)
{
	struct worker_report report;

	while (worker_listen(&job->worker, &report) > 0) {
		job->step = report.outcome.step ? report.outcome.step : job->step;
		if (!report.done)
			continue;
		job->has_result = true;
		job->result = report;
	}
}

void job_advance(struct helper *helper, struct job *job)
{
	listen_to_worker(job);
	worker_reap(&job->worker);
	if (!job->has_result) {
		advance_without_result(helper, job);
		return;
	}
	switch (job->phase) {
	case JOB_JUDGING:
		advance_judged(helper, job);
		break;
	case JOB_PREPARING:
		advance_prepared(helper, job);
		break;
	case JOB_RESTORING:
		advance_restored(helper, job);
		break;
	}
}

static void say_timed_out(struct helper *helper, struct job *job)
{
	say(helper, job->connection, job->serial, HELPER_TIMED_OUT, job->step, 0);
	if (!job->asked_restore)
		job->connection = 0;
}

static void expire(struct helper *helper, struct job *job)
{
	listen_to_worker(job);
	job->timed_out = true;
	log_warning("%s: no end of the step \"%s\" yet; a program may hold the device open", job->address,
		    helper_step_text(job->step));
	say_timed_out(helper, job);
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

void job_prepare(struct helper *helper, uint64_t connection, const struct helper_request *request, int client_fd)
{
	_cleanup_fd_ int fd = client_fd;
	struct job *job;

	if (find_address(helper, request->address) || journal_find_address(helper->journal, request->address) ||
	    helper->n_jobs >= helper->options.max_workers) {
		refuse(helper, connection, request, HELPER_BUSY);
		return;
	}
	job = job_new(helper, JOB_JUDGING, connection, request->serial, request->address);
	if (!job) {
		say(helper, connection, request->serial, HELPER_FAULT, HELPER_STEP_NONE, ENOMEM);
		return;
	}
	job->client_fd = TAKE_FD(fd);
	if (start_worker(helper, job, task_judge) < 0)
		finish_fault(helper, job, HELPER_STEP_NONE, -EAGAIN);
}

/* A broker that was restarted asks again for what its former self waited for. */
static void adopt(struct helper *helper, struct job *job, uint64_t connection, const struct helper_request *request)
{
	job->connection = connection;
	job->serial = request->serial;
	job->asked_restore = true;
	job->fault = (struct outcome){ .status = HELPER_OK };
	if (job->timed_out)
		say_timed_out(helper, job);
}

static struct job *start_restore(struct helper *helper, uint64_t connection, uint64_t serial,
				 const struct transaction *transaction)
{
	struct job *job = job_new(helper, JOB_RESTORING, connection, serial, transaction->snapshot.id.address);

	if (!job)
		return NULL;
	job->transaction = transaction->number;
	job->snapshot = transaction->snapshot;
	job->asked_restore = connection != 0;
	if (start_worker(helper, job, task_restore) < 0)
		return job_free(helper, job);
	return job;
}

void job_restore(struct helper *helper, uint64_t connection, const struct helper_request *request)
{
	const struct transaction *transaction = journal_find(helper->journal, request->transaction);
	struct job *job;

	if (!transaction) {
		refuse(helper, connection, request, HELPER_NO_SUCH_TRANSACTION);
		return;
	}
	job = find_address(helper, transaction->snapshot.id.address);
	if (job && job->phase == JOB_RESTORING && job->transaction == transaction->number && !has_waiter(helper, job))
		adopt(helper, job, connection, request);
	else if (job || helper->n_jobs >= helper->options.max_workers)
		refuse(helper, connection, request, HELPER_BUSY);
	else if (!start_restore(helper, connection, request->serial, transaction))
		say(helper, connection, request->serial, HELPER_FAULT, HELPER_STEP_NONE, EAGAIN);
}

void jobs_undo_begun(struct helper *helper)
{
	const struct transaction *transaction;

	for (transaction = journal_next(helper->journal, 0); transaction;
	     transaction = journal_next(helper->journal, transaction->number)) {
		if (transaction->prepared)
			continue;
		log_notice("%s: putting back what was begun before the restart", transaction->snapshot.id.address);
		if (!start_restore(helper, 0, 0, transaction))
			log_error("%s: can't be put back now; a RESTORE or the next start tries again",
				  transaction->snapshot.id.address);
	}
}

void jobs_abandon(struct helper *helper)
{
	while (!list_is_empty(&helper->jobs))
		job_free(helper, list_first_entry(&helper->jobs, struct job, link));
}
