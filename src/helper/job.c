/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where jobs come from: requests, and what a former helper left half done. Decides who must wait for whom. */
#include "helper/job-internal.h"

#include <errno.h>
#include <string.h>

#include "helper/connection.h"
#include "helper/task.h"
#include "topology/viability.h"
#include "util/log.h"

static void refuse(struct helper *helper, uint64_t connection, const struct helper_request *request,
		   enum helper_status status)
{
	job_say(helper, connection, request->serial, status, HELPER_STEP_NONE, 0);
}

/* The limit is not the device's fault, and says so. */
static void refuse_for_limit(struct helper *helper, uint64_t connection, const struct helper_request *request)
{
	struct helper_reply reply = reply_new(request->serial, HELPER_BUSY);

	job_describe_limit(helper, reply.detail, sizeof(reply.detail));
	connection_reply(helper, connection, &reply);
}

/* What could not be put back the last time is tried again first: maybe the driver is there now, or an admin has helped. */
static int start_prepare(struct helper *helper, struct job *job, const struct transaction *former)
{
	if (!former)
		return job_start_worker(helper, job, task_judge);
	job->phase = JOB_RESTORING;
	job->transaction = former->number;
	job->snapshot = former->snapshot;
	return job_start_worker(helper, job, task_restore);
}

/* The device that a client was given, or is about to be: what came late is only parked for such a one. */
static const struct transaction *find_prepared(const struct helper *helper, const char *address)
{
	const struct transaction *transaction = journal_find_address(helper->journal, address);

	return transaction && transaction->prepared && !device_state_is_parked(&transaction->snapshot) ? transaction
												       : NULL;
}

static bool is_to_park_again(const struct helper_request *request, const struct transaction *former)
{
	return (request->flags & HELPER_LATE) && former && former->prepared && !former->failed &&
	       device_state_is_parked(&former->snapshot);
}

/* What a late PARK has to know of transactions that are open already. */
static void fill_late(struct job *job, const struct transaction *wanted, const struct transaction *parked)
{
	job->wanted = wanted->snapshot;
	if (!parked)
		return;
	job->again = true;
	job->transaction = parked->number;
	job->snapshot = parked->snapshot;
}

void job_prepare(struct helper *helper, uint64_t connection, const struct helper_request *request, int client_fd)
{
	const struct transaction *former = journal_find_address(helper->journal, request->address);
	const struct transaction *wanted = find_prepared(helper, request->for_address);
	bool late = request->flags & HELPER_LATE, again = is_to_park_again(request, former);
	_cleanup_fd_ int fd = client_fd;
	struct job *job;
	int r;

	if (late && !wanted) {
		log_warning("%s is not parked for %s, for that was given to nobody", request->address,
			    request->for_address);
		refuse(helper, connection, request, HELPER_REFUSED);
		return;
	}
	if (job_find_address(helper, request->address) || (former && !former->failed && !again)) {
		refuse(helper, connection, request, HELPER_BUSY);
		return;
	}
	if (!job_has_place(helper, JOB_JUDGING)) {
		refuse_for_limit(helper, connection, request);
		return;
	}
	job = job_new(helper, JOB_JUDGING, connection, request->serial, request->address);
	if (!job) {
		job_say(helper, connection, request->serial, HELPER_FAULT, HELPER_STEP_NONE, ENOMEM);
		return;
	}
	job->client_fd = TAKE_FD(fd);
	memcpy(job->for_address, request->for_address, sizeof(job->for_address));
	job->flags = request->flags;
	if (late)
		fill_late(job, wanted, again ? former : NULL);
	r = start_prepare(helper, job, again ? NULL : former);
	if (r < 0)
		job_finish_fault(helper, job, HELPER_STEP_NONE, r);
}

/*
 * A broker that was restarted asks again for what its former self waited for; or one asks for the end of a prepare that it was
 * told did not come back.
 */
static void adopt(struct helper *helper, struct job *job, uint64_t connection, const struct helper_request *request)
{
	job->connection = connection;
	job->serial = request->serial;
	job->asked_restore = true;
	job->fault = (struct outcome){ .status = HELPER_OK };
	job->client_fd = close_fd(job->client_fd);
	if (job->timed_out)
		job_say_timed_out(helper, job);
}

