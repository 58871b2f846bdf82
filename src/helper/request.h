/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The requests: what form each must have, and who answers it. */
#ifndef IOMMUD_HELPER_REQUEST_H
#define IOMMUD_HELPER_REQUEST_H

#include "helper/connection.h"

/* NULL if the packet has the form that hw/helper-wire.h demands of its operation, else what is wrong. Pure. */
const char *request_check(const struct packet *packet);

/*
 * Answers one packet, now or by a job later, and takes its descriptor. A packet that breaks the form ends the connection
 * after the reply.
 */
void request_dispatch(struct helper *helper, struct connection *connection, struct packet *packet);

#endif
