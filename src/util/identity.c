/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/identity.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "util/cleanup.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* include/uapi/asm-generic/socket.h since Linux 6.5 */
#endif

DEFINE_CLEANUP(identity, struct identity *, identity_clear)

/* Options of unknown length: ask with nothing, allocate what the kernel says, ask again. */
static int get_sized_option(int fd, int option, char **ret_value, socklen_t *ret_size)
{
	_cleanup_free_ char *value = NULL;
	socklen_t size = 0;

	if (getsockopt(fd, SOL_SOCKET, option, NULL, &size) == 0 && size == 0) {
		*ret_size = 0;
		return 0;
	}
	if (errno != ERANGE)
		return -errno;
	value = calloc(1, (size_t)size + 1);
	if (!value)
		return -ENOMEM;
	if (getsockopt(fd, SOL_SOCKET, option, value, &size) < 0)
		return -errno;
	*ret_value = TAKE_PTR(value);
	*ret_size = size;
	return 0;
}

static int read_groups(int fd, struct identity *identity)
{
	char *groups = NULL;
	socklen_t size = 0;
	int r = get_sized_option(fd, SO_PEERGROUPS, &groups, &size);

	if (r < 0)
		return r;
	identity->groups = (gid_t *)(void *)groups;
	identity->n_groups = size / sizeof(gid_t);
	return 0;
}

int identity_pidfd_error(int fd)
{
	int pidfd = -1;
	socklen_t size = sizeof(pidfd);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) < 0)
		return -errno;
	close_fd(pidfd);
	return 0;
}

int identity_from_socket(int fd, struct identity *ret)
{
	struct identity identity = IDENTITY_INIT;
	_cleanup_(cleanup_identity) struct identity *guard = &identity;
	socklen_t size = sizeof(struct ucred);
	struct ucred cred;
	int r;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
		return -errno;
	identity.uid = cred.uid;
	identity.gid = cred.gid;
	identity.pid = cred.pid;
	r = read_groups(fd, &identity);
	if (r < 0)
		return r;
	size = sizeof(identity.pidfd);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &identity.pidfd, &size) < 0)
		identity.pidfd = -1;
	size = 0;
	r = get_sized_option(fd, SO_PEERSEC, &identity.label, &size);
	if (r == -ENOMEM)
		return r;
	if (identity.label && identity.label[0] == '\0') {
		free(identity.label);
		identity.label = NULL;
	}
	*ret = identity;
	guard = NULL;
	return 0;
}

int identity_from_user(uid_t uid, gid_t gid, struct identity *ret)
{
	struct identity identity = IDENTITY_INIT;
	const struct passwd *user;
	int n = 64;

	errno = 0;
	user = getpwuid(uid);
	if (!user)
		return errno ? -errno : -ENOENT;
	identity.uid = uid;
	identity.gid = gid == (gid_t)-1 ? user->pw_gid : gid;
	identity.groups = calloc(n, sizeof(gid_t));
	if (!identity.groups)
		return -ENOMEM;
	if (getgrouplist(user->pw_name, identity.gid, identity.groups, &n) < 0) {
		gid_t *larger = reallocarray(identity.groups, n, sizeof(gid_t));

		if (!larger) {
			identity_clear(&identity);
			return -ENOMEM;
		}
		identity.groups = larger;
		if (getgrouplist(user->pw_name, identity.gid, identity.groups, &n) < 0) {
			identity_clear(&identity);
			return -EAGAIN;
		}
	}
	identity.n_groups = n;
	*ret = identity;
	return 0;
}

/* A decimal id, or -1. (uint32_t)-1 is nobody's. */
static long parse_id(const char *text)
{
	char *end;
	long id;

	if (text[0] < '0' || text[0] > '9')
		return -1;
	errno = 0;
	id = strtol(text, &end, 10);
	return errno || *end || id >= UINT32_MAX ? -1 : id;
}

static long find_group(const char *text)
{
	const struct group *group = getgrnam(text);

	return group ? (long)group->gr_gid : parse_id(text);
}

static long find_user(const char *text)
{
	const struct passwd *user = getpwnam(text);

	return user ? (long)user->pw_uid : parse_id(text);
}

static int identity_from_names(char *user, struct identity *ret)
{
	char *group = strchr(user, ':');
	long uid, gid = -1;
	int r;

	if (group) {
		*group++ = '\0';
		gid = find_group(group);
		if (gid < 0)
			return -ENOENT;
	}
	uid = find_user(user);
	if (uid < 0)
		return -ENOENT;
	r = identity_from_user((uid_t)uid, gid < 0 ? (gid_t)-1 : (gid_t)gid, ret);
	if (r == -ENOENT) { /* a number that nobody has: policy may name it all the same */
		*ret = (struct identity){ .uid = (uid_t)uid, .gid = gid < 0 ? (gid_t)-1 : (gid_t)gid, .pidfd = -1 };
		r = 0;
	}
	return r;
}

int identity_from_text(const char *text, struct identity *ret)
{
	_cleanup_free_ char *names = strdup(text);
	char *context, *label = NULL;
	int r;

	if (!names)
		return -ENOMEM;
	context = strchr(names, '@');
	if (context)
		*context++ = '\0';
	if (context && !*context)
		return -ENOENT;
	r = identity_from_names(names, ret);
	if (r < 0 || !context)
		return r;
	label = strdup(context);
	if (!label) {
		identity_clear(ret);
		return -ENOMEM;
	}
	ret->label = label;
	return 0;
}

void identity_clear(struct identity *identity)
{
	close_fd(identity->pidfd);
	free(identity->groups);
	free(identity->label);
	free(identity->unit);
	free(identity->slice);
	free(identity->executable);
	free(identity->apparmor);
	*identity = (struct identity)IDENTITY_INIT;
}
