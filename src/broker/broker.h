/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The broker joins topology, policy and hardware: it judges, leases, hands out and takes back. It knows nothing of varlink:
 * clients are peers, answers are callbacks. Everything runs on the caller's thread (one opener, which may block, runs on a
 * thread of its own that sees nothing but its job). Nothing blocks but reads of sysfs.
 *
 * Where to look: request.c takes a request in, judge.c decides, reset.c what is reset first, wait.c has it wait, acquire.c
 * takes, limits.c sets what the client may pin, release.c gives back, identify.c asks who a client is, revoke.c takes back,
 * watch.c follows the devices, recover.c cleans up after a helper or a
 * former broker, ledger.c writes down what has to outlive us, kept.c has the rest of it held, inherit.c goes on with what a
 * former broker left, events.c tells everybody.
 */
#ifndef IOMMUD_BROKER_BROKER_H
#define IOMMUD_BROKER_BROKER_H

#include "broker/lease.h"
#include "broker/refusal.h"
#include "policy/policy.h"
#include "topology/registry.h"
#include "topology/reset.h"

struct helper_client;
struct ownership;

struct broker_limits {
	unsigned int leases_per_uid;
	uint64_t prepare_timeout_usec; /* from Acquire to the descriptors */
	uint64_t linger_after_usec; /* a release that takes longer is shown as lingering */
	uint64_t holders_fresh_usec; /* who keeps a device is not looked for again before that */
};

/* Something that happened. Texts are borrowed for the time of the call; what does not apply is NULL or -1. */
struct broker_event {
	uint64_t sequence;
	const char *name; /* "leaseGranted" and so on: see iommuctl(1) */
	const char *device;
	int64_t group;
	int64_t lease;
	int64_t uid; /* whom it is about; others but root do not see it */
	const char *driver;
	const char *label;
	int viable; /* -1: not said */
	const char *message;
};

struct broker_config {
	struct registry *registry; /* borrowed; its listener is the broker's from now on */
	struct helper_client *helper; /* borrowed */
	struct policy *policy; /* taken over; for NumVFs= of devices that are there already, see broker_set_policy() */
	int dev_fd; /* of /dev, borrowed */
	const struct opener *const *openers; /* in order of preference, NULL-terminated, borrowed */
	struct ownership *module; /* borrowed; NULL: without the kernel module */
	struct broker_limits limits;
	/* Reads the security context of a node (selinux_get_context()); NULL: no LSM labels nodes here. */
	int (*node_context)(int fd, char *ret, size_t size);
	void (*event)(void *userdata, const struct broker_event *event);
	void *userdata;
	/* The folder where leases are written down, so that they outlive us; duplicated. -1: nowhere. */
	int state_fd;
	const struct keeper *keeper; /* holds descriptors meanwhile, borrowed; NULL: nobody does */
};

/* The registry must have been scanned. 0 or a negative errno (then the policy is the caller's still). */
int broker_new(const struct broker_config *config, struct broker **ret);
/* Ends nothing: drivers stay as they are, and the helper's journal knows them. Accepts NULL, returns NULL. */
struct broker *broker_free(struct broker *broker);

/* ---- what the event loop does ---- */

/* Poll for reading, then dispatch: results of opener threads, nodes whose security contexts changed. */
int broker_get_fd(const struct broker *broker);
void broker_dispatch(struct broker *broker);
/* Microseconds of CLOCK_MONOTONIC at which broker_expire() must be called; 0: at once, UINT64_MAX: never. Ask after each
 * dispatch. */
uint64_t broker_next_deadline(const struct broker *broker);
void broker_expire(struct broker *broker, uint64_t now_usec);

/* From the monitor: a device changed, a node is ready, events were lost. */
void broker_device_changed(struct broker *broker, const char *address);
void broker_node_ready(struct broker *broker);
void broker_resync(struct broker *broker);

/* The kernel module's events are readable; only with one. */
void broker_module_dispatch(struct broker *broker);
/* NULL: without the kernel module. */
const struct ownership *broker_get_module(const struct broker *broker);

/* The helper was connected (again), or has gone. */
void broker_helper_connected(struct broker *broker);
void broker_helper_lost(struct broker *broker);

