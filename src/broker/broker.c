/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The broker's life: made, driven by the event loop, given a new policy, freed. What it does is in the files beside. */
#include "broker/broker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "broker/internal.h"
#include "broker/labels.h"
#include "broker/log-entry.h"
#include "util/log.h"

int broker_set_policy(struct broker *broker, struct policy *policy, char *refused, size_t refused_size)
{
	struct label_conflict conflict;
	const struct group *group;
	int r = labels_find_any_conflict(policy, broker, broker->registry, &conflict);

	if (r == 1)
		snprintf(refused, refused_size, "error: %s", conflict.message);
	if (r != 0)
		return r < 0 ? r : -EINVAL;
	policy_free(broker->policy);
	broker->policy = policy;
	list_for_each(group, registry_groups(broker->registry), link)
		watch_judge_group(broker, group->id);
	vfs_want_all(broker);
	wait_touch_all(broker);
	event_publish(broker, LOG_INFO,
		      (struct broker_event){ .name = "policyLoaded",
					     .group = -1,
					     .lease = -1,
					     .uid = -1,
					     .viable = -1,
					     .message = "a new policy is in force" });
	return 0;
}

const struct policy *broker_get_policy(const struct broker *broker)
{
	return broker->policy;
}

struct registry *broker_get_registry(const struct broker *broker)
{
	return broker->registry;
}

static int make_pollable(struct broker *broker)
{
	struct epoll_event event = { .events = EPOLLIN };

	broker->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	/* Blocking for the threads that write, so that no result is lost; not for us. */
	if (broker->poll_fd < 0 || pipe2(broker->completion_fd, O_CLOEXEC) < 0 ||
	    fcntl(broker->completion_fd[0], F_SETFL, O_NONBLOCK) < 0 ||
	    epoll_ctl(broker->poll_fd, EPOLL_CTL_ADD, broker->completion_fd[0], &event) < 0)
		return -errno;
	return node_labels_begin(broker);
}

static void close_pollable(struct broker *broker)
{
	close_fd(broker->label_watch);
	close_fd(broker->completion_fd[0]);
	close_fd(broker->completion_fd[1]);
	close_fd(broker->poll_fd);
}

static int open_state(struct broker *broker, int fd)
{
	int r = fd < 0 ? 0 : ledger_open(fd, &broker->ledger);

	if (r == 0 && fd >= 0)
		r = kept_open(fd, &broker->kept);
	return r < 0 ? r : inherit_begin(broker);
}

static void close_state(struct broker *broker)
{
	struct lease *lease, *following;

	list_for_each_safe(lease, following, &broker->found.leases, link)
		lease_free(lease);
	past_clear(&broker->past);
	broker->ledger = ledger_free(broker->ledger);
	broker->kept = kept_free(broker->kept);
}

int broker_new(const struct broker_config *config, struct broker **ret)
{
	struct broker *broker = calloc(1, sizeof(*broker));
	int r;

	if (!broker)
		return -ENOMEM;
	broker->poll_fd = broker->label_watch = broker->completion_fd[0] = broker->completion_fd[1] = -1;
	broker->registry = config->registry;
	broker->helper = config->helper;
	broker->dev_fd = config->dev_fd;
	broker->openers = config->openers;
	broker->module = config->module;
	broker->limits = config->limits;
	broker->node_context = config->node_context;
	broker->keeper = config->state_fd >= 0 ? config->keeper : NULL;
	broker->event = config->event;
	broker->userdata = config->userdata;
	broker->retry_usec = UINT64_MAX;
	broker->label_look_usec = UINT64_MAX;
	list_init(&broker->leases);
	list_init(&broker->vfs_wishes);
	list_init(&broker->waiting);
	list_init(&broker->unidentified);
	r = make_pollable(broker);
	if (r < 0) {
		close_pollable(broker);
		free(broker);
		return r;
	}
	list_init(&broker->found.leases);
	r = open_state(broker, config->state_fd);
	if (r < 0) {
		close_state(broker);
		close_pollable(broker);
		free(broker);
		return r;
	}
	broker->policy = config->policy;
	watch_begin(broker);
	*ret = broker;
	return 0;
}

