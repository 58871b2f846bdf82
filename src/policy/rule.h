/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a loaded policy is made of. Private to src/policy; filled by the parser, read by the matcher, which neither
 * allocates nor parses.
 */
#ifndef IOMMUD_POLICY_RULE_H
#define IOMMUD_POLICY_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/policy.h"

#define NO_RULE ((size_t)-1)

/* All keys of a rule; those before N_CONDITIONS are lists, see struct condition. keys.c has their table. */
enum rule_key {
	KEY_VENDOR,
	KEY_DEVICE,
	KEY_SUBSYSTEM,
	KEY_CLASS,
	KEY_ADDRESS,
	KEY_DRIVER,
	KEY_PATH,
	KEY_SERIAL,
	KEY_PHYSICAL_FUNCTION,
	KEY_NUMA_NODE,
	KEY_POOL, /* of [Match]; the name in [Pool] is KEY_POOL_NAME */
	KEY_USER,
	KEY_GROUP,
	KEY_UNIT,
	KEY_SLICE,
	KEY_EXECUTABLE,
	KEY_CONTEXT,
	KEY_APPARMOR,
	N_CONDITIONS,
	KEY_POOL_NAME = N_CONDITIONS,
	KEY_NUM_VFS,
	KEY_ACTION,
	KEY_GROUP_SCOPE,
	KEY_BYSTANDERS,
	KEY_ALLOWED_DRIVERS,
	KEY_BACKEND,
	KEY_LABEL,
	KEY_FORCE,
	KEY_ON_VIOLATION,
	KEY_LATE_JOINER,
	KEY_ON_RELEASE_TIMEOUT,
	KEY_RELEASE_TIMEOUT,
	KEY_RESET,
	KEY_ISOLATION,
	N_KEYS
};

#define FIRST_CLIENT_CONDITION KEY_USER

enum item_kind {
	ITEM_ANY, /* `*` */
	ITEM_ABSENT, /* the word `none`: there is no driver, no physical function, no unit */
	ITEM_EXACT,
	ITEM_PREFIX,
	ITEM_GLOB,
	ITEM_NUMBER, /* a uid or gid, a NUMA node */
};

struct item {
	enum item_kind kind;
	bool negated; /* with `!`: what fits the item does not fit the condition. Never ITEM_ANY */
	uint32_t number; /* ITEM_NUMBER; of the texts their length */
	uint32_t line, column; /* where it stands in the rule's file */
	char *text; /* ITEM_EXACT, ITEM_PREFIX, ITEM_GLOB */
};

/*
 * What fits one of the items, or anything if all are negated, and none of those that are negated. No items: the key was not
 * given, and anything fits. With ITEM_ANY all others are negated.
 */
struct condition {
	struct item *items;
	size_t n;
};

#define N_MATCH_CONDITIONS FIRST_CLIENT_CONDITION

/* What [Pool] and [Host] say of the devices that the [Match] of their run fits. Gives nobody anything. */
struct mark {
	struct condition match[N_MATCH_CONDITIONS];
	unsigned int file; /* index in policy::files */
	unsigned int line; /* of the [Match] */
	char *pool; /* NULL: none */
	unsigned int num_vfs; /* 0: not said */
};

struct rule {
	struct condition conditions[N_CONDITIONS];
	unsigned int file; /* index in policy::files */
	unsigned int line; /* of its [Match] */
	unsigned int column;
	enum policy_action action;
	enum policy_scope scope;
	enum policy_bystanders bystanders;
	char **allowed_drivers; /* NULL-terminated; NULL: none */
	unsigned int backends;
	enum policy_label_kind label_kind;
	char *label;
	bool force;
	struct policy_conduct conduct;
	char *pool; /* of the same run, for its mark; NULL: none */
	unsigned int num_vfs; /* the same */
	char *text; /* its conditions and grants as they were written, "Key=Value" a line; NULL: none */
	size_t next_of_client; /* the next rule for the same kind of client, or NO_RULE */
};

/* One of the [Client] conditions that the rules tell apart. The first is always that of everybody. */
struct client_kind {
	size_t first_rule; /* NO_RULE: none */
	size_t last_rule;
};

struct rule_index;

struct policy {
	char **files;
	size_t n_files;
	struct rule *rules;
	size_t n_rules;
	struct mark *marks; /* in the order of files and lines */
	size_t n_marks;
	struct rule_index *index; /* NULL: there are no rules */
	struct client_kind *client_kinds;
	size_t n_client_kinds;
	bool asks_process; /* some rule has Unit=, Slice=, Executable= or AppArmor= */
	bool labels_differ; /* not all allowing rules give one label: only then members of a group can disagree */
	uint8_t digest[DIGEST_SIZE];
};

/* Adds a copy of the path. Returns its index or -ENOMEM. */
int policy_add_file(struct policy *policy, const char *path);

/* Moves the rule into the policy and leaves an empty one. -ENOMEM: the rule stays the caller's. */
int policy_add_rule(struct policy *policy, struct rule *rule);

/*
 * Moves the item in, on success; ITEM_ANY replaces all that are not negated, and those are dropped once it is there.
 * -ENOMEM.
 */
int condition_add(struct condition *condition, struct item *item);
/* Whether it takes whatever is known; what is not known fits it only if it has no items. */
bool condition_is_any(const struct condition *condition);

/* Copies into an empty one. -ENOMEM, then it is empty still. */
int condition_copy(const struct condition *condition, struct condition *ret);
void condition_clear(struct condition *condition);

/* Adds "name=value" to rule::text. -ENOMEM. */
int rule_add_text(struct rule *rule, const char *name, const char *value);

void item_clear(struct item *item);
void rule_clear(struct rule *rule);

#endif
