/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The monitor on a real netlink socket, in a network namespace of its own: messages that nobody should believe,
 * messages that nobody can read, and more of them than the socket holds. What udev's good events do is in
 * tests/umockdev.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fail-alloc.h"
#include "topology/monitor.h"
#include "udev-message.h"
#include "util/cleanup.h"

#define DISK "0000:02:00.0"
#define NOBODY 65534
#define SMALL_BUFFER 8192
#define FLOOD 500

static const struct udev_message bind_event = { .subsystem = "pci",
						.devpath = "/devices/pci0000:00/" DISK,
						.action = "bind" };

struct fixture {
	struct monitor *monitor;
	int sender;
	size_t n_events;
	char address[64];
	char action[16];
	size_t n_nodes;
	char node[64];
	size_t n_lost;
};

static bool readable(const struct fixture *fixture)
{
	struct pollfd pollfd = { .fd = monitor_get_fd(fixture->monitor), .events = POLLIN };

	return poll(&pollfd, 1, 0) > 0;
}

static void on_device(void *userdata, const char *address, const char *action)
{
	struct fixture *fixture = userdata;

	fixture->n_events++;
	snprintf(fixture->address, sizeof(fixture->address), "%s", address);
	snprintf(fixture->action, sizeof(fixture->action), "%s", action);
}

static void on_node(void *userdata, const char *devnode)
{
	struct fixture *fixture = userdata;

	fixture->n_nodes++;
	snprintf(fixture->node, sizeof(fixture->node), "%s", devnode);
}

/* While anything is left in the socket the kernel may still be dropping: a scan now could miss something for good. */
static void on_lost(void *userdata)
{
	struct fixture *fixture = userdata;

	assert_false(readable(fixture));
	fixture->n_lost++;
}

static const struct monitor_handler handler = { .device = on_device, .node = on_node, .lost = on_lost };

static const char *why_not; /* netlink can't be used here */

static int enter(void **state)
{
	int r = udev_message_enter_namespace(), fd;

	if (r < 0) {
		why_not = "no network namespace of our own";
		return 0;
	}
	fd = udev_message_socket();
	if (fd < 0 || udev_message_send(fd, 0, &bind_event) < 0)
		why_not = "no sending of uevents by netlink";
	close_fd(fd);
	return 0;
}

static void begin_sized(struct fixture *fixture, size_t buffer_size)
{
	*fixture = (struct fixture){ .sender = -1 };
	if (why_not) {
		print_message("skipped: %s\n", why_not);
		skip();
	}
	fixture->sender = udev_message_socket();
	assert_true(fixture->sender >= 0);
	assert_int_equal(monitor_new(buffer_size, &handler, fixture, &fixture->monitor), 0);
}

static void begin(struct fixture *fixture)
{
	begin_sized(fixture, 0);
}

static void end(struct fixture *fixture)
{
	fixture->monitor = monitor_free(fixture->monitor);
	fixture->sender = close_fd(fixture->sender);
}

static void send_good(const struct fixture *fixture)
{
	assert_int_equal(udev_message_send(fixture->sender, 0, &bind_event), 0);
}

/* Nothing happened, nothing is left, and the next good event still arrives. */
static void assert_untouched(struct fixture *fixture)
{
	size_t events = fixture->n_events, lost = fixture->n_lost;

	assert_false(readable(fixture));
	assert_int_equal(monitor_dispatch(fixture->monitor, 10), 0);
	assert_int_equal(fixture->n_lost, lost);
	assert_int_equal(fixture->n_events, events);
	send_good(fixture);
	assert_int_equal(monitor_dispatch(fixture->monitor, 10), 1);
	assert_int_equal(fixture->n_events, events + 1);
	assert_int_equal(fixture->n_lost, lost);
}

static void passes_on_what_udevd_sends(void **state)
{
	const struct udev_message node = { .subsystem = "vfio-dev",
					   .devpath = "/devices/virtual/vfio-dev/vfio3",
					   .action = "add",
					   .devname = "/dev/vfio/devices/vfio3" };
	struct fixture fixture;

	begin(&fixture);
	send_good(&fixture);
	assert_true(readable(&fixture));
	assert_int_equal(monitor_dispatch(fixture.monitor, 10), 1);
	assert_int_equal(fixture.n_events, 1);
	assert_string_equal(fixture.address, DISK);
	assert_string_equal(fixture.action, "bind");
	assert_int_equal(udev_message_send(fixture.sender, 0, &node), 0);
	assert_int_equal(monitor_dispatch(fixture.monitor, 10), 1);
	assert_int_equal(fixture.n_nodes, 1);
	assert_string_equal(fixture.node, "/dev/vfio/devices/vfio3");
	assert_untouched(&fixture);
	end(&fixture);
}

