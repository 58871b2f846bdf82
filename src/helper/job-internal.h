/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of jobs share: job.c (where they come from), job-table.c (what they are), job-advance.c, job-blocked.c. */
#ifndef IOMMUD_HELPER_JOB_INTERNAL_H
#define IOMMUD_HELPER_JOB_INTERNAL_H

#include "helper/job.h"

/* NULL without memory. `address` is copied. */
struct job *job_new(struct helper *helper, enum job_phase phase, uint64_t connection, uint64_t serial,
		    const char *address);
/* Takes it off the table; a worker that still runs goes on alone. Returns NULL. */
struct job *job_free(struct helper *helper, struct job *job);
/* The one that moves, or is to move, the device. */
struct job *job_find_address(const struct helper *helper, const char *address);

/* job-blocked.c: whether one more that begins with this phase may be. */
bool job_has_place(const struct helper *helper, enum job_phase phase);
/* Why not: "2 of 2 workers blocked: 0000:00:06.0 at unbind, ...". */
void job_describe_limit(const struct helper *helper, char *text, size_t size);

/* Forgets what the last worker said, and starts `run` (helper/task.h). A negative errno is logged already. */
int job_start_worker(struct helper *helper, struct job *job, worker_fn run);
/* Takes what the worker has said so far. */
void job_listen(struct job *job);

/* Whether the connection that asked is still there and still waits. */
bool job_has_waiter(const struct helper *helper, const struct job *job);
void job_say(struct helper *helper, uint64_t connection, uint64_t serial, enum helper_status status,
	     enum helper_step step, int error);
void job_say_timed_out(struct helper *helper, struct job *job);

/* Answers who waits, if the answer is still wanted, and ends the job. `r` is a negative errno. */
void job_finish(struct helper *helper, struct job *job, const struct outcome *outcome);
void job_finish_fault(struct helper *helper, struct job *job, enum helper_step step, int r);

#endif
