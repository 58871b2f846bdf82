/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What cases of the broker begin with (tests/unit/test-broker-*.c): the rig with the rules below, the steps that many of
 * them share. Everything fails the running cmocka test where something is not right.
 *
 * The rules: alice may have NIC, EDU, and of the slot any (whole, label red); bob EDU and of the slot any (whole, label
 * blue), and is denied NIC by line 39.
 */
#ifndef IOMMUD_TESTS_BROKER_CASES_H
#define IOMMUD_TESTS_BROKER_CASES_H

#include "broker-rig.h"

#define RULE(match, user, grant) "[Match]\n" match "\n[Client]\nUser=" user "\n[Grant]\nAction=allow\n" grant "\n"
/* For bob_who_parks(). */
#define PARKING RULE("Address=" SLOT_EDU, "1001", "GroupScope=whole\nBystanders=park")

/* *state is the started rig. */
int broker_case_setup(void **state);
int broker_case_teardown(void **state);
#define BROKER_CASE(function) cmocka_unit_test_setup_teardown(function, broker_case_setup, broker_case_teardown)

/* A client; peer_free(). */
struct peer *peer_of(struct rig *rig, struct identity *identity);
/* By hand, as an administrator would: the slot's members without drivers. */
void free_slot(struct rig *rig);
/* It is refused in that way and with these words, and nothing was prepared. */
void refuses(struct rig *rig, struct identity *who, const char *devices, const char *consent, enum refusal_kind kind,
	     const char *said);
/* `policy` for broker and helper, where bob may have the third of the slot, and the others make room; bob. */
struct peer *bob_who_parks(struct rig *rig, const char *policy);
/* Asks twice, the second time with the token. */
void take_with_consent(struct rig *rig, struct peer *peer, const char *devices);
/* On the drivers that it began with, and no lease or transaction is left. */
void assert_slot_is_back(struct rig *rig);

#endif
