/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libFuzzer target: any bytes as one policy file. No input may crash, and what fails to parse must give no policy; what
 * parses must decide, and find label conflicts, without a fault. Seeds: policy/examples. `make fuzz` builds and runs it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/builder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)        \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

static const struct device_id devices[] = {
	{ .address = "0000:01:00.0", .vendor = 0x8086, .device = 0x10d3, .class = 0x020000 },
	{ .address = "0000:65:0a.1", .vendor = 0x10de, .device = 0x2204, .class = 0x030200 },
	{ .address = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001" },
};
#define N_DEVICES (sizeof(devices) / sizeof(devices[0]))

static void ask(const struct policy *policy, const struct policy_subject *subject, uid_t uid, const char *label)
{
	gid_t groups[] = { 44, 1000 };
	struct policy_decision decision;
	struct identity client = IDENTITY_INIT;

	client.uid = uid;
	client.gid = uid;
	/* Of whom nothing is known, no groups are known either. */
	client.groups = uid == (uid_t)-1 ? NULL : groups;
	client.n_groups = uid == (uid_t)-1 ? 0 : 2;
	client.label = (char *)label;
	policy_decide(policy, subject, &client, &decision);
	REQUIRE(decision.reason[0] != '\0');
	if (decision.action == POLICY_DENY) {
		REQUIRE(decision.backends == 0 && !decision.label);
		return;
	}
	REQUIRE(decision.backends != 0 && decision.file && decision.line > 0 && policy_n_rules(policy) > 0);
	REQUIRE(uid != (uid_t)-1);
	REQUIRE(decision.label || decision.label_kind == POLICY_LABEL_NONE);
}

static void ask_marks(const struct policy *policy, const struct policy_subject *subject)
{
	const char *pool, *file;
	unsigned int line;
	size_t cursor = 0;

	while ((pool = policy_next_pool(policy, subject, &cursor)))
		REQUIRE(policy_pool_exists(policy, pool) && policy_pool_contains(policy, pool, subject));
	if (policy_num_vfs(policy, subject, &file, &line))
		REQUIRE(file && line > 0);
}

static void use(const struct policy *policy)
{
	struct policy_label_conflict conflict;
	struct policy_subject members[N_DEVICES];

	for (size_t i = 0; i < N_DEVICES; i++) {
		members[i] = (struct policy_subject){ .id = &devices[i], .driver = i == 0 ? "e1000e" : "" };
		members[i].physical_function = i == 1 ? "0000:65:00.0" : NULL;
		ask_marks(policy, &members[i]);
		ask(policy, &members[i], 0, NULL);
		ask(policy, &members[i], 1000, "label");
		ask(policy, &members[i], (uid_t)-1, NULL);
	}
	if (policy_find_label_conflict(policy, members, N_DEVICES, &conflict))
		REQUIRE(conflict.first < conflict.second && conflict.second < N_DEVICES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct policy *policy = NULL;
	struct policy_report report;
	struct builder builder;
	int r;

	REQUIRE(builder_begin(&builder) == 0);
	REQUIRE(builder_add_file(&builder, "f.policy") == 0);
	builder_parse(&builder, 0, "f.policy", (const char *)data, size);
	r = builder_finish(&builder, &policy, &report);
	REQUIRE((r == 0) == (policy != NULL));
	REQUIRE((r == 0) == (report.n_errors == 0));
	if (policy)
		use(policy);
	policy_free(policy);
	policy_report_clear(&report);
	return 0;
}
