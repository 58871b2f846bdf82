/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How much and how long a rule grants: every value of the keys, every error, and what MemlockLimit=auto comes to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "policy-text.h"
#include "util/cleanup.h"

#define RULE "[Match]\nAddress=*\n[Client]\nUser=*\n[Grant]\nAction=allow\n"
#define G (1ull << 30)

static struct policy_limits limits_of(const char *lines)
{
	char text[256];
	struct policy_decision decision;
	struct policy *policy;

	snprintf(text, sizeof(text), RULE "%s\n", lines);
	policy = policy_must_load(text);
	decision = policy_ask(policy, &test_nic, "", 1000);
	policy_free(policy);
	return decision.limits;
}

/* `line` is the seventh, and wrong from `column` on. */
static void assert_wrong(const char *line, unsigned int column, const char *message)
{
	char text[256], report[512];

	snprintf(text, sizeof(text), RULE "%s\n", line);
	snprintf(report, sizeof(report), "t.policy:7:%u: error: %s\n", column, message);
	assert_policy_report(text, report);
}

static void without_a_word_there_is_no_limit(void **state)
{
	struct policy_limits limits = limits_of("");

	assert_int_equal(limits.max_leases, 0);
	assert_int_equal(limits.max_devices, 0);
	assert_int_equal(limits.memlock, POLICY_MEMLOCK_LEAVE);
	assert_int_equal(limits.rlimit_mode, POLICY_RLIMIT_USER);
	assert_int_equal(limits.max_lease_sec, 0);
	assert_int_equal(limits.max_wait_sec, 3600);
	assert_int_equal(policy_memlock_bytes(&limits, 4 * G), 0);
}

static void takes_counts(void **state)
{
	assert_int_equal(limits_of("MaxLeases=1").max_leases, 1);
	assert_int_equal(limits_of("MaxLeases=65536").max_leases, 65536);
	assert_int_equal(limits_of("MaxDevices=12").max_devices, 12);
}

static void refuses_other_counts(void **state)
{
	static const char *const wrong[] = {
		"0", "65537", "-1", "+1", "2x", "1 2", "99999999999999999999", "infinity"
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		char line[64], message[128];

		snprintf(line, sizeof(line), "MaxLeases=%s", wrong[i]);
		snprintf(message, sizeof(message), "MaxLeases takes a number from 1 to 65536, not '%s'", wrong[i]);
		assert_wrong(line, 11, message);
		snprintf(line, sizeof(line), "MaxDevices=%s", wrong[i]);
		snprintf(message, sizeof(message), "MaxDevices takes a number from 1 to 65536, not '%s'", wrong[i]);
		assert_wrong(line, 12, message);
	}
}

static void takes_bytes(void **state)
{
	static const struct {
		const char *line;
		uint64_t bytes;
	} right[] = {
		{ "MemlockLimit=65536", 65536 },
		{ "MemlockLimit=64K", 65536 },
		{ "MemlockLimit=16M", 16 << 20 },
		{ "MemlockLimit=5G", 5 * G },
		{ "MemlockLimit=2T", 2048 * G },
		{ "MemlockLimit=18446744073709551614", UINT64_MAX - 1 },
		{ "MemlockLimit=infinity", POLICY_MEMLOCK_INFINITY },
	};

	for (size_t i = 0; i < ARRAY_SIZE(right); i++) {
		struct policy_limits limits = limits_of(right[i].line);

		assert_int_equal(limits.memlock, POLICY_MEMLOCK_BYTES);
		assert_int_equal(limits.memlock_bytes, right[i].bytes);
		assert_int_equal(policy_memlock_bytes(&limits, G), right[i].bytes);
	}
}

static void refuses_other_bytes(void **state)
{
	static const char *const wrong[] = { "0",
					     "0G",
					     "1.5G",
					     "4g",
					     "4GB",
					     "-1",
					     "Auto",
					     "unlimited",
					     "K",
					     "16777216T",
					     "18446744073709551615",
					     "99999999999999999999G" };

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		char line[64], message[256];

		snprintf(line, sizeof(line), "MemlockLimit=%s", wrong[i]);
		snprintf(message, sizeof(message),
			 "MemlockLimit takes a number of bytes, with K, M, G or T behind it for multiples of 1024, "
			 "infinity or auto, not '%s'",
			 wrong[i]);
		assert_wrong(line, 14, message);
	}
}

