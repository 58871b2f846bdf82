/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of the helper share: its settings and its state. One thread, which never blocks on a device. */
#ifndef IOMMUD_HELPER_HELPER_H
#define IOMMUD_HELPER_HELPER_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#include "helper/journal.h"
#include "policy/policy.h"
#include "util/list.h"

#define HELPER_CONNECTIONS_MAX 8

struct helper_options {
	const char *client_socket;
	const char *modules; /* the folder of the kernel's modules; NULL: the system's */
	const char *const *policy_dirs; /* NULL-terminated, highest priority first */
	bool policy_any_owner;
	uint64_t worker_timeout_usec;
	unsigned int max_workers;
	uid_t broker_uid;
};

/* A connection of the broker's; there can be two for the moment in which a broker is replaced. */
struct connection {
	int fd; /* -1: a free place */
	uint64_t id; /* never used twice, never 0 */
};

struct helper {
	struct helper_options options;
	int sysfs_fd;
	int journal_dir_fd;
	int dev_fd; /* where nodes of disks are */
	struct journal *journal;
	struct policy *policy; /* never NULL: one without rules stands in for one that can't be loaded */
	struct connection connections[HELPER_CONNECTIONS_MAX];
	uint64_t last_connection;
	struct list_link jobs; /* job::link */
	unsigned int n_jobs;
};

/*
 * Loads the policy and puts it in force; errors are logged with file and line, then what was in force stays. 0, -EINVAL or
 * another negative errno.
 */
int helper_load_policy(struct helper *helper);

static inline uint64_t helper_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

#endif
