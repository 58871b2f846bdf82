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

	/* manage.c: reloads are the daemon's business, which calls manage_reloaded() when one has come to its end. */
	struct list_link reloading; /* session::reload_link */
	uint64_t last_reload; /* how often it was asked for */
	void (*begin_reload)(void *userdata);
	void *reload_userdata;
};

enum listing_kind {
	LISTING_DEVICES,
	LISTING_GROUPS,
	LISTING_LEASES,
	LISTING_ALL_LEASES, /* of other users, too */
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
	struct list_link reload_link; /* service::reloading */
	struct varlink_call *reload; /* NULL: none waits */
	uint64_t reload_number;
	bool lost; /* events were left out because the client did not read, and it was not told yet */
	uint64_t last_lost; /* the sequence of the last of them */
};

/* For varlink_server_config. */
int session_connected(void *userdata, struct varlink_connection *connection);
bool session_ready(void *userdata, struct varlink_connection *connection);
void session_disconnected(void *userdata, struct varlink_connection *connection);
void session_drained(void *userdata, struct varlink_connection *connection);

/*
 * Goes on with a connection of a former iommud, which its keeper has held. `fd` is taken over. 0; -ENOENT: it is none that anybody could go
 * on with; or another negative errno: in both cases the client is shown out.
 */
int session_inherit(struct service *service, struct varlink_server *server, int fd);

/* For broker_config: tells all subscribers that may see it. */
void session_publish(void *userdata, const struct broker_event *event);

/* Begins the list that the call asks for. */
int session_list_begin(struct varlink_call *call, enum listing_kind kind);
/* Sends the list as far as the client's queue takes it. */
int session_list(struct session *session);
/* `lease` 0: everything that the session's peer may see. */
int session_subscribe(struct session *session, struct varlink_call *call, uint64_t lease);
/* What happens to the lease, and first of all whether it is being taken back already. */
int session_subscribe_lease(struct session *session, struct varlink_call *call, const struct lease *lease);

/* A lease is about to be sent: from now on the connection is one that outlives us. */
void session_granted(struct session *session);

struct session *session_of_call(const struct varlink_call *call);

#endif
