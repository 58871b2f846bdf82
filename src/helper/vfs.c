/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes sriov_numvfs, from 0 to what policy says and in no other case; holds and decides nothing else. */
#include "helper/vfs.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "topology/viability.h"
#include "util/fileio.h"

/* What is wanted, and by which section. */
struct wish {
	unsigned int n;
	const char *file;
	unsigned int line;
};

__attribute__((format(printf, 4, 5))) static void say(struct vfs_result *ret, enum helper_status status, int error,
						      const char *format, ...)
{
	va_list args;

	ret->outcome = (struct outcome){ .status = status,
					 .step = status == HELPER_FAULT ? HELPER_STEP_MAKE_VFS : HELPER_STEP_NONE,
					 .error = error };
	va_start(args, format);
	vsnprintf(ret->detail, sizeof(ret->detail), format, args);
	va_end(args);
}

static bool is_host_driver(const char *driver)
{
	return driver[0] && !driver_is_vfio(driver) && !driver_is_allowed(driver);
}

static void write_number(int device_fd, const struct policy_subject *subject, const struct wish *wish,
			 struct vfs_result *ret)
{
	char text[16];
	uint64_t n = 0;
	int r;

	snprintf(text, sizeof(text), "%u", wish->n);
	r = write_file_at(device_fd, "sriov_numvfs", text);
	if (r == -ENOENT) {
		say(ret, HELPER_FAULT, ENOENT, "its driver %s can't make virtual functions", subject->driver);
		return;
	}
	if (r == 0)
		r = read_u64_at(device_fd, "sriov_numvfs", &n);
	if (r < 0)
		say(ret, HELPER_FAULT, -r, "%s could not make %u: %s; see 'dmesg'", subject->driver, wish->n,
		    strerror(-r));
	else if (n != wish->n)
		say(ret, HELPER_FAULT, EIO, "%s made %u of %u; see 'dmesg'", subject->driver, (unsigned int)n, wish->n);
	else
		ret->n_made = wish->n;
}

/* Some are there, and may be in use: an admin who wants another number takes them away first. */
static void leave(uint64_t present, const struct wish *wish, struct vfs_result *ret)
{
	if (present == wish->n)
		say(ret, HELPER_OK, 0, "it has %u already", wish->n);
	else
		say(ret, HELPER_OK, 0,
		    "it has %u, not NumVFs=%u; to change that, write 0 to its sriov_numvfs, and reload",
		    (unsigned int)present, wish->n);
}

void vfs_make(int device_fd, const struct policy *policy, const struct policy_subject *subject, struct vfs_result *ret)
{
	struct wish wish = { 0 };
	uint64_t total, present;
	int r;

	*ret = (struct vfs_result){ .outcome = { .status = HELPER_OK } };
	wish.n = policy_num_vfs(policy, subject, &wish.file, &wish.line);
	if (wish.n == 0) {
		say(ret, HELPER_REFUSED, 0, "no [Host] section with NumVFs= fits it");
		return;
	}
	if (!is_host_driver(subject->driver)) {
		say(ret, HELPER_REFUSED, 0, "it is on %s, which is no driver of the host's",
		    subject->driver[0] ? subject->driver : "no driver");
		return;
	}
	r = read_u64_at(device_fd, "sriov_totalvfs", &total);
	if (r == 0)
		r = read_u64_at(device_fd, "sriov_numvfs", &present);
	if (r == -ENOENT)
		say(ret, HELPER_REFUSED, 0, "it has no SR-IOV");
	else if (r < 0)
		say(ret, HELPER_FAULT, -r, "sriov_numvfs can't be read: %s", strerror(-r));
	else if (present > 0)
		leave(present, &wish, ret);
	else if (wish.n > total)
		say(ret, HELPER_FAULT, ERANGE, "NumVFs=%u is more than its sriov_totalvfs, %u; see %s:%u", wish.n,
		    (unsigned int)total, wish.file, wish.line);
	else
		write_number(device_fd, subject, &wish, ret);
}
