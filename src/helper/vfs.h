/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Has a physical function make its virtual functions (SR-IOV), as a [Host] section says. Their number comes from the
 * helper's own policy. There are never less of them afterwards: what has some is left alone.
 */
#ifndef IOMMUD_HELPER_VFS_H
#define IOMMUD_HELPER_VFS_H

#include "helper/transition.h"
#include "policy/policy.h"

struct vfs_result {
	struct outcome outcome; /* OK, REFUSED: there is nothing to be done; FAULT: it could not be done */
	unsigned int n_made; /* 0: there was nothing to do, or it was not done */
	char detail[HELPER_DETAIL_MAX]; /* for people, also of what was left as it is; may be empty */
};

/*
 * `device_fd` is the device's folder in sysfs. Blocks for as long as the driver takes, and as long as the kernel holds the
 * device's lock: for a worker.
 */
void vfs_make(int device_fd, const struct policy *policy, const struct policy_subject *subject, struct vfs_result *ret);

#endif
