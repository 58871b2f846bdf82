/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a request goes in: one function for each verb of io.iommud. It turns parameters into a call of the broker and its
 * outcome into a reply; it decides nothing.
 */
#include "varlink/methods.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io.iommud.varlink.h"
#include "util/cleanup.h"
#include "util/identity.h"
#include "util/json-build.h"
#include "util/text.h"
#include "varlink/convert.h"
#include "varlink/errors.h"
#include "varlink/manage.h"
#include "varlink/session.h"

/* The one reply of a call. Without memory the connection ends: an empty reply would be a wrong one. */
static int reply(struct varlink_call *call, json_object *parameters)
{
	return parameters ? varlink_reply(call, parameters, NULL, 0, false) : -ENOMEM;
}

/* ---- lists ---- */

static int list_devices(void *userdata, struct varlink_call *call, const void *parameters)
{
	return session_list_begin(call, LISTING_DEVICES);
}

static int list_groups(void *userdata, struct varlink_call *call, const void *parameters)
{
	return session_list_begin(call, LISTING_GROUPS);
}

static int list_leases(void *userdata, struct varlink_call *call, const void *parameters)
{
	return session_list_begin(call, LISTING_LEASES);
}

struct subscribe_parameters {
	uint64_t lease; /* UINT64_MAX: it is not there */
};

static const struct json_field subscribe_fields[] = {
	{ "lease", JSON_FIELD_U64, offsetof(struct subscribe_parameters, lease), false },
};

static int subscribe(void *userdata, struct varlink_call *call, const void *parameters)
{
	const struct subscribe_parameters *wanted = parameters;
	struct session *session = session_of_call(call);
	struct refusal refusal = { .number = wanted->lease };
	const struct lease *lease;

	if (wanted->lease == UINT64_MAX)
		return session_subscribe(session, call, 0);
	lease = broker_find_lease(session->service->broker, session->peer, wanted->lease);
	if (lease)
		return session_subscribe_lease(session, call, lease);
	refusal_set(&refusal, REFUSAL_NO_SUCH_LEASE, "no lease %llu is yours; it may be over",
		    (unsigned long long)wanted->lease);
	return errors_reply(call, &refusal);
}

static int get_status(void *userdata, struct varlink_call *call, const void *parameters)
{
	return reply(call, convert_status(userdata));
}

/* ---- Describe ---- */

struct device_parameters {
	const char *device;
};

static const struct json_field describe_fields[] = {
	{ "device", JSON_FIELD_STRING, offsetof(struct device_parameters, device), true },
};

static int refuse_unknown(struct varlink_call *call, const char *address)
{
	struct refusal refusal = { 0 };

	text_copy_printable(refusal.device, sizeof(refusal.device), address);
	refusal_set(&refusal, REFUSAL_NO_SUCH_DEVICE, "no device %s with an IOMMU group; see 'iommuctl list'",
		    refusal.device);
	return errors_reply(call, &refusal);
}

/* What a user may not see is answered as what does not exist. */
static int describe(void *userdata, struct varlink_call *call, const void *parameters)
{
	const struct device_parameters *wanted = parameters;
	struct service *service = userdata;
	struct session *session = session_of_call(call);
	struct json_build build = json_build_object();
	const struct device *device = NULL;

	if (device_address_is_valid(wanted->device) &&
	    registry_refresh(broker_get_registry(service->broker), wanted->device) == 0)
		device = registry_find_device(broker_get_registry(service->broker), wanted->device);
	if (!device || !peer_may_see(session->peer, device)) {
		json_object_put(json_build_end(&build));
		return refuse_unknown(call, wanted->device);
	}
	json_build_add(&build, "device", convert_device(service->broker, service->names, session->peer, device));
	json_build_add(&build, "group", convert_group(service->broker, device->group));
	return reply(call, json_build_end(&build));
}

/* ---- Explain ---- */

struct explain_parameters {
	const char *device;
	const char *backend;
	const char *as;
};

static const struct json_field explain_fields[] = {
	{ "device", JSON_FIELD_STRING, offsetof(struct explain_parameters, device), true },
	{ "backend", JSON_FIELD_STRING, offsetof(struct explain_parameters, backend), false },
	{ "as", JSON_FIELD_STRING, offsetof(struct explain_parameters, as), false },
};

static int refuse_backend(struct varlink_call *call, const char *backend)
{
	struct refusal refusal = { 0 };

	text_copy_printable(refusal.word, sizeof(refusal.word), backend);
	refusal_set(&refusal, REFUSAL_BACKEND_UNAVAILABLE,
		    "no backend is called %s; there are auto, iommufd and legacy", refusal.word);
	return errors_reply(call, &refusal);
}

