/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the host's network has to do with an interface: asked of the kernel by rtnetlink. */
#ifndef IOMMUD_HELPER_HOST_NET_H
#define IOMMUD_HELPER_HOST_NET_H

#include <stddef.h>

/*
 * Both look in the caller's network namespace and may block for as long as the kernel needs to list what it has. 1, and
 * what was found as text in `ret`: an address, or where the route leads ("192.0.2.0/24", "default"); 0: there is none; or a
 * negative errno. What an interface has by itself when it is up, link-local addresses and routes and those of the local
 * table, does not count.
 */
int host_net_find_address(unsigned int interface, char *ret, size_t size);
int host_net_find_route(unsigned int interface, char *ret, size_t size);

#endif
