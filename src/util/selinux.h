/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The few questions that are asked of SELinux: what context a file has, and what its policy says about two of them. The
 * kernel's own files answer, so that no library is needed; nothing here waits. All functions but the first return 0 or a
 * negative errno.
 */
#ifndef IOMMUD_UTIL_SELINUX_H
#define IOMMUD_UTIL_SELINUX_H

#include <stdbool.h>
#include <stddef.h>

#define SECURITY_CONTEXT_MAX 512 /* with the NUL; a longer one is none that we handle (-ERANGE) */

/* Whether it is on, with a policy, permissive or enforcing. */
bool selinux_is_active(void);

/* Of the file of a descriptor, which may be O_PATH. -ENODATA, -EOPNOTSUPP: it has none. */
int selinux_get_context(int fd, char *ret, size_t size);
/* -EACCES, -EPERM: the policy does not let us. */
int selinux_set_context(int fd, const char *context);

/* -EINVAL: it is no context of the policy that is loaded. */
int selinux_check_context(const char *context);
/*
 * What a character device with the context `node` is to have while it belongs to a process with the context `process`: the
 * policy's own answer, as login asks it for terminals. By default that is the process's user and level, and the node's type;
 * type_change rules say otherwise.
 */
int selinux_compute_relabel(const char *process, const char *node, char *ret, size_t size);

#endif