/*
 * Puts a new policy in force (taken over). A set whose static labels differ within a group that exists is refused:
 * -EINVAL, `refused` says where; then the policy is still the caller's and the old one stays.
 */
int broker_set_policy(struct broker *broker, struct policy *policy, char *refused, size_t refused_size);
/* The helper has loaded the policy in force, too: what [Host] sections say is done now. */
void broker_policy_shared(struct broker *broker);
const struct policy *broker_get_policy(const struct broker *broker);
struct registry *broker_get_registry(const struct broker *broker);

/* ---- peers: one for each connection ---- */

/*
 * `identity` and `socket_fd` are borrowed for the peer's life; what is learned of the peer's process is put into the
 * identity. NULL when out of memory.
 */
struct peer *peer_new(struct broker *broker, struct identity *identity, int socket_fd);
/* The client is gone: its leases end, an acquire under way is called off. Accepts NULL, returns NULL. */
struct peer *peer_free(struct peer *peer);
/*
 * Whether all is known that the policy in force asks of the peer's process, as far as it can be: what is not known fits no
 * rule that allows. False: the helper was asked, and `identified` is called when it has answered or is gone. To be asked
 * before each request is judged.
 */
bool peer_identify(struct peer *peer);
void peer_set_identified(struct peer *peer, void (*identified)(void *userdata), void *userdata);
const struct identity *peer_get_identity(const struct peer *peer);
/* Root, who sees everything. */
bool peer_is_admin(const struct peer *peer);
/*
 * Whether it may manage: root, and whom the policy names. If not, that is told like any refusal, and `refused` is a sentence
 * that says what would allow it.
 */
bool peer_check_manager(const struct peer *peer, enum policy_manage_action action, char *refused, size_t size);
/* Whether a rule would allow this peer the device: what it may see in lists and events. */
bool peer_may_see(const struct peer *peer, const struct device *device);
bool peer_may_see_event(const struct peer *peer, const struct broker_event *event);

/* ---- after a restart, before the first client is served: what a former broker left ---- */

/* What it knew of a connection: the mark as in varlink/server.h, and whether it was subscribed to events. */
struct former_connection {
	uint32_t mark;
	bool subscribed;
	uint64_t lease; /* only to this one's; 0: to all */
};

/* False: the socket is none of its connections. */
bool broker_former_connection(const struct broker *broker, int fd, struct former_connection *ret);
/* A claim from the keeper, by its name; taken over. False: nobody misses it, and it is the caller's still. */
bool broker_inherit_claim(struct broker *broker, const char *name, int fd);
/* The peer is of such a connection: it has its leases again, from broker_inherit_end() on. 0 or a negative errno. */
int peer_inherit(struct peer *peer);
/* All connections and claims that there are have come. Leases that miss theirs end; without a state folder nothing happens. */
void broker_inherit_end(struct broker *broker);

/* Where the connection's mark is to be kept up to date; NULL: nowhere. Never taken back while the peer lives. */
uint32_t *peer_get_mark(struct peer *peer);
/* The descriptors of its last lease were sent, or some of them. */
void peer_granted(struct peer *peer);
/* `lease` 0: to all events that it may see. */
void peer_set_subscribed(struct peer *peer, bool subscribed, uint64_t lease);

/* ---- requests ---- */

struct acquire_request {
	const char *const *devices; /* addresses; or none of them and a pool */
	size_t n_devices;
	const char *pool; /* NULL: devices are named */
	size_t count; /* of devices of the pool */
	int numa_node; /* where they are preferred, -1: anywhere */
	unsigned int wait_sec; /* how long to wait for what somebody else has, 0: not at all */
	const char *backend; /* "auto", "iommufd", "legacy"; NULL: auto */
	const char *consent; /* the token, NULL: none */
};

/*
 * The outcome, exactly once unless the peer is freed before: either a lease with what was opened (borrowed: take what is to
 * be kept, the rest is closed afterwards), or a refusal. A fault is a negative `error` with neither.
 */
typedef void (*acquire_done_fn)(void *userdata, int error, const struct lease *lease, struct opened *opened,
				const struct refusal *refusal);

