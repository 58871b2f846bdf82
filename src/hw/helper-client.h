/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The broker's end of the helper's socket. Requests are sent without blocking and answered by callback, in any order.
 * When the helper goes away, every request under way is answered with -ECONNRESET, and helper_client_connect() may be
 * called again: the helper's journal survives it. Not thread-safe.
 */
#ifndef IOMMUD_HW_HELPER_CLIENT_H
#define IOMMUD_HW_HELPER_CLIENT_H

#include <stdbool.h>

#include "hw/helper-wire.h"

struct helper_client;

/*
 * `error` is 0 with the reply, or -ECONNRESET with NULL. `reply` is borrowed. For RESTORE the callback comes twice when
 * the first status is HELPER_TIMED_OUT. It may send further requests, but not free the client.
 */
typedef void (*helper_reply_fn)(void *userdata, int error, const struct helper_reply *reply);

int helper_client_new(const char *socket_path, struct helper_client **ret);
/* Pending callbacks are not called any more. Accepts NULL, returns NULL. */
struct helper_client *helper_client_free(struct helper_client *client);

/* Connects (a local socket: no wait worth naming). 0, or a negative errno; -ENOENT, -ECONNREFUSED: not running. */
int helper_client_connect(struct helper_client *client);
bool helper_client_is_connected(const struct helper_client *client);

/* The descriptor to poll for reading (borrowed), -1 while not connected. */
int helper_client_get_fd(const struct helper_client *client);
/* Reads what is there and calls back. 0, or -ECONNRESET after the helper went (the fd is closed then). */
int helper_client_dispatch(struct helper_client *client);

/*
 * Each sends one request. 0; -ENOTCONN; -EAGAIN when the socket is full; -EINVAL for an address that is none; then
 * nothing is called back. `client_fd` is borrowed; `flags` are enum helper_flag.
 */
int helper_client_hello(struct helper_client *client, const uint8_t digest[DIGEST_SIZE], helper_reply_fn reply,
			void *userdata);
int helper_client_prepare(struct helper_client *client, int client_fd, const char *address,
			  const uint8_t digest[DIGEST_SIZE], uint32_t flags, helper_reply_fn reply, void *userdata);
int helper_client_park(struct helper_client *client, int client_fd, const char *address, const char *for_address,
		       const uint8_t digest[DIGEST_SIZE], uint32_t flags, helper_reply_fn reply, void *userdata);
int helper_client_restore(struct helper_client *client, uint64_t transaction, uint32_t flags, helper_reply_fn reply,
			  void *userdata);
int helper_client_next(struct helper_client *client, uint64_t transaction, helper_reply_fn reply, void *userdata);
/* When it is answered, the reply's transaction is the one that was asked for. */
int helper_client_holders(struct helper_client *client, uint64_t transaction, helper_reply_fn reply, void *userdata);
/* The same holds for its reply. */
int helper_client_signal(struct helper_client *client, int client_fd, uint64_t transaction,
			 const uint8_t digest[DIGEST_SIZE], uint32_t flags, helper_reply_fn reply, void *userdata);
int helper_client_make_vfs(struct helper_client *client, const char *address, const uint8_t digest[DIGEST_SIZE],
			   helper_reply_fn reply, void *userdata);
/* Who is at the other end of `client_fd`: see HELPER_IDENTIFY. */
int helper_client_identify(struct helper_client *client, int client_fd, helper_reply_fn reply, void *userdata);
int helper_client_reload(struct helper_client *client, helper_reply_fn reply, void *userdata);

/* "unbind" and so on, for messages. */
const char *helper_step_name(uint32_t step);
const char *helper_status_text(uint32_t status);

#endif
