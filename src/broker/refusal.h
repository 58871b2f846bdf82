/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A refusal is an ordinary outcome, not a fault: it says what was refused, why, and what the client or the administrator
 * can do about it. One structure for all kinds; which members count is said at each kind. varlink/errors.c turns it
 * into the named error.
 */
#ifndef IOMMUD_BROKER_REFUSAL_H
#define IOMMUD_BROKER_REFUSAL_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/lease.h"
#include "topology/reset.h"
#include "topology/viability.h"
#include "util/digest.h"

enum refusal_kind {
	REFUSAL_NONE,
	REFUSAL_NO_SUCH_DEVICE, /* device */
	REFUSAL_NO_SUCH_LEASE, /* number: the lease */
	REFUSAL_DENIED, /* device; file and line, if a rule decided */
	REFUSAL_NOT_VIABLE, /* group, verdict */
	REFUSAL_CONSENT_REQUIRED, /* group, bystanders, token */
	REFUSAL_NOT_SINGLETON, /* group, bystanders: its members */
	REFUSAL_LABEL_MISMATCH, /* group, device, label: the one there is, other_label: the one that was wanted */
	REFUSAL_BUSY, /* group, device, holder; state, unless the host has it */
	REFUSAL_BACKEND_UNAVAILABLE, /* word: the backend */
	REFUSAL_QUOTA, /* word: what, number: the limit */
	REFUSAL_TIMED_OUT, /* word: the step; device, if it is one, and holders, if they are known */
	REFUSAL_NO_SUCH_POOL, /* pool */
	REFUSAL_POOL_EXHAUSTED, /* pool, number: how many are free, n_wanted */
	REFUSAL_PREPARE_FAILED, /* device, word: the step, number: errno */
	REFUSAL_RESET_SCOPE, /* device, reset_set */
};

/* A member of the group that was not asked for. */
struct bystander {
	char device[DEVICE_ADDRESS_MAX];
	char ids[12]; /* "8086:10d3" */
	char driver[DEVICE_DRIVER_MAX];
	char action[128]; /* what the lease would do to it */
};

struct bystanders {
	struct bystander *list;
	size_t n;
};

struct refusal {
	enum refusal_kind kind;
	char message[768];
	char device[DEVICE_ADDRESS_MAX];
	unsigned int group;
	char *file;
	unsigned int line;
	char *label; /* NULL: none */
	char *other_label;
	char word[32];
	uint64_t number;
	enum lease_state state;
	bool host_has_it; /* no lease is the reason */
	bool passes; /* it is over when others give back or have had their turn: to wait may help */
	char pool[POLICY_POOL_NAME_MAX + 1];
	size_t n_wanted;
	char holder[128];
	struct lease_holders holders; /* that keep a device after its lease, or before it; instead of `holder` */
	char token[DIGEST_HEX_SIZE];
	struct verdict verdict;
	struct bystanders bystanders;
	struct reset_set reset_set; /* those that stand against it are marked */
};

/* Sets kind and message of an empty refusal. */
void refusal_set(struct refusal *refusal, enum refusal_kind kind, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
struct helper_reply;

struct policy_decision;

/* What a PREPARE that the helper did not carry out means to the client, whom `decision` allowed the device. */
void refusal_from_helper(struct refusal *refusal, const struct lease_device *device, const struct helper_reply *reply,
			 const struct policy_decision *decision);
/* The same of one whose driver did not let go of it in time, when it was looked for who has it open. */
void refusal_from_timeout(struct refusal *refusal, const struct lease_device *device, const char *step,
			  const struct lease_holders *holders);
/* `address` is wanted, and of the group that `holder` has a driver has not let go. `mine`: who has it open may be told. */
void refusal_from_blocked(struct refusal *refusal, const char *address, const struct lease *holder, bool mine);
/* Frees what it owns and empties it. */
void refusal_clear(struct refusal *refusal);
void bystanders_clear(struct bystanders *bystanders);

#endif
