/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Values of [Grant]: words from small tables, and the label. Owns nothing but the texts it puts into the rule. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/glob.h"
#include "policy/nearest.h"
#include "policy/report.h"
#include "policy/values.h"
#include "util/cleanup.h"

#define LABEL_MAX 255
#define RELEASE_TIMEOUT_MAX 3600

struct word {
	const char *name;
	unsigned int value;
};

/* "a, b or c" */
static void list_words(const struct word *words, size_t n, char *buffer, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < n && used < size; i++) {
		const char *separator = i == 0 ? "" : i + 1 == n ? " or " : ", ";

		used += snprintf(buffer + used, size - used, "%s%s", separator, words[i].name);
	}
}

static int find_word(const char *key, const struct word *words, size_t n, const char *text, unsigned int *ret,
		     struct complaint *complaint)
{
	struct nearest nearest;
	char all[80];

	nearest_begin(&nearest, text);
	for (size_t i = 0; i < n; i++) {
		if (strcmp(words[i].name, text) == 0) {
			*ret = words[i].value;
			return 0;
		}
		nearest_offer(&nearest, words[i].name);
	}
	if (nearest_get(&nearest))
		return complain(complaint, 0, "unknown value '%.*s' of %s; did you mean '%s'?", quote_length(text),
				text, key, nearest_get(&nearest));
	list_words(words, n, all, sizeof(all));
	return complain(complaint, 0, "unknown value '%.*s' of %s, which takes %s", quote_length(text), text, key, all);
}

int parse_action(const char *text, struct rule *rule, struct complaint *complaint)
{
	static const struct word words[] = { { "allow", POLICY_ALLOW }, { "deny", POLICY_DENY } };
	unsigned int value;
	int r = find_word("Action", words, ARRAY_SIZE(words), text, &value, complaint);

	if (r < 0)
		return r;
	rule->action = value;
	return 0;
}

int parse_group_scope(const char *text, struct rule *rule, struct complaint *complaint)
{
	static const struct word words[] = { { "singleton", POLICY_SINGLETON }, { "whole", POLICY_WHOLE } };
	unsigned int value;
	int r = find_word("GroupScope", words, ARRAY_SIZE(words), text, &value, complaint);

	if (r < 0)
		return r;
	rule->scope = value;
	return 0;
}

int parse_bystanders(const char *text, struct rule *rule, struct complaint *complaint)
{
	static const struct word words[] = { { "require", POLICY_REQUIRE }, { "park", POLICY_PARK } };
	unsigned int value;
	int r = find_word("Bystanders", words, ARRAY_SIZE(words), text, &value, complaint);

	if (r < 0)
		return r;
	rule->bystanders = value;
	return 0;
}

/* By name only: what a glob would let in one day, nobody has looked at. */
int parse_allowed_driver(const char *text, struct rule *rule, struct complaint *complaint)
{
	char **larger, *copy;
	size_t n = 0;
	int r = check_driver_name(text, complaint);

	if (r < 0)
		return r;
	if (glob_is_pattern(text))
		return complain(complaint, 0,
				"AllowedDrivers takes names, no globs: '%.*s' would allow any driver that fits",
				quote_length(text), text);
	while (rule->allowed_drivers && rule->allowed_drivers[n])
		n++;
	copy = strndup(text, strlen(text));
	if (!copy)
		return -ENOMEM;
	larger = reallocarray(rule->allowed_drivers, n + 2, sizeof(*larger));
	if (!larger) {
		free(copy);
		return -ENOMEM;
	}
	larger[n] = copy;
	larger[n + 1] = NULL;
	rule->allowed_drivers = larger;
	return 0;
}

int parse_backend(const char *text, struct rule *rule, struct complaint *complaint)
{
	static const struct word words[] = {
		{ "auto", POLICY_BACKEND_ANY },
		{ "iommufd", POLICY_BACKEND_IOMMUFD },
		{ "legacy", POLICY_BACKEND_LEGACY },
	};
	unsigned int value;
	int r = find_word("Backend", words, ARRAY_SIZE(words), text, &value, complaint);

	if (r < 0)
		return r;
	if (value == POLICY_BACKEND_ANY && rule->backends)
		return complain(complaint, 0, "'auto' is all backends, and stands alone");
	if (rule->backends == POLICY_BACKEND_ANY)
		return complain(complaint, 0, "'auto' is all backends, and stands alone; '%s' contradicts it", text);
	rule->backends |= value;
	return 0;
}

