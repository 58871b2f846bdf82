/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the broker know of each other. Nobody outside of src/broker includes this. */
#ifndef IOMMUD_BROKER_INTERNAL_H
#define IOMMUD_BROKER_INTERNAL_H

#include "broker/broker.h"
#include "broker/flood.h"
#include "broker/kept.h"
#include "broker/ledger.h"
#include "broker/past.h"
#include "broker/quota.h"
#include "hw/helper-client.h"
#include "hw/ownership.h"
#include "topology/reset.h"
#include "util/selinux.h"

/* What the broker remembers of a group beyond the registry, found by the group's number. */
struct group_state {
	struct lease *holder; /* NULL: nobody */
	uint64_t fingerprint; /* of the verdict that was published last */
	bool known; /* a verdict was taken */
	/*
	 * The claim of a group that stays on VFIO between leases: nobody can have its DMA, so that no unbind is needed to know
	 * that. -1: none; it may have ended by itself.
	 */
	int kept;
};

struct broker {
	struct registry *registry;
	struct helper_client *helper;
	struct policy *policy;
	int dev_fd;
	const struct opener *const *openers;
	struct ownership *module; /* NULL: without */
	struct broker_limits limits;
	void (*event)(void *userdata, const struct broker_event *event);
	void *userdata;

	struct list_link leases; /* lease::link */
	struct list_link waiting; /* demand::link, in order of arrival */
	struct list_link unidentified; /* demand::link, in order of arrival: identify.c */
	uint64_t last_lease;
	uint64_t last_sequence;
	struct quota quota;
	struct past past;
	struct ledger *ledger; /* NULL: nothing outlives us */
	struct kept *kept; /* NULL: likewise */
	const struct keeper *keeper; /* NULL: there is none; leases are written down all the same */
	struct ledger_found found; /* what a former broker left, until broker_inherit_end() */
	struct group_state *groups; /* by group number */
	size_t n_groups;
	int completion_fd[2]; /* opener threads write pointers to their jobs, broker_dispatch() reads them */
	/* recover.c: not all of the helper's open transactions were looked at yet: nothing is handed out, no park is ended */
	bool sweeping;
	uint64_t sweep_transaction; /* recover.c: the last of the helper's transactions that was looked at */
	struct list_link vfs_wishes; /* vfs.c: physical functions that are to make their virtual functions */
	struct flood flood; /* log-entry.c */
	int poll_fd; /* what the event loop polls: of what is below, all that can be waited for */
	int label_watch; /* node-labels.c: inotify; -1: nodes have no contexts here */
	uint64_t label_look_usec; /* node-labels.c: when their contexts are looked at again; UINT64_MAX: not */
	int (*node_context)(int fd, char *ret, size_t size);
	uint64_t retry_usec; /* recover.c: when to try the helper again; UINT64_MAX: not */
};

/* identify.c: what rules ask of a client's process, and the journal says of it. */
enum peer_process {
	PEER_PROCESS_UNASKED,
	PEER_PROCESS_MISSED, /* the helper went away with the question: the call that was held for it goes on */
	PEER_PROCESS_KNOWN, /* as far as it can be */
};

struct peer_question;

struct peer {
	struct broker *broker;
	struct identity *identity;
	int socket_fd;
	struct list_link leases; /* lease::peer_link */
	struct demand *waiting; /* NULL: it has none that waits */
	struct kept_mark *mark; /* kept.c; NULL: the connection is not kept */
	uint64_t cookie; /* of one that is */
	struct demand *unidentified; /* owned: it goes on when the question is answered; NULL: none */
	enum peer_process process;
	struct peer_question *question; /* to the helper, under way; NULL: none */
	void (*identified)(void *userdata);
	void *identified_userdata;
};

/* ---- identify.c ---- */

/* Nobody waits for the answer any more; a request that did is freed. */
void peer_forget_question(struct peer *peer);
/*
 * The first request of a connection: whether the helper is asked for the unit of its client, so that the journal can tell.
 * Then the demand goes over to the peer, and demand_begin() is called when that is known, or can't be, in a few seconds at
 * most. False: nothing has happened.
 */
