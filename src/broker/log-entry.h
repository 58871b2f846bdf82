/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One event, one entry of the journal: with its message id, and with the facts as fields that journalctl finds it by. What
 * an event is about is told to subscribers in part only; the rest, which is nobody's business but the administrator's, is
 * here.
 */
#ifndef IOMMUD_BROKER_LOG_ENTRY_H
#define IOMMUD_BROKER_LOG_ENTRY_H

#include "broker/broker.h"

struct identity;

/* Beyond the event itself; all is borrowed, and NULL where there is none. */
struct log_about {
	const struct lease *lease; /* its client, label and backend, and its devices if `all_devices` */
	const struct lease_device *rule_of; /* whose rule counts; with `all_devices` that of each counts */
	bool all_devices;
	const struct identity *client; /* who asked, without a lease */
	const struct refusal *refusal; /* of `client` */
};

/* Entries that clients can cause at will are limited for each uid (flood.h). */
void log_entry(struct broker *broker, int priority, const struct broker_event *event, const struct log_about *about);

/* When entries that were left out are to be summed up; UINT64_MAX: none were. */
uint64_t log_entry_next_deadline(const struct broker *broker);
void log_entry_expire(struct broker *broker, uint64_t now_usec);

#endif
