/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The header is libudev's private format, unchanged since 2008; its hash is what a monitor's socket filter looks at. */
#include "udev-message.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"

struct header {
	char prefix[8];
	uint32_t magic;
	uint32_t header_size;
	uint32_t properties_offset;
	uint32_t properties_size;
	uint32_t subsystem_hash;
	uint32_t devtype_hash;
	uint32_t tag_bloom[2];
};

/* MurmurHash2 with seed 0. */
static uint32_t hash(const char *text)
{
	const uint32_t m = 0x5bd1e995;
	size_t length = strlen(text);
	uint32_t h = length;

	for (; length >= 4; text += 4, length -= 4) {
		uint32_t k;

		memcpy(&k, text, sizeof(k));
		k *= m;
		k ^= k >> 24;
		h = (h * m) ^ (k * m);
	}
	for (size_t i = length; i > 0; i--)
		h ^= (uint32_t)(unsigned char)text[i - 1] << (8 * (i - 1));
	if (length > 0)
		h *= m;
	h ^= h >> 13;
	h *= m;
	return h ^ h >> 15;
}

static void add_property(char *buffer, size_t *used, const char *name, const char *value)
{
	if (value)
		*used += sprintf(buffer + *used, "%s=%s", name, value) + 1;
}

int udev_message_enter_namespace(void)
{
	return unshare(CLONE_NEWNET) < 0 ? -errno : 0;
}

int udev_message_socket(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);

	return fd < 0 ? -errno : fd;
}

int udev_message_send_raw(int fd, uint32_t port, const void *data, size_t size)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK,
				       .nl_pid = port,
				       .nl_groups = port ? 0 : UDEV_MESSAGE_GROUP };
	ssize_t n = sendto(fd, data, size, 0, (struct sockaddr *)&address, sizeof(address));

	return n < 0 ? -errno : 0;
}

int udev_message_send(int fd, uint32_t port, const struct udev_message *message)
{
	_cleanup_free_ char *buffer = calloc(1, 4096 + message->padding);
	struct header *header = (struct header *)(void *)buffer;
	size_t used = sizeof(*header);

	if (!buffer)
		return -ENOMEM;
	add_property(buffer, &used, "ACTION", message->action);
	add_property(buffer, &used, "DEVPATH", message->devpath);
	add_property(buffer, &used, "SUBSYSTEM", message->subsystem);
	add_property(buffer, &used, "DEVNAME", message->devname);
	if (message->devname) {
		add_property(buffer, &used, "MAJOR", "10");
		add_property(buffer, &used, "MINOR", "196");
	}
	add_property(buffer, &used, "SEQNUM", "1");
	if (message->padding > 0) {
		used += sprintf(buffer + used, "X=");
		memset(buffer + used, 'x', message->padding);
		used += message->padding + 1;
	}
	memcpy(header->prefix, "libudev", 8);
	header->magic = htonl(message->magic ? message->magic : 0xfeedcafe);
	header->header_size = sizeof(*header);
	header->properties_offset = sizeof(*header);
	header->properties_size = used - sizeof(*header);
	header->subsystem_hash = htonl(hash(message->subsystem));
	return udev_message_send_raw(fd, port, buffer, used);
}

static int become(uid_t uid)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { .effective = 1 << CAP_NET_ADMIN,
						    .permitted = 1 << CAP_NET_ADMIN } };

	if (prctl(PR_SET_KEEPCAPS, 1) < 0 || setresuid(uid, uid, uid) < 0 || syscall(SYS_capset, &header, data) < 0)
		return -errno;
	return 0;
}

int udev_message_send_as(uid_t uid, const struct udev_message *message)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		int r = become(uid), fd = r < 0 ? r : udev_message_socket();

		_exit(fd < 0 ? -fd : -udev_message_send(fd, 0, message));
	}
	if (waitpid(pid, &status, 0) < 0)
		return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -ECHILD;
}
