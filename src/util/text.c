/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/text.h"

void text_copy_printable(char *ret, size_t size, const char *text)
{
	size_t n = 0;

	for (; n + 1 < size && text[n]; n++)
		ret[n] = text[n] >= ' ' && text[n] <= '~' ? text[n] : '?';
	ret[n] = '\0';
}
