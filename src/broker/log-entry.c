/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Values come from clients, devices and files: what is not printable ASCII becomes '?', so that no value can look like
 * another field or another line, and journalctl shows all of them as text.
 */
#include "broker/log-entry.h"

#include <stdio.h>
#include <string.h>

#include "broker/internal.h"
#include "broker/message-ids.h"
#include "util/log.h"
#include "util/text.h"

/* All devices, groups and rules of a lease, and what there is once. */
#define MAX_FIELDS (3 * OPENER_DEVICES_MAX + 16)
#define VALUE_MAX 1024 /* of a longer one the beginning; a label has up to a page */

struct entry_fields {
	char text[16384];
	size_t used;
	const char *list[MAX_FIELDS + 1];
	size_t n;
};

static bool has_field(const struct entry_fields *fields, const char *text)
{
	for (size_t i = 0; i < fields->n; i++)
		if (strcmp(fields->list[i], text) == 0)
			return true;
	return false;
}

/* A name may come several times, a name with the same value once. */
static void add_text(struct entry_fields *fields, const char *name, const char *value)
{
	char *text = fields->text + fields->used, printable[VALUE_MAX];
	size_t room = sizeof(fields->text) - fields->used;
	int length;

	if (!value || !value[0] || fields->n == MAX_FIELDS)
		return;
	text_copy_printable(printable, sizeof(printable), value);
	length = snprintf(text, room, "%s=%s", name, printable);
	if (length < 0 || (size_t)length >= room || has_field(fields, text))
		return;
	fields->list[fields->n++] = text;
	fields->used += (size_t)length + 1;
}

static void add_number(struct entry_fields *fields, const char *name, int64_t value)
{
	char text[24];

	if (value < 0)
		return;
	snprintf(text, sizeof(text), "%lld", (long long)value);
	add_text(fields, name, text);
}

static void add_id(struct entry_fields *fields, const struct message_id *id)
{
	if (id)
		add_text(fields, "MESSAGE_ID", id->id);
}

static void add_event(struct entry_fields *fields, const struct broker_event *event)
{
	add_text(fields, "IOMMUD_EVENT", event->name);
	add_text(fields, "IOMMUD_DEVICE", event->device);
	add_number(fields, "IOMMUD_GROUP", event->group);
	add_number(fields, "IOMMUD_LEASE", event->lease);
	add_number(fields, "IOMMUD_UID", event->uid);
	add_text(fields, "IOMMUD_DRIVER", event->driver);
	add_text(fields, "IOMMUD_LABEL", event->label);
}

static void add_devices(struct entry_fields *fields, const struct lease *lease)
{
	for (size_t i = 0; i < lease->n_devices; i++) {
		add_text(fields, "IOMMUD_DEVICE", lease->devices[i]->id.address);
		add_number(fields, "IOMMUD_GROUP", lease->devices[i]->group);
		add_text(fields, "IOMMUD_RULE", lease->devices[i]->rule);
	}
}

static void add_lease(struct entry_fields *fields, const struct lease *lease)
{
	add_number(fields, "IOMMUD_PID", lease->pid > 0 ? lease->pid : -1);
	add_text(fields, "IOMMUD_UNIT", lease->unit);
	add_text(fields, "IOMMUD_BACKEND", lease->opener ? lease->opener->name : NULL);
	if (lease->revocation.by_somebody)
		add_number(fields, "IOMMUD_BY_UID", lease->revocation.by);
}

static void add_client(struct entry_fields *fields, const struct identity *client)
{
	add_number(fields, "IOMMUD_PID", client->pid > 0 ? client->pid : -1);
	add_text(fields, "IOMMUD_UNIT", client->unit);
}

static void add_refusal(struct entry_fields *fields, const struct refusal *refusal)
{
	char rule[VALUE_MAX];

	add_text(fields, "IOMMUD_POOL", refusal->pool);
	if (refusal->kind == REFUSAL_LABEL_MISMATCH)
		add_text(fields, "IOMMUD_GROUP_LABEL", refusal->label);
	if (!refusal->file)
		return;
	snprintf(rule, sizeof(rule), "%s:%u", refusal->file, refusal->line);
	add_text(fields, "IOMMUD_RULE", rule);
}

static void add_about(struct entry_fields *fields, const struct log_about *about)
{
	if (about->lease && about->all_devices)
		add_devices(fields, about->lease);
	if (about->rule_of)
		add_text(fields, "IOMMUD_RULE", about->rule_of->rule);
	if (about->lease)
		add_lease(fields, about->lease);
	if (about->client)
		add_client(fields, about->client);
	if (about->refusal)
		add_refusal(fields, about->refusal);
}

/* What was left out of one user. No event: subscribers were told each. */
static void log_count(int64_t uid, unsigned int n_dropped)
{
	static const char event[] = "refusalsSuppressed";
	struct entry_fields fields = { .n = 0 };
	char who[32] = "other users";

	if (uid != FLOOD_OTHERS)
		snprintf(who, sizeof(who), "uid %lld", (long long)uid);
	add_id(&fields, message_id_find(event));
	add_text(&fields, "IOMMUD_EVENT", event);
	add_number(&fields, "IOMMUD_UID", uid);
	add_number(&fields, "IOMMUD_SUPPRESSED", n_dropped);
	fields.list[fields.n] = NULL;
	log_fields(LOG_NOTICE, fields.list, "%u more messages about requests of %s in %u s were left out", n_dropped,
		   who, FLOOD_INTERVAL_USEC / 1000000);
}

uint64_t log_entry_next_deadline(const struct broker *broker)
{
	return flood_next_deadline(&broker->flood);
}

void log_entry_expire(struct broker *broker, uint64_t now)
{
	unsigned int n_dropped;
	int64_t uid;

	while (flood_take_count(&broker->flood, now, &uid, &n_dropped))
		log_count(uid, n_dropped);
}

void log_entry(struct broker *broker, int priority, const struct broker_event *event, const struct log_about *about)
{
	const struct message_id *id = message_id_find(event->name);
	struct entry_fields fields = { .n = 0 };
	uint64_t now;

	if (id && id->at_will) {
		now = now_usec();
		log_entry_expire(broker, now);
		if (!flood_admits(&broker->flood, event->uid, now))
			return;
	}
	add_id(&fields, id);
	add_event(&fields, event);
	add_about(&fields, about);
	fields.list[fields.n] = NULL;
	log_fields(priority, fields.list, "%s", event->message);
}
