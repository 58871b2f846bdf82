/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A policy in the making: texts of files in, a whole policy or a report out. Has no idea of folders; policy_load() and
 * the tests feed it.
 */
#ifndef IOMMUD_POLICY_BUILDER_H
#define IOMMUD_POLICY_BUILDER_H

#include "policy/report.h"
#include "policy/rule.h"

struct builder {
	struct policy *policy;
	struct report report;
	struct digest digest;
};

/* -ENOMEM. Ended by builder_finish() or builder_clear(). */
int builder_begin(struct builder *builder);

/* The next file in order, by the path that is shown. Returns its index in policy::files, or -ENOMEM. */
int builder_add_file(struct builder *builder, const char *path);

/* An error of that file as a whole. */
void builder_file_error(struct builder *builder, int file, const char *message);

/* Parses the contents of that file; `name` and contents go into the digest. Errors go into the report. */
void builder_parse(struct builder *builder, int file, const char *name, const char *text, size_t size);

/*
 * Returns 0 and the policy (the caller's), -EINVAL if there was an error, or -ENOMEM; `report` (the caller's,
 * policy_report_clear()) is filled unless it is -ENOMEM. The builder is empty afterwards.
 */
int builder_finish(struct builder *builder, struct policy **ret, struct policy_report *report);
void builder_clear(struct builder *builder);

#endif
