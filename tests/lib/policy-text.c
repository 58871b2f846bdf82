/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy-text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "policy/builder.h"

const struct device_id test_nic = {
	.address = "0000:01:00.0",
	.vendor = 0x8086,
	.device = 0x10d3,
	.class = 0x020000,
};

const struct device_id test_gpu = {
	.address = "0000:65:0a.1",
	.vendor = 0x10de,
	.device = 0x2204,
	.class = 0x030200,
};

int policy_from_text(const char *text, struct policy **ret, struct policy_report *report)
{
	struct builder builder;
	int file;

	assert_int_equal(builder_begin(&builder), 0);
	file = builder_add_file(&builder, "t.policy");
	assert_int_equal(file, 0);
	builder_parse(&builder, file, "t.policy", text, strlen(text));
	return builder_finish(&builder, ret, report);
}

struct policy *policy_must_load(const char *text)
{
	struct policy *policy = NULL;
	struct policy_report report;
	int r = policy_from_text(text, &policy, &report);

	if (report.text)
		print_error("%s", report.text);
	assert_int_equal(r, 0);
	assert_null(report.text);
	return policy;
}

void assert_policy_report(const char *text, const char *expected)
{
	struct policy *policy = NULL;
	struct policy_report report;
	int r = policy_from_text(text, &policy, &report);

	assert_non_null(report.text);
	assert_string_equal(report.text, expected);
	assert_true(report.n_errors + report.n_warnings > 0);
	assert_int_equal(r, report.n_errors > 0 ? -EINVAL : 0);
	assert_int_equal(policy != NULL, r == 0);
	policy_free(policy);
	policy_report_clear(&report);
}

struct policy_decision policy_ask(const struct policy *policy, const struct device_id *id, const char *driver,
				  uid_t uid)
{
	struct policy_subject subject = { .id = id, .driver = driver };
	struct identity client = IDENTITY_INIT;
	struct policy_decision decision;

	client.uid = uid;
	client.gid = uid;
	policy_decide(policy, &subject, &client, &decision);
	return decision;
}

struct policy_decision policy_ask_all(const struct policy *policy, const struct policy_subject *subject,
				      const struct identity *client)
{
	struct policy_decision decision;

	policy_decide(policy, subject, client, &decision);
	return decision;
}