static bool is_backend(const char *word)
{
	return !word || strcmp(word, "auto") == 0 || strcmp(word, opener_iommufd.name) == 0 ||
	       strcmp(word, opener_legacy.name) == 0;
}

static int refuse_as(struct varlink_call *call, const char *device, const char *why)
{
	struct refusal refusal = { 0 };

	text_copy_printable(refusal.device, sizeof(refusal.device), device);
	refusal_set(&refusal, REFUSAL_DENIED, "%s", why);
	return errors_reply(call, &refusal);
}

/* `all`: the caller is root, and may know what rules say of others. */
static int explain_to(struct varlink_call *call, struct broker *broker, const struct identity *identity, bool all,
		      const struct explain_parameters *wanted)
{
	struct explanation explanation;
	int r = broker_explain(broker, identity, wanted->device, wanted->backend, &explanation);

	if (r < 0)
		return r;
	if (explanation.refusal.kind == REFUSAL_NO_SUCH_DEVICE)
		r = errors_reply(call, &explanation.refusal);
	else
		r = reply(call, convert_explanation(&explanation, all));
	explanation_clear(&explanation);
	return r;
}

static int explain(void *userdata, struct varlink_call *call, const void *parameters)
{
	const struct explain_parameters *wanted = parameters;
	struct service *service = userdata;
	struct session *session = session_of_call(call);
	struct identity other = IDENTITY_INIT;
	bool admin = peer_is_admin(session->peer);
	int r;

	if (!is_backend(wanted->backend))
		return refuse_backend(call, wanted->backend);
	if (!wanted->as)
		return explain_to(call, service->broker, peer_get_identity(session->peer), admin, wanted);
	if (!admin)
		return refuse_as(call, wanted->device, "only root may ask what others would get");
	r = identity_from_text(wanted->as, &other);
	if (r < 0)
		return refuse_as(call, wanted->device,
				 "'as' names no user and group: USER[:GROUP][@CONTEXT], names or numbers");
	r = explain_to(call, service->broker, &other, admin, wanted);
	identity_clear(&other);
	return r;
}

/* ---- Acquire and Release ---- */

#define WAIT_SEC_MAX 3600

struct acquire_parameters {
	struct json_string_list devices;
	const char *pool;
	uint64_t count; /* these three UINT64_MAX: not given */
	uint64_t numa_node;
	uint64_t wait_sec;
	const char *backend;
	const char *consent;
};

static const struct json_field acquire_fields[] = {
	{ "devices", JSON_FIELD_STRING_LIST, offsetof(struct acquire_parameters, devices), false },
	{ "pool", JSON_FIELD_STRING, offsetof(struct acquire_parameters, pool), false },
	{ "count", JSON_FIELD_U64, offsetof(struct acquire_parameters, count), false },
	{ "numaNode", JSON_FIELD_U64, offsetof(struct acquire_parameters, numa_node), false },
	{ "waitSec", JSON_FIELD_U64, offsetof(struct acquire_parameters, wait_sec), false },
	{ "backend", JSON_FIELD_STRING, offsetof(struct acquire_parameters, backend), false },
	{ "consent", JSON_FIELD_STRING, offsetof(struct acquire_parameters, consent), false },
};

static void send_failure(struct varlink_call *call, int error)
{
	struct refusal refusal = { .number = -error };

	snprintf(refusal.word, sizeof(refusal.word), "serve");
	refusal_set(&refusal, REFUSAL_PREPARE_FAILED, "iommud could not serve this: %s; see 'journalctl -u iommud'",
		    strerror(-error));
	(void)errors_reply(call, &refusal);
}

/* Where descriptors go out. When the client is gone the connection ends, and the lease with it. */
static void send_grant(struct session *session, struct varlink_call *call, const struct lease *lease,
		       struct opened *opened)
{
	int fds[VARLINK_FDS_MAX];
	size_t n_fds = 0;
	json_object *parameters = convert_grant(lease, opened, fds, &n_fds);

	if (!parameters) {
		for (size_t i = 0; i < n_fds; i++)
			close_fd(fds[i]);
		broker_release(session->service->broker, session->peer, lease->id);
		send_failure(call, -ENOMEM);
	} else if (varlink_reply(call, parameters, fds, n_fds, false) == -ETOOMANYREFS) {
		/* Too many descriptors are on their way; the client was told so, and its connection goes on. */
		broker_release(session->service->broker, session->peer, lease->id);
	}
}

