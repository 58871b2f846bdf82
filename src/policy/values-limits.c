/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Values of [Grant] that are numbers: how much and how long. Owns nothing. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/report.h"
#include "policy/values.h"
#include "util/cleanup.h"

#define RELEASE_TIMEOUT_MAX 3600
#define COUNT_MAX 65536
#define LEASE_SEC_MAX (366 * 24 * 3600)

/* What follows the digits of a number, and what it multiplies by; "" is the unit itself. */
struct unit {
	const char *name;
	uint64_t factor;
};

/* Digits and a unit, in a range. False: anything else. */
static bool read_number(const char *text, const struct unit *units, size_t n_units, uint64_t min, uint64_t max,
			uint64_t *ret)
{
	unsigned long long number;
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno)
		return false;
	for (size_t i = 0; i < n_units; i++) {
		if (strcmp(units[i].name, end) != 0)
			continue;
		if (number > max / units[i].factor || number * units[i].factor < min)
			return false;
		*ret = number * units[i].factor;
		return true;
	}
	return false;
}

static bool read_plain(const char *text, uint64_t min, uint64_t max, unsigned int *ret)
{
	static const struct unit plain[] = { { "", 1 } };
	uint64_t number;

	if (!read_number(text, plain, ARRAY_SIZE(plain), min, max, &number))
		return false;
	*ret = (unsigned int)number;
	return true;
}

int parse_release_timeout(const char *text, struct rule *rule, struct complaint *complaint)
{
	if (read_plain(text, 1, RELEASE_TIMEOUT_MAX, &rule->conduct.release_timeout_sec))
		return 0;
	return complain(complaint, 0, "ReleaseTimeoutSec takes a number of seconds from 1 to %d, not '%.*s'",
			RELEASE_TIMEOUT_MAX, quote_length(text), text);
}

/* Who wants to say 0 wants a deny. */
static int parse_count(const char *key, const char *text, unsigned int *ret, struct complaint *complaint)
{
	if (read_plain(text, 1, COUNT_MAX, ret))
		return 0;
	return complain(complaint, 0, "%s takes a number from 1 to %d, not '%.*s'", key, COUNT_MAX, quote_length(text),
			text);
}

int parse_max_leases(const char *text, struct rule *rule, struct complaint *complaint)
{
	return parse_count("MaxLeases", text, &rule->limits.max_leases, complaint);
}

int parse_max_devices(const char *text, struct rule *rule, struct complaint *complaint)
{
	return parse_count("MaxDevices", text, &rule->limits.max_devices, complaint);
}

int parse_memlock_limit(const char *text, struct rule *rule, struct complaint *complaint)
{
	static const struct unit units[] = {
		{ "", 1 }, { "K", 1ull << 10 }, { "M", 1ull << 20 }, { "G", 1ull << 30 }, { "T", 1ull << 40 }
	};
	uint64_t bytes = POLICY_MEMLOCK_INFINITY;
	bool automatic = strcmp(text, "auto") == 0;

	if (!automatic && strcmp(text, "infinity") != 0 &&
	    !read_number(text, units, ARRAY_SIZE(units), 1, POLICY_MEMLOCK_INFINITY - 1, &bytes))
		return complain(
			complaint, 0,
			"MemlockLimit takes a number of bytes, with K, M, G or T behind it for multiples of 1024, "
			"infinity or auto, not '%.*s'",
			quote_length(text), text);
	rule->limits.memlock = automatic ? POLICY_MEMLOCK_AUTO : POLICY_MEMLOCK_BYTES;
	rule->limits.memlock_bytes = automatic ? 0 : bytes;
	return 0;
}

int parse_max_lease_sec(const char *text, struct rule *rule, struct complaint *complaint)
{
	static const struct unit units[] = { { "", 1 }, { "s", 1 }, { "min", 60 }, { "h", 3600 }, { "d", 24 * 3600 } };
	uint64_t seconds;

	if (!read_number(text, units, ARRAY_SIZE(units), 1, LEASE_SEC_MAX, &seconds))
		return complain(complaint, 0,
				"MaxLeaseSec takes a number of seconds, or one with min, h or d behind it, up to 366d, "
				"not '%.*s'",
				quote_length(text), text);
	rule->limits.max_lease_sec = (unsigned int)seconds;
	return 0;
}

int parse_max_wait_sec(const char *text, struct rule *rule, struct complaint *complaint)
{
	if (read_plain(text, 0, POLICY_WAIT_SEC, &rule->limits.max_wait_sec))
		return 0;
	return complain(complaint, 0, "MaxWaitSec takes a number of seconds from 0 (nobody waits) to %d, not '%.*s'",
			POLICY_WAIT_SEC, quote_length(text), text);
}
