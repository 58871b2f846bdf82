/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the folder and a descriptor of it; keeps no state besides: what the tree says is what the next call finds.
 * Devices lie below devices/, buses and groups link to them with relative links, as in sysfs.
 */
#include "fake-sysfs.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/fileio.h"

#define USUAL_REGIONS "0x00000000fee00000 0x00000000feefffff msi\n"
#define TEXT_MAX 8192

struct fake_sysfs {
	char path[PATH_MAX];
	int fd;
	bool temporary;
};

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...)
{
	int saved = errno;
	va_list args;

	fputs("fake-sysfs: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, ": %s\n", strerror(saved));
	abort();
}

static void __attribute__((format(printf, 2, 3))) format_path(char path[PATH_MAX], const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(path, PATH_MAX, format, args);
	va_end(args);
	if (n < 0 || n >= PATH_MAX) {
		errno = ENAMETOOLONG;
		die("%.100s", path);
	}
}

/* All folders of `path`, and with `whole` its last component too. */
static void make_folders(struct fake_sysfs *fake, const char *path, bool whole)
{
	char part[PATH_MAX];

	format_path(part, "%s%s", path, whole ? "/" : "");
	for (char *slash = strchr(part, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdirat(fake->fd, part, 0755) < 0 && errno != EEXIST)
			die("%s", part);
		*slash = '/';
	}
}

static void unlink_path(struct fake_sysfs *fake, const char *path)
{
	if (unlinkat(fake->fd, path, 0) < 0 && errno != ENOENT)
		die("%s", path);
}

/* "../../.." for a link at `path` to reach the tree's top. */
static void make_link(struct fake_sysfs *fake, const char *path, const char *target)
{
	char relative[PATH_MAX] = "";
	size_t used = 0;

	make_folders(fake, path, false);
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/'))
		used += snprintf(relative + used, sizeof(relative) - used, "../");
	snprintf(relative + used, sizeof(relative) - used, "%s", target);
	unlink_path(fake, path);
	if (symlinkat(relative, fake->fd, path) < 0)
		die("%s", path);
}

void fake_sysfs_write(struct fake_sysfs *fake, const char *path, const char *text)
{
	char aside[PATH_MAX];
	int fd;

	make_folders(fake, path, false);
	format_path(aside, "%s.new", path);
	fd = openat(fake->fd, aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		die("%s", aside);
	close_fd(fd);
	if (renameat(fake->fd, aside, fake->fd, path) < 0)
		die("%s", path);
}

void fake_sysfs_read(struct fake_sysfs *fake, const char *path, char *ret, size_t size)
{
	int r = read_file_at(fake->fd, path, ret, size);

	if (r < 0 && r != -ENOENT) {
		errno = -r;
		die("%s", path);
	}
	if (r < 0)
		ret[0] = '\0';
}

static struct fake_sysfs *open_tree(struct fake_sysfs *fake)
{
	static const char *const folders[] = { "bus/pci/devices", "bus/pci/drivers", "class/iommu", "devices",
					       "kernel/iommu_groups" };

	fake->fd = open(fake->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fake->fd < 0)
		die("%s", fake->path);
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		make_folders(fake, folders[i], true);
	fake_sysfs_write(fake, "bus/pci/drivers_probe", "");
	return fake;
}

static struct fake_sysfs *allocate(void)
{
	struct fake_sysfs *fake = calloc(1, sizeof(*fake));

	if (!fake)
		die("calloc");
	return fake;
}

struct fake_sysfs *fake_sysfs_new(void)
{
	const char *folder = getenv("TMPDIR");
	struct fake_sysfs *fake = allocate();

	format_path(fake->path, "%s/fake-sysfs.XXXXXX", folder ? folder : "/tmp");
	if (!mkdtemp(fake->path))
		die("%s", fake->path);
	fake->temporary = true;
	return open_tree(fake);
}

struct fake_sysfs *fake_sysfs_new_at(const char *path)
{
	struct fake_sysfs *fake = allocate();

	format_path(fake->path, "%s", path);
	return open_tree(fake);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

struct fake_sysfs *fake_sysfs_free(struct fake_sysfs *fake)
{
	if (!fake)
		return NULL;
	close_fd(fake->fd);
	if (fake->temporary && nftw(fake->path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) < 0)
		die("%s", fake->path);
	free(fake);
	return NULL;
}

const char *fake_sysfs_path(const struct fake_sysfs *fake)
{
	return fake->path;
}

int fake_sysfs_fd(const struct fake_sysfs *fake)
{
	return fake->fd;
}

void fake_sysfs_add_driver(struct fake_sysfs *fake, const char *bus, const char *driver)
{
	static const char *const files[] = { "bind", "unbind", "new_id" };
	char path[PATH_MAX];

	format_path(path, "bus/%s/drivers/%s", bus, driver);
	if (faccessat(fake->fd, path, F_OK, 0) == 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		format_path(path, "bus/%s/drivers/%s/%s", bus, driver, files[i]);
		fake_sysfs_write(fake, path, "");
	}
}

void fake_sysfs_add_group(struct fake_sysfs *fake, int group, const char *type, const char *regions)
{
	char path[PATH_MAX];

	format_path(path, "kernel/iommu_groups/%d/devices", group);
	make_folders(fake, path, true);
	format_path(path, "kernel/iommu_groups/%d/type", group);
	fake_sysfs_write(fake, path, type);
	format_path(path, "kernel/iommu_groups/%d/reserved_regions", group);
	fake_sysfs_write(fake, path, regions ? regions : USUAL_REGIONS);
}

void fake_sysfs_set_group_name(struct fake_sysfs *fake, int group, const char *name)
{
	char path[PATH_MAX], text[256];

	format_path(path, "kernel/iommu_groups/%d/name", group);
	snprintf(text, sizeof(text), "%s\n", name);
	fake_sysfs_write(fake, path, text);
}

void fake_sysfs_add_iommu(struct fake_sysfs *fake, const char *name, const char *ecap)
{
	char path[PATH_MAX], target[PATH_MAX], text[64];

	format_path(target, "devices/virtual/iommu/%s", name);
	make_folders(fake, target, true);
	if (ecap) {
		format_path(path, "%s/intel-iommu/ecap", target);
		snprintf(text, sizeof(text), "%s\n", ecap);
		fake_sysfs_write(fake, path, text);
	}
	format_path(path, "class/iommu/%s", name);
	make_link(fake, path, target);
}

/* The device's folder below the tree, through its bus's link. Returns false when no bus has it. */
static bool find_device(struct fake_sysfs *fake, const char *address, char ret[PATH_MAX], char bus[64])
{
	static const char *const buses[] = { "pci", "platform", "mdev", "amba", "fsl-mc", "cdx" };
	char link[PATH_MAX], target[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(buses); i++) {
		ssize_t n;

		format_path(link, "bus/%s/devices/%s", buses[i], address);
		n = readlinkat(fake->fd, link, target, sizeof(target) - 1);
		if (n < 0)
			continue;
		target[n] = '\0';
		format_path(ret, "%s", strstr(target, "devices/"));
		snprintf(bus, 64, "%s", buses[i]);
		return true;
	}
	return false;
}

static void need_device(struct fake_sysfs *fake, const char *address, char ret[PATH_MAX], char bus[64])
{
	if (find_device(fake, address, ret, bus))
		return;
	errno = ENOENT;
	die("%s", address);
}

void fake_sysfs_set_attribute(struct fake_sysfs *fake, const char *address, const char *name, const char *text)
{
	char folder[PATH_MAX], path[PATH_MAX], line[TEXT_MAX], bus[64];

	need_device(fake, address, folder, bus);
	format_path(path, "%s/%s", folder, name);
	if (!text) {
		unlink_path(fake, path);
		return;
	}
	snprintf(line, sizeof(line), "%s\n", text);
	fake_sysfs_write(fake, path, line);
}

/* The uevent's lines but DRIVER, with the new driver in front, where the kernel puts it. */
static void rewrite_uevent(struct fake_sysfs *fake, const char *folder, const char *driver)
{
	char path[PATH_MAX], old[TEXT_MAX], text[TEXT_MAX], *rest = old, *line;
	size_t used = 0;

	format_path(path, "%s/uevent", folder);
	fake_sysfs_read(fake, path, old, sizeof(old));
	if (driver)
		used += snprintf(text, sizeof(text), "DRIVER=%s\n", driver);
	text[used] = '\0';
	while ((line = strsep(&rest, "\n"))) {
		if (*line && strncmp(line, "DRIVER=", 7) != 0)
			used += snprintf(text + used, sizeof(text) - used, "%s\n", line);
	}
	fake_sysfs_write(fake, path, text);
}

void fake_sysfs_set_driver(struct fake_sysfs *fake, const char *address, const char *driver)
{
	char folder[PATH_MAX], link[PATH_MAX], path[PATH_MAX], former[256], bus[64];

	need_device(fake, address, folder, bus);
	format_path(link, "%s/driver", folder);
	if (read_link_name_at(fake->fd, link, former, sizeof(former)) == 0) {
		format_path(path, "bus/%s/drivers/%s/%s", bus, former, address);
		unlink_path(fake, path);
		unlink_path(fake, link);
	}
	if (driver) {
		fake_sysfs_add_driver(fake, bus, driver);
		format_path(path, "bus/%s/drivers/%s", bus, driver);
		make_link(fake, link, path);
		format_path(path, "bus/%s/drivers/%s/%s", bus, driver, address);
		make_link(fake, path, folder);
	}
	rewrite_uevent(fake, folder, driver);
}

/* A group whose last device goes, goes too. */
static void leave_group(struct fake_sysfs *fake, const char *folder, const char *address)
{
	static const char *const files[] = { "type", "reserved_regions", "name" };
	char link[PATH_MAX], path[PATH_MAX], group[32];

	format_path(link, "%s/iommu_group", folder);
	if (read_link_name_at(fake->fd, link, group, sizeof(group)) < 0)
		return;
	unlink_path(fake, link);
	format_path(path, "kernel/iommu_groups/%s/devices/%s", group, address);
	unlink_path(fake, path);
	format_path(path, "kernel/iommu_groups/%s/devices", group);
	if (unlinkat(fake->fd, path, AT_REMOVEDIR) < 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		format_path(path, "kernel/iommu_groups/%s/%s", group, files[i]);
		unlink_path(fake, path);
	}
	format_path(path, "kernel/iommu_groups/%s", group);
	if (unlinkat(fake->fd, path, AT_REMOVEDIR) < 0)
		die("%s", path);
}

static void join_group(struct fake_sysfs *fake, const char *folder, const char *address, int group)
{
	char path[PATH_MAX], link[PATH_MAX];

	format_path(path, "kernel/iommu_groups/%d", group);
	if (faccessat(fake->fd, path, F_OK, 0) < 0)
		fake_sysfs_add_group(fake, group, "DMA\n", NULL);
	format_path(link, "%s/devices/%s", path, address);
	make_link(fake, link, folder);
	format_path(link, "%s/iommu_group", folder);
	make_link(fake, link, path);
}

void fake_sysfs_set_group(struct fake_sysfs *fake, const char *address, int group)
{
	char folder[PATH_MAX], bus[64];

	need_device(fake, address, folder, bus);
	leave_group(fake, folder, address);
	if (group != FAKE_NO_GROUP)
		join_group(fake, folder, address, group);
}

static void write_uevent(struct fake_sysfs *fake, const char *folder, const struct fake_device *device, bool pci)
{
	char path[PATH_MAX], text[TEXT_MAX] = "";

	if (pci)
		snprintf(text, sizeof(text),
			 "PCI_CLASS=%X\nPCI_ID=%04X:%04X\nPCI_SUBSYS_ID=%04X:%04X\nPCI_SLOT_NAME=%s\n", device->class,
			 device->vendor, device->device, device->subsystem_vendor, device->subsystem_device,
			 device->address);
	format_path(path, "%s/uevent", folder);
	fake_sysfs_write(fake, path, text);
}

static void write_attributes(struct fake_sysfs *fake, const struct fake_device *device, bool pci)
{
	const char *address = device->address;
	char value[32];

	fake_sysfs_set_attribute(fake, address, "driver_override",
				 device->driver_override ? device->driver_override : "(null)");
	fake_sysfs_set_attribute(fake, address, "numa_node", device->numa_node ? device->numa_node : "-1");
	if (device->reset_method)
		fake_sysfs_set_attribute(fake, address, "reset_method", device->reset_method);
	if (device->boot_vga)
		fake_sysfs_set_attribute(fake, address, "boot_vga", device->boot_vga);
	if (!pci)
		return;
	snprintf(value, sizeof(value), "0x%04x", device->vendor);
	fake_sysfs_set_attribute(fake, address, "vendor", value);
	snprintf(value, sizeof(value), "0x%04x", device->device);
	fake_sysfs_set_attribute(fake, address, "device", value);
	snprintf(value, sizeof(value), "0x%04x", device->subsystem_vendor);
	fake_sysfs_set_attribute(fake, address, "subsystem_vendor", value);
	snprintf(value, sizeof(value), "0x%04x", device->subsystem_device);
	fake_sysfs_set_attribute(fake, address, "subsystem_device", value);
	snprintf(value, sizeof(value), "0x%06x", device->class);
	fake_sysfs_set_attribute(fake, address, "class", value);
	snprintf(value, sizeof(value), "pci:v%08Xd%08X", device->vendor, device->device);
	fake_sysfs_set_attribute(fake, address, "modalias", value);
}

static void link_relatives(struct fake_sysfs *fake, const char *folder, const struct fake_device *device)
{
	char link[PATH_MAX], target[PATH_MAX], bus[64];

	if (device->physfn) {
		need_device(fake, device->physfn, target, bus);
		format_path(link, "%s/physfn", folder);
		make_link(fake, link, target);
	}
	if (device->iommu) {
		format_path(target, "devices/virtual/iommu/%s", device->iommu);
		format_path(link, "%s/iommu", folder);
		make_link(fake, link, target);
	}
}

void fake_sysfs_add_device(struct fake_sysfs *fake, const struct fake_device *device)
{
	const char *bus = device->bus ? device->bus : "pci";
	bool pci = strcmp(bus, "pci") == 0;
	const char *parent = device->parent ? device->parent : pci ? "pci0000:00" : "platform";
	char folder[PATH_MAX], link[PATH_MAX], target[PATH_MAX];

	format_path(folder, "devices/%s/%s", parent, device->address);
	make_folders(fake, folder, true);
	write_uevent(fake, folder, device, pci);
	format_path(target, "bus/%s", bus);
	format_path(link, "%s/subsystem", folder);
	make_link(fake, link, target);
	format_path(link, "bus/%s/devices/%s", bus, device->address);
	make_link(fake, link, folder);
	write_attributes(fake, device, pci);
	link_relatives(fake, folder, device);
	if (device->group != FAKE_NO_GROUP)
		join_group(fake, folder, device->address, device->group);
	if (device->driver)
		fake_sysfs_set_driver(fake, device->address, device->driver);
}

void fake_sysfs_remove_device(struct fake_sysfs *fake, const char *address)
{
	char folder[PATH_MAX], path[PATH_MAX], bus[64];

	if (!find_device(fake, address, folder, bus))
		return;
	fake_sysfs_set_driver(fake, address, NULL);
	leave_group(fake, folder, address);
	format_path(path, "bus/%s/devices/%s", bus, address);
	unlink_path(fake, path);
	format_path(path, "%s/%s", fake->path, folder);
	if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) < 0)
		die("%s", path);
}
