/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * race N UID ADDRESS TOKEN MEMBER DRIVER: two processes race for one group, until N leases were granted.
 *
 * The tenant becomes the user, and takes the device ADDRESS again and again: it binds it to the iommufd that it got, maps a
 * page for it, and gives it back. The intruder, root, writes MEMBER to DRIVER's file bind, as fast as it can,
 * and takes it off again when it was bound. It begins at a random moment around the grant, goes on through the lease and its
 * end until it has won, and waits for the next request then: else there would be no lease. Nobody sleeps.
 *
 * Each notes when, by CLOCK_MONOTONIC. The intruder wins a lease when MEMBER was on DRIVER between the answer to Acquire
 * and the call of Release. Run as root. Prints the counts. Exit status: 0, 1 after a message, 3: the intruder has won a
 * lease, or a granted device could not be used.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libiommud.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client.h"

#define LEASES_MAX 5000
#define WINS_MAX 100000
#define KINDS_MAX 32 /* of enum iommud_error */
#define PAGE_IOVA 0x100000
#define WAIT_SEC 60 /* for the former lease to be over */

struct span {
	uint64_t begin, end; /* nanoseconds */
};

/* What both see. */
struct arena {
	atomic_uint attempt; /* that the tenant has begun */
	_Atomic uint64_t start; /* when the intruder is to begin in it */
	atomic_bool away; /* the intruder has nothing bound, and waits for the next attempt */
	atomic_bool over;
	/* the intruder's */
	uint64_t n_tries;
	unsigned int n_wins;
	struct span wins[WINS_MAX]; /* from "it is bound" to "unbind it" */
	/* the tenant's */
	unsigned int n_leases, n_unusable, n_seen;
	unsigned int refused[KINDS_MAX];
	char names[KINDS_MAX][64];
	struct span leases[LEASES_MAX];
};

struct players {
	unsigned int n_leases;
	uid_t uid;
	const char *address, *token, *member, *driver;
	struct arena *arena;
};

static _Noreturn void give_up(const char *what, const char *why)
{
	fprintf(stderr, "race: %s: %s\n", what, why);
	exit(1);
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ull + time.tv_nsec;
}

/* ---- the intruder ---- */

static int open_driver_file(const struct players *players, const char *name)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s/%s", players->driver, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		give_up(path, strerror(errno));
	return fd;
}

static bool write_member(const struct players *players, int fd)
{
	return pwrite(fd, players->member, strlen(players->member), 0) > 0;
}

static void try_until_it_is_bound(const struct players *players, int bind, int unbind)
{
	struct arena *arena = players->arena;
	struct span *win = &arena->wins[arena->n_wins];

	do {
		if (atomic_load(&arena->over))
			return;
		arena->n_tries++;
		errno = 0;
	} while (!write_member(players, bind) && errno == EBUSY);
	if (errno)
		give_up("bind", strerror(errno));
	win->begin = now();
	if (++arena->n_wins == WINS_MAX)
		give_up("bind", "more often than there is room for");
	win->end = now();
	if (!write_member(players, unbind))
		give_up("unbind", strerror(errno));
}

static void intrude(const struct players *players)
{
	struct arena *arena = players->arena;
	int bind = open_driver_file(players, "bind"), unbind = open_driver_file(players, "unbind");
	unsigned int attempt = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!atomic_load(&arena->over)) {
		atomic_store(&arena->away, true);
		while (atomic_load(&arena->attempt) == attempt && !atomic_load(&arena->over))
			sched_yield();
		attempt = atomic_load(&arena->attempt);
		while (now() < atomic_load(&arena->start))
			sched_yield();
		try_until_it_is_bound(players, bind, unbind);
	}
	exit(0);
}

/* ---- the tenant ---- */

static char page[4096] __attribute__((aligned(4096)));

static void become(uid_t uid)
{
	if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
		give_up("become the user", strerror(errno));
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* the change of users clears it */
}

static bool is_intruder_there(const struct players *players)
{
	char path[256];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", players->member);
	return access(path, F_OK) == 0;
}

/* Half of them before the grant, as long as all take about the same time. */
static void call_intruder(struct arena *arena, uint64_t usual)
{
	while (!atomic_load(&arena->away))
		sched_yield();
	atomic_store(&arena->start, now() + usual / 2 + (uint64_t)(drand48() * usual));
	atomic_store(&arena->away, false);
	atomic_fetch_add(&arena->attempt, 1);
}

/* That the driver is there already, or came while the lease was prepared. */
static void note_refusal(struct iommud *connection, struct arena *arena, int result)
{
	enum iommud_error kind = iommud_error(connection);

	if (result != IOMMUD_REFUSED)
		give_up("acquire", strerror(-result));
	if (kind != IOMMUD_ERROR_NOT_VIABLE && kind != IOMMUD_ERROR_PREPARE_FAILED)
		give_up(iommud_error_name(connection), iommud_error_message(connection));
	if (arena->refused[kind]++ == 0) {
		snprintf(arena->names[kind], sizeof(arena->names[kind]), "%s", iommud_error_name(connection));
		fprintf(stderr, "race: %s: %s\n", iommud_error_name(connection), iommud_error_message(connection));
	}
}

