/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The service manager's end of sd_notify(), with its descriptor store: what a service tells the store of is done when the test reads the
 * messages. Unlike systemd it drops nothing by itself.
 */
#ifndef IOMMUD_TESTS_NOTIFY_STORE_H
#define IOMMUD_TESTS_NOTIFY_STORE_H

#include <stdbool.h>
#include <stddef.h>

#define NOTIFY_STORE_MAX 64

struct notify_store {
	struct {
		char name[64];
		int fd;
	} kept[NOTIFY_STORE_MAX];
	size_t n;
};

/*
 * Reads one message from the notify socket, which must be readable, and does what it says of the store. Returns whether it
 * has READY=1.
 */
bool notify_store_read(struct notify_store *store, int fd);
/* All messages that are there. */
void notify_store_drain(struct notify_store *store, int fd);
/* In a child that is to become the service: descriptors from 3 on, and the environment that names them. */
void notify_store_pass(const struct notify_store *store);
void notify_store_clear(struct notify_store *store);

#endif
