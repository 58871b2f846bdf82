/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * client-dies: a client is killed, once at every step of its request.
 *
 *   client-dies SCENARIO WHO CALL,CALL... DEVICE... [-- MEMBER...]
 *
 * WHO: broker, openers (threads of it), helper, workers, client. A step is a system call named in the list; in the Nth round
 * bob is killed before the Nth of them begins, counted over all processes of WHO, which then go on, until a round has no Nth.
 * SCENARIO:
 *
 *   take         bob asks for an explanation, for the devices, again with his consent if need be, and gives them back
 *   take-legacy  the same by the backend legacy
 *   deny         he asks for what he may not have
 *   line         alice has the devices; bob waits in line, carol behind him. Alice gives them back: carol gets them in the end
 *
 * After each round all must be as before the first: the devices and MEMBERs in sysfs, the helper's open transactions, the
 * broker's leases, the descriptors of both daemons, which are the same processes still.
 *
 * Says for each round at which step it was, and what bob had been told; at the end "N points". Exit status: 0 all was well.
 */
#include <dirent.h>
#include <libiommud.h>
#include <poll.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "group-state.h"
#include "slow-client.h"
#include "steps.h"
#include "trip.h"

#define ROUNDS_MAX 2000
#define ADDRESSES_MAX 16
#define PATIENCE_SEC 60
#define WAIT_SEC 3600

static const struct scenario {
	const char *name;
	const char *outcome; /* what bob is told last when he lives */
	const char *backend;
	bool explains;
	bool line;
} scenarios[] = {
	{ .name = "take", .outcome = "released", .explains = true },
	{ .name = "take-legacy", .outcome = "released", .explains = true, .backend = "legacy" },
	{ .name = "deny", .outcome = "io.iommud.DeniedByPolicy", .explains = true },
	{ .name = "line", .outcome = "released", .line = true },
};

/* Who must not have died, and holds as many descriptors as before. */
struct daemon {
	const struct daemon_name *name;
	pid_t pid;
	int n_fds;
};

struct plan {
	const struct scenario *scenario;
	struct steps steps;
	char *devices[ADDRESSES_MAX + 1];
	char *all[ADDRESSES_MAX + 1]; /* and other members of their groups */
	struct state before;
	struct daemon daemons[2];
};

/* ---- the daemons ---- */

static int count_fds(pid_t pid)
{
	char path[64];
	int n = 0;
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	folder = opendir(path);
	if (!folder)
		return -1;
	while (readdir(folder))
		n++;
	closedir(folder);
	return n - 2;
}

static int find_daemons(struct plan *plan)
{
	const struct daemon_name *const names[] = { &broker_name, &helper_name };

	for (size_t i = 0; i < 2; i++) {
		plan->daemons[i].name = names[i];
		plan->daemons[i].pid = daemon_find(names[i]);
		if (!plan->daemons[i].pid)
			return say_error("there is no %s", names[i]->process);
	}
	return 0;
}

static int connect_as(const char *name, struct iommud **ret)
{
	const struct passwd *user = getpwnam(name);
	int r;

	if (!user || seteuid(user->pw_uid) < 0)
		return say_error("can't become %s", name);
	r = iommud_open(NULL, ret);
	if (seteuid(0) < 0 || r < 0)
		return say_error("can't connect: %s", strerror(-r));
	return 0;
}

/*
 * How many descriptors both have, with a connection to the broker that is our own. It asks the helper who that is: so what was
 * told to either before, that a connection was closed or that a worker has ended, was taken note of.
 */
static int count_all_fds(const struct plan *plan, int n[2])
{
	static const char *const nothing[] = { "0000:ff:1f.7" };
	struct iommud_request request = { .size = sizeof(request), .devices = nothing, .n_devices = 1 };
	struct iommud *connection;
	struct iommud_lease *lease;
	int r;

	daemon_wait_for_workers(&helper_name);
	r = connect_as("carol", &connection);
	if (r < 0)
		return r;
	r = iommud_acquire(connection, &request, &lease) == IOMMUD_REFUSED ? 0 : say_error("carol was not refused");
	for (size_t i = 0; i < 2; i++)
		n[i] = count_fds(plan->daemons[i].pid);
	iommud_close(connection);
	return r;
}

