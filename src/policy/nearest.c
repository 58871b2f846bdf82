/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Edit distance without case: insertions, deletions, replacements and two neighbours swapped count one each. A third of
 * the letters may be wrong; beyond that a hint would rather mislead.
 */
#include "policy/nearest.h"

#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

static unsigned int min(unsigned int left, unsigned int right)
{
	return left < right ? left : right;
}

static unsigned int edit_distance(const char *left, size_t n_left, const char *right, size_t n_right)
{
	uint8_t d[NEAREST_NAME_MAX + 1][NEAREST_NAME_MAX + 1];

	for (size_t j = 0; j <= n_right; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= n_left; i++) {
		d[i][0] = i;
		for (size_t j = 1; j <= n_right; j++) {
			char a = lower(left[i - 1]), b = lower(right[j - 1]);

			d[i][j] = min(d[i - 1][j - 1] + (a != b), min(d[i - 1][j], d[i][j - 1]) + 1);
			if (i > 1 && j > 1 && a == lower(right[j - 2]) && b == lower(left[i - 2]))
				d[i][j] = min(d[i][j], d[i - 2][j - 2] + 1);
		}
	}
	return d[n_left][n_right];
}

void nearest_begin(struct nearest *nearest, const char *wanted)
{
	*nearest = (struct nearest){ .wanted = wanted, .distance = UINT_MAX };
}

void nearest_offer(struct nearest *nearest, const char *name)
{
	size_t n_wanted = strnlen(nearest->wanted, NEAREST_NAME_MAX + 1);
	size_t n_name = strnlen(name, NEAREST_NAME_MAX + 1);
	unsigned int distance;

	if (n_wanted > NEAREST_NAME_MAX || n_name > NEAREST_NAME_MAX)
		return;
	distance = edit_distance(nearest->wanted, n_wanted, name, n_name);
	if (distance >= nearest->distance)
		return;
	nearest->distance = distance;
	strcpy(nearest->name, name);
}

const char *nearest_get(const struct nearest *nearest)
{
	size_t length = strnlen(nearest->wanted, NEAREST_NAME_MAX + 1);
	unsigned int limit = length <= 5 ? 1 : (unsigned int)length / 3;

	if (nearest->distance > limit || nearest->distance >= length)
		return NULL;
	return nearest->name;
}
