/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What broker and helper say to each other: one fixed-size structure a packet over SOCK_SEQPACKET, host byte order
 * (both ends are of one build and one machine; `version` refuses another). No pointers, no lengths, and in
 * requests no text that is not a device's address.
 *
 * The helper is the authority. It takes nothing from the broker but which device and which client socket: the client's
 * identity comes from the socket, the drivers from sysfs, and the permission from the helper's own copy of the policy.
 *
 * A request that breaks the form (another uid, a wrong size, an unknown version or operation, a reserved field that is
 * not zero, descriptors that the operation does not take) ends the connection after the reply, if there can be one.
 */
#ifndef IOMMUD_HW_HELPER_WIRE_H
#define IOMMUD_HW_HELPER_WIRE_H

#include <stdint.h>

#include "util/device-id.h"
#include "util/digest.h"
#include "util/process-facts.h"

#define HELPER_VERSION 3
#define HELPER_DETAIL_MAX 128
#define HELPER_HOLDERS_MAX 8
#define HELPER_COMM_MAX 16
#define HELPER_SOCKET "/run/iommud/helper"

enum helper_operation {
	/* Compares versions and policies. The reply's digest is the helper's. No descriptor. */
	HELPER_HELLO = 1,
	/*
	 * Make `address` ready for the client whose accepted socket comes with the request (exactly one descriptor): bind
	 * it to the vfio driver, if it is not on one. The reply names the transaction that RESTORE undoes. The client must
	 * be at the other end of our own listening socket, and the helper's policy must allow it the device. Where the rule
	 * gives a label, and SELinux is on, the nodes get it, until RESTORE.
	 */
	HELPER_PREPARE = 2,
	/*
	 * Undo `transaction` (also one whose PREPARE or PARK was answered TIMED_OUT, as soon as that comes back): take the device from vfio (which waits until the last descriptor of it is closed), and bind it
	 * to what it was on, which may be vfio again. A device that was replaced or removed since is left alone.
	 */
	HELPER_RESTORE = 3,
	/*
	 * The first open transaction with a number greater than `transaction`: for a broker that starts. When there is no
	 * more: HELPER_NO_SUCH_TRANSACTION.
	 */
	HELPER_NEXT = 4,
	/*
	 * Load the policy anew, as the broker did. The reply's digest is of what is in force then; FAULT, when the new one
	 * has errors and the old one stays. No descriptor.
	 */
	HELPER_RELOAD = 5,
	/*
	 * Take `address`, a bystander, out of the way for `for_address`, which the client of the passed socket is about to
	 * get: like PREPARE, but to pci-stub. The helper's policy must allow the client that device with
	 * GroupScope=whole and Bystanders=park, and both must be in one IOMMU group. RESTORE it after the devices of its
	 * group: the kernel denies it a host driver for as long as the group is user space's.
	 */
	HELPER_PARK = 6,
	/*
	 * Who has descriptors of the device of `transaction`, or of a node of its driver's: asked while its PREPARE, PARK or
	 * RESTORE does not come back. It looks at all processes. Every reply, whatever its status, names the transaction. No
	 * descriptor.
	 */
	HELPER_HOLDERS = 7,
	/*
	 * Send the client whose accepted socket comes with the request SIGTERM, or SIGKILL with HELPER_KILL, for it keeps the
	 * device of `transaction`. The helper's policy must say OnReleaseTimeout=terminate, or kill, for that client and
	 * device, as that was before it was prepared: sysfs is not looked at, for who asks is waiting for the device. The
	 * process is found by the socket's pidfd; without one (before Linux 6.5) it is a FAULT. Every reply names the
	 * transaction.
	 */
	HELPER_SIGNAL = 8,
	/*
	 * Have the physical function `address`, on a driver of the host's, make the number of virtual functions that the
	 * helper's policy says. One that has some already is left alone: OK with `n_made` 0. The reply's `detail` says why
	 * none, or less, were made. No descriptor.
	 */
	HELPER_MAKE_VFS = 9,
	/*
	 * What rules ask of the process at the other end of the passed client socket (exactly one descriptor), beyond what the
	 * socket itself tells. What can't be told is empty in the reply. It is for the broker's own judgement: the helper reads
	 * it anew for its own.
	 */
	HELPER_IDENTIFY = 10,
	/*
	 * Raise RLIMIT_MEMLOCK of the client whose accepted socket comes with the request, before it gets the device of
	 * `transaction`: to what MemlockLimit= of the helper's policy says for that client and device, as that was before it was
	 * prepared. A limit that is higher stays. The process is found by the socket's pidfd, as for SIGNAL. Every reply names
	 * the transaction.
	 */
	HELPER_MEMLOCK = 11,
	/*
	 * Have the kernel count what is pinned through the iommufd that comes behind the client's socket by process, as
	 * RlimitMode=mm of the helper's policy says for that client and the device of `transaction`. The iommufd must have no
	 * objects yet. Every reply names the transaction.
	 */
	HELPER_RLIMIT_MODE = 12,
};

