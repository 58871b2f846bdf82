/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What there is to compare before and after a lease: the devices in sysfs, the helper's journal, the broker's leases. And the
 * events that any of them makes, so that nobody has to wait by the clock.
 */
#ifndef TESTS_VM_GROUP_STATE_H
#define TESTS_VM_GROUP_STATE_H

#include <stdbool.h>
#include <sys/types.h>

#define STATE_TEXT_MAX 4096

/* What is to be as before. */
struct state {
	char devices[STATE_TEXT_MAX]; /* driver, override, group and power state of each, on a line each */
	char names[STATE_TEXT_MAX]; /* of interfaces and disks, which come and are renamed after the driver is bound */
	int n_open; /* transactions that the helper's journal has open; -1: it can't be read */
	int n_leases; /* that the broker has; -1: it is not there */
};

/* Fills in the counts. */
void state_count(struct state *state);
/* Fills in the texts. */
void state_remember(char *const *addresses, struct state *state);
/* Waits until the counts are those before, so that nothing is under way any more. 0, or -1 with a word on stderr. */
int state_settle(const struct state *before);
/* Compares the texts; waits for names, as long as there are events. 0, or -1 with a word on stderr. */
int state_compare(char *const *addresses, const struct state *before);

/* Begins to listen, for as long as the program runs. 0, or -1 with a word on stderr. */
int events_begin(void);
/* Waits for anything to happen, or for `fd` to be readable (-1: none). False: nothing did for so long that nothing will. */
bool events_wait(int fd);
/* The user who got in line last, once; 0: none has since. */
uid_t events_take_waiting(void);

#endif
