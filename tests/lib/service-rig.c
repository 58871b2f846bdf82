/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "service-rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "open-fds.h"
#include "topology/names.h"
#include "varlink-fixture.h"
#include "varlink/methods.h"

/* The session layer is handed `service`; what belongs to the rig is found from it. */
static struct service_rig *rig_of(void *userdata)
{
	return container_of(userdata, struct service_rig, service);
}

static int connected(void *userdata, struct varlink_connection *connection)
{
	rig_of(userdata)->last = connection;
	return session_connected(userdata, connection);
}

static void disconnected(void *userdata, struct varlink_connection *connection)
{
	if (rig_of(userdata)->last == connection)
		rig_of(userdata)->last = NULL;
	session_disconnected(userdata, connection);
}

static void start_server(struct service_rig *rig)
{
	struct varlink_server_config config = {
		.vendor = "v",
		.product = "p",
		.version = "1",
		.url = "u",
		.interfaces = &iommud_interface,
		.n_interfaces = 1,
		.methods = iommud_methods,
		.n_methods = iommud_n_methods,
		.connected = connected,
		.disconnected = disconnected,
		.ready = session_ready,
		.drained = session_drained,
		.userdata = &rig->service,
	};
	char dir[] = "/tmp/iommud-test-XXXXXX";
	int fd;

	fixture_default_limits(&config.limits);
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chmod(dir, 0755), 0);
	snprintf(rig->path, sizeof(rig->path), "%s/socket", dir);
	fd = varlink_listen(rig->path);
	assert_true(fd >= 0);
	assert_int_equal(varlink_server_new(&config, &rig->server), 0);
	assert_int_equal(varlink_server_add_listener(rig->server, fd), 0);
}

void service_rig_start(struct service_rig *rig, const char *policy)
{
	memset(rig, 0, sizeof(*rig));
	rig->n_fds_before = count_open_fds();
	rig_start(&rig->rig, policy);
	rig->service.broker = rig->rig.broker;
	list_init(&rig->service.subscribers);
	rig->service.module_wanted = "prefer";
	assert_int_equal(device_names_new(NULL, &rig->service.names), 0);
	rig->rig.on_event = session_publish;
	rig->rig.on_event_userdata = &rig->service;
	rig->idl = idl_parse(iommud_interface.description);
	start_server(rig);
}

void service_rig_stop(struct service_rig *rig)
{
	varlink_server_free(rig->server);
	rig_settle(&rig->rig);
	device_names_free(rig->service.names);
	rig_stop(&rig->rig);
	rig->idl = idl_free(rig->idl);
	unlink(rig->path);
	*strrchr(rig->path, '/') = '\0';
	rmdir(rig->path);
	assert_int_equal(count_open_fds(), rig->n_fds_before);
}

static void pump(void *userdata)
{
	struct service_rig *rig = userdata;
	size_t queued;

	varlink_server_dispatch(rig->server);
	rig_settle(&rig->rig);
	queued = rig->last ? varlink_connection_queued(rig->last) : 0;
	if (queued > rig->max_queued)
		rig->max_queued = queued;
}

void service_rig_run(struct service_rig *rig)
{
	struct pollfd fd = { .fd = varlink_server_get_fd(rig->server), .events = POLLIN };

	do
		pump(rig);
	while (poll(&fd, 1, 0) > 0);
}

struct varlink_client service_rig_connect(struct service_rig *rig, uid_t uid)
{
	struct varlink_client client = VARLINK_CLIENT_INIT;
	int r;

	client.pump_fd = varlink_server_get_fd(rig->server);
	client.pump = pump;
	client.pump_userdata = rig;
	/* The kernel notes who connects by the effective uid. */
	assert_int_equal(seteuid(uid), 0);
	r = varlink_client_connect(&client, rig->path);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(r, 0);
	service_rig_run(rig);
	return client;
}

void service_rig_add_devices(struct service_rig *rig, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		char address[DEVICE_ADDRESS_MAX];

		snprintf(address, sizeof(address), "0000:%02x:%02x.%u", 0x80 + i / 256, i / 8 % 32, i % 8);
		fake_sysfs_add_device(rig->rig.sysfs, &(struct fake_device){ .address = address,
									     .vendor = 0x8086,
									     .device = 0x10d3,
									     .class = 0x020000,
									     .group = 100 + (int)i });
	}
	broker_resync(rig->rig.broker);
}

static struct varlink_reply receive(struct varlink_client *client)
{
	struct varlink_reply reply;

	assert_int_equal(varlink_client_receive(client, &reply), 0);
	assert_non_null(reply.parameters);
	return reply;
}

struct varlink_reply service_next(struct service_rig *rig, struct varlink_client *client, const char *method)
{
	struct varlink_reply reply = receive(client);
	const char *wrong;

	if (reply.error)
		fail_msg("%s: %s %s", method, reply.error, json_object_to_json_string(reply.parameters));
	wrong = idl_check(rig->idl, IDL_METHOD, method, reply.parameters);
	if (wrong)
		fail_msg("%s in %s", wrong, json_object_to_json_string(reply.parameters));
	return reply;
}

static void send_call(struct varlink_client *client, const char *method, const char *parameters, const char *flags)
{
	char name[64];

	snprintf(name, sizeof(name), "io.iommud.%s", method);
	assert_int_equal(varlink_client_send_call(client, name, parameters, flags), 0);
}

struct varlink_reply service_call(struct service_rig *rig, struct varlink_client *client, const char *method,
				  const char *parameters, const char *flags)
{
	send_call(client, method, parameters, flags);
	return service_next(rig, client, method);
}

struct varlink_reply service_refused(struct service_rig *rig, struct varlink_client *client, const char *method,
				     const char *parameters, const char *error)
{
	struct varlink_reply reply;
	const char *wrong;

	send_call(client, method, parameters, NULL);
	reply = receive(client);
	if (!reply.error || strncmp(reply.error, "io.iommud.", 10) != 0 || strcmp(reply.error + 10, error) != 0)
		fail_msg("%s instead of %s: %s", reply.error ? reply.error : "no error", error,
			 json_object_to_json_string(reply.parameters));
	wrong = idl_check(rig->idl, IDL_ERROR, error, reply.parameters);
	if (wrong)
		fail_msg("%s in %s", wrong, json_object_to_json_string(reply.parameters));
	return reply;
}

json_object *json_child(json_object *object, const char *key)
{
	json_object *child = NULL;

	json_object_object_get_ex(object, key, &child);
	return child;
}

const char *json_child_text(json_object *object, const char *key)
{
	json_object *child = json_child(object, key);

	return json_object_is_type(child, json_type_string) ? json_object_get_string(child) : NULL;
}