enum helper_flag {
	/*
	 * PREPARE: another user had the device: reset it while it is on no driver, unless the policy says Reset=no. Without a
	 * reset method it goes on, and the reply says so; with Reset=require that is a FAULT, as is a reset that fails.
	 */
	HELPER_RESET = 1 << 0,
	/*
	 * PARK: `for_address` is prepared for the client, and `address` came to its group, or to a driver, since. The policy
	 * must say LateJoiner=park or OnViolation=unbind instead of Bystanders=park; its GroupScope is not looked at, and
	 * its Force= does not count. A device that is parked already, but was taken off pci-stub since, goes back to it, and the
	 * reply names the transaction that it has.
	 */
	HELPER_LATE = 1 << 1,
	HELPER_KILL = 1 << 2, /* SIGNAL */
	/*
	 * RESTORE: what was on a vfio driver before, and is on it, stays there, without an unbind: the broker knows by the
	 * kernel module that nobody has it open and can use it.
	 */
	HELPER_STAYS = 1 << 3,
};

struct helper_request {
	uint32_t version;
	uint32_t operation;
	uint64_t serial; /* the reply carries it back; several requests can be under way */
	uint64_t transaction; /* RESTORE, NEXT, HOLDERS, SIGNAL, MEMLOCK, RLIMIT_MODE; zero otherwise */
	char address[DEVICE_ADDRESS_MAX]; /* PREPARE, PARK, MAKE_VFS, NUL-padded; zero otherwise */
	char for_address[DEVICE_ADDRESS_MAX]; /* PARK, NUL-padded; zero otherwise */
	/* HELLO, PREPARE, PARK, SIGNAL, MAKE_VFS, MEMLOCK, RLIMIT_MODE: the policy the broker decided by; zero otherwise */
	uint8_t digest[DIGEST_SIZE];
	uint32_t flags; /* enum helper_flag, as far as the operation has them */
	uint32_t reserved[3]; /* zero */
};

enum helper_status {
	HELPER_OK = 0,
	/*
	 * `error` says what the kernel said in step `step`. PREPARE: everything before it is undone; where even that failed,
	 * `transaction` is set, and open. RESTORE: the transaction stays open; the next RESTORE or PREPARE of the device, or
	 * the helper's next start, tries again.
	 */
	HELPER_FAULT = 1,
	HELPER_REFUSED = 2, /* the helper's policy does not allow it, or the group is not one device (singleton) */
	HELPER_POLICY_DIFFERS = 3, /* the digests differ: reload both */
	HELPER_BAD_REQUEST = 4,
	HELPER_NO_SUCH_DEVICE = 5,
	HELPER_NO_SUCH_TRANSACTION = 6,
	/*
	 * Another job of this device is under way, or it is prepared already and not restored (PREPARE). With `detail`: as many
	 * jobs are under way as MaxWorkers= admits, and it says which of them are blocked.
	 */
	HELPER_BUSY = 7,
	/*
	 * PREPARE, PARK: the worker did not come back within the time limit; when it does, its work is undone by the helper
	 * itself. `transaction` is set once there is one, for HOLDERS, and for RESTORE, which tells the end of it. RESTORE: the
	 * kernel still waits (descriptors are out); a second reply with the same serial follows.
	 */
	HELPER_TIMED_OUT = 8,
	/*
	 * RESTORE: another device is at the address now, or none; the transaction is closed. PARK of what was parked already: it
	 * is open.
	 */
	HELPER_REPLACED = 9,
	/* PREPARE: the host uses the device, `detail` says how, and the rule has no Force=yes. Nothing was changed. */
	HELPER_IN_USE = 10,
};

