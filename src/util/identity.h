/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who is at the other end of a socket, as the kernel captured it when the peer connected: never what the peer says.
 * What the kernel can't tell is absent (pidfd -1, texts NULL), and absence never matches an allow rule.
 *
 * Unit, slice, executable and AppArmor profile are of the process that connected, and are read on demand, by
 * process_facts_read() (util/process-facts.h): the kernel keeps none of them with the socket.
 */
#ifndef IOMMUD_UTIL_IDENTITY_H
#define IOMMUD_UTIL_IDENTITY_H

#include <stddef.h>
#include <sys/types.h>

struct identity {
	uid_t uid;
	gid_t gid;
	pid_t pid; /* of the connecting process; a number only, it may have been reused */
	int pidfd; /* SO_PEERPIDFD, Linux 6.5; -1 without */
	gid_t *groups; /* supplementary groups, SO_PEERGROUPS */
	size_t n_groups;
	char *label; /* SO_PEERSEC; NULL where no LSM gives one */
	char *unit; /* of the system manager, "qemu@a.service"; empty: in none; NULL: not known */
	char *slice; /* the innermost that it is in, "user-1000.slice", or "-.slice"; NULL: not known */
	char *executable; /* an absolute path; NULL: not known, or not there any more */
	char *apparmor; /* the profile that confines it, or "unconfined"; NULL: not known */
};

#define IDENTITY_INIT                                           \
	{                                                       \
		.uid = (uid_t)-1, .gid = (gid_t)-1, .pidfd = -1 \
	}

/*
 * Reads the identity of the peer of the connected unix socket `fd`. Returns 0 or a negative errno; SO_PEERPIDFD and
 * SO_PEERSEC may be missing without an error. `ret` is the caller's, to be emptied by identity_clear().
 */
int identity_from_socket(int fd, struct identity *ret);

/*
 * Why an identity of this socket has no pidfd: -ENOPROTOOPT where the kernel has none for sockets; another errno, such as
 * -ESRCH, where the process has been reaped; 0 where there is one.
 */
int identity_pidfd_error(int fd);

/*
 * The identity that a process of user `uid`, with `gid` and the supplementary groups that the user database lists,
 * would have: for "what if" questions. `gid` (gid_t)-1 means the user's own. -ENOENT if there is no such user.
 */
int identity_from_user(uid_t uid, gid_t gid, struct identity *ret);

/*
 * The same from "USER[:GROUP][@CONTEXT]", names or numbers and a security context; a user whose name has an '@' goes by
 * number. -ENOENT if there is no such name, or an empty context; a number need not be anybody's, and has no groups then but
 * the one that is given. Asks the user database, which may block for long where that is a network's.
 */
int identity_from_text(const char *text, struct identity *ret);

/* Frees what `identity` owns and resets it. Accepts one that is empty already. */
void identity_clear(struct identity *identity);

#endif
