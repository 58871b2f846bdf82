/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether a graphics device is the boot display and shows something now, so that taking it away would leave the
 * machine's screen dark or, worse, let the console write into memory that a guest owns.
 *
 * Either a native driver drives it (a `drm` or `graphics` child), or a framebuffer that the firmware set up is still in
 * use by a generic driver. Such a framebuffer is a platform device; newer kernels put it below the graphics device,
 * older ones below /sys/devices/platform, where only `boot_vga` says whose it is. A native driver that takes over makes
 * it vanish.
 */
#include "topology/probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "topology/viability.h"
#include "util/fileio.h"

/* What drivers/firmware/sysfb.c registers (Linux 6.12), each with a number behind the dot. */
static const char *const framebuffer_names[] = {
	"simple-framebuffer.", "efi-framebuffer.", "vesa-framebuffer.", "vga-framebuffer.", "ega-framebuffer.",
};

static bool is_framebuffer_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(framebuffer_names); i++) {
		if (strncmp(name, framebuffer_names[i], strlen(framebuffer_names[i])) == 0)
			return true;
	}
	return false;
}

static void note_framebuffer(struct probe *probe, int bus_fd, const char *name)
{
	char *target = probe->framebuffers[probe->n_framebuffers];
	char path[300];
	ssize_t n;

	snprintf(path, sizeof(path), "%s/driver", name);
	if (faccessat(bus_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	n = readlinkat(bus_fd, name, target, sizeof(probe->framebuffers[0]) - 1);
	target[n < 0 ? 0 : n] = '\0';
	probe->n_framebuffers++;
}

static void read_framebuffers(struct probe *probe)
{
	int bus_fd = probe_open_bus(probe, "platform");
	DIR *folder = bus_fd < 0 ? NULL : fdopendir(bus_fd);
	const struct dirent *entry;

	probe->framebuffers_read = true;
	if (!folder) {
		close_fd(bus_fd);
		return;
	}
	while (probe->n_framebuffers < PROBE_FRAMEBUFFERS && (entry = readdir(folder))) {
		if (is_framebuffer_name(entry->d_name))
			note_framebuffer(probe, bus_fd, entry->d_name);
	}
	closedir(folder);
}

static bool framebuffer_is_below(const struct probe *probe, const char *address)
{
	char part[DEVICE_ADDRESS_MAX + 2];

	snprintf(part, sizeof(part), "/%s/", address);
	for (size_t i = 0; i < probe->n_framebuffers; i++) {
		if (strstr(probe->framebuffers[i], part))
			return true;
	}
	return false;
}

static bool has_display_child(int device_fd)
{
	return faccessat(device_fd, "drm", F_OK, 0) == 0 || faccessat(device_fd, "graphics", F_OK, 0) == 0;
}

bool probe_display_in_use(struct probe *probe, int device_fd, const struct device *device)
{
	char text[8];
	bool boot_vga;

	if (!probe->framebuffers_read)
		read_framebuffers(probe);
	if (framebuffer_is_below(probe, device->id.address))
		return true;
	boot_vga = read_file_at(device_fd, "boot_vga", text, sizeof(text)) == 0 && strcmp(text, "1") == 0;
	if (!boot_vga)
		return false;
	if (probe->n_framebuffers > 0)
		return true;
	return device->driver[0] && !driver_is_vfio(device->driver) && has_display_child(device_fd);
}
