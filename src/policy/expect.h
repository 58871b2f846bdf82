/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files for `policy test`: what an administrator expects of the rules. [Device] describes a device, by the keys of [Match]
 * with one value each, or names one of this machine by nothing but Address=; each [Expect] behind it is one question about
 * it, with the answer that there should be. Read as strictly as policy files.
 */
#ifndef IOMMUD_POLICY_EXPECT_H
#define IOMMUD_POLICY_EXPECT_H

#include "policy/policy.h"
#include "util/process-facts.h"

#define EXPECT_RULE_NONE "none" /* Rule=none: no rule fits */

/* A device as a file tells it. */
struct expected_device {
	struct device_id id;
	bool described; /* by facts; if not, it is this machine's device at the address */
	char driver[DEVICE_DRIVER_MAX];
	char physical_function[DEVICE_ADDRESS_MAX];
	char path[DEVICE_PATH_MAX]; /* empty: not known */
	char serial[DEVICE_SERIAL_MAX]; /* empty: not known */
	int numa_node; /* -1: none */
};

struct expectation {
	size_t device; /* index in expectations::devices */
	unsigned int line; /* of [Expect] */
	char *as; /* for identity_from_text() */
	struct process_facts client; /* for process_facts_store() */
	enum policy_action action;
	char *rule; /* NULL: any */
	unsigned int backends; /* enum policy_backend; 0: any */
	char *label; /* "none": that there is none; NULL: any */
};

struct expectations {
	struct expected_device *devices;
	size_t n_devices;
	struct expectation *list;
	size_t n;
};

/*
 * Reads a file's text. 0 with the expectations (the caller's, expectations_clear()); -EINVAL, all errors are in `report`
 * (the caller's); or -ENOMEM.
 */
int expectations_parse(const char *path, const char *text, size_t size, struct expectations *ret,
		       struct policy_report *report);
void expectations_clear(struct expectations *expectations);

/* What policy_decide() is to be asked about a device that is described. Borrowed from it. */
struct policy_subject expected_subject(const struct expected_device *device);

/* Whether the decision is as expected; if not, `why` says what was expected and what there is. */
bool expectation_holds(const struct expectation *expectation, const struct policy_decision *decision, char *why,
		       size_t size);

#endif
