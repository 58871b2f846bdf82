/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns one libpci handle that is never initialised for access to devices: only its table of ids is used, and libpci
 * reads that at the first question.
 *
 * libpci's way with an error is to exit. A daemon must not end because of a broken list of names, so the error handler
 * jumps back here and the names are given up. What libpci had allocated up to there stays in its handle and goes with
 * it.
 */
#include "topology/names.h"

#include <errno.h>
#include <pci/pci.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/log.h"

#define LOOKUP_FLAGS (PCI_LOOKUP_NO_NUMBERS | PCI_LOOKUP_NO_HWDB)

struct device_names {
	struct pci_access *access;
	bool broken;
};

/* libpci hands its handlers no pointer of ours. Set only while one of its functions runs. */
static _Thread_local jmp_buf *way_out;

static void __attribute__((noreturn, format(printf, 1, 2))) on_error(char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	log_debug("libpci: %s", text);
	longjmp(*way_out, 1);
}

static void __attribute__((format(printf, 1, 2))) on_message(char *format, ...)
{
}

int device_names_new(const char *path, struct device_names **ret)
{
	_cleanup_free_ struct device_names *names = calloc(1, sizeof(*names));
	char *copy = NULL;

	if (!names)
		return -ENOMEM;
	if (path) {
		copy = strdup(path);
		if (!copy)
			return -ENOMEM;
	}
	names->access = pci_alloc();
	names->access->error = on_error;
	names->access->warning = on_message;
	names->access->debug = on_message;
	if (copy)
		pci_set_name_list_path(names->access, copy, 1);
	*ret = TAKE_PTR(names);
	return 0;
}

struct device_names *device_names_free(struct device_names *names)
{
	if (!names)
		return NULL;
	pci_cleanup(names->access);
	free(names);
	return NULL;
}

static const char *ask(struct device_names *names, char *buffer, size_t size, int what, unsigned int first,
		       unsigned int second)
{
	jmp_buf here;
	const char *name;

	if (names->broken)
		return NULL;
	way_out = &here;
	if (setjmp(here)) {
		names->broken = true;
		way_out = NULL;
		return NULL;
	}
	name = pci_lookup_name(names->access, buffer, size, what | LOOKUP_FLAGS, first, second);
	way_out = NULL;
	return name;
}

static bool look_up(struct device_names *names, int what, unsigned int first, unsigned int second, char *ret,
		    size_t size)
{
	char buffer[DEVICE_NAME_MAX];
	const char *name = ask(names, buffer, sizeof(buffer), what, first, second);

	if (!name)
		return false;
	snprintf(ret, size, "%s", name);
	return true;
}

bool device_names_vendor(struct device_names *names, const struct device_id *id, char *ret, size_t size)
{
	return look_up(names, PCI_LOOKUP_VENDOR, id->vendor, 0, ret, size);
}

bool device_names_device(struct device_names *names, const struct device_id *id, char *ret, size_t size)
{
	return look_up(names, PCI_LOOKUP_DEVICE, id->vendor, id->device, ret, size);
}

bool device_names_class(struct device_names *names, const struct device_id *id, char *ret, size_t size)
{
	return look_up(names, PCI_LOOKUP_CLASS, id->class >> 8, 0, ret, size);
}
