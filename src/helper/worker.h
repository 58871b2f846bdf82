/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A forked child that may block in the kernel for ever, so that its parent never does. It reports by fixed structures
 * over a socket pair: any number of steps, then at most one result. It outlives its parent and finishes alone.
 */
#ifndef IOMMUD_HELPER_WORKER_H
#define IOMMUD_HELPER_WORKER_H

#include <stdbool.h>
#include <sys/types.h>

#include "helper/authority.h"
#include "helper/device-state.h"
#include "helper/holders.h"
#include "helper/transition.h"

#define WORKER_KEEP_MAX 8

/* Either a step that begins (`done` false, outcome.step), or the result. */
struct worker_report {
	bool done;
	struct outcome outcome;
	struct device_state snapshot; /* of a judgement that is OK */
	bool force; /* likewise */
	enum transition_reset reset; /* likewise */
	struct node_label label; /* likewise */
	bool has_nodes; /* with a step */
	struct holder_nodes nodes;
	struct holders holders; /* of a look at who has the device */
	unsigned int n_made; /* virtual functions */
	/* Of one that is not, and of IN_USE; of another move what became of a module; of virtual functions why none. */
	char reason[320];
	char labels_note[256]; /* of a move, what became of the security contexts of nodes */
};

struct worker {
	pid_t pid;
	int pidfd; /* readable when it has ended */
	int channel;
};

#define WORKER_INIT                                   \
	{                                             \
		.pid = -1, .pidfd = -1, .channel = -1 \
	}

/* The child's whole life: says what it has to say to `channel`, then returns. */
typedef void (*worker_fn)(void *userdata, int channel);

/*
 * Forks. The child keeps standard input, output, error, its channel and the `n_keep` descriptors of `keep`, no other,
 * and ignores the signals that end its parent. 0, or a negative errno.
 */
int worker_start(struct worker *worker, worker_fn run, void *userdata, const int *keep, size_t n_keep);

/* In the child. A parent that is gone is no reason to stop. */
void worker_say(int channel, const struct worker_report *report);

/* The next report, without blocking: 1 and `ret`; 0: none there; a negative errno: none will come. */
int worker_listen(struct worker *worker, struct worker_report *ret);

/* Takes the ended child's status and closes; to be called when `pidfd` is readable, then it does not block. */
void worker_reap(struct worker *worker);

/* Lets a running child go on alone. */
void worker_abandon(struct worker *worker);

#endif