bool identify_first(struct demand *demand);
uint64_t identify_next_deadline(const struct broker *broker);
void identify_expire(struct broker *broker, uint64_t now);

/* Connects to the helper if it is not connected. Whether it is now. */
bool broker_reach_helper(struct broker *broker);

/*
 * A request in the broker's own copy, from its arrival to its one answer: it is judged, waits perhaps, and goes over to the
 * acquire when it is granted. While it waits it holds nothing but its place in the queue.
 */
struct demand {
	struct list_link link; /* broker::waiting or broker::unidentified */
	struct peer *peer;
	acquire_done_fn done;
	void *userdata;
	const char *devices[OPENER_DEVICES_MAX + 1]; /* as requested, or chosen from the pool; NULL-terminated */
	char **named; /* what `devices` points to, or */
	char chosen[OPENER_DEVICES_MAX][DEVICE_ADDRESS_MAX];
	char *pool; /* NULL: devices were named */
	size_t count; /* of devices */
	int numa_node; /* that is preferred, -1: none */
	char *backend;
	char *consent;
	unsigned int wait_sec; /* 0: it does not wait */
	bool wait_cut; /* it is what MaxWaitSec= left over of more */

	/* wait.c */
	bool waits; /* it is in the queue, and counted against its uid */
	bool touched; /* something that it waits for may have changed */
	uint64_t deadline_usec; /* also of one that is not identified */
	struct refusal refusal; /* why it waits */
	unsigned int *claims; /* groups that nobody who came later gets before it */
	size_t n_claims;

	/* pool.c: devices of the pool that were chosen, and could not be prepared */
	char (*set_aside)[DEVICE_ADDRESS_MAX];
	size_t n_set_aside;
};

/* An acquire under way: from the request to its one answer. It owns itself; acquire.c makes an end of it. */
struct acquire {
	struct lease *lease;
	struct demand *demand; /* owned */
	acquire_done_fn done; /* NULL: the client is gone, nobody waits */
	void *userdata;
	size_t n_waiting; /* replies of the helper that are out */
	uint64_t expires_usec; /* the lease's deadline may be sooner, for another try */
	bool unclaimed; /* the last try to claim the groups found a driver on its way to a member */
	bool parking; /* these are of bystanders; the devices themselves are still to be prepared */
	bool opening; /* an opener thread is under way */
	bool overtaken; /* udev has told of nodes since it began: what it says of them may be old */
	bool elsewhere; /* the pool may have another device than the one that was refused */
	struct refusal refusal; /* why it ends without a lease */
	unsigned int backends; /* that request and rules leave over */
	uint8_t digest[DIGEST_SIZE]; /* of the policy that judged it */
	struct opened opened; /* while the client's limits are set; nothing before and after */
};

/* ---- broker.c ---- */

/* NULL: there is none of that number. */
struct lease *lease_by_number(struct broker *broker, uint64_t lease);
/* The lease that one of its devices has it for; parked ones do not count. NULL: it came to its end meanwhile. */
struct lease *lease_of_transaction(struct broker *broker, uint64_t transaction);

/* ---- judge.c: decides, changes nothing ---- */

/* How a group is looked at for one device of a request: by the rule that decided on it. Texts are borrowed. */
struct group_terms {
	const struct judgement *request; /* that it is part of; NULL: of none */
	unsigned int group;
	const char *const *devices; /* that are asked for; NULL-terminated */
	struct registry *registry; /* as in the judgement */
	const struct lease *self; /* as in the judgement */
	enum policy_scope scope;
	enum policy_bystanders bystanders;
	const char *const *allowed_drivers;
	struct policy_conduct conduct;
	struct policy_limits limits;
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
	const struct demand *demand; /* those that wait in front of it go first; NULL: all that wait */

