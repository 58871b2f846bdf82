/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tells subscribers and the journal what happened: one event, one line, with the same facts as journal fields. */
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "broker/internal.h"
#include "util/log.h"

#define MAX_FIELDS 8

uint64_t now_usec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

struct journal_fields {
	char text[MAX_FIELDS][320];
	const char *list[MAX_FIELDS + 1];
	size_t n;
};

static void add_text(struct journal_fields *fields, const char *name, const char *value)
{
	if (!value || !value[0])
		return;
	snprintf(fields->text[fields->n], sizeof(fields->text[0]), "IOMMUD_%s=%s", name, value);
	fields->list[fields->n] = fields->text[fields->n];
	fields->n++;
}

static void add_number(struct journal_fields *fields, const char *name, int64_t value)
{
	char text[24];

	if (value < 0)
		return;
	snprintf(text, sizeof(text), "%lld", (long long)value);
	add_text(fields, name, text);
}

static void write_journal(int priority, const struct broker_event *event)
{
	struct journal_fields fields = { .n = 0 };

	add_text(&fields, "EVENT", event->name);
	add_text(&fields, "DEVICE", event->device);
	add_number(&fields, "GROUP", event->group);
	add_number(&fields, "LEASE", event->lease);
	add_number(&fields, "UID", event->uid);
	add_text(&fields, "DRIVER", event->driver);
	add_text(&fields, "LABEL", event->label);
	fields.list[fields.n] = NULL;
	log_fields(priority, fields.list, "%s", event->message);
}

void event_publish(struct broker *broker, int priority, struct broker_event event)
{
	event.sequence = ++broker->last_sequence;
	write_journal(priority, &event);
	if (broker->event)
		broker->event(broker->userdata, &event);
}

static void publish_of_lease(const struct lease *lease, const struct event_member *member, int priority,
			     const char *name, const char *message)
{
	event_publish(lease->broker, priority,
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
		      });
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
	publish_of_lease(lease, &first, priority, name, message);
}

void event_leased(struct lease_device *device, int priority, const char *name, const char *format, ...)
{
	const struct event_member member = member_of(device);
	char message[512];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	publish_of_lease(device->lease, &member, priority, name, message);
}

void event_member(struct lease *lease, int priority, const char *name, const struct event_member *member,
		  const char *format, ...)
{
	char message[512];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	publish_of_lease(lease, member, priority, name, message);
}

void event_denied(struct broker *broker, const struct identity *identity, const struct refusal *refusal)
{
	bool labels = refusal->kind == REFUSAL_LABEL_MISMATCH;
	bool in_group = refusal->kind != REFUSAL_NO_SUCH_DEVICE && refusal->kind != REFUSAL_QUOTA && refusal->device[0];

	event_publish(broker, LOG_NOTICE,
		      (struct broker_event){
			      .name = labels ? "labelRefused" : "leaseDenied",
			      .device = refusal->device[0] ? refusal->device : NULL,
			      .group = in_group ? (int64_t)refusal->group : -1,
			      .lease = -1,
			      .uid = (int64_t)identity->uid,
			      .label = refusal->other_label,
			      .viable = -1,
			      .message = refusal->message,
		      });
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
