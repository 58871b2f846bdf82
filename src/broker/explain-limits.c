/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How much and how long the rule would give: a sentence for each of its limits that is not the default. */
#include <stdarg.h>
#include <stdio.h>

#include "broker/internal.h"
#include "util/memory.h"

__attribute__((format(printf, 2, 3))) static void add(struct explanation *explanation, const char *format, ...)
{
	va_list args;

	if (explanation->n_limits == EXPLANATION_LIMITS_MAX)
		return;
	va_start(args, format);
	vsnprintf(explanation->limits[explanation->n_limits++], sizeof(explanation->limits[0]), format, args);
	va_end(args);
}

static void add_counts(struct broker *broker, const struct judgement *judgement, struct explanation *explanation)
{
	const struct policy_limits *limits = &explanation->decision.limits;
	unsigned int leases, devices;

	if (!limits->max_leases && !limits->max_devices)
		return;
	rule_quota_count(broker, judgement, &explanation->decision, &leases, &devices);
	if (limits->max_leases)
		add(explanation, "MaxLeases=%u: uid %u has %u by this rule", limits->max_leases,
		    judgement->identity->uid, leases);
	if (limits->max_devices)
		add(explanation, "MaxDevices=%u: uid %u has %u by this rule", limits->max_devices,
		    judgement->identity->uid, devices);
}

static void add_memlock(struct explanation *explanation)
{
	const struct policy_limits *limits = &explanation->decision.limits;
	const char *automatic = limits->memlock == POLICY_MEMLOCK_AUTO ? "auto" : "";
	uint64_t bytes = policy_memlock_bytes(limits, memory_of_machine());

	if (limits->memlock == POLICY_MEMLOCK_LEAVE)
		return;
	if (bytes == POLICY_MEMLOCK_INFINITY)
		add(explanation, "MemlockLimit=%s: RLIMIT_MEMLOCK of the client is lifted before it gets anything",
		    automatic);
	else
		add(explanation,
		    "MemlockLimit=%s: RLIMIT_MEMLOCK of the client is raised to at least %llu bytes before it gets anything",
		    automatic, (unsigned long long)bytes);
}

/* The legacy container counts by process, whatever the rule says. */
static void add_rlimit_mode(struct explanation *explanation)
{
	bool by_process = explanation->decision.limits.rlimit_mode == POLICY_RLIMIT_MM;
	bool legacy = explanation->opener && judge_backend_word(explanation->opener->name) == POLICY_BACKEND_LEGACY;

	if (!by_process && !legacy && explanation->decision.limits.memlock == POLICY_MEMLOCK_LEAVE)
		return;
	if (legacy)
		add(explanation,
		    "the backend legacy counts pinned memory by process%s, which is charged to the client's "
		    "RLIMIT_MEMLOCK",
		    by_process ? "; RlimitMode=mm changes nothing" : "");
	else
		add(explanation, "RlimitMode=%s: pinned memory is counted by %s", by_process ? "mm" : "user",
		    by_process ? "process" : "user, over all of its processes");
}

void explain_limits(struct broker *broker, const struct judgement *judgement, struct explanation *explanation)
{
	const struct policy_limits *limits = &explanation->decision.limits;

	if (explanation->decision.action != POLICY_ALLOW)
		return;
	add_counts(broker, judgement, explanation);
	add_memlock(explanation);
	add_rlimit_mode(explanation);
	if (limits->max_lease_sec)
		add(explanation, "MaxLeaseSec=%u: it is taken back after that many seconds", limits->max_lease_sec);
	if (limits->max_wait_sec != POLICY_WAIT_SEC)
		add(explanation, "MaxWaitSec=%u: a request waits no more seconds than that in line",
		    limits->max_wait_sec);
}
