/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Only what condition_covers() can prove: a warning that is wrong would teach admins to overlook warnings. Quadratic in
 * the number of rules, but two rules mostly part at their first condition.
 */
#include "policy/coverage.h"

#include "policy/keys.h"

/*
 * Whether something that is not known could get past the wide rule's condition and then be decided by the narrow one: where
 * only the wide one asks for it, or where it stops an allow, but not a deny.
 */
static bool unknown_slips_by(const struct rule *wide, const struct rule *narrow, enum rule_key key)
{
	if (!rule_keys[key].may_be_unknown || wide->conditions[key].n == 0)
		return false;
	return narrow->conditions[key].n == 0 || (wide->action == POLICY_ALLOW && narrow->action == POLICY_DENY);
}

static bool rule_covers(const struct rule *wide, const struct rule *narrow)
{
	for (enum rule_key key = 0; key < N_CONDITIONS; key++)
		if (!condition_covers(&wide->conditions[key], &narrow->conditions[key]) ||
		    unknown_slips_by(wide, narrow, key))
			return false;
	return true;
}

static const struct rule *find_covering(const struct policy *policy, const struct rule *rule)
{
	for (const struct rule *earlier = policy->rules; earlier < rule; earlier++)
		if (rule_covers(earlier, rule))
			return earlier;
	return NULL;
}

void policy_warn_of_covered(const struct policy *policy, struct report *report)
{
	for (size_t i = 0; i < policy->n_rules; i++) {
		const struct rule *rule = &policy->rules[i], *earlier = find_covering(policy, rule);
		struct report_place place = {
			.path = policy->files[rule->file],
			.order = rule->file + 1,
			.line = rule->line,
			.column = rule->column,
		};

		if (earlier)
			report_warning(report, &place,
				       "this rule never decides: %s:%u comes first and fits all that this one fits",
				       policy->files[earlier->file], earlier->line);
	}
}