/* Whose it was is all that is left of it, and kernels without VFIO's cdev have no node for it. */
static void tells_whose_vfio_device_came_or_went(void **state)
{
	struct udev_message message = { .subsystem = "vfio-dev",
					.devpath = "/devices/pci0000:00/0000:00:0a.0/" DISK "/vfio-dev/vfio0",
					.action = "remove" };
	struct fixture fixture;

	begin(&fixture);
	assert_int_equal(udev_message_send(fixture.sender, 0, &message), 0);
	assert_int_equal(monitor_dispatch(fixture.monitor, 10), 1);
	assert_int_equal(fixture.n_events, 1);
	assert_int_equal(fixture.n_nodes, 0);
	assert_string_equal(fixture.address, DISK);
	assert_string_equal(fixture.action, "node");
	message.devpath = "/devices/pci0000:00/vfio-dev-of-somebody/vfio0";
	assert_int_equal(udev_message_send(fixture.sender, 0, &message), 0);
	message.devpath = "/vfio-dev/vfio0";
	assert_int_equal(udev_message_send(fixture.sender, 0, &message), 0);
	message.devpath = "/devices/a-name-that-is-longer-than-any-address-of-a-device/vfio-dev/vfio0";
	assert_int_equal(udev_message_send(fixture.sender, 0, &message), 0);
	assert_int_equal(monitor_dispatch(fixture.monitor, 10), 3);
	assert_int_equal(fixture.n_events, 1);
	assert_untouched(&fixture);
	end(&fixture);
}

static void events_of_other_subsystems_do_not_even_wake_it(void **state)
{
	struct udev_message usb = bind_event;
	struct fixture fixture;

	begin(&fixture);
	usb.subsystem = "usb";
	assert_int_equal(udev_message_send(fixture.sender, 0, &usb), 0);
	assert_false(readable(&fixture));
	assert_untouched(&fixture);
	end(&fixture);
}

static void a_message_of_another_user_changes_nothing(void **state)
{
	struct udev_message huge = bind_event;
	struct fixture fixture;

	begin(&fixture);
	assert_int_equal(udev_message_send_as(NOBODY, &bind_event), 0);
	assert_true(readable(&fixture));
	assert_int_equal(monitor_dispatch(fixture.monitor, 10), 1);
	assert_int_equal(fixture.n_events, 0);
	assert_int_equal(fixture.n_lost, 0);
	assert_untouched(&fixture);
	/* Not even one that would count as a loss from root: a user must not be able to make us scan. */
	huge.padding = 100000;
	assert_int_equal(udev_message_send_as(NOBODY, &huge), 0);
	huge.padding = 0;
	huge.magic = 1;
	assert_int_equal(udev_message_send_as(NOBODY, &huge), 0);
	assert_int_equal(monitor_dispatch(fixture.monitor, 10), 2);
	assert_int_equal(fixture.n_lost, 0);
	assert_untouched(&fixture);
	end(&fixture);
}

static void a_message_to_us_alone_changes_nothing(void **state)
{
	struct sockaddr_nl address;
	socklen_t size = sizeof(address);
	struct udev_message broken = bind_event;
	struct fixture fixture;

	begin(&fixture);
	assert_int_equal(getsockname(monitor_get_fd(fixture.monitor), (struct sockaddr *)&address, &size), 0);
	assert_int_equal(udev_message_send(fixture.sender, address.nl_pid, &bind_event), 0);
	broken.magic = 1;
	assert_int_equal(udev_message_send(fixture.sender, address.nl_pid, &broken), 0);
	assert_true(readable(&fixture));
	assert_int_equal(monitor_dispatch(fixture.monitor, 10), 2);
	assert_int_equal(fixture.n_events, 0);
	assert_int_equal(fixture.n_lost, 0);
	assert_untouched(&fixture);
	end(&fixture);
}

static void an_address_that_leaves_the_folder_is_not_passed_on(void **state)
{
	struct udev_message message = bind_event;
	struct fixture fixture;

	begin(&fixture);
	/* libudev makes a slash of "!" */
	message.devpath = "/devices/pci0000:00/..!..!etc";
	assert_int_equal(udev_message_send(fixture.sender, 0, &message), 0);
	assert_int_equal(monitor_dispatch(fixture.monitor, 10), 1);
	assert_int_equal(fixture.n_events, 0);
	assert_untouched(&fixture);
	end(&fixture);
}

