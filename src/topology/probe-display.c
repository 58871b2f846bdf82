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

/* What drivers/firmware/sysfb.c registers (Linux 6.12), each with a number behind a dot. */
static const char *const framebuffer_names[] = {
	[DISPLAY_SIMPLE] = "simple-framebuffer", [DISPLAY_EFI] = "efi-framebuffer", [DISPLAY_VESA] = "vesa-framebuffer",
	[DISPLAY_VGA] = "vga-framebuffer",       [DISPLAY_EGA] = "ega-framebuffer",
};

const char *display_framebuffer_name(enum display_holder holder)
{
	return holder < ARRAY_SIZE(framebuffer_names) ? framebuffer_names[holder] : NULL;
}

/* DISPLAY_FREE: it is no framebuffer's name. */
static enum display_holder find_framebuffer(const char *name)
{
	for (enum display_holder i = DISPLAY_SIMPLE; i < ARRAY_SIZE(framebuffer_names); i++) {
		size_t length = strlen(framebuffer_names[i]);

		if (strncmp(name, framebuffer_names[i], length) == 0 && name[length] == '.')
			return i;
	}
	return DISPLAY_FREE;
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
		if (find_framebuffer(entry->d_name) != DISPLAY_FREE)
			note_framebuffer(probe, bus_fd, entry->d_name);
	}
	closedir(folder);
}

/* The framebuffer is the last part of what its link on the bus leads to. */
static enum display_holder holder_of(const char *framebuffer)
{
	const char *slash = strrchr(framebuffer, '/');

	return find_framebuffer(slash ? slash + 1 : framebuffer);
}

static enum display_holder find_below(const struct probe *probe, const char *address)
{
	char part[DEVICE_ADDRESS_MAX + 2];

	snprintf(part, sizeof(part), "/%s/", address);
	for (size_t i = 0; i < probe->n_framebuffers; i++) {
		if (strstr(probe->framebuffers[i], part))
			return holder_of(probe->framebuffers[i]);
	}
	return DISPLAY_FREE;
}

static bool has_display_child(int device_fd)
{
	return faccessat(device_fd, "drm", F_OK, 0) == 0 || faccessat(device_fd, "graphics", F_OK, 0) == 0;
}

enum display_holder probe_display(struct probe *probe, int device_fd, const struct device *device)
{
	enum display_holder below;
	char text[8];

	if (!probe->framebuffers_read)
		read_framebuffers(probe);
	below = find_below(probe, device->id.address);
	if (below != DISPLAY_FREE)
		return below;
	if (read_file_at(device_fd, "boot_vga", text, sizeof(text)) < 0 || strcmp(text, "1") != 0)
		return DISPLAY_FREE;
	if (probe->n_framebuffers > 0)
		return holder_of(probe->framebuffers[0]);
	if (device->driver[0] && !driver_is_vfio(device->driver) && has_display_child(device_fd))
		return DISPLAY_DRIVER;
	return DISPLAY_FREE;
}
