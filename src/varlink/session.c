/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a connection is in the middle of. Promises that a client that does not read costs a bounded amount: lists are made
 * as they are read, and events beyond the queue are left out and owned up to by the event `lost`.
 */
#include "varlink/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "util/json-build.h"
#include "varlink/convert.h"

#define LIST_QUEUE_MAX 65536 /* bytes of a list that wait in the queue */
#define EVENT_QUEUE_MAX 262144 /* bytes of events */

struct session *session_of_call(const struct varlink_call *call)
{
	return varlink_connection_get_userdata(varlink_call_get_connection(call));
}

static void peer_identified(void *userdata)
{
	const struct session *session = userdata;

	varlink_connection_resume(session->connection);
}

int session_connected(void *userdata, struct varlink_connection *connection)
{
	struct service *service = userdata;
	struct session *session = calloc(1, sizeof(*session));

	if (!session)
		return -ENOMEM;
	list_init(&session->subscriber_link);
	list_init(&session->reload_link);
	session->service = service;
	session->connection = connection;
	session->peer = peer_new(service->broker, varlink_connection_get_identity(connection),
				 varlink_connection_get_fd(connection));
	if (!session->peer) {
		free(session);
		return -ENOMEM;
	}
	peer_set_identified(session->peer, peer_identified, session);
	varlink_connection_set_userdata(connection, session);
	return 0;
}

bool session_ready(void *userdata, struct varlink_connection *connection)
{
	const struct session *session = varlink_connection_get_userdata(connection);

	return peer_identify(session->peer);
}

void session_disconnected(void *userdata, struct varlink_connection *connection)
{
	struct session *session = varlink_connection_get_userdata(connection);

	if (!session)
		return;
	varlink_connection_set_userdata(connection, NULL);
	list_unlink(&session->subscriber_link);
	list_unlink(&session->reload_link);
	/* The end of its leases is an event: this session hears none any more. */
	session->subscription = NULL;
	session->acquire = NULL;
	session->peer = peer_free(session->peer);
	free(session);
}

void session_granted(struct session *session)
{
	varlink_connection_set_mark(session->connection, peer_get_mark(session->peer));
}

/* ---- lists ---- */

static const struct device *next_device(struct session *session)
{
	struct listing *listing = &session->listing;
	const struct device *device;

	list_for_each(device, registry_devices(broker_get_registry(session->service->broker)), link)
		if (strcmp(device->id.address, listing->last_device) > 0 && peer_may_see(session->peer, device))
			return device;
	return NULL;
}

static bool may_see_group(struct session *session, const struct group *group)
{
	const struct device *device;

	list_for_each(device, &group->devices, group_link)
		if (peer_may_see(session->peer, device))
			return true;
	return false;
}

static const struct group *next_group(struct session *session)
{
	const struct group *group;

	list_for_each(group, registry_groups(broker_get_registry(session->service->broker)), link)
		if ((int64_t)group->id > session->listing.last_group && may_see_group(session, group))
			return group;
	return NULL;
}

static const struct lease *next_lease(struct session *session)
{
	bool all = session->listing.kind == LISTING_ALL_LEASES || peer_is_admin(session->peer);
	const struct lease *lease;

	list_for_each(lease, broker_leases(session->service->broker), link)
		if (lease->id > session->listing.last_lease &&
		    (all || lease->uid == peer_get_identity(session->peer)->uid))
			return lease;
	return NULL;
}

/* Makes the next element and moves on. false: there is none. */
static bool list_next(struct session *session, struct json_build *build)
{
	struct listing *listing = &session->listing;
	struct service *service = session->service;
	const struct device *device;
	const struct group *group;
	const struct lease *lease;

	switch (listing->kind) {
	case LISTING_DEVICES:
		device = next_device(session);
		if (!device)
			return false;
		memcpy(listing->last_device, device->id.address, sizeof(listing->last_device));
		json_build_add(build, "device", convert_device(service->broker, service->names, session->peer, device));
		return true;
	case LISTING_GROUPS:
		group = next_group(session);
		if (!group)
			return false;
		listing->last_group = group->id;
		json_build_add(build, "group", convert_group(service->broker, group));
		return true;
	case LISTING_LEASES:
	case LISTING_ALL_LEASES:
		lease = next_lease(session);
		if (!lease)
			return false;
		listing->last_lease = lease->id;
		json_build_add(build, "lease", convert_lease(lease, session->peer));
		return true;
	}
	return false;
}

int session_list_begin(struct varlink_call *call, enum listing_kind kind)
{
	struct session *session = session_of_call(call);

	session->listing = (struct listing){ .call = call, .kind = kind, .last_group = -1 };
	return session_list(session);
}