/*
 * May call `done` before it returns. One at a time for a peer. Of devices of a pool, those on the NUMA node come first,
 * then those of which the node is not known, then the others, each in the order of their addresses.
 *
 * A request that waits is granted in order of arrival: until then nobody who came later gets a group that it waits for. It
 * counts as a lease of its uid's. Root, too, waits in line.
 */
void broker_acquire(struct broker *broker, struct peer *peer, const struct acquire_request *request,
		    acquire_done_fn done, void *userdata);

/* Begins the end of one lease of the peer's (any lease, for root). Returns false when there is no such lease. */
bool broker_release(struct broker *broker, struct peer *peer, uint64_t lease);

/*
 * Takes a lease back from whoever has it, because `by` wants it; `why` is for people. That he may is the caller's to know. Returns false
 * when there is no such lease.
 */
bool broker_revoke(struct broker *broker, uint64_t lease, uid_t by, const char *why);

#define EXPLANATION_LIMITS_MAX 8 /* as many as there are */
#define GUARANTEES_MAX 8
#define EXPLANATION_STEPS_MAX 64 /* more bystanders than that are parked all the same */

#define EXPLANATION_PASSED_MAX 256 /* rules before the one that decided: those that come first are kept */

/* What Acquire would say. Everything in it is owned by it: explanation_clear(). */
struct explanation {
	struct policy_decision decision; /* its texts are the policy's: use it before the next broker_set_policy() */
	unsigned int group;
	char parent[DEVICE_ADDRESS_MAX]; /* of an mdev; empty: it is none */
	struct verdict verdict;
	struct bystanders bystanders;
	char token[DIGEST_HEX_SIZE]; /* empty: no consent is needed */
	const struct opener *opener; /* NULL: none fits */
	struct refusal refusal; /* the first thing that stands against it; REFUSAL_NONE: it would be granted */
	char plan[EXPLANATION_STEPS_MAX][224];
	size_t n_plan;
	struct policy_miss *passed; /* why earlier rules did not fit; texts as in `decision` */
	size_t n_passed;
	size_t n_passed_in_all; /* of which EXPLANATION_PASSED_MAX at most are in `passed` */
	struct reset_set reset; /* what a reset of the device would reset */
	char limits[EXPLANATION_LIMITS_MAX][160]; /* of the rule, for people */
	size_t n_limits;
	const char *guarantees[GUARANTEES_MAX]; /* what holds while the lease lasts, and what does not; static texts */
	size_t n_guarantees;
};

/* 0; or a negative errno. An unknown device is in the refusal. `identity` is who would ask. */
int broker_explain(struct broker *broker, const struct identity *identity, const char *address, const char *backend,
		   struct explanation *ret);
void explanation_clear(struct explanation *explanation);

/*
 * What is weaker because the kernel module is not there, or this kernel lacks a part of what it needs: static texts for
 * people. Returns how many there are, 0: nothing is.
 */
size_t broker_weaknesses(const struct broker *broker, const char *ret[GUARANTEES_MAX]);

/* ---- looking ---- */

/* struct lease by `link`. */
struct list_link *broker_leases(struct broker *broker);
/* NULL: there is none of this number, or it is not for the peer to see. */
const struct lease *broker_find_lease(struct broker *broker, const struct peer *peer, uint64_t lease);
/* The lease that holds a group, NULL: nobody. */
struct lease *broker_group_holder(const struct broker *broker, unsigned int group);
/*
 * The driver that rules by Driver= look at: of a leased device the one that it had before. Borrowed, empty: none. A NULL
 * broker leases nothing.
 */
const char *broker_host_driver(const struct broker *broker, const struct device *device);
/* Whether `device` is kept from others because `sibling`, an mdev of the same parent, is leased with Isolation=shared. */
bool isolation_joins(const struct broker *broker, const struct device *device, const struct device *sibling);
/* Whether its last reset failed, so that it is not granted before one succeeds. */
bool broker_is_quarantined(const struct broker *broker, const struct device *device);
/* What policy is asked of a device. Texts are borrowed. A NULL broker leases nothing. */
struct policy_subject broker_policy_subject(const struct broker *broker, const struct device *device);
/* The group's verdict now, label conflicts included. 0 or -ENOMEM; the caller clears it. */
int broker_judge_group(struct broker *broker, const struct group *group, struct verdict *ret);

#endif
