/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What Label= means for the nodes of a device, on a system with SELinux. */
#ifndef IOMMUD_HELPER_LABEL_DEVICE_H
#define IOMMUD_HELPER_LABEL_DEVICE_H

#include "helper/authority.h"
#include "helper/node-labels.h"

extern const struct node_label_ops node_label_selinux;

/*
 * Gives the nodes of a device that is on a vfio driver now the context that the label means, when udev is done with them: it
 * labels new nodes itself. A label that is no context of the loaded policy is left to the broker, which compares strings; the
 * note says so. May wait for udev, 5 s at most. 0 or a negative errno, then the note says why.
 */
int label_device(struct node_labels *labels, int sysfs_fd, int device_fd, const struct node_label *label);

#endif
