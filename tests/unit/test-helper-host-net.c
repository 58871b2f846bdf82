/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses and routes of a real interface, the loopback of a network namespace of the test's own. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/ipv6.h>
#include <net/if.h>
#include <net/route.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "helper/host-net.h"
#include "open-fds.h"
#include "util/cleanup.h"

#define LOOPBACK 1

static void control(int family, unsigned long request, void *argument)
{
	_cleanup_fd_ int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (ioctl(fd, request, argument) < 0)
		fail_msg("ioctl %lx: %s", request, strerror(errno));
}

static void set_flags(short flags)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = flags };

	control(AF_INET, SIOCSIFFLAGS, &request);
}

static struct sockaddr_in name_of(const char *text)
{
	struct sockaddr_in name = { .sin_family = AF_INET };

	assert_int_equal(inet_pton(AF_INET, text, &name.sin_addr), 1);
	return name;
}

/* "lo:NAME" is the address of that label, "lo" the first. */
static void set_address(const char *interface, const char *text)
{
	struct sockaddr_in name = name_of(text);
	struct ifreq request = { 0 };

	strcpy(request.ifr_name, interface);
	memcpy(&request.ifr_addr, &name, sizeof(name));
	control(AF_INET, SIOCSIFADDR, &request);
}

static void change_address6(unsigned long what, const char *text)
{
	struct in6_ifreq request = { .ifr6_prefixlen = 64, .ifr6_ifindex = LOOPBACK };

	assert_int_equal(inet_pton(AF_INET6, text, &request.ifr6_addr), 1);
	control(AF_INET6, what, &request);
}

static void change_route(unsigned long what, const char *destination, const char *mask)
{
	struct sockaddr_in name = name_of(destination), net = name_of(mask);
	struct rtentry request = { .rt_flags = RTF_UP, .rt_dev = (char *)"lo" };

	memcpy(&request.rt_dst, &name, sizeof(name));
	memcpy(&request.rt_genmask, &net, sizeof(net));
	control(AF_INET, what, &request);
}

static void assert_address(const char *expected)
{
	char text[64] = "";

	assert_int_equal(host_net_find_address(LOOPBACK, text, sizeof(text)), expected != NULL);
	assert_string_equal(text, expected ? expected : "");
	assert_int_equal(host_net_find_address(LOOPBACK + 1000, text, sizeof(text)), 0);
}

static void assert_route(const char *expected)
{
	char text[64] = "";

	assert_int_equal(host_net_find_route(LOOPBACK, text, sizeof(text)), expected != NULL);
	assert_string_equal(text, expected ? expected : "");
	assert_int_equal(host_net_find_route(LOOPBACK + 1000, text, sizeof(text)), 0);
}

/* A namespace for each test. */
static int set_up(void **state)
{
	if (unshare(CLONE_NEWNET) < 0)
		print_message("no network namespace for the test: %s\n", strerror(errno));
	else
		*state = (void *)"own";
	return 0;
}

static void begin(void **state)
{
	if (!*state)
		skip();
	set_flags(IFF_UP);
}

static void an_interface_that_is_merely_up_has_nothing(void **state)
{
	size_t fds = count_open_fds();

	begin(state);
	/* 127.0.0.1 and ::1 are the host's own; their routes are in the local table. */
	assert_address(NULL);
	assert_route(NULL);
	assert_int_equal(count_open_fds(), fds);
}

static void finds_an_address(void **state)
{
	begin(state);
	set_address("lo:x", "192.0.2.1");
	assert_address("192.0.2.1");
}

static void finds_an_ipv6_address(void **state)
{
	begin(state);
	change_address6(SIOCSIFADDR, "2001:db8::1");
	assert_address("2001:db8::1");
	change_address6(SIOCDIFADDR, "2001:db8::1");
	assert_address(NULL);
}

static void link_local_addresses_do_not_count(void **state)
{
	begin(state);
	set_address("lo:x", "169.254.7.7");
	change_address6(SIOCSIFADDR, "fe80::7");
	assert_address(NULL);
	assert_route(NULL);
}

static void finds_a_route(void **state)
{
	begin(state);
	change_route(SIOCADDRT, "198.51.100.0", "255.255.255.0");
	assert_route("198.51.100.0/24");
	assert_address(NULL);
	change_route(SIOCDELRT, "198.51.100.0", "255.255.255.0");
	assert_route(NULL);
}

static void finds_the_default_route(void **state)
{
	begin(state);
	change_route(SIOCADDRT, "0.0.0.0", "0.0.0.0");
	assert_route("default");
}

static void link_local_routes_do_not_count(void **state)
{
	begin(state);
	change_route(SIOCADDRT, "169.254.0.0", "255.255.0.0");
	assert_route(NULL);
}

/* More than one part of a dump; the one that counts is the last. */
static void reads_long_tables_to_the_end(void **state)
{
	char text[32];

	begin(state);
	for (unsigned int i = 0; i < 2000; i++) {
		snprintf(text, sizeof(text), "169.254.%u.%u", i / 250, i % 250 + 1);
		change_route(SIOCADDRT, text, "255.255.255.255");
	}
	assert_route(NULL);
	change_route(SIOCADDRT, "198.51.100.0", "255.255.255.0");
	assert_route("198.51.100.0/24");
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_interface_that_is_merely_up_has_nothing),
		TEST(finds_an_address),
		TEST(finds_an_ipv6_address),
		TEST(link_local_addresses_do_not_count),
		TEST(finds_a_route),
		TEST(finds_the_default_route),
		TEST(link_local_routes_do_not_count),
		TEST(reads_long_tables_to_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
