/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Calls of /dev/iommud for the test clients. All return what the kernel does: 0 or more, or a negative errno. */
#ifndef TESTS_VM_KMOD_H
#define TESTS_VM_KMOD_H

#include <stddef.h>
#include <stdint.h>

#include "../../../include/uapi/linux/iommud.h"

int kmod_open(void);
int kmod_info(int node, struct iommud_info *ret);
/* With iommufd -1: parked. `label` and `drivers` (one name) may be NULL. The claim's descriptor. */
int kmod_claim(int node, const char *device, int iommufd, unsigned int flags, const char *label, const char *driver);
int kmod_handoff(int claim);
int kmod_give_back(int claim);
int kmod_query(int node, const char *device, struct iommud_query *ret, struct iommud_member *members,
	       unsigned int room);
int kmod_events(int node);
/* Waits, at most 20 s, for a record of this type; 0 with it, or -ETIME. */
int kmod_wait_event(int fd, unsigned int type, struct iommud_event *ret);
/* Waits, at most 20 s, for POLLHUP. */
int kmod_wait_hangup(int fd);

#endif
