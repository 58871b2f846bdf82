/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verbs of io.iommud.Manage, and how a reload comes to its answers. */
#ifndef IOMMUD_VARLINK_MANAGE_H
#define IOMMUD_VARLINK_MANAGE_H

#include <stddef.h>
#include <stdint.h>

#include "varlink/server.h"

struct service;

extern const struct varlink_interface iommud_manage_interface;

enum reload_result {
	RELOAD_DONE, /* both daemons have the new set */
	RELOAD_INVALID, /* an error in the files: `messages`; the old set stays */
	RELOAD_NOT_SHARED, /* the new set is in force here, but not in the helper: `why` */
	RELOAD_FAILED, /* `error`; the old set stays */
};

/* What a reload came to. Texts are borrowed. */
struct reload_outcome {
	enum reload_result result;
	size_t n_rules;
	const uint8_t *digest; /* of the set in force */
	const char *messages; /* lines */
	const char *why;
	int error; /* a positive errno */
};

/* To be called at the end of a reload that began when `service->last_reload` was `number`: answers who waits for it. */
void manage_reloaded(struct service *service, uint64_t number, const struct reload_outcome *outcome);

#endif
