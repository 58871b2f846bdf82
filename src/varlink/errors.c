/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "varlink/errors.h"

#include "util/json-build.h"
#include "varlink/convert.h"

static void add_device(struct json_build *build, const struct refusal *refusal)
{
	json_build_text(build, "device", refusal->device);
}

static void add_group(struct json_build *build, const struct refusal *refusal)
{
	json_build_number(build, "group", refusal->group);
}

static void add_lease(struct json_build *build, const struct refusal *refusal)
{
	json_build_number(build, "lease", (int64_t)refusal->number);
}

static void add_denial(struct json_build *build, const struct refusal *refusal)
{
	add_device(build, refusal);
	json_build_text(build, "file", refusal->file);
	json_build_number_or_null(build, "line", refusal->file ? (int64_t)refusal->line : -1);
}

static void add_verdict(struct json_build *build, const struct refusal *refusal)
{
	add_group(build, refusal);
	json_build_add(build, "blockers", convert_blockers(&refusal->verdict));
}

static void add_consent(struct json_build *build, const struct refusal *refusal)
{
	add_group(build, refusal);
	json_build_add(build, "bystanders", convert_bystanders(&refusal->bystanders));
	json_build_text(build, "token", refusal->token);
}

static void add_members(struct json_build *build, const struct refusal *refusal)
{
	struct json_build list = json_build_array();

	add_group(build, refusal);
	for (size_t i = 0; i < refusal->bystanders.n; i++)
		json_build_text(&list, NULL, refusal->bystanders.list[i].device);
	json_build_add(build, "devices", json_build_end(&list));
}

static void add_labels(struct json_build *build, const struct refusal *refusal)
{
	add_group(build, refusal);
	add_device(build, refusal);
	json_build_text(build, "label", refusal->label);
	json_build_text(build, "otherLabel", refusal->other_label);
}

static void add_holders(struct json_build *build, const struct refusal *refusal)
{
	struct json_build list = json_build_array();

	if (refusal->holder[0])
		json_build_text(&list, NULL, refusal->holder);
	for (size_t i = 0; i < refusal->holders.n; i++)
		json_build_text(&list, NULL, refusal->holders.texts[i]);
	json_build_add(build, "holders", json_build_end(&list));
}

static void add_use(struct json_build *build, const struct refusal *refusal)
{
	add_device(build, refusal);
	add_group(build, refusal);
	json_build_text(build, "state", refusal->host_has_it ? NULL : lease_state_name(refusal->state));
	add_holders(build, refusal);
}

static void add_backend(struct json_build *build, const struct refusal *refusal)
{
	json_build_text(build, "backend", refusal->word);
}

static void add_quota(struct json_build *build, const struct refusal *refusal)
{
	json_build_text(build, "quota", refusal->word);
	json_build_number(build, "limit", (int64_t)refusal->number);
}

static void add_step(struct json_build *build, const struct refusal *refusal)
{
	json_build_text(build, "step", refusal->word);
}

static void add_timeout(struct json_build *build, const struct refusal *refusal)
{
	add_step(build, refusal);
	json_build_text_or_null(build, "device", refusal->device);
	add_holders(build, refusal);
}

static void add_failure(struct json_build *build, const struct refusal *refusal)
{
	add_device(build, refusal);
	add_step(build, refusal);
	json_build_number(build, "errno", (int64_t)refusal->number);
}

static void add_pool(struct json_build *build, const struct refusal *refusal)
{
	json_build_text(build, "pool", refusal->pool);
}

static void add_exhausted(struct json_build *build, const struct refusal *refusal)
{
	add_pool(build, refusal);
	json_build_number(build, "free", (int64_t)refusal->number);
	json_build_number(build, "count", (int64_t)refusal->n_wanted);
}

static void add_reset_scope(struct json_build *build, const struct refusal *refusal)
{
	const char *scope = reset_scope_name(refusal->reset_set.scope);

	add_device(build, refusal);
	json_build_text(build, "scope", scope ? scope : "none");
	json_build_add(build, "resetSet", convert_reset_set(&refusal->reset_set, false));
	json_build_add(build, "conflicting", convert_reset_set(&refusal->reset_set, true));
}

/* Which error a refusal is, and what it carries besides the message. */
static const struct {
	const char *name;
	void (*add)(struct json_build *build, const struct refusal *refusal);
} errors[] = {
	[REFUSAL_NO_SUCH_DEVICE] = { "io.iommud.NoSuchDevice", add_device },
	[REFUSAL_NO_SUCH_LEASE] = { "io.iommud.NoSuchLease", add_lease },
	[REFUSAL_DENIED] = { "io.iommud.DeniedByPolicy", add_denial },
	[REFUSAL_NOT_VIABLE] = { "io.iommud.GroupNotViable", add_verdict },
	[REFUSAL_CONSENT_REQUIRED] = { "io.iommud.ConsentRequired", add_consent },
	[REFUSAL_NOT_SINGLETON] = { "io.iommud.GroupNotSingleton", add_members },
	[REFUSAL_LABEL_MISMATCH] = { "io.iommud.LabelMismatch", add_labels },
	[REFUSAL_BUSY] = { "io.iommud.DeviceBusy", add_use },
	[REFUSAL_BACKEND_UNAVAILABLE] = { "io.iommud.BackendUnavailable", add_backend },
	[REFUSAL_QUOTA] = { "io.iommud.QuotaExceeded", add_quota },
	[REFUSAL_TIMED_OUT] = { "io.iommud.TimedOut", add_timeout },
	[REFUSAL_NO_SUCH_POOL] = { "io.iommud.NoSuchPool", add_pool },
	[REFUSAL_POOL_EXHAUSTED] = { "io.iommud.PoolExhausted", add_exhausted },
	[REFUSAL_PREPARE_FAILED] = { "io.iommud.PrepareFailed", add_failure },
	[REFUSAL_RESET_SCOPE] = { "io.iommud.ResetScopeConflict", add_reset_scope },
};

int errors_reply(struct varlink_call *call, const struct refusal *refusal)
{
	struct json_build build = json_build_object();
	json_object *parameters;

	errors[refusal->kind].add(&build, refusal);
	json_build_text(&build, "message", refusal->message);
	parameters = json_build_end(&build);
	return varlink_error(call, errors[refusal->kind].name, parameters);
}
