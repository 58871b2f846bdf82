/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the text of a value to what the matcher compares. Every function returns 0, -EINVAL with a complaint, or -ENOMEM,
 * and leaves its output alone unless it returns 0.
 */
#ifndef IOMMUD_POLICY_VALUES_H
#define IOMMUD_POLICY_VALUES_H

#include "policy/rule.h"

/* Why a value is refused, and the offset of the byte where it goes wrong. */
struct complaint {
	size_t offset;
	enum rule_key meant; /* by an unknown key, N_KEYS if there is no telling */
	char message[400];
};

/* Fills the complaint; always -EINVAL. */
int complain(struct complaint *complaint, size_t offset, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* A new item of this text, lower-cased if asked. -ENOMEM. */
int make_text_item(enum item_kind kind, const char *text, bool lower, struct item *ret);

/*
 * A glob over `length` digits if `fixed`, or over a text of at most `length` characters. `offset` is that of `text` in
 * the value as it was written. Checked in the case in which it is used: [F-a] runs backwards.
 */
int make_glob_item(const char *text, size_t offset, size_t length, bool fixed, bool lower, struct item *ret,
		   struct complaint *complaint);

/* An exact text or a glob over one, of at most `length` printable characters; `what` it is, "a serial number". */
int make_word_item(const char *what, const char *text, size_t length, struct item *ret, struct complaint *complaint);

/* Whether `text` may be a driver's name, or a glob over one; complains if not. */
int check_driver_name(const char *text, struct complaint *complaint);

/*
 * One item of a list: a row each in the table of keys.c. values-device.c, values-place.c, values-client.c and
 * values-process.c.
 */
int parse_vendor(const char *text, struct item *ret, struct complaint *complaint);
int parse_device(const char *text, struct item *ret, struct complaint *complaint);
int parse_subsystem(const char *text, struct item *ret, struct complaint *complaint);
int parse_class(const char *text, struct item *ret, struct complaint *complaint);
int parse_address(const char *text, struct item *ret, struct complaint *complaint);
int parse_driver(const char *text, struct item *ret, struct complaint *complaint);
int parse_physical_function(const char *text, struct item *ret, struct complaint *complaint);
int parse_path(const char *text, struct item *ret, struct complaint *complaint);
int parse_serial(const char *text, struct item *ret, struct complaint *complaint);
int parse_numa_node(const char *text, struct item *ret, struct complaint *complaint);
int parse_pool(const char *text, struct item *ret, struct complaint *complaint);
int parse_user(const char *text, struct item *ret, struct complaint *complaint);
int parse_group(const char *text, struct item *ret, struct complaint *complaint);
int parse_unit(const char *text, struct item *ret, struct complaint *complaint);
int parse_slice(const char *text, struct item *ret, struct complaint *complaint);
int parse_executable(const char *text, struct item *ret, struct complaint *complaint);
int parse_context(const char *text, struct item *ret, struct complaint *complaint);
int parse_apparmor(const char *text, struct item *ret, struct complaint *complaint);

/* Values of [Pool] and [Host], put into the rule for its mark. values-mark.c. */
int parse_pool_name(const char *text, struct rule *rule, struct complaint *complaint);
int parse_num_vfs(const char *text, struct rule *rule, struct complaint *complaint);

/* Values of [Grant], put into the rule; Backend and AllowedDrivers once an item. values-grant.c. */
int parse_action(const char *text, struct rule *rule, struct complaint *complaint);
int parse_group_scope(const char *text, struct rule *rule, struct complaint *complaint);
int parse_bystanders(const char *text, struct rule *rule, struct complaint *complaint);
int parse_allowed_driver(const char *text, struct rule *rule, struct complaint *complaint);
int parse_backend(const char *text, struct rule *rule, struct complaint *complaint);
int parse_force(const char *text, struct rule *rule, struct complaint *complaint);
int parse_on_violation(const char *text, struct rule *rule, struct complaint *complaint);
int parse_late_joiner(const char *text, struct rule *rule, struct complaint *complaint);
int parse_on_release_timeout(const char *text, struct rule *rule, struct complaint *complaint);
int parse_release_timeout(const char *text, struct rule *rule, struct complaint *complaint);
int parse_reset(const char *text, struct rule *rule, struct complaint *complaint);
int parse_isolation(const char *text, struct rule *rule, struct complaint *complaint);
int parse_label(const char *text, struct rule *rule, struct complaint *complaint);

#endif
