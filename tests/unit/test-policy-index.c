/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Many rules: the index decides as a walk over all rules does, which is done here as it is written in the manual, for whatever
 * rules, devices and clients; and what it costs does not grow with them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "policy-text.h"
#include "policy/builder.h"
#include "policy/match.h"
#include "util/cleanup.h"

static const char *const matches[] = {
	"Vendor=8086",
	"Vendor=10de 8086",
	"Vendor=!8086",
	"Vendor=80*",
	"Vendor=* !10de",
	"Device=10d3\nVendor=8086 10de",
	"Class=02",
	"Class=display",
	"Class=network !0200",
	"Class=03 0200",
	"Address=0000:01:00.0",
	"Address=0000:01:*",
	"Address=0000:*",
	"Address=*:01:00.0",
	"Address=*",
	"Address=0000:65:0A.1 0000:01:00.0",
	"Driver=none",
	"Driver=e1000e vfio-pci",
	"Driver=!none",
	"PhysicalFunction=none",
	"PhysicalFunction=0000:01:*",
	"Subsystem=8086:*",
	"Path=pci-0000:01:00.0",
	"Path=!pci-0000:65:*",
	"Serial=abc*",
	"NumaNode=1",
	"Pool=some",
	"Pool=none",
};

static const char *const clients[] = {
	"User=1000",
	"User=1000 1001",
	"User=*",
	"User=!1000",
	"User=1001\nGroup=5",
	"Group=5",
	"Group=5 6",
	"Group=!5",
	"Group=*",
	"Unit=a.service",
	"Unit=qemu@*",
	"Unit=none",
	"Unit=!a.service",
	"Slice=user.slice",
	"Slice=user-*",
	"Executable=/usr/bin/qemu",
	"Executable=/usr/*",
	"Context=u:r:t:s0",
	"Context=u:r:t*",
	"AppArmor=libvirt-*",
	"AppArmor=unconfined !x",
};

static const char *const drivers[] = { "", "e1000e", "vfio-pci", NULL };
static const char *const paths[] = { "", "pci-0000:01:00.0", "pci-0000:65:0a.1" };
static const char *const serials[] = { "", "abcd", "x" };
static const char *const functions[] = { "", "0000:01:00.0" };
static const char *const units[] = { NULL, "", "a.service", "qemu@b.service" };
static const char *const slices[] = { NULL, "-.slice", "user-1000.slice", "system.slice" };
static const char *const executables[] = { NULL, "/usr/bin/qemu", "/opt/x" };
static const char *const labels[] = { NULL, "u:r:t:s0", "u:r:t2" };
static const char *const profiles[] = { NULL, "unconfined", "libvirt-7" };
static const uid_t ids[] = { 0, 5, 6, 1000, 1001, (uid_t)-1 };

#define PICK(list) (list)[rand_r(seed) % ARRAY_SIZE(list)]

struct text {
	char *buffer;
	size_t used, size;
};

__attribute__((format(printf, 2, 3))) static void text_add(struct text *text, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	text->used += vsnprintf(text->buffer + text->used, text->size - text->used, format, args);
	va_end(args);
	assert_true(text->used < text->size);
}

/* By chance, though without errors: an allow in front of a deny of the same would be one in one file. */
static struct policy *make_policy(size_t n, unsigned int *seed)
{
	struct policy_report report;
	struct policy *policy = NULL;
	struct builder builder;

	assert_int_equal(builder_begin(&builder), 0);
	for (size_t i = 0; i <= n; i++) {
		char name[32], buffer[512];
		struct text text = { buffer, 0, sizeof(buffer) };
		int file;

		snprintf(name, sizeof(name), "%zu.policy", i);
		file = builder_add_file(&builder, name);
		assert_true(file >= 0);
		if (i == n)
			text_add(&text, "[Match]\nVendor=8086\nDriver=!none\n[Pool]\nName=some\n");
		else
			text_add(&text, "[Match]\n%s\n[Client]\n%s\n[Grant]\nAction=%s\n", PICK(matches), PICK(clients),
				 rand_r(seed) % 2 ? "allow" : "deny");
		builder_parse(&builder, file, name, buffer, text.used);
	}
	assert_int_equal(builder_finish(&builder, &policy, &report), 0);
	policy_report_clear(&report);
	return policy;
}

