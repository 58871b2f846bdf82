/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * churn CLIENTS ADDRESS...: processes that take and give back devices until they are told to end (SIGTERM, or the end of stdin),
 * while somebody kills the daemons. Each has a user of its own (2000 and up) and a connection that it keeps as long as it lives; it
 * takes one device after the other, waits in line for it, and gives it back, sometimes by Release, sometimes by closing the connection.
 * A connection that ends is made again, and an answer that says so is asked for again.
 *
 * No two have a device at the same time, whoever was killed in between: who gets one takes its place in shared memory, and
 * complains if somebody sits there who did not say that he gives it up. Run as root. Prints "granted" for each lease, and the
 * counts in the end; exit status 0, or 1 after a complaint.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libiommud.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEVICES_MAX 64
#define FIRST_UID 2000
#define WAIT_SEC 600

struct arena {
	atomic_bool over;
	atomic_int owner[DEVICES_MAX]; /* the client's number, from 1; 0: nobody */
	atomic_uint n_granted, n_refused, n_interrupted, n_lost, n_wrong;
};

static struct arena *arena;
static char **addresses;
static int n_addresses;

static void become(uid_t uid)
{
	if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
		exit(1);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* the change of users clears it */
}

/* The daemon may be on its way up: systemd has the socket, so it answers. */
static struct iommud *connect_again(struct iommud *former)
{
	struct iommud *connection;

	if (former)
		iommud_close(former);
	if (iommud_open(NULL, &connection) < 0) {
		fputs("churn: no connection\n", stderr);
		exit(1);
	}
	return connection;
}

/* Before the daemon can give it to somebody else. */
static void leave(int me, int device)
{
	int expected = me;

	if (!atomic_compare_exchange_strong(&arena->owner[device], &expected, 0)) {
		fprintf(stderr, "churn: %s was mine, client %d's, and is %d's\n", addresses[device], me, expected);
		atomic_fetch_add(&arena->n_wrong, 1);
	}
}

static void enter(int me, int device)
{
	int expected = 0;

	atomic_fetch_add(&arena->n_granted, 1);
	dprintf(STDOUT_FILENO, "granted\n");
	if (!atomic_compare_exchange_strong(&arena->owner[device], &expected, me)) {
		fprintf(stderr, "churn: %s was granted to client %d, and is %d's\n", addresses[device], me, expected);
		atomic_fetch_add(&arena->n_wrong, 1);
		atomic_store(&arena->owner[device], me);
	}
}

/* Whether the connection is there still: then the lease is, too. */
static bool is_served(struct iommud *connection)
{
	const char *reply;
	int r = iommud_call(connection, "io.iommud.GetStatus", "{}", &reply);

	return r == 0 || (r == IOMMUD_REFUSED && iommud_error(connection) == IOMMUD_ERROR_INTERRUPTED);
}

/* A connection that is gone has taken the lease with it, and descriptors that we have are of no lease any more. */
static struct iommud *hold(int me, int device, struct iommud *connection, struct iommud_lease *lease)
{
	uint64_t id = iommud_lease_id(lease);
	int r;

	enter(me, device);
	if (!is_served(connection)) {
		atomic_fetch_add(&arena->n_lost, 1);
		leave(me, device);
		iommud_lease_free(lease);
		return connect_again(connection);
	}
	leave(me, device);
	iommud_lease_free(lease);
	if (drand48() < 0.2)
		return connect_again(connection);
	r = iommud_release(connection, id);
	if (r == IOMMUD_REFUSED && iommud_error(connection) == IOMMUD_ERROR_INTERRUPTED) {
		atomic_fetch_add(&arena->n_interrupted, 1);
		return connect_again(connection); /* which ends it, if that did not */
	}
	if (r == 0)
		return connection;
	atomic_fetch_add(&arena->n_lost, 1);
	return connect_again(connection);
}

static struct iommud *take(int me, int device, struct iommud *connection)
{
	const char *address = addresses[device];
	const struct iommud_request request = {
		.size = sizeof(request), .devices = &address, .n_devices = 1, .backend = "iommufd", .wait_sec = WAIT_SEC
	};
	struct iommud_lease *lease;
	int r = iommud_acquire(connection, &request, &lease);

	if (r == 0)
		return hold(me, device, connection, lease);
	if (r != IOMMUD_REFUSED) {
		atomic_fetch_add(&arena->n_lost, 1);
		return connect_again(connection);
	}
	if (iommud_error(connection) == IOMMUD_ERROR_INTERRUPTED)
		atomic_fetch_add(&arena->n_interrupted, 1);
	else
		atomic_fetch_add(&arena->n_refused, 1);
	return connection;
}

static void play(int me)
{
	struct iommud *connection;

	srand48(me);
	become(FIRST_UID + me);
	connection = connect_again(NULL);
	while (!atomic_load(&arena->over))
		connection = take(me, (int)(drand48() * n_addresses), connection);
	iommud_close(connection);
	exit(0);
}

static void end(int number)
{
	(void)number;
	atomic_store(&arena->over, true);
}

static int report(void)
{
	unsigned int wrong = atomic_load(&arena->n_wrong);

	printf("%u leases, %u refused, %u calls interrupted, %u connections lost, %u times two had one device\n",
	       atomic_load(&arena->n_granted), atomic_load(&arena->n_refused), atomic_load(&arena->n_interrupted),
	       atomic_load(&arena->n_lost), wrong);
	return wrong || atomic_load(&arena->n_granted) == 0;
}

int main(int argc, char **argv)
{
	int n = argc > 2 ? atoi(argv[1]) : 0, status, failed = 0;

	addresses = argv + 2;
	n_addresses = argc - 2;
	if (n <= 0 || n_addresses > DEVICES_MAX) {
		fputs("churn CLIENTS ADDRESS...\n", stderr);
		return 2;
	}
	arena = mmap(NULL, sizeof(*arena), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (arena == MAP_FAILED)
		return 1;
	for (int i = 1; i <= n; i++) {
		pid_t pid = fork();

		if (pid == 0)
			play(i);
		if (pid < 0)
			return 1;
	}
	signal(SIGTERM, end);
	puts("churning");
	fflush(stdout);
	/* Waiting clients end when those before them do. */
	while (poll(&(struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN }, 1, -1) < 0 && !atomic_load(&arena->over))
		;
	end(0);
	for (int i = 0; i < n; i++)
		failed |= wait(&status) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0;
	return report() || failed;
}