/* NULL: it could not be begun. A PREPARE then tries again first, as after any restore that failed. */
static struct job *start_restore(struct helper *helper, uint64_t connection, uint64_t serial, uint32_t flags,
				 const struct transaction *transaction)
{
	struct job *job = job_new(helper, JOB_RESTORING, connection, serial, transaction->snapshot.id.address);

	if (job) {
		job->transaction = transaction->number;
		job->snapshot = transaction->snapshot;
		job->asked_restore = connection != 0;
		job->flags = flags;
		if (job_start_worker(helper, job, task_restore) < 0)
			job = job_free(helper, job);
	}
	if (!job)
		journal_mark_failed(helper->journal, transaction->number);
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
	job = job_find_address(helper, transaction->snapshot.id.address);
	if (job && job->transaction == transaction->number && !job_has_waiter(helper, job))
		adopt(helper, job, connection, request);
	else if (job)
		refuse(helper, connection, request, HELPER_BUSY);
	else if (!job_has_place(helper, JOB_RESTORING))
		refuse_for_limit(helper, connection, request);
	else if (!start_restore(helper, connection, request->serial, request->flags, transaction))
		job_say(helper, connection, request->serial, HELPER_FAULT, HELPER_STEP_NONE, EAGAIN);
}

/* Every answer names the transaction: that is how the broker finds what it asked for. */
static void answer_holders(struct helper *helper, uint64_t connection, const struct helper_request *request,
			   enum helper_status status, int error)
{
	struct helper_reply reply = reply_new(request->serial, status);

	reply.transaction = request->transaction;
	reply.error = error;
	connection_reply(helper, connection, &reply);
}

/* Whether a client ever got, or could have got, a VFIO descriptor of it. */
static bool may_be_out(const struct transaction *transaction)
{
	const struct device_state *snapshot = &transaction->snapshot;

	return driver_is_vfio(snapshot->driver) || (transaction->prepared && !device_state_is_parked(snapshot));
}

void job_find_holders(struct helper *helper, uint64_t connection, const struct helper_request *request)
{
	const struct transaction *transaction = journal_find(helper->journal, request->transaction);
	struct job *job, *moving;

	if (!transaction) {
		answer_holders(helper, connection, request, HELPER_NO_SUCH_TRANSACTION, 0);
		return;
	}
	if (!job_has_place(helper, JOB_LOOKING)) {
		answer_holders(helper, connection, request, HELPER_BUSY, 0);
		return;
	}
	moving = job_find_address(helper, transaction->snapshot.id.address);
	if (moving)
		job_listen(moving);
	job = job_new(helper, JOB_LOOKING, connection, request->serial, transaction->snapshot.id.address);
	if (!job) {
		answer_holders(helper, connection, request, HELPER_FAULT, ENOMEM);
		return;
	}
	job->transaction = transaction->number;
	if (moving)
		job->nodes = moving->nodes;
	job->nodes.vfio = may_be_out(transaction);
	if (job_start_worker(helper, job, task_find_holders) < 0) {
		job_free(helper, job);
		answer_holders(helper, connection, request, HELPER_FAULT, EAGAIN);
	}
}

void job_make_vfs(struct helper *helper, uint64_t connection, const struct helper_request *request)
{
	struct job *job;
	int r;

	if (job_find_address(helper, request->address) || journal_find_address(helper->journal, request->address) ||
	    helper->n_jobs >= helper->options.max_workers) {
		refuse(helper, connection, request, HELPER_BUSY);
		return;
	}
	job = job_new(helper, JOB_MAKING_VFS, connection, request->serial, request->address);
	if (!job) {
		job_say(helper, connection, request->serial, HELPER_FAULT, HELPER_STEP_NONE, ENOMEM);
		return;
	}
	r = job_start_worker(helper, job, task_make_vfs);
	if (r < 0)
		job_finish_fault(helper, job, HELPER_STEP_NONE, r);
}

void jobs_undo_begun(struct helper *helper)
{
	const struct transaction *transaction;

	for (transaction = journal_next(helper->journal, 0); transaction;
	     transaction = journal_next(helper->journal, transaction->number)) {
		if (transaction->prepared)
			continue;
		log_notice("%s: putting back what was begun before the restart", transaction->snapshot.id.address);
		if (!start_restore(helper, 0, 0, 0, transaction))
			log_error("%s: can't be put back now; a RESTORE or the next start tries again",
				  transaction->snapshot.id.address);
	}
}