/* A process can't have more than there is; a user's processes together can, for what they map more than once counts so. */
static void auto_is_the_machines_memory_as_often_as_it_counts(void **state)
{
	struct policy_limits limits = limits_of("MemlockLimit=auto");

	assert_int_equal(limits.memlock, POLICY_MEMLOCK_AUTO);
	assert_int_equal(policy_memlock_bytes(&limits, 4 * G), 4 * G);
	limits = limits_of("MemlockLimit=auto\nMaxLeases=3");
	assert_int_equal(policy_memlock_bytes(&limits, 4 * G), 12 * G);
	assert_int_equal(policy_memlock_bytes(&limits, UINT64_MAX / 2), POLICY_MEMLOCK_INFINITY);
	limits = limits_of("MemlockLimit=auto\nMaxLeases=3\nRlimitMode=mm");
	assert_int_equal(policy_memlock_bytes(&limits, 4 * G), 4 * G);
}

static void takes_modes(void **state)
{
	assert_int_equal(limits_of("RlimitMode=user").rlimit_mode, POLICY_RLIMIT_USER);
	assert_int_equal(limits_of("RlimitMode=mm").rlimit_mode, POLICY_RLIMIT_MM);
	assert_int_equal(limits_of("RlimitMode=mm\nBackend=iommufd legacy").rlimit_mode, POLICY_RLIMIT_MM);
	assert_wrong("RlimitMode=process", 12, "unknown value 'process' of RlimitMode, which takes user or mm");
}

static void a_mode_needs_iommufd(void **state)
{
	static const char message[] =
		"t.policy:7:1: error: 'RlimitMode' is about iommufd, which Backend=legacy rules out; legacy always counts "
		"by process\n";

	assert_policy_report(RULE "RlimitMode=mm\nBackend=legacy\n", message);
	assert_policy_report(RULE "RlimitMode=user\nBackend=legacy\n", message);
}

static void takes_spans(void **state)
{
	assert_int_equal(limits_of("MaxLeaseSec=1").max_lease_sec, 1);
	assert_int_equal(limits_of("MaxLeaseSec=90s").max_lease_sec, 90);
	assert_int_equal(limits_of("MaxLeaseSec=15min").max_lease_sec, 900);
	assert_int_equal(limits_of("MaxLeaseSec=8h").max_lease_sec, 28800);
	assert_int_equal(limits_of("MaxLeaseSec=366d").max_lease_sec, 31622400);
	assert_int_equal(limits_of("MaxWaitSec=0").max_wait_sec, 0);
	assert_int_equal(limits_of("MaxWaitSec=3600").max_wait_sec, 3600);
}

static void refuses_other_spans(void **state)
{
	static const char *const wrong[] = { "0", "0h", "367d", "8 h", "8H", "1h30min", "-1", "forever" };

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		char line[64], message[256];

		snprintf(line, sizeof(line), "MaxLeaseSec=%s", wrong[i]);
		snprintf(
			message, sizeof(message),
			"MaxLeaseSec takes a number of seconds, or one with min, h or d behind it, up to 366d, not '%s'",
			wrong[i]);
		assert_wrong(line, 13, message);
	}
	assert_wrong("MaxWaitSec=3601", 12,
		     "MaxWaitSec takes a number of seconds from 0 (nobody waits) to 3600, not '3601'");
	assert_wrong("MaxWaitSec=5min", 12,
		     "MaxWaitSec takes a number of seconds from 0 (nobody waits) to 3600, not '5min'");
}

static void a_deny_has_no_limits(void **state)
{
	static const char *const lines[] = { "MaxLeases=1",   "MaxDevices=1",  "MemlockLimit=1G",
					     "RlimitMode=mm", "MaxLeaseSec=1", "MaxWaitSec=1" };

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		char text[256], report[256];

		snprintf(text, sizeof(text), "[Match]\nAddress=*\n[Client]\nUser=*\n[Grant]\nAction=deny\n%s\n",
			 lines[i]);
		snprintf(report, sizeof(report),
			 "t.policy:7:1: error: '%.*s' together with Action=deny: a deny grants nothing\n",
			 (int)strcspn(lines[i], "="), lines[i]);
		assert_policy_report(text, report);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_word_there_is_no_limit),
		cmocka_unit_test(takes_counts),
		cmocka_unit_test(refuses_other_counts),
		cmocka_unit_test(takes_bytes),
		cmocka_unit_test(refuses_other_bytes),
		cmocka_unit_test(auto_is_the_machines_memory_as_often_as_it_counts),
		cmocka_unit_test(takes_modes),
		cmocka_unit_test(a_mode_needs_iommufd),
		cmocka_unit_test(takes_spans),
		cmocka_unit_test(refuses_other_spans),
		cmocka_unit_test(a_deny_has_no_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