static int remember_daemons(struct plan *plan)
{
	int n[2], r = count_all_fds(plan, n);

	for (size_t i = 0; r == 0 && i < 2; i++) {
		plan->daemons[i].n_fds = n[i];
		printf("%s has %d descriptors\n", plan->daemons[i].name->process, n[i]);
	}
	return r;
}

/* Nothing tells that a descriptor was closed. */
static int settle_daemons(const struct plan *plan)
{
	time_t end = time(NULL) + PATIENCE_SEC;
	int n[2] = { -1, -1 };

	do
		if (time(NULL) > end || count_all_fds(plan, n) < 0)
			return say_error("iommud has %d descriptors, iommud-helper %d", n[0], n[1]);
	while (n[0] != plan->daemons[0].n_fds || n[1] != plan->daemons[1].n_fds);
	return 0;
}

/* A lease ends after its connection is closed; and only who has seen it closed knows that no lease is to come. */
static int settle(const struct plan *plan)
{
	int r = 0;

	for (int i = 0; r == 0 && i < 2; i++) {
		r = state_settle(&plan->before);
		if (r == 0)
			r = settle_daemons(plan);
	}
	return r < 0 ? r : state_compare(plan->all, &plan->before);
}

/* ---- rounds ---- */

struct players {
	struct slow_client alice, bob, carol; /* alice and carol in a line only */
	char told[SLOW_CLIENT_WORD_MAX]; /* bob, last */
};

static int must_hear(const struct slow_client *client, const char *who, const char *expected)
{
	char word[SLOW_CLIENT_WORD_MAX];

	slow_client_hear(client, word);
	return strcmp(word, expected) == 0 ? 0 : say_error("%s was told '%s', and not '%s'", who, word, expected);
}

/* Bob's words to the end; the last of them is kept. */
static void hear_bob(struct players *players)
{
	char word[SLOW_CLIENT_WORD_MAX];

	do {
		slow_client_hear(&players->bob, word);
		if (word[0])
			snprintf(players->told, sizeof(players->told), "%s", word);
	} while (strcmp(word, "granted") == 0);
}

static bool has_news(const struct slow_client *client)
{
	struct pollfd poller = { .fd = client->fd, .events = POLLIN };

	return poll(&poller, 1, 0) == 1;
}

/* Has it ask, until it is in line, or has something to say, or has ended. */
static int send_in_line(const struct slow_client *client, const char *name)
{
	const struct passwd *user = getpwnam(name);

	slow_client_go(client);
	while (events_take_waiting() != (user ? user->pw_uid : 0) && !has_news(client))
		if (!events_wait(client->fd))
			return say_error("%s does not get in line", name);
	return 0;
}

/* Up to bob's turn, and his end of it. */
static int play_line(struct players *players)
{
	int r = send_in_line(&players->bob, "bob");

	if (r == 0)
		r = send_in_line(&players->carol, "carol");
	if (r == 0 && has_news(&players->carol))
		r = say_error("carol does not wait");
	slow_client_go(&players->alice);
	hear_bob(players);
	return r;
}

static int end_line(const struct players *players)
{
	int r = must_hear(&players->alice, "alice", "released");

	if (r == 0)
		r = must_hear(&players->carol, "carol", "granted");
	return r == 0 ? must_hear(&players->carol, "carol", "released") : r;
}

static int play_alone(const struct plan *plan, struct players *players)
{
	slow_client_go(&players->bob);
	hear_bob(players);
	return state_settle(&plan->before);
}

static int come(struct plan *plan, struct wish wishes[3], struct players *players)
{
	struct slow_client *clients[] = { &players->alice, &players->bob, &players->carol };
	static const char *const users[] = { "alice", "bob", "carol" };

	for (size_t i = 0; i < 3; i++) {
		wishes[i] = (struct wish){ .user = users[i],
					   .devices = plan->devices,
					   .backend = plan->scenario->backend,
					   .explains = plan->scenario->explains,
					   .wait_sec = plan->scenario->line ? WAIT_SEC : 0,
					   .keeps = i == 0 };
		if ((i == 1 || plan->scenario->line) && slow_client_start(&wishes[i], clients[i]) < 0)
			return -1;
	}
	if (!plan->scenario->line)
		return 0;
	slow_client_go(&players->alice);
	return must_hear(&players->alice, "alice", "granted");
}

