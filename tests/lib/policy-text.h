/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Policies from texts, and questions to them, for tests. Fails the running cmocka test where something is not right. */
#ifndef IOMMUD_TESTS_POLICY_TEXT_H
#define IOMMUD_TESTS_POLICY_TEXT_H

#include "policy/policy.h"

/* As if "t.policy" held `text`: 0 or -EINVAL, with the report (policy_report_clear()). */
int policy_from_text(const char *text, struct policy **ret, struct policy_report *report);

/* A policy (policy_free()) of a text that has neither errors nor warnings. */
struct policy *policy_must_load(const char *text);

/* Loads `text` and compares the whole report. */
void assert_policy_report(const char *text, const char *expected);

/* What `uid` (gid the same, no other groups, no label) gets. */
struct policy_decision policy_ask(const struct policy *policy, const struct device_id *id, const char *driver,
				  uid_t uid);

/* The same of a subject and a client with everything that a test wants in them. */
struct policy_decision policy_ask_all(const struct policy *policy, const struct policy_subject *subject,
				      const struct identity *client);

/* An Intel network card at 0000:01:00.0 and a display controller at 0000:65:0a.1. */
extern const struct device_id test_nic;
extern const struct device_id test_gpu;

#endif
