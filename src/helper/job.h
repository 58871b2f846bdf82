/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A job is what one request makes the helper do: a chain of workers, one at a time, with one time limit and one who waits
 * for the answer, or nobody. One job a device at a time.
 */
#ifndef IOMMUD_HELPER_JOB_H
#define IOMMUD_HELPER_JOB_H

#include "helper/helper.h"
#include "helper/worker.h"

enum job_phase {
	JOB_JUDGING, /* reads sysfs, asks the policy */
	JOB_PREPARING, /* journalled; moves the device to vfio, or to where it is parked */
	JOB_PARKING_AGAIN, /* takes a device that is prepared, but was taken from where it was parked, back to there */
	JOB_LOOKING, /* for who has it; the only one that may be beside another job of the device */
	JOB_MAKING_VFS, /* has it make its virtual functions; nothing is journalled, for nothing is to be put back */
	JOB_RESTORING, /* puts it back: asked for, or because a prepare can't stand */
};

struct job {
	struct list_link link; /* helper::jobs */
	enum job_phase phase;
	uint64_t connection; /* who waits; 0: nobody */
	uint64_t serial;
	uint64_t deadline; /* as helper_now() */
	bool timed_out; /* and said so, if somebody waits */
	/* Who waits asked for the restore, and is told its end also after TIMED_OUT; a prepare under way then can't stand. */
	bool asked_restore;
	/* Until JUDGING has begun: of a RESTORING, that a prepare is to follow; -1 afterwards. */
	int client_fd;
	char address[DEVICE_ADDRESS_MAX];
	char for_address[DEVICE_ADDRESS_MAX]; /* of a PARK; empty otherwise */
	uint32_t flags; /* of the request: enum helper_flag */
	uint64_t transaction; /* not yet while JUDGING, but of what is to be parked again */
	struct device_state snapshot; /* likewise */
	bool again; /* a late PARK of what is parked already */
	struct device_state wanted; /* of a late PARK: what `for_address` was like before it was prepared */
	struct holder_nodes nodes; /* as far as its worker, or the one that blocks, has said */
	bool force; /* by the rule that allowed it */
	enum transition_reset reset; /* likewise, if the request asks for it */
	struct node_label label; /* likewise, of what is prepared */
	struct worker worker;
	struct outcome fault; /* of the prepare that is being undone; status OK: none that anyone is to be told */
	size_t poll_index; /* server.c's; 0: not polled yet */
	enum helper_step step; /* the last one that the worker announced */
	bool has_result;
	struct worker_report result;
};

/* Each replies by itself, now or later. `client_fd` is the job's. PREPARE or PARK, RESTORE. */
void job_prepare(struct helper *helper, uint64_t connection, const struct helper_request *request, int client_fd);
void job_restore(struct helper *helper, uint64_t connection, const struct helper_request *request);
void job_find_holders(struct helper *helper, uint64_t connection, const struct helper_request *request);
void job_make_vfs(struct helper *helper, uint64_t connection, const struct helper_request *request);

/* Puts back what a former helper left half done. */
void jobs_undo_begun(struct helper *helper);

/*
 * Whether somebody waits for a prepare of `transaction`: nobody else is to know of it yet. One for which nobody waits will
 * be undone, which is for all to know.
 */
bool job_prepares(const struct helper *helper, uint64_t transaction);

/* The job's worker has ended: goes on to the next, or answers and frees the job. */
void job_advance(struct helper *helper, struct job *job);

/* Answers TIMED_OUT where the time is up. Returns the next deadline, UINT64_MAX if there is none. */
uint64_t jobs_expire(struct helper *helper, uint64_t now);

/* Tells systemd which workers are blocked, when that has changed. */
void jobs_tell_status(struct helper *helper);

/* Forgets all jobs; their workers finish alone. */
void jobs_abandon(struct helper *helper);

#endif
