/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Edit distance (optimal string alignment) over short names, by the usual table of three rows. */
#include "suggest.h"

#include <string.h>

#define NAME_MAX_LENGTH 32
#define DISTANCE_MAX 2

static size_t least(size_t first, size_t second)
{
	return first < second ? first : second;
}

static size_t distance(const char *left, const char *right)
{
	size_t rows[3][NAME_MAX_LENGTH + 1], n = strlen(left), m = strlen(right);
	size_t *last = rows[0], *row = rows[1], *before = rows[2];

	if (n > NAME_MAX_LENGTH || m > NAME_MAX_LENGTH)
		return NAME_MAX_LENGTH;
	for (size_t j = 0; j <= m; j++)
		row[j] = j;
	for (size_t i = 1; i <= n; i++) {
		size_t *oldest = before;

		before = last;
		last = row;
		row = oldest;
		row[0] = i;
		for (size_t j = 1; j <= m; j++) {
			row[j] = least(least(last[j], row[j - 1]) + 1, last[j - 1] + (left[i - 1] != right[j - 1]));
			if (i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1])
				row[j] = least(row[j], before[j - 2] + 1);
		}
	}
	return row[m];
}

const char *suggest(const char *text, const char *const *names, size_t n_names)
{
	size_t best = least(DISTANCE_MAX, (strlen(text) + 2) / 3) + 1;
	const char *found = NULL;

	for (size_t i = 0; i < n_names; i++) {
		size_t d = *text && strncmp(names[i], text, strlen(text)) == 0 ? 0 : distance(text, names[i]);

		if (d < best) {
			best = d;
			found = names[i];
		}
	}
	return found;
}
