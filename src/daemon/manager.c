/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/manager.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "broker/broker.h"
#include "daemon/fd-store.h"
#include "daemon/kernel-module.h"
#include "daemon/policy-files.h"
#include "daemon/reload.h"
#include "daemon/sandbox.h"
#include "hw/helper-client.h"
#include "policy/policy.h"
#include "topology/monitor.h"
#include "topology/names.h"
#include "topology/particulars.h"
#include "topology/registry.h"
#include "util/cleanup.h"
#include "util/fileio.h"
#include "util/log.h"
#include "util/selinux.h"
#include "varlink/methods.h"
#include "varlink/session.h"

#define EVENT_BUDGET 256 /* device events in one turn, so that clients get theirs */
#define SEND_BUFFER_MAX (1u << 20)
#define HOLDERS_FRESH_USEC 5000000 /* a look at all processes: no client may have it done all the time */

struct manager {
	const struct options *options;
	sd_event *loop;
	sd_event_source *timer;
	sd_event_source *helper_source;
	struct registry *registry;
	struct monitor *monitor;
	struct helper_client *helper;
	struct broker *broker;
	struct varlink_server *server;
	struct service service;
	struct reloader reloader;
	struct ownership *module; /* NULL: without */
	struct fd_store store;
	bool keeps; /* systemd keeps what leases need, so that they outlive us */
	int dev_fd;
	int state_fd; /* -1: nothing is written down */
};

static const struct opener *const openers[] = { &opener_iommufd, &opener_legacy, NULL };

/* ---- policy ---- */

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	struct manager *manager = userdata;

	reload_begin(&manager->reloader);
	return 0;
}

/* ---- events ---- */

static void device_event(void *userdata, const char *address, const char *action)
{
	struct manager *manager = userdata;

	broker_device_changed(manager->broker, address);
	broker_node_ready(manager->broker);
}

static void node_event(void *userdata, const char *devnode)
{
	struct manager *manager = userdata;

	broker_node_ready(manager->broker);
}

static void events_lost(void *userdata)
{
	struct manager *manager = userdata;

	broker_resync(manager->broker);
}

static const struct monitor_handler monitor_handler = { device_event, node_event, events_lost };

static int on_monitor(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct manager *manager = userdata;

	monitor_dispatch(manager->monitor, EVENT_BUDGET);
	return 0;
}

static int on_server(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct manager *manager = userdata;
	int r = varlink_server_dispatch(manager->server);

	if (r < 0)
		log_error("connections could not be served: %s", strerror(-r));
	return r;
}

static int on_broker(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct manager *manager = userdata;

	broker_dispatch(manager->broker);
	return 0;
}

static int on_module(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct manager *manager = userdata;

	broker_module_dispatch(manager->broker);
	return 0;
}

static int on_helper(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct manager *manager = userdata;

	if (helper_client_dispatch(manager->helper) < 0) {
		manager->helper_source = sd_event_source_disable_unref(manager->helper_source);
		broker_helper_lost(manager->broker);
	}
	return 0;
}

/* The helper is connected by whoever needs it first; its descriptor is polled from then on. */
static int follow_helper(struct manager *manager)
{
	if (manager->helper_source || !helper_client_is_connected(manager->helper))
		return 0;
	return sd_event_add_io(manager->loop, &manager->helper_source, helper_client_get_fd(manager->helper), EPOLLIN,
			       on_helper, manager);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct manager *manager = userdata;
	uint64_t now;
	int r = sd_event_now(manager->loop, CLOCK_MONOTONIC, &now);

	if (r < 0)
		return r;
	broker_expire(manager->broker, now);
	varlink_server_expire(manager->server, now);
	return 0;
}

