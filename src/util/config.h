/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * iommud.conf, which iommud and iommud-helper both read when they start: one table of keys, strict, so that a file that is wrong
 * for the one is wrong for the other. What it does not name has the default.
 */
#ifndef IOMMUD_UTIL_CONFIG_H
#define IOMMUD_UTIL_CONFIG_H

#include <stddef.h>
#include <stdint.h>

/* Whether iommud uses the kernel module. */
enum config_module {
	CONFIG_MODULE_OFF,
	CONFIG_MODULE_PREFER, /* where it is loaded; what is weaker without it is said */
	CONFIG_MODULE_REQUIRE, /* iommud does not start without */
};

struct config {
	unsigned int max_connections;
	unsigned int max_connections_per_user;
	unsigned int max_leases_per_user;
	uint64_t prepare_timeout_usec;
	uint64_t linger_after_usec;
	uint64_t message_timeout_usec;
	uint64_t send_timeout_usec;
	size_t event_buffer_size;
	uint64_t worker_timeout_usec;
	unsigned int max_workers;
	unsigned int kernel_module; /* enum config_module */
};

#define CONFIG_WORKER_TIMEOUT_MAX 3600 /* seconds; the helper's options have the same bounds */
#define CONFIG_WORKERS_MAX 256

/* As iommud.conf has it. */
const char *config_module_name(unsigned int module);

void config_set_defaults(struct config *config);

/*
 * Reads `path` over what `config` holds. 0; -EINVAL after errors, each of which was logged with file, line and column;
 * another negative errno when it can't be read. A missing file is -ENOENT.
 */
int config_load(const char *path, struct config *config);

/*
 * What a daemon does when it starts: the defaults, and over them `path`; NULL: the system's file, which may be missing. 0, or a
 * negative errno after the reason was logged.
 */
int config_start(const char *path, struct config *config);

#endif