	struct registry *registry; /* where siblings of an mdev are found; judge() sets it */
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

/* The client that has it, as far as the asker may know. */
void judge_describe_holder(const struct identity *asker, const struct lease *holder, char *ret, size_t size);

/* ---- sriov.c: physical functions and their virtual functions ---- */

/* Reads the virtual functions of the device anew, for events of their end may be late. 0 or a negative errno. */
int sriov_refresh(struct broker *broker, const char *address);
/* Whether somebody has what controls the device, or what it controls: a refusal then. */
void sriov_check(struct broker *broker, const struct judgement *judgement, const struct device *device,
		 struct refusal *refusal);
/* Physical functions that would leave their driver (NULL terms: that are on a host driver), and have virtual ones. */
int sriov_add_blockers(struct broker *broker, const struct group *group, const struct group_terms *terms,
		       struct verdict *verdict);
/* A device has changed: what that means for its physical function, or for the virtual functions that it is to have. */
void sriov_followed(struct broker *broker, enum registry_change change, const struct device *device);
/* Takes the verdict on the group of a physical function anew. Nothing happens if there is no such device. */
void sriov_judge_parent(struct broker *broker, const char *address);
/* A lease of the group has ended. */
void sriov_group_is_back(struct broker *broker, unsigned int group);
/* ", a virtual function of ..." if it is one; empty otherwise. Returns `text`. */
const char *sriov_describe_parent(struct broker *broker, const struct device *device, char *text, size_t size);
/* Whose virtual function a device is that is about to be leased, and its VF token. 0 or a negative errno. */
int sriov_fill(struct broker *broker, const struct device *device, struct lease_device *leased);

/* ---- vfs.c: NumVFs= ---- */

/* Wishes for the virtual functions of the device, if policy says so and it can be; vfs_resume() has them made. */
void vfs_want(struct broker *broker, const struct device *device);
void vfs_want_all(struct broker *broker);
/* Sends what the helper has not been asked for yet, if it is there and knows our policy. */
void vfs_resume(struct broker *broker);
void vfs_forget(struct broker *broker);

/* ---- isolation.c: mdevs, their parents and their siblings ---- */

/* Adds what parents of mdevs have against the group. 0 or -ENOMEM. */
int isolation_judge(struct broker *broker, const struct group *group, const struct viability_options *options,
		    struct verdict *verdict);
/* Refuses an mdev that another lease joins with its siblings, or that would be joined with what others have. */
void isolation_check(struct broker *broker, const struct judgement *judgement, const struct group_terms *terms,
		     const struct device *device, struct refusal *refusal);
/* Whether the rule makes the mdev one group with its siblings; and how many these are, 0 if it does not. */
bool isolation_is_shared(const struct group_terms *terms, const struct device *device);
size_t isolation_count(const struct group_terms *terms, const struct device *device);

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
/* pci-stub takes PCI devices; a bridge carries others, and a screen that is looked at stays. */
bool park_is_possible(const struct device *device);
/* Whether the text is in the list (NULL-terminated, may be NULL). */
bool text_is_listed(const char *const *list, const char *text);

/* ---- request.c: a demand's way to an acquire ---- */

/* Checks it, and judges it for the first time. */
void demand_begin(struct broker *broker, struct demand *demand);
/* Judges it, with the outcome: an acquire, a place in the queue, or its answer. It belongs to whatever came of it. */
void demand_try(struct broker *broker, struct demand *demand);
/* The answer without a lease; frees it. The refusal stays the caller's; NULL: `error` is a fault. */
void demand_answer(struct demand *demand, int error, const struct refusal *refusal);
/* Accepts NULL, returns NULL. It must not wait. */
struct demand *demand_free(struct demand *demand);

/* ---- pool.c: which devices of a pool ---- */

/*
 * Chooses and judges: judgement->devices are demand->devices then, and granted; or the refusal says what the pool lacks.
 * Then demand->claims become the groups of those that the client could have once they are free. 0 or a negative errno.
 */
int pool_choose(struct broker *broker, struct demand *demand, struct judgement *judgement);
/* It could not be prepared: the demand does not try it again. -ENOMEM. */
int pool_set_aside(struct demand *demand, const char *address);
/*
 * The devices that the demand is for, one after the other: those that it names, or all of its pool. `former` is what the last
 * call returned, NULL at first; `cursor` begins at 0. NULL: there are no more. Nothing may change the registry between.
 */
const struct device *demand_next_device(const struct broker *broker, const struct demand *demand, size_t *cursor,
					const struct device *former);
/* Whether a device of the group belongs to the pool. */
bool pool_touches_group(const struct broker *broker, const char *pool, unsigned int group);

/* ---- wait.c: who waits for what, in order of arrival ---- */

/* Takes its place in the queue, or keeps it, for the reason of `refusal` (taken over unless it fails). -ENOMEM. */
int wait_join(struct broker *broker, struct demand *demand, struct refusal *refusal);
/* What it claims from now on (taken over); those behind it are judged again for what it claims no longer. */
void wait_claim(struct broker *broker, struct demand *demand, unsigned int *claims, size_t n);
/* Gives its place up; those behind it are judged again. Does nothing for one that does not wait. */
void wait_leave(struct demand *demand);
/* Its client is gone: frees it. */
void wait_abandon(struct demand *demand);
/* The first of those in front of `demand` (NULL: of all) that claims the group. NULL: none does. */
const struct demand *wait_claimant(const struct broker *broker, unsigned int group, const struct demand *demand);
/* Refuses a device that nobody has, but that others asked for first, and wait for, or for more that includes it. */
void wait_check(const struct broker *broker, const struct judgement *judgement, const struct device *device,
		struct refusal *refusal);
/* A lease of the group ended, or a device of it changed: who waits for it is judged again, soon, by broker_expire(). */
void wait_touch(struct broker *broker, unsigned int group);
void wait_touch_all(struct broker *broker);
uint64_t wait_next_deadline(const struct broker *broker);
/* Judges those that were touched, in order, and sends away those whose time is over. */
void wait_expire(struct broker *broker, uint64_t now);

/* ---- reset.c: whether a device is reset before it is handed out ---- */

/* What handing `device` of the judgement out takes, by a rule with that Reset=. 0 or -ENOMEM. */
int reset_plan(struct broker *broker, const struct judgement *judgement, const struct device *device,
	       enum policy_reset wanted, enum device_reset *ret);
/* Who can reset buses here; NULL: nobody. */
const struct opener *reset_opener(const struct broker *broker);
/* Reads anew what a reset of the device would reset along with it. 0 or a negative errno. */
int reset_refresh(struct broker *broker, const char *address);
/* Refuses what Reset=require can't be kept for. 0 or -ENOMEM. */
int reset_check(struct broker *broker, const struct judgement *judgement, const struct group_terms *terms,
		const struct device *device, struct refusal *refusal);
/* Whether whoever gets it next, and is not known to have had it, gets it reset, by itself. */
bool reset_is_certain(const struct lease_device *leased, const struct device *device);
/* Makes room to remember the lease's devices by. -ENOMEM. */
int reset_reserve(struct broker *broker, const struct lease *lease);
/* What PREPARE of it is to carry. */
uint32_t reset_flags(const struct lease_device *device);
/* After PREPARE: quarantines the device, or ends that. May set an empty refusal. */
void reset_replied(struct lease_device *device, const struct helper_reply *reply, struct refusal *refusal);
/* The same after its bus was to be reset. */
void reset_bus_replied(struct lease *lease, const struct bus_reset *reset, struct refusal *refusal);
/* From now on the lease's user is who had its devices last. Says which were not reset, and should have been. */
void reset_granted(struct lease *lease);

/* ---- groups.c: who holds which group ---- */

struct group_state *group_state_get(struct broker *broker, unsigned int group); /* NULL when out of memory */
/* -ENOMEM; all or nothing. */
int groups_hold(struct broker *broker, struct lease *lease);
void groups_let_go(struct broker *broker, struct lease *lease);
void groups_free(struct broker *broker);

/* ---- claims.c: what the kernel module holds for leases ---- */

/*
 * Claims the lease's groups, all or none: for the context of `iommufd`, or with -1 so that a container can take the DMA
 * itself. Nothing happens to those that are claimed already, or without the module. 0; -EAGAIN: a driver is being bound or
 * unbound, ask again soon; or another negative errno with `refusal` set.
 */
int claims_take(struct lease *lease, int iommufd, struct refusal *refusal);
/* The lease is given back: nobody gets the DMA any more, and the claims end when the devices are unbound. */
void claims_give_back(struct lease *lease);
/* Whether all groups can stay as they are, on VFIO and claimed, until somebody else wants them. */
bool claims_can_stay(const struct lease *lease);
/* They do, from now on. */
void claims_keep(struct lease *lease);
/* The group is claimed anew, or its devices have moved. */
void claims_forget_kept(struct broker *broker, unsigned int group);
/* Closes them. */
void claims_drop(struct lease *lease);
/* Whether the group of this device, its first, is one that is to be claimed. */
bool claims_wanted(const struct lease *lease, size_t i);

/* ---- guarantees.c: what holds while a lease lasts, and what does not ---- */

void guarantees_list(const struct broker *broker, const struct device *device, struct explanation *explanation);

/* ---- inherit.c: what a former broker left ---- */

/* Reads it. 0 or a negative errno. */
int inherit_begin(struct broker *broker);

/* ---- acquire.c ---- */

/* Begins to prepare a lease that was just made. */
void acquire_prepare(struct acquire *acquire);
/* Of one without a lease; also frees its demand. Accepts NULL, returns NULL. */
struct acquire *acquire_free(struct acquire *acquire);

/* The client of a lease that is being prepared is gone: nobody is answered, what comes back is undone. */
void acquire_abandon(struct acquire *acquire);
/* An administrator wants what is being prepared: the client is refused, now or when what is out comes back. */
void acquire_call_off(struct acquire *acquire, const char *why);
/* Opens again what was not ready, when udev says that a node is. */
void acquire_retry(struct lease *lease);
void acquire_expire(struct lease *lease, uint64_t now);
/* It is known who has the devices that a driver does not let go of, or that it can't be known: the client is told. */
void acquire_holders_known(struct acquire *acquire);
/* The way out without a lease: the client is told, what was done is undone. Frees it. */
void acquire_fail(struct acquire *acquire, int error);
/* Nothing tells when it is worth another try to claim: soon. What was opened is closed by then. */
void acquire_try_again_soon(struct acquire *acquire);
/* The opener came to an end: hands out, waits for udev, or fails. Takes over what was opened. */
void acquire_opened(struct acquire *acquire, int result, struct opened *opened, const char *failed);

/* The client's limits are set, or could not be. Takes over what was opened. */
void acquire_limited(struct acquire *acquire, struct opened *opened);

/* ---- limits.c ---- */

/* Sets the client's limits as the rules say; acquire_limited() is called, now or when the helper has answered. */
void limits_begin(struct acquire *acquire, struct opened *opened);

/* ---- rule-quota.c ---- */

/*
 * Refuses `device` of the judgement, or one more than it names, if that would be more than the rule that gives it admits to one
 * uid. The rule is of the policy in force.
 */
void rule_quota_check(struct broker *broker, const struct judgement *judgement, const struct policy_decision *rule,
		      const struct device *device, struct refusal *refusal);
/* What the uid has by the rule, apart from what is judged. */
void rule_quota_count(struct broker *broker, const struct judgement *judgement, const struct policy_decision *rule,
		      unsigned int *ret_leases, unsigned int *ret_devices);

/* ---- expiry.c ---- */

/* From now on the time of the lease runs, if its rules give it one. */
void expiry_begin(struct lease *lease);
/* The deadline of an active or violated lease is over. It may be freed on return. */
void expiry_reached(struct lease *lease);
/* How long the demand may wait in line: what it asks for, or what its rules admit, if that is less. */
unsigned int expiry_wait_sec(struct broker *broker, const struct demand *demand);

/* ---- explain-limits.c ---- */

/* Of a decision that was made. */
void explain_limits(struct broker *broker, const struct judgement *judgement, struct explanation *explanation);

/* ---- grant.c ---- */

/* Claims, judges again and hands out, or fails. Takes over what was opened; frees the acquire, unless it is to be tried again. */
void grant_lease(struct acquire *acquire, struct opened *opened);

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
/* Of a lease that is being given back: goes on with what waits for nobody any more, or ends and frees it. */
void release_continue(struct lease *lease);
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

/* ---- violation.c ---- */

/*
 * Looks at all that can be wrong with an active or violated lease, tells what changed, and does what the rule says about
 * it. Any other lease is left alone. It may be freed on return.
 */
void violation_examine(struct lease *lease);
void violation_examine_all(struct broker *broker);
/* A device came to the group of a lease; violation_examine() is to follow. */
void violation_joined(struct lease *lease, const struct device *device);
/* Whose rule counts for the group: the lease's first device in it. NULL: it has none. */
const struct lease_device *violation_ruler(const struct lease *lease, unsigned int group);

/* ---- node-labels.c ---- */

/* A node of a lease that has another security context than it was leased with. */
struct node_drift {
	const struct lease_device *device;
	const char *node; /* below /dev */
	const char *former;
	char now[SECURITY_CONTEXT_MAX];
};

/* 0 or a negative errno. */
int node_labels_begin(struct broker *broker);
/* Of a lease with a label that is about to be granted: the contexts that its nodes have are those that they are to keep. */
int node_labels_remember(struct lease *lease);
/* Whether any has changed; `ret` borrows from the lease. */
bool node_labels_drifted(const struct lease *lease, struct node_drift *ret);
void node_labels_forget(struct lease *lease);
/* Something about a watched node changed: has its lease looked at. */
void node_labels_dispatch(struct broker *broker);
/* Looks again, when it is time for that. */
void node_labels_expire(struct broker *broker, uint64_t now);

/* ---- late.c ---- */

/* The parked one at this address, or the one that is to be; NULL: none. */
struct lease_device *late_find(const struct lease *lease, const char *address);
/* Remembers a device that came to a group of the lease. NULL: out of memory. */
struct lease_device *late_add(struct lease *lease, const struct device *device);
/* Has it parked, whatever has it. True: it is under way; false: it can't be, or was tried often enough. */
bool late_park(struct lease *lease, const struct device *device);
/* It was tried as often as it will be. */
bool late_gave_up(const struct lease_device *late);
/* Forgets those that were removed; what the helper has of them is closed. */
void late_forget_lost(struct lease *lease);

/* ---- holders.c ---- */

/*
 * Asks who has the devices of a lease that lingers, or that can't be prepared because a driver does not let go. What follows
 * when that is known, or can't be, is the event that it lingers, or acquire_holders_known(). False: nobody can be asked, and
 * nothing follows.
 */
bool holders_ask(struct lease *lease);
/* The lease has begun to linger: publishes the event as soon as it is known who has its devices. */
void holders_tell(struct lease *lease);
/* Somebody was told who has the devices: asks anew for the next one, when the answer is not fresh any more. */
void holders_ask_again(struct lease *lease);

/* ---- recover.c ---- */

void recover_begin(struct broker *broker);
/* The helper is away, or something else did not work: after a while it is reached, and everything looked at, again. */
void recover_retry_later(struct broker *broker);

/* ---- watch.c ---- */

void watch_begin(struct broker *broker);
/* Takes the group's verdict anew, and tells when it changed. */
void watch_judge_group(struct broker *broker, unsigned int group);

/* ---- events.c ---- */

struct event_member {
	const char *address;
	unsigned int group;
	const char *driver; /* NULL or empty: none */
};

/* Fills in the sequence number, tells the listener and writes the journal. */
void event_publish(struct broker *broker, int priority, struct broker_event event);
void event_lease(struct lease *lease, int priority, const char *name, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* The same about one device of it. */
void event_leased(struct lease_device *device, int priority, const char *name, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* About a member of the lease's group that need not be the lease's. */
void event_member(struct lease *lease, int priority, const char *name, const struct event_member *member,
		  const char *format, ...) __attribute__((format(printf, 5, 6)));
void event_denied(struct broker *broker, const struct identity *identity, const struct refusal *refusal);
/* Of a client that has no lease by it. */
void event_client(struct broker *broker, int priority, const char *name, const struct identity *identity,
		  const char *message);
void event_device(struct broker *broker, int priority, const char *name, const struct device *device,
		  const char *format, ...) __attribute__((format(printf, 5, 6)));

/* CLOCK_MONOTONIC in microseconds. */
uint64_t now_usec(void);

#endif
