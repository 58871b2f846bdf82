/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What of leases and their clients is held by the keeper (keeper.h) while the broker is restarted: the connections of clients
 * that have had a lease, and the claims of the kernel module. Of each connection there is a mark in a file that outlives us,
 * which says whether its client waits for an answer (enum varlink_mark); it is memory that is written, and costs nothing.
 */
#ifndef IOMMUD_BROKER_KEPT_H
#define IOMMUD_BROKER_KEPT_H

#include <stdbool.h>
#include <stdint.h>

#define KEPT_NAME_MAX 64
#define KEPT_CONNECTION "connection-" /* and the kernel's cookie of the socket */
#define KEPT_CLAIM "claim-" /* and the numbers of lease and group, with a dash between */

struct broker;
struct kept;
struct lease;
struct lease_device;
struct peer;
struct refusal;

struct kept_mark {
	uint64_t connection; /* the cookie; 0: nobody's */
	uint64_t subscribed; /* to events: 0 no, 1 to all, else to the lease of this number less one */
	uint64_t granting; /* the lease that was granted last */
	uint32_t mark; /* enum varlink_mark, written by the connection */
	uint32_t granted; /* `granting` was sent, or something of it */
};

/* Reads what a former broker left in the folder, and begins anew. 0 or a negative errno. */
int kept_open(int dir_fd, struct kept **ret);
struct kept *kept_free(struct kept *kept);
/* As the former broker left it; NULL: not known. */
const struct kept_mark *kept_find_former(const struct kept *kept, uint64_t connection);

/* The kernel's number of a socket, which no other gets; 0: it has none. */
uint64_t kept_cookie(int fd);

/* Has all that a lease needs kept, and the lease written down. Or a negative errno with `refusal` set, and it is as before. */
int kept_lease(struct lease *lease, struct refusal *refusal);
/* The lease is on its way back: its claims end by themselves, or are closed. */
void kept_forget_lease(struct lease *lease);
/* The claim is about to be closed, and is to end by that. */
void kept_forget_claim(struct lease_device *device);
/* The claim is another one now. */
void kept_renew_claim(struct lease_device *device);
/* The client is gone. */
void kept_forget_peer(struct peer *peer);
/* Goes on with a connection that is kept already. -ENOSPC. */
int kept_take_peer(struct peer *peer);

#endif
