/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the folder and a descriptor of it; keeps no state besides: what the tree says is what the next call finds.
 * Devices lie below devices/, buses and groups link to them with relative links, as in sysfs.
 */
#include "fake-sysfs-internal.h"

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

void fake_die(const char *format, ...)
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

void fake_format_path(char path[PATH_MAX], const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(path, PATH_MAX, format, args);
	va_end(args);
	if (n < 0 || n >= PATH_MAX) {
		errno = ENAMETOOLONG;
		fake_die("%.100s", path);
	}
}

void fake_make_folders(struct fake_sysfs *fake, const char *path, bool whole)
{
	char part[PATH_MAX];

	fake_format_path(part, "%s%s", path, whole ? "/" : "");
	for (char *slash = strchr(part, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdirat(fake->fd, part, 0755) < 0 && errno != EEXIST)
			fake_die("%s", part);
		*slash = '/';
	}
}

void fake_unlink(struct fake_sysfs *fake, const char *path)
{
	if (unlinkat(fake->fd, path, 0) < 0 && errno != ENOENT)
		fake_die("%s", path);
}

void fake_make_link(struct fake_sysfs *fake, const char *path, const char *target)
{
	char relative[PATH_MAX] = "";
	size_t used = 0;

	fake_make_folders(fake, path, false);
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/'))
		used += snprintf(relative + used, sizeof(relative) - used, "../");
	snprintf(relative + used, sizeof(relative) - used, "%s", target);
	fake_unlink(fake, path);
	if (symlinkat(relative, fake->fd, path) < 0)
		fake_die("%s", path);
}

void fake_sysfs_write(struct fake_sysfs *fake, const char *path, const char *text)
{
	char aside[PATH_MAX];
	int fd;

	fake_make_folders(fake, path, false);
	fake_format_path(aside, "%s.new", path);
	fd = openat(fake->fd, aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		fake_die("%s", aside);
	close_fd(fd);
	if (renameat(fake->fd, aside, fake->fd, path) < 0)
		fake_die("%s", path);
}

void fake_sysfs_read(struct fake_sysfs *fake, const char *path, char *ret, size_t size)
{
	int r = read_file_at(fake->fd, path, ret, size);

	if (r < 0 && r != -ENOENT) {
		errno = -r;
		fake_die("%s", path);
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
		fake_die("%s", fake->path);
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		fake_make_folders(fake, folders[i], true);
	fake_sysfs_write(fake, "bus/pci/drivers_probe", "");
	return fake;
}

static struct fake_sysfs *allocate(void)
{
	struct fake_sysfs *fake = calloc(1, sizeof(*fake));

	if (!fake)
		fake_die("calloc");
	return fake;
}

struct fake_sysfs *fake_sysfs_new(void)
{
	const char *folder = getenv("TMPDIR");
	struct fake_sysfs *fake = allocate();

	fake_format_path(fake->path, "%s/fake-sysfs.XXXXXX", folder ? folder : "/tmp");
	if (!mkdtemp(fake->path))
		fake_die("%s", fake->path);
	fake->temporary = true;
	return open_tree(fake);
}

struct fake_sysfs *fake_sysfs_new_at(const char *path)
{
	struct fake_sysfs *fake = allocate();

	fake_format_path(fake->path, "%s", path);
	return open_tree(fake);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

void fake_remove_tree(const char *path)
{
	if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) < 0)
		fake_die("%s", path);
}

struct fake_sysfs *fake_sysfs_free(struct fake_sysfs *fake)
{
	if (!fake)
		return NULL;
	close_fd(fake->fd);
	if (fake->temporary)
		fake_remove_tree(fake->path);
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

	fake_format_path(path, "bus/%s/drivers/%s", bus, driver);
	if (faccessat(fake->fd, path, F_OK, 0) == 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		fake_format_path(path, "bus/%s/drivers/%s/%s", bus, driver, files[i]);
		fake_sysfs_write(fake, path, "");
	}
}

void fake_sysfs_add_group(struct fake_sysfs *fake, int group, const char *type, const char *regions)
{
	char path[PATH_MAX];

	fake_format_path(path, "kernel/iommu_groups/%d/devices", group);
	fake_make_folders(fake, path, true);
	fake_format_path(path, "kernel/iommu_groups/%d/type", group);
	fake_sysfs_write(fake, path, type);
	fake_format_path(path, "kernel/iommu_groups/%d/reserved_regions", group);
	fake_sysfs_write(fake, path, regions ? regions : USUAL_REGIONS);
}

void fake_sysfs_set_group_name(struct fake_sysfs *fake, int group, const char *name)
{
	char path[PATH_MAX], text[256];

	fake_format_path(path, "kernel/iommu_groups/%d/name", group);
	snprintf(text, sizeof(text), "%s\n", name);
	fake_sysfs_write(fake, path, text);
}

void fake_sysfs_add_iommu(struct fake_sysfs *fake, const char *name, const char *ecap)
{
	char path[PATH_MAX], target[PATH_MAX], text[64];

	fake_format_path(target, "devices/virtual/iommu/%s", name);
	fake_make_folders(fake, target, true);
	if (ecap) {
		fake_format_path(path, "%s/intel-iommu/ecap", target);
		snprintf(text, sizeof(text), "%s\n", ecap);
		fake_sysfs_write(fake, path, text);
	}
	fake_format_path(path, "class/iommu/%s", name);
	fake_make_link(fake, path, target);
}
