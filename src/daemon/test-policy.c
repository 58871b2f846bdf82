/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TAP, so that any runner of tests understands it. A device that the file describes is nowhere looked for; one that it only
 * names is read from sysfs, once all is parsed.
 */
#include "daemon/test-policy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/broker.h"
#include "daemon/policy-files.h"
#include "policy/expect.h"
#include "util/cleanup.h"
#include "util/fileio.h"

#define EXPECT_FILE_MAX (1024 * 1024)

struct policy_test {
	const struct options *options;
	struct policy *policy;
	struct expectations expectations;
	struct registry *registry; /* NULL: the file describes all of its devices, or there is no sysfs */
	size_t n_different;
};

static int read_expectations(struct policy_test *test)
{
	struct policy_report report = { 0 };
	_cleanup_free_ char *text = NULL;
	const char *path = test->options->test_policy;
	size_t size;
	int r = read_whole_file_at(AT_FDCWD, path, EXPECT_FILE_MAX, &text, &size);

	if (r < 0) {
		fprintf(stderr, "%s: error: can't be read: %s\n", path, strerror(-r));
		return r;
	}
	r = expectations_parse(path, text, size, &test->expectations, &report);
	if (report.text)
		fputs(report.text, stderr);
	policy_report_clear(&report);
	return r;
}

static int scan(struct policy_test *test)
{
	_cleanup_fd_ int fd = -1;
	bool needed = false;
	int r;

	for (size_t i = 0; i < test->expectations.n_devices; i++)
		needed |= !test->expectations.devices[i].described;
	if (!needed)
		return 0;
	fd = open_dir_at(AT_FDCWD, test->options->sysfs);
	r = fd < 0 ? fd : registry_new(fd, &test->registry);
	if (r >= 0)
		r = registry_scan(test->registry);
	if (r < 0)
		fprintf(stderr, "iommud: the devices of this machine can't be read: %s: %s\n", test->options->sysfs,
			strerror(-r));
	return r < 0 ? r : 0;
}

/* False with the reason. */
static bool find_subject(const struct policy_test *test, const struct expected_device *expected,
			 struct policy_subject *ret, char *why, size_t size)
{
	const struct device *device;

	if (expected->described) {
		*ret = expected_subject(expected);
		return true;
	}
	device = registry_find_device(test->registry, expected->id.address);
	if (!device) {
		snprintf(
			why, size,
			"this machine has no device %s with an IOMMU group; describe it by Vendor=, Device=, Class= and so "
			"on, and it need not be there",
			expected->id.address);
		return false;
	}
	*ret = broker_policy_subject(NULL, device);
	return true;
}

static bool ask(const struct policy_test *test, const struct expectation *expectation, char *why, size_t size)
{
	const struct expected_device *device = &test->expectations.devices[expectation->device];
	struct identity client = IDENTITY_INIT;
	struct policy_decision decision;
	struct policy_subject subject;
	bool holds;
	int r;

	if (!find_subject(test, device, &subject, why, size))
		return false;
	r = identity_from_text(expectation->as, &client);
	if (r < 0) {
		snprintf(why, size, "As=%s: %s", expectation->as,
			 r == -ENOENT ? "no such user or group here; numbers need not exist" : strerror(-r));
		return false;
	}
	if (process_facts_store(&expectation->client, &client) < 0) {
		identity_clear(&client);
		snprintf(why, size, "out of memory");
		return false;
	}
	policy_decide(test->policy, &subject, &client, &decision);
	holds = expectation_holds(expectation, &decision, why, size);
	if (holds)
		snprintf(why, size, "%s", decision.reason);
	identity_clear(&client);
	return holds;
}

static void run(struct policy_test *test)
{
	const struct expectations *all = &test->expectations;

	printf("1..%zu\n", all->n);
	for (size_t i = 0; i < all->n; i++) {
		const struct expectation *expectation = &all->list[i];
		char why[1024];
		bool holds = ask(test, expectation, why, sizeof(why));

		test->n_different += !holds;
		printf("%s %zu - %s:%u: %s as %s: %s\n", holds ? "ok" : "not ok", i + 1, test->options->test_policy,
		       expectation->line, all->devices[expectation->device].id.address, expectation->as, why);
	}
	if (test->n_different > 0)
		printf("# %zu of %zu differ\n", test->n_different, all->n);
}

int test_policy(const struct options *options)
{
	struct policy_test test = { .options = options };
	struct policy_report report = { 0 };
	int r = read_expectations(&test), loaded = policy_files_read(options, &test.policy, &report);

	if (r == 0)
		r = loaded;
	if (r == 0)
		r = scan(&test);
	if (r == 0)
		run(&test);
	else
		printf("Bail out! %s\n", loaded < 0 ? "the policy has errors" : "the expectations can't be used");
	policy_report_clear(&report);
	expectations_clear(&test.expectations);
	registry_free(test.registry);
	policy_free(test.policy);
	return r == 0 && test.n_different == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
