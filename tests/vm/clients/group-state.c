/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "group-state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libiommud.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"

#define JOURNAL_FOLDER "/run/iommud-helper"
/* The longest that this machine, which is emulated, is silent in the midst of something. */
#define SILENCE_MSEC 60000

__attribute__((format(printf, 2, 3))) static void add(char text[STATE_TEXT_MAX], const char *format, ...)
{
	size_t used = strlen(text);
	va_list args;

	va_start(args, format);
	vsnprintf(text + used, STATE_TEXT_MAX - used, format, args);
	va_end(args);
}

static void path_of(char path[512], const char *address, const char *name)
{
	snprintf(path, 512, "/sys/bus/pci/devices/%s/%s", address, name);
}

static void add_link(char text[STATE_TEXT_MAX], const char *address, const char *name)
{
	char path[512], target[512];
	ssize_t n;

	path_of(path, address, name);
	n = readlink(path, target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = '\0';
	add(text, " %s=%s", name, n > 0 ? strrchr(target, '/') + 1 : "none");
}

static void add_file(char text[STATE_TEXT_MAX], const char *address, const char *name)
{
	char path[512], value[128];
	ssize_t n;
	int fd;

	path_of(path, address, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, value, sizeof(value) - 1);
	if (fd >= 0)
		close(fd);
	value[n > 0 ? n : 0] = '\0';
	value[strcspn(value, "\n")] = '\0';
	add(text, " %s=%s", name, n >= 0 ? value : "none");
}

static void list_devices(char *const *addresses, char text[STATE_TEXT_MAX])
{
	text[0] = '\0';
	for (; *addresses; addresses++) {
		add(text, "%s", *addresses);
		add_link(text, *addresses, "driver");
		add_link(text, *addresses, "iommu_group");
		add_file(text, *addresses, "driver_override");
		add_file(text, *addresses, "power_state");
		add(text, "\n");
	}
}

static int compare_names(const struct dirent **left, const struct dirent **right)
{
	return strcmp((*left)->d_name, (*right)->d_name);
}

static int is_name(const struct dirent *entry)
{
	return strncmp(entry->d_name, "nvme", 4) == 0 || strncmp(entry->d_name, "e", 1) == 0;
}

static void add_names(char text[STATE_TEXT_MAX], const char *folder, bool deeper)
{
	struct dirent **names;
	int n = scandir(folder, &names, is_name, compare_names);

	for (int i = 0; i < n; i++) {
		char path[1024];

		add(text, " %s", names[i]->d_name);
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name);
		if (deeper)
			add_names(text, path, false);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

static void list_names(char *const *addresses, char text[STATE_TEXT_MAX])
{
	char path[512];

	text[0] = '\0';
	for (; *addresses; addresses++) {
		add(text, "%s", *addresses);
		path_of(path, *addresses, "net");
		add_names(text, path, false);
		path_of(path, *addresses, "nvme");
		add_names(text, path, true);
		add(text, "\n");
	}
}

/* As src/helper/journal-file.c writes it: records of one size, the same number in all of a transaction's. */
struct record {
	uint32_t magic;
	uint16_t version;
	uint16_t type; /* 3: closed */
	uint64_t transaction;
	uint8_t rest[368];
};

#define RECORDS_MAX 1024

static int count_open(const struct record *records, size_t n)
{
	int n_open = 0;

	for (size_t i = 0; i < n; i++) {
		bool is_last = true;

		for (size_t j = i + 1; j < n; j++)
			is_last = is_last && records[j].transaction != records[i].transaction;
		n_open += is_last && records[i].type != 3;
	}
	return n_open;
}

static int count_transactions(void)
{
	static struct record records[RECORDS_MAX];
	int fd = open(JOURNAL_FOLDER "/journal", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, records, sizeof(records));

	if (fd >= 0)
		close(fd);
	return n < 0 ? -1 : count_open(records, n / sizeof(*records));
}

static int count_lease(const char *parameters, void *userdata)
{
	int *n = userdata;

	*n += strstr(parameters, "\"state\"") != NULL;
	return 0;
}

static int count_leases(void)
{
	struct iommud *connection;
	int n = 0, r = iommud_open(NULL, &connection);

	if (r < 0)
		return -1;
	r = iommud_call_more(connection, "io.iommud.ListLeases", NULL, count_lease, &n);
	iommud_close(connection);
	return r == 0 ? n : -1;
}

void state_count(struct state *state)
{
	state->n_open = count_transactions();
	state->n_leases = count_leases();
}

void state_remember(char *const *addresses, struct state *state)
{
	list_devices(addresses, state->devices);
	list_names(addresses, state->names);
}

int state_settle(const struct state *before)
{
	struct state now;

	while (state_count(&now), now.n_open != before->n_open || now.n_leases != before->n_leases)
		if (!events_wait(-1))
			return say_error("it does not end: %d open transactions, %d leases", now.n_open, now.n_leases);
	return 0;
}

int state_compare(char *const *addresses, const struct state *before)
{
	struct state now;

	state_remember(addresses, &now);
	if (strcmp(now.devices, before->devices) != 0)
		return say_error("before:\n%safter:\n%s", before->devices, now.devices);
	/* Disks come, and interfaces are renamed, when the driver is there already. */
	while (list_names(addresses, now.names), strcmp(now.names, before->names) != 0)
		if (!events_wait(-1))
			return say_error("before:\n%safter:\n%s", before->names, now.names);
	return 0;
}

/* ---- events ---- */

enum { SOURCE_JOURNAL, SOURCE_KERNEL, SOURCE_BROKER, SOURCE_OTHER, N_SOURCES };

static struct pollfd sources[N_SOURCES];
static uid_t last_waiting;

static int pass_on(const char *parameters, void *userdata)
{
	const char *uid = strstr(parameters, "\"leaseWaiting\"") ? strstr(parameters, "\"uid\":") : NULL;
	uid_t waiting = uid ? (uid_t)strtoul(uid + strlen("\"uid\":"), NULL, 10) : 0;

	return write(*(int *)userdata, &waiting, sizeof(waiting)) == sizeof(waiting) ? 0 : -EPIPE;
}

/* The broker's events, and that it is there again, which is the first of each subscription. */
static __attribute__((noreturn)) void watch_broker(int pipe)
{
	struct iommud *connection;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		if (iommud_open(NULL, &connection) < 0)
			_exit(1);
		iommud_call_more(connection, "io.iommud.Subscribe", NULL, pass_on, &pipe);
		iommud_close(connection);
	}
}

static int watch_kernel(void)
{
	/* Both of the kernel's own and those that udevd is done with. */
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = 3 };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);

	return fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 ? fd : -1;
}

