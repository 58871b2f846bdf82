/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The verb acquire: takes devices, shows the lease, holds it until its own end or somebody who wants it back says that it is
 * over, gives it back.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>

#include "errors.h"
#include "reply.h"
#include "table.h"
#include "take.h"

/* From here on the signals that end a program are read, not delivered. Returns the descriptor or a negative errno. */
static int catch_signals(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static bool input_has_ended(int fd)
{
	char buffer[4096];
	ssize_t n = read(fd, buffer, sizeof(buffer));

	return n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN);
}

/* After these there is nothing to hold any more. */
static bool is_end_of_lease(const char *event)
{
	static const char *const ends[] = { "releaseRequested", "leaseLingering", "leaseReleased" };

	for (size_t i = 0; event && i < ARRAY_SIZE(ends); i++)
		if (strcmp(event, ends[i]) == 0)
			return true;
	return false;
}

/* 1 when the lease is wanted back, or over, which has been said then; 0 when something else happened; a negative errno. */
static int hear(struct iommud *connection)
{
	_cleanup_object_ json_object *event = NULL;
	const char *text, *message;
	int r = iommud_read_event(connection, &text);

	if (r < 0)
		return r;
	event = json_tokener_parse(text);
	if (!event)
		return -ENOMEM;
	if (!is_end_of_lease(reply_text(event, "event")))
		return 0;
	message = reply_text(event, "message");
	complain("%s", message ? message : "the lease is over");
	return 1;
}

/* Waits for the end of input, a signal or the lease's end: 0. A negative errno: -ECONNRESET when the daemon has gone. */
static int wait_for_end(int signal_fd, struct iommud *connection)
{
	int r;
	struct pollfd fds[] = {
		{ .fd = iommud_get_fd(connection), .events = POLLIN },
		{ .fd = signal_fd, .events = POLLIN },
		{ .fd = STDIN_FILENO, .events = POLLIN },
	};

	for (;;) {
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			return -errno;
		r = fds[0].revents ? hear(connection) : 0;
		if (r != 0)
			return r < 0 ? r : 0;
		if (fds[1].revents || (fds[2].revents && input_has_ended(STDIN_FILENO)))
			return 0;
	}
}

static int print_table(const struct options *options, const struct iommud_lease *lease)
{
	static const char *const headings[] = { "LEASE", "BACKEND", "LABEL", "DEVICE", "GROUP", NULL };
	_cleanup_table_ struct table *table = table_new(headings);

	for (size_t i = 0; i < iommud_lease_n_devices(lease) && table; i++) {
		table_add_number(table, (long long)iommud_lease_id(lease));
		table_add(table, iommud_lease_backend(lease));
		table_add(table, iommud_lease_label(lease));
		table_add(table, iommud_lease_device_address(lease, i));
		table_add_number(table, iommud_lease_device_group(lease, i));
	}
	return table ? table_print(table, stdout, !options->no_legend, terminal_has_color(options->color)) : -ENOMEM;
}

static json_object *lease_devices(const struct iommud_lease *lease)
{
	json_object *array = json_object_new_array();

	for (size_t i = 0; i < iommud_lease_n_devices(lease) && array; i++) {
		json_object *device = json_object_new_object();

		if (!device) {
			json_object_put(array);
			return NULL;
		}
		json_object_object_add(device, "address",
				       json_object_new_string(iommud_lease_device_address(lease, i)));
		json_object_object_add(device, "group", json_object_new_int64(iommud_lease_device_group(lease, i)));
		json_object_array_add(array, device);
	}
	return array;
}

static int print_object(const struct options *options, const struct iommud_lease *lease)
{
	_cleanup_object_ json_object *object = json_object_new_object();
	const char *label = iommud_lease_label(lease);

	if (!object)
		return -ENOMEM;
	json_object_object_add(object, "lease", json_object_new_int64((int64_t)iommud_lease_id(lease)));
	json_object_object_add(object, "backend", json_object_new_string(iommud_lease_backend(lease)));
	json_object_object_add(object, "label", label ? json_object_new_string(label) : NULL);
	json_object_object_add(object, "devices", lease_devices(lease));
	reply_print(options, object);
	return 0;
}

/*
 * Shows the lease and holds it. Before it shows, signals are caught and the subscription is there: who reads it may send one,
 * or want the lease back, at once.
 */
static int hold(const struct options *options, struct iommud *connection, const struct iommud_lease *lease)
{
	_cleanup_fd_ int signal_fd = catch_signals();
	int r = signal_fd < 0 ? signal_fd : 0;

	if (r == 0)
		r = iommud_subscribe(connection, iommud_lease_id(lease));
	if (r == 0)
		r = options->json != JSON_OFF ? print_object(options, lease) : print_table(options, lease);
	if (r == 0 && fflush(stdout) != 0)
		r = -errno;
	if (r == 0 && !options->no_legend && isatty(STDIN_FILENO))
		fputs("The devices are yours until the end of input (Ctrl-D).\n", stderr);
	return r == 0 ? wait_for_end(signal_fd, connection) : r;
}

int verb_acquire(const struct options *options, int n_arguments, char **arguments)
{
	_cleanup_connection_ struct iommud *connection = NULL;
	_cleanup_lease_ struct iommud_lease *lease = NULL;
	int code = connect_daemon(options, &connection), r;

	if (code == EXIT_DONE)
		code = take_devices(options, connection, arguments, n_arguments, &lease);
	if (code != EXIT_DONE)
		return code;
	r = hold(options, connection, lease);
	/* The connection's end gives the lease back. With its descriptors closed first, the device is free at once. */
	lease = iommud_lease_free(lease);
	return r == 0 ? EXIT_DONE : report_result(connection, "lease", r);
}
