/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds the kernel module when iommud starts, as KernelModule= of iommud.conf says, and says what is weaker without it. */
#ifndef IOMMUD_DAEMON_KERNEL_MODULE_H
#define IOMMUD_DAEMON_KERNEL_MODULE_H

#include "hw/ownership.h"
#include "util/config.h"

struct broker;

/*
 * 0, with the module or NULL when it is not used; or a negative errno after the reason was logged: it is required, and not
 * there. Waits, for a few seconds at most, for the node of a module that is loaded to become ours, and for one that is
 * required to come. `dev` is the path of /dev.
 */
int kernel_module_start(enum config_module wanted, const char *dev, struct ownership **ret);
/* Logs what is weaker than it could be. */
void kernel_module_report(enum config_module wanted, const struct broker *broker);

#endif
