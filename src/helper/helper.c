/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The policy in force. A set with an error never replaces one without. */
#include "helper/helper.h"

#include <string.h>

#include "util/log.h"

int helper_load_policy(struct helper *helper)
{
	const struct helper_options *options = &helper->options;
	struct policy_report report = { 0 };
	struct policy *policy;
	int r = policy_load(options->policy_dirs, options->policy_any_owner, &policy, &report);

	if (report.text)
		log_line(r < 0 ? LOG_ERR : LOG_WARNING, "policy:\n%s", report.text);
	policy_report_clear(&report);
	if (r < 0) {
		log_error("policy not loaded (%s); what was in force stays", strerror(-r));
		return r;
	}
	policy_free(helper->policy);
	helper->policy = policy;
	return 0;
}
