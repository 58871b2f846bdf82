/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What tells a device from others of its kind: the path that udev gives it, and its serial number. Read alike by broker and
 * helper, so that both decide alike. What can't be read is an empty text. Waits for no lock of a device.
 */
#ifndef IOMMUD_TOPOLOGY_PARTICULARS_H
#define IOMMUD_TOPOLOGY_PARTICULARS_H

#include <stdbool.h>

#include "util/device-id.h"

#define UDEV_DATA "/run/udev/data" /* udev's database, a file a device; world-readable, root's */

/* ID_PATH from the database in the folder `udev_data`. Empty where udev gives the device none, or has not seen it yet. */
void particulars_read_path(const char *udev_data, const char *bus, const char *address, char ret[DEVICE_PATH_MAX]);

/* Whether the serial number is the one that an NVMe controller reports, and no other. */
bool particulars_is_nvme(const struct device_id *id);

/* By the device's open folder: of an NVMe controller that is on its host driver. */
void particulars_read_nvme_serial(int device_fd, char ret[DEVICE_SERIAL_MAX]);

#endif
