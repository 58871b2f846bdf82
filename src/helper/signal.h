/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Signals to clients that keep a device which is taken back from them. Never blocks, so it needs no worker. */
#ifndef IOMMUD_HELPER_SIGNAL_H
#define IOMMUD_HELPER_SIGNAL_H

#include "helper/helper.h"
#include "hw/helper-wire.h"

/* Serves SIGNAL and replies. `client_fd` is borrowed. */
void signal_client(struct helper *helper, uint64_t connection, const struct helper_request *request, int client_fd);

#endif