struct broker *broker_free(struct broker *broker)
{
	struct lease *lease, *following;

	if (!broker)
		return NULL;
	registry_set_listener(broker->registry, NULL, NULL);
	list_for_each_safe(lease, following, &broker->leases, link)
		lease_free(lease);
	vfs_forget(broker);
	policy_free(broker->policy);
	groups_free(broker);
	quota_clear(&broker->quota);
	close_state(broker);
	close_pollable(broker);
	free(broker);
	return NULL;
}

int broker_get_fd(const struct broker *broker)
{
	return broker->poll_fd;
}

void broker_dispatch(struct broker *broker)
{
	open_dispatch_completions(broker);
	node_labels_dispatch(broker);
}

uint64_t broker_next_deadline(const struct broker *broker)
{
	uint64_t waiting = wait_next_deadline(broker);
	uint64_t next = waiting < broker->retry_usec ? waiting : broker->retry_usec;
	uint64_t logging = log_entry_next_deadline(broker), identifying = identify_next_deadline(broker);
	const struct lease *lease;

	if (logging < next)
		next = logging;
	if (identifying < next)
		next = identifying;
	if (broker->label_look_usec < next)
		next = broker->label_look_usec;
	list_for_each(lease, &broker->leases, link)
		if (lease->deadline_usec < next)
			next = lease->deadline_usec;
	return next;
}

static void lease_expire(struct lease *lease, uint64_t now)
{
	switch (lease->state) {
	case LEASE_PREPARING:
		acquire_expire(lease, now);
		break;
	case LEASE_RELEASING:
	case LEASE_LINGERING:
		release_expire(lease, now);
		break;
	case LEASE_ACTIVE:
	case LEASE_VIOLATED:
		expiry_reached(lease);
		break;
	case LEASE_REQUESTED:
	case LEASE_RELEASED:
	case LEASE_FAILED:
	case LEASE_STATES:
		lease->deadline_usec = UINT64_MAX;
		break;
	}
}

/* The helper is tried again only while something waits for it. */
static void retry_helper(struct broker *broker)
{
	broker->retry_usec = UINT64_MAX;
	if (helper_client_is_connected(broker->helper) || helper_client_connect(broker->helper) == 0)
		recover_begin(broker);
	else
		recover_retry_later(broker);
}

void broker_expire(struct broker *broker, uint64_t now)
{
	struct lease *lease, *following;

	if (broker->retry_usec <= now)
		retry_helper(broker);
	list_for_each_safe(lease, following, &broker->leases, link)
		if (lease->deadline_usec <= now)
			lease_expire(lease, now);
	identify_expire(broker, now);
	wait_expire(broker, now);
	log_entry_expire(broker, now);
	node_labels_expire(broker, now);
}

struct lease *lease_by_number(struct broker *broker, uint64_t id)
{
	struct lease *lease;

	list_for_each(lease, &broker->leases, link)
		if (lease->id == id)
			return lease;
	return NULL;
}

struct lease *lease_of_transaction(struct broker *broker, uint64_t transaction)
{
	struct lease *lease;

	list_for_each(lease, &broker->leases, link)
		for (size_t i = 0; i < lease_n_all(lease); i++)
			if (transaction && lease->devices[i]->transaction == transaction)
				return lease;
	return NULL;
}

const struct lease *broker_find_lease(struct broker *broker, const struct peer *peer, uint64_t id)
{
	const struct lease *lease = lease_by_number(broker, id);

	return lease && (peer_is_admin(peer) || lease->uid == peer->identity->uid) ? lease : NULL;
}

struct list_link *broker_leases(struct broker *broker)
{
	return &broker->leases;
}