int session_list(struct session *session)
{
	struct varlink_call *call = session->listing.call;

	while (varlink_connection_queued(session->connection) < LIST_QUEUE_MAX) {
		struct json_build build = json_build_object();
		bool more = list_next(session, &build);
		json_object *parameters = json_build_end(&build);
		int r;

		if (!parameters)
			return -ENOMEM;
		if (!more)
			session->listing.call = NULL;
		r = varlink_reply(call, parameters, NULL, 0, more);
		if (!more || r < 0)
			return r;
	}
	return 0;
}

/* ---- events ---- */

static void leave_out(struct session *session, const struct broker_event *event)
{
	session->lost = true;
	session->last_lost = event->sequence;
}

static int send_event(struct session *session, const struct broker_event *event)
{
	json_object *parameters = convert_event(event);

	if (!parameters) {
		leave_out(session, event);
		return -ENOMEM;
	}
	return varlink_reply(session->subscription, parameters, NULL, 0, true);
}

static int send_own_event(struct session *session, uint64_t sequence, const char *name, const char *message)
{
	struct broker_event event = { .sequence = sequence,
				      .name = name,
				      .group = -1,
				      .lease = -1,
				      .uid = -1,
				      .viable = -1,
				      .message = message };

	return send_event(session, &event);
}

static int own_up(struct session *session)
{
	session->lost = false;
	return send_own_event(session, session->last_lost, "lost",
			      "events were left out because they were not read; list what you need anew");
}

static void deliver(struct session *session, const struct broker_event *event)
{
	if (varlink_connection_queued(session->connection) > EVENT_QUEUE_MAX ||
	    (session->lost && own_up(session) < 0)) {
		leave_out(session, event);
		return;
	}
	(void)send_event(session, event); /* a client that went is told to us by `disconnected` */
}

static bool wants(const struct session *session, const struct broker_event *event)
{
	if (!session->subscription || !peer_may_see_event(session->peer, event))
		return false;
	return session->subscribed_lease == 0 || event->lease == (int64_t)session->subscribed_lease;
}

void session_publish(void *userdata, const struct broker_event *event)
{
	struct service *service = userdata;
	struct session *session, *following;

	list_for_each_safe(session, following, &service->subscribers, subscriber_link)
		if (wants(session, event))
			deliver(session, event);
}

static void begin_subscription(struct session *session, struct varlink_call *call, uint64_t lease)
{
	session->subscription = call;
	session->subscribed_lease = lease;
	list_append(&session->service->subscribers, &session->subscriber_link);
	peer_set_subscribed(session->peer, true, lease);
}

int session_subscribe(struct session *session, struct varlink_call *call, uint64_t lease)
{
	begin_subscription(session, call, lease);
	return send_own_event(session, 0, "subscribed", "events follow");
}

int session_subscribe_lease(struct session *session, struct varlink_call *call, const struct lease *lease)
{
	struct broker_event late = { .name = "releaseRequested",
				     .group = -1,
				     .lease = (int64_t)lease->id,
				     .uid = (int64_t)lease->uid,
				     .viable = -1,
				     .message = "the lease was being taken back before you subscribed; give it back" };
	bool wanted_back = lease->revocation.begun;
	int r = session_subscribe(session, call, lease->id);

	if (r == 0 && wanted_back)
		r = send_event(session, &late);
	return r;
}

/* The client read: the list goes on, and what it missed is not kept from it until something else happens. */
void session_drained(void *userdata, struct varlink_connection *connection)
{
	struct session *session = varlink_connection_get_userdata(connection);

	if (session && session->listing.call)
		(void)session_list(session); /* as in deliver() */
	else if (session && session->subscription && session->lost)
		(void)own_up(session);
}

/* ---- of a former iommud ---- */

static int go_on(struct session *session, struct varlink_call *call, const struct former_connection *former)
{
	int r = peer_inherit(session->peer);

	if (r < 0)
		return r;
	if (call) {
		begin_subscription(session, call, former->lease);
		r = send_own_event(session, 0, "resynced",
				   "iommud was restarted: list what you need anew; events follow");
	}
	session_granted(session);
	return r;
}

int session_inherit(struct service *service, struct varlink_server *server, int fd)
{
	struct varlink_connection *connection;
	struct former_connection former;
	struct varlink_call *call;
	int r;

	if (!broker_former_connection(service->broker, fd, &former) || former.mark == VARLINK_MARK_NONE ||
	    former.mark > VARLINK_MARK_STREAM || former.mark == VARLINK_MARK_BUSY ||
	    (former.mark == VARLINK_MARK_STREAM && !former.subscribed)) {
		shutdown(fd, SHUT_RDWR);
		close_fd(fd);
		return -ENOENT;
	}
	r = varlink_server_adopt(server, fd, former.mark, &connection, &call);
	if (r < 0)
		return r;
	r = go_on(varlink_connection_get_userdata(connection), call, &former);
	if (r < 0)
		varlink_connection_end(connection);
	return r;
}
