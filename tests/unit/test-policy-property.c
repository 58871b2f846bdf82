/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What must hold whatever files say. The seeds are fixed, so that a failure comes again. */
#include "policy/policy.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "policy-text.h"
#include "policy-tree.h"
#include "util/cleanup.h"

static const char *const good_text = "# a comment\n"
				     "[Match]\n"
				     "Vendor=8086 10de\n"
				     "Class=02 03\n"
				     "Address=0000:*\n"
				     "Driver=none e1000e\n"
				     "Subsystem=*:* !1028:*\n"
				     "NumaNode=0 none !1\n"
				     "PhysicalFunction=none 0000:*\n"
				     "[Pool]\n"
				     "Name=some\n"
				     "[Host]\n"
				     "NumVFs=4\n"
				     "[Client]\n"
				     "User=1000 root\n"
				     "Group=*\n"
				     "[Grant]\n"
				     "Action=allow\n"
				     "GroupScope=whole\n"
				     "Backend=iommufd legacy\n"
				     "Label=one\n"
				     "[Match]\n"
				     "Address=*\n"
				     "[Client]\n"
				     "User=1001\n"
				     "[Grant]\n"
				     "Action=deny\n";

/* Lines of policies, good and bad, to be put together by chance. */
static const char *const lines[] = {
	"[Match]",
	"[Client]",
	"[Grant]",
	"[Match",
	"[Foo]",
	"Vendor=8086",
	"Vendor=*",
	"Device=10d3",
	"Class=02",
	"Class=0",
	"Address=*",
	"Driver=none",
	"PhysicalFunction=none",
	"Vendor=!8086",
	"Vendor=!",
	"Subsystem=8086:*",
	"Class=nvme !usb",
	"NumaNode=none",
	"Path=pci-*",
	"Serial=!x",
	"Pool=some",
	"Pool=other",
	"Unit=!a.service",
	"Unit=a",
	"Slice=a.slice",
	"Executable=/*",
	"Context=*:*:t:*",
	"Context=:",
	"AppArmor=*",
	"[Pool]",
	"Name=some",
	"[Host]",
	"NumVFs=4",
	"User=1000",
	"User=*",
	"Group=1000",
	"Group=*",
	"Action=allow",
	"Action=allow",
	"Action=deny",
	"Label=peer",
	"Label=x",
	"Backend=auto",
	"GroupScope=whole",
	"Usr=1",
	"# comment",
	"",
	" x=y",
	"User=nosuchuseratall",
};

static const uid_t uids[] = { 0, 1000, 1001, 4242, (uid_t)-1 };

/*
 * The one promise: there is a policy only if there is no error, a denial grants nothing, and an allow names its rule.
 * Returns how many questions were allowed.
 */
static unsigned int check_promise(const char *text)
{
	struct policy *policy = NULL;
	struct policy_report report;
	unsigned int n_allowed = 0;
	int r = policy_from_text(text, &policy, &report);

	assert_int_equal(r, report.n_errors > 0 ? -EINVAL : 0);
	assert_int_equal(policy != NULL, r == 0);
	assert_int_equal(report.text != NULL, report.n_errors + report.n_warnings > 0);
	for (size_t i = 0; policy && i < ARRAY_SIZE(uids); i++) {
		struct policy_decision decision = policy_ask(policy, &test_nic, "e1000e", uids[i]);

		assert_true(decision.reason[0] != '\0');
		if (decision.action == POLICY_ALLOW) {
			n_allowed++;
			assert_non_null(strstr(text, "Action=allow"));
			assert_string_equal(decision.file, "t.policy");
			assert_true(decision.line > 0);
			assert_true(decision.backends != 0);
			assert_int_not_equal(uids[i], (uid_t)-1);
		} else {
			assert_int_equal(decision.backends, 0);
			assert_null(decision.label);
		}
	}
	policy_report_clear(&report);
	policy_free(policy);
	return n_allowed;
}

static void random_lines_that_fail_grant_nothing(void **state)
{
	unsigned int seed = 1, n_allowed = 0;

	for (int round = 0; round < 20000; round++) {
		char text[2000] = "";
		size_t used = 0, n = rand_r(&seed) % 14;

		for (size_t i = 0; i < n; i++)
			used += snprintf(text + used, sizeof(text) - used, "%s\n",
					 lines[rand_r(&seed) % ARRAY_SIZE(lines)]);
		n_allowed += check_promise(text);
	}
	/* Mostly nonsense, then. The next test is for what is nearly right. */
	assert_true(n_allowed < 20000);
}

