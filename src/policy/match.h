/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a rule is held against a device and a client. Private to src/policy. */
#ifndef IOMMUD_POLICY_MATCH_H
#define IOMMUD_POLICY_MATCH_H

#include "policy/rule.h"

/* What is asked, in the forms that items are compared with. Made once a decision, on the stack. */
struct question {
	char vendor[5]; /* lower-case hexadecimal digits */
	char device[5];
	char class[7];
	char address[DEVICE_ADDRESS_MAX]; /* lower-case */
	const char *driver; /* empty: none */
	char physical_function[DEVICE_ADDRESS_MAX]; /* lower-case; empty: none */
	const struct identity *client; /* borrowed; not looked at for the conditions of [Match] */
};

/* FIT_UNKNOWN: the kernel did not tell us what the condition asks about. It stops no deny and helps no allow. */
enum fit {
	FIT_NO,
	FIT_YES,
	FIT_UNKNOWN,
};

void question_init(struct question *question, const struct policy_subject *subject, const struct identity *client);

/* All N_MATCH_CONDITIONS conditions of a [Match]. These are never unknown. */
bool match_fits_device(const struct condition *match, const struct question *question);
bool rule_fits_device(const struct rule *rule, const struct question *question);
enum fit rule_fits_client(const struct rule *rule, const struct question *question);

/* The rows of the table in keys.c. */
enum fit vendor_fits(const struct item *item, const struct question *question);
enum fit device_fits(const struct item *item, const struct question *question);
enum fit class_fits(const struct item *item, const struct question *question);
enum fit address_fits(const struct item *item, const struct question *question);
enum fit driver_fits(const struct item *item, const struct question *question);
enum fit physical_function_fits(const struct item *item, const struct question *question);
enum fit user_fits(const struct item *item, const struct question *question);
enum fit group_fits(const struct item *item, const struct question *question);

#endif
