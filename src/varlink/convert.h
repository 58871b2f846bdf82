/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The broker's structures as the JSON that io.iommud.varlink describes. Each returns a new object, NULL: out of memory. */
#ifndef IOMMUD_VARLINK_CONVERT_H
#define IOMMUD_VARLINK_CONVERT_H

#include <json-c/json.h>

#include "broker/broker.h"

struct device_names;

json_object *convert_device(struct broker *broker, struct device_names *names, const struct peer *peer,
			    const struct device *device);
json_object *convert_group(struct broker *broker, const struct group *group);
json_object *convert_lease(const struct lease *lease, const struct peer *peer);
json_object *convert_blockers(const struct verdict *verdict);
json_object *convert_bystanders(const struct bystanders *bystanders);
/* The addresses of all members, or of those that stand against the reset. */
json_object *convert_reset_set(const struct reset_set *set, bool conflicting);
/* `all`: what rules say that did not fit as well, which only root is told. */
json_object *convert_explanation(const struct explanation *explanation, bool all);
struct service;
/* The answer of GetStatus. */
json_object *convert_status(const struct service *service);
json_object *convert_event(const struct broker_event *event);
/* The answer of Acquire. `fds` (room for VARLINK_FDS_MAX) takes over what was opened, in the order of the indexes. */
json_object *convert_grant(const struct lease *lease, struct opened *opened, int *fds, size_t *n_fds);

#endif
