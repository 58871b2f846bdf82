/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is said on standard error, and the exit code that goes with it. */
#ifndef IOMMUCTL_ERRORS_H
#define IOMMUCTL_ERRORS_H

#include "reply.h"

/* The exit code of a refusal: see EXIT STATUS in iommuctl(1). */
enum exit_code exit_code_of(enum iommud_error error);

/* "iommuctl: ..." and a newline. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same, with a pointer to --help. Returns EXIT_USAGE. */
int complain_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * Says what a call of the library's returned (not 0), with the way out where the daemon names one. `what` is what was
 * tried. Returns the exit code.
 */
int report_result(struct iommud *connection, const char *what, int result);

/* The members of a group that are affected though nobody asked for them, a line each, on standard error. */
void report_bystanders(json_object *parameters);

#endif
