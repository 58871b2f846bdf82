/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Values of [Client]. Names become numbers here, at load: whom a rule means must not change under a running policy, and
 * asking must not wait for a directory server. A name that is not there is an error, never a rule that fits nobody.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/nearest.h"
#include "policy/report.h"
#include "policy/values.h"
#include "util/cleanup.h"

#define ID_INVALID UINT32_MAX /* (uid_t)-1 and (gid_t)-1 mean "no id" to the kernel */

DEFINE_CLEANUP(file, FILE *, fclose)

static bool is_number(const char *text)
{
	return text[strspn(text, "0123456789")] == '\0';
}

static int parse_number(const char *what, const char *text, struct item *ret, struct complaint *complaint)
{
	unsigned long long number;

	errno = 0;
	number = strtoull(text, NULL, 10);
	if (errno || number >= ID_INVALID)
		return complain(complaint, 0, "'%.*s' is no %s id; the largest is %u", quote_length(text), text, what,
				ID_INVALID - 1);
	*ret = (struct item){ .kind = ITEM_NUMBER, .number = (uint32_t)number };
	return 0;
}

/* The local files only: to list a directory server's users for the sake of a hint could take minutes. */
static void offer_local_users(struct nearest *nearest)
{
	_cleanup_(cleanup_file) FILE *file = fopen("/etc/passwd", "re");
	const struct passwd *user;

	while (file && (user = fgetpwent(file)))
		nearest_offer(nearest, user->pw_name);
}

static void offer_local_groups(struct nearest *nearest)
{
	_cleanup_(cleanup_file) FILE *file = fopen("/etc/group", "re");
	const struct group *group;

	while (file && (group = fgetgrent(file)))
		nearest_offer(nearest, group->gr_name);
}

static int complain_unknown(const char *what, const char *text, int error, struct nearest *nearest,
			    struct complaint *complaint)
{
	const char *name = nearest_get(nearest);

	/* These mean "not found", says getpwnam(3). */
	if (error != 0 && error != ENOENT && error != ESRCH && error != EBADF && error != EPERM)
		return complain(complaint, 0, "can't look up the %s '%.*s': %s", what, quote_length(text), text,
				strerror(error));
	if (!name)
		return complain(complaint, 0, "no such %s '%.*s'", what, quote_length(text), text);
	return complain(complaint, 0, "no such %s '%.*s'; did you mean '%s'?", what, quote_length(text), text, name);
}

int parse_user(const char *text, struct item *ret, struct complaint *complaint)
{
	const struct passwd *user;
	struct nearest nearest;
	int error;

	if (strcmp(text, "*") == 0) {
		*ret = (struct item){ .kind = ITEM_ANY };
		return 0;
	}
	if (is_number(text))
		return parse_number("user", text, ret, complaint);
	errno = 0;
	user = getpwnam(text);
	error = errno;
	if (user && user->pw_uid != ID_INVALID) {
		*ret = (struct item){ .kind = ITEM_NUMBER, .number = user->pw_uid };
		return 0;
	}
	nearest_begin(&nearest, text);
	offer_local_users(&nearest);
	return complain_unknown("user", text, error, &nearest, complaint);
}

int parse_group(const char *text, struct item *ret, struct complaint *complaint)
{
	const struct group *group;
	struct nearest nearest;
	int error;

	if (strcmp(text, "*") == 0) {
		*ret = (struct item){ .kind = ITEM_ANY };
		return 0;
	}
	if (is_number(text))
		return parse_number("group", text, ret, complaint);
	errno = 0;
	group = getgrnam(text);
	error = errno;
	if (group && group->gr_gid != ID_INVALID) {
		*ret = (struct item){ .kind = ITEM_NUMBER, .number = group->gr_gid };
		return 0;
	}
	nearest_begin(&nearest, text);
	offer_local_groups(&nearest);
	return complain_unknown("group", text, error, &nearest, complaint);
}
