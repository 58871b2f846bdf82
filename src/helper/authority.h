/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether a client may have a device: asked anew by the helper, from the client's own socket and from sysfs, never from
 * what the broker says.
 */
#ifndef IOMMUD_HELPER_AUTHORITY_H
#define IOMMUD_HELPER_AUTHORITY_H

#include "helper/device-facts.h"
#include "hw/helper-wire.h"
#include "policy/policy.h"
#include "util/process-facts.h"
#include "util/selinux.h"

/* What a rule says of the security context of nodes. */
struct node_label {
	enum policy_label_kind kind;
	char text[SECURITY_CONTEXT_MAX]; /* of STATIC; of PEER the client's own context */
};

/* policy_decide(), or the tests' own. */
typedef void (*authority_decide_fn)(const struct policy *policy, const struct policy_subject *subject,
				    const struct identity *client, struct policy_decision *ret);

struct authority {
	authority_decide_fn decide;
	const struct policy *policy;
	const char *client_socket; /* where our clients connect */
	const char *proc; /* "/proc"; NULL: what rules ask of a client's process is not known */
};

struct authority_answer {
	enum helper_status status; /* OK, REFUSED, BAD_REQUEST, NO_SUCH_DEVICE or FAULT */
	int error; /* of a FAULT: a positive errno */
	char reason[320]; /* for the log; empty with OK */
	bool force; /* of OK: also when the host uses the device */
	enum policy_reset reset; /* of OK: what the rule says of a device that another user had */
	struct node_label label; /* of OK: what its nodes are to have */
};

/*
 * Whether `fd` is a connected stream socket that was accepted at `path`. 0, or -EPERM; never blocks. A client that has
 * closed its end is still one; a client that has bound its own end to a name is none.
 */
int authority_check_socket(int fd, const char *path);

/*
 * Whose socket it is, if it is one of a client's; where the policy asks for it, with the process's unit, executable and so
 * on, for which it takes CAP_SYS_PTRACE. True with the identity (the caller's, identity_clear()), or false with the answer.
 */
bool authority_identify(const struct authority *authority, int client_fd, struct identity *ret,
			struct authority_answer *answer);

/* For who may not read it: see HELPER_IDENTIFY. False with the answer. */
bool authority_read_process(const struct authority *authority, int client_fd, struct process_facts *ret,
			    struct authority_answer *answer);

/* What the policy is asked of a device that was like this. Texts are borrowed. */
struct policy_subject authority_subject(const struct device_state *state);

/* What was read of a device. */
struct authority_device {
	const struct device_state *snapshot;
	const struct device_facts *facts;
	/*
	 * Of a device that the client has already, and for which another that came late is to be parked: what it was like
	 * before, by which its rules are found. NULL otherwise.
	 */
	const struct device_state *prepared;
};

/*
 * Whether the client may be signalled for keeping the device that was like `snapshot` before it was prepared; with `kill` by
 * SIGKILL. Goes by the snapshot alone: sysfs would block, for the device is being unbound. With OK, *ret_pidfd is of the
 * process that connected, and the caller's. Never blocks.
 */
void authority_judge_signal(const struct authority *authority, int client_fd, const struct device_state *snapshot,
			    bool kill, int *ret_pidfd, struct authority_answer *ret);

/* Of a client that is about to get a device. */
struct authority_limits {
	struct policy_limits limits; /* of the rule that gives it the device */
	pid_t pid; /* of the process that connected, as the kernel numbers it for us */
	int pidfd; /* the caller's; -1: it is not needed */
};

/*
 * Whether the client's limits are to be set for the device that was like `snapshot` before it was prepared: `what` is
 * HELPER_MEMLOCK, for which the process must be known for sure, or HELPER_RLIMIT_MODE. `ret` is set with OK. Never blocks.
 */
void authority_judge_limits(const struct authority *authority, int client_fd, const struct device_state *snapshot,
			    enum helper_operation what, struct authority_limits *ret, struct authority_answer *answer);

/*
 * Whether the client may have `device`; with a `bystander`, whether that may be parked for it. Decides by facts that were
 * read; pure.
 */
void authority_judge(const struct authority *authority, const struct identity *client,
		     const struct authority_device *device, const struct authority_device *bystander,
		     struct authority_answer *ret);

#endif
