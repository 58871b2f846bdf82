/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules of the policy in answers, as io.iommud.varlink describes them. Each returns a new object, NULL: out of memory. */
#ifndef IOMMUD_VARLINK_CONVERT_RULES_H
#define IOMMUD_VARLINK_CONVERT_RULES_H

#include <json-c/json.h>

#include "broker/broker.h"

/* The rules before the one that decided; what they want only with `all`, which is for root. */
json_object *convert_passed_rules(const struct explanation *explanation, bool all);

#endif
