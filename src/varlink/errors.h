/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A refusal of the broker as the named error of io.iommud that carries what the client needs to act. */
#ifndef IOMMUD_VARLINK_ERRORS_H
#define IOMMUD_VARLINK_ERRORS_H

#include "broker/refusal.h"
#include "varlink/server.h"

/* Ends the call with the error. 0 or a negative errno, as varlink_error(). */
int errors_reply(struct varlink_call *call, const struct refusal *refusal);

#endif
