/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * io.iommud.Manage: each verb asks first whether the caller may. A reload is the daemon's business, which this layer does not
 * know: who asks gets a number and waits, and whoever has a number up to that of a reload is answered by it.
 */
#include "varlink/manage.h"

#include <stdio.h>
#include <string.h>

#include "io.iommud.Manage.varlink.h"
#include "util/cleanup.h"
#include "util/json-build.h"
#include "util/text.h"
#include "varlink/session.h"

#define INTERFACE "io.iommud.Manage"
#define MESSAGES_MAX 262144 /* bytes of an answer; what is beyond is in the journal */

static int refuse(struct varlink_call *call, const char *method, enum policy_manage_action action, const char *why)
{
	struct json_build build = json_build_object();

	json_build_text(&build, "method", method);
	json_build_text(&build, "allow", policy_manage_action_name(action));
	json_build_text(&build, "message", why);
	return varlink_error(call, INTERFACE ".NotAllowed", json_build_end(&build));
}

/* True: go on; false: the call was refused, with *ret as the handler's result. */
static bool check(struct varlink_call *call, const char *method, enum policy_manage_action action, int *ret)
{
	const struct session *session = session_of_call(call);
	char refused[320];

	if (peer_check_manager(session->peer, action, refused, sizeof(refused)))
		return true;
	*ret = refuse(call, method, action, refused);
	return false;
}

/* ---- ListLeases ---- */

static int list_leases(void *userdata, struct varlink_call *call, const void *parameters)
{
	int r;

	if (!check(call, "ListLeases", POLICY_MANAGE_LIST_LEASES, &r))
		return r;
	return session_list_begin(call, LISTING_ALL_LEASES);
}

/* ---- Revoke ---- */

struct revoke_parameters {
	uint64_t lease;
	const char *reason;
};

static const struct json_field revoke_fields[] = {
	{ "lease", JSON_FIELD_U64, offsetof(struct revoke_parameters, lease), true },
	{ "reason", JSON_FIELD_STRING, offsetof(struct revoke_parameters, reason), false },
};

static int refuse_lease(struct varlink_call *call, uint64_t lease)
{
	struct json_build build = json_build_object();
	char message[96];

	snprintf(message, sizeof(message), "there is no lease %llu; see 'iommuctl status --all'",
		 (unsigned long long)lease);
	json_build_number(&build, "lease", (int64_t)lease);
	json_build_text(&build, "message", message);
	return varlink_error(call, INTERFACE ".NoSuchLease", json_build_end(&build));
}

static int revoke_lease(void *userdata, struct varlink_call *call, const void *parameters)
{
	const struct revoke_parameters *wanted = parameters;
	struct session *session = session_of_call(call);
	uid_t uid = peer_get_identity(session->peer)->uid;
	char reason[160];
	int r;

	if (!check(call, "Revoke", POLICY_MANAGE_REVOKE, &r))
		return r;
	if (wanted->reason)
		text_copy_printable(reason, sizeof(reason), wanted->reason);
	else if (uid == 0)
		snprintf(reason, sizeof(reason), "root wants it back");
	else
		snprintf(reason, sizeof(reason), "uid %u, who may manage, wants it back", uid);
	if (!broker_revoke(session->service->broker, wanted->lease, uid, reason))
		return refuse_lease(call, wanted->lease);
	return varlink_reply(call, NULL, NULL, 0, false);
}

/* ---- Reload ---- */

/* It may be answered before this returns. */
static int reload(void *userdata, struct varlink_call *call, const void *parameters)
{
	struct session *session = session_of_call(call);
	struct service *service = userdata;
	int r;

	if (!check(call, "Reload", POLICY_MANAGE_RELOAD, &r))
		return r;
	session->reload = call;
	session->reload_number = ++service->last_reload;
	list_append(&service->reloading, &session->reload_link);
	service->begin_reload(service->reload_userdata);
	return 0;
}