static void an_oversized_message_is_taken_off_and_counts_as_lost(void **state)
{
	struct udev_message huge = bind_event;
	struct fixture fixture;

	begin(&fixture);
	huge.padding = 65536;
	assert_int_equal(udev_message_send(fixture.sender, 0, &huge), 0);
	assert_int_equal(monitor_dispatch(fixture.monitor, 10), 1);
	assert_int_equal(fixture.n_lost, 1);
	assert_int_equal(fixture.n_events, 0);
	assert_untouched(&fixture);
	end(&fixture);
}

static void a_large_but_honest_message_is_passed_on(void **state)
{
	struct udev_message large = bind_event;
	struct fixture fixture;

	begin(&fixture);
	large.padding = 32768;
	assert_int_equal(udev_message_send(fixture.sender, 0, &large), 0);
	assert_int_equal(monitor_dispatch(fixture.monitor, 10), 1);
	assert_int_equal(fixture.n_events, 1);
	assert_int_equal(fixture.n_lost, 0);
	end(&fixture);
}

static void assert_lost(struct fixture *fixture)
{
	size_t lost = fixture->n_lost, events = fixture->n_events;

	assert_true(readable(fixture));
	assert_int_equal(monitor_dispatch(fixture->monitor, 10), 1);
	assert_int_equal(fixture->n_lost, lost + 1);
	assert_int_equal(fixture->n_events, events);
	assert_untouched(fixture);
}

static void a_message_that_cannot_be_read_counts_as_lost(void **state)
{
	struct udev_message message = bind_event;
	uint32_t beyond[10] = { 0 };
	struct fixture fixture;

	begin(&fixture);
	message.magic = 0x12345678;
	assert_int_equal(udev_message_send(fixture.sender, 0, &message), 0);
	assert_lost(&fixture);
	message = bind_event;
	message.devpath = NULL;
	assert_int_equal(udev_message_send(fixture.sender, 0, &message), 0);
	assert_lost(&fixture);
	memset(beyond, 'x', sizeof(beyond));
	assert_int_equal(udev_message_send_raw(fixture.sender, 0, beyond, sizeof(beyond)), 0);
	assert_lost(&fixture);
	end(&fixture);
}

static void a_message_too_short_for_the_filter_changes_nothing(void **state)
{
	struct fixture fixture;

	begin(&fixture);
	assert_int_equal(udev_message_send_raw(fixture.sender, 0, "x", 1), 0);
	assert_int_equal(udev_message_send_raw(fixture.sender, 0, "libudev", 8), 0);
	assert_untouched(&fixture);
	end(&fixture);
}

static void flood(const struct fixture *fixture)
{
	for (int i = 0; i < FLOOD; i++)
		send_good(fixture);
}

static void an_overflow_is_reported_once_and_nothing_is_deaf_after(void **state)
{
	struct fixture fixture;

	begin_sized(&fixture, SMALL_BUFFER);
	for (size_t round = 1; round <= 3; round++) {
		flood(&fixture);
		assert_in_range(monitor_dispatch(fixture.monitor, FLOOD), 1, FLOOD - 1);
		assert_int_equal(fixture.n_lost, round);
		assert_untouched(&fixture);
	}
	end(&fixture);
}

static void an_overflow_is_reported_when_the_socket_is_empty_however_small_the_budget(void **state)
{
	struct fixture fixture;
	size_t n = 0;

	begin_sized(&fixture, SMALL_BUFFER);
	flood(&fixture);
	while (fixture.n_lost == 0) {
		assert_true(readable(&fixture));
		assert_int_equal(monitor_dispatch(fixture.monitor, 1), 1);
		assert_in_range(++n, 1, FLOOD);
	}
	assert_in_range(n, 2, FLOOD);
	assert_int_equal(fixture.n_lost, 1);
	assert_untouched(&fixture);
	end(&fixture);
}

/* The kernel drops silently until the socket was empty: what came in the meantime must be behind the report. */
static void what_comes_during_an_overflow_is_behind_the_report(void **state)
{
	struct fixture fixture;
	int handled;

	begin_sized(&fixture, SMALL_BUFFER);
	flood(&fixture);
	assert_int_equal(monitor_dispatch(fixture.monitor, 1), 1);
	assert_int_equal(fixture.n_lost, 0);
	send_good(&fixture);
	handled = monitor_dispatch(fixture.monitor, FLOOD);
	assert_in_range(handled, 1, FLOOD - 1);
	assert_int_equal(fixture.n_lost, 1);
	assert_int_equal(fixture.n_events, 0);
	assert_untouched(&fixture);
	end(&fixture);
}

static void events_that_fit_the_buffer_all_arrive(void **state)
{
	struct fixture fixture;

	begin_sized(&fixture, 16 << 20);
	flood(&fixture);
	assert_int_equal(monitor_dispatch(fixture.monitor, 2 * FLOOD), FLOOD);
	assert_int_equal(fixture.n_events, FLOOD);
	assert_int_equal(fixture.n_lost, 0);
	end(&fixture);
}

