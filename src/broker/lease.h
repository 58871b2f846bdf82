/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A lease: who has which devices, and how far that is. The unit of ownership is the group, the unit of hand-out is the
 * device; one lease may hold several devices behind one IOMMU descriptor. It holds no VFIO descriptor: those go to the
 * client and are closed here.
 */
#ifndef IOMMUD_BROKER_LEASE_H
#define IOMMUD_BROKER_LEASE_H

#include <stdbool.h>
#include <sys/types.h>

#include "hw/helper-wire.h"
#include "hw/opener.h"
#include "policy/policy.h"
#include "topology/device.h"
#include "util/device-id.h"
#include "util/list.h"

struct broker;
struct peer;
struct acquire;

enum lease_state {
	LEASE_REQUESTED,
	LEASE_PREPARING, /* the helper binds drivers, udev makes nodes ready, the opener opens */
	LEASE_ACTIVE,
	LEASE_VIOLATED, /* active, but the group is not viable any more */
	LEASE_RELEASING, /* the helper puts the drivers back */
	LEASE_LINGERING, /* the same, but the kernel waits for descriptors that are still out */
	LEASE_RELEASED,
	LEASE_FAILED,
	LEASE_STATES
};

struct lease;

/* Of one that is parked, or is to be, since the lease was granted: late.c. */
struct lease_late {
	bool since; /* it is such a one */
	bool joined; /* it came to the group, not only to a driver */
	bool asked; /* HELPER_PARK was sent, its reply is out */
	unsigned int n_tries;
};

/* Before a device goes to the client: see reset.c. */
enum device_reset {
	DEVICE_RESET_NOT_NEEDED, /* this user had it last, or the rule says Reset=no */
	DEVICE_RESET_NEEDED, /* the helper resets it, or does not prepare it */
	DEVICE_RESET_BUS, /* all of its bus is with this lease, and is reset before it is opened */
	DEVICE_RESET_IMPOSSIBLE, /* it would be needed, and is handed out as it is */
};

#define LEASE_RULE_MAX 288

struct lease_device {
	struct lease *lease; /* that it belongs to: the context of the helper's replies */
	struct device_id id;
	unsigned int group;
	char driver[DEVICE_DRIVER_MAX]; /* when it was judged, before we moved it; empty: none */
	char serial[DEVICE_SERIAL_MAX]; /* likewise: some are read from the driver; empty: not known */
	uint64_t transaction; /* of the helper, 0: nothing to undo */
	bool deferred; /* a host driver was denied to it, because others of its group are out: once more when they are back */
	bool restoring; /* RESTORE was sent, its last reply is out */
	bool beside; /* when it was sent, others of its group were out */
	bool mdev;
	bool blocked; /* the helper was to take it from its driver, which did not let go in time and has not yet */
	unsigned int n_failed; /* restores that failed */
	bool parked; /* a bystander: it waits on pci-stub, is never opened, and goes back last */
	size_t parked_for; /* index of the device whose rule has it parked */
	struct policy_conduct conduct; /* by the rule that granted it, or that has it parked */
	char *rule; /* that granted it, "FILE:LINE", for the journal; NULL: of those that were not granted */
	struct policy_limits limits; /* by the rule that granted it; none of one that is parked */
	enum device_reset reset;
	bool resets_bus; /* of those with DEVICE_RESET_BUS the first of its bus */
	int sysfs_fd; /* the device's folder, held from judging to sending; -1 otherwise */
	char bus[DEVICE_BUS_MAX]; /* empty: not known, found in the helper's journal */
	bool singleton; /* its rule admits groups of one device only */
	bool claim_kept; /* the keeper has a duplicate of it */
	int claim; /* of its group, by the kernel module, kept by the group's first device; -1: none (claims.c) */
	bool idle; /* the claim was given back, and nobody can have the group's DMA */
	uint64_t node; /* as device::node; 0: not known, found in the helper's journal */
	bool lost; /* it was removed; what is at its address now, if anything, is another device */
	bool wanted; /* the kernel asked for it back, and it was told */
	struct lease_late late;
	char physical_function[DEVICE_ADDRESS_MAX]; /* that has made it, until that takes it back; empty: none */
	char vf_token[VF_TOKEN_SIZE]; /* that it and its virtual, or physical, function share; empty: none */
};

/* Who had descriptors of a lease's devices when that was looked for last: "pid 77 (qemu)", "maybe pid 78 (dpdk)". */
struct lease_holders {
	size_t n;
	char texts[HELPER_HOLDERS_MAX][48]; /* printable */
};

