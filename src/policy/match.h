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
	char subsystem[10]; /* "8086:0001" */
	const char *driver; /* empty: none */
	char physical_function[DEVICE_ADDRESS_MAX]; /* lower-case; empty: none */
	const char *path; /* empty: not known */
	const char *serial; /* empty: not known */
	int numa_node; /* -1: none */
	const struct policy *policy; /* for its pools */
	const struct identity *client; /* borrowed; not looked at for the conditions of [Match] */
};

/* In this order the worst of several counts. */
enum fit {
	FIT_NO,
	FIT_UNKNOWN, /* nobody told us what the condition asks about. It stops no deny and helps no allow */
	FIT_YES,
};

/* How several conditions fit together: as the worst of them, which is named. */
struct rule_fit {
	enum fit fit;
	enum rule_key key; /* the first condition that fits no better; N_CONDITIONS with FIT_YES */
};

void question_init(struct question *question, const struct policy *policy, const struct policy_subject *subject,
		   const struct identity *client);

/* All N_MATCH_CONDITIONS conditions of a [Match]. */
struct rule_fit match_fits_device(const struct condition *match, const struct question *question);
struct rule_fit rule_fits_device(const struct rule *rule, const struct question *question);
struct rule_fit rule_fits_client(const struct rule *rule, const struct question *question);
/* Both. */
struct rule_fit rule_fits(const struct rule *rule, const struct question *question);

/* Whether a rule that fits so well decides: what is not known fits no allow, and a deny it does not get around. */
bool rule_decides(const struct rule *rule, enum fit fit);

/* The rows of the table in keys.c. */
enum fit vendor_fits(const struct item *item, const struct question *question);
enum fit device_fits(const struct item *item, const struct question *question);
enum fit subsystem_fits(const struct item *item, const struct question *question);
enum fit class_fits(const struct item *item, const struct question *question);
enum fit address_fits(const struct item *item, const struct question *question);
enum fit driver_fits(const struct item *item, const struct question *question);
enum fit physical_function_fits(const struct item *item, const struct question *question);
enum fit path_fits(const struct item *item, const struct question *question);
enum fit serial_fits(const struct item *item, const struct question *question);
enum fit numa_node_fits(const struct item *item, const struct question *question);
enum fit pool_fits(const struct item *item, const struct question *question);
enum fit user_fits(const struct item *item, const struct question *question);
enum fit group_fits(const struct item *item, const struct question *question);
enum fit unit_fits(const struct item *item, const struct question *question);
enum fit slice_fits(const struct item *item, const struct question *question);
enum fit executable_fits(const struct item *item, const struct question *question);
enum fit context_fits(const struct item *item, const struct question *question);
enum fit apparmor_fits(const struct item *item, const struct question *question);

#endif
