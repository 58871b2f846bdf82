/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What there is to compare before and after a lease: the devices in sysfs, the helper's journal, the broker's leases. And the
 * events that any of them makes, so that nobody has to wait by the clock.
 */
#ifndef TESTS_VM_GROUP_STATE_H
#define TESTS_VM_GROUP_STATE_H

#include <stdbool.h>
#include <stddef.h>

#define STATE_TEXT_MAX 4096

/* Driver, override, group and power state of each device, on a line each. */
void state_of_devices(char *const *addresses, char text[STATE_TEXT_MAX]);
/* The names of their network interfaces and disks, which come and are renamed after the driver is bound. */
void state_of_names(char *const *addresses, char text[STATE_TEXT_MAX]);
/* Transactions that the helper's journal has open; -1: it can't be read. */
int journal_n_open(void);
/* Whether the broker is there and has no lease. */
bool broker_is_idle(void);

/* Begins to listen, for as long as the program runs. 0, or -1 with a word on stderr. */
int events_begin(void);
/* Waits for anything to happen. False: nothing did for so long that nothing will. */
bool events_wait(void);

#endif