static void the_buffer_gets_the_size_that_was_asked_for(void **state)
{
	struct fixture fixture;
	socklen_t length = sizeof(int);
	int size;

	begin_sized(&fixture, 128 << 20);
	assert_int_equal(getsockopt(monitor_get_fd(fixture.monitor), SOL_SOCKET, SO_RCVBUF, &size, &length), 0);
	assert_int_equal(size, 256 << 20);
	end(&fixture);
}

/* Without capabilities: says by one byte what monitor_new() returned, waits for an event, and is 0 when it came. */
static int unprivileged_child(int pipe_fd)
{
	struct fixture fixture = { 0 };
	struct pollfd pollfd = { .events = POLLIN };
	char result;

	if (setresuid(NOBODY, NOBODY, NOBODY) < 0)
		return 2;
	result = monitor_new(128 << 20, &handler, &fixture, &fixture.monitor);
	if (write(pipe_fd, &result, 1) != 1 || result != 1)
		return 3;
	pollfd.fd = monitor_get_fd(fixture.monitor);
	if (poll(&pollfd, 1, 10000) != 1 || monitor_dispatch(fixture.monitor, 10) != 1)
		return 4;
	monitor_free(fixture.monitor);
	return fixture.n_events == 1 ? 0 : 5;
}

static void a_size_that_is_refused_is_reported_and_the_monitor_works(void **state)
{
	struct fixture fixture;
	int status, pipe_fds[2];
	char result;
	pid_t pid;

	begin(&fixture);
	assert_int_equal(pipe(pipe_fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(unprivileged_child(pipe_fds[1]));
	close(pipe_fds[1]);
	assert_int_equal(read(pipe_fds[0], &result, 1), 1);
	close(pipe_fds[0]);
	assert_int_equal(result, 1);
	send_good(&fixture);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	end(&fixture);
}

static void a_size_beyond_all_measure_is_refused(void **state)
{
	struct fixture fixture;
	struct monitor *other;

	begin(&fixture);
	assert_int_equal(monitor_new(SIZE_MAX, &handler, &fixture, &other), 1);
	monitor_free(other);
	assert_int_equal(monitor_new(INT32_MAX, &handler, &fixture, &other), 1);
	monitor_free(other);
	end(&fixture);
}

static void creating_a_monitor_fails_cleanly(void **state)
{
	struct monitor *monitor = (struct monitor *)16;
	struct rlimit former, none;
	struct fixture fixture;
	int lowest, r;

	begin(&fixture);
	fail_alloc_begin(1);
	assert_int_equal(monitor_new(0, &handler, &fixture, &monitor), -ENOMEM);
	assert_true(fail_alloc_end());
	lowest = dup(0);
	close(lowest);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &former), 0);
	none = former;
	none.rlim_cur = lowest;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	r = monitor_new(0, &handler, &fixture, &monitor);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &former), 0);
	assert_int_equal(r, -EMFILE);
	assert_ptr_equal(monitor, (struct monitor *)16);
	assert_null(monitor_free(NULL));
	end(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(passes_on_what_udevd_sends),
		cmocka_unit_test(tells_whose_vfio_device_came_or_went),
		cmocka_unit_test(events_of_other_subsystems_do_not_even_wake_it),
		cmocka_unit_test(a_message_of_another_user_changes_nothing),
		cmocka_unit_test(a_message_to_us_alone_changes_nothing),
		cmocka_unit_test(an_address_that_leaves_the_folder_is_not_passed_on),
		cmocka_unit_test(an_oversized_message_is_taken_off_and_counts_as_lost),
		cmocka_unit_test(a_large_but_honest_message_is_passed_on),
		cmocka_unit_test(a_message_that_cannot_be_read_counts_as_lost),
		cmocka_unit_test(a_message_too_short_for_the_filter_changes_nothing),
		cmocka_unit_test(an_overflow_is_reported_once_and_nothing_is_deaf_after),
		cmocka_unit_test(an_overflow_is_reported_when_the_socket_is_empty_however_small_the_budget),
		cmocka_unit_test(what_comes_during_an_overflow_is_behind_the_report),
		cmocka_unit_test(events_that_fit_the_buffer_all_arrive),
		cmocka_unit_test(the_buffer_gets_the_size_that_was_asked_for),
		cmocka_unit_test(a_size_that_is_refused_is_reported_and_the_monitor_works),
		cmocka_unit_test(a_size_beyond_all_measure_is_refused),
		cmocka_unit_test(creating_a_monitor_fails_cleanly),
	};

	return cmocka_run_group_tests(tests, enter, NULL);
}
