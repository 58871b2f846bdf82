/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of the broker's connections: packets in with their descriptors, replies out. Never blocks. */
#ifndef IOMMUD_HELPER_CONNECTION_H
#define IOMMUD_HELPER_CONNECTION_H

#include "helper/helper.h"
#include "hw/helper-wire.h"

struct packet {
	struct helper_request request;
	size_t size; /* as received; more than sizeof(request): it was longer */
	int fd; /* the first descriptor that came with it, the caller's; -1: none */
	int second_fd; /* the same; -1: none */
	size_t n_fds; /* the others are closed already */
};

/* Closes what descriptors are left. */
void packet_close(struct packet *packet);

void connections_init(struct helper *helper);

/* Takes one connection from `listen_fd`, if it is of the broker's uid and there is a place; closes it otherwise. */
void connection_accept(struct helper *helper, int listen_fd);

/* 1 and a packet; 0: none there now; -ECONNRESET: the peer is gone, or sent an empty packet. */
int connection_receive(struct connection *connection, struct packet *ret);

/* -ENOTCONN: the connection is gone, or its peer does not read, which ends it. */
int connection_reply(struct helper *helper, uint64_t id, const struct helper_reply *reply);

bool connection_is_open(const struct helper *helper, uint64_t id);
void connection_close(struct connection *connection);

/* A reply with what every one has. */
struct helper_reply reply_new(uint64_t serial, enum helper_status status);

#endif
