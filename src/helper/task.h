/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What workers do: the only code of the helper that may block. Each is a worker_fn on a struct task. */
#ifndef IOMMUD_HELPER_TASK_H
#define IOMMUD_HELPER_TASK_H

#include "helper/helper.h"
#include "helper/worker.h"

struct task {
	int sysfs_fd;
	int journal_dir_fd; /* for the lock of the device; not for judging */
	int dev_fd; /* for the host's use of it; not for judging */
	int client_fd; /* for judging */
	const char *client_socket;
	const char *modules; /* the folder of the kernel's modules; NULL: the system's */
	const struct policy *policy;
	const char *address;
	const char
		*for_address; /* for judging: of the device that `address` is parked for; empty: it is itself wanted */
	uint32_t flags; /* of the request: enum helper_flag */
	const struct device_state *wanted; /* of a late PARK, for judging: what `for_address` was like before */
	const struct device_state *snapshot; /* as journalled; not for judging */
	const struct holder_nodes *nodes; /* for who has the device */
	bool force; /* whatever the host uses it for */
	enum transition_reset reset; /* for preparing */
	const struct node_label *label; /* for preparing */
	uint64_t transaction; /* not for judging */
};

void task_judge(void *task, int channel);
void task_prepare(void *task, int channel);
void task_restore(void *task, int channel);
void task_park_again(void *task, int channel);
void task_find_holders(void *task, int channel);
void task_make_vfs(void *task, int channel);

#endif
