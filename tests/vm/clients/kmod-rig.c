/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kmod-rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *edu, *nic, *slot_nic, *slot_nvme, *slot_edu;

void rig_init(void)
{
	edu = getenv("EDU");
	nic = getenv("NIC");
	slot_nic = getenv("MF_NIC");
	slot_nvme = getenv("MF_NVME");
	slot_edu = getenv("MF_EDU");
}

void expect(long expected, long value, const char *what, const char *file, int line)
{
	if (expected == value)
		return;
	fprintf(stderr, "%s:%d: %s is %ld (%s), not %ld (%s)\n", file, line, what, value,
		value < 0 ? strerror((int)-value) : "", expected, expected < 0 ? strerror((int)-expected) : "");
	exit(1);
}

int must(int value, const char *what, const char *file, int line)
{
	if (value >= 0)
		return value;
	fprintf(stderr, "%s:%d: %s: %s\n", file, line, what, strerror(-value));
	exit(1);
}

int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return r;
}

const char *driver_of(const char *device)
{
	static char target[256];
	char path[128];
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", device);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return "";
	target[n] = '\0';
	return strrchr(target, '/') + 1;
}

void set_override(const char *device, const char *driver)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", device);
	EXPECT(0, write_text(path, driver[0] ? driver : "\n"));
}

void read_override(const char *device, char *ret, size_t size)
{
	char path[128];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", device);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = read(fd, ret, size - 1);
	close(fd);
	EXPECT(true, n > 0);
	ret[n] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
}

int bind_to(const char *device, const char *driver)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s/bind", driver);
	return write_text(path, device);
}

void unbind(const char *device)
{
	char path[128];

	if (!driver_of(device)[0])
		return;
	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s/unbind", driver_of(device));
	EXPECT(0, write_text(path, device));
}

void move_to(const char *device, const char *driver)
{
	unbind(device);
	set_override(device, driver);
	if (driver[0])
		EXPECT(0, bind_to(device, driver));
	EXPECT(0, strcmp(driver, driver_of(device)));
}

void give_back(const char *device, const char *driver)
{
	unbind(device);
	set_override(device, "");
	if (driver[0])
		EXPECT(0, bind_to(device, driver));
}

void wait_driver(const char *device, const char *driver)
{
	/* The kernel tells nobody that it has ended. */
	for (int i = 0; i < 2000 && strcmp(driver_of(device), driver) != 0; i++)
		usleep(10000);
	EXPECT(0, strcmp(driver_of(device), driver));
}

void remove_device(const char *device)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/remove", device);
	EXPECT(0, write_text(path, "1"));
}

void clear_slot(void)
{
	move_to(slot_nic, "");
	move_to(slot_nvme, "");
	move_to(slot_edu, "vfio-pci");
}

void restore_slot(void)
{
	give_back(slot_edu, "");
	give_back(slot_nic, "e1000");
	give_back(slot_nvme, "nvme");
}

int new_iommufd(void)
{
	int fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}