#define LEASE_HOLDERS_TEXT (HELPER_HOLDERS_MAX * 50)
/* All of them, with commas between; empty: none are known. */
void lease_holders_text(const struct lease_holders *holders, char ret[LEASE_HOLDERS_TEXT]);

/* A lease that is taken back from its client: see revoke.c. All zero, but for `due_usec`, of one that is not. */
struct lease_revocation {
	bool begun; /* the client was asked */
	bool by_somebody; /* `by` wanted it, and not iommud itself */
	uid_t by;
	unsigned int timeout_sec; /* that each means is given, the asking too */
	unsigned int n_means; /* that were used after it */
	uint64_t due_usec; /* when the next is used; UINT64_MAX: not */
	bool signalling; /* the helper's answer to a SIGNAL is out */
	bool reporting; /* all was in vain: told as soon as it is known who has the devices */
	char note[160]; /* for that report: why no further means is used; may be empty */
};

struct lease {
	struct list_link link; /* broker::leases */
	struct list_link peer_link; /* peer::leases, or alone when the client is gone */
	struct broker *broker;
	struct peer *peer; /* NULL: the client is gone; kept while the lease is on its way back */
	uint64_t id;
	enum lease_state state;
	uint64_t connection; /* kept.c: of its client, 0: it is not kept */
	bool noted; /* it stands in the ledger */
	uid_t uid; /* (uid_t)-1: found in the helper's journal, its client is unknown */
	pid_t pid;
	char *unit; /* of systemd, that the client belongs to; NULL: none, or not known */
	char *label; /* NULL: none; fixed when the lease is made */
	const struct opener *opener;
	uint64_t deadline_usec; /* of the present state, UINT64_MAX: none */
	uint64_t linger_usec; /* while releasing: when that is called lingering; UINT64_MAX otherwise */
	struct lease_revocation revocation;
	struct acquire *acquire; /* what waits for the outcome, while preparing */
	struct lease_holders holders;
	struct lease_holders holders_found; /* by the look that is under way */
	unsigned int n_holders_asked; /* answers of the helper to it that are out */
	uint64_t holders_usec; /* when the last look ended */
	bool linger_told; /* the event was published */
	struct lease_nodes *nodes; /* node-labels.c: whose security contexts are watched; NULL: none */
	bool stays; /* on its way back: its devices stay on VFIO, and its groups claimed */
	char reason[512]; /* of LEASE_VIOLATED, for people; empty otherwise */
	char **allowed_drivers; /* that members may stay on, by the rules that granted it; NULL-terminated, or NULL */
	size_t n_devices; /* that are handed out */
	size_t n_parked; /* bystanders behind them, and who came late */
	struct lease_device **devices; /* each allocated: the helper's replies point to them */
};

/* A lease in LEASE_REQUESTED, in no list; devices are to be filled in by the caller. NULL when out of memory. */
struct lease *lease_new(struct broker *broker, size_t n_devices, size_t n_parked);

/* One more that is parked, at the end: what joins a group while it is leased. Owned by the lease. NULL: out of memory. */
struct lease_device *lease_add_parked(struct lease *lease);
/* Takes a parked one off the list again and frees it: nothing is to be undone, and no reply about it is out. */
void lease_drop_parked(struct lease_device *device);

static inline size_t lease_n_all(const struct lease *lease)
{
	return lease->n_devices + lease->n_parked;
}

/* Unlinks and frees; it must have come to an end, or never begun. Accepts NULL, returns NULL. */
struct lease *lease_free(struct lease *lease);

/* Whether the state table allows the step. */
bool lease_can_become(enum lease_state from, enum lease_state to);
/* The one function that changes a state. A step that the table does not have is a bug and ends the process. */
void lease_set_state(struct lease *lease, enum lease_state state);

/* The device's descriptors may be out: neither it nor its group can be given to somebody else. */
bool lease_holds_group(const struct lease *lease, unsigned int group);
/* Whether none of the devices before it is of its group. */
bool lease_is_first_of_group(const struct lease *lease, size_t i);
/* The first device that a driver has not let go of, parked ones included; NULL: there is none. */
const struct lease_device *lease_find_blocked(const struct lease *lease);
/* Parked ones as well, but none that was lost. */
struct lease_device *lease_find_device(struct lease *lease, const char *address);

/* Of a group of the lease, but not taken from its driver: it may have to be, or it may stay. */
static inline bool lease_device_is_loose(const struct lease_device *device)
{
	return device->late.since && !device->transaction;
}

/* In how many seconds it is taken back because of its rule, rounded up; -1: its time has no end. expiry.c. */
int64_t lease_expires_in(const struct lease *lease);

/* "active" and so on, as in io.iommud.varlink. */
const char *lease_state_name(enum lease_state state);

#endif
