/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rounds N BACKEND UID:ADDRESS...: a process for each address, which becomes that user and takes the device N times. In each
 * round all devices are out at the same time, and all are back before the next begins: nobody goes on before everybody has
 * his device, and nobody asks again before the daemon has said that his lease has ended. Run as root.
 *
 * Prints "ROUNDS rounds of DEVICES devices: SECONDS s". Exit status: 0, or 1 after a message.
 */
#include <errno.h>
#include <grp.h>
#include <libiommud.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct player {
	const char *address;
	uid_t uid;
	unsigned int rounds;
	const char *backend;
	pthread_barrier_t *together;
};

static _Noreturn void give_up(const struct player *player, struct iommud *connection, const char *what, int result)
{
	fprintf(stderr, "rounds: %s: %s: %s\n", player->address, what,
		result == IOMMUD_REFUSED ? iommud_error_message(connection) : strerror(-result));
	exit(1);
}

static void become(const struct player *player)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || setgroups(0, NULL) < 0 ||
	    setresgid(player->uid, player->uid, player->uid) < 0 ||
	    setresuid(player->uid, player->uid, player->uid) < 0)
		give_up(player, NULL, "become the user", -errno);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* the change of users has cleared it */
}

/* A subscription, by hand: the library's ends with the first event that one does not go on from. */
struct listener {
	FILE *stream;
	char *message;
	size_t size;
};

static const char subscribe[] = "{\"method\":\"io.iommud.Subscribe\",\"parameters\":{},\"more\":true}";

static void listen_for(struct listener *listener, const char *event, uint64_t lease)
{
	char number[48] = "";

	if (lease)
		snprintf(number, sizeof(number), "\"lease\":%llu,", (unsigned long long)lease);
	do {
		if (getdelim(&listener->message, &listener->size, '\0', listener->stream) < 0) {
			fputs("rounds: the daemon ended the subscription\n", stderr);
			exit(1);
		}
	} while (!strstr(listener->message, event) || !strstr(listener->message, number));
}

static void listen_begin(const struct player *player, struct listener *listener)
{
	const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = IOMMUD_DEFAULT_SOCKET };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    write(fd, subscribe, sizeof(subscribe)) != (ssize_t)sizeof(subscribe))
		give_up(player, NULL, "subscribe", -errno);
	listener->stream = fdopen(fd, "r");
	if (!listener->stream)
		give_up(player, NULL, "subscribe", -errno);
	listen_for(listener, "\"subscribed\"", 0);
}

static void play_round(const struct player *player, struct iommud *connection, struct listener *listener)
{
	const struct iommud_request request = {
		.size = sizeof(request), .devices = &player->address, .n_devices = 1, .backend = player->backend
	};
	struct iommud_lease *lease;
	uint64_t id;
	int r = iommud_acquire(connection, &request, &lease);

	if (r != 0)
		give_up(player, connection, "acquire", r);
	if (iommud_lease_device_fd(lease, 0) < 0)
		give_up(player, connection, "acquire", -EBADF);
	pthread_barrier_wait(player->together);
	id = iommud_lease_id(lease);
	iommud_lease_free(lease);
	r = iommud_release(connection, id);
	if (r != 0)
		give_up(player, connection, "release", r);
	listen_for(listener, "\"leaseReleased\"", id);
	pthread_barrier_wait(player->together);
}

static void play(const struct player *player)
{
	struct listener listener = { 0 };
	struct iommud *connection;
	int r;

	become(player);
	listen_begin(player, &listener);
	r = iommud_open(NULL, &connection);
	if (r < 0)
		give_up(player, NULL, "connect", r);
	for (unsigned int i = 0; i < player->rounds; i++)
		play_round(player, connection, &listener);
	iommud_close(connection);
	exit(0);
}

static pthread_barrier_t *new_barrier(unsigned int n)
{
	pthread_barrier_t *barrier =
		mmap(NULL, sizeof(*barrier), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_barrierattr_t attributes;

	if (barrier == MAP_FAILED)
		return NULL;
	pthread_barrierattr_init(&attributes);
	pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	return pthread_barrier_init(barrier, &attributes, n) == 0 ? barrier : NULL;
}

static bool parse_player(char *text, struct player *player)
{
	char *colon = strchr(text, ':'), *end;

	if (!colon)
		return false;
	player->uid = strtoul(text, &end, 10);
	player->address = colon + 1;
	return end == colon;
}

/* The first that fails leaves the others waiting for him: they die with us. */
static int wait_for_all(unsigned int n)
{
	int status;

	for (unsigned int i = 0; i < n; i++)
		if (wait(&status) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
			return 1;
	return 0;
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	unsigned int n = argc > 3 ? argc - 3 : 0;
	struct player player = { .rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 0,
				 .backend = argc > 2 ? argv[2] : NULL,
				 .together = n ? new_barrier(n) : NULL };
	double begin = seconds();

	if (!player.together || player.rounds == 0) {
		fputs("rounds N BACKEND UID:ADDRESS...\n", stderr);
		return 2;
	}
	for (int i = 3; i < argc; i++) {
		pid_t pid;

		if (!parse_player(argv[i], &player)) {
			fprintf(stderr, "rounds: %s is not UID:ADDRESS\n", argv[i]);
			return 2;
		}
		pid = fork();
		if (pid == 0)
			play(&player);
		if (pid < 0) {
			perror("rounds: fork");
			return 1;
		}
	}
	if (wait_for_all(n) != 0)
		return 1;
	printf("%u rounds of %u devices: %.1f s\n", player.rounds, n, seconds() - begin);
	return 0;
}
