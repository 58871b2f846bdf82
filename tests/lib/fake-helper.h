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
	char trace[1024]; /* what was moved, in order: "park(ADDRESS) " and so on */
	/* What PREPARE or PARK of this address is answered; HELPER_OK: it is done. Empty: all are done. */
	char fail_address[DEVICE_ADDRESS_MAX];
	uint32_t fail_status;
	/* RESTORE of this one is denied its driver while other transactions are open, as the kernel does within a group. */
	char denied_address[DEVICE_ADDRESS_MAX];
	/* PREPARE, PARK and RESTORE are kept until fake_helper_release(). */
	bool hold;
	struct helper_request held[16];
	size_t n_held;
	/* RESTORE of what was not parked is answered HELPER_TIMED_OUT, and for good by fake_helper_release(). */
	bool linger;
	/* What HOLDERS is answered. */
	struct helper_holder holders[HELPER_HOLDERS_MAX];
	uint32_t n_holders;
	uint32_t holders_status;
	/* What SIGNAL is answered; HELPER_OK: "terminate(ADDRESS) " or "kill(ADDRESS) " is in the trace. */
	uint32_t signal_status;
	const char *signal_detail; /* NULL: none */
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
