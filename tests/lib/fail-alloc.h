/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lets the Nth allocation fail, for sweeps: "fail the first, the second, ... until nothing fails any more". Works in
 * programs linked with the --wrap options of tests/tests.mk, for what our own code allocates.
 */
#ifndef IOMMUD_TESTS_FAIL_ALLOC_H
#define IOMMUD_TESTS_FAIL_ALLOC_H

#include <stdbool.h>

/* The `n`th allocation of this thread from now on fails (1: the next one), and only that one. */
void fail_alloc_begin(unsigned int n);

/* Ends it, and says whether an allocation was made to fail. */
bool fail_alloc_end(void);

#endif