int parse_force(const char *text, struct rule *rule, struct complaint *complaint)
{
	static const struct word words[] = { { "no", false }, { "yes", true } };
	unsigned int value;
	int r = find_word("Force", words, ARRAY_SIZE(words), text, &value, complaint);

	if (r < 0)
		return r;
	rule->force = value;
	return 0;
}

int parse_on_violation(const char *text, struct rule *rule, struct complaint *complaint)
{
	static const struct word words[] = { { "unbind", POLICY_VIOLATION_UNBIND },
					     { "revoke", POLICY_VIOLATION_REVOKE },
					     { "log", POLICY_VIOLATION_LOG } };
	unsigned int value;
	int r = find_word("OnViolation", words, ARRAY_SIZE(words), text, &value, complaint);

	if (r < 0)
		return r;
	rule->conduct.on_violation = value;
	return 0;
}

int parse_late_joiner(const char *text, struct rule *rule, struct complaint *complaint)
{
	static const struct word words[] = { { "park", POLICY_LATE_PARK },
					     { "allow", POLICY_LATE_ALLOW },
					     { "violate", POLICY_LATE_VIOLATE } };
	unsigned int value;
	int r = find_word("LateJoiner", words, ARRAY_SIZE(words), text, &value, complaint);

	if (r < 0)
		return r;
	rule->conduct.late_joiner = value;
	return 0;
}

int parse_on_release_timeout(const char *text, struct rule *rule, struct complaint *complaint)
{
	static const struct word words[] = { { "leave", POLICY_RELEASE_LEAVE },
					     { "terminate", POLICY_RELEASE_TERMINATE },
					     { "kill", POLICY_RELEASE_KILL } };
	unsigned int value;
	int r = find_word("OnReleaseTimeout", words, ARRAY_SIZE(words), text, &value, complaint);

	if (r < 0)
		return r;
	rule->conduct.on_release_timeout = value;
	return 0;
}

int parse_release_timeout(const char *text, struct rule *rule, struct complaint *complaint)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long seconds = digits > 0 && digits <= 4 ? strtoul(text, NULL, 10) : 0;

	if (text[digits] || seconds == 0 || seconds > RELEASE_TIMEOUT_MAX)
		return complain(complaint, 0, "ReleaseTimeoutSec takes a number of seconds from 1 to %d, not '%.*s'",
				RELEASE_TIMEOUT_MAX, quote_length(text), text);
	rule->conduct.release_timeout_sec = (unsigned int)seconds;
	return 0;
}

int parse_reset(const char *text, struct rule *rule, struct complaint *complaint)
{
	static const struct word words[] = { { "require", POLICY_RESET_REQUIRE },
					     { "prefer", POLICY_RESET_PREFER },
					     { "no", POLICY_RESET_NO } };
	unsigned int value;
	int r = find_word("Reset", words, ARRAY_SIZE(words), text, &value, complaint);

	if (r < 0)
		return r;
	rule->conduct.reset = value;
	return 0;
}

int parse_isolation(const char *text, struct rule *rule, struct complaint *complaint)
{
	static const struct word words[] = { { "own", POLICY_ISOLATION_OWN }, { "shared", POLICY_ISOLATION_SHARED } };
	unsigned int value;
	int r = find_word("Isolation", words, ARRAY_SIZE(words), text, &value, complaint);

	if (r < 0)
		return r;
	rule->conduct.isolation = value;
	return 0;
}

int parse_label(const char *text, struct rule *rule, struct complaint *complaint)
{
	size_t length = strlen(text);
	char *label;

	if (strcmp(text, "peer") == 0 || strcmp(text, "none") == 0) {
		rule->label_kind = text[0] == 'p' ? POLICY_LABEL_PEER : POLICY_LABEL_NONE;
		return 0;
	}
	for (size_t i = 0; i < length; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return complain(complaint, i, "labels are printable ASCII without blanks");
	if (length > LABEL_MAX)
		return complain(complaint, LABEL_MAX, "the label is longer than %d bytes", LABEL_MAX);
	label = strndup(text, length);
	if (!label)
		return -ENOMEM;
	/* There may be one already, from a second [Grant], which was refused. */
	free(rule->label);
	rule->label_kind = POLICY_LABEL_STATIC;
	rule->label = label;
	return 0;
}
