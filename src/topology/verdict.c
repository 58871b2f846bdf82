/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The list of blockers. Owns its array; blockers are plain data. */
#include "topology/viability.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int verdict_add(struct verdict *verdict, const struct blocker *blocker)
{
	struct blocker *larger = reallocarray(verdict->blockers, verdict->n_blockers + 1, sizeof(*larger));

	if (!larger)
		return -ENOMEM;
	larger[verdict->n_blockers++] = *blocker;
	verdict->blockers = larger;
	return 0;
}

void verdict_clear(struct verdict *verdict)
{
	free(verdict->blockers);
	*verdict = (struct verdict){ 0 };
}

bool verdict_is_viable(const struct verdict *verdict)
{
	return verdict->n_blockers == 0;
}

static bool blocker_equals(const struct blocker *left, const struct blocker *right)
{
	return left->kind == right->kind && strcmp(left->device, right->device) == 0 &&
	       strcmp(left->driver, right->driver) == 0 && strcmp(left->message, right->message) == 0 &&
	       strcmp(left->remedy, right->remedy) == 0;
}

bool verdict_equals(const struct verdict *left, const struct verdict *right)
{
	if (left->n_blockers != right->n_blockers)
		return false;
	for (size_t i = 0; i < left->n_blockers; i++) {
		if (!blocker_equals(&left->blockers[i], &right->blockers[i]))
			return false;
	}
	return true;
}

const char *blocker_kind_name(enum blocker_kind kind)
{
	switch (kind) {
	case BLOCKER_FOREIGN_DRIVER:
		return "foreignDriver";
	case BLOCKER_FIRMWARE_MAPPING:
		return "firmwareMapping";
	case BLOCKER_NO_IOMMU:
		return "noIommu";
	case BLOCKER_UNSAFE_INTERRUPTS:
		return "unsafeInterrupts";
	case BLOCKER_BOOT_DISPLAY:
		return "bootDisplay";
	case BLOCKER_LABEL_CONFLICT:
		return "labelConflict";
	case BLOCKER_HAS_VIRTUAL_FUNCTIONS:
		return "hasVirtualFunctions";
	case BLOCKER_KINDS:
		break;
	}
	return NULL;
}
