/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/reload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/policy-files.h"
#include "hw/helper-client.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "varlink/manage.h"

static void reload_run(struct reloader *reloader);

static void reload_end(struct reloader *reloader, struct reload_outcome *outcome)
{
	const struct policy *policy = broker_get_policy(reloader->broker);

	outcome->n_rules = policy_n_rules(policy);
	outcome->digest = policy_digest(policy);
	reloader->under_way = false;
	manage_reloaded(reloader->service, reloader->number, outcome);
	if (!reloader->once_more)
		return;
	reloader->once_more = false;
	reload_run(reloader);
}

static void not_shared(struct reloader *reloader, const char *why)
{
	struct reload_outcome outcome = { .result = RELOAD_NOT_SHARED, .why = why };

	log_error("%s", why);
	reload_end(reloader, &outcome);
}

static void helper_reloaded(void *userdata, int error, const struct helper_reply *reply)
{
	struct reloader *reloader = userdata;
	struct reload_outcome outcome = { .result = RELOAD_DONE };

	if (error < 0) {
		not_shared(reloader,
			   "iommud-helper went away while it loaded the policy; iommud has the new one, and the helper "
			   "loads it when it starts: see 'journalctl -u iommud-helper'");
	} else if (memcmp(reply->digest, policy_digest(broker_get_policy(reloader->broker)), DIGEST_SIZE) != 0) {
		not_shared(reloader, "iommud-helper did not load the same policy; it will refuse: see 'journalctl -u "
				     "iommud-helper'");
	} else {
		broker_policy_shared(reloader->broker);
		reload_end(reloader, &outcome);
	}
}

/* Whoever needs it first connects it: socket activation starts it, and it reads the new files. */
static int reach_helper(struct reloader *reloader)
{
	int r;

	if (helper_client_is_connected(reloader->helper))
		return 0;
	r = helper_client_connect(reloader->helper);
	if (r == 0)
		broker_helper_connected(reloader->broker);
	return r;
}

static void share(struct reloader *reloader)
{
	int r = reach_helper(reloader);

	if (r == 0)
		r = helper_client_reload(reloader->helper, helper_reloaded, reloader);
	if (r < 0)
		not_shared(reloader,
			   "iommud has the new policy, but iommud-helper can't be reached; it loads it when it starts: "
			   "see 'systemctl status iommud-helper'");
}

static void log_refused(const struct broker *broker)
{
	char text[128];

	snprintf(text, sizeof(text), "the policy was not loaded; the former one, with %zu rules, stays in force",
		 policy_n_rules(broker_get_policy(broker)));
	policy_files_log_refused(text);
}

static void reload_run(struct reloader *reloader)
{
	struct reload_outcome outcome = { .result = RELOAD_INVALID };
	_cleanup_free_ char *messages = NULL;
	int r;

	reloader->under_way = true;
	reloader->number = reloader->service->last_reload;
	r = policy_files_load(reloader->options, reloader->broker, &messages);
	if (r == 0) {
		log_notice("policy loaded: %zu rules", policy_n_rules(broker_get_policy(reloader->broker)));
		share(reloader);
		return;
	}
	log_refused(reloader->broker);
	if (r != -EINVAL)
		outcome = (struct reload_outcome){ .result = RELOAD_FAILED, .error = -r };
	outcome.messages = messages;
	reload_end(reloader, &outcome);
}

static void reload_for_client(void *userdata)
{
	reload_begin(userdata);
}

void reload_init(struct reloader *reloader, const struct options *options, struct broker *broker,
		 struct helper_client *helper, struct service *service)
{
	*reloader = (struct reloader){ .options = options, .broker = broker, .helper = helper, .service = service };
	list_init(&service->reloading);
	service->begin_reload = reload_for_client;
	service->reload_userdata = reloader;
}

void reload_begin(struct reloader *reloader)
{
	if (reloader->under_way)
		reloader->once_more = true;
	else
		reload_run(reloader);
}
