/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What somebody may have meant. Pure. */
#ifndef IOMMUCTL_SUGGEST_H
#define IOMMUCTL_SUGGEST_H

#include <stddef.h>

/*
 * The one of `names` that is nearest to `text` by letters that were left out, added, changed or swapped, at most one for
 * each three letters and two in all, or that `text` is the beginning of. NULL when none is near.
 */
const char *suggest(const char *text, const char *const *names, size_t n_names);

#endif
