/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "Did you mean": of several names offered, the one nearest to a mistyped one. */
#ifndef IOMMUD_POLICY_NEAREST_H
#define IOMMUD_POLICY_NEAREST_H

#define NEAREST_NAME_MAX 32

struct nearest {
	const char *wanted; /* borrowed */
	unsigned int distance;
	char name[NEAREST_NAME_MAX + 1];
};

void nearest_begin(struct nearest *nearest, const char *wanted);

/* Names longer than NEAREST_NAME_MAX are passed over. */
void nearest_offer(struct nearest *nearest, const char *name);

/* The nearest one (borrowed from `nearest`; of equals the first), or NULL if none is near enough to be meant. */
const char *nearest_get(const struct nearest *nearest);

#endif
