/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Build privately, publish last: the policy is seen by nobody until builder_finish() gives it away, and it does so only
 * when there is no error in any file.
 */
#include "policy/builder.h"

#include <errno.h>

#include "policy/contradiction.h"
#include "policy/coverage.h"
#include "policy/index.h"
#include "policy/labels.h"
#include "policy/marks.h"
#include "policy/parser.h"
#include "util/cleanup.h"

int builder_begin(struct builder *builder)
{
	*builder = (struct builder){};
	digest_begin(&builder->digest);
	return policy_new_empty(&builder->policy);
}

int builder_add_file(struct builder *builder, const char *path)
{
	return policy_add_file(builder->policy, path);
}

void builder_file_error(struct builder *builder, int file, const char *message)
{
	struct report_place place = { .path = builder->policy->files[file], .order = file + 1 };

	report_error(&builder->report, &place, "%s", message);
}

void builder_parse(struct builder *builder, int file, const char *name, const char *text, size_t size)
{
	uint8_t size_bytes[8];

	/* With the size, no two sets of files run together to the same bytes. */
	for (size_t i = 0; i < sizeof(size_bytes); i++)
		size_bytes[i] = (uint8_t)((uint64_t)size >> (8 * i));
	digest_add_text(&builder->digest, name);
	digest_add(&builder->digest, size_bytes, sizeof(size_bytes));
	digest_add(&builder->digest, text, size);
	policy_parse(builder->policy, file, text, size, &builder->report);
}

static int finish(struct builder *builder, struct policy_report *report)
{
	int r = policy_index_rules(builder->policy);

	if (r == 0)
		r = policy_index_clients(builder->policy);
	if (r < 0)
		return r;
	digest_end(&builder->digest, builder->policy->digest);
	/* A pool that seems to be missing may be in what could not be read. */
	if (builder->report.n_errors == 0) {
		policy_check_pools(builder->policy, &builder->report);
		report_empty_pools(builder->policy, &builder->report);
	}
	report_covered(builder->policy, &builder->report);
	r = report_render(&builder->report, report);
	if (r < 0)
		return r;
	return report->n_errors > 0 ? -EINVAL : 0;
}

int builder_finish(struct builder *builder, struct policy **ret, struct policy_report *report)
{
	int r = finish(builder, report);

	if (r == 0)
		*ret = TAKE_PTR(builder->policy);
	builder_clear(builder);
	return r;
}

void builder_clear(struct builder *builder)
{
	report_clear(&builder->report);
	builder->policy = policy_free(builder->policy);
}
