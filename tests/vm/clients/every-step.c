/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * every-step: a group is leased and given back while something goes wrong, once at every step.
 *
 *   every-step WHO HOW CALL,CALL... SPARE ADDRESS...
 *
 * WHO: workers and helper (of iommud-helper), broker. HOW: fail (EIO, or ENOMEM where that is what happens), kill. A step is a
 * system call named in the list; in the Nth round the Nth of them goes wrong, counted over all processes of WHO, until a round
 * has no Nth. In each round bob asks for all the devices and gives them back if he gets them. Then, when neither the
 * broker has a lease nor the helper's journal an open transaction, all must be as before the first round. SPARE is a device
 * alone in its group: what makes a helper that was killed come back.
 *
 * Says for each round over what it was, and what the client was told; at the end "N points". Exit status: 0 all was well.
 */
#include <errno.h>
#include <grp.h>
#include <libiommud.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"
#include "group-state.h"
#include "trip.h"

#define ROUNDS_MAX 2000
#define CALLS_MAX 16

struct plan {
	const char *unit; /* its cgroup, and the name of its main process */
	const char *process;
	bool workers;
	bool kills;
	int calls[CALLS_MAX + 1];
	char *spare[2];
	char *const *addresses; /* NULL-terminated */
	char devices[STATE_TEXT_MAX], names[STATE_TEXT_MAX]; /* before */
};

static const struct call {
	const char *name;
	int number;
} calls[] = {
	{ "write", SYS_write },
	{ "openat", SYS_openat },
	{ "read", SYS_read },
	{ "pread", SYS_pread64 },
	{ "readlinkat", SYS_readlinkat },
	{ "fstatat", SYS_newfstatat },
	{ "access", SYS_faccessat },
	{ "access2", SYS_faccessat2 },
	{ "getdents", SYS_getdents64 },
	{ "flock", SYS_flock },
	{ "send", SYS_sendto },
	{ "sendmsg", SYS_sendmsg },
	{ "recvmsg", SYS_recvmsg },
	{ "recv", SYS_recvfrom },
	{ "clone", SYS_clone },
	{ "fork", SYS_fork },
	{ "pair", SYS_socketpair },
	{ "pidfd", SYS_pidfd_open },
	{ "truncate", SYS_ftruncate },
	{ "rename", SYS_renameat },
	{ "unlink", SYS_unlinkat },
	{ "exit", SYS_exit_group },
	{ "connect", SYS_connect },
	{ "ioctl", SYS_ioctl },
	{ "close", SYS_close },
	{ "mmap", SYS_mmap },
	{ "brk", SYS_brk },
};

/* ---- the client ---- */

static void become(const char *user)
{
	const struct passwd *passwd = getpwnam(user);

	if (!passwd || setgroups(0, NULL) < 0 || setresgid(passwd->pw_gid, passwd->pw_gid, passwd->pw_gid) < 0 ||
	    setresuid(passwd->pw_uid, passwd->pw_uid, passwd->pw_uid) < 0)
		_exit(say_error("can't become %s", user) != 0);
}

static void say_outcome(int pipe, struct iommud *connection, int result)
{
	if (result == IOMMUD_REFUSED)
		dprintf(pipe, "%s", iommud_error_name(connection));
	else
		dprintf(pipe, "%s", result == 0 ? "granted" : strerrorname_np(-result));
}

/* Asks for the devices, and gives them back. */
static __attribute__((noreturn)) void client_main(char *const *addresses, int pipe)
{
	struct iommud_request request = { .size = sizeof(request), .devices = (const char *const *)addresses };
	struct iommud *connection;
	struct iommud_lease *lease;
	uint64_t id;
	int r;

	while (addresses[request.n_devices])
		request.n_devices++;
	become("bob");
	r = iommud_open(NULL, &connection);
	if (r == 0)
		r = iommud_acquire(connection, &request, &lease);
	say_outcome(pipe, connection, r);
	if (r == 0) {
		id = iommud_lease_id(lease);
		iommud_lease_free(lease);
		iommud_release(connection, id);
	}
	_exit(0);
}

/* What the client was told: "granted", an error of io.iommud, or an errno's name. */
static void run_client(char *const *addresses, char outcome[64])
{
	int ends[2];
	ssize_t n;
	pid_t pid;

	outcome[0] = '\0';
	if (pipe(ends) < 0)
		return;
	pid = fork();
	if (pid == 0)
		client_main(addresses, ends[1]);
	close(ends[1]);
	n = read(ends[0], outcome, 63);
	outcome[n > 0 ? n : 0] = '\0';
	close(ends[0]);
	waitpid(pid, NULL, 0);
}

/* ---- before and after ---- */

/* Until nothing is under way any more. */
static int settle(void)
{
	while (journal_n_open() != 0 || !broker_is_idle())
		if (!events_wait())
			return say_error("it does not end: %d open transactions, the broker has %s", journal_n_open(),
					 broker_is_idle() ? "no lease" : "leases");
	return 0;
}

