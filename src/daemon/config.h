/* SPDX-License-Identifier: GPL-2.0-or-later */
/* iommud.conf: one table of keys, strict. What it does not name has the default. */
#ifndef IOMMUD_DAEMON_CONFIG_H
#define IOMMUD_DAEMON_CONFIG_H

#include <stddef.h>
#include <stdint.h>

struct config {
	unsigned int max_connections;
	unsigned int max_connections_per_user;
	unsigned int max_leases_per_user;
	uint64_t prepare_timeout_usec;
	uint64_t linger_after_usec;
	uint64_t message_timeout_usec;
	uint64_t send_timeout_usec;
	size_t event_buffer_size;
};

void config_set_defaults(struct config *config);

/*
 * Reads `path` over what `config` holds. 0; -EINVAL after errors, each of which was logged with file, line and column;
 * another negative errno when it can't be read. A missing file is -ENOENT.
 */
int config_load(const char *path, struct config *config);

#endif
