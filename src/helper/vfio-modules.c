/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds modules, and never inserts one: the helper has no right to. It asks udevd, which loads modules all the time, by an
 * event of the device with a property that the rule in 70-iommud.rules looks for; udevd takes the alias from the kernel's part
 * of the event. So all that can be had by this is the vfio driver of a device that is there.
 */
#include "helper/vfio-modules.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <libkmod.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/fileio.h"

/* In steps of 20 ms: sysfs tells nobody of a new driver, and udev's end of an event would have to be subscribed to. */
#define LOAD_STEP_NSEC 20000000
#define LOAD_STEPS 250

#define EVENT "change 1d0b0d6e-93a4-4d4f-9c1c-6b0f2d5e7a10 IOMMUDVFIO=1"

DEFINE_CLEANUP(kmod, struct kmod_ctx *, kmod_unref)

static unsigned int count_wildcards(const char *pattern)
{
	unsigned int n = 0;

	for (; *pattern; pattern++)
		n += *pattern == '*' || *pattern == '?' || *pattern == '[';
	return n;
}

/* Of the module's own aliases that match. One that can't be read is worth as much as one for every device. */
static unsigned int least_wildcards(const struct kmod_module *module, const char *alias)
{
	struct kmod_list *list = NULL, *entry;
	unsigned int least = ~0U;

	if (kmod_module_get_info(module, &list) < 0)
		return least;
	kmod_list_foreach(entry, list)
	{
		const char *pattern = kmod_module_info_get_value(entry);
		unsigned int n;

		if (strcmp(kmod_module_info_get_key(entry), "alias") != 0 || fnmatch(pattern, alias, 0) != 0)
			continue;
		n = count_wildcards(pattern);
		least = n < least ? n : least;
	}
	kmod_module_info_free_list(list);
	return least;
}

static int read_modules(const struct kmod_list *list, const char *alias, struct vfio_module ret[VFIO_MODULES_MAX])
{
	const struct kmod_list *entry;
	int n = 0;

	kmod_list_foreach(entry, list)
	{
		struct kmod_module *module = kmod_module_get_module(entry);
		const char *name = kmod_module_get_name(module);

		/* A name that is too long is no driver's that could be written. */
		if (n < VFIO_MODULES_MAX && strlen(name) < DEVICE_DRIVER_MAX) {
			strcpy(ret[n].name, name);
			ret[n++].n_wildcards = least_wildcards(module, alias);
		}
		kmod_module_unref(module);
	}
	return n;
}

/* A variant that an administrator has blacklisted is not chosen. Whether udevd loads it all the same is udevd's affair. */
static int look_up(void *userdata, const char *alias, struct vfio_module ret[VFIO_MODULES_MAX])
{
	const struct vfio_modules *modules = userdata;
	_cleanup_(cleanup_kmod) struct kmod_ctx *kmod = kmod_new(modules->folder, NULL);
	struct kmod_list *found = NULL, *list = NULL;
	int r;

	if (!kmod)
		return -ENOMEM;
	kmod_set_log_priority(kmod, LOG_CRIT);
	r = kmod_module_new_from_lookup(kmod, alias, &found);
	if (r >= 0)
		r = kmod_module_apply_filter(kmod, KMOD_FILTER_BLACKLIST, found, &list);
	if (r >= 0)
		r = read_modules(list, alias, ret);
	kmod_module_unref_list(list);
	kmod_module_unref_list(found);
	return r;
}

static bool is_loaded(void *userdata, const char *driver)
{
	const struct vfio_modules *modules = userdata;
	char path[3 * DEVICE_DRIVER_MAX];

	snprintf(path, sizeof(path), "bus/%s/drivers/%s/bind", modules->bus, driver);
	return faccessat(modules->sysfs_fd, path, F_OK, 0) == 0;
}

__attribute__((format(printf, 2, 3))) static void note(struct vfio_modules *modules, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(modules->note, sizeof(modules->note), format, args);
	va_end(args);
}

static void load(void *userdata, const char *module)
{
	struct vfio_modules *modules = userdata;
	const struct timespec step = { .tv_nsec = LOAD_STEP_NSEC };
	char driver[DEVICE_DRIVER_MAX];
	int r = write_file_at(modules->device_fd, "uevent", EVENT);

	if (r < 0) {
		note(modules, "can't ask udev for the module %s: %s", module, strerror(-r));
		return;
	}
	for (int i = 0; i < LOAD_STEPS; i++) {
		if (vfio_driver_find(&vfio_modules_ops, userdata, module, driver)) {
			note(modules, "module %s was loaded, with the driver %s", module, driver);
			return;
		}
		nanosleep(&step, NULL);
	}
	note(modules, "udev did not load the module %s; 'modprobe %s' says why not", module, module);
}

const struct vfio_driver_ops vfio_modules_ops = { .look_up = look_up, .is_loaded = is_loaded, .load = load };
