/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What clients may have: files, rules, decisions. A policy is immutable once loaded; a decision is a pure function of
 * policy, device and client. Broker and helper each load their own copy and compare digests. Not thread-safe to load,
 * thread-safe to ask.
 *
 * Beside rules, files name pools of devices, and how many virtual functions a device is to have.
 *
 * Fails closed: a set with one error is not loaded at all, an identity that is missing matches no allow, and what no rule
 * fits is denied.
 */
#ifndef IOMMUD_POLICY_POLICY_H
#define IOMMUD_POLICY_POLICY_H

#include <stdbool.h>
#include <stdio.h>

#include "util/device-id.h"
#include "util/digest.h"
#include "util/identity.h"

enum policy_action {
	POLICY_DENY, /* the zero value is the safe one */
	POLICY_ALLOW,
};

enum policy_scope {
	POLICY_SINGLETON, /* the default: groups of exactly one device */
	POLICY_WHOLE, /* any group, by consent of the client */
};

/* What becomes of a member that the client did not ask for and that keeps the group from user space. */
enum policy_bystanders {
	POLICY_REQUIRE, /* the default: nothing; the group is not viable until somebody helps */
	POLICY_PARK, /* it waits on pci-stub for the end of the lease */
};

/* What is done when the group of a lease stops being safe. */
enum policy_on_violation {
	POLICY_VIOLATION_UNBIND, /* the default: an intruder is taken from its driver, and gets it back when the lease ends */
	POLICY_VIOLATION_REVOKE, /* the lease ends */
	POLICY_VIOLATION_LOG, /* it is told and journalled; the lease is violated for as long as it lasts */
};

/* What becomes of a device that joins the group of a lease. */
enum policy_late_joiner {
	POLICY_LATE_PARK, /* the default: it waits on pci-stub for the end of the lease */
	POLICY_LATE_ALLOW, /* nothing, as long as the group stays viable */
	POLICY_LATE_VIOLATE, /* it is a violation, whatever driver it has */
};

/* What is done to a client that was asked for its devices and did not give them back in time. */
enum policy_on_release_timeout {
	POLICY_RELEASE_LEAVE, /* the default: nothing; it is reported */
	POLICY_RELEASE_TERMINATE, /* SIGTERM */
	POLICY_RELEASE_KILL, /* SIGTERM, and after the same time once more SIGKILL */
};

/* Before a device goes to another user than the one that had it. */
enum policy_reset {
	POLICY_RESET_PREFER, /* the default: it is reset if it can be; a reset that fails quarantines it */
	POLICY_RESET_REQUIRE, /* it is granted only if it can be reset without touching what others have */
	POLICY_RESET_NO, /* never */
};

/* Of an mdev, whether its parent keeps it apart from the parent's other mdevs. */
enum policy_isolation {
	POLICY_ISOLATION_OWN, /* the default: it does */
	POLICY_ISOLATION_SHARED, /* it does not: all mdevs of a parent go to one lease */
};

/* How a lease is dealt with while it lasts and when it ends. Of a rule, and kept with each leased device. */
struct policy_conduct {
	enum policy_on_violation on_violation;
	enum policy_late_joiner late_joiner;
	enum policy_on_release_timeout on_release_timeout;
	unsigned int release_timeout_sec;
	enum policy_reset reset;
	enum policy_isolation isolation;
};

#define POLICY_RELEASE_TIMEOUT_SEC 30 /* the default */
#define POLICY_POOL_NAME_MAX 63

enum policy_backend {
	POLICY_BACKEND_IOMMUFD = 1 << 0,
	POLICY_BACKEND_LEGACY = 1 << 1,
	POLICY_BACKEND_ANY = POLICY_BACKEND_IOMMUFD | POLICY_BACKEND_LEGACY,
};

enum policy_label_kind {
	POLICY_LABEL_NONE, /* the default */
	POLICY_LABEL_STATIC,
	POLICY_LABEL_PEER, /* the client's own security context; a client without one is denied */
};

/* All errors and warnings of one load, in order of file and line. */
struct policy_report {
	/* Lines "file:line:column: error: ...", of a whole file or folder "file: error: ..."; NULL when empty. */
	char *text;
	size_t n_errors;
	size_t n_warnings;
};

struct policy;

/* The outcome of one question. Texts are borrowed from the policy. */
struct policy_decision {
	enum policy_action action;
	const char *file; /* NULL: no rule fits */
	unsigned int line; /* of the rule's first section */
	enum policy_scope scope;
	enum policy_bystanders bystanders;
	const char *const
		*allowed_drivers; /* that a member may stay on, beyond the built-in ones; NULL-terminated, or NULL */
	unsigned int backends; /* enum policy_backend */
	bool force; /* also while the host uses it: a disk that is mounted, a NIC that has an address */
	struct policy_conduct conduct;
	enum policy_label_kind label_kind;
	const char *
		label; /* of POLICY_LABEL_STATIC, or the client's own for POLICY_LABEL_PEER (borrowed from the client) */
	char reason[256]; /* one sentence for people: which rule decided and why, or that none fits */
};

/* What is asked about. What a device was like before a lease took it from its driver is what counts. */
struct policy_subject {
	const struct device_id *id;
	const char *driver; /* empty or NULL: none */
	const char *physical_function; /* its address; empty or NULL: the device is no virtual function */
	const char *path; /* udev's ID_PATH; empty or NULL: not known */
	const char *serial; /* empty or NULL: not known */
	int numa_node; /* -1: none */
};