/* No register is mapped, which would keep the device out after its descriptor was closed. */
static bool can_use(struct iommud_lease *lease)
{
	struct session session = { .device = iommud_lease_device_fd(lease, 0),
				   .iommu = iommud_lease_iommu_fd(lease),
				   .container = -1,
				   .group = -1 };

	return session_setup(&session) == 0 && session_map(&session, page, sizeof(page), PAGE_IOVA) == 0;
}

static void live(const struct players *players, struct iommud *connection, struct iommud_lease *lease,
		 struct span *span)
{
	struct arena *arena = players->arena;
	uint64_t id = iommud_lease_id(lease);
	bool seen = is_intruder_there(players);
	int r;

	arena->n_unusable += !can_use(lease);
	iommud_lease_free(lease);
	arena->n_seen += seen || is_intruder_there(players);
	span->end = now();
	r = iommud_release(connection, id);
	if (r != 0)
		give_up("release", r < 0 ? strerror(-r) : iommud_error_message(connection));
}

static void rent(const struct players *players)
{
	const struct iommud_request request = { .size = sizeof(request),
						.devices = &players->address,
						.n_devices = 1,
						.backend = "iommufd",
						.wait_sec = WAIT_SEC,
						.consent = players->token };
	struct arena *arena = players->arena;
	uint64_t usual = 100000000; /* of an acquire, nanoseconds; learned */
	struct iommud *connection;

	become(players->uid);
	if (iommud_open(NULL, &connection) < 0)
		give_up("iommud", "no connection");
	while (arena->n_leases < players->n_leases) {
		struct span *span = &arena->leases[arena->n_leases];
		struct iommud_lease *lease;
		uint64_t begin;
		int r;

		call_intruder(arena, usual);
		begin = now();
		r = iommud_acquire(connection, &request, &lease);
		if (r != 0) {
			note_refusal(connection, arena, r);
			/* The machine has become slower: the intruder would be first each time. */
			usual += usual / 2;
			continue;
		}
		span->begin = now();
		usual = (3 * usual + span->begin - begin) / 4;
		live(players, connection, lease, span);
		arena->n_leases++;
	}
	iommud_close(connection);
	exit(0);
}

/* ---- both ---- */

static unsigned int count_lost(const struct arena *arena)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < arena->n_leases; i++)
		for (unsigned int k = 0; k < arena->n_wins; k++)
			if (arena->wins[k].begin < arena->leases[i].end &&
			    arena->wins[k].end > arena->leases[i].begin) {
				n++;
				break;
			}
	return n;
}

static int report(const struct players *players)
{
	const struct arena *arena = players->arena;
	unsigned int lost = count_lost(arena);

	printf("%u leases; %s: %llu tries, bound %u times, in %u leases; seen in %u leases; %u of no use",
	       arena->n_leases, players->driver, (unsigned long long)arena->n_tries, arena->n_wins, lost, arena->n_seen,
	       arena->n_unusable);
	for (size_t i = 0; i < KINDS_MAX; i++)
		if (arena->refused[i])
			printf("; %u requests refused by %s", arena->refused[i], arena->names[i]);
	putchar('\n');
	return lost + arena->n_seen + arena->n_unusable ? 3 : 0;
}

static pid_t start(void (*play)(const struct players *), const struct players *players)
{
	pid_t pid = fork();

	if (pid < 0)
		give_up("fork", strerror(errno));
	if (pid == 0)
		play(players);
	return pid;
}

static bool has_succeeded(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int main(int argc, char **argv)
{
	struct players players;
	pid_t intruder, tenant, first;
	siginfo_t end;

	if (argc != 7 || strtoul(argv[1], NULL, 10) > LEASES_MAX) {
		fputs("race N UID ADDRESS TOKEN MEMBER DRIVER\n", stderr);
		return 2;
	}
	players = (struct players){ .n_leases = strtoul(argv[1], NULL, 10),
				    .uid = strtoul(argv[2], NULL, 10),
				    .address = argv[3],
				    .token = argv[4],
				    .member = argv[5],
				    .driver = argv[6] };
	players.arena = mmap(NULL, sizeof(*players.arena), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (players.arena == MAP_FAILED)
		give_up("mmap", strerror(errno));
	intruder = start(intrude, &players);
	tenant = start(rent, &players);
	if (waitid(P_ALL, 0, &end, WEXITED | WNOWAIT) < 0)
		give_up("wait", strerror(errno));
	first = end.si_pid;
	atomic_store(&players.arena->over, true);
	if (first == intruder) /* it can't go on alone */
		kill(tenant, SIGKILL);
	if (!has_succeeded(tenant) || !has_succeeded(intruder))
		return 1;
	return report(&players);
}
