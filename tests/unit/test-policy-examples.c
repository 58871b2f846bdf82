/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The examples that are shipped, from the top of the source tree. They are what people copy. */
#include "policy/policy.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "policy-text.h"
#include "policy/expect.h"
#include "policy/keys.h"
#include "util/cleanup.h"
#include "util/fileio.h"

#define EXAMPLES "policy/examples"
#define MANUAL "src/policy/iommud.policy.5"

static struct policy *load_examples(void)
{
	static const char *const dirs[] = { EXAMPLES, NULL };
	struct policy_report report;
	struct policy *policy;
	int r = policy_load(dirs, true, &policy, &report);

	if (report.text)
		print_error("%s", report.text);
	assert_int_equal(r, 0);
	assert_null(report.text);
	return policy;
}

static void all_parse_together_without_a_warning(void **state)
{
	struct policy *policy = load_examples();

	assert_true(policy_n_rules(policy) >= 7);
	policy_free(policy);
}

static void each_parses_alone_and_is_commented(void **state)
{
	DIR *dir = opendir(EXAMPLES);
	const struct dirent *entry;
	unsigned int n = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		_cleanup_free_ char *text = NULL;

		if (!strstr(entry->d_name, ".policy"))
			continue;
		assert_int_equal(read_whole_file_at(dirfd(dir), entry->d_name, 65536, &text, NULL), 0);
		assert_int_equal(text[0], '#');
		policy_free(policy_must_load(text));
		n++;
	}
	closedir(dir);
	assert_true(n >= 4);
}

static enum policy_action ask_card(const struct policy *policy, uint16_t vendor, uint16_t device, uint32_t class,
				   const char *address, uid_t uid, gid_t gid, struct policy_decision *ret)
{
	struct device_id id = { .vendor = vendor, .device = device, .class = class };
	struct policy_subject subject = { .id = &id, .driver = "" };
	struct identity client = IDENTITY_INIT;

	snprintf(id.address, sizeof(id.address), "%s", address);
	client.uid = uid;
	client.gid = gid;
	policy_decide(policy, &subject, &client, ret);
	return ret->action;
}

static void say_what_their_comments_say(void **state)
{
	struct policy *policy = load_examples();
	struct policy_decision decision;

	assert_int_equal(ask_card(policy, 0x8086, 0x10d3, 0x20000, "0000:01:00.0", 1000, 1000, &decision),
			 POLICY_ALLOW);
	assert_int_equal(decision.scope, POLICY_SINGLETON);
	assert_int_equal(ask_card(policy, 0x8086, 0x1533, 0x20000, "0000:02:00.0", 1000, 1000, &decision),
			 POLICY_ALLOW);
	assert_int_equal(ask_card(policy, 0x8086, 0x10d3, 0x20000, "0000:00:1f.6", 1000, 1000, &decision), POLICY_DENY);
	assert_int_equal(ask_card(policy, 0x8086, 0x10d3, 0x20000, "0000:00:1f.6", 0, 0, &decision), POLICY_DENY);
	assert_int_equal(ask_card(policy, 0x8086, 0x10d3, 0x20000, "0000:01:00.0", 1002, 1002, &decision), POLICY_DENY);
	assert_int_equal(ask_card(policy, 0x8086, 0x154c, 0x20000, "0000:01:02.0", 1002, 1, &decision), POLICY_ALLOW);
	assert_int_equal(decision.backends, POLICY_BACKEND_IOMMUFD);
	assert_int_equal(ask_card(policy, 0x10de, 0x2204, 0x30000, "0000:65:00.0", 1000, 44, &decision), POLICY_ALLOW);
	assert_int_equal(decision.scope, POLICY_WHOLE);
	assert_int_equal(decision.bystanders, POLICY_REQUIRE);
	assert_int_equal(ask_card(policy, 0x10de, 0x2204, 0x30000, "0000:66:00.0", 1000, 44, &decision), POLICY_ALLOW);
	assert_int_equal(decision.bystanders, POLICY_PARK);
	assert_int_equal(ask_card(policy, 0x144d, 0xa808, 0x10802, "0000:03:00.0", 1001, 1001, &decision),
			 POLICY_ALLOW);
	assert_string_equal(decision.label, "storage");
	assert_int_equal(ask_card(policy, 0x1234, 0x1111, 0x30000, "0000:04:00.0", 1000, 44, &decision), POLICY_DENY);
	assert_non_null(strstr(decision.reason, "Label=peer"));
	assert_true(policy_pool_exists(policy, "fast-net"));
	assert_int_equal(ask_card(policy, 0x1234, 0x5678, 0xff0000, "0000:05:00.0", 0, 0, &decision), POLICY_ALLOW);
	policy_free(policy);
}

/* Blocks of literal text that begin with a section are policies. */
static void assert_is_expectation(const char *text)
{
	struct expectations expectations;
	struct policy_report report;

	assert_int_equal(expectations_parse("page", text, strlen(text), &expectations, &report), 0);
	assert_true(expectations.n > 0);
	expectations_clear(&expectations);
}

static void those_of_the_manual_page_parse(void **state)
{
	_cleanup_free_ char *page = NULL;
	unsigned int n = 0;

	assert_int_equal(read_whole_file_at(AT_FDCWD, MANUAL, 65536, &page, NULL), 0);
	for (char *block = page; (block = strstr(block, ".Bd -literal")); n++) {
		char *text = strchr(block, '\n') + 1, *end = strstr(text, ".Ed");

		assert_non_null(end);
		*end = '\0';
		if (strncmp(text, "[Device]", 8) == 0)
			assert_is_expectation(text);
		else if (text[0] == '[')
			policy_free(policy_must_load(text));
		block = end + 1;
	}
	assert_true(n >= 2);
}

static void the_manual_page_has_every_key(void **state)
{
	_cleanup_free_ char *page = NULL;

	assert_int_equal(read_whole_file_at(AT_FDCWD, MANUAL, 65536, &page, NULL), 0);
	for (size_t i = 0; i < N_KEYS; i++) {
		char entry[64];

		snprintf(entry, sizeof(entry), "Sy %s Ns =", rule_keys[i].name);
		if (!strstr(page, entry))
			print_error("%s\n", entry);
		assert_non_null(strstr(page, entry));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_parse_together_without_a_warning),
		cmocka_unit_test(each_parses_alone_and_is_commented),
		cmocka_unit_test(say_what_their_comments_say),
		cmocka_unit_test(those_of_the_manual_page_parse),
		cmocka_unit_test(the_manual_page_has_every_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
