/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options of the command line: one table that is parsed, printed and suggested from. */
#ifndef IOMMUCTL_OPTIONS_H
#define IOMMUCTL_OPTIONS_H

#include "iommuctl.h"

/*
 * Takes options from argv[1] on; argv[0] is left out. With `only_leading`, stops at the first word that is none (the
 * verb); otherwise words and options may be mixed, and words are moved to the end, up to "--". Returns the index in argv
 * of the first word, or -EXIT_USAGE after it said what is wrong.
 */
int options_parse(struct options *options, int argc, char **argv, bool only_leading);

/* Whether the verb takes all that was given; if not, says which it does not take. */
bool options_fit(const struct options *options, const struct verb *verb);

/* Prints the lines of --help for these verb options and for those that all take. */
void options_print_help(unsigned int bits);

#endif
