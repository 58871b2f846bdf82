/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names of vendors, devices and classes for people to read, by libpci from the system's pci.ids. Never from the
 * network, never from a device's configuration space. Not thread-safe.
 */
#ifndef IOMMUD_TOPOLOGY_NAMES_H
#define IOMMUD_TOPOLOGY_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "util/device-id.h"

#define DEVICE_NAME_MAX 256

struct device_names;

/*
 * `path` names another pci.ids file, NULL the system's. The file is read at the first question (1.3 MB, some
 * milliseconds); when it is missing or broken nothing has a name, which is no error. -ENOMEM.
 */
int device_names_new(const char *path, struct device_names **ret);
struct device_names *device_names_free(struct device_names *names);

/* Fill `ret` (cut to `size`) and return true, or return false and leave it alone when there is no name. */
bool device_names_vendor(struct device_names *names, const struct device_id *id, char *ret, size_t size);
bool device_names_device(struct device_names *names, const struct device_id *id, char *ret, size_t size);

/* The class is named by its subclass ("VGA compatible controller"), or by its base class if that has no name. */
bool device_names_class(struct device_names *names, const struct device_id *id, char *ret, size_t size);

#endif
