/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The helper's end of the wire, in the test's own process, moving devices of a fake_sysfs between drivers. The test says
 * what each request is answered, and when: nothing happens but in fake_helper_serve().
 */
#ifndef IOMMUD_TESTS_FAKE_HELPER_H
#define IOMMUD_TESTS_FAKE_HELPER_H

#include "fake-sysfs.h"
#include "hw/helper-wire.h"

#define FAKE_TRANSACTIONS 64

struct fake_transaction {
	bool open;
	char address[DEVICE_ADDRESS_MAX];
	char driver[DEVICE_DRIVER_MAX]; /* before */
	bool parked;
	uint64_t
		node; /* inode of the device's folder: another device at the address has another; 0: whatever is there */
};

struct fake_helper {
	struct fake_sysfs *sysfs;
	char path[128];
	int listener;
	int connection; /* -1: none */
	struct fake_transaction transactions[FAKE_TRANSACTIONS]; /* by number - 1 */
	uint64_t n_transactions;
	uint8_t digest[DIGEST_SIZE];
	unsigned int n_requests[16]; /* by operation */
	char trace[1024]; /* what was done, in order: "park(ADDRESS) " and so on; and "reset(ADDRESS) " */
	/* What PREPARE or PARK of this address is answered; HELPER_OK: it is done. Empty: all are done. */
	char fail_address[DEVICE_ADDRESS_MAX];
	uint32_t fail_status;
	int32_t fail_error; /* and with this step; 0: EBUSY at unbind */
	uint32_t fail_step;
	bool fail_open; /* and its transaction stays open, for it could not be put back (FAULT), or not yet (TIMED_OUT) */
	unsigned int n_restores_fail; /* so many RESTOREs fail before the first that does not */
	/* What comes of a reset that PREPARE asks for: 0; ENOENT: there is none, and it goes on; else FAULT with that errno. */
	int reset_error;
	uint32_t reset_status; /* instead of FAULT; 0: FAULT */
	/* RESTORE of this one is denied its driver while other transactions are open, as the kernel does within a group. */
	char denied_address[DEVICE_ADDRESS_MAX];
	bool denied_once; /* it is so the first time, as when the others came back only while its answer was on its way */
	/* PREPARE, PARK and RESTORE are kept until fake_helper_release(). */
	bool hold;
	struct helper_request held[16];
	size_t n_held;
	/* RESTORE of what was not parked is answered HELPER_TIMED_OUT, and for good by fake_helper_release(). */
	bool linger;
	/* What MAKE_VFS is answered. No device comes of it. */
	uint32_t vfs_status;
	uint32_t vfs_made;
	char vfs_detail[HELPER_DETAIL_MAX];
	/* What HOLDERS is answered. */
	struct helper_holder holders[HELPER_HOLDERS_MAX];
	uint32_t n_holders;
	uint32_t holders_status;
	bool holders_silent; /* it is not answered at all */
	/* What IDENTIFY is answered; not at all while `identify_silent`. */
	struct process_facts process;
	uint32_t identify_status;
	bool identify_silent;
	/* What SIGNAL is answered; HELPER_OK: "terminate(ADDRESS) " or "kill(ADDRESS) " is in the trace. */
	uint32_t signal_status;
	const char *signal_detail; /* NULL: none */
	/* What MEMLOCK and RLIMIT_MODE are answered; HELPER_OK: "memlock(ADDRESS) " or "mm(ADDRESS) " is in the trace. */
	struct fake_limit {
		uint32_t status;
		int32_t error;
		const char *detail; /* NULL: none */
	} memlock, rlimit_mode;
	bool hold_limits; /* both are kept until fake_helper_release() */
	size_t n_fds; /* that came with the last request */
};

void fake_helper_start(struct fake_helper *helper, struct fake_sysfs *sysfs);
void fake_helper_stop(struct fake_helper *helper);
/* Accepts and answers what is there. Returns how many requests it took. */
unsigned int fake_helper_serve(struct fake_helper *helper);
/* Answers what was held. */
void fake_helper_release(struct fake_helper *helper);
/* As if it was killed: the connection closes, its journal stays. */
void fake_helper_kill(struct fake_helper *helper);
size_t fake_helper_n_open(const struct fake_helper *helper);

#endif
