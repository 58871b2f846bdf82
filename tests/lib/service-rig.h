/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The whole of the daemon but its event loop, in the test's process: broker-rig's machine behind a varlink server with
 * io.iommud's methods. What comes back is held against the interface's text. Clients of other uids need root.
 */
#ifndef IOMMUD_TESTS_SERVICE_RIG_H
#define IOMMUD_TESTS_SERVICE_RIG_H

#include "broker-rig.h"
#include "varlink-client.h"
#include "varlink-idl.h"
#include "varlink/session.h"

struct service_rig {
	struct rig rig;
	struct service service;
	struct varlink_server *server;
	struct idl *idl;
	struct idl *manage_idl;
	char path[108];
	size_t n_fds_before;
	struct varlink_connection *last; /* the connection that came last */
	size_t max_queued; /* the most that was queued for it after a dispatch */
};

void service_rig_start(struct service_rig *rig, const char *policy);
/* Shows that no descriptor is left. */
void service_rig_stop(struct service_rig *rig);
/* Serves what is there, until nothing more comes. */
void service_rig_run(struct service_rig *rig);
struct varlink_client service_rig_connect(struct service_rig *rig, uid_t uid);
/* `n` more devices, each alone in its group: 0000:80:00.0 and up, groups 100 and up. */
void service_rig_add_devices(struct service_rig *rig, unsigned int n);

/* Calls `io.iommud.METHOD` (METHOD may be "Manage.Revoke"); the reply must be what is declared for it. To be cleared by varlink_reply_clear(). */
struct varlink_reply service_call(struct service_rig *rig, struct varlink_client *client, const char *method,
				  const char *parameters, const char *flags);
/* The next reply of the same call. */
struct varlink_reply service_next(struct service_rig *rig, struct varlink_client *client, const char *method);
/* The same, but it must be the error `io.iommud.ERROR`, as declared. */
struct varlink_reply service_refused(struct service_rig *rig, struct varlink_client *client, const char *method,
				     const char *parameters, const char *error);

/* "lease" as it is below the key, for example of a list's reply. */
json_object *json_child(json_object *object, const char *key);
const char *json_child_text(json_object *object, const char *key);

#endif