static void go_away(const struct plan *plan, struct players *players)
{
	slow_client_end(&players->bob);
	if (!plan->scenario->line)
		return;
	slow_client_end(&players->alice);
	slow_client_end(&players->carol);
}

static bool is_fine(const struct plan *plan, const char *told, bool tripped)
{
	/* What he is told before that, or nothing. */
	if (tripped && (!told[0] || (strcmp(told, "granted") == 0 && strcmp(plan->scenario->outcome, "released") == 0)))
		return true;
	return strcmp(told, plan->scenario->outcome) == 0;
}

static struct trip trip_of(const struct plan *plan, const struct players *players, unsigned int nth)
{
	const struct daemon *daemon = &plan->daemons[plan->steps.daemon == &helper_name];
	struct trip trip = { .target = players->bob.pid, .calls = plan->steps.calls, .nth = nth };

	if (plan->steps.daemon) {
		trip.target = daemon->pid;
		trip.workers = plan->steps.workers;
		trip.victim = players->bob.pid;
	}
	return trip;
}

/* 1: he was killed, and all was well afterwards; 0: there is no such step; -1. Round 0 has none. */
static int run_round(struct plan *plan, unsigned int nth)
{
	struct players players = { .told = "" };
	char where[300] = "";
	struct wish wishes[3];
	struct tracer tracer;
	struct trip trip;
	bool tripped = false;
	int r = come(plan, wishes, &players);

	trip = trip_of(plan, &players, nth);
	if (r < 0 || (nth > 0 && trip_arm(&trip, &tracer) < 0))
		return -1;
	r = plan->scenario->line ? play_line(&players) : play_alone(plan, &players);
	if (nth > 0)
		tripped = trip_disarm(&tracer, where, sizeof(where));
	if (r == 0 && plan->scenario->line)
		r = end_line(&players);
	go_away(plan, &players);
	printf("%s: bob was told '%s'\n", tripped ? where : "alive", players.told);
	fflush(stdout);
	if (r == 0)
		r = nth > 0 ? settle(plan) : state_settle(&plan->before);
	if (r == 0 && !is_fine(plan, players.told, tripped))
		r = say_error("that is no answer");
	return r < 0 ? r : tripped;
}

static int run_all(struct plan *plan)
{
	unsigned int nth = 1;
	int r;

	/* Not before the first lease: a device that no driver ever had is in no known power state. */
	state_count(&plan->before);
	r = find_daemons(plan);
	if (r == 0)
		r = run_round(plan, 0);
	if (r == 0)
		r = remember_daemons(plan);
	state_remember(plan->all, &plan->before);
	printf("%s%s%d transactions, %d leases\n", plan->before.devices, plan->before.names, plan->before.n_open,
	       plan->before.n_leases);
	while (r == 0 && nth < ROUNDS_MAX && (r = run_round(plan, nth)) > 0) {
		nth++;
		r = 0;
	}
	printf("%u points\n", nth - 1);
	return r;
}

static const struct scenario *find_scenario(const char *name)
{
	for (size_t i = 0; i < sizeof(scenarios) / sizeof(*scenarios); i++)
		if (strcmp(scenarios[i].name, name) == 0)
			return &scenarios[i];
	return NULL;
}

static void take_addresses(struct plan *plan, char **arguments)
{
	size_t n_devices = 0, n = 0;
	bool beside = false;

	for (; *arguments && n < ADDRESSES_MAX; arguments++) {
		if (strcmp(*arguments, "--") == 0) {
			beside = true;
			continue;
		}
		if (!beside)
			plan->devices[n_devices++] = *arguments;
		plan->all[n++] = *arguments;
	}
}

int main(int argc, char **argv)
{
	static struct plan plan;

	plan.scenario = argc > 4 ? find_scenario(argv[1]) : NULL;
	if (!plan.scenario || steps_parse(argv[2], argv[3], &plan.steps) < 0)
		return 2;
	take_addresses(&plan, argv + 4);
	return events_begin() < 0 || run_all(&plan) < 0;
}
