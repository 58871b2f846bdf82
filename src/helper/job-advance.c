/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What follows when a worker has ended. Nothing is touched before the journal says so, and a prepare of which nobody can be
 * told is undone. A transaction whose restore fails stays open, to be tried again.
 */
#include "helper/job-internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "helper/connection.h"
#include "helper/task.h"
#include "util/log.h"

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
	else if (outcome->status == HELPER_IN_USE)
		log_fields(LOG_NOTICE, fields, "%s: %s refused: the host uses it: %s", job->address, what,
			   job->result.reason);
	else
		log_fields(LOG_INFO, fields, "%s: %s done (driver %s)%s%s%s", job->address, what,
			   job->snapshot.driver[0] ? job->snapshot.driver : "none",
			   outcome->reset_done ? ", reset" : "", job->for_address[0] ? ", parked for " : "",
			   job->for_address);
}

static void log_labels(const struct job *job)
{
	if (job->result.labels_note[0])
		log_notice("%s: %s", job->address, job->result.labels_note);
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
	job->fault = job->asked_restore ? (struct outcome){ .status = HELPER_OK } : *fault;
	r = job_start_worker(helper, job, task_restore);
	if (r == 0)
		return;
	journal_mark_failed(helper->journal, job->transaction);
	log_error("%s: stays as it is until a RESTORE, a PREPARE or the next start", job->address);
	job_finish_fault(helper, job, HELPER_STEP_NONE, r);
}

static void begin_prepare(struct helper *helper, struct job *job)
{
	const struct transaction *transaction;
	int r;

	job->snapshot = job->result.snapshot;
	job->force = job->result.force;
	job->reset = job->result.reset;
	job->label = job->result.label;
	r = journal_begin(helper->journal, &job->snapshot, &transaction);
	if (r < 0) {
		log_error("journal: can't write: %s", strerror(-r));
		job_finish_fault(helper, job, HELPER_STEP_JOURNAL, r);
		return;
	}
	job->transaction = transaction->number;
	job->phase = JOB_PREPARING;
	r = job_start_worker(helper, job, task_prepare);
	if (r < 0) {
		close_transaction(helper, job);
		job_finish_fault(helper, job, HELPER_STEP_NONE, r);
	}
}

/* Its transaction is the former one: what is put back at the end is what was there before it was parked first. */
static void begin_parking_again(struct helper *helper, struct job *job)
{
	int r;

	job->phase = JOB_PARKING_AGAIN;
	r = job_start_worker(helper, job, task_park_again);
	if (r < 0)
		job_finish_fault(helper, job, HELPER_STEP_NONE, r);
}

/* It was to be parked again, took too long, and now the lease is over: it is put back instead. */
static bool is_over_already(const struct job *job)
{
	return job->again && job->asked_restore && job->phase != JOB_RESTORING;
}

static void advance_judged(struct helper *helper, struct job *job)
{
	const struct worker_report *result = &job->result;

	if (is_over_already(job)) {
		undo(helper, job, &result->outcome);
		return;
	}
	if (result->outcome.status != HELPER_OK) {
		log_warning("prepare refused: %s", result->reason);
		job_finish(helper, job, &result->outcome);
	} else if (job->timed_out || !job_has_waiter(helper, job)) {
		job_free(helper, job);
	} else if (job->again) {
		begin_parking_again(helper, job);
	} else {
		begin_prepare(helper, job);
	}
}

static int tell_prepared(struct helper *helper, struct job *job)
{
	struct helper_reply reply = reply_new(job->serial, HELPER_OK);

	reply.transaction = job->transaction;
	memcpy(reply.driver, job->snapshot.driver, sizeof(reply.driver));
	reply.reset_done = job->result.outcome.reset_done;
	return connection_reply(helper, job->connection, &reply);
}

