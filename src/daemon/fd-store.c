/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The store answers nothing: what is in it is counted here, and a descriptor beyond the limit would be dropped in silence. Names are
 * ours alone, a name for each descriptor. systemd drops by itself what hangs up, which we are not told: the count is an upper
 * bound, corrected when we drop the same.
 */
#include "daemon/fd-store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include "broker/broker.h"
#include "broker/kept.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "varlink/session.h"

#define SETTLE_USEC 5000000

static int store_keep(void *userdata, const char *name, int fd)
{
	struct fd_store *store = userdata;
	char message[KEPT_NAME_MAX + 32];
	int r;

	if (store->n >= store->keeper.limit)
		return -ENOSPC;
	snprintf(message, sizeof(message), "FDSTORE=1\nFDNAME=%s", name);
	r = sd_pid_notify_with_fds(0, false, message, &fd, 1);
	if (r <= 0)
		return r < 0 ? r : -ENOTCONN;
	store->n++;
	return 0;
}

static void store_drop(void *userdata, const char *name)
{
	struct fd_store *store = userdata;
	int r = sd_notifyf(false, "FDSTOREREMOVE=1\nFDNAME=%s", name);

	if (r < 0)
		log_warning("systemd could not be told to let go of %s: %s", name, strerror(-r));
	if (store->n > 0)
		store->n--;
}

static void store_settle(void *userdata)
{
	int r = sd_notify_barrier(false, SETTLE_USEC);

	if (r < 0)
		log_warning("systemd does not say that it has let go: %s", strerror(-r));
}

bool fd_store_init(struct fd_store *store, unsigned int limit)
{
	*store = (struct fd_store){
		.keeper = { .keep = store_keep, .drop = store_drop, .settle = store_settle, .limit = limit }
	};
	store->keeper.userdata = store;
	return limit > 0 && getenv("NOTIFY_SOCKET");
}

/* ---- at the start ---- */

static bool has_prefix(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

static void drop_unknown(struct fd_store *store, const char *name, int fd)
{
	log_notice("systemd has kept a descriptor '%s' that nobody misses: it is closed", name);
	shutdown(fd, SHUT_RDWR); /* of a socket; the others mind nothing */
	close_fd(fd);
	store_drop(store, name);
}

static void take_connection(struct fd_store *store, struct service *service, struct varlink_server *server,
			    const char *name, int fd)
{
	int r = session_inherit(service, server, fd);

	if (r == 0)
		return;
	log_notice("a client's connection (%s) can't be gone on with: %s; it is closed, and its leases end", name,
		   r == -ENOENT ? "iommud was in the midst of an answer, or knows nothing of it" : strerror(-r));
	store_drop(store, name);
}

/* Not only those that are kept: it is the first that tells them apart. */
static bool is_listening(int fd)
{
	return sd_is_socket(fd, AF_UNIX, SOCK_STREAM, 1) > 0;
}

static void each(struct fd_store *store, struct service *service, struct varlink_server *server, char **names, int n,
		 const char *prefix, int *listener)
{
	for (int i = 0; i < n; i++) {
		int fd = SD_LISTEN_FDS_START + i;
		const char *name = names ? names[i] : "";

		if (!has_prefix(name, prefix))
			continue;
		if (strcmp(prefix, KEPT_CLAIM) == 0) {
			if (!broker_inherit_claim(service->broker, name, fd))
				drop_unknown(store, name, fd);
		} else if (strcmp(prefix, KEPT_CONNECTION) == 0) {
			take_connection(store, service, server, name, fd);
		} else if (has_prefix(name, KEPT_CLAIM) || has_prefix(name, KEPT_CONNECTION)) {
			continue;
		} else if (is_listening(fd) && *listener < 0) {
			*listener = fd;
		} else {
			drop_unknown(store, name, fd);
		}
	}
}

int fd_store_take(struct fd_store *store, struct service *service, struct varlink_server *server)
{
	char **names = NULL;
	int n = sd_listen_fds_with_names(true, &names);
	int listener = -1;

	if (n > 0) {
		store->n = (unsigned int)n;
		/* Claims first: a connection brings its leases, which want them. */
		each(store, service, server, names, n, KEPT_CLAIM, &listener);
		each(store, service, server, names, n, KEPT_CONNECTION, &listener);
		each(store, service, server, names, n, "", &listener);
	}
	for (int i = 0; names && i < n; i++)
		free(names[i]);
	free(names);
	if (listener >= 0 && store->n > 0)
		store->n--;
	broker_inherit_end(service->broker);
	return listener;
}
