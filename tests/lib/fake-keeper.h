/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A keeper in the test's process: duplicates by name, until the test hands them to the next broker. */
#ifndef IOMMUD_TESTS_FAKE_KEEPER_H
#define IOMMUD_TESTS_FAKE_KEEPER_H

#include <stddef.h>

#include "broker/keeper.h"
#include "broker/kept.h"

#define FAKE_KEPT_MAX 16

struct fake_keeper {
	struct keeper keeper;
	struct {
		char name[KEPT_NAME_MAX];
		int fd;
	} kept[FAKE_KEPT_MAX];
	size_t n;
	unsigned int n_settled;
};

void fake_keeper_init(struct fake_keeper *fake, unsigned int limit);
/* What the next broker is given of it: a duplicate, the caller's. It stays kept. */
int fake_keeper_pass(const struct fake_keeper *fake, size_t i);
/* Closes all. */
void fake_keeper_clear(struct fake_keeper *fake);

#endif