static void complete_prepare(struct helper *helper, struct job *job)
{
	struct outcome fault = { .status = HELPER_OK };
	int r;

	if (job->timed_out || job->asked_restore || !job_has_waiter(helper, job)) {
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
	static const struct outcome restored = { .status = HELPER_OK };
	const struct outcome *outcome = &job->result.outcome;

	if (outcome->status != HELPER_IN_USE && job->result.reason[0])
		log_notice("%s: %s", job->address, job->result.reason);
	log_labels(job);
	if (outcome->status == HELPER_OK) {
		complete_prepare(helper, job);
		return;
	}
	log_outcome(job, "prepare", outcome);
	if (outcome->undone) {
		close_transaction(helper, job);
	} else {
		journal_mark_failed(helper->journal, job->transaction);
		log_error("%s: could not be put back; its transaction stays open", job->address);
	}
	job_finish(helper, job, job->asked_restore && outcome->undone ? &restored : outcome);
}

static void advance_parked_again(struct helper *helper, struct job *job)
{
	const struct outcome *outcome = &job->result.outcome;

	log_outcome(job, "parking again", outcome);
	if (is_over_already(job)) {
		undo(helper, job, outcome);
		return;
	}
	if (outcome->status != HELPER_OK) {
		job_finish(helper, job, outcome);
		return;
	}
	/* Where nobody is told: it is parked, as its transaction says. */
	(void)tell_prepared(helper, job);
	job_free(helper, job);
}

/* The former transaction of the device is closed; now what was asked for. */
static void prepare_at_last(struct helper *helper, struct job *job)
{
	int r;

	job->phase = JOB_JUDGING;
	job->transaction = 0;
	r = job_start_worker(helper, job, task_judge);
	if (r < 0)
		job_finish_fault(helper, job, HELPER_STEP_NONE, r);
}

static void advance_restored(struct helper *helper, struct job *job)
{
	const struct outcome *outcome = &job->result.outcome;

	log_outcome(job, "restore", outcome);
	log_labels(job);
	if (outcome->status == HELPER_FAULT)
		journal_mark_failed(helper->journal, job->transaction);
	else
		close_transaction(helper, job);
	if (job->client_fd >= 0 && outcome->status != HELPER_FAULT && job_has_waiter(helper, job))
		prepare_at_last(helper, job);
	else
		job_finish(helper, job, job->fault.status == HELPER_OK ? outcome : &job->fault);
}

static void advance_looked(struct helper *helper, struct job *job)
{
	const struct holders *holders = &job->result.holders;
	struct helper_reply reply = reply_new(job->serial, job->result.outcome.status);

	reply.error = job->result.outcome.error;
	reply.transaction = job->transaction;
	reply.n_holders = holders->n;
	reply.more_holders = holders->more;
	memcpy(reply.holders, holders->list, sizeof(reply.holders));
	connection_reply(helper, job->connection, &reply);
	job_free(helper, job);
}

/* Also when nobody waits any more: that it came to an end after all is worth a line. */
static void advance_made(struct helper *helper, struct job *job)
{
	const struct worker_report *result = &job->result;
	struct helper_reply reply = reply_new(job->serial, result->outcome.status);

	if (result->outcome.status == HELPER_OK && result->n_made)
		log_notice("%s: made %u virtual functions, as NumVFs= says", job->address, result->n_made);
	else
		log_line(result->outcome.status == HELPER_OK ? LOG_INFO : LOG_WARNING,
			 "%s: no virtual functions were made: %s", job->address, result->reason);
	reply.step = result->outcome.step;
	reply.error = result->outcome.error;
	reply.n_made = result->n_made;
	snprintf(reply.detail, sizeof(reply.detail), "%.*s", HELPER_DETAIL_MAX - 1, result->reason);
	connection_reply(helper, job->connection, &reply);
	job_free(helper, job);
}

/* Killed, or out of memory: where it was is the last step it announced. */
static void advance_without_result(struct helper *helper, struct job *job)
{
	const struct outcome fault = { .status = HELPER_FAULT, .step = job->step, .error = EIO };

	log_error("%s: a worker died at %s", job->address, helper_step_text(job->step));
	if (job->phase == JOB_PREPARING || is_over_already(job)) {
		undo(helper, job, &fault);
		return;
	}
	if (job->phase == JOB_RESTORING)
		journal_mark_failed(helper->journal, job->transaction);
	job_finish(helper, job, &fault);
}

void job_advance(struct helper *helper, struct job *job)
{
	job_listen(job);
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
	case JOB_PARKING_AGAIN:
		advance_parked_again(helper, job);
		break;
	case JOB_LOOKING:
		advance_looked(helper, job);
		break;
	case JOB_MAKING_VFS:
		advance_made(helper, job);
		break;
	case JOB_RESTORING:
		advance_restored(helper, job);
		break;
	}
}
