/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages as udevd sends them to libudev's monitors, made by hand: good ones, and those that nobody should believe.
 * Sending needs CAP_NET_ADMIN; do it in a network namespace of your own (udev_message_enter_namespace()), for on the
 * host every listener would get them.
 */
#ifndef IOMMUD_TESTS_UDEV_MESSAGE_H
#define IOMMUD_TESTS_UDEV_MESSAGE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define UDEV_MESSAGE_GROUP 2

struct udev_message {
	const char *subsystem;
	const char *devpath; /* NULL: a message that names no device */
	const char *action;
	const char *devname; /* NULL: no node */
	uint32_t magic; /* 0: the right one */
	size_t padding; /* as many bytes of a further property */
};

/* Moves this process into a new network namespace. 0 or a negative errno. */
int udev_message_enter_namespace(void);

/* A socket for sending (the caller's), or a negative errno. */
int udev_message_socket(void);

/* Sends to udev's multicast group, or with `port` to that one receiver. 0 or a negative errno. */
int udev_message_send(int fd, uint32_t port, const struct udev_message *message);

/* The same with these very bytes. */
int udev_message_send_raw(int fd, uint32_t port, const void *data, size_t size);

/* Sends as user `uid`, who was left nothing but CAP_NET_ADMIN. 0, or a negative errno. */
int udev_message_send_as(uid_t uid, const struct udev_message *message);

#endif
