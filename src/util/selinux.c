/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/selinux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/fileio.h"

#define SELINUX_DIR "/sys/fs/selinux"
#define CONTEXT_NAME "security.selinux"

bool selinux_is_active(void)
{
	struct statfs fs;

	/* The file that asks about contexts answers only when there is a policy; the file system is there before. */
	return statfs(SELINUX_DIR, &fs) == 0 && fs.f_type == SELINUX_MAGIC &&
	       access(SELINUX_DIR "/class/chr_file/index", F_OK) == 0;
}

/* An O_PATH descriptor has no extended attributes of its own, but its link below /proc leads to the file. */
static void link_path(int fd, char *path, size_t size)
{
	snprintf(path, size, "/proc/self/fd/%d", fd);
}

int selinux_get_context(int fd, char *ret, size_t size)
{
	char path[32];
	ssize_t n;

	link_path(fd, path, sizeof(path));
	n = getxattr(path, CONTEXT_NAME, ret, size - 1);
	if (n < 0)
		return -errno;
	ret[n] = '\0';
	return 0;
}

int selinux_set_context(int fd, const char *context)
{
	char path[32];

	link_path(fd, path, sizeof(path));
	return setxattr(path, CONTEXT_NAME, context, strlen(context) + 1, 0) < 0 ? -errno : 0;
}

/* One write is the question, one read from the same descriptor the answer. */
static int ask(const char *file, const char *question, char *ret, size_t size)
{
	_cleanup_fd_ int fd = open(file, O_RDWR | O_CLOEXEC);
	ssize_t n;

	if (fd < 0 || write(fd, question, strlen(question) + 1) < 0)
		return -errno;
	if (!ret)
		return 0;
	n = read(fd, ret, size - 1);
	if (n < 0)
		return -errno;
	if ((size_t)n == size - 1)
		return -ERANGE;
	ret[n] = '\0';
	return 0;
}

int selinux_check_context(const char *context)
{
	return ask(SELINUX_DIR "/context", context, NULL, 0);
}

int selinux_compute_relabel(const char *process, const char *node, char *ret, size_t size)
{
	char question[2 * SECURITY_CONTEXT_MAX + 32];
	uint64_t class;
	int r = read_u64_at(AT_FDCWD, SELINUX_DIR "/class/chr_file/index", &class);

	if (r < 0)
		return r;
	if (strpbrk(process, " \n") || strpbrk(node, " \n"))
		return -EINVAL;
	if ((size_t)snprintf(question, sizeof(question), "%s %s %u", process, node, (unsigned int)class) >=
	    sizeof(question))
		return -ERANGE;
	return ask(SELINUX_DIR "/relabel", question, ret, size);
}
