/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The choice of a vfio driver. Owns nothing, and can't fail: what does not work out makes it the generic driver, which drives
 * every device. It never chooses a driver that a restore would not know for one of vfio's.
 */
#include "helper/vfio-driver.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "topology/viability.h"

#define ALIAS_MAX 128

/* "pci:v..." to "vfio_pci:v...". What the kernel would not write is none; a wildcard in it would match anything. */
static bool make_alias(const char *modalias, char ret[ALIAS_MAX])
{
	if (strncmp(modalias, "pci:v", 5) != 0)
		return false;
	for (const char *at = modalias + 4; *at; at++) {
		if (!isalnum((unsigned char)*at))
			return false;
	}
	return (size_t)snprintf(ret, ALIAS_MAX, "vfio_%s", modalias) < ALIAS_MAX;
}

/* Stable, so that of equal ones the last stays the last; they are few. */
static void sort_by_wildcards(struct vfio_module *modules, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		for (size_t j = i; j > 0 && modules[j - 1].n_wildcards < modules[j].n_wildcards; j--) {
			struct vfio_module module = modules[j];

			modules[j] = modules[j - 1];
			modules[j - 1] = module;
		}
	}
}

bool vfio_driver_find(const struct vfio_driver_ops *ops, void *userdata, const char *module,
		      char ret[DEVICE_DRIVER_MAX])
{
	char name[DEVICE_DRIVER_MAX];

	snprintf(name, sizeof(name), "%s", module);
	if (!driver_is_vfio(name) || !ops->is_loaded(userdata, name)) {
		for (char *at = name; (at = strchr(at, '_'));)
			*at = '-';
		if (!driver_is_vfio(name) || !ops->is_loaded(userdata, name))
			return false;
	}
	memcpy(ret, name, sizeof(name));
	return true;
}

/* As libkmod spells the module of a driver. */
static void set_general(struct vfio_module *module, const char *driver)
{
	snprintf(module->name, sizeof(module->name), "%s", driver);
	for (char *at = module->name; (at = strchr(at, '-'));)
		*at = '_';
}

void vfio_driver_choose(const struct vfio_driver_ops *ops, void *userdata, const char *general, const char *modalias,
			char ret[DEVICE_DRIVER_MAX])
{
	struct vfio_module modules[VFIO_MODULES_MAX + 1] = { { .n_wildcards = ~0U } };
	char alias[ALIAS_MAX];
	bool loaded = false;
	int n = 0;

	set_general(&modules[0], general);
	if (make_alias(modalias, alias))
		n = ops->look_up(userdata, alias, modules + 1);
	n = n < 0 ? 1 : n + 1;
	sort_by_wildcards(modules, n);
	/* The best is the last one now. */
	while (n-- > 0) {
		const char *module = modules[n].name;

		if (vfio_driver_find(ops, userdata, module, ret))
			return;
		/* One request loads all that match. */
		if (!loaded)
			ops->load(userdata, module);
		loaded = true;
		if (vfio_driver_find(ops, userdata, module, ret))
			return;
	}
	snprintf(ret, DEVICE_DRIVER_MAX, "%s", general);
}
