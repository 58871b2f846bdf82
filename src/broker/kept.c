/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A connection is kept from its first lease to its end, so that leases that come and go cost no message to the manager. */
#include "broker/kept.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/internal.h"
#include "broker/keeper.h"
#include "util/cleanup.h"

#define MARKS_FILE "marks"
#define MARKS_MAX 4096

struct kept {
	struct kept_mark *marks; /* the file, MARKS_MAX of them */
	struct kept_mark *former; /* a copy of what was in it */
};

struct kept *kept_free(struct kept *kept)
{
	if (!kept)
		return NULL;
	if (kept->marks)
		munmap(kept->marks, MARKS_MAX * sizeof(*kept->marks));
	free(kept->former);
	free(kept);
	return NULL;
}

DEFINE_CLEANUP(kept, struct kept *, kept_free)

/* All of it has its memory from the beginning: later there would be nobody to tell that /run is full. */
static int map_marks(int dir_fd, struct kept *kept)
{
	_cleanup_fd_ int fd = openat(dir_fd, MARKS_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	size_t size = MARKS_MAX * sizeof(*kept->marks);
	void *map;
	int r;

	if (fd < 0)
		return -errno;
	r = posix_fallocate(fd, 0, size);
	if (r > 0)
		return -r;
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	kept->marks = map;
	return 0;
}

int kept_open(int dir_fd, struct kept **ret)
{
	_cleanup_(cleanup_kept) struct kept *kept = calloc(1, sizeof(*kept));
	size_t size = MARKS_MAX * sizeof(*kept->marks);
	int r;

	if (!kept)
		return -ENOMEM;
	r = map_marks(dir_fd, kept);
	if (r < 0)
		return r;
	kept->former = malloc(size);
	if (!kept->former)
		return -ENOMEM;
	memcpy(kept->former, kept->marks, size);
	memset(kept->marks, 0, size);
	*ret = TAKE_PTR(kept);
	return 0;
}

const struct kept_mark *kept_find_former(const struct kept *kept, uint64_t connection)
{
	for (size_t i = 0; connection && i < MARKS_MAX; i++)
		if (kept->former[i].connection == connection)
			return &kept->former[i];
	return NULL;
}

uint64_t kept_cookie(int fd)
{
	uint64_t cookie = 0;
	socklen_t size = sizeof(cookie);

	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0 ? cookie : 0;
}

/* ---- connections ---- */

static void name_connection(const struct peer *peer, char ret[KEPT_NAME_MAX])
{
	snprintf(ret, KEPT_NAME_MAX, KEPT_CONNECTION "%llu", (unsigned long long)peer->cookie);
}

int kept_take_peer(struct peer *peer)
{
	struct kept *kept = peer->broker->kept;
	uint64_t cookie = kept_cookie(peer->socket_fd);

	if (!cookie)
		return -ENOTSOCK;
	for (size_t i = 0; i < MARKS_MAX; i++)
		if (kept->marks[i].connection == 0) {
			peer->mark = &kept->marks[i];
			peer->cookie = cookie;
			peer->mark->connection = peer->cookie;
			return 0;
		}
	return -ENOSPC;
}

static void forget_mark(struct peer *peer)
{
	memset(peer->mark, 0, sizeof(*peer->mark));
	peer->mark = NULL;
	peer->cookie = 0;
}

static int keep_peer(struct peer *peer)
{
	const struct keeper *keeper = peer->broker->keeper;
	char name[KEPT_NAME_MAX];
	int r;

	if (peer->mark)
		return 0;
	r = kept_take_peer(peer);
	if (r < 0)
		return r;
	name_connection(peer, name);
	r = keeper->keep(keeper->userdata, name, peer->socket_fd);
	if (r < 0)
		forget_mark(peer);
	return r;
}

void kept_forget_peer(struct peer *peer)
{
	const struct keeper *keeper = peer->broker->keeper;
	char name[KEPT_NAME_MAX];

	if (!peer->mark)
		return;
	name_connection(peer, name);
	keeper->drop(keeper->userdata, name);
	forget_mark(peer);
}

uint32_t *peer_get_mark(struct peer *peer)
{
	return peer->mark ? &peer->mark->mark : NULL;
}

void peer_granted(struct peer *peer)
{
	if (peer->mark)
		__atomic_store_n(&peer->mark->granted, 1, __ATOMIC_RELEASE);
}

/* From here on the ledger may have it, and the client nothing of it. */
static void begin_grant(struct lease *lease)
{
	struct kept_mark *mark = lease->peer->mark;

	if (!mark)
		return;
	__atomic_store_n(&mark->granted, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&mark->granting, lease->id, __ATOMIC_RELEASE);
}

void peer_set_subscribed(struct peer *peer, bool subscribed, uint64_t lease)
{
	if (peer->mark)
		peer->mark->subscribed = subscribed ? lease + 1 : 0;
}

/* ---- claims ---- */

static void name_claim(const struct lease_device *device, char ret[KEPT_NAME_MAX])
{
	snprintf(ret, KEPT_NAME_MAX, KEPT_CLAIM "%llu-%u", (unsigned long long)device->lease->id, device->group);
}

static int keep_claim(struct lease_device *device)
{
	const struct keeper *keeper = device->lease->broker->keeper;
	char name[KEPT_NAME_MAX];
	int r;

	if (device->claim < 0)
		return 0;
	name_claim(device, name);
	r = keeper->keep(keeper->userdata, name, device->claim);
	device->claim_kept = r == 0;
	return r;
}

static void drop_claim(struct lease_device *device)
{
	const struct keeper *keeper = device->lease->broker->keeper;
	char name[KEPT_NAME_MAX];

	name_claim(device, name);
	keeper->drop(keeper->userdata, name);
	device->claim_kept = false;
}

void kept_forget_claim(struct lease_device *device)
{
	const struct keeper *keeper = device->lease->broker->keeper;

	if (!device->claim_kept)
		return;
	drop_claim(device);
	keeper->settle(keeper->userdata);
}

void kept_renew_claim(struct lease_device *device)
{
	if (!device->claim_kept)
		return;
	drop_claim(device);
	(void)keep_claim(device); /* there is room for it: that of the former one */
}

static void drop_claims(struct lease *lease)
{
	for (size_t i = 0; i < lease->n_devices; i++)
		if (lease->devices[i]->claim_kept)
			drop_claim(lease->devices[i]);
}

/* ---- leases ---- */

static void refuse(const struct lease *lease, int error, const char *step, struct refusal *refusal)
{
	const struct keeper *keeper = lease->broker->keeper;

	memcpy(refusal->device, lease->devices[0]->id.address, sizeof(refusal->device));
	if (error == -ENOSPC && strcmp(step, "keep") == 0) {
		snprintf(refusal->word, sizeof(refusal->word), "keptDescriptors");
		refusal->number = keeper->limit;
		refusal_set(refusal, REFUSAL_QUOTA,
			    "the service manager holds %u descriptors for iommud, which is the limit: a lease more "
			    "would not survive a restart; raise FileDescriptorStoreMax= of iommud.service",
			    keeper->limit);
		return;
	}
	snprintf(refusal->word, sizeof(refusal->word), "%s", step);
	refusal->number = -error;
	refusal_set(refusal, REFUSAL_PREPARE_FAILED, "lease %llu can't be %s: %s; what was changed has been put back",
		    (unsigned long long)lease->id,
		    strcmp(step, "ledger") == 0 ? "written to iommud's ledger below /run"
						: "handed to the service manager for restarts",
		    strerror(-error));
}

int kept_lease(struct lease *lease, struct refusal *refusal)
{
	struct broker *broker = lease->broker;
	int r = broker->keeper ? keep_peer(lease->peer) : 0;

	for (size_t i = 0; r == 0 && broker->keeper && i < lease->n_devices; i++)
		r = keep_claim(lease->devices[i]);
	if (r < 0) {
		refuse(lease, r, "keep", refusal);
	} else {
		lease->connection = lease->peer->cookie;
		begin_grant(lease);
		r = ledger_note_lease(lease);
		if (r < 0)
			refuse(lease, r, "ledger", refusal);
	}
	if (r < 0)
		drop_claims(lease);
	return r;
}

void kept_forget_lease(struct lease *lease)
{
	drop_claims(lease);
	ledger_note_end(lease);
}
