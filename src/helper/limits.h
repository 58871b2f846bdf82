/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a client may pin, before it gets its devices. Never blocks, so it needs no worker. */
#ifndef IOMMUD_HELPER_LIMITS_H
#define IOMMUD_HELPER_LIMITS_H

#include "helper/helper.h"
#include "hw/helper-wire.h"

/* Serves MEMLOCK and replies. `client_fd` is borrowed. */
void limits_memlock(struct helper *helper, uint64_t connection, const struct helper_request *request, int client_fd);

/* Serves RLIMIT_MODE and replies. Both descriptors are borrowed. */
void limits_rlimit_mode(struct helper *helper, uint64_t connection, const struct helper_request *request, int client_fd,
			int iommu_fd);

#endif