int events_begin(void)
{
	int journal = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), ends[2];

	sources[SOURCE_JOURNAL] = (struct pollfd){ .fd = journal, .events = POLLIN };
	sources[SOURCE_KERNEL] = (struct pollfd){ .fd = watch_kernel(), .events = POLLIN };
	if (inotify_add_watch(journal, JOURNAL_FOLDER, IN_MODIFY | IN_MOVED_TO | IN_CLOSE_WRITE) < 0 ||
	    sources[SOURCE_KERNEL].fd < 0 || pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return say_error("events: %s", strerror(errno));
	if (fork() == 0)
		watch_broker(ends[1]);
	close(ends[1]);
	sources[SOURCE_BROKER] = (struct pollfd){ .fd = ends[0], .events = POLLIN };
	return 0;
}

/* One look is worth as much for many events as for one; what was lost counts as one. */
static void drain(size_t source)
{
	uid_t buffer[2048];
	ssize_t n;

	do {
		n = read(sources[source].fd, buffer, sizeof(buffer));
		for (ssize_t i = 0; source == SOURCE_BROKER && i < n / (ssize_t)sizeof(*buffer); i++)
			last_waiting = buffer[i] ? buffer[i] : last_waiting;
	} while (n > 0 || (n < 0 && errno == ENOBUFS));
}

bool events_wait(int fd)
{
	sources[SOURCE_OTHER] = (struct pollfd){ .fd = fd, .events = POLLIN };
	if (poll(sources, N_SOURCES, SILENCE_MSEC) <= 0)
		return false;
	for (size_t i = 0; i < SOURCE_OTHER; i++)
		if (sources[i].revents)
			drain(i);
	return true;
}

uid_t events_take_waiting(void)
{
	uid_t waiting = last_waiting;

	last_waiting = 0;
	return waiting;
}
