/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the broker know of each other. Nobody outside of src/broker includes this. */
#ifndef IOMMUD_BROKER_INTERNAL_H
#define IOMMUD_BROKER_INTERNAL_H

#include "broker/broker.h"
#include "broker/quota.h"
#include "hw/helper-client.h"

/* What the broker remembers of a group beyond the registry, found by the group's number. */
struct group_state {
	struct lease *holder; /* NULL: nobody */
	uint64_t fingerprint; /* of the verdict that was published last */
	bool known; /* a verdict was taken */
	bool viable;
};

struct broker {
	struct registry *registry;
	struct helper_client *helper;
	struct policy *policy;
	int dev_fd;
	const struct opener *const *openers;
	struct broker_limits limits;
	void (*event)(void *userdata, const struct broker_event *event);
	void *userdata;

	struct list_link leases; /* lease::link */
	uint64_t last_lease;
	uint64_t last_sequence;
	struct quota quota;
	struct group_state *groups; /* by group number */
	size_t n_groups;
	int completion_fd[2]; /* opener threads write pointers to their jobs, broker_dispatch() reads them */
	/* recover.c: not all of the helper's open transactions were looked at yet: nothing is handed out, no park is ended */
	bool sweeping;
	uint64_t sweep_transaction; /* recover.c: the last of the helper's transactions that was looked at */
	uint64_t retry_usec; /* recover.c: when to try the helper again; UINT64_MAX: not */
};

struct peer {
	struct broker *broker;
	const struct identity *identity;
	int socket_fd;
	struct list_link leases; /* lease::peer_link */
};

/* An acquire under way: from the request to its one answer. It owns itself; acquire.c makes an end of it. */
struct acquire {
	struct lease *lease;
	acquire_done_fn done; /* NULL: the client is gone, nobody waits */
	void *userdata;
	size_t n_waiting; /* replies of the helper that are out */
	bool parking; /* these are of bystanders; the devices themselves are still to be prepared */
	bool opening; /* an opener thread is under way */
	struct refusal refusal; /* why it ends without a lease */
	unsigned int backends; /* that request and rules leave over */
	char **devices; /* as requested, NULL-terminated */
	char *consent;
	uint8_t digest[DIGEST_SIZE]; /* of the policy that judged it */
};

/* ---- judge.c: decides, changes nothing ---- */

/* How a group is looked at for one device of a request: by the rule that decided on it. Texts are borrowed. */
struct group_terms {
	const struct judgement *request; /* that it is part of; NULL: of none */
	unsigned int group;
	const char *const *devices; /* that are asked for; NULL-terminated */
	const struct lease *self; /* as in the judgement */
	enum policy_scope scope;
	enum policy_bystanders bystanders;
	const char *const *allowed_drivers;
	struct policy_conduct conduct;
	const char *file;
	unsigned int line;
};

/* What is asked, and what came out. */
struct judgement {
	const struct identity *identity;
	const char *const *devices; /* NULL-terminated */
	const char *backend;
	const char *consent;
	const struct lease *self; /* the lease that asks again before it sends: it does not stand in its own way */

	struct refusal refusal; /* REFUSAL_NONE: granted */
	const char *label; /* borrowed from policy or identity; NULL: none */
	unsigned int backends; /* what request and rules leave over, before looking at the kernel */
	const struct opener *opener;
	struct group_terms terms[OPENER_DEVICES_MAX]; /* for each device, as far as it came */
};

/* 0 with an outcome, or a negative errno. The caller clears judgement->refusal. */
int judge(struct broker *broker, struct judgement *judgement);
/* Reads the members of the groups of `devices` anew, for events may be late. -ENOENT: `missing` has no group. */
int judge_refresh(struct broker *broker, const char *const *devices, const char **missing);
/* consent.c: the members of `group` that were not asked for, and the consent token for them. 0 or -ENOMEM. */
int judge_bystanders(const struct group *group, const struct group_terms *terms, struct bystanders *ret,
		     char ret_token[DIGEST_HEX_SIZE]);
/* NULL terms: as it is now, for whoever has it. */
int judge_group(struct broker *broker, const struct group *group, const struct group_terms *terms, struct verdict *ret);
struct group_terms judge_terms(const struct judgement *judgement, const struct device *device,
			       const struct policy_decision *decision);
/* terms.c: of all devices that are there. */
void judge_fill_terms(struct broker *broker, struct judgement *judgement);
void judge_decide(struct broker *broker, const struct device *device, const struct identity *identity,
		  struct policy_decision *ret);
const struct opener *judge_opener(struct broker *broker, unsigned int backends);
/* The backends that a request's word means; 0: no such word. NULL is "auto". */
unsigned int judge_backend_word(const char *word);

/* ---- park.c: which bystanders are parked ---- */