/* After every turn: when to wake up next, and whether the helper came. */
static int after_dispatch(sd_event_source *source, void *userdata)
{
	struct manager *manager = userdata;
	uint64_t next = broker_next_deadline(manager->broker);
	uint64_t other = varlink_server_next_deadline(manager->server);
	int r = follow_helper(manager);

	if (r < 0)
		return r;
	if (other < next)
		next = other;
	r = sd_event_source_set_time(manager->timer, next);
	if (r < 0)
		return r;
	return sd_event_source_set_enabled(manager->timer, next == UINT64_MAX ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

static int add_sources(struct manager *manager)
{
	sd_event *loop = manager->loop;
	int r = sd_event_add_io(loop, NULL, monitor_get_fd(manager->monitor), EPOLLIN, on_monitor, manager);

	if (r >= 0)
		r = sd_event_add_io(loop, NULL, varlink_server_get_fd(manager->server), EPOLLIN, on_server, manager);
	if (r >= 0)
		r = sd_event_add_io(loop, NULL, broker_get_fd(manager->broker), EPOLLIN, on_broker, manager);
	if (r >= 0 && manager->module)
		r = sd_event_add_io(loop, NULL, manager->module->events, EPOLLIN, on_module, manager);
	if (r >= 0)
		r = sd_event_add_time(loop, &manager->timer, CLOCK_MONOTONIC, 0, 0, on_timer, manager);
	if (r >= 0)
		r = sd_event_add_post(loop, NULL, after_dispatch, manager);
	if (r >= 0)
		r = sd_event_add_signal(loop, NULL, SIGHUP, on_reload, manager);
	/* Without a handler sd-event leaves the loop. */
	if (r >= 0)
		r = sd_event_add_signal(loop, NULL, SIGTERM, NULL, NULL);
	if (r >= 0)
		r = sd_event_add_signal(loop, NULL, SIGINT, NULL, NULL);
	return r;
}

static int make_loop(struct manager *manager)
{
	sigset_t signals;
	int r;

	sigemptyset(&signals);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
		return -errno;
	r = sd_event_new(&manager->loop);
	if (r >= 0)
		r = sd_event_set_watchdog(manager->loop, true);
	return r < 0 ? r : 0;
}

/* ---- making the parts ---- */

static int make_topology(struct manager *manager, const struct config *config)
{
	_cleanup_fd_ int sysfs_fd = open_dir_at(AT_FDCWD, manager->options->sysfs);
	int r = sysfs_fd;

	if (r >= 0)
		r = monitor_new(config->event_buffer_size, &monitor_handler, manager, &manager->monitor);
	if (r == 1)
		log_warning(
			"the buffer for device events is as small as the kernel's default, for CAP_NET_ADMIN is missing; "
			"bursts will cost a scan of sysfs");
	if (r >= 0)
		r = registry_new(sysfs_fd, &manager->registry);
	if (r >= 0)
		registry_set_udev_data(manager->registry, UDEV_DATA);
	if (r >= 0)
		r = registry_scan(manager->registry);
	if (r >= 0)
		r = device_names_new(NULL, &manager->service.names);
	if (r < 0)
		log_error("devices can't be read from %s: %s", manager->options->sysfs, strerror(-r));
	return r;
}

/* Without it everything works, but for what comes after a restart. */
static int open_state(struct manager *manager)
{
	const char *path = manager->options->state;

	if (!*path)
		return -1;
	manager->state_fd = open_dir_at(AT_FDCWD, path);
	if (manager->state_fd < 0)
		log_warning("leases will not outlive a restart: %s: %s; systemd-tmpfiles --create makes it", path,
			    strerror(-manager->state_fd));
	if (manager->state_fd < 0)
		manager->state_fd = -1;
	return manager->state_fd;
}

static int make_broker(struct manager *manager, const struct config *config)
{
	struct broker_config broker_config = {
		.registry = manager->registry,
		.openers = openers,
		.limits = { .leases_per_uid = config->max_leases_per_user,
			    .prepare_timeout_usec = config->prepare_timeout_usec,
			    .linger_after_usec = config->linger_after_usec,
			    .holders_fresh_usec = HOLDERS_FRESH_USEC },
		.event = session_publish,
		.userdata = &manager->service,
	};
	int r;

	list_init(&manager->service.subscribers);
	manager->dev_fd = open_dir_at(AT_FDCWD, manager->options->dev);
	broker_config.dev_fd = manager->dev_fd;
	broker_config.state_fd = open_state(manager);
	manager->keeps = fd_store_init(&manager->store, manager->options->fd_store) && manager->state_fd >= 0;
	broker_config.keeper = manager->keeps ? &manager->store.keeper : NULL;
	broker_config.node_context = selinux_is_active() ? selinux_get_context : NULL;
	r = manager->dev_fd < 0 ? manager->dev_fd : helper_client_new(manager->options->helper, &manager->helper);
	broker_config.helper = manager->helper;
	if (r == 0)
		r = kernel_module_start(config->kernel_module, manager->options->dev, &manager->module);
	broker_config.module = manager->module;
	if (r == 0)
		r = policy_new_empty(&broker_config.policy);
	if (r == 0)
		r = broker_new(&broker_config, &manager->broker);
	if (r < 0) {
		policy_free(broker_config.policy);
		log_error("the broker can't be made: %s%s", strerror(-r),
			  r == -EBUSY ? "; is another iommud running with the same --state?" : "");
		return r;
	}
	manager->service.broker = manager->broker;
	manager->service.module_wanted = config_module_name(config->kernel_module);
	kernel_module_report(config->kernel_module, manager->broker);
	reload_init(&manager->reloader, manager->options, manager->broker, manager->helper, &manager->service);
	if (policy_files_load(manager->options, manager->broker, NULL) == 0)
		return 0;
	policy_files_log_refused(
		"no policy is in force: everything is denied until it is mended and loaded (systemctl reload iommud)");
	return 0;
}

/* systemd's socket, or our own. What systemd has kept comes with it. */
static int make_listener(struct manager *manager)
{
	int passed = fd_store_take(&manager->store, &manager->service, manager->server);
	int fd = passed < 0 ? -ENOTSOCK : passed;

	if (manager->options->listen) {
		close_fd(passed);
		fd = varlink_listen(manager->options->listen);
	}
	if (fd == -ENOTSOCK)
		log_error("no socket to listen on: start iommud.socket, or give --listen PATH");
	else if (fd < 0)
		log_error("%s: %s", manager->options->listen ? manager->options->listen : "systemd's socket",
			  strerror(-fd));
	return fd < 0 ? fd : varlink_server_add_listener(manager->server, fd);
}

static int make_server(struct manager *manager, const struct config *config)
{
	struct varlink_server_config server_config = {
		.vendor = "iommud",
		.product = "iommud",
		.version = IOMMUD_VERSION,
		.url = "https://varlink.org",
		.interfaces = iommud_interfaces,
		.n_interfaces = iommud_n_interfaces,
		.limits = { .max_connections = config->max_connections,
			    .max_connections_per_uid = config->max_connections_per_user,
			    .frame_timeout_usec = config->message_timeout_usec,
			    .send_timeout_usec = config->send_timeout_usec,
			    .send_buffer_max = SEND_BUFFER_MAX },
		.connected = session_connected,
		.ready = session_ready,
		.disconnected = session_disconnected,
		.drained = session_drained,
		.userdata = &manager->service,
	};
	int r = varlink_server_new(&server_config, &manager->server);

	return r < 0 ? r : make_listener(manager);
}

static int make_parts(struct manager *manager, const struct config *config)
{
	int r = make_loop(manager);

	if (r == 0)
		r = make_topology(manager, config);
	if (r >= 0)
		r = make_broker(manager, config);
	if (r >= 0)
		r = make_server(manager, config);
	if (r >= 0)
		r = add_sources(manager);
	if (r < 0)
		return r;
	r = sandbox_enter(manager->options->user);
	if (r < 0)
		log_error("privileges can't be dropped: %s; is there a user %s?", strerror(-r),
			  manager->options->user ? manager->options->user : "iommud");
	return r;
}

int manager_new(const struct options *options, const struct config *config, struct manager **ret)
{
	struct manager *manager = calloc(1, sizeof(*manager));
	int r;

	if (!manager)
		return -ENOMEM;
	manager->options = options;
	manager->dev_fd = manager->state_fd = -1;
	r = make_parts(manager, config);
	if (r < 0) {
		manager_free(manager);
		return r;
	}
	*ret = manager;
	return 0;
}

struct manager *manager_free(struct manager *manager)
{
	if (!manager)
		return NULL;
	/* Sessions end first, while the broker that they talk to is there. */
	varlink_server_free(manager->server);
	broker_free(manager->broker);
	ownership_free(manager->module);
	helper_client_free(manager->helper);
	monitor_free(manager->monitor);
	registry_free(manager->registry);
	device_names_free(manager->service.names);
	sd_event_source_unref(manager->timer);
	sd_event_source_unref(manager->helper_source);
	sd_event_unref(manager->loop);
	close_fd(manager->dev_fd);
	close_fd(manager->state_fd);
	free(manager);
	return NULL;
}

/* What a former broker left behind is put back before anything else. */
static void greet_helper(struct manager *manager)
{
	int r = helper_client_connect(manager->helper);

	if (r == 0)
		broker_helper_connected(manager->broker);
	else
		log_warning("iommud-helper can't be reached at %s: %s; nothing is granted until it can",
			    manager->options->helper, strerror(-r));
}

/*
 * Whether this is a restart nobody tells us. So leases stay as they are: the connections live on in systemd's store, which must not
 * see them shut down, and the helper's journal knows the devices. In a stop systemd closes them.
 */
static _Noreturn void manager_leave(struct manager *manager)
{
	log_notice("stopping; leases and their clients are left to the next start");
	_exit(EXIT_SUCCESS);
}

int manager_run(struct manager *manager)
{
	int r;

	greet_helper(manager);
	log_notice("iommud %s: %zu rules, ready", IOMMUD_VERSION, policy_n_rules(broker_get_policy(manager->broker)));
	sd_notify(false, "READY=1\nSTATUS=Serving");
	/* Computes the first deadline; later ones follow every dispatch. */
	r = after_dispatch(NULL, manager);
	if (r >= 0)
		r = sd_event_loop(manager->loop);
	sd_notify(false, "STOPPING=1");
	if (r >= 0 && manager->keeps)
		manager_leave(manager);
	return r < 0 ? r : 0;
}
