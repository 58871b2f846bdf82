/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Letting go of privileges: before the first client is served, and for good. */
#ifndef IOMMUD_DAEMON_SANDBOX_H
#define IOMMUD_DAEMON_SANDBOX_H

/*
 * Becomes `user` (NULL: stays who it is) with that user's groups, drops every capability, and sets no_new_privs. To be
 * called while single-threaded. 0 or a negative errno; after a failure the process must not go on.
 */
int sandbox_enter(const char *user);

#endif
