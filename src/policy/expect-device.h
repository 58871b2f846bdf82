/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The facts of a file of expectations: those of [Device], and those of [Expect] about the client. Private to src/policy. */
#ifndef IOMMUD_POLICY_EXPECT_DEVICE_H
#define IOMMUD_POLICY_EXPECT_DEVICE_H

#include "policy/expect.h"
#include "policy/values.h"

/* Takes one "name=value"; `seen` (N_KEYS) has the keys that were taken. 0, -EINVAL with a complaint, or -ENOMEM. */
int expect_fact(struct expected_device *device, bool *seen, const char *name, const char *value,
		struct complaint *complaint);
/* The same of a client's process; -ENOENT, and nothing is done: the key is none of Unit, Slice, Executable, AppArmor. */
int expect_client_fact(struct process_facts *client, bool *seen, const char *name, const char *value,
		       struct complaint *complaint);

#endif
