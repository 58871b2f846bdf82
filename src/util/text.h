/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Words of strangers, before they are repeated to anybody. */
#ifndef IOMMUD_UTIL_TEXT_H
#define IOMMUD_UTIL_TEXT_H

#include <stddef.h>

/*
 * Copies as much of `text` as fits into `size` bytes with the NUL, at least 1, and puts '?' for every byte that is not
 * printable ASCII: what comes out is UTF-8 wherever it is cut, and one line of a log.
 */
void text_copy_printable(char *ret, size_t size, const char *text);

#endif
