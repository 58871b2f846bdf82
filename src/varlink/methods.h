/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verbs of io.iommud, for varlink_server_config. */
#ifndef IOMMUD_VARLINK_METHODS_H
#define IOMMUD_VARLINK_METHODS_H

#include "varlink/server.h"

extern const struct varlink_interface iommud_interface;

/* All that the daemon serves: this one, and that of manage.h. */
extern const struct varlink_interface *const iommud_interfaces[];
extern const size_t iommud_n_interfaces;

#endif