static int compare(const struct plan *plan)
{
	char devices[STATE_TEXT_MAX], names[STATE_TEXT_MAX];

	state_of_devices(plan->addresses, devices);
	if (strcmp(devices, plan->devices) != 0)
		return say_error("before:\n%safter:\n%s", plan->devices, devices);
	/* Disks come, and interfaces are renamed, when the driver is there already. */
	while (state_of_names(plan->addresses, names), strcmp(names, plan->names) != 0)
		if (!events_wait())
			return say_error("before:\n%safter:\n%s", plan->names, names);
	return 0;
}

/* ---- rounds ---- */

static pid_t find_process(const struct plan *plan)
{
	char path[128], name[32];
	pid_t found = 0;
	FILE *list, *file;
	int pid;

	snprintf(path, sizeof(path), "/sys/fs/cgroup/system.slice/%s/cgroup.procs", plan->unit);
	list = fopen(path, "re");
	while (list && !found && fscanf(list, "%d", &pid) == 1) {
		snprintf(path, sizeof(path), "/proc/%d/comm", pid);
		file = fopen(path, "re");
		if (file && fscanf(file, "%31s", name) == 1 && strcmp(name, plan->process) == 0)
			found = pid;
		if (file)
			fclose(file);
	}
	if (list)
		fclose(list);
	return found;
}

/* It was killed: to ask for something is what starts it, if nothing else has. */
static pid_t main_process(const struct plan *plan)
{
	char outcome[64];
	pid_t pid = find_process(plan);

	if (pid)
		return pid;
	run_client(plan->spare, outcome);
	if (settle() < 0)
		return 0;
	pid = find_process(plan);
	if (!pid)
		say_error("there is no %s (bob got: %s)", plan->process, outcome);
	return pid;
}

static bool is_fine(const struct plan *plan, const char *outcome)
{
	if (strcmp(outcome, "granted") == 0 || strncmp(outcome, "io.iommud.", 10) == 0)
		return true;
	/* Who loses the broker is told by the connection. */
	return strcmp(plan->unit, "iommud.service") == 0 && strcmp(outcome, "ECONNRESET") == 0;
}

/* 1: something went wrong, and all was well afterwards; 0: there is no such step; -1 */
static int run_round(const struct plan *plan, unsigned int nth)
{
	const struct trip trip = { .target = main_process(plan),
				   .workers = plan->workers,
				   .calls = plan->calls,
				   .error = plan->kills ? 0 : EIO,
				   .nth = nth };
	char outcome[64], where[300];
	struct tracer tracer;
	bool tripped;
	int r;

	if (!trip.target || trip_arm(&trip, &tracer) < 0)
		return -1;
	run_client(plan->addresses, outcome);
	r = settle();
	tripped = trip_disarm(&tracer, where, sizeof(where));
	printf("%s: bob got %s\n", tripped ? where : "nothing", outcome);
	fflush(stdout);
	if (r == 0)
		r = compare(plan);
	if (r == 0 && !(tripped ? is_fine(plan, outcome) : strcmp(outcome, "granted") == 0))
		r = say_error("that is no answer");
	return r < 0 ? r : tripped;
}

static int run_all(struct plan *plan)
{
	unsigned int nth = 1;
	char outcome[64];
	int r;

	/* Not before the first lease: a device that no driver ever had is in no known power state. */
	run_client(plan->addresses, outcome);
	if (strcmp(outcome, "granted") != 0)
		return say_error("bob got %s, and nothing went wrong yet", outcome);
	r = settle();
	state_of_devices(plan->addresses, plan->devices);
	state_of_names(plan->addresses, plan->names);
	printf("%s%s", plan->devices, plan->names);
	while (r == 0 && nth < ROUNDS_MAX && (r = run_round(plan, nth)) > 0) {
		nth++;
		r = 0;
	}
	printf("%u points\n", nth - 1);
	return r;
}

static int parse_calls(char *text, int numbers[CALLS_MAX + 1])
{
	size_t n = 0;

	for (char *name = strtok(text, ","); name; name = strtok(NULL, ",")) {
		size_t i = 0;

		while (i < sizeof(calls) / sizeof(*calls) && strcmp(calls[i].name, name) != 0)
			i++;
		if (i == sizeof(calls) / sizeof(*calls) || n == CALLS_MAX)
			return say_error("no call %s", name);
		numbers[n++] = calls[i].number;
	}
	numbers[n] = -1;
	return 0;
}

int main(int argc, char **argv)
{
	struct plan plan = { .unit = "iommud-helper.service", .process = "iommud-helper" };

	if (argc < 6 || parse_calls(argv[3], plan.calls) < 0)
		return 2;
	plan.workers = strcmp(argv[1], "workers") == 0;
	plan.kills = strcmp(argv[2], "kill") == 0;
	plan.spare[0] = argv[4];
	plan.addresses = argv + 5;
	if (strcmp(argv[1], "broker") == 0) {
		plan.unit = "iommud.service";
		plan.process = "iommud";
	}
	return events_begin() < 0 || run_all(&plan) < 0;
}