/* Where in a transition something happened. */
enum helper_step {
	HELPER_STEP_NONE = 0,
	HELPER_STEP_SNAPSHOT = 1,
	HELPER_STEP_JOURNAL = 2,
	HELPER_STEP_OVERRIDE = 3,
	HELPER_STEP_UNBIND = 4,
	HELPER_STEP_BIND = 5,
	HELPER_STEP_VERIFY = 6,
	HELPER_STEP_RESET = 7,
	HELPER_STEP_LOCK = 8, /* waits for the worker of a former helper, which has the device still */
	HELPER_STEP_MAKE_VFS = 9,
	HELPER_STEP_LABEL = 10, /* nodes get their security contexts, or the former ones */
};

/* For messages of both ends. */
static inline const char *helper_step_text(uint32_t step)
{
	static const char *const names[] = { "no",     "snapshot", "journal", "driver_override", "unbind", "bind",
					     "verify", "reset",    "lock",    "sriov_numvfs",    "label" };

	return step < sizeof(names) / sizeof(names[0]) ? names[step] : "unknown";
}

/* A process that has a descriptor of a device. */
struct helper_holder {
	int32_t pid;
	/*
	 * It has one of some VFIO device: the kernel does not say of which. Only when nobody is known to have one of this
	 * device.
	 */
	uint32_t unsure;
	char comm[HELPER_COMM_MAX]; /* the kernel's bytes, which the process itself can set; NUL-padded */
};

struct helper_reply {
	uint32_t version;
	uint32_t status; /* enum helper_status */
	uint64_t serial;
	/* PREPARE, PARK, NEXT, HOLDERS, SIGNAL, MEMLOCK, RLIMIT_MODE, TIMED_OUT; other FAULTs: what is open still */
	uint64_t transaction;
	int32_t error; /* FAULT: a positive errno */
	uint32_t step; /* FAULT, TIMED_OUT: enum helper_step */
	char address[DEVICE_ADDRESS_MAX]; /* NEXT */
	char driver[DEVICE_DRIVER_MAX]; /* PREPARE, PARK, NEXT: the driver that RESTORE will bind; empty: none */
	uint8_t digest[DIGEST_SIZE]; /* HELLO, RELOAD */
	/*
	 * IN_USE ("nvme0n1p1 is mounted"), BUSY, MAKE_VFS, and all that SIGNAL, MEMLOCK and RLIMIT_MODE are answered but OK: for
	 * people, NUL-padded.
	 */
	char detail[HELPER_DETAIL_MAX];
	uint32_t parked; /* NEXT: 1 if the transaction is a PARK's */
	uint32_t n_holders; /* HOLDERS: those that follow */
	uint32_t more_holders; /* HOLDERS: how many more there are */
	struct helper_holder holders[HELPER_HOLDERS_MAX];
	uint32_t reset_done; /* PREPARE: 1 if the device was reset, as the flag asked */
	uint32_t n_made; /* MAKE_VFS: how many there are since */
	uint32_t reserved[2];
	struct process_facts process; /* IDENTIFY; texts are printable */
};

#endif
