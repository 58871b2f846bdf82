/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A reload from its beginning, by a signal or by io.iommud.Manage.Reload, to its end: files, broker, helper, answer. One at a
 * time: what is asked for meanwhile is one more reload, when the helper has answered. While it does not, nothing is granted
 * either, so rules that are stricter lose nothing by it.
 */
#ifndef IOMMUD_DAEMON_RELOAD_H
#define IOMMUD_DAEMON_RELOAD_H

#include <stdbool.h>

#include "daemon/options.h"
#include "varlink/session.h"

struct helper_client;

struct reloader {
	const struct options *options;
	struct broker *broker;
	struct helper_client *helper;
	struct service *service; /* who waits for the answer */
	uint64_t number; /* of the reload under way: see manage_reloaded() */
	bool under_way; /* the helper's answer is out */
	bool once_more;
};

/* All is borrowed. `service` has its reloads done by it from now on. */
void reload_init(struct reloader *reloader, const struct options *options, struct broker *broker,
		 struct helper_client *helper, struct service *service);
void reload_begin(struct reloader *reloader);

#endif
