/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Dumps of addresses and routes, read message by message through one buffer. Owns nothing between calls, changes nothing.
 * A dump that the kernel says is not of one moment is asked for again; one that can't be had is a fault, never a "no".
 */
#include "helper/host-net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "util/cleanup.h"

#define ATTEMPTS 8
/* The kernel makes no larger parts of a dump, whatever room it is given. */
#define PART_MAX 32768

struct search {
	unsigned int interface;
	char *text;
	size_t size;
};

/* Whether this message is what is looked for; then its text is set. */
typedef bool (*match_fn)(const struct search *search, const struct nlmsghdr *message);

static bool is_link_local(int family, const void *address)
{
	const uint8_t *bytes = address;

	if (family == AF_INET)
		return bytes[0] == 169 && bytes[1] == 254;
	return bytes[0] == 0xff || (bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80);
}

static size_t address_size(int family)
{
	return family == AF_INET ? sizeof(struct in_addr) : family == AF_INET6 ? sizeof(struct in6_addr) : 0;
}

/* The payload of the attribute, if it is as large as it must be. */
static const void *find_attribute(const struct rtattr *attribute, size_t size, unsigned short type, size_t least)
{
	for (; RTA_OK(attribute, size); attribute = RTA_NEXT(attribute, size))
		if (attribute->rta_type == type && RTA_PAYLOAD(attribute) >= least)
			return RTA_DATA(attribute);
	return NULL;
}

static bool match_address(const struct search *search, const struct nlmsghdr *message)
{
	const struct ifaddrmsg *header = NLMSG_DATA(message);
	const void *address;
	size_t least;

	if (message->nlmsg_type != RTM_NEWADDR || message->nlmsg_len < NLMSG_LENGTH(sizeof(*header)))
		return false;
	least = address_size(header->ifa_family);
	if (!least || header->ifa_index != search->interface || header->ifa_scope >= RT_SCOPE_LINK)
		return false;
	/* Of a point-to-point interface IFA_ADDRESS is the other end's. */
	address = find_attribute(IFA_RTA(header), IFA_PAYLOAD(message), IFA_LOCAL, least);
	if (!address)
		address = find_attribute(IFA_RTA(header), IFA_PAYLOAD(message), IFA_ADDRESS, least);
	if (!address || is_link_local(header->ifa_family, address))
		return false;
	inet_ntop(header->ifa_family, address, search->text, search->size);
	return true;
}

static bool hops_use(const struct rtnexthop *hop, size_t size, unsigned int interface)
{
	while (size >= sizeof(*hop) && hop->rtnh_len >= sizeof(*hop) && hop->rtnh_len <= size) {
		size_t step = RTNH_ALIGN(hop->rtnh_len);

		if ((unsigned int)hop->rtnh_ifindex == interface)
			return true;
		if (step >= size)
			return false;
		size -= step;
		hop = RTNH_NEXT(hop);
	}
	return false;
}

static bool route_uses(const struct nlmsghdr *message, unsigned int interface)
{
	const struct rtmsg *header = NLMSG_DATA(message);
	const struct rtattr *attribute = RTM_RTA(header);
	size_t size = RTM_PAYLOAD(message);

	for (; RTA_OK(attribute, size); attribute = RTA_NEXT(attribute, size)) {
		uint32_t oif;

		if (attribute->rta_type == RTA_OIF && RTA_PAYLOAD(attribute) >= sizeof(oif)) {
			memcpy(&oif, RTA_DATA(attribute), sizeof(oif));
			if (oif == interface)
				return true;
		} else if (attribute->rta_type == RTA_MULTIPATH &&
			   hops_use(RTA_DATA(attribute), RTA_PAYLOAD(attribute), interface)) {
			return true;
		}
	}
	return false;
}

