/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Only what condition_covers() can prove: a warning that is wrong would teach admins to overlook warnings. Only rules
 * that the index files with it are held against a rule.
 */
#include "policy/coverage.h"

#include "policy/cover.h"
#include "policy/index.h"
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
		if (!condition_covers(key, &wide->conditions[key], &narrow->conditions[key]) ||
		    unknown_slips_by(wide, narrow, key))
			return false;
	return true;
}

struct search {
	const struct policy *policy;
	const struct rule *narrow;
};

static bool covers(void *userdata, size_t wide)
{
	const struct search *search = userdata;

	return rule_covers(&search->policy->rules[wide], search->narrow);
}

static const struct rule *find_covering(const struct policy *policy, size_t rule)
{
	struct search search = { policy, &policy->rules[rule] };
	size_t found = index_find_covering(policy, rule, covers, &search);

	return found == NO_RULE ? NULL : &policy->rules[found];
}

static void report_one(const struct policy *policy, const struct rule *rule, const struct rule *earlier,
		       struct report *report)
{
	const struct report_place place = {
		.path = policy->files[rule->file],
		.order = rule->file + 1,
		.line = rule->line,
		.column = rule->column,
	};
	const char *file = policy->files[earlier->file];

	if (rule->action == earlier->action)
		report_warning(report, &place,
			       "this rule never decides: %s:%u comes first and fits all that this one fits", file,
			       earlier->line);
	else if (rule->action == POLICY_ALLOW)
		report_warning(report, &place,
			       "this rule never decides: %s:%u comes first, fits all that this one fits, and denies it",
			       file, earlier->line);
	else if (rule->file == earlier->file)
		report_error(
			report, &place,
			"this rule denies nothing: line %u comes first, fits all that this one fits, and allows it; put "
			"the deny in front",
			earlier->line);
	else
		report_warning(
			report, &place,
			"this rule denies nothing: %s:%u comes first, fits all that this one fits, and allows it", file,
			earlier->line);
}

void report_covered(const struct policy *policy, struct report *report)
{
	for (size_t i = 0; i < policy->n_rules; i++) {
		const struct rule *earlier = find_covering(policy, i);

		if (earlier)
			report_one(policy, &policy->rules[i], earlier, report);
	}
}