static json_object *lines_of(const char *text)
{
	struct json_build list = json_build_array();
	const char *begin = text;

	while (text && *text) {
		size_t length = strcspn(text, "\n");

		if (text + length - begin > MESSAGES_MAX) {
			json_build_text(&list, NULL, "and more: see 'journalctl -u iommud'");
			break;
		}
		json_build_add(&list, NULL, json_object_new_string_len(text, (int)length));
		text += length + (text[length] == '\n');
	}
	return json_build_end(&list);
}

static int reply_done(struct varlink_call *call, const struct reload_outcome *outcome)
{
	struct json_build build = json_build_object();
	char digest[DIGEST_HEX_SIZE];
	json_object *parameters;

	digest_to_hex(outcome->digest, digest);
	json_build_number(&build, "rules", (int64_t)outcome->n_rules);
	json_build_text(&build, "digest", digest);
	parameters = json_build_end(&build);
	if (parameters)
		return varlink_reply(call, parameters, NULL, 0, false);
	return varlink_error(call, INTERFACE ".ReloadFailed", NULL); /* out of memory, even to say so */
}

static int reply_invalid(struct varlink_call *call, const struct reload_outcome *outcome)
{
	struct json_build build = json_build_object();
	char message[128];

	snprintf(message, sizeof(message), "the policy was not loaded; the former one, with %zu rules, stays in force",
		 outcome->n_rules);
	json_build_add(&build, "messages", lines_of(outcome->messages));
	json_build_text(&build, "message", message);
	return varlink_error(call, INTERFACE ".PolicyInvalid", json_build_end(&build));
}

static int reply_not_shared(struct varlink_call *call, const struct reload_outcome *outcome)
{
	struct json_build build = json_build_object();

	json_build_text(&build, "message", outcome->why);
	return varlink_error(call, INTERFACE ".PolicyNotShared", json_build_end(&build));
}

static int reply_failed(struct varlink_call *call, const struct reload_outcome *outcome)
{
	struct json_build build = json_build_object();
	char message[160];

	snprintf(message, sizeof(message), "the policy could not be read, the former one stays in force: %s",
		 strerror(outcome->error));
	json_build_number(&build, "errno", outcome->error);
	json_build_text(&build, "message", message);
	return varlink_error(call, INTERFACE ".ReloadFailed", json_build_end(&build));
}

/* A client that went is told to us by `disconnected`; so is one that could not be answered for want of memory. */
static void answer(struct session *session, const struct reload_outcome *outcome)
{
	static int (*const replies[])(struct varlink_call * call, const struct reload_outcome *outcome) = {
		[RELOAD_DONE] = reply_done,
		[RELOAD_INVALID] = reply_invalid,
		[RELOAD_NOT_SHARED] = reply_not_shared,
		[RELOAD_FAILED] = reply_failed,
	};
	struct varlink_call *call = session->reload;

	session->reload = NULL;
	list_unlink(&session->reload_link);
	(void)replies[outcome->result](call, outcome);
}

void manage_reloaded(struct service *service, uint64_t number, const struct reload_outcome *outcome)
{
	struct session *session, *following;

	list_for_each_safe(session, following, &service->reloading, reload_link)
		if (session->reload_number <= number)
			answer(session, outcome);
}

static const struct varlink_method methods[] = {
	{ .name = INTERFACE ".Reload", .handle = reload },
	{ .name = INTERFACE ".Revoke",
	  .fields = revoke_fields,
	  .n_fields = ARRAY_SIZE(revoke_fields),
	  .parameters_size = sizeof(struct revoke_parameters),
	  .handle = revoke_lease },
	{ .name = INTERFACE ".ListLeases", .flags = VARLINK_REQUIRES_MORE, .handle = list_leases },
};

const struct varlink_interface iommud_manage_interface = {
	.name = INTERFACE,
	.description = io_iommud_Manage_idl,
	.methods = methods,
	.n_methods = ARRAY_SIZE(methods),
};