struct parking {
	const struct device *device;
	size_t for_device; /* of the request: the one whose rule has it parked */
};

/* Whether the request takes this member from its driver and has it wait, by these terms or those of its other devices. */
bool park_is_planned(const struct group_terms *terms, const struct device *device);
/* The parked device of a lease, NULL: it is none. */
const struct lease_device *park_find(const struct lease *lease, const char *address);
/* To blockers that parking would help against, where the rule could say so and does not. */
void park_add_remedies(const struct group *group, const struct group_terms *terms, struct verdict *verdict);
/* All that a judgement which granted would park, each once. 0 and a list to free(), or -ENOMEM. */
int park_plan(struct broker *broker, const struct judgement *judgement, struct parking **ret, size_t *ret_n);
/* Whether the text is in the list (NULL-terminated, may be NULL). */
bool text_is_listed(const char *const *list, const char *text);

/* ---- groups.c: who holds which group ---- */

struct group_state *group_state_get(struct broker *broker, unsigned int group); /* NULL when out of memory */
/* -ENOMEM; all or nothing. */
int groups_hold(struct broker *broker, struct lease *lease);
void groups_let_go(struct broker *broker, struct lease *lease);

/* ---- acquire.c ---- */

/* The client of a lease that is being prepared is gone: nobody is answered, what comes back is undone. */
void acquire_abandon(struct acquire *acquire);
/* An administrator wants what is being prepared: the client is refused, now or when what is out comes back. */
void acquire_call_off(struct acquire *acquire, const char *why);
/* Opens again what was not ready, when udev says that a node is. */
void acquire_retry(struct lease *lease);
void acquire_expire(struct lease *lease);
/* The opener came to an end: hands out, waits for udev, or fails. Takes over what was opened. */
void acquire_opened(struct acquire *acquire, int result, struct opened *opened, const char *failed);

/* ---- lease-make.c ---- */

/* In LEASE_REQUESTED, in no list. NULL: out of memory. */
struct lease *lease_make(struct broker *broker, struct peer *peer, const struct judgement *judgement, size_t n_devices);

/* ---- open.c ---- */

/* Has the lease's devices opened; acquire_opened() is called, now or (*ret_later is set then) from the broker's pipe. */
int open_begin(struct lease *lease, bool *ret_later);
void open_dispatch_completions(struct broker *broker);

/* ---- release.c ---- */

/* Gives everything of the lease back and frees it when that is done, which may be at once. */
void release_begin(struct lease *lease);
/* The same for a lease that was never granted. */
void release_failed(struct lease *lease);
/* (Re)sends what was not answered, after the helper was lost. */
void release_resume(struct lease *lease);
void release_resume_all(struct broker *broker);
/* The lease's time is up: it lingers, or the next means of a revocation is due. */
void release_expire(struct lease *lease, uint64_t now);
/* The lease's deadline anew, from what it waits for on its way back. */
void release_schedule(struct lease *lease);
/* The kernel waits for descriptors: shows it, and has their holders looked for. Once; nothing happens the next time. */
void release_linger(struct lease *lease);

/* ---- revoke.c ---- */

/*
 * Takes a lease back: the client is asked first. `why` is for people. One that is being prepared is called off; one that is
 * on its way back already is asked for more firmly; one that is being taken back stays as it is. It may be freed on return.
 */
void revoke_begin(struct lease *lease, const char *why);
/* The time is over: the next means. */
void revoke_expire(struct lease *lease);
/*
 * Who has the devices is known (`who`: as a part of a sentence, or empty). Returns true if that was for the report of a
 * revocation, which is published then.
 */
bool revoke_report(struct lease *lease, const char *who);

/* ---- holders.c ---- */

/* The lease has begun to linger: asks who has its devices, and publishes the event when that is known, or can't be. */
void holders_ask(struct lease *lease);

/* ---- recover.c ---- */

void recover_begin(struct broker *broker);
/* The helper is away: try to reach it again after a while. */
void recover_retry_later(struct broker *broker);

/* ---- watch.c ---- */

void watch_begin(struct broker *broker);
/* Takes the group's verdict anew, and tells when it changed. */
void watch_judge_group(struct broker *broker, unsigned int group);

/* ---- events.c ---- */

/* Fills in the sequence number, tells the listener and writes the journal. */
void event_publish(struct broker *broker, int priority, struct broker_event event);
void event_lease(struct lease *lease, int priority, const char *name, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void event_denied(struct broker *broker, const struct identity *identity, const struct refusal *refusal);
void event_device(struct broker *broker, int priority, const char *name, const struct device *device,
		  const char *format, ...) __attribute__((format(printf, 5, 6)));

/* CLOCK_MONOTONIC in microseconds. */
uint64_t now_usec(void);

#endif
