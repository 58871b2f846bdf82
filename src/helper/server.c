/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Waits, and hands what happened to connections and jobs. It owns the signal descriptor and the array for poll(). Ended
 * workers come before new requests, so that an answer is never older than the state it was made from.
 */
#include "helper/server.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include "helper/job.h"
#include "helper/request.h"
#include "util/log.h"

/* Packets of one connection at a time, so that one that floods does not keep the others waiting. */
#define BUDGET 16
#define BACKLOG 8

enum { SLOT_LISTEN, SLOT_SIGNAL, SLOT_CONNECTIONS, SLOT_JOBS = SLOT_CONNECTIONS + HELPER_CONNECTIONS_MAX };

struct server {
	struct helper *helper;
	int listen_fd;
	int signal_fd;
	uint64_t watchdog; /* nanoseconds between two signs of life; 0: none wanted */
	bool stop;
	struct pollfd *slots;
	size_t n_slots;
	size_t n_slots_allocated;
};

static bool is_stale_socket(const char *path, const struct sockaddr_un *name)
{
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct stat st;

	if (fd < 0 || lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return false;
	return connect(fd, (const struct sockaddr *)name, sizeof(*name)) < 0 && errno == ECONNREFUSED;
}

static int bind_private(int fd, const struct sockaddr_un *name)
{
	mode_t mask = umask(0177);
	int r = bind(fd, (const struct sockaddr *)name, sizeof(*name)) < 0 ? -errno : 0;

	umask(mask);
	return r;
}

int server_listen(const char *path, uid_t uid)
{
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int r;

	if (fd < 0)
		return -errno;
	if (strlen(path) >= sizeof(name.sun_path))
		return -ENAMETOOLONG;
	strcpy(name.sun_path, path);
	r = bind_private(fd, &name);
	if (r == -EADDRINUSE && is_stale_socket(path, &name)) {
		if (unlink(path) < 0)
			return -errno;
		r = bind_private(fd, &name);
	}
	if (r < 0)
		return r;
	if (lchown(path, uid, (gid_t)-1) < 0 || listen(fd, BACKLOG) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static void serve_connection(struct helper *helper, struct connection *connection)
{
	struct packet packet;

	for (int i = 0; i < BUDGET && connection->fd >= 0; i++) {
		int r = connection_receive(connection, &packet);

		if (r == 0)
			return;
		if (r < 0) {
			log_info("the broker's connection closed; its jobs go on");
			connection_close(connection);
			return;
		}
		request_dispatch(helper, connection, &packet);
	}
}

static void serve_signal(struct server *server)
{
	struct signalfd_siginfo info;

	while (read(server->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo != SIGHUP) {
			server->stop = true;
			continue;
		}
		if (helper_load_policy(server->helper) == 0)
			log_info("policy loaded: %zu rule(s)", policy_n_rules(server->helper->policy));
	}
}

static int grow_slots(struct server *server, size_t n)
{
	struct pollfd *slots;

	if (n <= server->n_slots_allocated)
		return 0;
	slots = reallocarray(server->slots, n, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	server->slots = slots;
	server->n_slots_allocated = n;
	return 0;
}

/* poll() passes over negative descriptors: a free place in the table of connections. */
static int fill_slots(struct server *server)
{
	struct helper *helper = server->helper;
	size_t n = SLOT_JOBS;
	struct job *job;
	int r = grow_slots(server, SLOT_JOBS + helper->n_jobs);

	if (r < 0)
		return r;
	server->slots[SLOT_LISTEN] = (struct pollfd){ .fd = server->listen_fd, .events = POLLIN };
	server->slots[SLOT_SIGNAL] = (struct pollfd){ .fd = server->signal_fd, .events = POLLIN };
	for (size_t i = 0; i < HELPER_CONNECTIONS_MAX; i++)
		server->slots[SLOT_CONNECTIONS + i] =
			(struct pollfd){ .fd = helper->connections[i].fd, .events = POLLIN };
	list_for_each(job, &helper->jobs, link) {
		job->poll_index = n;
		server->slots[n++] = (struct pollfd){ .fd = job->worker.pidfd, .events = POLLIN };
	}
	server->n_slots = n;
	return 0;
}

static void serve_ready(struct server *server)
{
	struct helper *helper = server->helper;
	struct job *job, *next;

	list_for_each_safe(job, next, &helper->jobs, link) {
		if (job->poll_index && server->slots[job->poll_index].revents)
			job_advance(helper, job);
	}
	for (size_t i = 0; i < HELPER_CONNECTIONS_MAX; i++) {
		const struct pollfd *slot = &server->slots[SLOT_CONNECTIONS + i];

		if (slot->revents && slot->fd == helper->connections[i].fd)
			serve_connection(helper, &helper->connections[i]);
	}
	if (server->slots[SLOT_LISTEN].revents)
		connection_accept(helper, server->listen_fd);
	if (server->slots[SLOT_SIGNAL].revents)
		serve_signal(server);
}

/* Until the next deadline or the next sign of life, rounded up so that it has passed then. */
static int wait_milliseconds(const struct server *server, uint64_t now, uint64_t deadline)
{
	uint64_t wait = deadline == UINT64_MAX ? UINT64_MAX : deadline - now;

	if (server->watchdog && server->watchdog < wait)
		wait = server->watchdog;
	if (wait == UINT64_MAX)
		return -1;
	wait = wait / 1000000 + 1;
	return wait > INT32_MAX ? INT32_MAX : (int)wait;
}

static int serve_once(struct server *server)
{
	uint64_t now = helper_now();
	uint64_t deadline = jobs_expire(server->helper, now);
	int r = fill_slots(server);

	if (r < 0)
		return r;
	jobs_tell_status(server->helper);
	if (server->watchdog)
		sd_notify(0, "WATCHDOG=1");
	r = poll(server->slots, server->n_slots, wait_milliseconds(server, now, deadline));
	if (r < 0)
		return errno == EINTR ? 0 : -errno;
	if (r > 0)
		serve_ready(server);
	return 0;
}

static int open_signals(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

static int serve(struct server *server)
{
	int r = 0;

	jobs_undo_begun(server->helper);
	sd_notify(0, "READY=1");
	while (!server->stop && r == 0)
		r = serve_once(server);
	sd_notify(0, "STOPPING=1");
	return r;
}

int server_run(struct helper *helper, int listen_fd)
{
	struct server server = { .helper = helper, .listen_fd = listen_fd };
	uint64_t watchdog;
	int r;

	connections_init(helper);
	list_init(&helper->jobs);
	if (sd_watchdog_enabled(0, &watchdog) > 0)
		server.watchdog = watchdog * 1000 / 2;
	server.signal_fd = open_signals();
	if (server.signal_fd < 0)
		return server.signal_fd;
	r = serve(&server);
	jobs_abandon(helper);
	for (size_t i = 0; i < HELPER_CONNECTIONS_MAX; i++)
		connection_close(&helper->connections[i]);
	close_fd(server.signal_fd);
	free(server.slots);
	return r;
}