static bool match_route(const struct search *search, const struct nlmsghdr *message)
{
	const struct rtmsg *header = NLMSG_DATA(message);
	char text[INET6_ADDRSTRLEN];
	const void *destination;
	size_t least;

	if (message->nlmsg_type != RTM_NEWROUTE || message->nlmsg_len < NLMSG_LENGTH(sizeof(*header)))
		return false;
	least = address_size(header->rtm_family);
	if (!least || header->rtm_table == RT_TABLE_LOCAL || (header->rtm_flags & RTM_F_CLONED))
		return false;
	destination = find_attribute(RTM_RTA(header), RTM_PAYLOAD(message), RTA_DST, least);
	if ((destination && is_link_local(header->rtm_family, destination)) || !route_uses(message, search->interface))
		return false;
	if (destination && inet_ntop(header->rtm_family, destination, text, sizeof(text)))
		snprintf(search->text, search->size, "%s/%u", text, header->rtm_dst_len);
	else
		snprintf(search->text, search->size, "default");
	return true;
}

static int ask(int fd, unsigned short type)
{
	struct {
		struct nlmsghdr header;
		struct rtmsg body; /* zero: all families; as large as what addresses are asked with, or larger */
	} request;

	memset(&request, 0, sizeof(request));
	request.header.nlmsg_len = sizeof(request);
	request.header.nlmsg_type = type;
	request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	return send(fd, &request, sizeof(request), 0) < 0 ? -errno : 0;
}

/* The next part of the dump. Its length or a negative errno; 0: not the kernel's, to be passed over. */
static ssize_t receive_part(int fd, void *buffer, size_t size)
{
	struct sockaddr_nl from = { 0 };
	socklen_t from_size = sizeof(from);
	ssize_t n;

	do
		n = recvfrom(fd, buffer, size, MSG_TRUNC, (struct sockaddr *)&from, &from_size);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if ((size_t)n > size)
		return -EMSGSIZE;
	return from.nl_pid == 0 ? n : 0;
}

/* One part: 1 found, 0 there is more to come, -ENODATA the end, or another negative errno. */
static int read_part(const struct nlmsghdr *message, size_t size, const struct search *search, match_fn match,
		     bool *interrupted)
{
	for (; NLMSG_OK(message, size); message = NLMSG_NEXT(message, size)) {
		*interrupted |= message->nlmsg_flags & NLM_F_DUMP_INTR;
		if (message->nlmsg_type == NLMSG_DONE)
			return -ENODATA;
		if (message->nlmsg_type == NLMSG_ERROR) {
			const struct nlmsgerr *error = NLMSG_DATA(message);

			return error->error < 0 ? error->error : -EPROTO;
		}
		if (match(search, message))
			return 1;
	}
	return 0;
}

static int dump(unsigned short type, const struct search *search, match_fn match)
{
	_cleanup_fd_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	_cleanup_free_ struct nlmsghdr *buffer = malloc(PART_MAX);
	bool interrupted = false;
	int r;

	if (fd < 0)
		return -errno;
	if (!buffer)
		return -ENOMEM;
	r = ask(fd, type);
	while (r == 0) {
		ssize_t n = receive_part(fd, buffer, PART_MAX);

		r = n < 0 ? (int)n : read_part(buffer, n, search, match, &interrupted);
	}
	if (r != -ENODATA)
		return r;
	return interrupted ? -EAGAIN : 0;
}

static int find(unsigned short type, const struct search *search, match_fn match)
{
	int r = -EAGAIN;

	for (int i = 0; i < ATTEMPTS && r == -EAGAIN; i++)
		r = dump(type, search, match);
	return r;
}

int host_net_find_address(unsigned int interface, char *ret, size_t size)
{
	const struct search search = { .interface = interface, .text = ret, .size = size };

	return find(RTM_GETADDR, &search, match_address);
}

int host_net_find_route(unsigned int interface, char *ret, size_t size)
{
	const struct search search = { .interface = interface, .text = ret, .size = size };

	return find(RTM_GETROUTE, &search, match_route);
}
