/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of libiommud share. Nothing here is exported. */
#ifndef LIBIOMMUD_INTERNAL_H
#define LIBIOMMUD_INTERNAL_H

#include <json-c/json.h>
#include <stdbool.h>

#include "libiommud.h"
#include "util/cleanup.h"
#include "wire.h"

/* Paths as they are: no \/ for people to read over. */
#define JSON_FLAGS (JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)

#define EXPORT __attribute__((visibility("default")))

DEFINE_CLEANUP(json, json_object *, json_object_put)
#define _cleanup_json_ _cleanup_(cleanup_json)

struct iommud {
	int fd;
	bool broken; /* the position in the stream is lost: no more calls */
	bool subscribed; /* a stream of events is open: no calls either */
	json_object *reply; /* parameters of the last reply, what the borrowed texts live in; NULL unless it had any */
	/* Of the last call, all NULL unless it was refused. */
	char *error_name;
	json_object *error_parameters;
	char *error_message;
};

/* call.c: one call, up to its first reply. Unlike iommud_call(), it takes `parameters` (owned by the caller) as a tree. */

/* One reply. The parameters (never NULL) and the descriptors are owned. */
struct iommud_reply {
	json_object *parameters;
	struct iommud_message message;
	bool continues;
};
void iommud_reply_clear(struct iommud_reply *reply);
#define _cleanup_reply_ _cleanup_(iommud_reply_clear)

/* Sends a call and forgets the last one's error. 0 or a negative errno, which breaks the connection, -EINVAL excepted. */
int iommud_call_send(struct iommud *connection, const char *method, json_object *parameters, bool more);
/* 0, IOMMUD_REFUSED or a negative errno, which breaks the connection. */
int iommud_call_receive(struct iommud *connection, struct iommud_reply *ret);
/*
 * The same for a reply that brings no descriptors. Its parameters become the connection's; *ret_text is borrowed until the
 * next call.
 */
int iommud_call_receive_text(struct iommud *connection, const char **ret_text, bool *ret_continues);
/* Marks the connection as of no further use and returns `error`. */
int iommud_break(struct iommud *connection, int error);

/* Parses exactly one JSON object. 0, -EINVAL or -ENOMEM. */
int iommud_json_parse(const char *text, size_t size, json_object **ret);

/* error.c */
void iommud_error_clear(struct iommud *connection);
/* Keeps a refusal; `parameters` stays the caller's. 0 or -ENOMEM. */
int iommud_error_set(struct iommud *connection, const char *name, json_object *parameters);

/* grant.c: the answer of Acquire to a lease. Takes the descriptors out of `reply` when it returns 0. -EPROTO, -ENOMEM. */
int iommud_lease_decode(struct iommud_reply *reply, size_t n_devices, struct iommud_lease **ret);

/* lease.c */
struct iommud_lease_device {
	char *address;
	uint32_t group;
	int device_fd;
	int group_fd;
};

struct iommud_lease {
	uint64_t id;
	char *backend;
	char *label;
	int iommu_fd;
	int container_fd;
	struct iommud_lease_device *devices;
	size_t n_devices;
};

DEFINE_CLEANUP(lease, struct iommud_lease *, iommud_lease_free)
/* Without descriptors (-1) and names. 0 or -ENOMEM. */
int iommud_lease_new(size_t n_devices, struct iommud_lease **ret);

#endif
