/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A session joins a varlink connection to the broker's peer: the acquire that waits for its outcome, the list that is
 * being sent, the subscription. The service is all sessions of the daemon, and what they share.
 */
#ifndef IOMMUD_VARLINK_SESSION_H
#define IOMMUD_VARLINK_SESSION_H

#include "broker/broker.h"
#include "util/list.h"
#include "varlink/server.h"

struct device_names;

struct service {
	struct broker *broker;
	struct device_names *names;
	struct list_link subscribers; /* session::subscriber_link */
	const char *module_wanted; /* KernelModule= of iommud.conf */
};

enum listing_kind {
	LISTING_DEVICES,
	LISTING_GROUPS,
	LISTING_LEASES,
};

/* A list on its way to a client that reads as it likes: what was sent last is remembered, not what comes next. */
struct listing {
	struct varlink_call *call; /* NULL: none */
	enum listing_kind kind;
	char last_device[DEVICE_ADDRESS_MAX];
	int64_t last_group;
	uint64_t last_lease;
};

struct session {
	struct list_link subscriber_link; /* service::subscribers */
	struct service *service;
	struct varlink_connection *connection;
	struct peer *peer;
	struct varlink_call *acquire; /* NULL: none waits */
	struct varlink_call *subscription; /* NULL: not subscribed */
	uint64_t subscribed_lease; /* what happens to this lease only; 0: everything */
	struct listing listing;
	bool lost; /* events were left out because the client did not read, and it was not told yet */
	uint64_t last_lost; /* the sequence of the last of them */
};

/* For varlink_server_config. */
int session_connected(void *userdata, struct varlink_connection *connection);
bool session_ready(void *userdata, struct varlink_connection *connection);
void session_disconnected(void *userdata, struct varlink_connection *connection);
void session_drained(void *userdata, struct varlink_connection *connection);

/* For broker_config: tells all subscribers that may see it. */
void session_publish(void *userdata, const struct broker_event *event);

/* Sends the list as far as the client's queue takes it. */
int session_list(struct session *session);
/* `lease` 0: everything that the session's peer may see. */
int session_subscribe(struct session *session, struct varlink_call *call, uint64_t lease);
/* What happens to the lease, and first of all whether it is being taken back already. */
int session_subscribe_lease(struct session *session, struct varlink_call *call, const struct lease *lease);

struct session *session_of_call(const struct varlink_call *call);

#endif