/* As the manual says: the first rule that fits. NULL: none does. */
static const struct rule *walk(const struct policy *policy, const struct policy_subject *subject,
			       const struct identity *client)
{
	struct question question;

	question_init(&question, policy, subject, client);
	for (size_t i = 0; i < policy->n_rules; i++)
		if (rule_decides(&policy->rules[i], rule_fits(&policy->rules[i], &question).fit))
			return &policy->rules[i];
	return NULL;
}

static void compare(const struct policy *policy, unsigned int *seed)
{
	gid_t groups[] = { PICK(ids), PICK(ids) };
	struct policy_subject subject = {
		.id = rand_r(seed) % 2 ? &test_nic : &test_gpu,
		.driver = PICK(drivers),
		.physical_function = PICK(functions),
		.path = PICK(paths),
		.serial = PICK(serials),
		.numa_node = (int)(rand_r(seed) % 3) - 1,
	};
	struct identity client = {
		.uid = PICK(ids),
		.gid = PICK(ids),
		.pidfd = -1,
		.groups = groups,
		.n_groups = rand_r(seed) % 3,
		.label = (char *)PICK(labels),
		.unit = (char *)PICK(units),
		.slice = (char *)PICK(slices),
		.executable = (char *)PICK(executables),
		.apparmor = (char *)PICK(profiles),
	};
	const struct rule *expected = walk(policy, &subject, &client);
	struct policy_decision decision;

	policy_decide(policy, &subject, &client, &decision);
	assert_int_equal(decision.file != NULL, expected != NULL);
	if (!expected)
		return;
	assert_string_equal(decision.file, policy->files[expected->file]);
	assert_int_equal(decision.action, expected->action);
}

static void index_and_walk_decide_alike(void **state)
{
	unsigned int seed = 11;

	for (int round = 0; round < 400; round++) {
		struct policy *policy = make_policy((size_t)rand_r(&seed) % 40, &seed);

		for (int i = 0; i < 100; i++)
			compare(policy, &seed);
		policy_free(policy);
	}
}

/* ---- what it costs ---- */

static double now_usec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* A site with a rule for each user and card: alternately by address, by user, and by a glob over a slot. */
static char *site_text(size_t n)
{
	struct text text = { malloc(n * 160 + 1), 0, n * 160 + 1 };

	assert_non_null(text.buffer);
	text.buffer[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		if (i % 3 == 0)
			text_add(&text, "[Match]\nVendor=8086\nAddress=%04zx:01:00.0\n", i + 1);
		else if (i % 3 == 1)
			text_add(&text, "[Match]\nVendor=8086\nClass=0200\n");
		else
			text_add(&text, "[Match]\nAddress=%04zx:65:00.*\n", i + 1);
		text_add(&text, "[Client]\nUser=%zu\n[Grant]\nAction=allow\nLabel=l%zu\n", i + 2000, i % 7);
	}
	return text.buffer;
}

/* The best of several rounds: what is slower was disturbed. */
static double cost_of_deciding(const struct policy *policy)
{
	struct policy_subject subject = { .id = &test_nic, .driver = "e1000e", .numa_node = -1 };
	struct identity client = { .uid = 2001, .gid = 2001, .pidfd = -1 };
	struct policy_decision decision;
	double best = 1e9;

	for (int round = 0; round < 50; round++) {
		double begin = now_usec(), cost;

		for (int i = 0; i < 1000; i++)
			policy_decide(policy, &subject, &client, &decision);
		cost = (now_usec() - begin) / 1000;
		best = cost < best ? cost : best;
	}
	assert_int_equal(decision.action, POLICY_ALLOW);
	return best;
}

/* Bounds are wide, for machines are busy and sanitizers slow; a walk would be 100 times beyond them. */
static void many_rules_cost_about_what_few_do(void **state)
{
	static const size_t sizes[] = { 16, 4096 };
	double decide[2], load[2];

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		_cleanup_free_ char *text = site_text(sizes[i]);
		double begin = now_usec();
		struct policy *policy = policy_must_load(text);

		load[i] = now_usec() - begin;
		decide[i] = cost_of_deciding(policy);
		assert_int_equal(policy_n_rules(policy), sizes[i]);
		policy_free(policy);
	}
	print_message("note: 16 rules: %.2f us a decision, loaded in %.0f us; 4096: %.2f us (x %.2f), %.0f us\n",
		      decide[0], load[0], decide[1], decide[1] / decide[0], load[1]);
	assert_true(decide[1] < 2 * decide[0] + 0.5);
	assert_true(load[1] < 256 * load[0] * 8);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(index_and_walk_decide_alike),
		cmocka_unit_test(many_rules_cost_about_what_few_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