/*
 * The folders that a system has, highest priority first, NULL-terminated:
 * /etc/iommud/policy.d, /run/iommud/policy.d, /usr/lib/iommud/policy.d.
 */
extern const char *const policy_default_dirs[];

/*
 * Loads all `*.policy` files of `dirs` (NULL-terminated, highest priority first; a folder that is missing is empty).
 * A file overrides those of the same name in later folders; a link to /dev/null or an empty file masks them. Files are
 * read in the order of their names. Unless `any_owner`, folders and files must belong to root and must not be writable
 * by group or others. Blocks for reading. Returns 0 with *ret (the caller's); -EINVAL when there is an error, all are in
 * `report`; or another negative errno for a fault. `report` is the caller's, policy_report_clear(); it may hold warnings
 * after success.
 */
int policy_load(const char *const *dirs, bool any_owner, struct policy **ret, struct policy_report *report);

/* A policy without rules: denies everything. */
int policy_new_empty(struct policy **ret);
struct policy *policy_free(struct policy *policy);
void policy_report_clear(struct policy_report *report);

/* SHA-256 over the names and contents of the files that were read, in order. */
const uint8_t *policy_digest(const struct policy *policy);
size_t policy_n_rules(const struct policy *policy);
/* Whether any rule asks for the client's unit, slice, executable or AppArmor profile. */
bool policy_asks_process(const struct policy *policy);

/*
 * Decides. Also for clients whose label is missing: see enum policy_label_kind. Rules are taken in order; the first that
 * fits decides.
 */
void policy_decide(const struct policy *policy, const struct policy_subject *subject, const struct identity *client,
		   struct policy_decision *ret);

/* ---- why rules did not decide: trace.c ---- */

#define POLICY_MISS_TEXT 160

/* A rule that comes before the one that decides, and its first condition that does not fit. Texts are borrowed. */
struct policy_miss {
	const char *file;
	unsigned int line; /* of the [Match] */
	enum policy_action action;
	const char *key; /* "Vendor" */
	char wanted[POLICY_MISS_TEXT]; /* what the rule says of it, as it is written */
	char found[POLICY_MISS_TEXT]; /* what the device or the client has; "none", or "not known" */
};

/*
 * Tells of the rules before the one that decides, in order; of all, if none does. Walks them all, so it is for answers to
 * people. `missed` is borrowed for the time of the call.
 */
void policy_trace(const struct policy *policy, const struct policy_subject *subject, const struct identity *client,
		  void (*tell)(void *userdata, const struct policy_miss *missed), void *userdata);

/* ---- what there is, for people: listing.c ---- */

enum policy_part {
	POLICY_PART_MATCH,
	POLICY_PART_CLIENT,
	POLICY_PART_GRANT, /* without Action= */
};

/* A rule's place and what it does. The file is borrowed. */
struct policy_place {
	const char *file;
	unsigned int line; /* of the [Match] */
	enum policy_action action;
};

/* `rule` counts from 0, in the order in which rules are taken, and is below policy_n_rules(). */
struct policy_place policy_rule_place(const struct policy *policy, size_t rule);
/* One part of the rule as it was written, "Key=Value Key=Value", cut at `size` - 1 bytes; empty where it says nothing. */
void policy_rule_part(const struct policy *policy, size_t rule, enum policy_part part, char *buffer, size_t size);

enum policy_file_state {
	POLICY_FILE_READ,
	POLICY_FILE_MASKS, /* it is empty, or a link to /dev/null: files of its name in later folders are not read */
	POLICY_FILE_OVERRIDDEN, /* a folder of higher priority has one of its name */
	POLICY_FILE_BAD, /* it can't be trusted or read */
};

/* A file of one of the folders. Borrowed for the time of the call. */
struct policy_file {
	const char *dir;
	const char *name;
	enum policy_file_state state;
	const char *by; /* the folder whose file overrides or masks it; NULL: none */
};

/* Tells of every `*.policy` file, in order of names, and of one name in order of priority. As policy_load(); 0 or -ENOMEM. */
int policy_list_files(const char *const *dirs, bool any_owner,
		      void (*tell)(void *userdata, const struct policy_file *file), void *userdata);

/* Whether any file names such a pool. */
bool policy_pool_exists(const struct policy *policy, const char *pool);
/* Whether the device belongs to it. Who may have it is for policy_decide(). */
bool policy_pool_contains(const struct policy *policy, const char *pool, const struct policy_subject *subject);
/*
 * The pools that the device belongs to, each once, in the order of files and lines: `cursor` begins at 0, NULL is the end.
 * Borrowed from the policy.
 */
const char *policy_next_pool(const struct policy *policy, const struct policy_subject *subject, size_t *cursor);

/*
 * How many virtual functions the device is to have, by the first [Host] that fits; its file and line are in *file and
 * *line (borrowed). 0: no file says; also for what is a virtual function itself.
 */
unsigned int policy_num_vfs(const struct policy *policy, const struct policy_subject *subject, const char **file,
			    unsigned int *line);

/*
 * Static labels of a group must agree (two members that one client would get under different labels make the group
 * unleasable). For every kind of client that the rules tell apart, compares what the members would get. Returns true if
 * there is a conflict and fills `ret`; texts are borrowed from the policy.
 */
struct policy_label_conflict {
	size_t first; /* index in `members` */
	size_t second;
	const char *first_label; /* NULL: none */
	const char *second_label;
	const char *first_file;
	unsigned int first_line;
	const char *second_file;
	unsigned int second_line;
};
bool policy_find_label_conflict(const struct policy *policy, const struct policy_subject *members, size_t n_members,
				struct policy_label_conflict *ret);

#endif
