/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/policy-files.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/log.h"

const char *const *policy_files_dirs(const struct options *options)
{
	return options->policy[0] ? options->policy : policy_default_dirs;
}

int policy_files_read(const struct options *options, struct policy **ret, struct policy_report *report)
{
	int r = policy_load(policy_files_dirs(options), options->any_owner, ret, report);

	if (report->text)
		fputs(report->text, stderr);
	if (r < 0 && r != -EINVAL)
		fprintf(stderr, "iommud: the policy can't be read: %s\n", strerror(-r));
	return r;
}

static void log_report(const struct policy_report *report)
{
	const char *line = report->text;

	while (line && *line) {
		size_t length = strcspn(line, "\n");

		log_line(report->n_errors ? LOG_ERR : LOG_WARNING, "%.*s", (int)length, line);
		line += length + (line[length] == '\n');
	}
}

static int put_in_force(struct broker *broker, struct policy *policy)
{
	char refused[1024];
	int r = broker_set_policy(broker, policy, refused, sizeof(refused));

	if (r == 0)
		return 0;
	log_error("%s", r == -EINVAL ? refused : strerror(-r));
	policy_free(policy);
	return r;
}

int policy_files_load(const struct options *options, struct broker *broker)
{
	struct policy_report report = { 0 };
	struct policy *policy = NULL;
	int r = policy_load(policy_files_dirs(options), options->any_owner, &policy, &report);

	log_report(&report);
	policy_report_clear(&report);
	return r < 0 ? r : put_in_force(broker, policy);
}