static void damaged_policies_that_fail_grant_nothing(void **state)
{
	size_t size = strlen(good_text);
	unsigned int seed = 2, n_allowed = 0;

	assert_int_equal(check_promise(good_text), 2);
	for (int round = 0; round < 20000; round++) {
		char text[1000];
		unsigned int n = 1 + rand_r(&seed) % 3;

		strcpy(text, good_text);
		for (unsigned int i = 0; i < n; i++)
			text[rand_r(&seed) % size] = (char)(1 + rand_r(&seed) % 255);
		n_allowed += check_promise(text);
	}
	assert_in_range(n_allowed, 100, 39000);
}

static void cut_off_policies_that_fail_grant_nothing(void **state)
{
	for (size_t size = 0; size <= strlen(good_text); size++) {
		char text[1000];

		snprintf(text, sizeof(text), "%.*s", (int)size, good_text);
		check_promise(text);
	}
}

/* Whoever can damage one line of a file must not gain by it: no more is allowed than was. */
static void a_line_left_out_or_doubled_is_noticed_or_harmless(void **state)
{
	const char *line = good_text;

	while (*line) {
		size_t length = strcspn(line, "\n") + 1;
		char text[1000];

		snprintf(text, sizeof(text), "%.*s%.*s%s", (int)(line - good_text + length), good_text, (int)length,
			 line, line + length);
		/* All but the comment is said to be repeated, or out of order. */
		assert_int_equal(check_promise(text), line[0] == '#' ? 2 : 0);
		line += length;
	}
}

static void shuffle(size_t *order, size_t n, unsigned int *seed)
{
	for (size_t i = n - 1; i > 0; i--) {
		size_t j = rand_r(seed) % (i + 1), former = order[i];

		order[i] = order[j];
		order[j] = former;
	}
}

#define N_FILES 12

/* Which rule decides each question, as one text. */
static void describe(const struct policy_tree *tree, char *buffer, size_t size)
{
	struct policy *policy = policy_tree_load(tree);
	char hex[DIGEST_HEX_SIZE];
	size_t used = 0;

	for (size_t i = 0; i < ARRAY_SIZE(uids); i++) {
		struct policy_decision nic = policy_ask(policy, &test_nic, "e1000e", uids[i]);
		struct policy_decision gpu = policy_ask(policy, &test_gpu, "", uids[i]);

		used += snprintf(buffer + used, size - used, "%s\n%s\n", nic.reason, gpu.reason);
	}
	digest_to_hex(policy_digest(policy), hex);
	snprintf(buffer + used, size - used, "%s\n", hex);
	policy_free(policy);
}

/* readdir() gives names in an order of the file system's own, which hangs on how they came there. */
static void the_order_of_a_folders_listing_does_not_matter(void **state)
{
	static const char *const vendors[] = { "8086", "10de", "*" };
	size_t order[N_FILES];
	unsigned int seed = 3;
	char first[4096] = "", now[4096];
	struct policy_tree tree;

	policy_tree_make(&tree);
	for (size_t i = 0; i < N_FILES; i++)
		order[i] = i;
	for (int round = 0; round < 30; round++) {
		char name[64];

		for (size_t i = 0; i < N_FILES; i++) {
			size_t n = order[i];

			snprintf(name, sizeof(name), "%s/%02zu.policy", n % 4 == 0 ? "low" : "high", n);
			policy_tree_write_rule(&tree, name, vendors[(n + 1) % 3], n % 2 ? "deny" : "allow");
		}
		describe(&tree, now, sizeof(now));
		if (round == 0)
			strcpy(first, now);
		assert_string_equal(now, first);
		shuffle(order, N_FILES, &seed);
		for (size_t i = 0; i < N_FILES; i++) {
			snprintf(name, sizeof(name), "%s/%02zu.policy", order[i] % 4 == 0 ? "low" : "high", order[i]);
			assert_int_equal(unlink(policy_tree_path(&tree, name)), 0);
		}
		shuffle(order, N_FILES, &seed);
	}
	policy_tree_remove(&tree);
}

/* More allowing rules behind do not take away, more denying rules in front do not give. */
static void an_earlier_deny_only_ever_takes_away(void **state)
{
	char text[1400];

	snprintf(text, sizeof(text), "%s%s", "[Match]\nVendor=8086\n[Client]\nUser=1000\n[Grant]\nAction=deny\n",
		 good_text);
	assert_int_equal(check_promise(text), 1);
	snprintf(text, sizeof(text), "%s%s", good_text,
		 "[Match]\nVendor=8086\n[Client]\nUser=1000\n[Grant]\nAction=deny\n");
	assert_int_equal(check_promise(text), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_lines_that_fail_grant_nothing),
		cmocka_unit_test(damaged_policies_that_fail_grant_nothing),
		cmocka_unit_test(cut_off_policies_that_fail_grant_nothing),
		cmocka_unit_test(a_line_left_out_or_doubled_is_noticed_or_harmless),
		cmocka_unit_test(the_order_of_a_folders_listing_does_not_matter),
		cmocka_unit_test(an_earlier_deny_only_ever_takes_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
