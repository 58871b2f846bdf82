/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A stand-in for /sys of plain files in a folder: devices, buses, drivers, IOMMU groups and IOMMUs, laid out and linked
 * as the kernel does it. Nothing reacts by itself: a text written to `bind` stays there, for the test to read.
 *
 * For tests: whatever goes wrong ends the program with a message. Files are replaced by rename(), so that a reader
 * never sees half of one.
 */
#ifndef IOMMUD_TESTS_FAKE_SYSFS_H
#define IOMMUD_TESTS_FAKE_SYSFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fake_sysfs;

#define FAKE_NO_GROUP (-1)

/* Texts that are NULL and numbers that are 0 leave the attribute out, or give what is said here. */
struct fake_device {
	const char *address;
	const char *bus; /* NULL: pci */
	const char *parent; /* path of the parent below /sys/devices; NULL: pci0000:00, or platform for other buses */
	uint16_t vendor;
	uint16_t device;
	uint16_t subsystem_vendor;
	uint16_t subsystem_device;
	uint32_t class;
	int group; /* made when it is new; FAKE_NO_GROUP: none */
	const char *driver; /* made when it is new */
	const char *driver_override; /* NULL: the kernel's "(null)" */
	const char *numa_node; /* NULL: "-1" */
	const char *physfn; /* address of the physical function on the same bus */
	const char *reset_method; /* as in the file: "flr bus" */
	const char *boot_vga; /* "0" or "1" */
	const char *iommu; /* an IOMMU that fake_sysfs_add_iommu() made */
};

/* Makes an empty tree in a new temporary folder, or in `path`, which must exist and is left there at the end. */
struct fake_sysfs *fake_sysfs_new(void);
struct fake_sysfs *fake_sysfs_new_at(const char *path);

/* Removes the temporary folder. Returns NULL; NULL is accepted. */
struct fake_sysfs *fake_sysfs_free(struct fake_sysfs *fake);

/* The folder that stands for /sys, and a descriptor of it (borrowed). */
const char *fake_sysfs_path(const struct fake_sysfs *fake);
int fake_sysfs_fd(const struct fake_sysfs *fake);

/* A driver's folder with `bind`, `unbind` and `new_id`. There already: nothing happens. */
void fake_sysfs_add_driver(struct fake_sysfs *fake, const char *bus, const char *driver);

/* A group with its `type` and `reserved_regions`. `regions` is the file's text; NULL: the usual MSI window. */
void fake_sysfs_add_group(struct fake_sysfs *fake, int group, const char *type, const char *regions);

/* /sys/kernel/iommu_groups/GROUP/name, as vfio sets it to "vfio-noiommu". */
void fake_sysfs_set_group_name(struct fake_sysfs *fake, int group, const char *name);

/* /sys/class/iommu/NAME; with `ecap`, it is one of Intel's with that extended capability (hexadecimal, no 0x). */
void fake_sysfs_add_iommu(struct fake_sysfs *fake, const char *name, const char *ecap);

/* A device with its links on both sides, or its end. Removing what is not there does nothing. */
void fake_sysfs_add_device(struct fake_sysfs *fake, const struct fake_device *device);
void fake_sysfs_remove_device(struct fake_sysfs *fake, const char *address);

/* Binds as the kernel would show it (link, folder, uevent); NULL unbinds. The driver is made when it is new. */
void fake_sysfs_set_driver(struct fake_sysfs *fake, const char *address, const char *driver);

/* Moves a device to another group, as after a removal and a rescan; FAKE_NO_GROUP takes it out. */
void fake_sysfs_set_group(struct fake_sysfs *fake, const char *address, int group);

/* A file of a device, made or replaced; NULL removes it. The text gets a newline. */
void fake_sysfs_set_attribute(struct fake_sysfs *fake, const char *address, const char *name, const char *text);

/* Any file below the tree, its folders made when needed; the text as it is. */
void fake_sysfs_write(struct fake_sysfs *fake, const char *path, const char *text);

/* The text of any file below the tree, without trailing newlines; "" when it is empty or not there. */
void fake_sysfs_read(struct fake_sysfs *fake, const char *path, char *ret, size_t size);

#endif
