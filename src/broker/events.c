/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tells subscribers and the journal what happened: one event, one entry. */
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "broker/internal.h"
#include "broker/log-entry.h"
#include "util/log.h"

uint64_t now_usec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void publish(struct broker *broker, int priority, struct broker_event event, const struct log_about *about)
{
	event.sequence = ++broker->last_sequence;
	log_entry(broker, priority, &event, about);
	if (broker->event)
		broker->event(broker->userdata, &event);
}

void event_publish(struct broker *broker, int priority, struct broker_event event)
{
	publish(broker, priority, event, &(struct log_about){ 0 });
}

static void publish_of_lease(const struct lease *lease, const struct event_member *member, bool all_devices,
			     int priority, const char *name, const char *message)
{
	const struct log_about about = {
		.lease = lease,
		.all_devices = all_devices,
		.rule_of = member->address && !all_devices ? violation_ruler(lease, member->group) : NULL,
	};

	publish(lease->broker, priority,
		(struct broker_event){
			.name = name,
			.device = member->address,
			.group = member->address ? (int64_t)member->group : -1,
			.lease = (int64_t)lease->id,
			.uid = lease->uid == (uid_t)-1 ? -1 : (int64_t)lease->uid,
			.driver = member->driver && member->driver[0] ? member->driver : NULL,
			.label = lease->label,
			.viable = -1,
			.message = message,
		},
		&about);
}

static struct event_member member_of(const struct lease_device *device)
{
	return (struct event_member){ .address = device->id.address, .group = device->group };
}

void event_lease(struct lease *lease, int priority, const char *name, const char *format, ...)
{
	const struct event_member none = { .address = NULL };
	const struct event_member first = lease->n_devices ? member_of(lease->devices[0]) : none;
	char message[512];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	publish_of_lease(lease, &first, true, priority, name, message);
}

void event_leased(struct lease_device *device, int priority, const char *name, const char *format, ...)
{
	const struct event_member member = member_of(device);
	char message[512];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	publish_of_lease(device->lease, &member, false, priority, name, message);
}

void event_member(struct lease *lease, int priority, const char *name, const struct event_member *member,
		  const char *format, ...)
{
	char message[512];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	publish_of_lease(lease, member, false, priority, name, message);
}

void event_denied(struct broker *broker, const struct identity *identity, const struct refusal *refusal)
{
	bool labels = refusal->kind == REFUSAL_LABEL_MISMATCH;
	bool in_group = refusal->kind != REFUSAL_NO_SUCH_DEVICE && refusal->kind != REFUSAL_QUOTA && refusal->device[0];

	publish(broker, LOG_NOTICE,
		(struct broker_event){
			.name = labels ? "labelRefused" : "leaseDenied",
			.device = refusal->device[0] ? refusal->device : NULL,
			.group = in_group ? (int64_t)refusal->group : -1,
			.lease = -1,
			.uid = (int64_t)identity->uid,
			.label = refusal->other_label,
			.viable = -1,
			.message = refusal->message,
		},
		&(struct log_about){ .client = identity, .refusal = refusal });
}

void event_client(struct broker *broker, int priority, const char *name, const struct identity *identity,
		  const char *message)
{
	publish(broker, priority,
		(struct broker_event){
			.name = name,
			.group = -1,
			.lease = -1,
			.uid = (int64_t)identity->uid,
			.viable = -1,
			.message = message,
		},
		&(struct log_about){ .client = identity });
}

void event_device(struct broker *broker, int priority, const char *name, const struct device *device,
		  const char *format, ...)
{
	char message[512];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	event_publish(broker, priority,
		      (struct broker_event){
			      .name = name,
			      .device = device->id.address,
			      .group = (int64_t)device->group->id,
			      .lease = -1,
			      .uid = -1,
			      .driver = device->driver[0] ? device->driver : NULL,
			      .viable = -1,
			      .message = message,
		      });
}
