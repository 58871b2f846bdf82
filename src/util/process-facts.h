/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is known of the process behind a socket, beyond what the kernel keeps with the socket: the systemd unit and slice,
 * the executable, the AppArmor profile. Read from /proc by the number that the pidfd has, while the pidfd says that the
 * process lives: a number that was reused meanwhile can't give somebody another's facts.
 *
 * What each is worth: the unit is the system manager's, and a process can't leave it without root (units of a user's own
 * manager count as user@UID.service). The profile is the kernel's. The executable is a convenience, no boundary: whoever may
 * run a program may also make it do something else.
 */
#ifndef IOMMUD_UTIL_PROCESS_FACTS_H
#define IOMMUD_UTIL_PROCESS_FACTS_H

#include <stdbool.h>
#include <stddef.h>

#include "util/identity.h"

#define UNIT_NAME_MAX 255 /* systemd's own limit */
#define SLICE_NAME_MAX UNIT_NAME_MAX
#define EXECUTABLE_MAX 255 /* a longer path is not known */
#define APPARMOR_NAME_MAX 255

/* Fixed-size, so that it can be sent. An empty `slice`, `executable` or `apparmor`: not known. */
struct process_facts {
	char unit[UNIT_NAME_MAX + 1]; /* empty: in none, if the slice is known */
	char slice[SLICE_NAME_MAX + 1];
	char executable[EXECUTABLE_MAX + 1];
	char apparmor[APPARMOR_NAME_MAX + 1];
};

/*
 * Reads the facts of the process of `identity`, by the folder `proc` ("/proc"). What can't be told is empty in `ret`, and
 * all is if there is no pidfd, or if the process has ended by the time that everything is read. Never fails, and waits for
 * nothing but the kernel's own short locks. Other users' executables take CAP_SYS_PTRACE.
 */
void process_facts_read(const char *proc, const struct identity *identity, struct process_facts *ret);

/* Puts copies of the facts into the identity, in the place of what it had. -ENOMEM: then it has none. */
int process_facts_store(const struct process_facts *facts, struct identity *identity);

/* Whether a process can be right in a unit of this name: a service, a scope, a socket, a mount, a swap. */
bool process_unit_is_valid(const char *name);

/*
 * From the contents of /proc/PID/cgroup, of systemd's own hierarchy. False: it is not there, or lies outside of what we can
 * see; the facts have neither then.
 */
bool process_facts_parse_cgroup(const char *text, struct process_facts *facts);

/* From /proc/PID/attr/apparmor/current. A profile in complain mode confines nothing, and is not known. */
void process_facts_parse_apparmor(const char *text, struct process_facts *facts);

#endif
