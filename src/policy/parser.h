/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From the text of one file to rules. */
#ifndef IOMMUD_POLICY_PARSER_H
#define IOMMUD_POLICY_PARSER_H

#include "policy/report.h"
#include "policy/rule.h"

/*
 * Adds the rules of `text` to the policy; `file` is the index in policy::files. Everything that is wrong goes into the
 * report, a lack of memory too; a policy with an error in its report must not be used.
 */
void policy_parse(struct policy *policy, unsigned int file, const char *text, size_t size, struct report *report);

#endif