static void acquired(void *userdata, int error, const struct lease *lease, struct opened *opened,
		     const struct refusal *refusal)
{
	struct session *session = userdata;
	struct varlink_call *call = session->acquire;

	session->acquire = NULL;
	if (lease) {
		session_granted(session);
		send_grant(session, call, lease, opened);
		peer_granted(session->peer);
	} else if (refusal)
		(void)errors_reply(call, refusal);
	else
		send_failure(call, error);
}

/* The first that can't be meant so: what is given does not go together, or is out of range. NULL: all can. */
static const char *find_bad_parameter(const struct acquire_parameters *wanted)
{
	if (wanted->pool && wanted->devices.n > 0)
		return "pool";
	if (!wanted->pool && wanted->devices.n == 0)
		return "devices";
	if (wanted->count != UINT64_MAX && (!wanted->pool || wanted->count == 0 || wanted->count > OPENER_DEVICES_MAX))
		return "count";
	if (wanted->numa_node != UINT64_MAX && (!wanted->pool || wanted->numa_node > INT_MAX))
		return "numaNode";
	if (wanted->wait_sec != UINT64_MAX && wanted->wait_sec > WAIT_SEC_MAX)
		return "waitSec";
	return NULL;
}

static int acquire(void *userdata, struct varlink_call *call, const void *parameters)
{
	const struct acquire_parameters *wanted = parameters;
	struct service *service = userdata;
	struct session *session = session_of_call(call);
	struct acquire_request request = {
		.devices = (const char *const *)wanted->devices.items,
		.n_devices = wanted->devices.n,
		.pool = wanted->pool,
		.count = wanted->count == UINT64_MAX ? 1 : wanted->count,
		.numa_node = wanted->numa_node == UINT64_MAX ? -1 : (int)wanted->numa_node,
		.wait_sec = wanted->wait_sec == UINT64_MAX ? 0 : (unsigned int)wanted->wait_sec,
		.backend = wanted->backend,
		.consent = wanted->consent,
	};
	const char *bad = find_bad_parameter(wanted);

	if (bad)
		return varlink_invalid_parameter(call, bad);
	if (!is_backend(wanted->backend))
		return refuse_backend(call, wanted->backend);
	session->acquire = call;
	broker_acquire(service->broker, session->peer, &request, acquired, session);
	return 0;
}

struct release_parameters {
	uint64_t lease;
};

static const struct json_field release_fields[] = {
	{ "lease", JSON_FIELD_U64, offsetof(struct release_parameters, lease), true },
};

static int release(void *userdata, struct varlink_call *call, const void *parameters)
{
	const struct release_parameters *wanted = parameters;
	struct service *service = userdata;
	struct refusal refusal = { 0 };

	if (broker_release(service->broker, session_of_call(call)->peer, wanted->lease))
		return varlink_reply(call, NULL, NULL, 0, false);
	refusal.number = wanted->lease;
	refusal_set(&refusal, REFUSAL_NO_SUCH_LEASE, "no lease %llu is yours to release; see 'iommuctl status'",
		    (unsigned long long)wanted->lease);
	return errors_reply(call, &refusal);
}

#define FIELDS(table, type) .fields = (table), .n_fields = ARRAY_SIZE(table), .parameters_size = sizeof(type)

static const struct varlink_method methods[] = {
	{ .name = "io.iommud.GetStatus", .handle = get_status },
	{ .name = "io.iommud.ListDevices", .flags = VARLINK_REQUIRES_MORE, .handle = list_devices },
	{ .name = "io.iommud.ListGroups", .flags = VARLINK_REQUIRES_MORE, .handle = list_groups },
	{ .name = "io.iommud.ListLeases", .flags = VARLINK_REQUIRES_MORE, .handle = list_leases },
	{ .name = "io.iommud.Subscribe",
	  .flags = VARLINK_REQUIRES_MORE,
	  FIELDS(subscribe_fields, struct subscribe_parameters),
	  .handle = subscribe },
	{ .name = "io.iommud.Describe", FIELDS(describe_fields, struct device_parameters), .handle = describe },
	{ .name = "io.iommud.Explain", FIELDS(explain_fields, struct explain_parameters), .handle = explain },
	{ .name = "io.iommud.Acquire",
	  .flags = VARLINK_NO_ONEWAY,
	  FIELDS(acquire_fields, struct acquire_parameters),
	  .handle = acquire },
	{ .name = "io.iommud.Release", FIELDS(release_fields, struct release_parameters), .handle = release },
};

const struct varlink_interface iommud_interface = {
	.name = "io.iommud",
	.description = io_iommud_idl,
	.methods = methods,
	.n_methods = ARRAY_SIZE(methods),
};

const struct varlink_interface *const iommud_interfaces[] = { &iommud_interface, &iommud_manage_interface };

const size_t iommud_n_interfaces = ARRAY_SIZE(iommud_interfaces);
