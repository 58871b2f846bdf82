/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * forge-uevent: tells a lie about devices, in udev's own format.
 *
 *   forge-uevent --port N|--multicast [--size BYTES] ADDRESS
 *
 * Sends "a PCI device ADDRESS was added" to one netlink socket, or to all that listen to udev's events. With --size the
 * message is as large as that. Exit status: 0 sent, 1 the kernel does not let us.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define UDEV_GROUP 2
#define UDEV_MAGIC 0xfeedcafe

/* The head of udev's messages; properties follow, each ended by a NUL. */
struct head {
	char prefix[8];
	uint32_t magic;
	uint32_t header_size;
	uint32_t properties_offset;
	uint32_t properties_length;
	uint32_t subsystem_hash;
	uint32_t devtype_hash;
	uint32_t tag_bloom_high;
	uint32_t tag_bloom_low;
};

/* MurmurHash2 with seed 0, by which udev's listeners filter subsystems. */
static uint32_t murmur(const char *text)
{
	const uint32_t m = 0x5bd1e995;
	size_t length = strlen(text);
	uint32_t hash = length, k;

	for (; length >= 4; text += 4, length -= 4) {
		memcpy(&k, text, 4);
		k *= m;
		k ^= k >> 24;
		k *= m;
		hash = (hash * m) ^ k;
	}
	for (size_t i = length; i > 0; i--)
		hash ^= (uint32_t)(unsigned char)text[i - 1] << (8 * (i - 1));
	if (length > 0)
		hash *= m;
	hash ^= hash >> 13;
	hash *= m;
	return hash ^ (hash >> 15);
}

static size_t write_message(char *message, size_t size, const char *address)
{
	struct head head = { .prefix = "libudev",
			     .magic = htonl(UDEV_MAGIC),
			     .header_size = sizeof(head),
			     .properties_offset = sizeof(head),
			     .subsystem_hash = htonl(murmur("pci")) };
	int length =
		snprintf(message + sizeof(head), size - sizeof(head),
			 "ACTION=add%cDEVPATH=/devices/pci0000:00/%s%cSUBSYSTEM=pci%cSEQNUM=1%c", 0, address, 0, 0, 0);

	head.properties_length = length;
	memcpy(message, &head, sizeof(head));
	return sizeof(head) + length;
}

static int send_message(const void *message, size_t size, uint32_t port, uint32_t groups)
{
	struct sockaddr_nl to = { .nl_family = AF_NETLINK, .nl_pid = port, .nl_groups = groups };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
	int buffer = 4 * size;

	if (fd < 0)
		return -errno;
	/* Only root can go beyond wmem_max; who can't is told by sendto(). */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof(buffer)) < 0)
		fprintf(stderr, "SO_SNDBUFFORCE: %s\n", strerror(errno));
	/* ECONNREFUSED of a multicast: nobody listens. */
	return sendto(fd, message, size, 0, (struct sockaddr *)&to, sizeof(to)) < 0 ? -errno : 0;
}

int main(int argc, char **argv)
{
	static const struct option known[] = { { "port", required_argument, NULL, 'p' },
					       { "multicast", no_argument, NULL, 'm' },
					       { "size", required_argument, NULL, 's' },
					       { 0 } };
	size_t size = 0, written;
	uint32_t port = 0, groups = 0;
	char *message;
	int option, r;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (option == 'p')
			port = strtoul(optarg, NULL, 10);
		else if (option == 'm')
			groups = UDEV_GROUP;
		else if (option == 's')
			size = strtoul(optarg, NULL, 10);
		else
			return 2;
	}
	if (optind + 1 != argc || !port == !groups) {
		fputs("forge-uevent --port N|--multicast [--size BYTES] ADDRESS\n", stderr);
		return 2;
	}
	message = calloc(1, size > 4096 ? size : 4096);
	if (!message)
		return 1;
	written = write_message(message, 4096, argv[optind]);
	r = send_message(message, size > written ? size : written, port, groups);
	free(message);
	if (r < 0)
		fprintf(stderr, "forge-uevent: %s\n", strerror(-r));
	return r < 0;
}
