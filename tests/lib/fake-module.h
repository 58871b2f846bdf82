/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel module's calls, in the test's own process: claims are descriptors whose closing is seen, and the test says what
 * the kernel answers. It knows nothing of groups; what it was asked for is in the trace.
 */
#ifndef IOMMUD_TESTS_FAKE_MODULE_H
#define IOMMUD_TESTS_FAKE_MODULE_H

#include "hw/ownership.h"

#define FAKE_CLAIMS 32

struct fake_module_claim {
	int other_end; /* a write to it fails once the claim is closed; closing it ends the claim (POLLHUP); -1: none */
};

struct fake_module {
	struct ownership ownership; /* what a broker is given */
	struct fake_module_claim claims[FAKE_CLAIMS];
	size_t n_claims; /* that were made */
	int events_end; /* where its events are written */
	int iommufd; /* that the last claim was for */
	/* "claim(ADDRESS context|parked|denying[ singleton][ LABEL][ +DRIVER...]) ", "handoff ", "giveback ", "close " */
	char trace[2048];
	unsigned int n_eagain; /* so many claims are answered EAGAIN */
	int claim_error; /* what others are answered: a positive errno; 0: they are made */
	unsigned int n_fine; /* so many are made before claim_error counts */
	struct iommud_member offender; /* what QUERY tells; empty: nothing */
	bool busy; /* GIVE_BACK: somebody has the DMA still */
};

/* With all features. */
void fake_module_start(struct fake_module *module);
void fake_module_stop(struct fake_module *module);
/* How many claims are open; those that were closed since the last call are in the trace. */
size_t fake_module_n_open(struct fake_module *module);
/* The kernel ends the claim that was made last. */
void fake_module_end_last(struct fake_module *module);
void fake_module_tell(struct fake_module *module, enum iommud_event_type type, const char *device, unsigned int group,
		      const char *driver, int error);

#endif
