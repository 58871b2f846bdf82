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
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"
#include "group-state.h"
#include "steps.h"
#include "trip.h"

#define ROUNDS_MAX 2000

struct plan {
	struct steps steps;
	bool kills;
	char *spare[2];
	char *const *addresses; /* NULL-terminated */
	struct state before;
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

/* ---- rounds ---- */

/* It was killed: to ask for something is what starts it, if nothing else has. */
static pid_t main_process(const struct plan *plan)
{
	char outcome[64];
	pid_t pid = daemon_find(plan->steps.daemon);

	if (pid)
		return pid;
	run_client(plan->spare, outcome);
	if (state_settle(&plan->before) < 0)
		return 0;
	pid = daemon_find(plan->steps.daemon);
	if (!pid)
		say_error("there is no %s (bob got: %s)", plan->steps.daemon->process, outcome);
	return pid;
}

static bool is_fine(const struct plan *plan, const char *outcome)
{
	if (strcmp(outcome, "granted") == 0 || strncmp(outcome, "io.iommud.", 10) == 0)
		return true;
	/* Who loses the broker is told by the connection. */
	return plan->steps.daemon == &broker_name && strcmp(outcome, "ECONNRESET") == 0;
}

/* 1: something went wrong, and all was well afterwards; 0: there is no such step; -1 */
static int run_round(const struct plan *plan, unsigned int nth)
{
	const struct trip trip = { .target = main_process(plan),
				   .workers = plan->steps.workers,
				   .calls = plan->steps.calls,
				   .error = plan->kills ? 0 : EIO,
				   .nth = nth };
	char outcome[64], where[300];
	struct tracer tracer;
	bool tripped;
	int r;

	if (!trip.target || trip_arm(&trip, &tracer) < 0)
		return -1;
	run_client(plan->addresses, outcome);
	r = state_settle(&plan->before);
	tripped = trip_disarm(&tracer, where, sizeof(where));
	printf("%s: bob got %s\n", tripped ? where : "nothing", outcome);
	fflush(stdout);
	if (r == 0)
		r = state_compare(plan->addresses, &plan->before);
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
	r = state_settle(&plan->before);
	state_remember(plan->addresses, &plan->before);
	printf("%s%s", plan->before.devices, plan->before.names);
	while (r == 0 && nth < ROUNDS_MAX && (r = run_round(plan, nth)) > 0) {
		nth++;
		r = 0;
	}
	printf("%u points\n", nth - 1);
	return r;
}

int main(int argc, char **argv)
{
	struct plan plan = { .before = { .n_open = 0, .n_leases = 0 } };

	if (argc < 6 || steps_parse(argv[1], argv[3], &plan.steps) < 0 || !plan.steps.daemon)
		return 2;
	plan.kills = strcmp(argv[2], "kill") == 0;
	plan.spare[0] = argv[4];
	plan.addresses = argv + 5;
	return events_begin() < 0 || run_all(&plan) < 0;
}
