/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/labels.h"
#include "daemon/policy-files.h"
#include "topology/particulars.h"
#include "util/cleanup.h"
#include "util/fileio.h"

/* A machine without an IOMMU has no groups, and so no conflict. */
static int check_labels(const struct options *options, const struct policy *policy)
{
	_cleanup_fd_ int sysfs_fd = open_dir_at(AT_FDCWD, options->sysfs);
	struct registry *registry = NULL;
	struct label_conflict conflict;
	int r = sysfs_fd < 0 ? sysfs_fd : registry_new(sysfs_fd, &registry);

	if (r >= 0)
		registry_set_udev_data(registry, UDEV_DATA);
	if (r >= 0)
		r = registry_scan(registry);
	if (r >= 0)
		r = labels_find_any_conflict(policy, NULL, registry, &conflict);
	registry_free(registry);
	if (r == 1)
		fprintf(stderr, "error: %s\n", conflict.message);
	else if (r < 0)
		fprintf(stderr, "iommud: %s can't be read, labels of groups are not checked: %s\n", options->sysfs,
			strerror(-r));
	return r;
}

int check_policy(const struct options *options)
{
	struct policy_report report = { 0 };
	struct policy *policy = NULL;
	int r = policy_files_read(options, &policy, &report);

	if (r == 0 && check_labels(options, policy) != 0)
		r = -EINVAL;
	if (r == 0)
		printf("%zu rules, no errors, %zu warnings\n", policy_n_rules(policy), report.n_warnings);
	else
		fprintf(stderr, "%zu errors, %zu warnings: this policy would not be loaded\n",
			report.n_errors ? report.n_errors : 1, report.n_warnings);
	policy_report_clear(&report);
	policy_free(policy);
	return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
