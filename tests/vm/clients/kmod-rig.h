/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the programs that try /dev/iommud share: expectations that end the program with their line, and the machine's devices
 * and drivers. Nothing here returns when it fails, unless it says what.
 */
#ifndef TESTS_VM_KMOD_RIG_H
#define TESTS_VM_KMOD_RIG_H

#include <stddef.h>

void expect(long expected, long value, const char *what, const char *file, int line);
#define EXPECT(expected, value) expect((expected), (value), #value, __FILE__, __LINE__)

/* A descriptor or a count: not a negative errno. */
int must(int value, const char *what, const char *file, int line);
#define MUST(value) must((value), #value, __FILE__, __LINE__)

/* The machine's devices (machines/default), from the environment. */
extern const char *edu, *nic, *slot_nic, *slot_nvme, *slot_edu;
void rig_init(void);

/* 0 or a negative errno */
int write_text(const char *path, const char *text);
/* "": none. Valid until the next call. */
const char *driver_of(const char *device);
void set_override(const char *device, const char *driver); /* "": none */
void read_override(const char *device, char *ret, size_t size);
/* 0 or a negative errno */
int bind_to(const char *device, const char *driver);
void unbind(const char *device);
/* By its override, which stays; "" is none. */
void move_to(const char *device, const char *driver);
/* Without an override. */
void give_back(const char *device, const char *driver);
/* Until a work item of the kernel's has bound it. */
void wait_driver(const char *device, const char *driver);
void remove_device(const char *device);

/* The multifunction slot without host drivers, its edu on vfio-pci; and back. */
void clear_slot(void);
void restore_slot(void);

/* A descriptor, or a negative errno. */
int new_iommufd(void);

#endif
